"""kill -9 at every point of a run of ten steps, each in a process of its own; then the run goes on. Run by `test_killed.py`.

Points are: before a line of the log is written, in the middle of it, behind it but before it is on disk, behind that; and
before, in and behind each effect. Prints one JSON object of what was found.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from ferrule.agents import Agent, RunLog, ScriptedModel, replay
from ferrule.agents.log import read_runs
from ferrule.tools import ToolCall, tool

STEPS = 10
TURNS = [[ToolCall("note", {"x": x})] for x in range(1, STEPS + 1)]
GOAL = "note " + ", ".join(map(str, range(1, STEPS + 1)))
PIECES = 8  # of a line


class Killer:
    """Counts the points that a process passes, and kills it at one of them."""

    def __init__(self, at: int | None):
        self.left, self.passed = at, 0

    def point(self) -> None:
        self.passed += 1
        if self.left is not None and self.passed == self.left:
            os.kill(os.getpid(), signal.SIGKILL)


class RawFile:
    """The log's file, written piece by piece."""

    def __init__(self, file, killer):
        self._file, self._killer = file, killer

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        self._killer.point()
        size = max(1, len(data) // PIECES)
        for start in range(0, len(data), size):
            self._file.write(data[start : start + size])
            self._killer.point()
        return len(data)


def agent(folder: Path, turns, killer: Killer) -> Agent:
    @tool(permission="write")
    def note(x: int) -> str:
        killer.point()
        with (folder / "effects").open("a") as file:
            file.write(f"{x}\n")
        killer.point()
        return "noted"

    model = ScriptedModel.from_calls(turns, check=False)
    for turn in ScriptedModel.from_calls([*TURNS, "Done."]).turns:
        model.tokenizer.encode(turn)  # words get their ids as they are met: in every process the same ones
    made = Agent(model, [note], log=folder / "log", budget=BUDGET)
    assert isinstance(made.log, RunLog)
    made.log._file = RawFile(made.log._file, killer)
    return made


def go(folder: Path, killer: Killer) -> None:
    """Begin the run, or go on with it."""
    log = folder / "log"
    runs = [run for run in read_runs(log) if run.records] if log.exists() else []
    written = sum(record["kind"] == "written" for record in runs[-1].records) if runs else 0
    made = agent(folder, [*TURNS, "Done."][written:], killer)
    if runs and runs[-1].reason is None:
        made.resume()
    elif not runs:
        made.run(GOAL)


def in_a_process(folder: Path, killer: Killer) -> bool:
    """Whether it got to its end."""
    child = os.fork()
    if not child:
        try:
            go(folder, killer)
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a run failed instead of being killed")
    return os.WIFEXITED(status)


def main() -> None:
    found = {"kills": 0, "runs": 0, "repeated": 0, "lost": 0, "unfinished": 0, "unknown": 0}
    with tempfile.TemporaryDirectory() as root:
        at = 1
        while True:
            folder = Path(root) / str(at)
            folder.mkdir()
            if in_a_process(folder, Killer(at)):
                break  # behind the last point
            found["kills"] += 1
            in_a_process(folder, Killer(at + 7))  # killed once more on the way, where it comes that far
            if all(run.reason is None for run in read_runs(folder / "log")):
                in_a_process(folder, Killer(None))
            judge(folder, found)
            at += 1
    print(json.dumps(found))


def judge(folder: Path, found: dict[str, int]) -> None:
    effects = (folder / "effects").read_text().split()
    run = [run for run in read_runs(folder / "log") if run.records][-1]
    unknown = [s.result.call.arguments["x"] for s in run.steps if s.kind == "observation" and s.result.unknown]
    done = {s.result.call.arguments["x"] for s in run.steps if s.kind == "observation" and s.result.ok}
    found["runs"] += 1
    found["repeated"] += len(effects) - len(set(effects))
    found["lost"] += STEPS - len(done | set(unknown))
    found["unknown"] += len(unknown)
    found["unfinished"] += run.reason is None
    replay(folder / "log")


if __name__ == "__main__":
    from ferrule.agents import Budget

    BUDGET = Budget(turns=STEPS + 2, tokens=10**6, seconds=10**6)
    main()
