"""Attention, feed-forward and mixture of experts: the parts of a layer. Attribute names follow the checkpoints'."""

from __future__ import annotations

from typing import Any

from ...core import ArraySpec, Module, ops
from ...core.backend import Array
from ...core.layers import Linear, RMSNorm
from .. import kv_cache
from .config import DecoderConfig

Cache = dict[str, Any]


class Attention(Module):
    """Grouped-query attention (Ainslie et al. 2023) with rotary positions, a window and a cache."""

    fused = False  # one matrix for queries, keys and values

    def __init__(self, config: DecoderConfig, layer: int):
        c = config
        self.heads = (c.heads, c.kv_heads, c.head_dim)
        self.window = c.windows[layer]
        self.rope = c.ropes[layer]
        self.rotated, self.scale, self.cap = c.rotated, c.scale, c.attention_cap
        H, K, C = self.heads
        if self.fused:
            self.qkv_proj = Linear(c.d_model, (H + 2 * K) * C, c.qkv_bias)
        else:
            self.q_proj = Linear(c.d_model, H * C, c.qkv_bias)
            self.k_proj = Linear(c.d_model, K * C, c.qkv_bias)
            self.v_proj = Linear(c.d_model, K * C, c.qkv_bias)
        self.o_proj = Linear(H * C, c.d_model, c.out_bias)
        self.q_norm = RMSNorm(C, c.norm_eps, c.zero_centred) if c.qk_norm else None
        self.k_norm = RMSNorm(C, c.norm_eps, c.zero_centred) if c.qk_norm else None

    def __call__(self, x: Array, state: Any, cache: Cache) -> tuple[Array, Cache]:
        """x [B, T, D] -> [B, T, D], and the cache with T rows more."""
        H, K, C = self.heads
        B, T, _ = x.shape
        if self.fused:
            q, k, v = ops.split(self.qkv_proj(x), [H * C, K * C, K * C])
        else:
            q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        q, k, v = (ops.reshape(part, (B, T, heads, C)) for part, heads in ((q, H), (k, K), (v, K)))
        if self.q_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        if self.rope is not None:
            q, k = self._turn(q, state), self._turn(k, state)
        keys, values, kv = kv_cache.extend(cache, k, v, state.length, self.window)
        y = ops.attention(q, keys, values, state.mask(kv, self.window), self.scale, self.cap)
        return self.o_proj(ops.reshape(y, (B, T, H * C))), kv

    def _turn(self, x: Array, state: Any) -> Array:
        cos, sin = state.rotation(self.rope, self.rotated, x)
        if self.rotated == x.shape[-1]:
            return ops.rotary(x, cos, sin)
        turned, still = x[..., : self.rotated], x[..., self.rotated :]
        return ops.concatenate([ops.rotary(turned, cos, sin), still], -1)


class FusedAttention(Attention):
    """As `Attention`, for checkpoints with one matrix for queries, keys and values."""

    fused = True


def activate(x: Array, name: str) -> Array:
    """The activation of that name; see `DecoderConfig`."""
    return ops.silu(x) if name == "silu" else ops.gelu(x, approximate=name == "gelu")


class FeedForward(Module):
    """Gated feed-forward (Shazeer 2020): down(act(gate(x)) · up(x))."""

    def __init__(self, config: DecoderConfig):
        c = config
        self.gate_proj = Linear(c.d_model, c.d_ff, c.mlp_bias)
        self.up_proj = Linear(c.d_model, c.d_ff, c.mlp_bias)
        self.down_proj = Linear(c.d_ff, c.d_model, c.mlp_bias)
        self.activation = c.activation

    def __call__(self, x: Array) -> Array:
        return self.down_proj(activate(self.gate_proj(x), self.activation) * self.up_proj(x))


class FusedFeedForward(Module):
    """As `FeedForward`, for checkpoints with one matrix for gate and up."""

    def __init__(self, config: DecoderConfig):
        self.d_ff = config.d_ff
        self.gate_up_proj = Linear(config.d_model, 2 * config.d_ff)
        self.down_proj = Linear(config.d_ff, config.d_model)
        self.activation = config.activation

    def __call__(self, x: Array) -> Array:
        gate, up = ops.split(self.gate_up_proj(x), [self.d_ff, self.d_ff])
        return self.down_proj(activate(gate, self.activation) * up)


