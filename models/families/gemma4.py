"""Gemma 4 (Gemma Team 2026; the checkpoints E2B, E4B, 12B, 26B-A4B and 31B): text models.

What is new beside Gemma 3: layers that see everything have wider and fewer heads, of which a part turns, and may take their
keys for values; the last layers look at keys and values that an earlier one keeps (Brandon et al. 2024, "cross-layer
attention"); each layer adds an embedding of its own of each token; and a mixture of experts stands beside the feed-forward.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from ...core import ArraySpec, Module, ops
from ...core.backend import Array
from ...core.layers import Embedding, Linear, RMSNorm
from .. import kv_cache
from ..errors import ConfigError
from ..transformer.blocks import FeedForward, activate, mixture
from ..transformer.config import DecoderConfig, Fields, shown, windows_of
from ..transformer.decoder import Decoder
from .gemma import gemma_config


@dataclass(frozen=True, kw_only=True)
class Gemma4Config(DecoderConfig):
    """What Gemma 4 adds to `DecoderConfig`.

    Attributes:
        global_kv_heads, global_head_dim: K and C of the layers without a window.
        keys_as_values: those layers have no projection of values.
        keepers: the layers that keep keys and values of their own; the others, behind them, look at the last of the same kind.
        shared_d_ff: F of those others.
        d_input, input_vocab: width P of the embedding that every layer adds, and its rows; 0 for none.
    """

    global_kv_heads: int
    global_head_dim: int
    keys_as_values: bool
    keepers: int
    shared_d_ff: int
    d_input: int
    input_vocab: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.heads % self.global_kv_heads or self.global_head_dim % 2:
            wanted = f"{self.global_kv_heads} key heads of {self.global_head_dim} channels"
            raise ConfigError(f"{self.heads} query heads cannot share {wanted}: evenly, and channels in pairs")
        if self.keepers < 1 or {w > 0 for w in self.windows} != {w > 0 for w in self.windows[: self.keepers]}:
            shared = self.layers - self.keepers
            raise ConfigError(f"the last {shared} of {self.layers} layers find none of their kind before them to share with")
        if 0 < self.input_vocab < self.vocab:
            raise ConfigError(f"a vocabulary of {self.vocab} tokens has only {self.input_vocab} embeddings for each layer")

    @property
    def kept(self) -> tuple[tuple[int, int], ...]:
        shapes = {True: (self.kv_heads, self.head_dim), False: (self.global_kv_heads, self.global_head_dim)}
        return tuple(shapes[window > 0] for window in self.windows[: self.keepers])

    def source(self, layer: int) -> int:
        """The layer whose keys and values this one looks at: itself, or an earlier one."""
        if layer < self.keepers:
            return layer
        return max(i for i in range(self.keepers) if (self.windows[i] > 0) == (self.windows[layer] > 0))


class Seen(NamedTuple):
    """Keys [B, S, K, C] and values [B, S, K, C] that layers of one kind look at, and the buffer that they lie in."""

    keys: Array
    values: Array
    buffer: kv_cache.Buffer


def _normalised(x: Array, eps: float) -> Array:
    """`RMSNorm` without a gain."""
    kind = ops.element_type(x)
    wide = "float32" if kind in ("float16", "bfloat16") else kind
    return ops.cast(ops.rms_norm(ops.cast(x, wide), None, eps), kind)


class Attention(Module):
    """Grouped-query attention over normalised queries, keys and values, with a scale of 1."""

    def __init__(self, config: Gemma4Config, layer: int):
        c, source = config, config.source(layer)
        H, (K, C) = c.heads, c.kept[source]
        self.heads = (H, K, C)
        self.window, self.rope, self.scale, self.eps = c.windows[layer], c.ropes[layer], c.scale, c.norm_eps
        self.q_proj = Linear(c.d_model, H * C, c.qkv_bias)
        self.q_norm = RMSNorm(C, c.norm_eps)
        self.o_proj = Linear(H * C, c.d_model, c.out_bias)
        if source == layer:
            self.k_proj = Linear(c.d_model, K * C, c.qkv_bias)
            self.k_norm = RMSNorm(C, c.norm_eps)
            self.v_proj = None if c.keys_as_values and not self.window else Linear(c.d_model, K * C, c.qkv_bias)

    def keep(self, x: Array, state: Any, buffer: kv_cache.Buffer) -> Seen:
        """Keys and values of x [B, T, D], behind those of the buffer."""
        _, K, C = self.heads
        k = ops.reshape(self.k_proj(x), (*x.shape[:2], K, C))
        v = k if self.v_proj is None else ops.reshape(self.v_proj(x), (*x.shape[:2], K, C))
        k = ops.rotary(self.k_norm(k), *state.rotation(self.rope, C, k))
        return Seen(*kv_cache.extend(buffer, k, _normalised(v, self.eps), state.length, self.window))

    def __call__(self, x: Array, state: Any, seen: Seen) -> Array:
        """x [B, T, D] -> [B, T, D]."""
        H, _, C = self.heads
        q = self.q_norm(ops.reshape(self.q_proj(x), (*x.shape[:2], H, C)))
        q = ops.rotary(q, *state.rotation(self.rope, C, q))
        y = ops.attention(q, seen.keys, seen.values, state.mask(seen.buffer, self.window), self.scale)
        return self.o_proj(ops.reshape(y, (*x.shape[:2], H * C)))


class Router(Module):
    """Which experts each token takes, and in what shares."""

    def __init__(self, config: Gemma4Config):
        c = config
        self.proj = Linear(c.d_model, c.experts)
        self.scale = ArraySpec((c.d_model,), init="ones")
        self.per_expert_scale = ArraySpec((c.experts,), init="ones")
        self.chosen, self.eps = c.experts_per_token, c.norm_eps

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """x [N, D] -> shares float32 and experts int32, both [N, k]."""
        h = _normalised(x, self.eps) * self.scale * x.shape[-1] ** -0.5
        share, expert = ops.top_k(ops.softmax(ops.cast(self.proj(h), "float32")), self.chosen)
        share = share / ops.sum(share, -1, keepdims=True)
        return share * ops.cast(ops.take(self.per_expert_scale, expert), "float32"), expert


class Experts(Module):
    """Gated feed-forwards, all in one array each: gate_up_proj [experts, 2F, D], down_proj [experts, D, F]."""

    def __init__(self, config: Gemma4Config):
        c = config
        self.gate_up_proj = ArraySpec((c.experts, 2 * c.d_expert, c.d_model))
        self.down_proj = ArraySpec((c.experts, c.d_model, c.d_expert))
        self.activation = c.activation

    def __call__(self, x: Array, share: Array, expert: Array) -> Array:
        """x [N, D]; share and expert [N, k] -> [N, D]."""
        return mixture(x, share, expert, [self.gate_up_proj], self.down_proj, self.activation)


class Block(Module):
    """A layer that normalises what goes into each part and what comes out of it."""

    def __init__(self, config: Gemma4Config, layer: int):
        c = config

        def norm() -> RMSNorm:
            return RMSNorm(c.d_model, c.norm_eps)

        self.keeps, self.mixes, self.adds_input = layer < c.keepers, c.experts > 0, c.d_input > 0
        self.activation = c.activation
        self.input_layernorm, self.post_attention_layernorm = norm(), norm()
        self.self_attn = Attention(c, layer)
        self.pre_feedforward_layernorm, self.post_feedforward_layernorm = norm(), norm()
        self.mlp = FeedForward(c if self.keeps else replace(c, d_ff=c.shared_d_ff))
        if self.mixes:
            self.router, self.experts = Router(c), Experts(c)
            self.post_feedforward_layernorm_1, self.post_feedforward_layernorm_2 = norm(), norm()
            self.pre_feedforward_layernorm_2 = norm()
        if self.adds_input:
            self.per_layer_input_gate = Linear(c.d_model, c.d_input)
            self.per_layer_projection = Linear(c.d_input, c.d_model)
            self.post_per_layer_input_norm = norm()
        self.layer_scalar = ArraySpec((1,), init="ones")

    def __call__(self, x: Array, own: Array | None, state: Any, kept: kv_cache.Buffer | Seen) -> tuple[Array, Seen]:
        """x [B, T, D], this layer's own embedding [B, T, P], and its buffer or what an earlier layer saw."""
        h = self.input_layernorm(x)
        seen = self.self_attn.keep(h, state, kept) if self.keeps else kept
        x = x + self.post_attention_layernorm(self.self_attn(h, state, seen))
        h = self.mlp(self.pre_feedforward_layernorm(x))
        if self.mixes:
            h = self.post_feedforward_layernorm_1(h) + self._mixture(x)
        x = x + self.post_feedforward_layernorm(h)
        if self.adds_input:
            h = activate(self.per_layer_input_gate(x), self.activation) * own
            x = x + self.post_per_layer_input_norm(self.per_layer_projection(h))
        return x * self.layer_scalar, seen

    def _mixture(self, x: Array) -> Array:
        flat = ops.reshape(x, (-1, x.shape[-1]))
        h = self.experts(self.pre_feedforward_layernorm_2(flat), *self.router(flat))
        return ops.reshape(self.post_feedforward_layernorm_2(h), x.shape)


