"""Files of named arrays in the safetensors format: memory-mapped when read, never half-written.

A file is the length of its header (8 bytes, little-endian), the header as JSON (name -> dtype, shape, data_offsets), and the
arrays one after the other (https://github.com/huggingface/safetensors). A checkpoint is one such file, ``model.safetensors``;
a large one is several, beside an index, ``model.safetensors.index.json``.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from .errors import WeightsError

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_LONGEST_HEADER = 100_000_000  # bytes; the format's own limit
_DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
# Formats that unpickle what they read, and so run whatever somebody put into them
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


class SafetensorsFile(Mapping[str, np.ndarray]):
    """Arrays of one file by name, as read-only views of the mapped file: nothing is read before it is used.

    Raises:
        WeightsError: the file is missing, truncated, or no safetensors file.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        try:
            with self.path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                length = int.from_bytes(file.read(8), "little")
                if size < 8 or length > min(size - 8, _LONGEST_HEADER):
                    raise WeightsError(f"{self.path}: no safetensors file, or a truncated one ({size} bytes); {self._remedy()}")
                header = json.loads(file.read(length))
            self._memory = np.memmap(self.path, np.uint8, "r") if size else np.zeros(0, np.uint8)
        except OSError as error:
            remedy = self._remedy() if isinstance(error, FileNotFoundError) else "it must be a file that may be read"
            raise WeightsError(f"{self.path}: cannot be read: {error.strerror or error}; {remedy}") from None
        except (ValueError, RecursionError):
            raise WeightsError(f"{self.path}: no safetensors file: its header is no JSON; {self._remedy()}") from None
        if not isinstance(header, dict):
            raise WeightsError(f"{self.path}: no safetensors file: its header is no JSON object; {self._remedy()}")
        self.metadata = header.pop("__metadata__", {})
        self._entries = {name: self._entry(name, entry, 8 + length, size) for name, entry in header.items()}
        ends = 8 + length
        for _, _, first, last in sorted(self._entries.values(), key=lambda entry: entry[2:]):
            if first != ends:
                raise WeightsError(
                    f"{self.path}: damaged: its arrays do not lie one behind the other (at byte {first}); {self._remedy()}"
                )
            ends = last

    def _remedy(self) -> str:
        """Caches of the hub link to their files: it is these that are damaged."""
        if self.path.is_symlink() and self.path.exists():
            return f"delete {self.path.resolve()} and fetch it again"
        return "fetch or copy the file again"

    def _entry(self, name: str, entry: Any, start: int, size: int) -> tuple[np.dtype, tuple[int, ...], int, int]:
        try:
            dtype, shape, (first, last) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
            whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in (*shape, first, last))
        except (TypeError, KeyError, ValueError):
            whole = False
        if not whole:
            raise WeightsError(f"{self.path}: the header's entry for {name!r} is damaged; {self._remedy()}")
        if dtype not in _DTYPES:
            raise WeightsError(f"{self.path}: {name} has element type {dtype!r}; supported are {', '.join(_DTYPES)}")
        if last - first != math.prod(shape) * _DTYPES[dtype].itemsize:
            wrong = f"{name} of shape {shape} and type {dtype} cannot take {last - first} bytes"
            raise WeightsError(f"{self.path}: {wrong}; {self._remedy()}")
        if start + last > size:
            raise WeightsError(f"{self.path}: truncated: {name} ends at byte {start + last} of {size}; {self._remedy()}")
        return _DTYPES[dtype], shape, start + first, start + last

    def __getitem__(self, name: str) -> np.ndarray:
        dtype, shape, first, last = self._entries[name]
        flat = self._memory[first:last]
        if first % dtype.itemsize:  # the header's length need not be a multiple of an element's
            flat = flat.copy()
        return np.asarray(flat.view(dtype)).reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class Checkpoint(Mapping[str, np.ndarray]):
    """Arrays of a folder of safetensors files by name, whichever file they lie in; see `weight_files`.

    Raises:
        WeightsError: there is no such file, only one with a pickle inside, or the index and its files disagree.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        places = _index(self.folder)
        files = {path.name: SafetensorsFile(path) for path in weight_files(self.folder)}
        for name, place in (places or {}).items():
            if name not in files[place]:
                raise WeightsError(f"{self.folder / INDEX}: {name} is not in {place}; fetch the files again")
        self._files = {name: files[place] for name, place in (places or {}).items()}
        for file in files.values() if places is None else ():
            twice = self._files.keys() & file.keys()
            if twice:
                raise WeightsError(f"{self.folder}: {min(twice)} lies in two files; leave one of them in the folder")
            self._files.update(dict.fromkeys(file, file))

    def __getitem__(self, name: str) -> np.ndarray:
        return self._files[name][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def weight_files(folder: Path) -> list[Path]:
    """The files of a folder that a model is read from: `model.safetensors`, else those of the index, else all safetensors.

    That is the order of `transformers`. Others beside them often hold the same weights again, or an adapter's.

    Raises:
        WeightsError: there is no such file, only one with a pickle inside, or the index is damaged.
    """
    places = _index(folder)
    if places is not None:
        return [folder / place for place in sorted(set(places.values()))]
    whole = folder / WHOLE
    paths = [whole] if whole.is_file() else sorted(folder.glob("*.safetensors"))
    if not paths:
        pickles = sorted(path.name for path in folder.glob("*") if path.suffix in _PICKLES)
        if pickles:
            raise WeightsError(
                f"{folder}: {pickles[0]} is a pickle, which can run any code when it is read; "
                "convert it to safetensors where you trust it"
            )
        raise WeightsError(f"{folder}: holds no .safetensors file; fetch or copy its weights again")
    return paths


def _index(folder: Path) -> dict[str, str] | None:
    """File of each array, where an index tells."""
    path = folder / INDEX
    if (folder / WHOLE).is_file() or not path.is_file():
        return None
    try:
        places = {name: str(file) for name, file in json.loads(path.read_bytes())["weight_map"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WeightsError(f"{path}: no index of safetensors files; it needs an object weight_map") from None
    outside = [file for file in places.values() if Path(file).name != file or not file.endswith(".safetensors")]
    if outside:
        raise WeightsError(f"{path}: {outside[0]!r} is no safetensors file of its folder")
    return places


def write_safetensors(
    path: str | os.PathLike[str], arrays: Iterable[tuple[str, np.ndarray]], metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays, one at a time, to a temporary file that then takes the name.

    Args:
        arrays: names and arrays of any of the format's element types; gone through twice, so not an iterator.
        metadata: strings for the header; `transformers` wants ``{"format": "pt"}``.
    """
    path = Path(path)
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, array in arrays:
        start, end = end, end + array.nbytes
        header[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # arrays begin at a multiple of 8
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for _, array in arrays:
                file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
