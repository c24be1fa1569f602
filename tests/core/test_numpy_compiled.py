"""Programs that the NumPy backend compiles: what is recorded, where it lies in memory, and the threads that run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from ferrule.core import ArraySpec, Module, ShapeError, get_backend, initialize, ops
from ferrule.core.layers import CausalConv, Linear, RMSNorm
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")
from ferrule.core.backends.numpy_compiled import machine

BACKEND = get_backend("numpy")


def arrays(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


class Cell(Module):
    """A little of everything: norms, products, a cache that is written in place, another that slides."""

    def __init__(self, width: int, rows: int):
        self.norm = RMSNorm(width)
        self.up, self.down = Linear(width, 3 * width), Linear(3 * width, width)
        self.conv = CausalConv(width, 3)
        self.rows = rows
        self.gain = ArraySpec((width,))

    def __call__(self, x, cache):
        index = ops.remainder(ops.arange(x.shape[1], like=x) + cache["length"], self.rows)
        kept = ops.write(cache["kept"], x, index)
        y, past = self.conv(self.norm(x), cache["past"])
        y = self.down(ops.silu(self.up(y))) * self.gain + ops.mean(kept, 1, True)
        # exchange: each is written where the other one is read
        left, right = cache["pair"]
        return x - y, {
            "length": cache["length"] + x.shape[1],
            "kept": kept,
            "past": past[:, -2:],
            "pair": [right, left + ops.sum(y, (0, 1))],
        }


def cell_cache(width, rows):
    return {
        "length": np.zeros((), np.int32),
        "kept": np.zeros((1, rows, width), np.float32),
        "past": np.zeros((1, 2, width), np.float32),
        "pair": [np.ones(width, np.float32), np.full(width, 2, np.float32)],
    }


@settings(deadline=None, max_examples=15)
@given(sizes=st.lists(st.sampled_from([1, 2, 5, 9, 40]), min_size=1, max_size=5), width=st.sampled_from([3, 16, 48]))
def test_a_program_does_what_its_function_does(sizes, width):
    """Step by step, with consumed arguments that are read and written in each other's places."""
    cell = initialize(Cell(width, 41), 0)
    step = BACKEND.compile(lambda cell, x, cache: cell(x, cache), cell, donate=(1,))
    cache, expected_cache = cell_cache(width, 41), cell_cache(width, 41)
    for number, size in enumerate(sizes):
        (x,) = arrays((1, size, width), seed=number)
        expected, expected_cache = cell(x, expected_cache)
        found, cache = step(x, cache)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        for name in ("length", "kept", "past"):
            np.testing.assert_allclose(cache[name], expected_cache[name], rtol=1e-4, atol=1e-5)
        for part, wanted in zip(cache["pair"], expected_cache["pair"]):
            np.testing.assert_allclose(part, wanted, rtol=1e-4, atol=1e-4)


def test_consumed_arrays_come_back_as_they_are():
    """The same arrays step by step, so that nothing is laid out anew; other results are the caller's own."""
    cell = initialize(Cell(8, 6), 0)
    step = BACKEND.compile(lambda cell, x, cache: cell(x, cache), cell, donate=(1,))
    before = cell_cache(8, 6)
    y, first = step(np.ones((1, 2, 8), np.float32), before)
    kept = y.copy()
    _, second = step(np.ones((1, 2, 8), np.float32), first)
    assert second is first
    assert second["kept"] is before["kept"]
    np.testing.assert_array_equal(y, kept)


def test_a_changed_argument_is_seen():
    """A tree that the caller made may be changed by the caller between calls."""
    double = BACKEND.compile(lambda _, tree: tree["x"] * 2.0, None, donate=(0,))
    tree = {"x": np.ones(3, np.float32)}
    np.testing.assert_array_equal(double(tree), [2, 2, 2])
    tree["x"] = np.full(3, 5, np.float32)
    np.testing.assert_array_equal(double(tree), [10, 10, 10])
    tree["x"][:] = 7
    np.testing.assert_array_equal(double(tree), [14, 14, 14])


def test_arguments_that_are_kept_are_not_written():
    def fill(_, buffer, rows):
        return ops.write(buffer, rows, np.array([1], np.int32))

    buffer, rows = np.zeros((1, 3, 2), np.float32), np.ones((1, 1, 2), np.float32)
    found = BACKEND.compile(fill, None)(buffer, rows)
    assert buffer.max() == 0
    np.testing.assert_array_equal(found[0], [[0, 0], [1, 1], [0, 0]])


