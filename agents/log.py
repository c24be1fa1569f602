"""The log of runs: one JSON object a line, written as things happen.

The first line of a run says what it ran with; every other line is a step. A log that was cut in the middle of a line is read up
to there.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

from .errors import LogError
from .steps import Step, step_from_json, to_json

VERSION = 1


class RunLog:
    """Appends a run to a file; each line is on disk before the run goes on.

    Args:
        path: created if need be, with its folders; runs are appended.

    Raises:
        LogError: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise LogError(f"cannot write the log {self.path}: {error.strerror}; choose another path") from error

    def begin(self, facts: dict[str, Any]) -> None:
        """The line that opens a run."""
        self._write({"kind": "run", "version": VERSION, **facts})

    def step(self, step: Step) -> None:
        self._write(to_json(step))

    def end(self, facts: dict[str, Any]) -> None:
        """The line that closes a run."""
        self._write({"kind": "end", **facts})

    def close(self) -> None:
        self._file.close()

    def _write(self, record: dict[str, Any]) -> None:
        # ASCII only: a value may hold half of a surrogate pair, which no encoding of text can carry.
        self._file.write(json.dumps(record, separators=(",", ":")) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def read_log(path: str | os.PathLike[str]) -> list[list[Step]]:
    """The steps of every run in a log, oldest first.

    Raises:
        LogError: the file cannot be read or is not a log.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise LogError(f"cannot read the log {path}: {error}") from error
    runs: list[list[Step]] = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            if number == len(lines):  # the run was killed while it wrote this line
                break
            raise LogError(f"line {number} of {path} is not JSON: is this a run log?") from None
        kind = record.get("kind") if isinstance(record, dict) else None
        if kind == "run":
            runs.append([])
        elif kind != "end":
            if not runs:
                raise LogError(f"line {number} of {path} belongs to no run: is this a run log?")
            runs[-1].append(step_from_json(record))
    return runs
