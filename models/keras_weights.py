"""Weights as Keras saves them, ``*.weights.h5``: arrays by path, read one by one when they are asked for.

A file is HDF5; each variable is a data set such as ``layers/dense/vars/0``. Keras stores bfloat16 as two opaque bytes with an
attribute ``dtype``. Above a size of the saver's choice there are several such files beside an index, ``model.weights.json``.

HDF5 can do more than hold arrays. Links, data in other files, virtual data sets and objects are refused: what is read is
numbers of this very file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from .errors import WeightsError

SINGLE, INDEX = "model.weights.h5", "model.weights.json"
_DEEPEST = 16  # groups inside each other; Keras takes half as many


class KerasWeights(Mapping[str, "StoredArray"]):
    """Arrays of a folder by path, from `model.weights.h5` or else the files of `model.weights.json`.

    The files are open until `close`, or the end of a ``with``.

    Raises:
        WeightsError: h5py is not installed, or a file is missing, damaged or holds what is no array.
    """

    def __init__(self, folder: Path):
        try:
            import h5py
        except ImportError:
            raise WeightsError(f"{folder}: needs h5py, which is not installed (pip install 'ferrule[keras]')") from None
        self._files: list[Any] = []
        self._arrays: dict[str, StoredArray] = {}
        try:
            for path in _paths(folder):
                self._add(path, h5py)
        except BaseException:
            self.close()
            raise

    def _add(self, path: Path, h5py: Any) -> None:
        try:
            self._files.append(h5py.File(path, "r"))
            found = dict(_walk(self._files[-1], "", path, h5py, set()))
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # as the library says that bytes are wrong
            raise WeightsError(f"{path}: no HDF5 file, or a damaged one ({_reason(error)}); fetch it again") from None
        twice = found.keys() & self._arrays.keys()
        if twice:
            raise WeightsError(f"{path}: {min(twice)} is in another file of {INDEX} as well")
        self._arrays.update(found)

    def __getitem__(self, path: str) -> StoredArray:
        return self._arrays[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __enter__(self) -> KerasWeights:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for file in self._files:
            file.close()


class StoredArray:
    """An array of a file: its shape and element type, and with ``np.asarray`` its numbers."""

    def __init__(self, data: Any, path: Path):
        self._data, self._path = data, path
        self.shape: tuple[int, ...] = data.shape
        halves = data.dtype == np.dtype("V2") and data.attrs.get("dtype") == "bfloat16"
        self.dtype = np.dtype(ml_dtypes.bfloat16) if halves else data.dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        try:
            found = np.asarray(self._data[()])
        except (OSError, RuntimeError) as error:
            raise WeightsError(f"{self._path}: {self._data.name} cannot be read ({_reason(error)}); fetch it again") from None
        found = found.view(self.dtype) if self.dtype == ml_dtypes.bfloat16 else found
        return found if dtype is None else found.astype(dtype, copy=False)


def _paths(folder: Path) -> list[Path]:
    """The files that hold the arrays."""
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    index = folder / INDEX
    if not index.is_file():
        raise WeightsError(f"{folder}: holds neither {SINGLE} nor {INDEX}")
    names = indexed(index)
    for name in names:
        if not (folder / name).is_file():
            raise WeightsError(f"{index}: {name} is missing; fetch it into the same folder")
    return [folder / name for name in names]


def indexed(index: Path) -> list[str]:
    """The files that an index names, all of its own folder.

    Raises:
        WeightsError: it is no index, or names something else.
    """
    try:
        places = json.loads(index.read_bytes())["weight_map"].values()
        names = sorted({str(name) for place in places for name in (place if isinstance(place, list) else [place])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WeightsError(f"{index}: no index of Keras weights; it needs an object weight_map") from None
    for name in names:
        if Path(name).name != name or not name.endswith(".weights.h5"):
            raise WeightsError(f"{index}: {name!r} is no file of weights of its folder")
    return names


def _walk(group: Any, prefix: str, path: Path, h5py: Any, seen: set[int]) -> Iterator[tuple[str, StoredArray]]:
    """Every array below a group; `seen` has the places in the file of what was met already."""
    if prefix.count("/") > _DEEPEST:
        raise WeightsError(f"{path}: {prefix} lies more than {_DEEPEST} groups deep; Keras writes no such file")
    for name in group:
        place = prefix + name
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise WeightsError(f"{path}: {place} is a link, which can lead to any file; only arrays of this file are read")
        found = group[name]
        address = h5py.h5o.get_info(found.id).addr
        if address in seen:
            raise WeightsError(f"{path}: {place} is there under another name as well; Keras writes no such file")
        seen.add(address)
        if isinstance(found, h5py.Group):
            yield from _walk(found, f"{place}/", path, h5py, seen)
        else:
            yield place, _checked(found, place, path, h5py)


def _checked(data: Any, place: str, path: Path, h5py: Any) -> StoredArray:
    if not isinstance(data, h5py.Dataset) or data.shape is None:
        raise WeightsError(f"{path}: {place} is no array")
    if data.external or data.is_virtual:
        raise WeightsError(f"{path}: {place} has its data in another file; only arrays of this file are read")
    array = StoredArray(data, path)
    if array.dtype.kind not in "fiub" and array.dtype != ml_dtypes.bfloat16:
        raise WeightsError(f"{path}: {place} holds {array.dtype}, not numbers")
    return array


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].strip("'\"")
