"""Header of the `.cact` container and the tensors that it implies (spec §1.2 and §1.6)."""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass

FORMAT_TAG = 0x05E12A84
NEEDLE_2_TAG = 0x05E12A83
HEADER = struct.Struct("<48If")
# Sizes of the codebook block and the bit widths whose tables it then holds.
CODEBOOK_BITS = {0: (), 4: (2,), 12: (2, 3), 28: (2, 3, 4)}
HEADS = {1: "embedding", 2: "confidence", 3: "router"}
# Name -> smallest and largest value. No real model comes near the largest: a damaged header must neither ask for absurd sizes
# nor pass a number on that 32 bits cannot hold.
_RANGES = {
    "num_tensors": (1, 100_000),
    "codebook_len": (0, max(CODEBOOK_BITS)),
    "kv_window": (0, 1 << 20),
    "kv_bits": (1, 32),
    "vocab": (1, 1 << 20),
    "out_vocab": (0, 1 << 20),
    "d_model": (1, 1 << 16),
    "num_heads": (1, 1024),
    "num_kv_heads": (1, 1024),
    "num_layers": (1, 64),
    "qk_head_dim": (2, 4096),
    "v_head_dim": (1, 4096),
    "max_seq_len": (1, 1 << 20),
    "hada_n": (1, 1 << 17),
    "mhc_lanes": (1, 64),
    "sliding_window": (1, 1 << 20),
    "qkv_conv_taps": (1, 64),
    "engram_slots": (1, 1 << 24),
    "engram_sub_dim": (1, 1 << 16),
    "num_engram_tables": (1, 256),
    "engram_conv_taps": (1, 64),
    "engram_conv_dilation": (1, 1024),
    "engram_seed_heads": (0, 256),
}
_LONGEST_NGRAM = 16
_LARGEST_ROPE_THETA = 1e12


class Damaged(Exception):
    """What is wrong with the file; `read_container` adds the path and the advice."""


@dataclass(frozen=True)
class Header:
    """The header words of a container, by the names of spec §1.2."""

    num_tensors: int
    codebook_len: int
    kv_window: int
    kv_bits: int
    vocab: int
    out_vocab: int
    d_model: int
    num_heads: int
    num_kv_heads: int
    num_layers: int
    qk_head_dim: int
    v_head_dim: int
    max_seq_len: int
    hada_n: int
    mhc_lanes: int
    sliding_window: int
    global_layer_mask: int
    qkv_conv_taps: int
    engram_slots: int
    engram_sub_dim: int
    num_engram_tables: int
    engram_conv_taps: int
    engram_conv_dilation: int
    engram_seed_heads: int
    engram_orders: tuple[int, ...]
    engram_sites: tuple[int, ...]
    rope_theta: float
    format_tag: int = FORMAT_TAG

    @property
    def global_layers(self) -> tuple[int, ...]:
        """Layers that attend without a sliding window."""
        return tuple(i for i in range(self.num_layers) if self.global_layer_mask >> i & 1)

    @property
    def hash_heads(self) -> int:
        """Hash heads per n-gram order."""
        return self.num_engram_tables // len(self.engram_orders) if self.engram_orders else 0


_HEADER_WORDS = tuple(Header.__dataclass_fields__)[:16]
_ENGRAM_WORDS = tuple(Header.__dataclass_fields__)[17:24]


def read_header(data: bytes | mmap.mmap) -> Header:
    """The header at the start of a file; `Damaged` when it is not one of Needle 3 or contradicts itself."""
    *words, rope_theta = HEADER.unpack_from(data)
    if words[0] == NEEDLE_2_TAG:
        raise Damaged("this is a Needle 2 container, only Needle 3 can be read")
    if words[0] != FORMAT_TAG:
        raise Damaged(f"not a Needle 3 container: it begins with {words[0]:#010x}, {FORMAT_TAG:#010x} expected")
    num_orders, num_sites = words[26], words[31]
    if num_orders > 4 or num_sites > 16 or any(words[27 + num_orders : 31]) or any(words[32 + num_sites : 48]):
        raise Damaged("the engram words of the header are not well-formed")
    header = Header(
        **dict(zip(_HEADER_WORDS, words[1:17])),
        global_layer_mask=words[17] | words[18] << 32,
        **dict(zip(_ENGRAM_WORDS, words[19:26])),
        engram_orders=tuple(words[27 : 27 + num_orders]),
        engram_sites=tuple(words[32 : 32 + num_sites]),
        rope_theta=rope_theta,
    )
    problem = _header_problem(header)
    if problem:
        raise Damaged(f"the header is damaged: {problem}")
    return header


