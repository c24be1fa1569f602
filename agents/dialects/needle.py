"""Needle's prompt and call syntax (spec §4).

    <|im_start|>user⏎<tools>[…]</tools>⏎QUERY<|im_end|>⏎<|im_start|>assistant⏎
    <think>⏎REASONING⏎</think>⏎<tool_call>[…]</tool_call><|im_end|>

Markers count wherever they stand in a prompt, so text that comes from outside is never rendered with one in it: in JSON
`<` is written `\\u003c`, in plain text the marker is broken by a space.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...tools.call import ToolCall, ToolResult
from ...tools.tool import Tool
from ..errors import ParseError
from ..grammar import MAX_CALLS, call_grammar
from ..lark import compact
from ..names import named
from ..repair import drop_repeated
from .turn import Turn

_IM_END, _THINK, _END_THINK, _TOOL_CALL, _END_TOOL_CALL = 5, 6, 7, 10, 11
# Ids 0 … 27 are markers and control; free text is everything else.
_TEXT_TOKEN = "<[^0-27]>"
_PAIRED = ("think", "tools", "tool_call", "tool_result", "context", "image", "speech", "tts", "imagen", "extract", "schema")
_MARKERS = ("<|im_start|>", "<|im_end|>", *(f"<{slash}{name}>" for name in _PAIRED for slash in ("", "/")))
_MARKER = re.compile("<(?=" + "|".join(re.escape(marker[1:]) for marker in _MARKERS) + ")")
_CALLS = "</think>\n<tool_call>"


class NeedleDialect:
    """Renders prompts, builds grammars and reads turns. It keeps no state: tools are passed in."""

    name = "needle"
    markers = _MARKERS

    # -- prompts ------------------------------------------------------------------------------------------------------

    def render_prefix(self, system: str | None, tools: Sequence[Tool]) -> str:
        """The part that stays the same for every goal, through `</tools>`; BOS is the caller's."""
        turn = f"<|im_start|>system\n{_plain(system)}<|im_end|>\n" if system else ""
        names = named(tuple(tools))
        return f"{turn}<|im_start|>user\n<tools>{_json([names.schema(tool) for tool in tools])}</tools>"

    def render_user(self, query: str, *, first: bool = True) -> str:
        """A user turn and the opening of the answer: right after the prefix, or after an earlier turn's `<|im_end|>`."""
        opening = "" if first else "\n<|im_start|>user"
        return f"{opening}\n{_plain(query)}<|im_end|>\n<|im_start|>assistant\n"

    def render_results(self, results: Iterable[ToolResult]) -> str:
        """The turn that hands back what the calls of the last turn gave, in call order."""
        values = [result.value if result.ok else {"error": result.error} for result in results]
        return f"\n<|im_start|>tool\n<tool_result>{_json(values)}</tool_result><|im_end|>\n<|im_start|>assistant\n"

    def render_turn(self, turn: Turn, tools: Sequence[Tool] = ()) -> str:
        """An assistant turn as the model would write it, through `<|im_end|>`.

        Args:
            turn: in the caller's names.
            tools: only needed for those whose names, or whose parameters' names, are not snake_case.
        """
        names = named(tuple(tools))
        calls = [names.to_wire(call) for call in turn.calls]
        written = compact([{"name": call.name, "arguments": call.arguments} for call in calls])
        body = turn.text or f"<tool_call>{written}</tool_call>"
        return f"<think>{turn.reasoning or ''}</think>\n{body}<|im_end|>"

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
        """Lark grammar of an assistant turn, from `<think>` through `<|im_end|>`.

        Args:
            tools: The tools that may be called.
            max_reasoning: Most tokens between `<think>` and `</think>`.
            after_results: The turn follows tool results: prose is possible instead of calls.
            min_calls: Fewest calls at once; with 0, the model may answer that no tool fits.
            max_calls: Most calls at once.
            max_answer: Most tokens of prose.

        Raises:
            SchemaError: A tool's schema cannot be guaranteed by a grammar.
        """
        calls = call_grammar(tools, min_calls=min_calls, max_calls=max_calls, names=named(tuple(tools)))
        body = f"<[{_TOOL_CALL}]> calls <[{_END_TOOL_CALL}]>"
        if after_results and not min_calls:
            body = f"({body} | {_repeated(max_answer, least=1)})"
        return f'start: <[{_THINK}]> {_repeated(max_reasoning)} <[{_END_THINK}]> "\\n" {body} <[{_IM_END}]>\n{calls}'

    # -- reading ------------------------------------------------------------------------------------------------------

    def parse(self, text: str, tools: Sequence[Tool] = (), *, truncated: bool = False) -> Turn:
        """Read a turn from its decoded text. `parse_tokens` is safer: there, text cannot pass for a marker.

        Args:
            text: From `<think>` on; a closing `<|im_end|>` may be missing.
            tools: For the way back to the caller's names.
            truncated: The token budget ended the turn: calls that are complete count.

        Raises:
            ParseError: The text is not a turn of this dialect.
        """
        text = text.removesuffix("<|im_end|>")
        if not text.startswith("<think>"):
            raise ParseError(f"the turn must begin with <think>, received {_shown(text)}")
        # A raw newline cannot stand inside the calls, so the last of these is the real one.
        start = text.rfind(_CALLS)
        if start >= 0 and (text.endswith("</tool_call>") or truncated):
            reasoning, calls = text[len("<think>") : start], text[start + len(_CALLS) :]
            return self._turn(reasoning, calls.removesuffix("</tool_call>"), tools, truncated)
        reasoning, end, answer = text[len("<think>") :].partition("</think>")
        if not end:
            raise ParseError(f"the reasoning does not end with </think>, received {_shown(text)}")
        if answer.startswith("\n<tool_call>"):
            raise ParseError(f"the calls do not end with </tool_call>, received {_shown(answer)}")
        return _prose(reasoning, answer, truncated)

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
            tokens: From `<think>` on; a closing `<|im_end|>` may be missing.
            decode: The tokenizer's `decode`.
        """
        tokens = list(tokens)
        if tokens[-1:] == [_IM_END]:
            tokens.pop()
        if tokens[:1] != [_THINK] or _END_THINK not in tokens:
            raise ParseError(f"the turn must begin with <think>…</think>, received {_shown(decode(tokens))}")
        middle = tokens.index(_END_THINK)
        reasoning, rest = decode(tokens[1:middle]), tokens[middle + 1 :]
        if _TOOL_CALL not in rest:
            return _prose(reasoning, decode(rest), truncated)
        start = rest.index(_TOOL_CALL) + 1
        ends = rest[-1] == _END_TOOL_CALL
        if decode(rest[: start - 1]).strip() or not (ends or truncated):
            raise ParseError(f"the calls must stand alone in <tool_call>…</tool_call>, received {_shown(decode(rest))}")
        return self._turn(reasoning, decode(rest[start : len(rest) - ends]), tools, truncated)

    def closing(self, tokens: Sequence[int]) -> list[int]:
        """What a turn lacks at its end, because a budget cut it off, before anything can stand behind it."""
        tokens = list(tokens)
        if tokens[-1:] == [_IM_END]:
            return []
        in_calls = _TOOL_CALL in tokens and _END_TOOL_CALL not in tokens[tokens.index(_TOOL_CALL) :]
        return [_END_TOOL_CALL, _IM_END] if in_calls else [_IM_END]

    def reasoning_length(self, tokens: Sequence[int]) -> int:
        """How many tokens of a turn are its reasoning, markers included."""
        return tokens.index(_END_THINK) + 1 if _END_THINK in tokens else len(tokens)

    def call_probability(self, tokens: Iterable[Any]) -> float:
        """Smallest probability of a freely chosen token inside the calls, among those that the grammar allowed (spec §5.3).

        Args:
            tokens: of a turn, each with `id`, `forced` and `logprob`.
        """
        least, inside = 0.0, False
        for token in tokens:
            if inside and not token.forced and token.id != _END_TOOL_CALL:
                least = min(least, token.logprob)
            inside = token.id == _TOOL_CALL or (inside and token.id != _END_TOOL_CALL)
        return math.exp(least)

    def _turn(self, reasoning: str, calls: str, tools: Sequence[Tool], truncated: bool) -> Turn:
        found = [_call(item) for item in (_complete_items(calls) if truncated else _items(calls))]
        names, known = named(tuple(tools)), {tool.name: tool for tool in tools}
        restored = [names.to_caller(call) for call in found]
        repaired = [drop_repeated(known[call.name].parameters, call) if call.name in known else call for call in restored]
        return Turn(reasoning.strip() or None, tuple(repaired))


def _repeated(most: int, least: int = 0) -> str:
    return f"{_TEXT_TOKEN}{{{least},{most}}}" if most else ""


def _plain(text: str) -> str:
    """Text from outside with no marker in it; half characters become U+FFFD."""
    return _MARKER.sub("< ", _unicode(text))


def _json(value: Any) -> str:
    return _MARKER.sub(r"\\u003c", _unicode(compact(value)))


def _unicode(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _prose(reasoning: str, answer: str, truncated: bool) -> Turn:
    if not answer.strip():
        what = "was cut off after" if truncated else "has neither calls nor an answer after"
        raise ParseError(f"the turn {what} its reasoning; allow more tokens or ask again")
    return Turn(reasoning.strip() or None, (), answer.strip())


def _items(text: str) -> list[Any]:
    items = _loads(json.loads, text)
    if not isinstance(items, list):
        raise ParseError(f"the calls must be a JSON list, received {_shown(text)}")
    return items


def _complete_items(text: str) -> list[Any]:
    """The calls of a list that was cut off, as far as they are complete."""
    try:
        return _items(text)
    except ParseError:
        pass
    decoder, items, at = json.JSONDecoder(), [], 1
    while at < len(text):
        try:
            item, at = _loads(decoder.raw_decode, text, at)
        except ParseError:
            break
        items.append(item)
        at += 1  # the comma
    if not items or text[:1] != "[":
        raise ParseError(f"the turn was cut off before a call was complete, received {_shown(text)}; allow more tokens")
    return items


def _loads(read: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return read(*arguments)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"the calls are not JSON ({' '.join(str(error).split())}), received {_shown(arguments[0])}") from None


def _call(item: Any) -> ToolCall:
    if not isinstance(item, dict) or set(item) != {"name", "arguments"}:
        raise ParseError(f'a call must be {{"name": …, "arguments": …}}, received {_shown(json.dumps(item))}')
    if not isinstance(item["name"], str) or not isinstance(item["arguments"], dict):
        raise ParseError(f"a call needs a name and an object of arguments, received {_shown(json.dumps(item))}")
    return ToolCall(item["name"], item["arguments"])


def _shown(text: str) -> str:
    shown = " ".join(text.split())
    return repr(shown if len(shown) <= 80 else shown[:79] + "…")
