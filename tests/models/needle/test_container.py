from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import numpy as np
import pytest
from ferrule.models.errors import ModelError, WeightsError
from ferrule.models.needle.container import PackedTensor, read_container
from ferrule.models.needle.container_writer import write_container
from ferrule.models.needle.layout import HEADER, Header, pack_header, tensor_layout
from hypothesis import given, settings
from hypothesis import strategies as st

PUBLISHED_SHA256 = "c9d915eca282ed42d1a09b143b592adb4cc6744ffe2d294adf5cfc5548170c38"


def test_published_header(published):
    h = published.header
    assert (h.num_tensors, h.vocab, h.d_model, h.num_layers, h.mhc_lanes) == (581, 8192, 768, 20, 4)
    assert (h.kv_window, h.sliding_window, h.max_seq_len, h.rope_theta) == (256, 1024, 8192, 100000.0)
    assert h.global_layers == (4, 9, 14, 19)
    assert h.engram_sites == (3, 7, 11, 15, 19)
    assert (h.engram_orders, h.hash_heads, h.engram_slots) == ((2, 3), 3, 18432)


def test_published_tensors(published):
    # spec §1.7: number of parameters, and bytes of all payloads
    indices = 2 * 1024 + 1  # permutations and manifest are no parameters
    assert sum(np.prod(t.shape) for t in published.tensors.values()) - indices == 121_019_861
    assert sum(t.nbytes for t in published.tensors.values()) + len(published.tokenizer) == 35_306_576
    names = list(published.tensors)
    assert names[:3] == ["embedding", "layers.0.norm_in", "layers.0.q_proj"]
    assert names[-9:-7] == ["engram.19.taps", "final_norm"]
    assert published.tensors["engram.3.tables"].shape == (110592, 128)
    assert published.tensors["layers.0.q_proj"].bits == 2
    assert published.tensors["embedding"].bits == 4
    # spec §1.7: the permutations are numpy's legacy generator
    np.testing.assert_array_equal(published.tensors["p1"], np.random.RandomState(11).permutation(1024))
    np.testing.assert_array_equal(published.tensors["p2"], np.random.RandomState(13).permutation(1024))
    np.testing.assert_allclose(published.codebooks[2], [-0.13317214, -0.03990209, 0.04003528, 0.13346045], rtol=1e-6)


def test_views_are_read_only_and_share_the_map(published):
    codes = published.tensors["layers.0.q_proj"].codes
    assert not codes.flags.writeable
    assert not codes.flags.owndata
    with pytest.raises(ValueError):
        codes[0, 0] = 1


def test_written_container_reads_back(small_path, tmp_path):
    first = read_container(small_path)
    assert {t.bits for t in first.tensors.values() if isinstance(t, PackedTensor)} == {1, 2, 3, 4, 5}
    again = tmp_path / "again.cact"
    write_container(again, first.header, first.codebooks, first.tensors, first.tokenizer)
    assert again.read_bytes() == small_path.read_bytes()
    second = read_container(again)
    assert second.header == first.header
    assert list(second.tensors) == list(first.tensors)
    assert list(tmp_path.iterdir()) == [again]


def test_published_container_is_rewritten_byte_for_byte(published, tmp_path):
    path = tmp_path / "needle3.cact"
    write_container(path, published.header, published.codebooks, published.tensors, published.tokenizer)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == PUBLISHED_SHA256


def test_layout_is_what_the_file_holds(published):
    layout = [slot.name for slot in tensor_layout(published.header)]
    assert list(published.tensors)[: len(layout)] == layout


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert len(message) > 20
    return message


@pytest.mark.parametrize("keep", [0, 3, 195, 196, 500, 5000, -1, -64, -70000])
def test_truncated(small_path, tmp_path, keep):
    path = tmp_path / "cut.cact"
    path.write_bytes(small_path.read_bytes()[:keep])
    with pytest.raises(WeightsError) as error:
        read_container(path)
    assert "fetch" in one_line(error)


def test_too_long(small_path, tmp_path):
    path = tmp_path / "long.cact"
    path.write_bytes(small_path.read_bytes() + b"\0" * 64)
    with pytest.raises(WeightsError, match="accounts for"):
        read_container(path)


def test_missing_and_foreign(small_path, tmp_path):
    with pytest.raises(WeightsError, match="cannot open"):
        read_container(tmp_path / "nowhere.cact")
    with pytest.raises(WeightsError, match="cannot open"):
        read_container(tmp_path)
    foreign = tmp_path / "foreign.cact"
    foreign.write_bytes(b"PK\x03\x04" + bytes(1000))
    with pytest.raises(WeightsError, match="not a Needle 3 container"):
        read_container(foreign)
    foreign.write_bytes(struct.pack("<I", 0x05E12A83) + small_path.read_bytes()[4:])
    with pytest.raises(WeightsError, match="Needle 2"):
        read_container(foreign)