def _header_problem(h: Header) -> str | None:
    for name, (least, most) in _RANGES.items():
        value = getattr(h, name)
        unused = name in _ENGRAM_WORDS and not h.engram_sites
        if value > most or (value < least and not unused):
            return f"{name} is {value}, {least} to {most} expected"
    if h.codebook_len not in CODEBOOK_BITS:
        return f"codebook_len is {h.codebook_len}"
    if h.num_heads % h.num_kv_heads or h.out_vocab > h.vocab or h.qk_head_dim % 2:
        return "attention heads or vocabulary sizes do not fit each other"
    if h.hada_n & (h.hada_n - 1) or not h.d_model <= h.hada_n < 2 * h.d_model or math.isqrt(h.hada_n) ** 2 != h.hada_n:
        return f"hada_n is {h.hada_n} for a width of {h.d_model}"
    if h.global_layer_mask >> h.num_layers:
        return "the mask of global layers names a layer that does not exist"
    if list(h.engram_sites) != sorted(set(h.engram_sites)) or any(s >= h.num_layers for s in h.engram_sites):
        return f"engram_sites are {h.engram_sites}"
    if (h.engram_sites and not h.engram_orders) or any(not 1 <= n <= _LONGEST_NGRAM for n in h.engram_orders):
        return f"engram_orders are {h.engram_orders}, 1 to {_LONGEST_NGRAM} expected"
    if h.engram_orders and h.num_engram_tables % len(h.engram_orders):
        return f"{h.num_engram_tables} engram tables for {len(h.engram_orders)} orders"
    if not 1 < h.rope_theta <= _LARGEST_ROPE_THETA:  # false for NaN, too
        return f"rope_theta is {h.rope_theta}"
    return None


def pack_header(h: Header) -> bytes:
    """The bytes that `read_header` reads."""
    orders, sites = h.engram_orders, h.engram_sites
    return HEADER.pack(
        h.format_tag,
        *(getattr(h, name) for name in _HEADER_WORDS),
        h.global_layer_mask & 0xFFFFFFFF,
        h.global_layer_mask >> 32,
        *(getattr(h, name) for name in _ENGRAM_WORDS),
        *(len(orders), *orders, *[0] * (4 - len(orders))),
        *(len(sites), *sites, *[0] * (16 - len(sites))),
        h.rope_theta,
    )


@dataclass(frozen=True)
class Slot:
    """What must stand at one place of the directory; None in `shape` is any size (≥ 1)."""

    name: str
    shape: tuple[int | None, ...]
    matrix: bool = False  # may be quantised
    integers: bool = False  # whole numbers 0 … n − 1, each once


def tensor_layout(header: Header) -> Iterator[Slot]:
    """The tensors through `final_norm` in file order (spec §1.6): names such as `layers.0.q_proj`."""
    h = header
    d, n, layers = h.d_model, h.mhc_lanes, h.num_layers
    query, key, value = h.num_heads * h.qk_head_dim, h.num_kv_heads * h.qk_head_dim, h.num_kv_heads * h.v_head_dim
    attended = h.num_heads * h.v_head_dim
    yield Slot("embedding", (h.vocab, d), matrix=True)
    for i in range(layers):
        at = f"layers.{i}."
        yield Slot(at + "norm_in", (d,))
        for name, rows in (("q", query), ("k", key), ("v", value)):
            yield Slot(f"{at}{name}_proj", (rows, d), matrix=True)
        for name, rows in (("q", query), ("k", key), ("v", value)):
            yield Slot(f"{at}{name}_taps", (h.qkv_conv_taps, rows))
        yield Slot(at + "q_norm", (h.qk_head_dim,))
        yield Slot(at + "k_norm", (h.qk_head_dim,))
        yield Slot(at + "gate_proj", (attended, d), matrix=True)
        yield Slot(at + "out_proj", (d, attended), matrix=True)
        yield Slot(at + "post_norm", (d,))
        yield Slot(at + "attn_gate", (1,))
        yield Slot(at + "pre_hada", (d,))
        for name in ("d1", "d2", "b2", "d3", "d4"):
            yield Slot(at + name, (h.hada_n,))
        side = math.isqrt(h.hada_n)
        for name in ("w1a", "w1b", "w2a", "w2b", "w3a", "w3b"):
            yield Slot(at + name, (side, side))
        yield Slot(at + "cond_v", (d, None))
        yield Slot(at + "cond_u", (None, h.hada_n))
    for name in ("a_pre", "a_post", "a_res"):
        yield Slot(f"mhc.{name}", (layers,))
    yield Slot("mhc.b_pre", (layers, n))
    yield Slot("mhc.b_post", (layers, n))
    yield Slot("mhc.b_res", (layers, n, n))
    yield Slot("mhc.phi_pre", (layers * n, n * d), matrix=True)
    yield Slot("mhc.phi_post", (layers * n, n * d), matrix=True)
    yield Slot("mhc.phi_res", (layers * n * n, n * d), matrix=True)
    yield Slot("p1", (h.hada_n,), integers=True)
    yield Slot("p2", (h.hada_n,), integers=True)
    for site in h.engram_sites:
        at, fetched = f"engram.{site}.", h.num_engram_tables * h.engram_sub_dim
        yield Slot(at + "tables", (h.num_engram_tables * h.engram_slots, h.engram_sub_dim), matrix=True)
        yield Slot(at + "key_proj", (d, fetched), matrix=True)
        yield Slot(at + "value_proj", (d, fetched), matrix=True)
        yield Slot(at + "taps", (h.engram_conv_taps, d))
    yield Slot("final_norm", (d,))


def head_layout(header: Header, name: str) -> Iterator[Slot]:
    """The tensors of one head (`embedding`, `confidence` or `router`) in file order."""
    rows, d, at = header.num_layers + 1, header.d_model, f"heads.{name}."
    yield Slot(at + "probes", (None, d), matrix=True)
    yield Slot(at + "gain", (rows, None))
    yield Slot(at + "query", (None, d), matrix=True)
    yield Slot(at + "row_bias", (None, rows, None))
    yield Slot(at + "proj", (None, None), matrix=True)
    yield Slot(at + "bias", (None,))
    if name == "router":
        yield Slot(at + "calibration", (3,))
