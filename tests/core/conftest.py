"""Every test that asks for `backend` runs once on each of them; on NumPy twice, without and with the compiled kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ferrule.core import Backend, BackendNotInstalledError, backend_names, get_backend
from ferrule.core.backends.numpy import REFERENCE

NUMPY_FORMS = ["numpy", "numpy-kernels"]


@pytest.fixture(scope="session", params=[*NUMPY_FORMS, *(name for name in backend_names() if name != "numpy")])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each backend in turn; a framework that is not installed is skipped with the line that a user would read."""
    yield from _choose(request.param)


@pytest.fixture(scope="session")
def run(backend: Backend) -> Callable[..., Any]:
    """``run(fn, module, *arrays)`` is ``fn(module, *arrays)``, compiled where that matters (NumPy) or saves time (JAX)."""
    if backend.name == "jax" or backend is get_backend("numpy"):
        return lambda fn, module, *arrays: backend.compile(fn, module)(*arrays)
    return lambda fn, module, *arrays: fn(module, *arrays)


@pytest.fixture(scope="session", params=NUMPY_FORMS)
def numpy_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The two forms of the NumPy backend, for tests with so many shapes that compiling for each would take too long."""
    yield from _choose(request.param)


def _choose(name: str) -> Iterator[Backend]:
    if name not in NUMPY_FORMS:
        try:
            chosen = get_backend(name)
        except BackendNotInstalledError as error:
            pytest.skip(str(error))
        yield chosen
        return
    if name == "numpy":
        yield REFERENCE
    else:
        pytest.importorskip("numba", reason="the compiled programs of the NumPy backend need numba")
        yield get_backend("numpy")