class Gemma4(Decoder):
    architectures = MappingProxyType({"Gemma4ForCausalLM": "gemma4_text", "Gemma4ForConditionalGeneration": "gemma4"})
    dialect = "gemma4"
    block = Block
    defaults = MappingProxyType(
        {
            "model_type": "gemma4_text",
            "global_head_dim": 512,
            "hidden_size_per_layer_input": 256,
            "vocab_size_per_layer_input": 262144,
            "rope_parameters": {
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
                "full_attention": {"rope_type": "proportional", "rope_theta": 1e6, "partial_rotary_factor": 0.25},
            },
        }
    )
    renamed = (("model.language_model.", "model."),)
    unused = ("model.vision_tower.", "model.audio_tower.", "model.embed_vision.", "model.embed_audio.")

    def __init__(self, config: Gemma4Config):
        super().__init__(config)
        c = config
        if c.d_input:
            self.embed_tokens_per_layer = Embedding(c.input_vocab, c.layers * c.d_input)
            self.per_layer_model_projection = Linear(c.d_model, c.layers * c.d_input)
            self.per_layer_projection_norm = RMSNorm(c.d_input, c.norm_eps)
        # Released checkpoints hold keys and values of layers that look at another's all the same
        names = [f"self_attn.{part}." for part in ("k_proj", "v_proj", "k_norm", "v_norm")]
        shared = range(c.keepers, c.layers)
        self.unused = (*type(self).unused, *(f"model.layers.{layer}.{name}" for layer in shared for name in names))

    @classmethod
    def read_config(cls, fields: Fields) -> Gemma4Config:
        layers = fields.layers()
        if fields.raw("use_bidirectional_attention") == "all":
            raise ConfigError(f"{fields.source}: use_bidirectional_attention 'all' makes no causal model; it is not supported")
        if "layer_types" in fields:
            windows = windows_of(fields)
        else:
            windows = tuple(fields.count("sliding_window", 512) if (layer + 1) % 6 else 0 for layer in range(layers))
        windows = (*windows[:-1], 0)  # the last one always sees everything
        everywhere, nearby = fields.rope(1e6, "full_attention"), fields.rope(1e4, "sliding_attention")
        shared, has_experts = fields.count("num_kv_shared_layers", 0, least=0), fields.flag("enable_moe_block", False)
        d_ff, d_input = fields.count("intermediate_size"), fields.count("hidden_size_per_layer_input", 0, least=0)
        common = gemma_config(
            fields,
            windows=windows,
            ropes=tuple(nearby if window else everywhere for window in windows),
            scale=1.0,
            zero_centred=False,
            logit_cap=fields.optional_positive("final_logit_softcapping"),
            experts=fields.count("num_experts") if has_experts else 0,
            experts_per_token=fields.count("top_k_experts") if has_experts else 0,
            d_expert=fields.count("moe_intermediate_size") if has_experts else 0,
        )
        keys_as_values = fields.flag("attention_k_eq_v", False)
        kv_heads, head_dim = _global_heads(fields, windows, keys_as_values)
        return Gemma4Config(
            **vars(common),
            global_kv_heads=kv_heads,
            global_head_dim=head_dim,
            keys_as_values=keys_as_values,
            keepers=layers - shared,
            shared_d_ff=2 * d_ff if fields.flag("use_double_wide_mlp", False) else d_ff,
            d_input=d_input,
            input_vocab=fields.count("vocab_size_per_layer_input") if d_input else 0,
        )

    def run_layers(self, x: Array, ids: Array, state: Any, buffers: list[Any]) -> tuple[Array, list[Any]]:
        own = self._inputs(x, ids)
        seen: list[Seen] = []
        for i, layer in enumerate(self.layers):
            kept = buffers[i] if layer.keeps else seen[self.config.source(i)]
            x, found = layer(x, None if own is None else own[:, :, i], state, kept)
            seen.append(found)
        return x, [found.buffer for found in seen[: self.config.keepers]]

    def _inputs(self, x: Array, ids: Array) -> Array | None:
        """What each layer adds, [B, T, L, P]: an embedding of the token, and a projection of the first hidden state."""
        c = self.config
        if not c.d_input:
            return None
        shape = (*ids.shape, c.layers, c.d_input)
        token = ops.reshape(self.embed_tokens_per_layer(ids), shape) * c.d_input**0.5
        projected = ops.reshape(self.per_layer_model_projection(x) * c.d_model**-0.5, shape)
        return (self.per_layer_projection_norm(projected) + token) * 2**-0.5


