from __future__ import annotations

import numpy as np
import pytest
from ferrule.models.errors import WeightsError
from ferrule.models.needle.packed import (
    PackedTensor,
    check_ternary,
    code_bits,
    dequantize,
    fixed_codebook,
    hadamard,
    quantize,
    unpack_codes,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def levels(bits: int) -> np.ndarray | None:
    return None if bits in (1, 5) else (np.linspace(-2.2, 2, 2**bits) / 4).astype(np.float32)


def dequantize_literally(packed: PackedTensor) -> np.ndarray:
    """Spec §1.5 weight by weight: bits out of one long integer, popcounts for the rotation."""
    rows, cols = packed.shape
    bits, g = code_bits(packed.bits), packed.group
    out = np.zeros((rows, packed.norms.shape[1] * g))
    rotation = [[(-1) ** (j & k).bit_count() / np.sqrt(g) for k in range(g)] for j in range(g)]
    for r in range(rows):
        stream = int.from_bytes(packed.codes[r].tobytes(), "little")
        codes = [stream >> (k * bits) & (2**bits - 1) for k in range(out.shape[1])]
        for group, norm in enumerate(packed.norms[r]):
            v = float(norm) * packed.codebook[codes[group * g : (group + 1) * g]].astype(float)
            out[r, group * g : (group + 1) * g] = v @ rotation
    return out[:, :cols]


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("rows", "cols", "group"), [(1, 16, 16), (5, 40, 16), (3, 7, 8), (2, 64, 32)])
def test_dequantize_follows_the_specification(bits, rows, cols, group):
    rng = np.random.default_rng(bits)
    packed = quantize(rng.standard_normal((rows, cols)), bits, levels(bits), group)
    assert packed.codes.shape == (rows, -(-cols // group) * group * code_bits(bits) // 8)
    np.testing.assert_allclose(dequantize(packed), dequantize_literally(packed), atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(bits=st.sampled_from([1, 2, 3, 4, 5]), rows=st.integers(1, 6), cols=st.integers(1, 70), seed=st.integers(0, 99))
def test_quantize_takes_the_nearest_level(bits, rows, cols, seed):
    weights = np.random.default_rng(seed).standard_normal((rows, cols)).astype(np.float32)
    packed = quantize(weights, bits, levels(bits), 16)
    padding = -cols % 16
    rotated = np.pad(weights, ((0, 0), (0, padding))).reshape(-1, 16) @ hadamard(16)
    unit = rotated / np.linalg.norm(rotated, axis=1, keepdims=True)
    used = np.delete(packed.codebook, 2) if bits == 5 else packed.codebook
    chosen = packed.codebook[unpack_codes(packed)].reshape(-1, 16)
    best = np.abs(unit[..., None] - used).min(axis=-1)
    np.testing.assert_allclose(np.abs(unit - chosen), best, atol=1e-6)


def test_ties_take_the_lower_level():
    book = np.array([-0.5, -0.25, 0.25, 0.5], np.float32)
    # H of a constant row has one entry, everything else is exactly 0: halfway between −0.25 and 0.25
    packed = quantize(np.ones((1, 8)), 2, book, group=8)
    assert unpack_codes(packed).tolist() == [[3, 1, 1, 1, 1, 1, 1, 1]]


def test_zero_group_stays_zero():
    assert not dequantize(quantize(np.zeros((2, 16)), 4, levels(4), 16)).any()


def test_hadamard_is_orthonormal_symmetric_and_read_only():
    h = hadamard(128)
    np.testing.assert_allclose(h @ h, np.eye(128), atol=1e-6)
    np.testing.assert_array_equal(h, h.T)
    assert not h.flags.writeable
    with pytest.raises(ValueError, match="power of two"):
        hadamard(96)


def test_take_gathers_packed_rows():
    packed = quantize(np.random.default_rng(0).standard_normal((9, 40)), 3, levels(3), 16)
    np.testing.assert_allclose(dequantize(packed.take([7, 0, 7])), dequantize(packed)[[7, 0, 7]], atol=1e-6)


def test_published_rows(published):
    """Random rows of the published file, unpacked the literal way."""
    rng = np.random.default_rng(0)
    for name in ("layers.7.k_proj", "embedding", "engram.11.tables"):
        packed = published.tensors[name].take(rng.integers(0, published.tensors[name].shape[0], 2))
        exact = dequantize_literally(packed)
        np.testing.assert_allclose(dequantize(packed), exact, atol=1e-6 * np.abs(exact).max())


def test_ternary_alphabet():
    check_ternary(np.array([0b11010011], np.uint8), "w")
    with pytest.raises(WeightsError, match="ternary"):
        check_ternary(np.array([0b11100011], np.uint8), "w")
    assert fixed_codebook(5, 4).tolist() == pytest.approx([0, 0.6120032, 0, -0.6120032])
    with pytest.raises(ValueError, match="bits=2"):
        fixed_codebook(2, 128)
