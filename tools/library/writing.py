"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file: a reader, or whoever comes after a crash, finds the old contents or the new ones. OSError where it fails.

    A link is followed: what it leads to is replaced, and not the link.
    """
    target = Path(path).resolve()
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        replace_in(folder, target.name, data)
    finally:
        os.close(folder)


def replace_in(folder: int, name: str, data: bytes) -> None:
    """As `write_whole`, in an open folder; a file that is there keeps its mode."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode & 0o777
    except FileNotFoundError:
        mode = None
    with _written(folder, data, mode) as temporary:
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def create_in(folder: int, name: str, data: bytes) -> None:
    """As `replace_in`, for a name that is free: FileExistsError where it is not, even if it was a moment ago."""
    with _written(folder, data, None) as temporary:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)


@contextlib.contextmanager
def _written(folder: int, data: bytes, mode: int | None) -> Iterator[str]:
    """Name of a new file with these contents; on disk, as what is done with it, when the block is left."""
    temporary = f".{secrets.token_hex(8)}.tmp"
    descriptor = os.open(temporary, _CREATE, 0o666, dir_fd=folder)
    try:
        with open(descriptor, "wb") as file:
            if mode is not None:
                os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):  # it was renamed
            os.unlink(temporary, dir_fd=folder)
    os.fsync(folder)