def test_every_header_word_is_checked(small_path, tmp_path):
    """A word that decides sizes cannot be changed without notice."""
    original = small_path.read_bytes()
    path = tmp_path / "tampered.cact"
    sizes = [1, 2, 5, 7, 8, 9, 10, 11, 12, 14, 15, 18, 19, 20, 21, 22, 23, 26, 31]
    for word in sizes:
        for value in (0, 1, 3, 0xFFFFFFFF):
            if struct.unpack_from("<I", original, 4 * word)[0] == value:
                continue
            data = bytearray(original)
            struct.pack_into("<I", data, 4 * word, value)
            path.write_bytes(data)
            with pytest.raises(WeightsError) as error:
                read_container(path)
            one_line(error)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_random_damage_is_refused_or_harmless(small_path, tmp_path_factory, data):
    """Bytes changed in header and directory: a typed error, or a container with well-formed tensors."""
    original = small_path.read_bytes()
    directory_end = HEADER.size + 28 * 4 + 44 * read_container(small_path).header.num_tensors
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, directory_end - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damage") / "damaged.cact"
    path.write_bytes(damaged)
    try:
        container = read_container(path)
    except ModelError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert all(min(t.shape) >= 1 for t in container.tensors.values())
    finally:
        path.unlink()


FIELDS = [name for name in Header.__dataclass_fields__ if name not in {"format_tag", "global_layer_mask", "engram_sites"}]


@pytest.mark.parametrize("name", FIELDS)
def test_every_header_field_has_a_range(small_path, tmp_path, name):
    """Whatever 32 bits can hold instead: a typed error, never a number that the model cannot count with."""
    values: dict[str, list] = {
        "engram_orders": [(2, 2**31), (2, 1000), (2**32 - 1, 3)],
        "rope_theta": [np.inf, np.nan, 1e30, -1.0],
    }
    header = read_container(small_path).header
    path = tmp_path / "tampered.cact"
    for value in values.get(name, [2**31 - 1, 2**31, 2**32 - 1]):
        path.write_bytes(pack_header(replace(header, **{name: value})) + small_path.read_bytes()[HEADER.size :])
        with pytest.raises(WeightsError) as error:
            read_container(path)
        assert name in one_line(error)


@pytest.mark.parametrize("name", ["qkv_conv_taps", "kv_bits", "max_seq_len", "engram_conv_taps", "engram_slots"])
def test_fields_that_cannot_be_0(small_path, tmp_path, name):
    header = replace(read_container(small_path).header, **{name: 0})
    path = tmp_path / "tampered.cact"
    path.write_bytes(pack_header(header) + small_path.read_bytes()[HEADER.size :])
    with pytest.raises(WeightsError, match=f"{name} is 0"):
        read_container(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "name", ["final_norm", "layers.1.cond_v", "heads.confidence.gain", "layers.0.q_proj", "engram.1.tables"]
)
def test_weights_that_are_not_finite_are_refused(small_path, tmp_path, name, value):
    container = read_container(small_path)
    tensor = container.tensors[name]
    if isinstance(tensor, PackedTensor):
        norms = tensor.norms.copy()
        norms.flat[-1] = value
        damaged = replace(tensor, norms=norms)
    else:
        damaged = tensor.copy()
        damaged.flat[-1] = value
    with pytest.raises(WeightsError, match=f"{name} holds a value that is not finite"):
        write_container(
            tmp_path / "bad.cact",
            container.header,
            container.codebooks,
            {**container.tensors, name: damaged},
            container.tokenizer,
        )


def test_directory_fields_are_checked(small_path, tmp_path):
    original = small_path.read_bytes()
    header = read_container(small_path).header
    path = tmp_path / "tampered.cact"
    for record in (0, 2, 5, header.num_tensors - 1):
        start = HEADER.size + 4 * header.codebook_len + 44 * record
        # dtype, ndim, zero, first dimension, unused dimension, offset, bytes, group, bits
        for at, value in ((0, 9), (1, 3), (2, 1), (4, 5), (16, 1), (20, 8), (28, 1), (36, 12), (40, 7)):
            data = bytearray(original)
            data[start + at] = value
            path.write_bytes(data)
            with pytest.raises(WeightsError) as error:
                read_container(path)
            one_line(error)


def test_permutation_is_checked(small_path, tmp_path):
    container = read_container(small_path)
    tensors = dict(container.tensors)
    tensors["p1"] = np.zeros(container.header.hada_n, np.float32)
    with pytest.raises(WeightsError, match="permutation"):
        write_container(tmp_path / "bad.cact", container.header, container.codebooks, tensors, b"")
    assert list(tmp_path.iterdir()) == []


def test_writer_names_missing_tensors(small_path, tmp_path):
    container = read_container(small_path)
    tensors = dict(container.tensors)
    del tensors["final_norm"]
    with pytest.raises(WeightsError, match="final_norm"):
        write_container(tmp_path / "bad.cact", container.header, container.codebooks, tensors, b"")
