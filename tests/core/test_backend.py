"""Choice of a backend at run time: errors, laziness, several backends in one process."""

from __future__ import annotations

import builtins
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from ferrule.core import (
    Backend,
    BackendNotInstalledError,
    CoreError,
    UnknownBackendError,
    available_backends,
    backend_names,
    get_backend,
    ops,
)
from ferrule.core import backend as choice

FRAMEWORKS = ["jax", "torch", "tensorflow"]


def python(code: str) -> Any:
    """What a fresh interpreter prints as JSON, and nothing else, neither there nor on the error stream."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def require(*frameworks: str) -> None:
    for name in frameworks:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")


@pytest.fixture
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry as at the start of a process."""
    monkeypatch.setattr(choice, "_loaded", {})
    monkeypatch.setattr(choice, "_by_type", {})


# ---- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["keras", "", "NumPy", None])
def test_unknown_backend(name: Any) -> None:
    with pytest.raises(UnknownBackendError) as caught:
        get_backend(name)
    assert str(caught.value) == f"no backend is called {name!r}; choose one of: numpy, jax, torch, tensorflow"
    assert isinstance(caught.value, CoreError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_backend_that_is_not_installed(name: str, nothing_loaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda package, *rest: None if package == name else found(package, *rest))
    with pytest.raises(BackendNotInstalledError) as caught:
        get_backend(name)
    message = f"backend {name!r} needs {name}, which is not installed: pip install 'ferrule[{name}]'"
    assert str(caught.value) == message
    assert isinstance(caught.value, CoreError)
    assert isinstance(caught.value, ImportError)
    assert name not in available_backends()
    assert name in backend_names()


def test_backend_that_does_not_import(nothing_loaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    require("jax")

    def broken(name: str, package: str | None = None) -> ModuleType:
        raise ImportError("jaxlib is version 0.0, which is too old")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(BackendNotInstalledError, match=r"jax is installed but does not import .*too old") as caught:
        get_backend("jax")
    assert "pip install 'ferrule[jax]'" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("foreign", ["text", b"bytes", None, object(), {1: 2}, {1, 2}, 1j, len], ids=repr)
def test_foreign_objects(foreign: Any) -> None:
    expected = f"expected an array of one of the backends numpy, jax, torch, tensorflow; received {type(foreign).__name__}"
    for call in (ops.exp, lambda x: ops.maximum(np.ones(2), x), lambda x: ops.concatenate([np.ones(2), x])):
        with pytest.raises(TypeError) as caught:
            call(foreign)
        assert str(caught.value) == expected


# ---- laziness --------------------------------------------------------------------------------------------------------

LOADED = f"print(json.dumps([name for name in {FRAMEWORKS} if name in sys.modules]))"


@pytest.mark.parametrize(
    "code",
    [
        "import ferrule.core, ferrule.core.layers",
        "import ferrule.tools, ferrule.presets, ferrule.models, ferrule.agents",
        "import ferrule.hub",
        "from ferrule.core import available_backends; available_backends()",
        "from ferrule.core import get_backend, ops; ops.exp(get_backend('numpy').asarray([1.0]))",
        "from ferrule.core import initialize, layers, named_arrays; named_arrays(initialize(layers.Linear(2, 3), 0))",
    ],
)
def test_no_framework_is_imported_unasked(code: str) -> None:
    assert python(f"import json, sys; {code}; {LOADED}") == []


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_backend_imports_its_framework_only_and_says_nothing(name: str) -> None:
    require(name)
    code = f"""
import json, sys
from ferrule.core import get_backend, ops
backend = get_backend({name!r})
program = backend.compile(lambda module, x: ops.exp(x) + module[0], [backend.asarray([1.0])])
print(json.dumps([ops.to_numpy(program(backend.asarray([0.0]))).tolist(), [n for n in {FRAMEWORKS} if n in sys.modules]]))
"""
    result, loaded = python(code)
    assert result == [2.0]
    assert name in loaded
    # TensorFlow's own tensorflow/lite/python/util.py imports JAX where it is installed
    assert set(loaded) <= ({name, "jax"} if name == "tensorflow" else {name})


def test_tensorflow_import_keeps_what_others_write(capfd: pytest.CaptureFixture[str]) -> None:
    """Only the greeting is dropped while standard error is held back; a failure inside gives it back too."""
    require("tensorflow")
    from ferrule.core.backends.tensorflow import _without_greeting

    def fails() -> None:
        with _without_greeting():
            os.write(2, b"I0000 port.cc:153] oneDNN custom operations are on. You may see\n")
            os.write(2, b"a warning that matters\n")
            raise ImportError("broken")

    with pytest.raises(ImportError, match="broken"):
        fails()
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "a warning that matters\nafterwards\n"


# ---- several at once -------------------------------------------------------------------------------------------------


def test_backends_live_side_by_side() -> None:
    backends = [get_backend(name) for name in available_backends()]
    assert get_backend("numpy") is get_backend(get_backend("numpy"))
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    arrays = [backend.asarray(x) for backend in backends]
    for backend, array in zip(backends, arrays):
        assert [other.name for other in backends if other.owns(array)] == [backend.name]
        result = ops.softmax(ops.linear(array, array))
        assert backend.owns(result)
        assert choice.backend_of(result) is backend
        assert choice.backend_of(1.0, x, result, 2) is backend


def test_numbers_and_lists_go_to_numpy() -> None:
    for x in (1, 1.5, True, [1.0, 2.0], (3, 4), np.float32(2), np.ones(2)):
        assert choice.backend_of(x).name == "numpy"
    assert ops.exp([0.0]).tolist() == [1.0]


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_arrays_that_the_user_made(name: str, nothing_loaded: None) -> None:
    """An array dispatches though nobody has asked for its backend by name."""
    require(name)
    package = importlib.import_module(name)
    ones: dict[str, Callable[[], Any]] = {
        "jax": lambda: package.numpy.ones(3),
        "torch": lambda: package.ones(3),
        "tensorflow": lambda: package.ones(3),
    }
    array = ones[name]()
    assert choice.backend_of(array).name == name
    assert ops.to_numpy(ops.sum(array)) == 3


def test_arrays_move_between_any_two_backends() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for source in available_backends():
        for target in available_backends():
            moved = get_backend(target).asarray(get_backend(source).asarray(x))
            assert get_backend(target).owns(moved)
            np.testing.assert_array_equal(ops.to_numpy(moved), x)


def test_bfloat16_moves_as_float32() -> None:
    require("torch", "jax")
    short = ops.cast(get_backend("torch").asarray([1.5]), "bfloat16")
    assert get_backend("jax").asarray(short).dtype == np.float32
    # a NumPy array of the type that ml_dtypes adds (JAX brings it along) keeps its type
    extended = np.array([1.5, -2.0], importlib.import_module("ml_dtypes").bfloat16)
    assert str(get_backend("torch").asarray(extended).dtype) == "torch.bfloat16"
    assert ops.to_numpy(get_backend("torch").asarray(extended)).tolist() == [1.5, -2.0]


def test_torch_reads_any_numpy_memory() -> None:
    require("torch")
    torch = get_backend("torch")
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    frozen = x.copy()
    frozen.setflags(write=False)
    for view in (x[::-1], x.T, x[:, ::2], frozen, np.broadcast_to(x[0], (5, 4)), x[:0]):
        np.testing.assert_array_equal(ops.to_numpy(torch.asarray(view)), view)
    ops.write(torch.asarray(frozen)[None], torch.full((1, 1, 4), 9.0), torch.asarray(np.array([0], np.int32)))
    np.testing.assert_array_equal(frozen, x)


def test_a_new_backend_is_told_what_it_lacks() -> None:
    class Half(Backend):
        name = "half"

    with pytest.raises(NotImplementedError, match="backend 'half' lacks a primitive of the contract"):
        Half().exp(1)
    assert "half" not in backend_names()
    assert builtins.len(backend_names()) == 4


@pytest.mark.parametrize("dtype", [None, "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("stored", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("shape", [(), (3,), (300, 200), (2, 3, 5)])
def test_parameters_from_mapped_files(backend: Backend, tmp_path: Path, stored: str, dtype: str | None, shape) -> None:
    """Values out of a mapped file that nobody may write to, converted or not."""
    ml_dtypes = importlib.import_module("ml_dtypes")
    values = np.random.default_rng(0).standard_normal(shape).astype(getattr(ml_dtypes, stored, None) or stored)
    (tmp_path / "file").write_bytes(b"12" + values.tobytes())
    mapped = np.asarray(np.memmap(tmp_path / "file", np.uint8, "r")[2:].view(values.dtype)).reshape(shape)
    found = backend.parameter(mapped, dtype)
    assert backend.owns(found)
    assert tuple(found.shape) == shape
    # NumPy, which computes in no bfloat16, keeps matrices in it only
    short = dtype == "bfloat16" and backend.name == "numpy" and len(shape) < 2
    assert ops.element_type(found) == ("float32" if short else dtype or stored)
    expected = ops.to_numpy(ops.cast(backend.asarray(np.array(values, np.float32)), "float32" if short else dtype or stored))
    np.testing.assert_array_equal(ops.to_numpy(found), expected)
