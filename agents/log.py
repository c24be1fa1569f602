"""The log of runs: one JSON object a line, written as things happen.

The first line of a run says what it ran with; every other line is a step, and the last one how it ended and what it cost, also
where an error or an interruption ended it. Each line names its run, so runs that happen at the same time may share a file. A
line that was cut off, because the program was killed while it wrote, ends its run; later runs are appended behind it.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import secrets
import stat
import threading
import weakref
from pathlib import Path
from typing import Any

from ..tools.errors import describe
from .errors import LogError
from .steps import Run, RunUsage, Step, step_from_json, to_json

VERSION = 1
_BEGINNING = '{"run":"'  # of every line


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

    def step(self, run: str, step: Step) -> None:
        """Write a step of a run."""
        self._write(run, to_json(step))

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
        run: the steps are added to it.
        usage: for the closing line.
    """

    def __init__(self, log: RunLog | None, facts: dict[str, Any], run: Run, usage: RunUsage) -> None:
        self._log, self._facts, self._run, self._usage = log, facts, run, usage

    def __enter__(self) -> RunRecord:
        if self._log is not None:
            self._name = self._log.begin(self._facts)
        return self

    def step(self, step: Step) -> None:
        """Write a step."""
        self._run.steps.append(step)
        if self._log is not None:
            self._log.step(self._name, step)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if self._log is None:
            return
        if error is None or (isinstance(error, GeneratorExit) and self._run.status != "unfinished"):
            reason = self._run.status
        else:
            reason = "left before its end" if isinstance(error, GeneratorExit) else describe(error)
        # What ended the run is worth more than that the log could not be told.
        with contextlib.suppress(*([LogError] if error is not None else [])):
            self._log.end(self._name, {"reason": reason, "usage": vars(self._usage)})


def read_log(path: str | os.PathLike[str]) -> list[list[Step]]:
    """The steps of every run in a log, in the order in which the runs began.

    Raises:
        LogError: the file cannot be read, is not a log, or was written by a later version.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise LogError(f"cannot read the log {path}: {error}") from error
    runs: dict[str, list[Step]] = {}
    for number, (line, after) in enumerate(itertools.pairwise([*lines, ""]), 1):
        record = _record(line)
        if not line or (record is None and _is_cut(line, after)):
            continue
        if record is None:
            raise LogError(f"line {number} of {path} is not a JSON object: is this a run log?")
        run, kind = str(record.pop("run", "")), record.get("kind")
        if kind == "run":
            if record.get("version") != VERSION:
                raise LogError(
                    f"{path} is a log of version {record.get('version')}, and {VERSION} is read here; update ferrule"
                )
            runs[run] = []
        elif run not in runs:
            raise LogError(f"line {number} of {path} belongs to no run: is this a run log?")
        elif kind != "end":
            runs[run].append(step_from_json(record))
    return list(runs.values())


def _is_cut(line: str, after: str) -> bool:
    """Whether a run was killed while it wrote the line: only another run may begin behind it."""
    begins = line[: len(_BEGINNING)] == _BEGINNING[: len(line)]
    return begins and (not after or (_record(after) or {}).get("kind") == "run")


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