def test_values_do_not_decide_in_python():
    with pytest.raises(TypeError, match="decides nothing in Python"):
        BACKEND.compile(lambda _, x: x if x > 0 else -x, None)(np.ones((), np.float32))
    with pytest.raises(TypeError, match="not known while a program is recorded"):
        BACKEND.compile(lambda _, x: ops.to_numpy(x), None)(np.ones(2, np.float32))


def test_constants_are_folded_and_repeated_steps_found():
    """What depends on no argument is computed once; what NumPy was asked before is not asked again."""

    def positions(_, x):
        for _ in range(5):
            y = ops.remainder(ops.arange(4, like=x) + 3, 5)
            z = ops.remainder(ops.cast(x, "int32") + y, 7)
        return z

    compiled = BACKEND.compile(positions, None)
    np.testing.assert_array_equal(compiled(np.arange(4, dtype=np.float32)), [3, 5, 2, 4])
    (only,) = compiled._programs.values()
    assert len(only._steps) == 3  # cast, +, remainder


def test_buffers_in_use_at_one_time_do_not_overlap():
    """A long chain needs the room of its widest moment, not the sum of its steps."""

    def chain(_, x):
        total = x
        for number in range(50):
            total = ops.silu(total + float(number)) * x
        return total

    compiled = BACKEND.compile(chain, None)
    (x,) = arrays((64, 64))
    np.testing.assert_allclose(compiled(x), chain(None, x), rtol=1e-4, atol=1e-5)
    (only,) = compiled._programs.values()
    assert only._arena.size < 6 * x.nbytes


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_elementwise_over_any_strides(data):
    """Slices, transposes and broadcasts are places in a buffer, never copies; kernels follow their strides."""
    shape = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    axes = data.draw(st.permutations(range(len(shape))))
    low = [data.draw(st.integers(0, n - 1)) for n in shape]
    thin = [data.draw(st.booleans()) for _ in shape]
    x, y = arrays(shape, [1 if t else n for n, t in zip(shape, thin)])
    index = tuple(slice(first, None, data.draw(st.sampled_from([1, 2]))) for first in low)

    def function(_, x, y):
        z = ops.transpose(x + y, axes)
        w = ops.transpose(x * y, axes)
        part = tuple(index[a] for a in axes)
        return z[part] / (1.0 + ops.exp(w[part])), ops.maximum(z, 0.5) - w, ops.where(w > 0, z, w)

    for found, expected in zip(BACKEND.compile(function, None)(x, y), function(None, x, y)):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


