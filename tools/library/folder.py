"""A folder that nothing leads out of: every path is walked from it, one name at a time, and links are not followed.

Names are opened relative to the open folder above them (`dir_fd`) with `O_NOFOLLOW`, so that a name which becomes a link
between a check and its use is refused all the same. What the standard library cannot tell: a hard link to a file elsewhere is
that file. Whatever writes here writes a new file and renames it, so such a file may be read, but is never changed.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import RetryCall, ToolDefinitionError, ToolFailed
from ..tool import shown

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, a pipe would be waited for
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MAX_VISITED = 20_000
_KINDS = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "link"))


@dataclass(frozen=True)
class Entry:
    """What lies in a folder: path from the root, kind ("file", "folder", "link", "special file"), bytes, time of change."""

    path: str
    kind: str
    size: int
    modified: float


class Folder:
    """Access to what lies in a folder, by paths such as "notes/todo.txt".

    Args:
        root: the folder.

    Raises:
        ToolDefinitionError: there is no such folder.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).expanduser().resolve()
        if not self.root.is_dir():
            what = "is no folder" if self.root.exists() else "does not exist"
            raise ToolDefinitionError(f"the folder {shown(os.fspath(root))} {what}; name one that is there")

    @contextlib.contextmanager
    def opened(self, parts: tuple[str, ...]) -> Iterator[int]:
        """The descriptor of a folder below the root.

        Raises:
            RetryCall: there is none of that path.
        """
        current = os.open(self.root, _FOLDER)
        try:
            for depth, name in enumerate(parts):
                try:
                    below = os.open(name, _FOLDER, dir_fd=current)
                except OSError as error:
                    raise self.refusal(error, parts[: depth + 1], current, "folder") from None
                os.close(current)
                current = below
            yield current
        finally:
            os.close(current)

    def read(self, path: str, most: int) -> bytes:
        """A file's contents.

        Raises:
            RetryCall: there is no file of that path.
            ToolFailed: it has more than `most` bytes.
        """
        parts = split(path)
        with self.opened(parts[:-1]) as folder:
            try:
                # The root itself is a folder, which is said below
                descriptor = os.open(parts[-1] if parts else ".", _FILE, dir_fd=folder)
            except OSError as error:
                raise self.refusal(error, parts, folder, "file") from None
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                os.close(descriptor)
                raise RetryCall(f"{shown(path)} is a {kind_of(found.st_mode)}, and no file")
            with open(descriptor, "rb") as file:
                data = file.read(most + 1)
        if len(data) > most:
            raise ToolFailed(f"{shown(path)} has {found.st_size} bytes; at most {most} can be read")
        return data

    def entries(self, parts: tuple[str, ...]) -> list[Entry]:
        """What lies in a folder, by name."""
        with self.opened(parts) as folder:
            return list(_scan(folder, "/".join(parts)))

    def walk(self, parts: tuple[str, ...]) -> Iterator[Entry]:
        """All that lies in and below a folder, level by level; links are not followed.

        Raises:
            ToolFailed: there is more than can be looked through.
        """
        waiting, seen = [parts], 0
        while waiting:
            try:
                found = self.entries(waiting.pop(0))
            except RetryCall:
                continue  # gone or closed to us since it was listed
            for entry in found:
                seen += 1
                if seen > MAX_VISITED:
                    raise ToolFailed(f"there are more than {MAX_VISITED} files; look in one of the folders")
                yield entry
                if entry.kind == "folder":
                    waiting.append(tuple(entry.path.split("/")))

    def refusal(self, error: OSError, parts: tuple[str, ...], folder: int, wanted: str) -> Exception:
        """What to say of a name in an open folder that cannot be used."""
        path = "/".join(parts)
        if error.errno == errno.ENOENT:
            return RetryCall(f"there is no {wanted} {shown(path)}{self._near(parts, folder)}")
        try:
            mode = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False).st_mode if parts else 0
        except OSError:
            mode = 0
        if stat.S_ISLNK(mode):
            return ToolFailed(f"{shown(path)} is a link; links are not followed")
        if error.errno == errno.ENOTDIR:
            return RetryCall(f"{shown(path)} is a {kind_of(mode)}, and no folder")
        return ToolFailed(f"{shown(path)}: {error.strerror or error}")

    def _near(self, parts: tuple[str, ...], folder: int) -> str:
        known = {entry.path.casefold(): entry.path for entry in _scan(folder, "/".join(parts[:-1]))}
        wanted = "/".join(parts).casefold()
        names = difflib.get_close_matches(wanted, known, n=3)
        # A file that was named without the ending of its name
        names += [name for name in known if name.startswith(wanted + ".") and name not in names]
        if names:
            return f"; did you mean {' or '.join(shown(known[name]) for name in names[:3])}?"
        listed = ", ".join(list(known.values())[:8])
        return f"; there are: {listed}" if listed else "; the folder is empty"


def split(path: str) -> tuple[str, ...]:
    """The names of a path below the root; "" and "." are the root.

    Raises:
        RetryCall: it leads elsewhere, or cannot be a path.
    """
    if "\0" in path or len(path) > 1000:
        raise RetryCall("a path is at most 1000 characters, and no NUL among them")
    if path.startswith(("/", "~")):
        raise RetryCall(f"paths start in the folder itself, as notes/todo.txt does; received {shown(path)}")
    names = tuple(name for name in path.split("/") if name not in ("", "."))
    if ".." in names:
        raise RetryCall(f"a path cannot lead out of the folder, so it has no '..'; received {shown(path)}")
    return names


def kind_of(mode: int) -> str:
    """ "file", "folder", "link" or "special file"."""
    return next((name for check, name in _KINDS if check(mode)), "special file")


def _scan(folder: int, path: str) -> Iterator[Entry]:
    with os.scandir(folder) as found:
        for item in sorted(found, key=lambda item: item.name):
            try:
                facts = item.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            # A name that is not UTF-8 cannot be said in JSON; it is shown, but cannot be called for
            name = item.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            yield Entry(f"{path}/{name}" if path else name, kind_of(facts.st_mode), facts.st_size, facts.st_mtime)
