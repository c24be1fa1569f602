"""The model's side of a run: conversations become prompts, and the model's tokens become turns."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ..tools import Tool, ToolResult, Toolset
from .dialects import get_dialect
from .errors import ContextError, ParseError, SchemaError
from .lark import compact
from .model import AgentModel, TokenLike
from .requests import Choose, Conversation, Said, Showed, Write, Written
from .retrieval import LexicalIndex, Retriever
from .retrieval_shortlist import SHARE
from .second_choice import Forks, ids_of
from .steps import Stop

_LOG = logging.getLogger(__name__)
_KEPT = 16  # prompts, grammars and choices of tools, the latest
_BEGINNING = 16  # characters for each token of the model's context; few texts have so many in one
_COSTS = ("prompt_tokens", "reused_tokens", "generated_tokens", "seconds")
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Writer:
    """Asks a model for turns.

    Prompts and grammars are made of the tools that a turn names, when it names them, and kept.

    Args:
        model: see `AgentModel`.
        tools: those that a turn may call, of which each turn names some.
        instructions: system text in front of the tools.
        reasoning_tokens: most tokens that the model may think in one turn.
        retriever: ranks them, where they are too many to be named all; default: by their words.

    Raises:
        AgentError: there is no such dialect.
    """

    def __init__(
        self,
        model: AgentModel,
        tools: Toolset,
        instructions: str,
        reasoning_tokens: int,
        retriever: Retriever | None = None,
    ):
        self.model, self.tools, self.instructions = model, tools, instructions
        self.dialect = get_dialect(model.dialect, model.tokenizer)
        self._reasoning = reasoning_tokens
        self._prefixes: OrderedDict[tuple[str, ...], list[int]] = OrderedDict()
        self._grammars: OrderedDict[tuple[tuple[str, ...], bool, int], str] = OrderedDict()
        self._retriever = retriever
        self._choices: OrderedDict[Choose, tuple[str, ...]] = OrderedDict()
        self._sizes: dict[str, int] = {}  # tokens of single tools in a prompt
        self._refused: set[str] = set()  # tools whose calls no grammar can guarantee

    def grammar(self, names: Sequence[str], after_results: bool, least: int = 0) -> str:
        """Lark grammar of a turn with these tools and at least so many calls; SchemaError where one cannot be guaranteed."""
        key = (tuple(names), after_results, least)
        return _kept(self._grammars, key, lambda: self._grammar(self._named(names), after_results, least))

    def choose(self, request: Choose) -> tuple[str, ...]:
        """The tools that a text is about, as many as asked for, the best first.

        Left out are those for which `SHARE` of the model's context has no room, and those whose schemas no grammar can
        guarantee; of these a warning tells. Where the text is about too few, the first of the rest fill up.
        """
        return _kept(self._choices, request, lambda: self._choose(request))

    def prompt(self, conversation: Conversation, names: tuple[str, ...], turn_tokens: int = 0) -> list[int]:
        """Ids of everything that stands before the next turn, BOS included.

        Results that the model's context has no room for are cut, and say so; `turn_tokens` are left free for the next turn.
        """
        ids, first = list(self.prefix(names)), True
        for entry in conversation:
            if isinstance(entry, Written):
                ids += entry.ids
            elif isinstance(entry, Said):
                ids += self._encode(self.dialect.render_user(entry.text, first=first))
                first = False
            else:
                ids += self._encode(self.dialect.render_results(self._fitting(len(ids), entry, turn_tokens)))
        return ids

    def check_room(self, goal: str, names: tuple[str, ...]) -> None:
        """ContextError where a goal and these tools leave no room for a turn."""
        self._check_beginning(goal)
        ids = self.prompt((Said(goal),), names)
        if len(ids) + 1 >= self.model.context_length:
            raise ContextError(f"goal and tools are too long: {self._too_long(ids)}; shorten the goal or pass fewer tools")

    def _check_beginning(self, goal: str) -> None:
        """ContextError where already the beginning of a huge goal does not fit: all of it would take minutes to encode."""
        context = self.model.context_length
        beginning = goal[: _BEGINNING * context]
        if len(goal) > len(beginning) and len(found := self._encode(self.dialect.render_user(beginning))) > 2 * context:
            raise ContextError(
                f"the goal is too long: its first {len(beginning)} of {len(goal)} characters are {len(found)} tokens, and the "
                f"model's context is {context}; shorten the goal"
            )

    def write(self, request: Write, check: Callable[[], None] = lambda: None) -> Written:
        """The model's next turn, or its next choice where that would only do again what was done.

        `check` is called between tokens, and may raise to end it.
        """
        after_results = any(isinstance(entry, Showed) for entry in request.conversation)
        ids = self.prompt(self._recent(request), request.tools, request.most)
        if len(ids) + 1 >= self.model.context_length:
            text = f"stopped: {self._too_long(ids)}; use fewer tools, or tools that return less"
            return Written(None, Stop("context", text))
        first, tokens = self._turn(request, ids, after_results, check)
        written, spent, forks, kept = first, [first], Forks(), 0
        while written.turn is not None and request.repeats(written.turn):
            forks.add(tokens, self.dialect.reasoning_length(written.ids), kept)
            fork = forks.take()
            if fork is None or sum(one.generated_tokens for one in spent) >= request.most:
                written = first
                break
            written, tokens = self._turn(request, ids, after_results, check, fork)
            spent.append(written)
            kept = len(fork)
        if written.turn is None:
            written = first
        return replace(written, **{name: sum(getattr(one, name) for one in spent) for name in _COSTS})

    def _turn(
        self, request: Write, ids: list[int], after_results: bool, check: Callable[[], None], begun: tuple[TokenLike, ...] = ()
    ) -> tuple[Written, list[TokenLike]]:
        """A turn behind a prompt, or the rest of one that has begun, and its tokens."""
        first = ids_of(begun)
        stream = self.model.stream_tokens(
            [*ids, *first],
            max_tokens=request.most - len(first),
            constraint=self.model.grammar(self.grammar(request.tools, after_results, request.least), first),
            pin=len(self.prefix(request.tools)),
        )
        tokens = list(begun)
        for token in stream:
            check()
            tokens.append(token)
        usage = stream.usage
        written = Written(
            None,
            ids=ids_of(tokens),
            prompt_tokens=usage.prompt_tokens,
            reused_tokens=usage.reused_tokens,
            generated_tokens=len(tokens) - len(begun),
            seconds=usage.prefill_seconds + usage.decode_seconds,
        )
        return self._read(written, tokens, stream, request, after_results), tokens

    def _read(self, written: Written, tokens: list[Any], stream: Any, request: Write, after_results: bool) -> Written:
        ids, truncated = written.ids, stream.stop_reason == "length"
        tools = self._named(request.tools)
        written = replace(written, ids=(*ids, *self.dialect.closing(ids)))
        try:
            turn = self.dialect.parse_tokens(ids, self.model.tokenizer.decode, tools, truncated=truncated)
        except ParseError as error:
            stop = self._unfinished(len(ids), request.most) if truncated else Stop("malformed", f"stopped: {error}")
            return replace(written, stop=stop)
        if after_results and not turn.calls:
            return replace(written, turn=turn)
        return replace(
            written,
            turn=turn,
            confidence=self.model.confidence(stream.state),
            probability=self.dialect.call_probability(tokens),
            mass=min((getattr(token, "mass", 1.0) for token in tokens if not token.forced), default=1.0),
        )

    def _named(self, names: Sequence[str]) -> list[Tool]:
        return [self.tools[name] for name in names]

    def _grammar(self, tools: Sequence[Tool], after_results: bool, least: int = 0) -> str:
        return self.dialect.grammar(tools, max_reasoning=self._reasoning, after_results=after_results, min_calls=least)

    def _choose(self, request: Choose) -> tuple[str, ...]:
        if self._retriever is None:
            self._retriever = LexicalIndex(self.tools)
        ranked = [name for name, _ in self._retriever.rank(request.text) if name in self.tools]
        names = list(dict.fromkeys([*ranked, *self.tools.names]))
        while True:
            found = self._fitting_names((name for name in names if name not in self._refused), request.most)
            try:
                self.grammar([name for name in self.tools.names if name in found], False)
            except SchemaError:
                if not self._refuse(found):
                    raise
            else:
                return found

    def _fitting_names(self, names: Iterable[str], most: int) -> tuple[str, ...]:
        """The first of them, one at least, as far as there is room."""
        room = SHARE * self.model.context_length - len(self.prefix(()))
        found: list[str] = []
        for name in names:
            room -= self._size(name)
            if found and room < 0:
                break
            found.append(name)
            if len(found) == most:
                break
        return tuple(found)

    def _size(self, name: str) -> int:
        """Tokens of a tool in a prompt."""
        if name not in self._sizes:
            frame, text = (self.dialect.render_prefix("", tools) for tools in ([], self._named([name])))
            self._sizes[name] = len(self._encode(text)) - len(self._encode(frame))
        return self._sizes[name]

    def _refuse(self, names: Iterable[str]) -> bool:
        """Leave out the tools whose calls no grammar can guarantee; whether there are any."""
        before = len(self._refused)
        for name in names:
            try:
                self._grammar(self._named([name]), False)
            except SchemaError as error:
                _LOG.warning("not shown to the model: %s", error)
                self._refused.add(name)
        return len(self._refused) > before

    def prefix(self, names: tuple[str, ...]) -> list[int]:
        """Ids of what stays the same for every goal with these tools, BOS included."""
        return _kept(self._prefixes, names, lambda: self._rendered(names))

    def _rendered(self, names: tuple[str, ...]) -> list[int]:
        bos = self.model.tokenizer.bos_id
        text = self.dialect.render_prefix(self.instructions, self._named(names))
        return ([] if bos is None else [bos]) + self._encode(text)

    def _encode(self, text: str) -> list[int]:
        return self.model.tokenizer.encode(text)

    def _recent(self, request: Write) -> Conversation:
        """The conversation without the oldest of what was said before this run, as far as there is no room for it."""
        conversation = request.conversation
        while conversation and isinstance(conversation[0], Said) and conversation[0].earlier:
            if len(self.prompt(conversation, request.tools, request.most)) + request.most < self.model.context_length:
                break
            said = [at for at, entry in enumerate(conversation) if at and isinstance(entry, Said)]
            conversation = conversation[said[0] :]
        return conversation

    def _too_long(self, ids: list[int]) -> str:
        return f"{len(ids)} tokens do not fit the model's context of {self.model.context_length}"

    def _unfinished(self, written: int, most: int) -> Stop:
        if written < most:
            text = f"stopped: the turn does not fit the model's context of {self.model.context_length} tokens"
            return Stop("context", text)
        return Stop("tokens", f"stopped: the turn was not finished within {most} tokens")

    def _fitting(self, used: int, shown: Showed, turn_tokens: int) -> list[ToolResult]:
        """The results as the model gets to see them: those that its context has no room for are cut, and say so."""
        results, left = list(shown.results), self.model.context_length - used
        room = left - min(turn_tokens, left // 4)  # the rest is for the next turn
        if len(self._encode(self.dialect.render_results(results))) <= room:
            return results
        around = len(self._encode(self.dialect.render_results([])))
        return [self._cut(result, (room - around) // len(results)) for result in results]

    def _cut(self, result: ToolResult, room: int) -> ToolResult:
        """The beginning of a result, with a note, in so many tokens."""
        ids = self._encode(compact(result.value if result.ok else result.error))
        if len(ids) <= room:
            return result
        kept = max(room, 0)
        while True:
            beginning = self.model.tokenizer.decode(ids[:kept])
            note = f"too long for the model's context: the first {kept} of {len(ids)} tokens"
            if result.ok:
                cut = replace(result, value={"note": note, "beginning": beginning})
            else:
                cut = replace(result, error=f"{beginning} ({note})")
            if not kept or len(self._encode(compact(cut.value if cut.ok else cut.error))) <= room:
                return cut
            kept //= 2


def _kept(cache: OrderedDict[_Key, _Value], key: _Key, make: Callable[[], _Value]) -> _Value:
    """What a small cache has, or what is made and put there in place of what was used the longest ago."""
    if key not in cache:
        cache[key] = make()
        while len(cache) > _KEPT:
            cache.popitem(last=False)
    cache.move_to_end(key)
    return cache[key]
