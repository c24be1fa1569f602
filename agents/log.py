"""The log of runs: one JSON object a line, written as things happen.

The first line of a run says what it ran with; every other line is a step, a turn as the model wrote it ("written"), or the
names of the tools that it is shown from there on ("chosen"), and the last one how it ended and what it cost, also where an
error or an interruption ended it. Each line names its run, so runs that happen at the same time may share a file, and says
after how many seconds of the run it was written. A line that was cut off, because the program was killed while it wrote, does
not count; later runs, or the rest of this one ("resumed"), stand behind it.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import re
import secrets
import stat
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..tools.errors import describe
from .errors import LogError
from .requests import Written, written_to_json
from .steps import Run, Step, step_from_json, to_json

VERSION = 2
_BEGINNING = '{"run":"'  # of every line
_NO_TEXT = re.compile("[\udc80-\udcff]")  # bytes that could not be decoded


class RunLog:
    """Appends runs to a file; each line is on disk before the run goes on.

    Args:
        path: created if need be, with its folders.

    Raises:
        LogError: the file cannot be written, or holds something else.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b", buffering=0)
            weakref.finalize(self, self._file.close)  # a log that is dropped unclosed leaves no open file behind
            self._is_regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
            self._is_cut = self._is_regular and self._ends_in_the_middle_of_a_line()
        except (OSError, ValueError) as error:
            raise self._error(error) from error
        if self._is_regular and not self._begins_like_a_log():
            self.close()
            raise LogError(f"{self.path} exists and is no log of runs: nothing was written; choose another path")

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, facts: dict[str, Any]) -> str:
        """Write the line that opens a run; hands back the run's name in the log."""
        run = secrets.token_hex(4)
        self._write(run, {"kind": "run", "version": VERSION, **facts})
        return run

    def step(self, run: str, step: Step, at: float = 0.0) -> None:
        """Write a step of a run, `at` seconds after it began."""
        self._write(run, {**to_json(step), "at": round(at, 6)})

    def written(self, run: str, written: Written, at: float = 0.0) -> None:
        """Write a turn of the model."""
        self._write(run, {"kind": "written", **written_to_json(written), "at": round(at, 6)})

    def chosen(self, run: str, names: Sequence[str], at: float = 0.0) -> None:
        """Write which tools the model is shown from here on."""
        self._write(run, {"kind": "chosen", "names": list(names), "at": round(at, 6)})

    def resume(self, run: str) -> None:
        """Write the line behind which a run goes on."""
        self._write(run, {"kind": "resumed"})

    def end(self, run: str, facts: dict[str, Any]) -> None:
        """Write the line that closes a run."""
        self._write(run, {"kind": "end", **facts})

    def close(self) -> None:
        """Close the file; nothing can be written any more."""
        self._file.close()

    def _write(self, run: str, record: dict[str, Any]) -> None:
        # ASCII only: a value may hold half of a surrogate pair, which no encoding of text can carry.
        line = json.dumps({"run": run, **record}, separators=(",", ":")) + "\n"
        with self._lock:
            data = memoryview(("\n" + line if self._is_cut else line).encode("ascii"))
            try:
                while data:  # a raw file may take less than it was given
                    written = self._file.write(data)
                    if not written:
                        raise OSError(errno.EAGAIN, "it takes no more data at the moment")
                    data = data[written:]
                    self._is_cut = bool(data)
                if self._is_regular:
                    os.fsync(self._file.fileno())
            except (OSError, ValueError) as error:
                raise self._error(error) from error

    def _ends_in_the_middle_of_a_line(self) -> bool:
        if not self._file.seek(0, os.SEEK_END):
            return False
        self._file.seek(-1, os.SEEK_END)
        return self._file.read(1) != b"\n"

    def _begins_like_a_log(self) -> bool:
        self._file.seek(0)
        with open(self._file.fileno(), "rb", closefd=False) as file:
            line, after = (file.readline().decode("latin-1") for _ in range(2))
        return (_record(line) or {}).get("kind") == "run" or _is_cut(line.rstrip("\n"), after)

    def _error(self, error: Exception) -> LogError:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        return LogError(f"cannot write the log {self.path}: {reason}; choose another path")


