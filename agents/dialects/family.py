"""The base of the open families' dialects: a dialect is its markers, its turns and its call syntax.

A turn is `[THINK reasoning THINK_END] (calls CALLS_END | prose TURN_END)`; calls are `opening`, one or more calls with
`between` between them, `ending`. These are texts in which markers stand as they are spelt; where the model's tokenizer has a
marker as one token, the grammar asks for that token and the reader looks for it, and nothing else passes for it.
"""

from __future__ import annotations

import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, NoReturn

from ...tools.call import ToolCall, ToolResult
from ...tools.tool import Tool
from ..errors import ParseError
from ..grammar import MAX_CALLS, call_rules
from ..lark import literal
from ..notation import SPACED
from ..repair import drop_repeated
from .dialect import Vocabulary
from .markers import Markers
from .turn import Turn

Read = tuple[ToolCall, int]
"""A call and where it ends in the text."""

Spelt = Callable[[str], str]
"""Structural text, with its markers spelt as they are found."""


class FamilyDialect(ABC):
    """Everything but the prompts and the syntax of one call.

    Args:
        vocabulary: the model's tokenizer; without one, markers are ordinary text.

    Attributes:
        markers: the marker texts of this dialect.
        turn_end: what a model writes at the end of its turn; empty for its tokenizer's own end.
        calls_end: what it writes behind calls, where that is something else.
        opening, between, ending: what stands before, between and behind calls.
        call_start: what a call begins with.
        empty: how a model says that no tool fits; None where it says so in prose.
        thinking: what stands around reasoning, for models that have both of its markers as tokens.
        quote: marker that stands around strings, in dialects that have one.
    """

    name: ClassVar[str]
    markers: ClassVar[tuple[str, ...]] = ()
    turn_end: ClassVar[str] = ""
    calls_end: ClassVar[str] = ""
    opening: ClassVar[str] = ""
    between: ClassVar[str]
    ending: ClassVar[str] = ""
    call_start: ClassVar[str] = "{"
    empty: ClassVar[str | None] = None
    thinking: ClassVar[tuple[str, str] | None] = None
    quote: ClassVar[str] = ""

    def __init__(self, vocabulary: Vocabulary | None = None) -> None:
        self._markers = Markers(self.markers, vocabulary)
        self._thinking = self.thinking
        # Ids of the markers around reasoning.
        self._thinks = tuple(self._markers.token_of(text) for text in self.thinking or ())
        if None in self._thinks:
            self._thinking, self._thinks = None, ()
        ends = {self._markers.id(self.turn_end), self._markers.id(self.calls_end)} - {None}
        self._ends = frozenset(self._markers.eos_ids) | ends

    # -- prompts ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def render_prefix(self, system: str | None, tools: Sequence[Tool]) -> str:
        """The part that stays the same for every goal; BOS is the caller's."""

    @abstractmethod
    def render_user(self, query: str, *, first: bool = True) -> str:
        """What the user says and the opening of the answer: right after the prefix, or after an earlier turn."""

    @abstractmethod
    def render_results(self, results: Iterable[ToolResult]) -> str:
        """What the calls of the last turn gave, in call order, and the opening of the next turn."""

    def render_calls(self, calls: Sequence[ToolCall]) -> str:
        """Calls as the model would write them, without the end of the turn; values hold markers as ordinary text."""
        if not calls:
            return self.empty or ""
        written = [self.write_call(call, _as_spelt) + self.closing_of(i) for i, call in enumerate(calls)]
        return self.opening + self.between.join(written) + self.ending

    def render_turn(self, turn: Turn, tools: Sequence[Tool] = ()) -> str:
        """A turn as the model would write it, with its end; reasoning only where the model can think."""
        thought = ""
        if turn.reasoning is not None and self._thinking is not None:
            thought = self._thinking[0] + turn.reasoning + self._thinking[1]
        if turn.text:
            return thought + turn.text + self.turn_end
        return thought + self.render_calls(turn.calls) + ((self.calls_end if turn.calls else "") or self.turn_end)

    # -- the syntax of one call ---------------------------------------------------------------------------------------

    @abstractmethod
    def rules(self, tools: Sequence[Tool]) -> str:
        """Lark rules of one call without its closing; the rule to refer to is `call`."""

    @abstractmethod
    def write_call(self, call: ToolCall, spelt: Spelt) -> str:
        """A call without its closing; `spelt` spells its markers."""

    @abstractmethod
    def read_call(self, text: str, at: int, spelt: Spelt) -> Read:
        """The call that begins at `at`, in which markers are spelt so; ParseError where there is none."""

    def closing_of(self, index: int) -> str:
        """What stands behind the arguments of the turn's call number `index`."""
        return ""

    # -- grammar ------------------------------------------------------------------------------------------------------

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
        """Lark grammar of a turn.

        Args:
            tools: The tools that may be called.
            max_reasoning: Most tokens of reasoning, where the model can think.
            after_results: The turn follows tool results: prose is possible instead of calls.
            min_calls: Fewest calls at once; with 0, the model may answer that no tool fits, in prose or as `empty`.
            max_calls: Most calls at once.
            max_answer: Most tokens of prose.

        Raises:
            SchemaError: A tool's schema cannot be guaranteed by a grammar.
        """
        bodies, lines = [], []
        if tools or min_calls:
            bodies.append("calls" + self._end(self.calls_end or self.turn_end))
            lines += [f"calls: {self._call_list(min_calls, max_calls)}", self.rules(tools)]
        if not min_calls and self.empty is not None:
            bodies.append(literal(self.empty) + self._end(self.turn_end))
        if not min_calls and (after_results or self.empty is None):
            bodies.append("prose" + self._end(self.turn_end))
            # One space may come first: to many tokenizers it is part of the first word.
            first = "" if self._markers.begins_with_token(self.opening) else re.escape((self.opening or self.call_start)[0])
            lines.append(f"prose[max_tokens={max(1, max_answer)}]: / ?[^\\s{first}](?s:.)*/")
        start = f"start: {self._think(max_reasoning)}({' | '.join(bodies)})"
        return "\n".join([start, *lines]) + "\n"

    def _call_list(self, least: int, most: int) -> str:
        write = self._markers.lark
        text = ""
        for i in reversed(range(most)):  # from the last call inwards: each may be left out with all that follow it
            text = f"call {write(self.closing_of(i))} {text}"
            if i:
                text = f"({write(self.between)} {text})" + ("?" if i >= least else "")
        return f"{write(self.opening)} {text} {write(self.ending)}"

    def _think(self, most: int) -> str:
        if self._thinking is None:
            return ""
        opens, closes = self._thinking
        if not most:
            return f"({self._markers.lark(opens + closes)})? "
        # The spaces inside are the model's: it may write them in one token with what stands beside them.
        reasoning = f"{self._markers.text_token()}{{0,{most}}}"
        return f"({self._markers.lark(opens.rstrip())} {reasoning} {self._markers.lark(closes.lstrip())})? "

    def _end(self, layout: str) -> str:
        end = self._markers.id(layout)
        # The tokenizer's own ends may come wherever a turn may end; the grammar engine does not want them named.
        return "" if end is None or end in self._markers.eos_ids else f" <[{end}]>"

    # -- reading ------------------------------------------------------------------------------------------------------

    def parse(self, text: str, tools: Sequence[Tool] = (), *, truncated: bool = False) -> Turn:
        """Read a turn from its decoded text. `parse_tokens` is safer: there, text cannot pass for a marker.

        Args:
            text: The turn; its end marker may be missing.
            tools: Their schemas tell which repeated elements to drop.
            truncated: The token budget ended the turn: calls that are complete count.

        Raises:
            ParseError: The text is not a turn of this dialect.
        """
        return self._read(text, partial(self._markers.spelt, as_text=True), tools, truncated)

    def parse_tokens(
        self,
        tokens: Sequence[int],
        decode: Callable[[Sequence[int]], str],
        tools: Sequence[Tool] = (),
        *,
        truncated: bool = False,
    ) -> Turn:
        """Read a turn from its token ids; otherwise as `parse`.

        Args:
            tokens: The turn; its end marker may be missing.
            decode: The tokenizer's `decode`.
        """
        tokens = list(tokens)
        if tokens and tokens[-1] in self._ends:
            tokens.pop()
        return self._read(self._markers.decode(tokens, decode), self._markers.spelt, tools, truncated)

    def _read(self, text: str, spelt: Spelt, tools: Sequence[Tool], truncated: bool) -> Turn:
        for end in (self.turn_end, self.calls_end):
            text = text.removesuffix(spelt(end))
        reasoning = None
        if self._thinking is not None and (after := _after(text, 0, spelt(self._thinking[0]))) is not None:
            reasoning, end, text = text[after:].partition(spelt(self._thinking[1]))
            if not end:
                raise ParseError(f"the reasoning does not end with {self._thinking[1].strip()}, received {self._shown(text)}")
        at = _after(text, 0, spelt(self.opening))
        if at is None or not (self.opening or text.lstrip().startswith(self.call_start)):
            return self._prose(reasoning, text, truncated)
        known = {tool.name: tool for tool in tools}
        calls = [_repaired(call, known) for call in self._calls(text, at, spelt, truncated)]
        return Turn(_stripped(reasoning), tuple(calls))

    def _prose(self, reasoning: str | None, text: str, truncated: bool) -> Turn:
        if not text.strip():
            what = "was cut off before" if truncated else "has neither calls nor"
            raise ParseError(f"the turn {what} an answer; allow more tokens or ask again")
        if self._markers.has_stand_in(text):
            self._refuse("an answer has no markers in it", text)
        return Turn(_stripped(reasoning), (), text.strip())

    def _calls(self, text: str, at: int, spelt: Spelt, truncated: bool) -> list[ToolCall]:
        between, ending = spelt(self.between), spelt(self.ending)
        calls: list[ToolCall] = []

        def ends(at: int) -> bool:
            end = _after(text, at, ending)
            return end is not None and not text[end:].strip()

        if self.empty is not None and ends(at):
            return calls
        while True:
            start = at
            try:
                call, at = self.read_call(text, at, spelt)
            except ParseError as error:
                if truncated and calls:
                    return calls
                if truncated:
                    self._refuse("the turn was cut off before a call was complete; allow more tokens", text)
                raise ParseError(self._markers.shown(str(error))) from None
            if self._markers.has_stand_in(text[start:at], but=self.quote):
                self._refuse("a call has no markers in it", text[start:at])
            calls.append(call)
            if ends(at):
                return calls
            after = _after(text, at, between)
            if after is None:
                if truncated:
                    return calls
                self._refuse("something else than another call follows a call", text[at:])
            at = after

    def _refuse(self, problem: str, text: str) -> NoReturn:
        raise ParseError(f"{problem}, received {self._shown(text)}")

    def _shown(self, text: str) -> str:
        return shown(self._markers.shown(text))

    def closing(self, tokens: Sequence[int]) -> list[int]:
        """What a turn lacks at its end, because a budget cut it off, before anything can stand behind it."""
        tokens = list(tokens)
        layout = (self.calls_end if self._holds_calls(tokens) else "") or self.turn_end
        end = self._markers.id(layout)
        if tokens and (tokens[-1] == end or (end is None and tokens[-1] in self._ends)):
            return []
        lacking = []
        quote = self._markers.id(self.quote)
        if tokens.count(quote) % 2:
            lacking.append(quote)
        for first, last in filter(None, (self._thinks, tuple(map(self._markers.token_of, (self.opening, self.ending))))):
            if first in tokens and last is not None and last not in tokens[_last(tokens, first) :]:
                lacking.append(last)
        return [*lacking, *self._markers.ids(layout)]

    def _holds_calls(self, tokens: Sequence[int]) -> bool:
        first = self._markers.token_of(self.opening)
        begins = self._markers.ids(self.opening)
        return first in tokens if first is not None else tokens[: len(begins)] == begins

    def reasoning_length(self, tokens: Sequence[int]) -> int:
        """How many tokens of a turn are its reasoning, markers included."""
        opens, closes = self._thinks or (None, None)
        if opens not in tokens:
            return 0
        return _last(tokens, closes) + 1 if closes in tokens else len(tokens)

    def call_probability(self, tokens: Iterable[Any]) -> float:
        """Smallest probability of a freely chosen token behind the reasoning, among those that the grammar allowed.

        Args:
            tokens: of a turn, each with `id`, `forced` and `logprob`.
        """
        tokens = list(tokens)
        calls = tokens[self.reasoning_length([token.id for token in tokens]) :]
        free = [token.logprob for token in calls if not token.forced and token.id not in self._ends]
        return math.exp(min(free, default=0.0))