class Gemma4Unified(Gemma4):
    """The 12B checkpoint: no embeddings of single layers, and no towers for images and sounds."""

    architectures = MappingProxyType(
        {"Gemma4UnifiedForCausalLM": "gemma4_unified_text", "Gemma4UnifiedForConditionalGeneration": "gemma4_unified"}
    )
    defaults = MappingProxyType(
        {**Gemma4.defaults, "model_type": "gemma4_unified_text", "hidden_size_per_layer_input": 0, "sliding_window": 1024}
    )
    unused = ("model.vision_embedder.", "model.embed_vision.", "model.embed_audio.")


def _global_heads(fields: Fields, windows: tuple[int, ...], keys_as_values: bool) -> tuple[int, int]:
    """(K, C) of the layers without a window: as released, or layer by layer as transformers writes them since 5.2x."""
    found = fields.raw("per_layer_config")
    if found is None:
        fewer = keys_as_values and "num_global_key_value_heads" in fields
        kv_heads = fields.count("num_global_key_value_heads" if fewer else "num_key_value_heads")
        return kv_heads, fields.count("global_head_dim")
    try:
        changed = {int(layer): dict(changes) for layer, changes in found.items()}  # their names are "05" …
    except (AttributeError, TypeError, ValueError):
        raise ConfigError(
            f"{fields.source}: per_layer_config must hold an object for each layer, received {shown(found)}"
        ) from None
    plain = {name: fields.raw(name) for name in ("num_key_value_heads", "head_dim")}
    layers = [{**plain, **changed.get(layer, {})} for layer in range(len(windows))]
    wide = [layer for layer, window in zip(layers, windows) if not window]
    if any(layer != plain for layer, window in zip(layers, windows) if window) or any(layer != wide[0] for layer in wide):
        raise ConfigError(
            f"{fields.source}: per_layer_config must say the same of all layers of one kind, received {shown(found)}"
        )
    one = Fields(wide[0], f"{fields.source}: per_layer_config")
    return one.count("num_key_value_heads"), one.count("head_dim")
