"""The model's side of a run: conversations become prompts, and the model's tokens become turns."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..tools import Tool, ToolResult, Toolset
from .dialects import get_dialect
from .errors import ContextError, ParseError
from .lark import compact
from .model import AgentModel
from .requests import Conversation, Said, Showed, Write, Written
from .steps import Stop

_KEPT_PREFIXES = 8


class Writer:
    """Asks a model for turns.

    Args:
        model: see `AgentModel`.
        tools: those that a turn may call, of which each turn names some.
        instructions: system text in front of the tools.
        reasoning_tokens: most tokens that the model may think in one turn.

    Raises:
        AgentError: there is no such dialect.
    """

    def __init__(self, model: AgentModel, tools: Toolset, instructions: str, reasoning_tokens: int):
        self.model, self.tools, self.instructions = model, tools, instructions
        self.dialect = get_dialect(model.dialect, model.tokenizer)
        self._reasoning = reasoning_tokens
        self._prefixes: OrderedDict[tuple[str, ...], list[int]] = OrderedDict()

    def grammar(self, names: Sequence[str], after_results: bool) -> str:
        """Lark grammar of a turn with these tools; SchemaError where one cannot be guaranteed."""
        return self.dialect.grammar(self._chosen(names), max_reasoning=self._reasoning, after_results=after_results)

    def prompt(self, conversation: Conversation, names: tuple[str, ...], turn_tokens: int = 0) -> list[int]:
        """Ids of everything that stands before the next turn, BOS included.

        Results that the model's context has no room for are cut, and say so; `turn_tokens` are left free for the next turn.
        """
        ids, first = list(self._prefix(names)), True
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
        ids = self.prompt((Said(goal),), names)
        if len(ids) + 1 >= self.model.context_length:
            raise ContextError(f"goal and tools are too long: {self._too_long(ids)}; shorten the goal or pass fewer tools")

    def write(self, request: Write, check: Callable[[], None] = lambda: None) -> Written:
        """The model's next turn; `check` is called between tokens, and may raise to end it."""
        after_results = any(isinstance(entry, Showed) for entry in request.conversation)
        ids = self.prompt(request.conversation, request.tools, request.most)
        if len(ids) + 1 >= self.model.context_length:
            text = f"stopped: {self._too_long(ids)}; use fewer tools, or tools that return less"
            return Written(None, Stop("context", text))
        stream = self.model.stream_tokens(
            ids,
            max_tokens=request.most,
            constraint=self.model.grammar(self.grammar(request.tools, after_results)),
            pin=len(self._prefix(request.tools)),
        )
        tokens = []
        for token in stream:
            check()
            tokens.append(token)
        usage = stream.usage
        written = Written(
            None,
            ids=tuple(token.id for token in tokens),
            prompt_tokens=usage.prompt_tokens,
            reused_tokens=usage.reused_tokens,
            generated_tokens=len(tokens),
            seconds=usage.prefill_seconds + usage.decode_seconds,
        )
        return self._read(written, tokens, stream, request.most, after_results)

    def _read(self, written: Written, tokens: list[Any], stream: Any, most: int, after_results: bool) -> Written:
        ids, truncated = written.ids, stream.stop_reason == "length"
        written = replace(written, ids=(*ids, *self.dialect.closing(ids)))
        try:
            turn = self.dialect.parse_tokens(ids, self.model.tokenizer.decode, list(self.tools), truncated=truncated)
        except ParseError as error:
            stop = self._unfinished(len(ids), most) if truncated else Stop("malformed", f"stopped: {error}")
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

    def _chosen(self, names: Sequence[str]) -> list[Tool]:
        return [self.tools[name] for name in names]

    def _prefix(self, names: tuple[str, ...]) -> list[int]:
        found = self._prefixes.get(names)
        if found is None:
            bos = self.model.tokenizer.bos_id
            text = self.dialect.render_prefix(self.instructions, self._chosen(names))
            found = self._prefixes[names] = ([] if bos is None else [bos]) + self._encode(text)
            while len(self._prefixes) > _KEPT_PREFIXES:
                self._prefixes.popitem(last=False)
        self._prefixes.move_to_end(names)
        return found

    def _encode(self, text: str) -> list[int]:
        return self.model.tokenizer.encode(text)

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
