"""Needle 3: a decoder with hyper-connections, n-gram memory and a Monarch MLP.

Written from the specification of the published checkpoint `needle3.cact`. Axis letters as elsewhere (B batch, T new tokens, D
model width), J residual lanes. Names follow the checkpoint; projections that read the same input lie in one matrix, and the
1 of zero-centred gains is added when the weights are loaded.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...core import ArraySpec, Backend, Module, map_arrays, ops
from ...core.backend import Array
from ...core.layers import CausalConv, Linear, ReversibleEmbedding, RMSNorm
from .. import kv_cache
from .config import NeedleConfig
from .heads import ProbeHead, new_pool, pool_tokens

SINKHORN_ITERATIONS = 20
Cache = dict[str, Any]


class HyperConnection(Module):
    """Residual lanes read into one stream and written back, with weights that depend on the token (mHC).

    The rows of `phi`, `scale` and `bias` are: J to read the lanes, J to write to them, J·J to mix them.
    """

    def __init__(self, config: NeedleConfig):
        J = config.mhc_lanes
        self.lanes = J
        self.phi = ArraySpec((2 * J + J * J, J * config.d_model))
        self.scale = ArraySpec((2 * J + J * J,))
        self.bias = ArraySpec((2 * J + J * J,))

    def read(self, X: Array) -> tuple[Array, Array, Array]:
        """Lanes [B, T, J, D] -> stream [B, T, D], mixed lanes [B, T, J, D], write weights [B, T, J, 1]."""
        B, T, J, D = X.shape
        z = ops.rms_norm(ops.reshape(X, (B, T, J * D)))
        h = ops.linear(z, self.phi) * self.scale + self.bias
        gates = ops.sigmoid(h[..., : 2 * J])
        pre = ops.reshape(gates[..., :J], (B, T, 1, J))
        post = ops.reshape(2.0 * gates[..., J:], (B, T, J, 1))
        residual = ops.sinkhorn(ops.reshape(h[..., 2 * J :], (B, T, J, J)), SINKHORN_ITERATIONS)
        read = ops.matmul(ops.concatenate([pre, residual], 2), X)  # [B, T, 1 + J, D]: both read the same lanes
        return read[:, :, 0], read[:, :, 1:], post


class EngramSite(Module):
    """Memory of n-grams at one layer: rows fetched by a hash of the last tokens, gated by the stream."""

    def __init__(self, config: NeedleConfig):
        tables = len(config.engram_orders) * config.engram_hash_heads
        self.width = config.d_model
        self.tables = ArraySpec((tables * config.engram_slots, config.engram_sub_dim))
        self.kv_proj = Linear(tables * config.engram_sub_dim, 2 * config.d_model)
        self.conv = CausalConv(config.d_model, config.engram_conv_taps, config.engram_conv_dilation)

    def fetch(self, slots: Array, known: Array, past: Array) -> tuple[Array, Array, Array]:
        """slots int32 [B, T, tables], known [B, T, tables, 1] -> unit keys, values [B, T, D], and value rows for the cache."""
        e = ops.take(self.tables, slots) * known
        h = self.kv_proj(ops.reshape(e, (*slots.shape[:2], -1)))
        value, rows = self.conv(h[..., self.width :], past)
        return ops.rms_norm(h[..., : self.width]), value, rows

    def __call__(self, u: Array, key: Array, value: Array) -> Array:
        alpha = ops.sigmoid(ops.sum(ops.rms_norm(u) * key, -1, keepdims=True) * self.width**-0.5)
        return u + alpha * value


class Attention(Module):
    """Grouped-query attention with short convolutions on queries, keys and values, and a gate on its output."""

    def __init__(self, config: NeedleConfig, window: int):
        c = config
        self.window = window
        self.heads = (c.num_heads, c.num_kv_heads, c.qk_head_dim, c.v_head_dim)
        H, K, C, Cv = self.heads
        qkv = (H + K) * C + K * Cv
        self.sizes = [qkv, H * Cv]
        self.norm_in = RMSNorm(c.d_model)
        self.qkvg_proj = Linear(c.d_model, sum(self.sizes))
        self.conv = CausalConv(qkv, c.qkv_conv_taps)
        self.qk_norm = ArraySpec((H + K, C), init="ones")
        self.out_proj = Linear(H * Cv, c.d_model)
        self.post_norm = RMSNorm(c.d_model)  # its gain carries the sigmoid of attn_gate

    def __call__(self, x: Array, state: _State, cache: Cache) -> tuple[Array, Cache]:
        B, T, _ = x.shape
        H, K, C, Cv = self.heads
        qkv, gate = ops.split(self.qkvg_proj(self.norm_in(x)), self.sizes)
        qkv, rows = self.conv(qkv, cache["conv"])
        qk = ops.reshape(qkv[..., : (H + K) * C], (B, T, H + K, C))
        qk = ops.rotary(ops.rms_norm(qk, self.qk_norm), state.cos, state.sin)
        v = ops.reshape(qkv[..., (H + K) * C :], (B, T, K, Cv))
        keys, values, kv = kv_cache.extend(cache["kv"], qk[:, :, H:], v, state.length, self.window)
        o = ops.attention(qk[:, :, :H], keys, values, state.mask(kv, self.window), C**-0.5)
        o = ops.reshape(o, (B, T, H * Cv)) * ops.sigmoid(gate)
        cache = {"kv": kv, "conv": ops.rows(rows, state.valid, self.conv.history)}
        return x + self.post_norm(self.out_proj(o)), cache


class MonarchMLP(Module):
    """A feed-forward block whose matrices are Kronecker products of two small factors, shuffled in between."""

    def __init__(self, config: NeedleConfig):
        N, side = config.hada_n, math.isqrt(config.hada_n)
        rows = config.d_model // side  # rows of the square that hold channels; the others would be padding
        self.pre_hada = RMSNorm(config.d_model)
        self.d1 = ArraySpec((config.d_model,))
        self.d2, self.b2, self.d3 = (ArraySpec((N,)) for _ in range(3))
        self.d4 = ArraySpec((config.d_model,))
        self.w1a = ArraySpec((rows, side))
        self.w3a = ArraySpec((side, rows))
        self.w1b, self.w2a, self.w2b, self.w3b = (ArraySpec((side, side)) for _ in range(4))
        self.cond_v = Linear(config.d_model, config.cond_rank)
        self.cond_u = Linear(config.cond_rank, N)
        self.p1 = ArraySpec((N,), dtype="int32")
        self.p2 = ArraySpec((N,), dtype="int32")

    def __call__(self, x: Array) -> Array:
        m = self.pre_hada(x)
        c = 1.0 + self.cond_u(ops.softmax(self.cond_v(m)))
        z = ops.take(ops.kronecker(self.d1 * m, self.w1a, self.w1b), self.p1, axis=2)
        z = ops.kronecker(ops.silu(self.d2 * c * z + self.b2), self.w2a, self.w2b)
        z = ops.kronecker(self.d3 * ops.take(z, self.p2, axis=2), self.w3a, self.w3b)
        return x + self.d4 * z


class Block(Module):
    """One layer: read the lanes, n-gram memory where there is a site, attention, MLP, write the lanes."""

    def __init__(self, config: NeedleConfig, layer: int):
        self.mhc = HyperConnection(config)
        self.attn = Attention(config, config.window(layer))
        self.mlp = MonarchMLP(config)
        self.engram = EngramSite(config) if layer in config.engram_sites else None

    def __call__(self, X: Array, state: _State, cache: Cache) -> tuple[Array, Cache]:
        u, mixed, post = self.mhc.read(X)
        x = u
        if self.engram is not None:
            key, value, rows = self.engram.fetch(state.slots, state.known, cache["engram"])
            x = self.engram(u, key, value)
            kept = ops.rows(rows, state.valid, self.engram.conv.history)
        x, new = self.attn(x, state, cache)
        x = self.mlp(x)
        if self.engram is not None:
            new["engram"] = kept
        return mixed + post * ops.expand_dims(x - u, 2), new


class Needle(Module):
    """The model. Build it with `ferrule.models.needle.load_needle`; sizes are in `config`."""

    def __init__(self, config: NeedleConfig):
        self.config = config
        self.embedding = ReversibleEmbedding(config.vocab, config.d_model)
        self.cos = ArraySpec((config.max_seq_len, config.qk_head_dim // 2))
        self.sin = ArraySpec((config.max_seq_len, config.qk_head_dim // 2))
        self.blocks = [Block(config, layer) for layer in config.layers]
        self.final_norm = RMSNorm(config.d_model)
        self.confidence = ProbeHead(config) if config.probes else None

    def __call__(self, ids: Array, valid: Array | int, cache: Cache) -> tuple[Array, Cache]:
        """Run new tokens behind those of the cache; see `token_loop.Decoder`."""
        state = _State(self, ids, valid, cache)
        x = self.embedding(ids) * self.config.d_model**0.5
        X = ops.broadcast_to(ops.expand_dims(x, 2), (*x.shape[:2], self.config.mhc_lanes, x.shape[2]))
        cells = [x]
        layers = []
        for block, layer_cache in zip(self.blocks, cache["layers"]):
            X, layer_cache = block(X, state, layer_cache)
            layers.append(layer_cache)
            cells.append(ops.mean(X, 2))
        new: Cache = {
            "length": cache["length"] + valid,
            "ids": ops.rows(state.ids, valid, cache["ids"].shape[1]),
            "layers": layers,
        }
        if "sink" in cache:
            new["sink"] = cache["sink"]
        if "pool" in cache:
            new["pool"] = pool_tokens(self.confidence, cache["pool"], ops.stack(cells, 2), valid)
        return self.final_norm(cells[-1]), new

    def logits(self, hidden: Array) -> Array:
        """Hidden states [..., D] -> logits [..., V]; input and output embedding are tied."""
        return self.embedding(hidden, reverse=True)

    def new_cache(self, backend: Backend, capacity: int, batch: int = 1, pool: bool = False) -> Cache:
        """An empty cache.

        Args:
            backend: that of the model's arrays.
            capacity: rows of the layers that see everything; layers with a window take no more than they need.
            pool: also keep what the confidence head and the pooled embedding read.
        """
        c = self.config
        dynamic = backend.dynamic_shapes
        qkv = (c.num_heads + c.num_kv_heads) * c.qk_head_dim + c.num_kv_heads * c.v_head_dim
        layers = []
        for layer in c.layers:
            rows = capacity if dynamic else kv_cache.ring_rows(c.window(layer), capacity)
            entry: Cache = {
                "kv": kv_cache.new_buffer(backend, batch, rows, c.num_kv_heads, c.qk_head_dim, c.v_head_dim),
                "conv": backend.zeros((batch, c.qkv_conv_taps - 1, qkv)),
            }
            if layer in c.engram_sites:
                entry["engram"] = backend.zeros((batch, (c.engram_conv_taps - 1) * c.engram_conv_dilation, c.d_model))
            layers.append(entry)
        past = max(c.engram_orders, default=1) - 1
        cache: Cache = {
            "length": 0 if dynamic else backend.zeros((), "int32"),
            "ids": backend.zeros((batch, past), "int32"),
            "layers": layers,
        }
        if c.kv_window:  # positions before it stay in sight of the narrowed attention
            cache["sink"] = 0 if dynamic else backend.zeros((), "int32")
        if pool and self.confidence is not None:
            cache["pool"] = new_pool(self.config, backend, batch)
        return cache

    def copy_cache(self, backend: Backend, cache: Cache, length: int) -> Cache:
        """The same cache after `length` positions, in memory of its own."""
        layers = []
        for entry in cache["layers"]:
            others = map_arrays(backend.copy, {name: x for name, x in entry.items() if name != "kv"})
            layers.append({**others, "kv": kv_cache.copy(backend, entry["kv"], length)})
        others = map_arrays(backend.copy, {name: x for name, x in cache.items() if name != "layers"})
        return {**others, "layers": layers}

    def grow_cache(self, cache: Cache, capacity: int) -> Cache:
        """The same cache with room for `capacity` positions (fixed shapes; the dynamic form grows by itself)."""
        layers = []
        for layer, entry in zip(self.config.layers, cache["layers"]):
            rows = kv_cache.ring_rows(self.config.window(layer), capacity)
            grown = rows > entry["kv"]["k"].shape[1]
            layers.append({**entry, "kv": kv_cache.grow(entry["kv"], rows)} if grown else entry)
        return {**cache, "layers": layers}


class _State:
    """What the layers of one call share: positions, masks, n-gram slots."""

    def __init__(self, model: Needle, ids: Array, valid: Array | int, cache: Cache):
        self.config = model.config
        self.new = ids.shape[1]
        self.valid = valid
        self.length = cache["length"]
        self.sink = cache.get("sink")
        self.positions = ops.arange(self.new, like=ids) + self.length
        self.cos = ops.expand_dims(ops.take(model.cos, self.positions), 1)
        self.sin = ops.expand_dims(ops.take(model.sin, self.positions), 1)
        self.ids = ops.concatenate([cache["ids"], ids], 1)
        self.slots, self.known = self._engram_slots() if self.config.engram_sites else (None, None)
        self._masks: dict[tuple[int, int], Array | None] = {}

    def mask(self, buffer: kv_cache.Buffer, window: int) -> Array | None:
        """Visible rows for each query, bool [1, T, S]; None when all are. Layers of the same reach share it."""
        key = (window, buffer["k"].shape[1], buffer.get("start", 0))
        if key not in self._masks:
            self._masks[key] = self._make_mask(buffer, window)
        return self._masks[key]

    def _make_mask(self, buffer: kv_cache.Buffer, window: int) -> Array | None:
        reach = window or self.config.max_seq_len
        if self.new == 1 and isinstance(self.length, int):
            seen = self.length + 1
            if seen - buffer["start"] <= reach and not self.config.kv_window:
                return None
        rows = kv_cache.row_positions(buffer, self.length, self.valid, self.new, self.positions)
        p, q = ops.expand_dims(rows, 0), ops.expand_dims(self.positions, 1)
        visible = (p >= 0) & (p <= q) & (q - p < reach)
        if self.config.kv_window:
            visible = visible & ((q - p < self.config.kv_window) | (p < self.sink))
        return ops.expand_dims(visible, 0)

    def _engram_slots(self) -> tuple[Array, Array]:
        """Table rows int32 [B, T, tables] and whether the n-gram lies inside the text, float32 [1, T, tables, 1].

        The hash is unsigned 32-bit arithmetic, done in int32: products wrap alike, and shift and remainder are corrected.
        """
        c = self.config
        heads = np.arange(c.engram_hash_heads)
        orders = ops.asarray(np.repeat(np.array(c.engram_orders, np.int32), c.engram_hash_heads), like=self.ids)
        seeds = [0x9E3779B9 * (oi * c.engram_seed_heads + int(h) + 1) for oi in range(len(c.engram_orders)) for h in heads]
        past = self.ids.shape[1] - self.new
        acc = ops.asarray(np.array(seeds, np.uint64).astype(np.uint32).view(np.int32), like=self.ids)
        for j in range(max(c.engram_orders)):
            token = ops.expand_dims(self.ids[:, past - j : past - j + self.new], 2)
            acc = ops.where(orders > j, ops.bitwise_xor(acc, token) * 0x01000193, acc)
        acc = ops.bitwise_xor(acc, ops.bitwise_and(ops.shift_right(acc, 15), 0x1FFFF))
        # Python's remainder of the signed value, moved by what 2³² leaves over where the unsigned value is larger by that
        slots = ops.remainder(acc, c.engram_slots) + ops.cast(acc < 0, "int32") * (2**32 % c.engram_slots)
        slots = ops.remainder(slots, c.engram_slots) + ops.arange(len(seeds), like=self.ids) * c.engram_slots
        inside = ops.cast(ops.expand_dims(self.positions, 1) >= orders - 1, "float32")  # [T, tables]
        return slots, ops.expand_dims(ops.expand_dims(inside, 0), 3)


def rotary_tables(config: NeedleConfig) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of every position's rotary angles, float32 [max_seq_len, C/2]."""
    half = config.qk_head_dim // 2
    angles = np.arange(config.max_seq_len)[:, None] * config.rope_theta ** (-np.arange(half) / half)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
