"""The one token loop: from prompt ids to tokens, for every family and backend.

It runs on the host and calls one compiled program, which feeds T tokens behind a cache and gives the logits of the last one:
with T from a few fixed chunk sizes (prefill) and T = 1 (decode). The full chunks of a long text but for its last go through a
second program, without the product with the vocabulary. Tokens that a constraint forces are never sampled: they wait and go
through the program together with what follows them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..core import Backend, Module, ops
from .constraint import Constraint
from .errors import ConstraintError, ContextLengthError, WeightsError
from .kv_cache import MAX_CHUNK
from .prefix_cache import PrefixCache, Snapshot
from .sampler import Sampler, greedy
from .tokenizer import Tokenizer

CAPACITIES = (512, 2048)  # cache sizes before the full context
_OTHERS = 3  # tokens beside a chosen one that are told


class Decoder(Protocol):
    """What the loop asks of a model; `Module`s of every family offer it."""

    def __call__(self, ids: Any, valid: Any, cache: Any) -> tuple[Any, Any]:
        """Run new tokens behind those of the cache.

        Args:
            ids: int32 [B, T]; tokens from `valid` on are padding.
            valid: how many are tokens: an int, or an int32 scalar array where shapes are fixed.
            cache: of `new_cache` or of an earlier call; may be consumed.

        Returns:
            Normalised hidden states [B, T, D] (give them to `logits`), and the cache with `valid` tokens more.
        """
        ...

    def logits(self, hidden: Any) -> Any: ...

    def new_cache(self, backend: Backend, capacity: int, batch: int = 1, pool: bool = False) -> Any: ...

    def copy_cache(self, backend: Backend, cache: Any, length: int) -> Any: ...

    def grow_cache(self, cache: Any, capacity: int) -> Any: ...


@dataclass(frozen=True)
class Token:
    """One token of a stream.

    Attributes:
        id: in the model's vocabulary.
        text: what became complete with it (never half a character).
        forced: the constraint left no choice; the model was not asked.
        logprob: natural logarithm of its probability among the allowed tokens; 0 when forced.
        mass: probability that the model gave to all allowed tokens together; 1 when forced or unconstrained.
        others: of the other allowed tokens the likeliest three with their logprobs; none when forced or unconstrained.
    """

    id: int
    text: str
    forced: bool = False
    logprob: float = 0.0
    mass: float = 1.0
    others: tuple[tuple[int, float], ...] = ()


@dataclass
class Usage:
    """What a stream cost: tokens, and seconds of wall clock in the model's programs."""

    prompt_tokens: int = 0
    reused_tokens: int = 0
    prefill_tokens: int = 0  # fed in chunks: prompt tokens not reused, and forced tokens
    decode_tokens: int = 0  # fed one by one
    generated_tokens: int = 0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0


@dataclass
class State:
    """A text on its way through the model: what was fed, and what waits to be."""

    ids: list[int]  # fed
    pending: list[int]  # not fed yet
    cache: Any
    logits: np.ndarray | None = None  # after the last fed token, float32 [V]
    setting: int | None = None  # what else the cache depends on; see `Snapshot`
    whole: int = 0  # tokens of the prompt, fed or not
    until: int = 0  # what the cache says of the length of the text, if it does; see `Decoder.border`
    usage: Usage = field(default_factory=Usage)


