"""Tells the files of a preset apart in a moment, so that a run is not gone on with by another model."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ..models.errors import WeightsError

_WHOLE = 1 << 20  # bytes up to which a file is read whole
_PIECES, _PIECE = 16, 4096
_FILES = ("config.json", "ferrule.json", "tokenizer.*", "*.safetensors", "*.weights.h5", "*.cact")


def fingerprint(path: Path) -> str:
    """A short digest of a preset's file or folder: ``"sampled:3f9c…"``.

    It covers the names and sizes of weights, tokenizer and configuration, all bytes of files up to 1 MiB, the header of each
    safetensors file (names, types, shapes and places of all tensors), and of every larger file 16 pieces of 4 KiB at equal
    distances, its first and last bytes among them. So it takes milliseconds, and tells models, sizes, types, quantisations and
    trained copies apart; it is no checksum: a change between the pieces goes unseen. `weights_sha256` reads all of it.

    Raises:
        WeightsError: a file cannot be read.
    """
    files = sorted({file for pattern in _FILES for file in path.glob(pattern)}) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        try:
            digest.update(f"{file.name if path.is_dir() else ''}\0{file.stat().st_size}\0".encode())
            _add(digest, file)
        except OSError as error:
            raise WeightsError(f"cannot open {file}: {error.strerror}") from None
    return f"sampled:{digest.hexdigest()[:32]}"


def _add(digest: hashlib._Hash, path: Path) -> None:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= _WHOLE:
            digest.update(file.read())
            return
        if path.suffix == ".safetensors":
            length = int.from_bytes(file.read(8), "little")
            digest.update(file.read(min(length, size)))
        for n in range(_PIECES):
            file.seek(n * (size - _PIECE) // (_PIECES - 1))
            digest.update(file.read(_PIECE))
