"""How the kernels of the NumPy backend are compiled by Numba, and kept on disk between processes."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

_LOG = logging.getLogger(__name__)
# Sums may be reordered; infinities and NaNs keep their meaning.
OPTIONS = {"nogil": True, "fastmath": {"reassoc", "contract", "arcp", "nsz"}, "error_model": "numpy"}


def _folder() -> str | None:
    """Where compiled kernels are kept: one folder for each version of their source. Numba itself only looks at one file."""
    root = os.environ.get("FERRULE_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "ferrule")
    source = hashlib.sha256(numba.__version__.encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        source.update(file.read_bytes())
    folder = os.path.join(root, "numba", source.hexdigest()[:16])
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:  # a disk that cannot be written: compile in every process
        return None


_FOLDER = _folder()


def compiled(signature: str) -> Callable[[Callable], Any]:
    """Decorator: a function that C can call, with a signature of `void` and `intp`."""

    def decorate(function: Callable) -> Any:
        global _FOLDER
        if _FOLDER is not None:
            try:
                return _kept(signature, function, _FOLDER)
            except OSError as error:  # a disk that is full
                _LOG.warning(
                    "%s: compiled kernels cannot be kept: %s; make room, or set FERRULE_CACHE to a folder that has some",
                    _FOLDER,
                    error.strerror or error,
                )
                _FOLDER = None
        return numba.cfunc(signature, **OPTIONS)(function)

    return decorate


def _kept(signature: str, function: Callable, folder: str) -> Any:
    users, numba.config.CACHE_DIR = numba.config.CACHE_DIR, folder
    try:
        return numba.cfunc(signature, cache=True, **OPTIONS)(function)
    finally:
        numba.config.CACHE_DIR = users


f32, i32 = numba.float32, numba.int32
ADDRESS: dict[str, int] = {}  # of every kernel, by name


def kernel_of(function: Callable, name: str = "") -> Any:
    """Compile a kernel: one instruction of a recorded program (`program.py`).

    It gets the address of its arguments and which part of the work it is to do: threads run a program side by side, each doing
    its part, `part` of `parts`, of an instruction.
    """
    kernel = compiled("void(intp, intp, intp)")(function)
    ADDRESS[name or function.__name__] = kernel.address
    return kernel


def inline(function: Callable) -> Any:
    """A function for kernels to call."""
    return numba.njit(inline="never", **OPTIONS)(function)