class Experts(Module):
    """A mixture of gated feed-forwards, of which each token takes the few that its router likes best (Shazeer et al. 2017).

    All experts lie in one array each: gate_proj and up_proj [experts, d_expert, D], down_proj [experts, D, d_expert].
    """

    def __init__(self, config: DecoderConfig):
        c = config
        self.gate = Linear(c.d_model, c.experts)
        self.gate_proj = ArraySpec((c.experts, c.d_expert, c.d_model))
        self.up_proj = ArraySpec((c.experts, c.d_expert, c.d_model))
        self.down_proj = ArraySpec((c.experts, c.d_model, c.d_expert))
        self.chosen, self.normalise, self.activation = c.experts_per_token, c.normalise_experts, c.activation

    def __call__(self, x: Array) -> Array:
        B, T, D = x.shape
        flat = ops.reshape(x, (B * T, D))
        share, expert = ops.top_k(ops.softmax(ops.cast(self.gate(flat), "float32")), self.chosen)  # [N, k]
        if self.normalise:
            share = share / ops.sum(share, -1, keepdims=True)
        y = mixture(flat, share, expert, [self.gate_proj, self.up_proj], self.down_proj, self.activation)
        return ops.reshape(y, (B, T, D))


def mixture(x: Array, share: Array, expert: Array, into: list[Array], down: Array, activation: str) -> Array:
    """What the chosen experts make of each token, in their shares.

    Args:
        x: tokens [N, D].
        share, expert: float32 and int32 [N, k].
        into: gate and up of all experts [experts, F, D] each, or both in one array [experts, 2F, D].
        down: of all experts [experts, D, F].
    """

    def gated(parts: list[Array]) -> Array:
        gate, up = parts if len(parts) == 2 else ops.split(parts[0], [F, F])
        return activate(gate, activation) * up

    experts, F = down.shape[0], down.shape[2]
    share = ops.cast(share, ops.element_type(x))
    if x.shape[0] * expert.shape[-1] < experts:  # few tokens: only the experts that they take are read
        h = gated([ops.einsum("nd,nkfd->nkf", x, ops.take(w, expert)) for w in into])
        return ops.einsum("nkf,nkdf,nk->nd", h, ops.take(down, expert), share)
    # many tokens: every expert is taken by some of them
    which = ops.expand_dims(expert, -1) == ops.arange(experts, like=expert)  # [N, k, experts]
    shares = ops.sum(ops.where(which, ops.expand_dims(share, -1), 0.0), 1)
    h = gated([ops.einsum("nd,efd->enf", x, w) for w in into])
    return ops.einsum("enf,edf,ne->nd", h, down, shares)


class PreNormBlock(Module):
    """A layer that normalises what goes into each part (Llama and its kin)."""

    attention: type[Attention] = Attention
    feed_forward: type[Module] = FeedForward

    def __init__(self, config: DecoderConfig, layer: int):
        c = config
        self.input_layernorm = RMSNorm(c.d_model, c.norm_eps, c.zero_centred)
        self.self_attn = self.attention(c, layer)
        self.post_attention_layernorm = RMSNorm(c.d_model, c.norm_eps, c.zero_centred)
        self.mlp = Experts(c) if c.sparse and c.sparse[layer] else self.feed_forward(c)
        self.residual_scale = c.residual_scale

    def __call__(self, x: Array, state: Any, cache: Cache) -> tuple[Array, Cache]:
        y, cache = self.self_attn(self.input_layernorm(x), state, cache)
        x = x + self._scaled(y)
        return x + self._scaled(self.mlp(self.post_attention_layernorm(x))), cache

    def _scaled(self, x: Array) -> Array:
        return x if self.residual_scale == 1 else x * self.residual_scale


class FusedBlock(PreNormBlock):
    """A pre-norm layer with fused projections."""

    attention, feed_forward = FusedAttention, FusedFeedForward


class SandwichBlock(Module):
    """A layer that normalises what goes into each part and what comes out of it (Gemma 2 and 3)."""

    def __init__(self, config: DecoderConfig, layer: int):
        c = config
        self.input_layernorm = RMSNorm(c.d_model, c.norm_eps, c.zero_centred)
        self.self_attn = Attention(c, layer)
        self.post_attention_layernorm = RMSNorm(c.d_model, c.norm_eps, c.zero_centred)
        self.pre_feedforward_layernorm = RMSNorm(c.d_model, c.norm_eps, c.zero_centred)
        self.mlp = FeedForward(c)
        self.post_feedforward_layernorm = RMSNorm(c.d_model, c.norm_eps, c.zero_centred)

    def __call__(self, x: Array, state: Any, cache: Cache) -> tuple[Array, Cache]:
        y, cache = self.self_attn(self.input_layernorm(x), state, cache)
        x = x + self.post_attention_layernorm(y)
        return x + self.post_feedforward_layernorm(self.mlp(self.pre_feedforward_layernorm(x))), cache
