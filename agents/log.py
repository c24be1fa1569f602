"""The log of runs: one JSON object a line, written as things happen.

The first line of a run says what it ran with; every other line is a step, and the last one what the run cost. Each line names
its run, so runs that happen at the same time may share a file. A line that was cut off, because the program was killed while it
wrote, ends its run; later runs are appended behind it.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import stat
import threading
from pathlib import Path
from typing import Any

from .errors import LogError
from .steps import Step, step_from_json, to_json

VERSION = 1
_BEGINNING = '{"run":"'  # of every line


class RunLog:
    """Appends runs to a file; each line is on disk before the run goes on.

    Args:
        path: created if need be, with its folders.

    Raises:
        LogError: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b", buffering=0)
            self._is_regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
            self._is_cut = self._is_regular and self._ends_in_the_middle_of_a_line()
        except (OSError, ValueError) as error:
            raise self._error(error) from error

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
        self._file.close()

    def _write(self, run: str, record: dict[str, Any]) -> None:
        # ASCII only: a value may hold half of a surrogate pair, which no encoding of text can carry.
        line = json.dumps({"run": run, **record}, separators=(",", ":")) + "\n"
        with self._lock:
            try:
                self._file.write(("\n" + line if self._is_cut else line).encode("ascii"))
                self._is_cut = False
                if self._is_regular:
                    os.fsync(self._file.fileno())
            except (OSError, ValueError) as error:
                raise self._error(error) from error

    def _ends_in_the_middle_of_a_line(self) -> bool:
        if not self._file.seek(0, os.SEEK_END):
            return False
        self._file.seek(-1, os.SEEK_END)
        return self._file.read(1) != b"\n"

    def _error(self, error: Exception) -> LogError:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        return LogError(f"cannot write the log {self.path}: {reason}; choose another path")


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
