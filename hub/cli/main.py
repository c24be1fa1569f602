"""The entry of `ferrule`: opens the standard streams and answers Ctrl-C from the first moment, then imports the commands."""

from __future__ import annotations

import errno
import io
import os
import sys


class _Output(io.RawIOBase):
    """A file descriptor on which writing does not fail: what it no longer takes is dropped, so that a run goes on to its end.

    Attributes:
        error: why something was dropped.
    """

    def __init__(self, descriptor: int):
        self.descriptor = descriptor
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.descriptor

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)

    def write(self, data) -> int:
        if self.error is None:
            try:
                return os.write(self.descriptor, data)
            except OSError as error:
                self.error = error
        return len(data)


def main() -> None:
    """Run the command line and exit with its status.

    A reader that goes away (`ferrule run … | head -1`) changes nothing: the command goes on and exits with its own status.
    Output that cannot be written for another reason is one line on standard error and, if all else went well, status 1.
    """
    _open_closed_descriptors()
    output = _Output(1)
    sys.stdout = _text(output, sys.stdout)
    sys.stderr = _text(_Output(2), sys.stderr)
    try:
        from .app import app

        app()
        status = 0
    except SystemExit as done:
        status = done.code
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        status = 130
    sys.stdout.flush()
    if output.error is not None and output.error.errno != errno.EPIPE:
        sys.stderr.write(f"error: standard output cannot be written: {output.error.strerror}\n")
        status = status or 1
    sys.exit(status)


def _text(output: _Output, found: io.TextIOWrapper | None) -> io.TextIOWrapper:
    encoding, by_lines = ("utf-8", False) if found is None else (found.encoding, found.line_buffering)
    # A terminal or pipe that cannot show a character gets its escape, not a traceback.
    return io.TextIOWrapper(io.BufferedWriter(output), encoding, "backslashreplace", line_buffering=by_lines)


def _open_closed_descriptors() -> None:
    """Whoever started us may have closed some (`>&-`); the next file that is opened, a log perhaps, would take their place."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