class RunRecord:
    """One run in a log: a `with` block that writes the opening line, the steps, and how the block ended.

    Args:
        log: where to; None keeps the steps only.
        facts: for the opening line.
        run: the steps are added to it; its usage is for the closing line.
        resumed: name of a run in the log that goes on, in place of a new one.
    """

    def __init__(self, log: RunLog | None, facts: dict[str, Any], run: Run, resumed: str | None = None) -> None:
        self._log, self._facts, self.run, self._resumed = log, facts, run, resumed
        self.name = resumed or secrets.token_hex(4)

    def __enter__(self) -> RunRecord:
        if self._log is not None and self._resumed:
            self._log.resume(self.name)
        elif self._log is not None:
            self.name = self._log.begin(self._facts)
        return self

    def keep(self, step: Step) -> None:
        """Add a step that is in the log already."""
        self.run.steps.append(step)
        self.run.trace.append(step)

    def keep_written(self, written: Written) -> None:
        """Add a turn that is in the log already."""
        self.run.trace.append(written)

    def step(self, step: Step, at: float) -> None:
        """Write a step, `at` seconds after the run began."""
        self.keep(step)
        if self._log is not None:
            self._log.step(self.name, step, at)

    def written(self, written: Written, at: float) -> None:
        """Write a turn of the model."""
        self.keep_written(written)
        if self._log is not None:
            self._log.written(self.name, written, at)

    def chosen(self, names: Sequence[str], at: float) -> None:
        """Write which tools the model is shown from here on."""
        if self._log is not None:
            self._log.chosen(self.name, names, at)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if self._log is None:
            return
        if error is None or (isinstance(error, GeneratorExit) and self.run.status != "unfinished"):
            # Where nothing went wrong and nothing ended it, the run was to go no further than its first calls.
            reason = "decided" if self.run.status == "unfinished" else self.run.status
        else:
            reason = "left before its end" if isinstance(error, GeneratorExit) else describe(error)
        # What ended the run is worth more than that the log could not be told.
        with contextlib.suppress(*([LogError] if error is not None else [])):
            self._log.end(self.name, {"reason": reason, "usage": vars(self.run.usage)})


@dataclass
class LoggedRun:
    """A run as its log tells it.

    Attributes:
        name: in the log.
        facts: what it ran with.
        records: its lines, as JSON objects: steps and turns.
        reason: how it ended; None where it did not get to its end.
    """

    name: str
    facts: dict[str, Any]
    records: list[dict[str, Any]] = field(default_factory=list)
    reason: str | None = None

    @property
    def goal(self) -> str:
        """What was asked; LogError where the log was cut off before."""
        if not self.records or self.records[0].get("kind") != "goal":
            raise LogError(f"run {self.name} has no goal: its log was cut off before anything happened")
        return str(self.records[0].get("text"))

    @property
    def steps(self) -> list[Step]:
        """Its steps; LogError where a line is none."""
        return [step_from_json(record) for record in self.records if record.get("kind") not in ("written", "chosen")]


def read_runs(path: str | os.PathLike[str]) -> list[LoggedRun]:
    """The runs of a log, in the order in which they began.

    Raises:
        LogError: the file cannot be read, is not a log, or was written by another version.
    """
    try:
        # Bytes that are no UTF-8, as where a character was cut, stay recognisable: such a line is no record.
        lines = Path(path).read_bytes().decode("utf-8", "surrogateescape").split("\n")
    except (OSError, ValueError) as error:
        raise LogError(f"cannot read the log {path}: {error}") from error
    runs: dict[str, LoggedRun] = {}
    for number, (line, after) in enumerate(itertools.pairwise([*lines, ""]), 1):
        record = _record(line)
        if not line or (record is None and _is_cut(line, after)):
            continue
        if record is None:
            raise LogError(f"line {number} of {path} is not a JSON object: is this a run log?")
        name, kind = str(record.pop("run", "")), record.get("kind")
        if kind == "run":
            if record.get("version") != VERSION:
                raise LogError(
                    f"{path} is a log of version {record.get('version')}, and version {VERSION} is read here; update ferrule"
                )
            runs[name] = LoggedRun(name, {key: value for key, value in record.items() if key not in ("kind", "version")})
        elif name not in runs:
            raise LogError(f"line {number} of {path} belongs to no run: is this a run log?")
        elif kind == "end":
            runs[name].reason = str(record.get("reason"))
        elif kind == "resumed":
            runs[name].reason = None
        else:
            runs[name].records.append(record)
    return list(runs.values())


def check_weights(logged: LoggedRun, source: Mapping[str, Any] | None, path: str | os.PathLike[str]) -> None:
    """LogError where a model's weights are not those that a run in a log began with; without both fingerprints nothing is said.

    Args:
        logged: the run.
        source: of the model that is there now, as in `AgentModel.source`.
        path: of the log.
    """
    began = logged.facts.get("source")
    then, now = (found.get("fingerprint") if isinstance(found, Mapping) else None for found in (began, source))
    if isinstance(began, Mapping) and isinstance(source, Mapping) and then and now and then != now:
        raise LogError(
            f"run {logged.name} in {path} began with other weights: {began.get('preset')} was {then}, "
            f"{source.get('preset')} is {now}; name the weights that it had"
        )


def read_log(path: str | os.PathLike[str]) -> list[list[Step]]:
    """The steps of every run in a log; the same errors as `read_runs`."""
    return [run.steps for run in read_runs(path)]


def _is_cut(line: str, after: str) -> bool:
    """Whether a run was killed while it wrote the line: only another run may begin behind it, or the same one go on."""
    if not _begins(line):
        return False
    following = _record(after)
    return not after or (_begins(after) if following is None else following.get("kind") in ("run", "resumed"))


def _begins(line: str) -> bool:
    return line[: len(_BEGINNING)] == _BEGINNING[: len(line)]


def _record(line: str) -> dict[str, Any] | None:
    if not line.isascii() and _NO_TEXT.search(line):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