class TokenLoop:
    """Runs one model on one backend. Streams of several threads take turns: the model runs for one of them at a time."""

    def __init__(self, model: Module, tokenizer: Tokenizer, backend: Backend, context_length: int, pool: bool = False):
        self.model = model
        self.tokenizer = tokenizer
        self.backend = backend
        self.context_length = context_length
        self.pool = pool
        self.prefixes = PrefixCache()
        self._border = getattr(model, "border", 0)
        self._turn = threading.RLock()
        self._step = backend.compile(_last_logits, model, donate=(2,))
        self._fill = backend.compile(_no_logits, model, donate=(2,))
        self._score = backend.compile(_all_logits, model, donate=(2,))

    def stream(
        self,
        ids: Sequence[int],
        max_tokens: int = 256,
        constraint: Constraint | None = None,
        sampler: Sampler = greedy,
        stop_ids: Sequence[int] | None = None,
        pin: int = 0,
    ) -> Stream:
        """Tokens that continue a prompt, as they are made.

        Args:
            ids: the prompt, BOS included.
            max_tokens: forced ones count.
            constraint: see `Constraint`; it is advanced by this call.
            sampler: see `sampler.py`.
            stop_ids: end the stream and are its last token; default: the tokenizer's end of sequence.
            pin: length of the prompt's beginning that is kept for other prompts (a system text, a tool catalogue).

        Raises:
            ContextLengthError: the prompt leaves no room for a single token.
        """
        self._check_length(len(ids), more=1)
        room = self.context_length - len(ids)
        stop = frozenset(self.tokenizer.eos_ids if stop_ids is None else stop_ids)
        with self._turn:
            state = self._begin(list(ids), pin)
        return Stream(self, state, min(max_tokens, room), constraint, sampler, stop)

    def score(self, ids: np.ndarray) -> np.ndarray:
        """Logits of every position: ids [B, T] -> float32 [B, T, V].

        Raises:
            ContextLengthError: T is more than the model's context.
            WeightsError: they are not finite.
        """
        ids = np.asarray(ids, np.int32)
        self._check_length(ids.shape[1])
        cache = self._new_cache(ids.shape[1], batch=ids.shape[0])
        if self._border:
            cache["until"] = self._scalar(ids.shape[1])
        parts = []
        with self._turn:
            for start, size, chunk in self._plan(ids.shape[1]):
                padded = np.zeros((ids.shape[0], chunk), np.int32)
                padded[:, :size] = ids[:, start : start + size]
                logits, cache = self._score(self.backend.asarray(padded), self._scalar(size), cache)
                parts.append(_finite(ops.to_numpy(logits)[:, :size]))
        return np.concatenate(parts, axis=1)

    def read(self, ids: Sequence[int]) -> State:
        """The state after a text, without generating anything.

        Raises:
            ContextLengthError: the text is longer than the model's context.
        """
        self._check_length(len(ids))
        with self._turn:
            state = self._begin(list(ids), pin=0)
            self.feed(state)
        return state

    def feed(self, state: State) -> np.ndarray:
        """Run what is pending; logits of the token that follows, float32 [V]."""
        with self._turn:
            self._feed(state)
        if state.logits is None:
            raise ValueError("there is nothing to continue: received an empty prompt; begin it with the BOS token")
        return state.logits

    def keep(self, state: State) -> None:
        """Keep the state for prompts that begin with its text; it must not be fed any further."""
        with self._turn:
            # What began as a short text and became a long one is neither
            if not self._border or state.setting == self._is_long(len(state.ids)):
                self.prefixes.add(Snapshot(tuple(state.ids), state.cache, state.logits, state.setting))

    def _is_long(self, count: int) -> int:
        return int(count > self._border)

    def _begin(self, ids: list[int], pin: int) -> State:
        setting = self._is_long(len(ids)) if self._border else pin
        known = self.prefixes.find(ids, setting)
        if known is None:
            state = State([], ids, self._new_cache(len(ids)))
            if "sink" in state.cache:
                state.cache["sink"] = self._scalar(pin)
            if "sink" in state.cache or self._border:
                state.setting = setting
        else:
            cache = self.model.copy_cache(self.backend, known.cache, len(known.ids))
            state = State(list(known.ids), ids[len(known.ids) :], cache, known.logits, known.setting)
        state.whole = len(ids)
        state.usage.prompt_tokens, state.usage.reused_tokens = len(ids), len(state.ids)
        if len(state.ids) < pin:
            rest = ids[pin:]
            state.pending = ids[len(state.ids) : pin]
            self.feed(state)
            cache = self.model.copy_cache(self.backend, state.cache, len(state.ids))
            self.prefixes.add(Snapshot(tuple(state.ids), cache, state.logits, state.setting, is_pinned=True))
            state.pending = rest
        return state

    def _feed(self, state: State) -> None:
        pending, state.pending = state.pending, []
        if pending:
            began = time.perf_counter()
            state.cache = self._with_room(state.cache, len(state.ids), len(pending))
            until = max(state.whole, len(state.ids) + len(pending))
            if self._border and (not state.until or self._is_long(until) != self._is_long(state.until)):
                # another tree: what a program handed back is not to be changed
                state.until, state.cache = until, {**state.cache, "until": self._scalar(until)}
            for start, size, chunk in self._plan(len(pending)):
                padded = np.zeros((1, chunk), np.int32)
                padded[0, :size] = pending[start : start + size]
                given = self.backend.asarray(padded), self._scalar(size), state.cache
                # Nobody asks what follows a chunk in the midst of a text. Short ones are rare there: not worth a program
                if start + size < len(pending) and chunk == self.backend.chunk_sizes[-1]:
                    state.cache = self._fill(*given)
                else:
                    logits, state.cache = self._step(*given)
            state.logits = _finite(ops.to_numpy(logits)[0])
            state.ids += pending
            spent = time.perf_counter() - began
            if len(pending) == 1:
                state.usage.decode_tokens += 1
                state.usage.decode_seconds += spent
            else:
                state.usage.prefill_tokens += len(pending)
                state.usage.prefill_seconds += spent

    def _check_length(self, count: int, more: int = 0) -> None:
        if count + more > self.context_length:
            together = " together with one to be written" if more else ""
            raise ContextLengthError(
                f"{count} tokens{together} do not fit the model's context of {self.context_length}; "
                "shorten the text or pass fewer tools"
            )

    def _plan(self, count: int) -> Iterator[tuple[int, int, int]]:
        """(first token, tokens, shape) of the calls that feed `count` tokens."""
        start, sizes = 0, self.backend.chunk_sizes
        while start < count:
            left = count - start
            if self.backend.dynamic_shapes:
                chunk = min(left, sizes[-1])
            else:
                above = [c for c in sizes if c >= left]
                chunk = above[0] if above and left > 0.6 * above[0] else max(c for c in sizes if c <= left)
                if 1 < left < sizes[1]:
                    chunk = sizes[1]
            size = min(left, chunk)
            yield start, size, chunk
            start += size

    def _capacity(self, count: int) -> int:
        full = self.context_length + MAX_CHUNK
        return next((c for c in CAPACITIES if count + MAX_CHUNK <= c < full), full)

    def _new_cache(self, count: int, batch: int = 1) -> Any:
        return self.model.new_cache(self.backend, self._capacity(count), batch, self.pool)

    def _with_room(self, cache: Any, used: int, more: int) -> Any:
        if self.backend.dynamic_shapes:
            return cache
        needed = self._capacity(used + more)
        return self.model.grow_cache(cache, needed) if needed > self._capacity(used) else cache

    def _scalar(self, value: int) -> Any:
        return value if self.backend.dynamic_shapes else self.backend.asarray(np.int32(value))


