"""Permissions: which calls are made at once, which are asked about, and which never.

A call is judged by what its tool may do, and by where its values come from. What is asked about is asked for these very
arguments, and a "yes" counts once.

Once there is a result that somebody else may have written, nobody can tell whether the model does what the user wants or what
that somebody does. So from then on

- a value of a sensitive parameter must rest on what the user said or on a trusted result (`evidence.py`, `taint.py`); names
  that the tool does not declare count as values;
- and a call of a tool that changes things must have something of the user in it: a value of theirs or of a trusted result, or
  the name of the tool.

That is as far as it goes: a value that the user spoke of may be used by every tool, though it was meant for another. Who cannot
have that asks about all writing (`write="ask"`), or leaves the tool out. What a tool that reads carries out of the house is
guarded where the parameter is sensitive; addresses are, unless the tool says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from ..tools import Tool, ToolCall, Toolset
from .errors import UsageError
from .evidence import Evidence
from .steps import Source

Verdict = Literal["allow", "ask", "deny"]
_USERS = ("goal", "reply", "observation")
_HARSHNESS: dict[str, int] = {verdict: n for n, verdict in enumerate(get_args(Verdict))}


@dataclass(frozen=True)
class Permissions:
    """What an agent may do without being asked.

    Attributes:
        read, write, destructive: for tools that are marked so.
        tainted: for a call that may be somebody else's wish, whatever else is allowed: one that takes the value of a sensitive
            parameter from an untrusted result, or that has nothing of the user in it once there is such a result.
        tools: for single tools by name, in place of the first three.

    Raises:
        UsageError: one of them is not "allow", "ask" or "deny".
    """

    read: Verdict = "allow"
    write: Verdict = "allow"
    destructive: Verdict = "ask"
    tainted: Verdict = "ask"
    tools: Mapping[str, Verdict] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, verdict in [*((n, v) for n, v in vars(self).items() if n != "tools"), *dict(self.tools).items()]:
            if verdict not in _HARSHNESS:
                raise UsageError(f"a permission is {', '.join(_HARSHNESS)}, received {name}={verdict!r}")

    def check_names(self, tools: Toolset) -> None:
        """UsageError where a tool is named that there is not."""
        if unknown := [name for name in self.tools if name not in tools]:
            raise UsageError(f"permissions name the tool {unknown[0]!r}; the tools are: {', '.join(tools.names)}")

    def judge(
        self, tool: Tool, call: ToolCall, sources: Mapping[str, Source], said: Evidence | None = None
    ) -> tuple[Verdict, tuple[str, ...]]:
        """What to do with a call, and why it is not simply made.

        Args:
            tool, call: what is to be called.
            sources: of its values.
            said: what was said so far; None where nobody but the user has spoken.
        """
        kind = self.tools.get(tool.name) or getattr(self, tool.permission)
        found: list[tuple[Verdict, str]] = []
        if kind != "allow":
            found.append((kind, f"{tool.name} is marked {tool.permission}" if tool.name not in self.tools else tool.name))
        if self.tainted != "allow":
            reasons = list(tainted(tool, sources))
            if said is not None and said.untrusted:
                reasons += undeclared(tool, call) or ([] if reasons else unasked(tool, sources, said))
            found += [(self.tainted, reason) for reason in reasons]
        verdict = max((v for v, _ in found), key=_HARSHNESS.__getitem__, default="allow")
        return verdict, tuple(reason for _, reason in found)


def tainted(tool: Tool, sources: Mapping[str, Source]) -> Iterator[str]:
    """Which values of sensitive parameters rest on nothing but an untrusted result, each in words."""
    for pointer, source in sources.items():
        parameter = _parameter(pointer)
        if not source.trusted and tool.is_sensitive(parameter):
            calls = re.findall(r"(\d+)#", source.at)
            where = f"the result of call {calls[0]}, which" if calls else "a result that"
            yield f"{parameter} may come from {where} is not trusted"


def undeclared(tool: Tool, call: ToolCall) -> list[str]:
    """Arguments of a name that the tool does not declare: the name itself may be somebody else's word."""
    declared = tool.parameters.get("properties", {})
    names = [name for name in call.arguments if name not in declared and tool.is_sensitive(name)]
    return [f"the name {name} may come from a result that is not trusted" for name in names]


def unasked(tool: Tool, sources: Mapping[str, Source], said: Evidence) -> list[str]:
    """That a call which changes things has nothing of the user in it: no value, and not the name of the tool."""
    if tool.permission == "read" or tool.sensitive == () or said.mentions(tool.name):
        return []
    if any(_is_users(source) for pointer, source in sources.items() if tool.is_sensitive(_parameter(pointer))):
        return []
    return [f"the user did not speak of {tool.name}, and there is the result of call {said.untrusted}, which is not trusted"]


def _parameter(pointer: str) -> str:
    return pointer[1:].split("/", 1)[0].replace("~1", "/").replace("~0", "~")


def _is_users(source: Source) -> bool:
    """Whether a value rests on words of the user, or on a result that is as good as these."""
    return source.trusted and (source.kind in _USERS or re.search(rf"\b({'|'.join(_USERS)}) \d", source.at) is not None)
