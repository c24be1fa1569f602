"""Sizes of a Needle model."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from ..errors import OptionError
from .layout import Header


@dataclass(frozen=True)
class NeedleConfig:
    """Sizes of a Needle 3 model, and which of its layers are kept.

    Attributes:
        layers: original numbers of the layers that are kept, ascending; a ladder sub-network keeps some.
        order: the selection order that `ladder` takes its first layers from.
        kv_window: attention of every layer is narrowed to this many positions plus the pinned prefix, as the published engine
            does with 256; 0 leaves each layer its own reach (`sliding_window`, or everything in global layers).
    """

    vocab: int
    d_model: int
    num_heads: int
    num_kv_heads: int
    qk_head_dim: int
    v_head_dim: int
    num_layers: int
    layers: tuple[int, ...]
    order: tuple[int, ...]
    global_layers: tuple[int, ...]
    sliding_window: int
    max_seq_len: int
    rope_theta: float
    mhc_lanes: int
    qkv_conv_taps: int
    hada_n: int
    cond_rank: int
    engram_slots: int
    engram_sub_dim: int
    engram_orders: tuple[int, ...]
    engram_hash_heads: int
    engram_seed_heads: int
    engram_conv_taps: int
    engram_conv_dilation: int
    engram_sites: tuple[int, ...]
    probes: int = 0
    queries: int = 0
    kv_window: int = 0

    @classmethod
    def from_header(cls, header: Header, cond_rank: int, probes: int = 0, queries: int = 0) -> NeedleConfig:
        """The full-depth model of a container; `kv_window` of the header is not taken over (see the attribute)."""
        h = header
        return cls(
            vocab=h.vocab,
            d_model=h.d_model,
            num_heads=h.num_heads,
            num_kv_heads=h.num_kv_heads,
            qk_head_dim=h.qk_head_dim,
            v_head_dim=h.v_head_dim,
            num_layers=h.num_layers,
            layers=tuple(range(h.num_layers)),
            order=selection_order(h.num_layers),
            global_layers=h.global_layers,
            sliding_window=h.sliding_window,
            max_seq_len=h.max_seq_len,
            rope_theta=h.rope_theta,
            mhc_lanes=h.mhc_lanes,
            qkv_conv_taps=h.qkv_conv_taps,
            hada_n=h.hada_n,
            cond_rank=cond_rank,
            engram_slots=h.engram_slots,
            engram_sub_dim=h.engram_sub_dim,
            engram_orders=h.engram_orders,
            engram_hash_heads=h.hash_heads,
            engram_seed_heads=h.engram_seed_heads or h.hash_heads,
            engram_conv_taps=h.engram_conv_taps,
            engram_conv_dilation=h.engram_conv_dilation,
            engram_sites=h.engram_sites,
            probes=probes,
            queries=queries,
        )

    def ladder(self, depth: int) -> NeedleConfig:
        """The sub-network of the first `depth` layers of the selection order, 2 ≤ depth ≤ number of kept layers.

        Raises:
            OptionError: there is no such depth.
        """
        if type(depth) is not int or not 2 <= depth <= len(self.layers):
            raise OptionError(f"a ladder of this model has 2 to {len(self.layers)} layers, received depth={depth!r}")
        kept = self.order[:depth]
        return replace(self, layers=tuple(sorted(kept)), order=kept)

    def narrowed(self, kv_window: int) -> NeedleConfig:
        """The same model with attention narrowed to that many positions; 0 narrows nothing.

        Raises:
            OptionError: it is not a number of positions.
        """
        if type(kv_window) is not int or kv_window < 0:
            raise OptionError(f"kv_window is a number of positions, or 0 for no narrowing, received {kv_window!r}")
        return replace(self, kv_window=kv_window)

    def window(self, layer: int) -> int:
        """Positions that a layer sees at most, its own included; 0 for everything."""
        return 0 if layer in self.global_layers else self.sliding_window


def selection_order(num_layers: int) -> tuple[int, ...]:
    """Order in which the depth ladder adds layers: the ends, then the middle of the widest gap, leftmost on ties."""
    chosen = [0, num_layers - 1] if num_layers > 1 else [0]
    while len(chosen) < num_layers:
        known = sorted(chosen)
        gaps = [(right - left, -left, right) for left, right in itertools.pairwise(known)]
        _, minus_left, right = max(gaps)
        chosen.append((right - minus_left) // 2)
    return tuple(chosen)