class Stream:
    """Iterate over it for `Token`s; then it says how it ended.

    Attributes:
        tokens: those given out so far.
        stop_reason: "stop" (a stop token, or nothing may follow), "length" (max_tokens or the context); None before.
        usage: see `Usage`.
        state: see `State`; complete when the stream has ended.
    """

    def __init__(self, loop: TokenLoop, state: State, max_tokens: int, constraint, sampler: Sampler, stop: frozenset[int]):
        self.tokens: list[Token] = []
        self.stop_reason: str | None = None
        self.state = state
        self.usage = state.usage
        self._tokens = self._run(loop, max_tokens, constraint, sampler, stop)

    def __iter__(self) -> Iterator[Token]:
        return self

    def __next__(self) -> Token:
        token = next(self._tokens)
        self.tokens.append(token)
        return token

    @property
    def ids(self) -> list[int]:
        return [token.id for token in self.tokens]

    @property
    def text(self) -> str:
        return "".join(token.text for token in self.tokens)

    def _run(self, loop: TokenLoop, max_tokens: int, constraint, sampler, stop) -> Iterator[Token]:
        state, decoder = self.state, loop.tokenizer.stream_decoder()
        left = max_tokens

        def ending() -> str | None:
            if constraint is not None and constraint.is_done:
                return "stop"
            return "length" if left <= 0 else None

        def accept(token: int, **facts: Any) -> Token:
            nonlocal left
            if constraint is not None:
                constraint.commit(token)
            left -= 1
            state.pending.append(token)
            state.usage.generated_tokens += 1
            self.stop_reason = "stop" if token in stop else ending()
            text = decoder.push(token)
            return Token(token, text + decoder.flush() if self.stop_reason else text, **facts)

        self.stop_reason = ending()
        while self.stop_reason is None:
            forced = constraint.forced() if constraint is not None else []
            for token in forced:
                yield accept(token, forced=True)
                if self.stop_reason:
                    break
            if not forced:
                token, facts = _choose(loop.feed(state), constraint, sampler)
                yield accept(token, **facts)


