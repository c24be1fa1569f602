"""Every test that asks for `backend` runs once on each of them; on NumPy twice, without and with the compiled kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ferrule.core import Backend, BackendNotInstalledError, backend_names, get_backend

NUMPY_FORMS = ["numpy", "numpy-kernels"]


@pytest.fixture(scope="session", params=[*NUMPY_FORMS, *(name for name in backend_names() if name != "numpy")])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each backend in turn; a framework that is not installed is skipped with the line that a user would read."""
    yield from _choose(request.param)


@pytest.fixture(scope="session")
def run(backend: Backend) -> Callable[..., Any]:
    """``run(fn, module, *arrays)`` is ``fn(module, *arrays)``, on JAX compiled as a whole: eagerly it compiles each step."""
    if backend.name == "jax":
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
    # The NumPy backend turns into its compiled form in place, for the whole process: choose the form, and put it back.
    chosen = get_backend("numpy")
    before = type(chosen)
    if name == "numpy":
        from ferrule.core.backends.numpy import NumpyBackend as form
    else:
        pytest.importorskip("numba", reason="the compiled kernels of the NumPy backend need numba")
        from ferrule.core.backends.numpy_compiled import CompiledNumpyBackend as form
    chosen.__class__ = form
    yield chosen
    chosen.__class__ = before
