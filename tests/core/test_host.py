"""Copies out of mapped files, and the element type that NumPy lacks."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from ferrule.core import ElementTypeError
from ferrule.core.host import ALIGNMENT, BFLOAT16, converted, element_type, host_copy, widened
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6)


@given(st.data())
def test_copies_have_the_same_values(data):
    """Of any shape and strides, in any element type, at an address that frameworks take as it is."""
    x = data.draw(arrays.arrays(data.draw(st.sampled_from(["float32", "float64", "int32", "uint8"])), SHAPES))
    x = x[::2] if x.ndim else x
    dtype = data.draw(st.sampled_from([None, "float32", "float16", "bfloat16"] if x.dtype.kind == "f" else [None]))
    with np.errstate(all="ignore"):
        copy = host_copy(x, dtype)
        expected = x.astype(x.dtype if dtype is None else element_type(dtype))
    assert copy.flags.c_contiguous
    assert copy.flags.writeable
    assert copy.ctypes.data % ALIGNMENT == 0 or not copy.size
    assert not np.may_share_memory(copy, x)
    np.testing.assert_array_equal(widened(copy), widened(expected))  # NaN is equal to NaN in float32 only
    assert copy.dtype == expected.dtype


def test_every_bfloat16_is_widened_as_ml_dtypes_does():
    every = np.arange(1 << 16, dtype=np.uint16).view(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(widened(every).view(np.uint32), every.astype(np.float32).view(np.uint32))
    numbers = every[~np.isnan(every.astype(np.float32))]
    np.testing.assert_array_equal(converted(widened(numbers), "bfloat16").view(np.uint16), numbers.view(np.uint16))
    assert converted(numbers, BFLOAT16) is numbers


def test_an_element_type_that_is_not_there():
    with pytest.raises(ElementTypeError, match="there is no element type 'float12': use float32"):
        element_type("float12")


def resident(kind: str) -> int:
    """MiB of this process's memory: Anon or File."""
    return int(re.search(rf"Rss{kind}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_a_mapped_file_does_not_stay_in_memory(tmp_path, dtype):
    path = tmp_path / "file"
    np.arange(24 << 20, dtype=np.float32).tofile(path)
    mapped = np.asarray(np.memmap(path, np.uint8, "r")[4:-4].view(np.float32))
    before = resident("File")
    copy = host_copy(mapped, dtype)
    assert resident("File") - before < 16  # of 96
    np.testing.assert_array_equal(copy, mapped if dtype is None else mapped.astype(ml_dtypes.bfloat16))


@pytest.mark.parametrize("mode", ["c", "r+"])
def test_what_was_written_to_a_mapping_stays(tmp_path, mode):
    path = tmp_path / "file"
    np.zeros(1 << 20, np.float32).tofile(path)
    mapped = np.memmap(path, np.float32, mode)
    mapped[:] = 7
    view = mapped[:]
    view.flags.writeable = False
    assert host_copy(view).min() == mapped.min() == 7