def _choose(logits: np.ndarray, constraint: Constraint | None, sampler: Sampler) -> tuple[int, dict[str, Any]]:
    """A token, and what `Token` says of it."""
    everything = _logsumexp(logits)
    bits = constraint.mask() if constraint is not None else None
    if bits is None:
        token = sampler(logits)
        return token, {"logprob": float(logits[token] - everything)}
    choices = _set_bits(bits.view(np.uint8))
    choices = choices[choices < logits.shape[0]]
    if not choices.size:
        raise ConstraintError("the constraint is not done and allows no token; mend its mask")
    scores = logits[choices]
    masked = np.full_like(logits, -np.inf)
    masked[choices] = scores
    allowed = _logsumexp(scores)
    token = sampler(masked)
    best = np.arange(choices.size) if choices.size <= _OTHERS else np.argpartition(scores, -_OTHERS - 1)[-_OTHERS - 1 :]
    others = [(int(choices[at]), float(scores[at] - allowed)) for at in best[np.argsort(-scores[best])] if choices[at] != token]
    return token, {
        "logprob": float(masked[token] - allowed),
        "mass": float(np.exp(min(0.0, allowed - everything))),
        "others": tuple(others[:_OTHERS]),
    }


def _finite(logits: np.ndarray) -> np.ndarray:
    """The same, if all are finite: a NaN passes through the largest and the smallest of them."""
    if not (np.isfinite(logits.max()) and np.isfinite(logits.min())):
        raise WeightsError(
            "the model gives NaN or infinite logits: its weights hold such numbers, or ones too large for the element type "
            "that it computes in; fetch the weights again, or load it in float32 if it was not"
        )
    return logits


def _set_bits(mask: np.ndarray) -> np.ndarray:
    """Numbers of the set bits of uint8 [N], ascending, the lowest bit of a byte first. Most bytes of a mask are 0."""
    used = np.flatnonzero(mask)
    byte, bit = np.nonzero(np.unpackbits(mask[used, None], axis=1, bitorder="little"))
    return used[byte] * 8 + bit


def _logsumexp(x: np.ndarray) -> float:
    top = x.max()
    return float(top + np.log(np.exp(x - top).sum()))


def _last_logits(model: Decoder, ids: Any, valid: Any, cache: Any) -> tuple[Any, Any]:
    hidden, cache = model(ids, valid, cache)
    return model.logits(ops.rows(hidden, valid - 1, 1)[:, 0]), cache


def _no_logits(model: Decoder, ids: Any, valid: Any, cache: Any) -> Any:
    return model(ids, valid, cache)[1]


def _all_logits(model: Decoder, ids: Any, valid: Any, cache: Any) -> tuple[Any, Any]:
    hidden, cache = model(ids, valid, cache)
    return model.logits(hidden), cache
