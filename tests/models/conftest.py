"""Small models with random weights, on every backend, and a tokenizer for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ferrule.core import Backend, BackendNotInstalledError, backend_names, get_backend, initialize, load_arrays, named_arrays
from ferrule.core.backends.numpy import REFERENCE, NumpyBackend
from ferrule.models import LanguageModel, kv_cache, token_loop
from ferrule.models.needle.config import NeedleConfig, selection_order
from ferrule.models.needle.model import Needle, rotary_tables
from ferrule.models.tokenizer import BytesStreamDecoder

SMALL = NeedleConfig(
    vocab=272,
    d_model=48,
    num_heads=4,
    num_kv_heads=2,
    qk_head_dim=8,
    v_head_dim=12,
    num_layers=4,
    layers=(0, 1, 2, 3),
    order=selection_order(4),
    global_layers=(2,),
    sliding_window=6,
    max_seq_len=96,
    rope_theta=10000.0,
    mhc_lanes=2,
    qkv_conv_taps=3,
    hada_n=64,
    cond_rank=4,
    engram_slots=32,
    engram_sub_dim=8,
    engram_orders=(2, 3),
    engram_hash_heads=3,
    engram_seed_heads=3,
    engram_conv_taps=4,
    engram_conv_dilation=3,
    engram_sites=(1, 3),
    probes=2,
    queries=3,
)


class ByteTokenizer:
    """ids: pad, `</s>`, `<s>`, one marker, 256 bytes, a few longer pieces."""

    bos_id = 2
    eos_ids = (1,)
    special_ids = frozenset(range(4))
    pieces = (
        *[b""] * 3,
        b"<mark>",
        *(bytes([i]) for i in range(256)),
        b"ab",
        b"abc",
        b'{"',
        b'":',
        "é".encode(),
        b" \xe2",
        b"\x82\xac",
    )
    pieces = (*pieces, *(b"word%d" % i for i in range(SMALL.vocab - len(pieces))))
    vocab_size = len(pieces)

    def encode(self, text: str, *, markers: bool = True) -> list[int]:
        data, ids = text.encode(), []
        while data:
            longest = max(
                (i for i in range(4 - markers, self.vocab_size) if data.startswith(self.pieces[i])),
                key=lambda i: len(self.pieces[i]),
            )
            ids.append(longest)
            data = data[len(self.pieces[longest]) :]
        return ids

    def decode(self, ids) -> str:
        return b"".join(self.pieces[i] for i in ids).decode(errors="replace")

    def token_bytes(self, token: int) -> bytes:
        return self.pieces[token]

    def id_of(self, piece: str) -> int:
        return {"<mark>": 3}[piece]

    def stream_decoder(self) -> BytesStreamDecoder:
        return BytesStreamDecoder(self.pieces.__getitem__)


@pytest.fixture(scope="session")
def tiny_tokenizer() -> ByteTokenizer:
    return ByteTokenizer()


@pytest.fixture(scope="session", params=backend_names())
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend in turn; a framework that is not installed is skipped with the line that a user would read."""
    try:
        return get_backend(request.param)
    except BackendNotInstalledError as error:
        pytest.skip(str(error))


class FixedShapes(NumpyBackend):
    """NumPy made to work as JAX and TensorFlow do, in few fixed shapes: padded chunks, rings, caches that grow."""

    dynamic_shapes = False


@pytest.fixture(scope="session")
def fixed_shapes() -> Backend:
    return FixedShapes()


@pytest.fixture(scope="session", params=["dynamic shapes", "fixed shapes"])
def form(request: pytest.FixtureRequest, fixed_shapes: Backend) -> Backend:
    """Both ways in which the loop and the caches work, on NumPy, where nothing has to be compiled for it."""
    return REFERENCE if request.param == "dynamic shapes" else fixed_shapes


@pytest.fixture(scope="session")
def small_config() -> NeedleConfig:
    return SMALL


@pytest.fixture(scope="session")
def small_needle() -> Callable[..., Needle]:
    """``small_needle(backend, seed=0, **changes)``: a Needle of 4 layers with random weights, the same on every backend."""

    def make(backend: str | Backend, seed: int = 0, **changes: Any) -> Needle:
        config = replace(SMALL, **changes)
        arrays = dict(named_arrays(initialize(Needle(config), seed)))
        arrays["cos"], arrays["sin"] = rotary_tables(config)
        rng = np.random.default_rng(seed)
        for name in arrays:
            if name.endswith((".p1", ".p2")):
                arrays[name] = rng.permutation(config.hada_n).astype(np.int32)
        arrays["embedding.weight"] = arrays["embedding.weight"] * np.float32(4)  # logits of some size
        return load_arrays(Needle(config), arrays, get_backend(backend))

    return make


@pytest.fixture(scope="session")
def small_model(small_needle) -> Callable[..., LanguageModel]:
    """``small_model(backend, seed=0, **changes)``: the same as a `LanguageModel`."""

    def make(backend: str | Backend, seed: int = 0, **changes: Any) -> LanguageModel:
        module = small_needle(backend, seed, **changes)
        return LanguageModel("small", module, ByteTokenizer(), get_backend(backend), module.config.max_seq_len, "needle")

    return make


@pytest.fixture
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 1, 4 and 8 tokens and caches of few rows, so that rings wrap and buffers grow within a short text."""
    monkeypatch.setattr(kv_cache, "MAX_CHUNK", 8)
    monkeypatch.setattr(NumpyBackend, "chunk_sizes", (1, 4, 8))
    monkeypatch.setattr(token_loop, "CAPACITIES", (16, 32))
