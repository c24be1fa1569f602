"""What a user holds: a model with its tokenizer, ready to run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from ..core import Backend, Module, ops
from .chat_template import ChatTemplate
from .constraint import Constraint, Grammars
from .errors import OptionError, TaskError
from .sampler import make_sampler
from .token_loop import State, Stream, TokenLoop
from .tokenizer import Tokenizer


@dataclass(frozen=True)
class Generation:
    """A finished text.

    Attributes:
        text: without the prompt.
        ids: its tokens.
        stop_reason: "stop" or "length".
    """

    text: str
    ids: list[int]
    stop_reason: str


_ONE_AT_A_TIME = ("needle", "functiongemma")
"""Dialects of models that their authors made for single calls, and not for conversations of several steps."""


_SAMPLING = ("top_k", "top_p", "min_p", "seed")
_SHAPES = {1: "[T]", 2: "[B, T]"}


class LanguageModel:
    """A model, its tokenizer and its compiled programs on one backend.

    Attributes:
        name: of the preset it came from.
        backend: name of the backend.
        dialect: how it is prompted for tools and how it writes calls; the name of a file in `agents/dialects`.
        one_at_a_time: whether it is good at one call and not at several steps.
        module: the tree of arrays.
        tokenizer: see `Tokenizer`.
        context_length: tokens that prompt and output may have together.
        chat_template: how it wants conversations written; None where it came without one.
        calibration: how an agent judges whether its calls are wanted (see `ferrule.agents.confidence`); None: not fitted.
        source: where its weights came from, for logs: preset, backend and a fingerprint; None where it was not loaded.
    """

    def __init__(self, name: str, module: Module, tokenizer: Tokenizer, backend: Backend, context_length: int, dialect: str):
        self.name = name
        self.module = module
        self.tokenizer = tokenizer
        self.backend = backend.name
        self.context_length = context_length
        self.dialect = dialect
        self.one_at_a_time = dialect in _ONE_AT_A_TIME
        self.chat_template: ChatTemplate | None = None
        self.calibration: dict[str, float] | None = None
        self.source: dict[str, str] | None = None
        head = getattr(module, "confidence", None)
        self.loop = TokenLoop(module, tokenizer, backend, context_length, pool=head is not None)
        self.grammars = Grammars(tokenizer)
        if head is not None:
            self._confidence = backend.compile(lambda head, pool: ops.sigmoid(head(pool)), head)
            self._pooled = backend.compile(lambda head, pool: head.pooled(pool), head)

    def __repr__(self) -> str:
        return f"LanguageModel({self.name!r}, backend={self.backend!r}, context_length={self.context_length})"

    def logits(self, token_ids: Any) -> np.ndarray:
        """Logits of every position: ids [B, T] or [T], BOS included -> float32 [B, T, V] or [T, V].

        Raises:
            ValueError: these are no ids of the model.
            ContextLengthError: they do not fit.
            WeightsError: the logits are not finite.
        """
        ids = self._checked(token_ids, (1, 2))
        scores = self.loop.score(np.atleast_2d(ids))
        return scores if ids.ndim == 2 else scores[0]

    def stream_tokens(self, ids: Sequence[int], **options: Any) -> Stream:
        """Tokens behind prompt ids; the options are those of `TokenLoop.stream`.

        Raises:
            ValueError: these are no ids of the model.
        """
        return self.loop.stream([] if isinstance(ids, list) and not ids else self._checked(ids, (1,)).tolist(), **options)

    def stream(
        self,
        prompt: str,
        max_tokens: int = 256,
        temperature: float = 0.0,
        constraint: Constraint | None = None,
        **sampling: Any,
    ) -> Iterator[str]:
        """Text that continues the prompt, piece by piece; see `generate`."""
        for token in self._start(prompt, max_tokens, temperature, constraint, sampling):
            if token.text:
                yield token.text

    def generate(
        self,
        prompt: str,
        max_tokens: int = 256,
        temperature: float = 0.0,
        constraint: Constraint | None = None,
        **sampling: Any,
    ) -> Generation:
        """Text that continues the prompt.

        Args:
            prompt: as it is, after BOS; no chat template is applied.
            max_tokens: at most this many, from 1 on.
            temperature: 0 takes the likeliest token each time.
            constraint: of `grammar`; restricts what can be written.
            sampling: top_k, top_p, min_p, seed (see `RandomSampler`).

        Raises:
            OptionError: an option has a value that it cannot have.
            TypeError: the prompt is no text, or there is no such option.
            ContextLengthError: the prompt does not fit.
            WeightsError: the model gives no finite logits.
        """
        stream = self._start(prompt, max_tokens, temperature, constraint, sampling)
        text = "".join(token.text for token in stream)
        return Generation(text, stream.ids, stream.stop_reason or "stop")

    def grammar(self, lark: str, after: Sequence[int] = ()) -> Constraint:
        """A constraint from a grammar in llguidance's Lark dialect; compiled grammars are kept.

        Args:
            lark: the grammar.
            after: ids of tokens that it begins with; the constraint is for what follows them.

        Raises:
            GrammarError: the grammar does not compile.
            ConstraintError: it does not begin with such tokens.
        """
        constraint = self.grammars.compile(lark)
        for token in after:
            constraint.commit(token)
        return constraint

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of texts, float32 [len(texts), width]: the pooled vector of the model's probe head.

        Raises:
            TaskError: the model has no head to pool with.
        """
        if not self.loop.pool:
            raise TaskError(f"{self.name} has no pooling head, so it gives no embeddings; load an embedding model")
        if isinstance(texts, str):
            raise TypeError("embed takes a list of texts, received one string: write embed([text])")
        vectors = [ops.to_numpy(self._pooled(self.loop.read(self._ids(t)).cache["pool"]))[0] for t in texts]
        matrix = np.stack(vectors) if vectors else np.zeros((0, self.module.confidence.width), np.float32)
        return matrix / np.linalg.norm(matrix, axis=-1, keepdims=True)

    def confidence(self, state: State) -> float | None:
        """Probability, by the model's own head, that what it wrote is right; None where there is no such head.

        The state is kept, so a prompt that goes on from here pays for nothing before it.
        """
        self.loop.feed(state)
        self.loop.keep(state)
        return float(ops.to_numpy(self._confidence(state.cache["pool"]))[0]) if self.loop.pool else None

    def _start(self, prompt: str, max_tokens: int, temperature: float, constraint, sampling: dict[str, Any]) -> Stream:
        if isinstance(max_tokens, bool) or not isinstance(max_tokens, Integral) or max_tokens < 1:
            raise OptionError(f"max_tokens must be a whole number from 1 on, received {max_tokens!r}")
        if not isinstance(prompt, str):
            raise TypeError(f"a prompt is a text, received {prompt!r:.80}")
        if unknown := [name for name in sampling if name not in _SAMPLING]:
            known = ", ".join(("max_tokens", "temperature", "constraint", *_SAMPLING))
            raise TypeError(f"there is no option {unknown[0]!r} of generate and stream; there are {known}")
        sampler = make_sampler(temperature, **sampling)
        return self.loop.stream(self._ids(prompt), max_tokens, constraint, sampler)

    def _checked(self, token_ids: Any, dimensions: tuple[int, ...]) -> np.ndarray:
        """Token ids, int32; ValueError where they are none, or not in that many dimensions."""
        wanted = f"token_ids must be {' or '.join(_SHAPES[n] for n in dimensions)} of whole numbers from 0 to {self._last_id}"
        try:
            ids = np.asarray(token_ids)
        except ValueError:  # rows of different lengths
            raise ValueError(f"{wanted}, received {token_ids!r:.80}") from None
        rows = token_ids if isinstance(token_ids, list | tuple) else ()
        among = any(isinstance(i, bool) for row in rows for i in (row if isinstance(row, list | tuple) else (row,)))
        if ids.dtype.kind not in "iu" or among:
            raise ValueError(f"{wanted}, received {token_ids!r:.80}")
        if ids.ndim not in dimensions or ids.size == 0:
            raise ValueError(f"{wanted}, received shape {ids.shape}")
        if ids.min() < 0 or ids.max() > self._last_id:
            raise ValueError(f"{wanted}, received ids from {ids.min()} to {ids.max()}")
        return ids.astype(np.int32)

    @property
    def _last_id(self) -> int:
        return self.tokenizer.vocab_size - 1

    def _ids(self, text: str) -> list[int]:
        bos = self.tokenizer.bos_id
        return ([] if bos is None else [bos]) + self.tokenizer.encode(text)
