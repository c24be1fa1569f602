"""The innermost loops, on the instruction sets that they are written for: AVX-512 where this machine has it, and AVX2."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("numba")
import llvmlite.binding

FEATURES = llvmlite.binding.get_host_cpu_features()
PROGRAM = """
import json, sys
import llvmlite.binding

import ml_dtypes, numba, numpy as np

wanted = json.loads(sys.argv[1])
real = llvmlite.binding.get_host_cpu_features
llvmlite.binding.get_host_cpu_features = lambda: {**real(), **wanted}
from ferrule.core.backends.numpy_compiled import tiles
llvmlite.binding.get_host_cpu_features = real

assert tiles.HAS_AVX512 == wanted["avx512f"] and tiles.HAS_LOOKUP
lookup_1, lookup_tile, product_tile = tiles.lookup_1, tiles.lookup_tile, tiles.product_tile

ONE = numba.float32(1)

@numba.njit
def look_up(codes, tables, norms, out, single):
    if single:
        for t in range(tables.shape[0]):
            lookup_1(codes.ctypes.data, tables[t].ctypes.data, norms.ctypes.data, out[t].ctypes.data, 0, codes.shape[0], ONE)
    else:
        step = out.shape[1] * 4
        lookup_tile(codes.ctypes.data, tables.ctypes.data, norms.ctypes.data, out.ctypes.data, step, codes.shape[0], ONE)

@numba.njit
def product(a, b, c):
    product_tile(a.ctypes.data, a.shape[1] * 4, 4, b.ctypes.data, b.shape[1] * 4, c.ctypes.data, c.shape[1] * 4, a.shape[1])

def dots_of(tile, tokens, rows, steps):
    @numba.njit
    def dots(x, w, out):
        count = x.shape[1] // (steps * tiles.LANES)
        for t in range(0, x.shape[0], tokens):
            for r in range(0, w.shape[0], rows):
                here = x[t].ctypes.data
                tile(here, x.strides[0], w[r].ctypes.data, w.strides[0], out[t, r:].ctypes.data, out.strides[0], here, count)

    return dots

random = np.random.default_rng(0)
x = random.standard_normal((8, 256)).astype(np.float32)
w = random.standard_normal((12, 256)).astype(ml_dtypes.bfloat16)
far = 0.0
for kind, weight in (("dot", w.astype(np.float32)), ("short", w.view(np.uint16))):
    for name, shape in (("1", (1, 1, 4)), ("few", (tiles.DOTS, 1, 2)), ("tile", (tiles.DOTS, tiles.DOTS, 1))):
        found = np.full((8, 12), np.nan, np.float32)
        dots_of(getattr(tiles, kind + "_" + name), *shape)(x, weight, found)
        far = max(far, float(np.abs(found - x.astype(float) @ w.astype(float).T).max()))
codes = random.integers(0, 256, (32, tiles.WIDE), dtype=np.uint8)
tables = random.standard_normal((tiles.TILE, 64, 16)).astype(np.float32)
norms = random.random(tiles.WIDE).astype(np.float32)
before = random.standard_normal((tiles.TILE, tiles.WIDE)).astype(np.float32)
expected = before.astype(np.float64)
for t in range(tiles.TILE):
    for k in range(32):
        expected[t] += (tables[t, 2 * k][codes[k] & 15].astype(float) + tables[t, 2 * k + 1][codes[k] >> 4]) * norms
worst = 0.0
for single in (False, True):
    out = before.copy()
    look_up(codes, tables, norms, out, single)
    worst = max(worst, float(np.abs(out - expected).max()))
a = random.standard_normal((tiles.ROWS, 37)).astype(np.float32)
b = random.standard_normal((37, tiles.PANEL)).astype(np.float32)
c = np.empty((tiles.ROWS, tiles.PANEL), np.float32)
product(a, b, c)
print(json.dumps([far, worst, float(np.abs(c - a.astype(float) @ b).max())]))
"""


@pytest.mark.parametrize("avx512", [True, False], ids=["avx512", "avx2"])
def test_tiles_agree_with_plain_sums(avx512):
    if not FEATURES.get("avx512f" if avx512 else "avx2"):
        pytest.skip("this processor does not have the instructions")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps({"avx512f": avx512, "avx2": True})],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert max(json.loads(done.stdout)) < 1e-4