class JsonDialect(FamilyDialect):
    """A dialect whose calls are `{"name": "…", "arguments": {…}}`, spaced as chat templates write JSON.

    Attributes:
        arguments: the key of the arguments.
    """

    arguments: ClassVar[str] = "arguments"

    def rules(self, tools: Sequence[Tool]) -> str:
        return call_rules(tools, {tool.name: literal(self._opening(tool.name)) for tool in tools}, SPACED)

    def write_call(self, call: ToolCall, spelt: Spelt) -> str:
        return self._opening(call.name) + SPACED.write(call.arguments)

    def _opening(self, name: str) -> str:
        return f'{{"name": {SPACED.string(name)}, "{self.arguments}": '

    def closing_of(self, index: int) -> str:
        return "}"

    def read_call(self, text: str, at: int, spelt: Spelt) -> Read:
        while at < len(text) and text[at].isspace():
            at += 1
        try:
            item, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise ParseError(f"the call is not JSON ({' '.join(str(error).split())}), received {shown(text[at:])}") from None
        if not isinstance(item, dict) or set(item) - {"id"} != {"name", self.arguments}:
            raise ParseError(f'a call must be {{"name": …, "{self.arguments}": …}}, received {shown(text[at:end])}')
        name, arguments, number = item["name"], item[self.arguments], item.get("id", "")
        if not isinstance(name, str) or not isinstance(arguments, dict) or not isinstance(number, str):
            raise ParseError(f"a call needs a name and an object of arguments, received {shown(text[at:end])}")
        return ToolCall(name, arguments, number), end


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _as_spelt(layout: str) -> str:
    return layout


def result_value(result: ToolResult) -> Any:
    """What the model is told of a result."""
    return result.value if result.ok else {"error": result.error}


def shown(text: str) -> str:
    """Text as it appears in an error message."""
    text = " ".join(text[:400].split())
    return repr(text if len(text) <= 80 else text[:79] + "…")


def _repaired(call: ToolCall, known: dict[str, Tool]) -> ToolCall:
    if call.name not in known:
        return call
    try:
        return drop_repeated(known[call.name].parameters, call)
    except (ArithmeticError, ValueError, RecursionError):
        return call  # numbers beyond what the validator can divide, which the tool itself will refuse


def _after(text: str, at: int, layout: str) -> int | None:
    """Where the text goes on behind a layout, whose spaces may be more or fewer; None where something else stands."""
    for part in layout.split():
        while at < len(text) and text[at].isspace():
            at += 1
        if not text.startswith(part, at):
            return None
        at += len(part)
    return at


def _last(tokens: Sequence[int], wanted: int | None) -> int:
    return max(i for i, token in enumerate(tokens) if token == wanted)


def _stripped(text: str | None) -> str | None:
    return text.strip() or None if text is not None else None
