"""A small Needle container with random weights, and the tokenizer of the published one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ferrule.models.needle.container import Container, read_container
from ferrule.models.needle.container_writer import write_container
from ferrule.models.needle.layout import Header, tensor_layout
from ferrule.models.needle.packed import quantize

SMALL = Header(
    num_tensors=0,  # filled in by the writer
    codebook_len=0,
    kv_window=16,
    kv_bits=8,
    vocab=8192,
    out_vocab=8192,
    d_model=48,
    num_heads=4,
    num_kv_heads=2,
    num_layers=4,
    qk_head_dim=8,
    v_head_dim=12,
    max_seq_len=64,
    hada_n=64,
    mhc_lanes=2,
    sliding_window=8,
    global_layer_mask=0b1000,
    qkv_conv_taps=3,
    engram_slots=32,
    engram_sub_dim=8,
    num_engram_tables=6,
    engram_conv_taps=4,
    engram_conv_dilation=3,
    engram_seed_heads=0,
    engram_orders=(2, 3),
    engram_sites=(1, 3),
    rope_theta=10000.0,
)


def codebook(bits: int) -> np.ndarray:
    """Ascending levels for groups of 16: any will do for a test."""
    return (np.linspace(-2, 2.1, 2**bits) / 4).astype(np.float32)


@pytest.fixture(scope="session")
def published(needle_weights: Path) -> Container:
    """The published container, opened."""
    return read_container(needle_weights)


def random_tensors(header: Header, seed: int = 0) -> dict[str, np.ndarray]:
    """Dense random tensors for every place of the layout."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    for slot in tensor_layout(header):
        shape = tuple(4 if size is None else size for size in slot.shape)
        if slot.integers:
            tensors[slot.name] = rng.permutation(shape[0]).astype(np.float32)
        else:
            tensors[slot.name] = (rng.standard_normal(shape) * 0.1).astype(np.float32 if slot.matrix else np.float16)
    return tensors


@pytest.fixture(scope="session")
def small_path(published: Container, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete container of 4 layers, 48 wide, with a confidence head and every storage kind."""
    header = SMALL
    rng = np.random.default_rng(1)
    tables = {bits: codebook(bits) for bits in (2, 3, 4)}
    kinds = {"q_proj": 2, "k_proj": 3, "v_proj": 5, "gate_proj": 1, "embedding": 4, "tables": 2}
    tensors = {}
    for name, value in random_tensors(header).items():
        bits = kinds.get(name.rpartition(".")[2])
        tensors[name] = quantize(value, bits, tables.get(bits), group=16) if bits else value
    rows, d = header.num_layers + 1, header.d_model
    tensors["heads.manifest"] = np.array([2], np.float16)
    shapes = {"gain": (rows, 2), "row_bias": (3, rows, 2), "proj": (1, 3 * d), "bias": (1,)}
    shapes |= {"probes": (rows * 2, d), "query": (3, d)}
    for name, shape in shapes.items():
        tensors[f"heads.confidence.{name}"] = rng.standard_normal(shape).astype(np.float16)
    path = tmp_path_factory.mktemp("needle") / "small.cact"
    write_container(path, header, tables, tensors, published.tokenizer)
    return path
