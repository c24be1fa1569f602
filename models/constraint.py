"""Constraints on what may be generated, token by token, and grammars as constraints (on llguidance).

A constraint is asked for a mask before a token is chosen and told the token afterwards. Grammars are Lark text in
llguidance's dialect; special tokens are written by id, `<[10]>`.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import ConstraintError, GrammarError
from .tokenizer import Tokenizer

if TYPE_CHECKING:
    import llguidance

logger = logging.getLogger(__name__)


class Constraint(Protocol):
    """Says which tokens may come next. The token loop is the only caller."""

    def mask(self) -> NDArray[np.uint32] | None:
        """Allowed tokens as bits, little-endian, uint32 `[ceil(V / 32)]`; None when every token is allowed."""
        ...

    def commit(self, token: int) -> None:
        """Advance by one token; ConstraintError if it is not allowed."""
        ...

    def forced(self) -> list[int]:
        """Tokens that must come next, not yet committed; empty when there is a choice."""
        ...

    @property
    def is_done(self) -> bool:
        """Nothing may follow."""
        ...

    def fork(self) -> Constraint:
        """An independent copy."""
        ...


class GrammarConstraint:
    """A grammar being followed; made by `Grammars.compile`."""

    def __init__(self, matcher: llguidance.LLMatcher, vocab_size: int) -> None:
        self._matcher = matcher
        self._vocab_size = vocab_size
        self._words = -(-vocab_size // 32)
        # The last word of the mask may have bits beyond the vocabulary.
        self._tail = np.uint32((1 << (vocab_size % 32 or 32)) - 1)
        self._mask: NDArray[np.uint32] | None = None  # of the current state, once it was asked for

    def mask(self) -> NDArray[np.uint32]:
        """Allowed tokens as bits, uint32 `[ceil(V / 32)]`, read-only; bits beyond the vocabulary are 0.

        Raises:
            ConstraintError: The grammar engine gave up (limits), or no token is allowed although text must follow.
        """
        if self._mask is None:
            bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint32)
            self._check()
            # llguidance counts one more bit than the vocabulary has tokens
            mask = np.zeros(self._words, np.uint32)
            mask[: min(bits.size, self._words)] = bits[: self._words]
            mask[-1] &= self._tail
            mask.setflags(write=False)
            if not mask.any() and not self.is_done:
                raise ConstraintError("the grammar has reached a point where no token fits; the text cannot be completed")
            self._mask = mask
        return self._mask

    def commit(self, token: int) -> None:
        """Advance by one token.

        Raises:
            ConstraintError: The grammar does not allow the token here; the constraint stays where it was.
        """
        # A matcher that was given a wrong token never recovers, so the token is tried first.
        known = 0 <= token < self._vocab_size
        if not known or self.is_done or self._matcher.validate_tokens([token]) != 1:
            self._check()
            raise ConstraintError(f"token {token} is not allowed by the grammar at this point; choose one of the mask")
        self._matcher.consume_token(token)
        self._mask = None
        self._check()

    def forced(self) -> list[int]:
        """Tokens that must come next, in the tokenizer's own segmentation; empty when there is a choice."""
        if self.is_done:
            return []
        tokens = self._matcher.compute_ff_tokens()
        self._check()
        return tokens

    @property
    def is_done(self) -> bool:
        """The grammar is satisfied and nothing may follow."""
        return self._matcher.is_stopped() and not self._matcher.is_error()

    @property
    def is_accepting(self) -> bool:
        """The grammar is satisfied; more may or may not follow."""
        return self._matcher.is_accepting()

    def fork(self) -> GrammarConstraint:
        """An independent copy in the same state."""
        copy = GrammarConstraint.__new__(GrammarConstraint)
        copy.__dict__.update(self.__dict__)
        copy._matcher = self._matcher.deep_copy()
        return copy

    def _check(self) -> None:
        # llguidance reports faults only when asked
        if self._matcher.is_error():
            raise ConstraintError(f"the grammar engine stopped: {_first_line(self._matcher.get_error())}")


class Grammars:
    """Compiles grammars for one tokenizer. Compiled grammars are kept, so the same text compiles once.

    Args:
        tokenizer: Its `token_bytes` and marker-free `encode` define what the grammar sees.
        keep: Compiled grammars to keep, least recently used dropped first.
    """

    def __init__(self, tokenizer: Tokenizer, keep: int = 32) -> None:
        self._tokenizer = tokenizer
        self._keep = keep
        self._compiled: OrderedDict[str, GrammarConstraint] = OrderedDict()
        self._engine: llguidance.LLTokenizer | None = None
        self._lock = Lock()

    def compile(self, lark: str) -> GrammarConstraint:
        """A fresh constraint at the beginning of the grammar.

        Raises:
            GrammarError: llguidance rejects the grammar.
        """
        with self._lock:
            start = self._compiled.get(lark)
            if start is None:
                start = self._compiled[lark] = self._compile(lark)
                while len(self._compiled) > self._keep:
                    self._compiled.popitem(last=False)
            self._compiled.move_to_end(lark)
            return start.fork()

    def _compile(self, lark: str) -> GrammarConstraint:
        import llguidance

        if self._engine is None:
            self._engine = _engine_tokenizer(self._tokenizer)
        matcher = llguidance.LLMatcher(self._engine, llguidance.LLMatcher.grammar_from_lark(lark), log_level=0)
        if matcher.is_error():
            raise GrammarError(f"the grammar does not compile: {_first_line(matcher.get_error())}")
        for warning in matcher.get_grammar_warnings():
            logger.warning("grammar: %s", _first_line(warning))
        return GrammarConstraint(matcher, self._tokenizer.vocab_size)


class _Wrapped:
    """What llguidance wants to know of a tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._encode = tokenizer.encode
        self.eos_token_id = tokenizer.eos_ids[0]
        self.bos_token_id = tokenizer.bos_id
        self.special_token_ids = sorted(tokenizer.special_ids | set(tokenizer.eos_ids))
        # Special tokens need a name of their own: they are written by id and never match text.
        special = set(self.special_token_ids)
        self.tokens = [f"<[{i}]>".encode() if i in special else tokenizer.token_bytes(i) for i in range(tokenizer.vocab_size)]

    def __call__(self, text: str) -> Sequence[int]:
        # Without markers: text that happens to spell one must not become the special token.
        return self._encode(text, markers=False)


def _engine_tokenizer(tokenizer: Tokenizer) -> llguidance.LLTokenizer:
    import llguidance

    wrapped = _Wrapped(tokenizer)
    # Slices speed up masks of large vocabularies; below this building them costs more than they save.
    slices = [] if tokenizer.vocab_size < 50_000 else None
    wrapper = llguidance.TokenizerWrapper(wrapped)
    return llguidance.LLTokenizer(wrapper, eos_token=list(tokenizer.eos_ids), slices=slices)


def _first_line(message: str) -> str:
    return message.strip().split("\n", 1)[0][:300]
