"""What every dialect offers: prompts out, a grammar for the answer, turns and calls in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from ...tools.call import ToolResult
from ...tools.tool import Tool
from ..grammar import MAX_CALLS
from .turn import Turn


class Dialect(Protocol):
    """How one family of models is told of tools and writes calls. It keeps no conversation: that is its caller's.

    The text of a run is `render_prefix` + `render_user`, what the model wrote + `closing`, then `render_results` (or a later
    `render_user`), what the model wrote + `closing`, and so on.
    """

    name: str
    markers: tuple[str, ...]

    def render_prefix(self, system: str | None, tools: Sequence[Tool]) -> str:
        """What stays the same for every goal; BOS is the caller's."""
        ...

    def render_user(self, query: str, *, first: bool = True) -> str:
        """What the user says and the opening of the answer: right after the prefix, or after an earlier turn."""
        ...

    def render_results(self, results: Iterable[ToolResult]) -> str:
        """What the calls of the last turn gave, in call order, and the opening of the next turn."""
        ...

    def render_turn(self, turn: Turn, tools: Sequence[Tool] = ()) -> str:
        """A turn as the model would write it, with its end; values hold markers as ordinary text.

        Without a vocabulary, a value with the marker that stands around strings (Gemma 4, FunctionGemma) does not read back.
        """
        ...

    def grammar(
        self,
        tools: Sequence[Tool],
        *,
        max_reasoning: int = 512,
        after_results: bool = False,
        min_calls: int = 0,
        max_calls: int = MAX_CALLS,
        max_answer: int = 512,
    ) -> str:
        """Lark grammar of one turn; SchemaError where a tool's schema cannot be guaranteed by a grammar."""
        ...

    def parse(self, text: str, tools: Sequence[Tool] = (), *, truncated: bool = False) -> Turn:
        """A turn from its text; ParseError, and nothing else, where it is none."""
        ...

    def parse_tokens(
        self,
        tokens: Sequence[int],
        decode: Callable[[Sequence[int]], str],
        tools: Sequence[Tool] = (),
        *,
        truncated: bool = False,
    ) -> Turn:
        """A turn from its token ids, where text cannot pass for a marker; otherwise as `parse`."""
        ...

    def closing(self, tokens: Sequence[int]) -> list[int]:
        """What a turn lacks at its end before anything can stand behind it."""
        ...

    def reasoning_length(self, tokens: Sequence[int]) -> int:
        """How many tokens of a turn are its reasoning, markers included."""
        ...

    def call_probability(self, tokens: Iterable[Any]) -> float:
        """Smallest probability of a freely chosen token of the calls, among those that the grammar allowed."""
        ...


class Vocabulary(Protocol):
    """What a dialect wants to know of a tokenizer; `ferrule.models.tokenizer.Tokenizer` offers it."""

    @property
    def eos_ids(self) -> tuple[int, ...]: ...

    @property
    def special_ids(self) -> frozenset[int]: ...

    def id_of(self, piece: str) -> int:
        """Id of a marker; KeyError when there is none of that name."""
        ...

    def encode(self, text: str) -> list[int]: ...
