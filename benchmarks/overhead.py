"""What the agent takes beside the model and the tools: milliseconds per step of runs of a scripted model, with many tools.

Every run makes the same number of calls, one a turn, and answers. All of a run's time is the agent's: the ranking of the tools,
the prompt, the evidence of every value, permissions, the call (of a function that does nothing), the observation, the log. The
scripted model is not checked against the grammar here: a real one spends that time in its own loop.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ferrule.agents import Agent, Budget, ScriptedModel
from ferrule.agents.retrieval import LexicalIndex
from ferrule.tools import Tool, ToolCall

_VERBS = "get set list create delete update find send open close start stop move copy rename share print read write check"
_NOUNS = """
invoice calendar lamp playlist ticket report folder photo contact meeting parcel recipe timer account vehicle sensor printer
garden oven alarm backup window door budget order review room server flight hotel
"""
_PLACES = ("in the office", "at home")
GOAL = "create an invoice at home for 25 items called winter, find the ticket called alpha, then start the oven for 40 items"


def make_tools(count: int) -> list[Tool]:
    """So many tools with four parameters each, and a function that gives back a small object."""
    kinds = [(verb, noun, place) for place in _PLACES for noun in _NOUNS.split() for verb in _VERBS.split()]
    if count > len(kinds):
        raise SystemExit(f"at most {len(kinds)} tools, received {count}")
    return [_tool(*kind) for kind in kinds[:count]]


def _tool(verb: str, noun: str, place: str) -> Tool:
    name = f"{verb}_{noun}_{place.rsplit(' ', 1)[-1]}"
    properties = {
        "name": {"type": "string", "description": f"What the {noun} is called."},
        "count": {"type": "integer", "minimum": 0, "description": f"How many items the {noun} is for."},
        "priority": {"type": "string", "enum": ["low", "normal", "high"], "description": "How urgent it is."},
        "note": {"type": "string", "description": "Anything else to write down."},
    }
    schema = {"type": "object", "properties": properties, "required": ["name"], "additionalProperties": False}

    def act(**arguments: Any) -> dict[str, Any]:
        return {
            "id": f"{noun}-{len(arguments)}",
            "state": "done",
            "items": [{"at": n, "label": f"{noun} {n}"} for n in range(5)],
        }

    return Tool.from_schema({"name": name, "description": f"{verb} the {noun} {place}.", "parameters": schema}, act)


def script(turns: int, names: Sequence[str]) -> list[list[ToolCall] | str]:
    """Calls of these tools, one a turn, each with other arguments, and the answer."""
    calls: list[list[ToolCall] | str] = []
    for turn in range(turns):
        arguments = {"name": ("winter", "alpha", "home")[turn % 3], "count": (25, 40)[turn // 3 % 2]}
        calls.append([ToolCall(names[turn % len(names)], arguments)])
    return [*calls, "Everything is done: 5 items."]


def measure(tools: list[Tool], turns: int, runs: int, log: Path | None) -> dict[str, Any]:
    """Milliseconds a step, wall and processor time, and what comes once: the index, the agent, the first step of all."""
    clock = Clock()
    names = [name for name, _ in LexicalIndex(tools).rank(GOAL)[:4]]
    once = {"index": clock.lap()}
    model = ScriptedModel.from_calls(script(turns, names) * (runs + 1), check=False)
    clock.lap()
    agent = Agent(model, tools, budget=Budget(turns=turns + 1, calls=turns + 1), log=log)
    once["agent"] = clock.lap()
    laps: list[tuple[float, float]] = []
    for _ in range(runs + 1):
        clock.lap()
        for step in agent.stream(GOAL):
            if step.kind in ("observation", "answer"):  # what a turn comes to
                laps.append(clock.lap())
    agent.close()
    if len(laps) != (turns + 1) * (runs + 1):
        raise SystemExit(f"{len(laps)} steps instead of {(turns + 1) * (runs + 1)}: the script does not fit the agent")
    once["first step"] = laps[0]
    later = laps[turns + 1 :]
    wall, cpu = (sorted(lap[kind] for lap in later) for kind in (0, 1))
    return {
        **{name: round(1e3 * lap[1], 2) for name, lap in once.items()},
        **{f"{name} median": round(1e3 * statistics.median(times), 2) for name, times in (("wall", wall), ("cpu", cpu))},
        **{f"{name} p95": round(1e3 * times[int(0.95 * len(times))], 2) for name, times in (("wall", wall), ("cpu", cpu))},
        "steps": len(later),
        "prompt tokens": len(model.tokenizer.encode(model.prompts[0])),
    }


class Clock:
    """Wall and processor time in seconds since it was last asked; on a shared machine the second is the steadier one."""

    def __init__(self) -> None:
        self._last = (time.perf_counter(), time.process_time())

    def lap(self) -> tuple[float, float]:
        """Seconds, and from now on the next."""
        now, last = (time.perf_counter(), time.process_time()), self._last
        self._last = (time.perf_counter(), time.process_time())
        return now[0] - last[0], now[1] - last[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tools", type=int, nargs="+", default=[10, 1000])
    parser.add_argument("--turns", type=int, default=6, help="calls of each run")
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    given = parser.parse_args()
    rows = []
    for count in given.tools:
        tools = make_tools(count)
        with tempfile.TemporaryDirectory() as folder:
            for log in (None, Path(folder, "runs.jsonl")):
                rows.append(
                    {"tools": count, "log": "no" if log is None else "fsynced"} | measure(tools, given.turns, given.runs, log)
                )
    if given.json:
        print(json.dumps({"machine": platform.processor() or platform.machine(), "milliseconds": rows}, indent=1))
        return
    print("Milliseconds; what comes once and cpu are processor time.\n")
    for line in (rows[0].keys(), ["---"] * len(rows[0]), *(row.values() for row in rows)):
        print("|", " | ".join(map(str, line)), "|")


if __name__ == "__main__":
    main()
