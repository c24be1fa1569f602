"""Files and folders below one folder: look, read, write, move, delete."""

from __future__ import annotations

import errno
import fnmatch
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from ..errors import RetryCall, ToolDefinitionError, ToolFailed
from ..tool import shown, tool
from ..toolset import Toolset
from .folder import Entry, Folder, kind_of, split
from .limits import Limits
from .writing import create_in, replace_in

_MOST_LISTED = 100
_LINE = 200
_Path = Annotated[str, Limits(min_length=1, max_length=1000)]


def make_tools(folder: Path, max_bytes: int = 1 << 20, max_read: int = 8000) -> Toolset:
    """Files and folders below one folder; nothing else can be read or written, and links are not followed.

    Args:
        folder: The folder.
        max_bytes: Largest file that is read or written, in bytes.
        max_read: Characters of a file that are given at once.
    """
    for name, value in (("max_bytes", max_bytes), ("max_read", max_read)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ToolDefinitionError(f"{name} is a whole number above 0, received {shown(value)}")
    files = _Files(Folder(folder), max_bytes, max_read)
    # What is written stays in the folder; where to is what must not be somebody else's wish
    where = {"permission": "write", "sensitive": ["path"]}
    both = {"permission": "write", "sensitive": ["path", "new_path"]}
    return Toolset(
        [
            tool(files.list_files),
            tool(files.find_files),
            tool(files.search_text),
            tool(files.read_file),
            tool(**where)(files.write_file),
            tool(**where)(files.add_to_file),
            tool(permission="destructive", idempotent=True, sensitive=["path"])(files.overwrite_file),
            tool(**both)(files.move_file),
            tool(**both)(files.copy_file),
            tool(permission="destructive")(files.delete_file),
            tool(**where, idempotent=True)(files.make_folder),
        ]
    )


class _Files:
    def __init__(self, folder: Folder, max_bytes: int, max_read: int) -> None:
        self.folder, self.max_bytes, self.max_read = folder, max_bytes, max_read

    def list_files(self, folder: str = "") -> dict[str, Any]:
        """List the files and folders.

        Args:
            folder: Folder to list, such as notes; all of it by default.
        """
        return _listed(self.folder.entries(split(folder)))

    def find_files(self, name: Annotated[str, Limits(min_length=1, max_length=200)]) -> dict[str, Any]:
        """Find files and folders by a part of their name.

        Args:
            name: A part of the name, such as todo or .md.
        """
        wanted = name.casefold()
        pattern = wanted if any(sign in wanted for sign in "*?[") else f"*{wanted}*"

        def fits(entry: Entry) -> bool:
            text = entry.path.casefold()
            return fnmatch.fnmatchcase(text if "/" in pattern else text.rpartition("/")[2], pattern)

        return _listed([entry for entry in self.folder.walk(()) if fits(entry)])

    def search_text(self, text: Annotated[str, Limits(min_length=1, max_length=500)], folder: str = "") -> dict[str, Any]:
        """Find which files contain or mention a text; upper and lower case are one.

        Args:
            text: Text to look for.
            folder: Folder to search, such as notes; all of it by default.
        """
        wanted, found, skipped = text.casefold(), [], 0
        for entry in self.folder.walk(split(folder)):
            if entry.kind != "file":
                continue
            try:
                content = _text(self.folder.read(entry.path, self.max_bytes), entry.path)
            except (ToolFailed, RetryCall):
                skipped += 1
                continue
            lines = enumerate(content.split("\n"), 1)
            found += [
                {"path": entry.path, "line": n, "text": line.strip()[:_LINE]} for n, line in lines if wanted in line.casefold()
            ]
            if len(found) > _MOST_LISTED:
                break
        result: dict[str, Any] = {"matches": found[:_MOST_LISTED]}
        if len(found) > _MOST_LISTED:
            result["note"] = f"only the first {_MOST_LISTED} are given"
        elif skipped:
            result["note"] = f"files that are no text or too large were left out: {skipped}"
        return result

    def read_file(self, path: _Path, first_line: Annotated[int, Limits(ge=1)] = 1) -> dict[str, Any]:
        """Read a text file.

        Args:
            path: Path of the file, such as notes/todo.txt.
            first_line: Line to start at.
        """
        lines = _text(self.folder.read(path, self.max_bytes), path).splitlines(keepends=True)
        if first_line > max(1, len(lines)):
            raise RetryCall(f"{shown(path)} has {len(lines)} lines, so there is no line {first_line}")
        text = "".join(lines[first_line - 1 :])
        result = {"path": "/".join(split(path)), "lines": len(lines), "text": text[: self.max_read]}
        if len(text) > self.max_read:
            result["note"] = f"only {self.max_read} of {len(text)} characters; read on from a later first_line"
        return result

    def write_file(self, path: _Path, text: str) -> dict[str, Any]:
        """Write a new text file.

        Args:
            path: Path of the new file, such as notes/todo.txt.
            text: What to write in it.
        """
        data = self._data(text)
        with self._place(path) as (folder, name):
            create_in(folder, name, data)
        return {"path": "/".join(split(path)), "bytes": len(data)}

    def add_to_file(self, path: _Path, text: str) -> dict[str, Any]:
        """Add a line of text at the end of a file, such as a list; without one, it is made.

        Args:
            path: Path of the file, such as notes/todo.txt.
            text: Text to add.
        """
        with self._place(path) as (folder, name):
            try:
                kind = kind_of(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
            except FileNotFoundError:
                kind = None
            before = b"" if kind is None else self.folder.read(path, self.max_bytes)
            _text(before, path)
            data = before + (b"\n" if before and not before.endswith(b"\n") else b"") + self._data(text)
            data += b"" if data.endswith(b"\n") else b"\n"
            self._check_size(data)
            (create_in if kind is None else replace_in)(folder, name, data)
        return {"path": "/".join(split(path)), "bytes": len(data), "lines": data.count(b"\n"), "created": kind is None}

    def overwrite_file(self, path: _Path, text: str) -> dict[str, Any]:
        """Overwrite a file: everything that was in it is lost.

        Args:
            path: Path of the file, such as notes/todo.txt.
            text: What is in it from now on.
        """
        data = self._data(text)
        self.folder.read(path, self.max_bytes)  # it is there, and a file
        with self._place(path) as (folder, name):
            replace_in(folder, name, data)
        return {"path": "/".join(split(path)), "bytes": len(data)}

    def move_file(self, path: _Path, new_path: _Path) -> dict[str, Any]:
        """Move or rename a file or folder.

        Args:
            path: Path of the file, such as notes/todo.txt.
            new_path: Its new path, or a folder to move it into, such as archive.
        """
        new = self._target(path, new_path)
        with self._place(path) as (folder, name):
            kind = kind_of(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
            if kind not in ("file", "folder"):
                raise ToolFailed(f"{shown(path)} is a {kind}; only files and folders are moved")
            with self._place(new) as (target, new_name):
                if kind == "folder":
                    _move_folder(folder, name, target, new_name)
                else:
                    # A second name and then not the first: unlike a rename, this takes no name that is in use
                    os.link(name, new_name, src_dir_fd=folder, dst_dir_fd=target, follow_symlinks=False)
                    os.unlink(name, dir_fd=folder)
        return {"path": "/".join(split(path)), "new_path": new}

    def copy_file(self, path: _Path, new_path: _Path) -> dict[str, Any]:
        """Copy a file.

        Args:
            path: Path of the file, such as notes/todo.txt.
            new_path: Path of the copy, or a folder to copy it into, such as archive.
        """
        data, new = self.folder.read(path, self.max_bytes), self._target(path, new_path)
        with self._place(new) as (folder, name):
            create_in(folder, name, data)
        return {"path": "/".join(split(path)), "new_path": new, "bytes": len(data)}

    def delete_file(self, path: _Path) -> dict[str, Any]:
        """Delete a file, or a folder that is empty.

        Args:
            path: Path of the file, such as notes/todo.txt.
        """
        with self._place(path) as (folder, name):
            if kind_of(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode) == "folder":
                os.rmdir(name, dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)
        return {"deleted": "/".join(split(path))}

    def make_folder(self, path: _Path) -> dict[str, Any]:
        """Make a new folder.

        Args:
            path: Path of the folder, such as notes/2026.
        """
        parts = split(path)
        made = False
        for depth in range(1, len(parts) + 1):
            with self.folder.opened(parts[: depth - 1]) as above:
                try:
                    os.mkdir(parts[depth - 1], dir_fd=above)
                    made = True
                except FileExistsError:
                    pass
                except OSError as error:
                    raise self.folder.refusal(error, parts[:depth], above, "folder") from None
        with self.folder.opened(parts):
            return {"path": "/".join(parts), "created": made}

    def _target(self, path: str, new_path: str) -> str:
        """Where to: inside of it, under the old name, where the new path is a folder."""
        parts, new = split(path), split(new_path)
        if not parts:
            raise RetryCall("the folder itself stays where it is; name a file in it")
        into = not new or new_path.endswith("/")
        if not into:
            with self.folder.opened(new[:-1]) as above:
                try:
                    into = stat.S_ISDIR(os.stat(new[-1], dir_fd=above, follow_symlinks=False).st_mode)
                except FileNotFoundError:
                    into = False
        return "/".join((*new, parts[-1]) if into else new)

    @contextmanager
    def _place(self, path: str) -> Iterator[tuple[int, str]]:
        """The open folder that a path is in, and the name there; what fails in the block is said in words."""
        parts = split(path)
        if not parts:
            raise RetryCall(f"{shown(path)} is the folder itself; name a file in it")
        with self.folder.opened(parts[:-1]) as folder:
            try:
                yield folder, parts[-1]
            except FileExistsError:
                raise RetryCall(f"there is already a {shown('/'.join(parts))}; choose another name") from None
            except OSError as error:
                if error.errno == errno.ENOTEMPTY:
                    raise ToolFailed(f"the folder {shown(path)} is not empty; delete what is in it first") from None
                if error.errno == errno.EINVAL:
                    raise RetryCall("a folder cannot be moved into itself") from None
                raise self.folder.refusal(error, parts, folder, "file or folder") from None

    def _data(self, text: str) -> bytes:
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise RetryCall("the text is not valid Unicode (a lone surrogate)") from None
        self._check_size(data)
        return data

    def _check_size(self, data: bytes) -> None:
        if len(data) > self.max_bytes:
            raise ToolFailed(f"a file of {len(data)} bytes is too large; at most {self.max_bytes} are written")


def _move_folder(folder: int, name: str, target: int, new_name: str) -> None:
    try:
        os.stat(new_name, dir_fd=target, follow_symlinks=False)
    except FileNotFoundError:
        # What takes the name in between is lost only where it is an empty folder: the system refuses all else
        os.rename(name, new_name, src_dir_fd=folder, dst_dir_fd=target)
    else:
        raise FileExistsError(errno.EEXIST, "there is something of that name")


def _text(data: bytes, path: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ToolFailed(f"{shown(path)} is no text in UTF-8")
    return text


def _listed(entries: list[Entry]) -> dict[str, Any]:
    entries = [entry for entry in entries if not _is_ours(entry)]
    result: dict[str, Any] = {"files": [_described(entry) for entry in entries[:_MOST_LISTED]]}
    if len(entries) > _MOST_LISTED:
        result["note"] = f"the first {_MOST_LISTED} of {len(entries)}"
    return result


def _is_ours(entry: Entry) -> bool:
    """A file that is just being written, or was when the program was killed."""
    name = entry.path.rpartition("/")[2]
    return name.startswith(".") and name.endswith(".tmp") and len(name) == 21


def _described(entry: Entry) -> dict[str, Any]:
    if entry.kind != "file":
        return {"path": entry.path, "kind": entry.kind}
    changed = datetime.fromtimestamp(entry.modified).isoformat(" ", "minutes")
    return {"path": entry.path, "kind": "file", "bytes": entry.size, "changed": changed}
