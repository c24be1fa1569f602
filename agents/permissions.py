"""Permissions: which calls are made at once, which are asked about, and which never.

A call is judged by what its tool may do, by where its values come from, and by how sure the model is. What is asked about is
asked for these very arguments, and a "yes" counts once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from ..tools import Tool, ToolCall, Toolset
from .errors import UsageError
from .steps import Source

Verdict = Literal["allow", "ask", "deny"]
_HARSHNESS: dict[str, int] = {verdict: n for n, verdict in enumerate(get_args(Verdict))}


@dataclass(frozen=True)
class Permissions:
    """What an agent may do without being asked.

    Attributes:
        read, write, destructive: for tools that are marked so.
        tainted: for a call that takes the value of a sensitive parameter from an untrusted result, whatever else is allowed.
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

    def judge(self, tool: Tool, call: ToolCall, evidence: Mapping[str, Source]) -> tuple[Verdict, tuple[str, ...]]:
        """What to do with a call, and why it is not simply made."""
        kind = self.tools.get(tool.name) or getattr(self, tool.permission)
        found: list[tuple[Verdict, str]] = []
        if kind != "allow":
            found.append((kind, f"{tool.name} is marked {tool.permission}" if tool.name not in self.tools else tool.name))
        if self.tainted != "allow":
            found += [(self.tainted, reason) for reason in tainted(tool, evidence)]
        verdict = max((v for v, _ in found), key=_HARSHNESS.__getitem__, default="allow")
        return verdict, tuple(reason for _, reason in found)


def tainted(tool: Tool, evidence: Mapping[str, Source]) -> Iterator[str]:
    """Which values of sensitive parameters rest on nothing but an untrusted result, each in words."""
    for pointer, source in evidence.items():
        parameter = pointer[1:].split("/", 1)[0].replace("~1", "/").replace("~0", "~")
        if not source.trusted and tool.is_sensitive(parameter):
            calls = re.findall(r"(\d+)#", source.at)
            where = f"the result of call {calls[0]}, which" if calls else "a result that"
            yield f"{parameter} may come from {where} is not trusted"