MISMATCHES = {
    "linear": (lambda x, y: ops.linear(x, y), [(1, 64), (3, 4)]),
    "matmul": (lambda x, y: ops.matmul(x, y), [(1, 2, 2, 8), (1, 2, 4, 3)]),
    "kronecker": (lambda z, a, b: ops.kronecker(z, a, b), [(1, 100), (8, 8), (32, 32)]),
    "attention-C": (lambda q, k, v: ops.attention(q, k, v, None, 1.0), [(1, 1, 2, 8), (1, 8, 1, 4), (1, 8, 1, 32)]),
    "attention-H": (lambda q, k, v: ops.attention(q, k, v, None, 1.0), [(1, 1, 3, 8), (1, 8, 2, 8), (1, 8, 2, 32)]),
    "causal_conv": (lambda x, t: ops.causal_conv(x, t), [(1, 5, 8), (2, 4)]),
    "rms_norm": (lambda x, g: ops.rms_norm(x, g), [(2, 4), (8,)]),
    "concatenate": (lambda x, y: ops.concatenate([x, y], 0), [(2, 3), (2, 4)]),
    "add": (lambda x, y: x + y, [(2, 3), (2, 4)]),
    "reshape": (lambda x: ops.reshape(x, (5,)), [(2, 3)]),
    "write": (lambda b, r: ops.write(b, r, np.array([0, 1], np.int32)), [(1, 4, 2), (1, 3, 2)]),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_shapes_that_do_not_go_together_are_refused(name):
    """Kernels read memory by address: a wrong shape must not get there."""
    function, shapes = MISMATCHES[name]
    with pytest.raises(ValueError, match=r"."):
        BACKEND.compile(lambda _, *xs: function(*xs), None)(*arrays(*shapes))


def test_the_message_gives_the_shapes():
    with pytest.raises(ShapeError, match=r"linear takes .* received \(1, 64\), \(3, 4\)"):
        BACKEND.compile(lambda _, x, y: ops.linear(x, y), None)(*arrays((1, 64), (3, 4)))


@pytest.mark.parametrize("index", [-(2**31), -1, 7, 2**31 - 1])
def test_nothing_outside_of_an_array_is_read(index):
    (table,) = arrays((7, 3))
    at = np.array([index], np.int32)
    found = BACKEND.compile(lambda _, i: ops.take(table, i), None)(at)
    np.testing.assert_array_equal(found[0], table[0 if index < 0 else 6])


def test_the_whole_cell_without_a_second_thread(monkeypatch):
    monkeypatch.setattr(machine.MACHINE, "parts", 1)
    cell = initialize(Cell(48, 9), 0)
    x = arrays((1, 40, 48))[0][:, :5]
    found, _ = BACKEND.compile(lambda cell, x, cache: cell(x, cache), cell)(x, cell_cache(48, 9))
    np.testing.assert_allclose(found, cell(x, cell_cache(48, 9))[0], rtol=1e-4, atol=1e-5)


def test_programs_of_several_threads_take_turns():
    """Two functions, each called from two threads at once: no call sees another one's values."""
    (w,) = arrays((96, 96))
    functions = [BACKEND.compile(lambda w, x, n=n: ops.linear(ops.silu(x * float(n)), w), w) for n in (1, 2)]
    failed = []

    def work(number):
        for round_ in range(60):
            (x,) = arrays((1 + round_ % 20, 96), seed=round_ + 100 * number)
            expected = ops.linear(ops.silu(x * float(1 + number % 2)), w)
            if not np.allclose(functions[number % 2](x), expected, rtol=1e-4, atol=1e-4):
                failed.append((number, round_))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


WORK = """
import numpy as np
from ferrule.core import get_backend, ops
backend = get_backend("numpy")
x = np.ones((40, 64), np.float32)
step = backend.compile(lambda w, x: ops.linear(ops.silu(x), w), np.ones((64, 64), np.float32))
"""


def test_a_forked_child_runs_programs():
    """Threads do not survive a fork: the child starts its own."""
    code = WORK + (
        "import os\n"
        "before = step(x)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if np.array_equal(step(x), before) else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), np.array_equal(step(x), before))\n"
    )
    assert python(code).split() == ["0", "True"]


def test_the_number_of_threads_can_be_chosen():
    code = "from ferrule.core.backends.numpy_compiled.machine import thread_count; print(thread_count())"
    assert python(code, OMP_NUM_THREADS="1").strip() == "1"
    assert python(code, OMP_NUM_THREADS="many").strip() == str(min(8, len(os.sched_getaffinity(0))))


def test_numba_switched_off():
    code = WORK + "import json, sys; print(json.dumps([type(backend).__name__, float(step(x)[0, 0]), 'numba' in sys.modules]))"
    name, value, imported = json.loads(python(code, NUMBA_DISABLE_JIT="1"))
    assert (name, imported) == ("NumpyBackend", False)
    assert value == pytest.approx(46.8, abs=0.1)


def test_a_processor_without_table_lookups(tmp_path):
    """Kernels that need instructions which are not there are not compiled, and packed weights are unpacked on loading."""
    code = (
        "import llvmlite.binding\n"
        "llvmlite.binding.get_host_cpu_features = lambda: type('Features', (dict,), {'flatten': lambda self: ''})()\n"
        + WORK
        + "print(backend.keeps_packed(), float(step(x)[0, 0]))"
    )
    found = python(code, NUMBA_CPU_NAME="x86-64", NUMBA_CPU_FEATURES="", FERRULE_CACHE=str(tmp_path)).split()
    assert found[0] == "False"
    assert float(found[1]) == pytest.approx(46.8, abs=0.1)


def test_compiled_kernels_are_kept_where_the_user_says(tmp_path):
    python(WORK + "step(x)", FERRULE_CACHE=str(tmp_path))
    kept = list((tmp_path / "numba").rglob("*.nbi"))
    assert len(kept) > 20


def test_a_disk_that_is_full(tmp_path):
    """Files may have 4 KiB here. The kernels are compiled, and one line says why they are not kept."""
    (tmp_path / "kernels.py").write_text("def first(a, b, c):\n    pass\n\n\ndef second(a, b, c):\n    pass\n")
    code = (
        "import logging, resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "logging.basicConfig(stream=sys.stdout, format='%(message)s')\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import kernels\n"
        "from ferrule.core.backends.numpy_compiled import jit\n"
        "for function in (kernels.first, kernels.second):\n"
        "    print(jit.compiled('void(intp, intp, intp)')(function).address > 0)"
    )
    lines = python(code, FERRULE_CACHE=str(tmp_path)).splitlines()
    assert [line for line in lines if line == "True"] == ["True", "True"]
    assert sum("compiled kernels cannot be kept: " in line for line in lines) == 1


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    assert python(WORK + "print(float(step(x)[0, 0]))", FERRULE_CACHE=str(tmp_path / "file")).startswith("46.")
