"""Sizes and variants of a decoder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from .rope import KINDS, Rope


@dataclass(frozen=True)
class DecoderConfig:
    """What a family's block is built of; see `decoder.py`.

    Attributes:
        vocab, d_model, d_ff, heads, kv_heads, head_dim: V, D, F, H, K, C.
        windows: positions that each layer sees at most, its own included; 0 for everything. Its length is the number of layers.
        ropes: of each layer; None for a layer without positions.
        rotated: channels of a head that are turned, the first ones.
        scale: factor on attention scores.
        attention_cap, logit_cap: soft caps, None for none.
        activation: "silu" or "gelu" (its tanh form), "gelu_exact".
        qkv_bias, out_bias, mlp_bias: whether those projections have one.
        qk_norm: queries and keys are normalised head by head.
        zero_centred: stored gains are offsets from 1.
        embedding_scale, residual_scale, logit_scale: factors on embeddings, on what a block adds, and on logits.
        experts, experts_per_token, d_expert, normalise_experts: of a mixture; 0 experts for a dense model. `sparse` says which
            layers have one.
        tied: the output projection is the embedding.
    """

    vocab: int
    d_model: int
    d_ff: int
    heads: int
    kv_heads: int
    head_dim: int
    windows: tuple[int, ...]
    ropes: tuple[Rope | None, ...]
    rotated: int
    max_positions: int
    norm_eps: float
    scale: float
    activation: str = "silu"
    tied: bool = False
    attention_cap: float | None = None
    logit_cap: float | None = None
    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    zero_centred: bool = False
    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    logit_scale: float = 1.0
    experts: int = 0
    experts_per_token: int = 0
    d_expert: int = 0
    normalise_experts: bool = False
    sparse: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        if self.heads % self.kv_heads:
            raise ConfigError(f"{self.heads} query heads cannot share {self.kv_heads} key heads evenly")
        if len(self.ropes) != len(self.windows):
            raise ConfigError(f"{len(self.windows)} layers have {len(self.ropes)} position embeddings")
        if self.head_dim % 2 or self.rotated % 2 or not 0 <= self.rotated <= self.head_dim:
            raise ConfigError(f"heads of {self.head_dim} channels of which {self.rotated} are turned: both must be even")

    @property
    def layers(self) -> int:
        return len(self.windows)

    @property
    def kept(self) -> tuple[tuple[int, int], ...]:
        """(K, C) of the keys and values that each layer keeps."""
        return ((self.kv_heads, self.head_dim),) * self.layers


class Fields:
    """A `config.json`, read field by field: what is missing or of the wrong kind is one clear line."""

    def __init__(self, fields: Mapping[str, Any], source: str = "config.json"):
        self._fields = fields
        self.source = source

    def __contains__(self, name: str) -> bool:
        return self._fields.get(name) is not None

    def raw(self, name: str, default: Any = None) -> Any:
        value = self._fields.get(name)
        return default if value is None else value

    def count(self, name: str, default: int | None = None, least: int = 1) -> int:
        """A whole number."""
        value = self.raw(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"{self.source}: {name} must be a whole number from {least} on, received {value!r}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        value = self.raw(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigError(f"{self.source}: {name} must be a number, received {value!r}")
        return float(value)

    def positive(self, name: str, default: float | None = None) -> float:
        """A number above 0."""
        value = self.number(name, default)
        if value <= 0:
            raise ConfigError(f"{self.source}: {name} must be above 0, received {value!r}")
        return value

    def optional_number(self, name: str) -> float | None:
        return self.number(name) if name in self else None

    def mapping(self, name: str) -> Mapping[str, Any]:
        """An object; empty where there is none."""
        value = self.raw(name, {})
        if not isinstance(value, Mapping):
            raise ConfigError(f"{self.source}: {name} must be an object, received {value!r}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.raw(name, default)
        if not isinstance(value, bool):
            raise ConfigError(f"{self.source}: {name} must be true or false, received {value!r}")
        return value

    def choice(self, name: str, choices: Mapping[str, str], default: str | None = None) -> str:
        value = self.raw(name, default)
        if value not in choices:
            raise ConfigError(f"{self.source}: {name} is {value!r}; supported are {', '.join(choices)}")
        return choices[value]

    def rope(self, theta: float = 10000.0, kind_of_layer: str | None = None) -> Rope:
        """Position embedding, in the form of transformers 5 (`rope_parameters`) or of earlier ones (`rope_theta` …)."""
        found = self.mapping("rope_parameters")
        if kind_of_layer is not None and isinstance(found.get(kind_of_layer), Mapping):
            found = found[kind_of_layer]
        scaling = {**(self.mapping("rope_scaling") if not found else {}), **found}
        for name in ("rope_theta", "factor", "original_max_position_embeddings"):
            if scaling.get(name) is not None:
                Fields(scaling, self.source).positive(name)
        kind = scaling.get("rope_type", scaling.get("type", "default"))
        if kind not in KINDS:
            raise ConfigError(f"{self.source}: rope_type is {kind!r}; supported are {', '.join(KINDS)}")
        longest = self.count("max_position_embeddings", 1)
        original = scaling.get("original_max_position_embeddings") or self.raw("original_max_position_embeddings") or longest
        factor = scaling.get("factor") or (longest / original if kind in ("longrope", "yarn") else 1.0)
        if kind == "llama3" and not {"low_freq_factor", "high_freq_factor"} <= set(scaling):
            raise ConfigError(f"{self.source}: rope_type 'llama3' needs low_freq_factor and high_freq_factor")
        if kind == "longrope" and not {"short_factor", "long_factor"} <= set(scaling):
            raise ConfigError(f"{self.source}: rope_type 'longrope' needs short_factor and long_factor")
        base = float(scaling.get("rope_theta") or self.number("rope_theta", theta))
        return Rope(base, kind, float(factor), int(original), dict(scaling))


ACTIVATIONS = {"silu": "silu", "swish": "silu", "gelu_pytorch_tanh": "gelu", "gelu_new": "gelu", "gelu": "gelu_exact"}


def common(fields: Fields, **changes: Any) -> DecoderConfig:
    """The fields that nearly every family has; a family changes what is its own."""
    heads, d_model = fields.count("num_attention_heads"), fields.count("hidden_size")
    if "head_dim" not in fields and d_model % heads:
        raise ConfigError(f"{fields.source}: hidden_size {d_model} is no multiple of {heads} heads, and there is no head_dim")
    head_dim = fields.count("head_dim", d_model // heads)
    layers = fields.count("num_hidden_layers")
    values: dict[str, Any] = {
        "vocab": fields.count("vocab_size"),
        "d_model": d_model,
        "d_ff": fields.count("intermediate_size"),
        "heads": heads,
        "kv_heads": fields.count("num_key_value_heads", heads),
        "head_dim": head_dim,
        "windows": (0,) * layers,
        "rotated": head_dim,
        "max_positions": fields.count("max_position_embeddings"),
        "norm_eps": fields.number("rms_norm_eps", 1e-6),
        "scale": head_dim**-0.5,
        "tied": fields.flag("tie_word_embeddings", False),
    }
    if "activation" not in changes:
        values["activation"] = fields.choice("hidden_act", ACTIVATIONS, "silu")
    if "ropes" not in changes:
        values["ropes"] = (fields.rope(),) * layers
    return DecoderConfig(**{**values, **changes})


def windows_of(fields: Fields, default: str = "full_attention") -> tuple[int, ...]:
    """Windows from `layer_types` and `sliding_window`."""
    layers = fields.count("num_hidden_layers")
    kinds = fields.raw("layer_types", [default] * layers)
    if len(kinds) != layers or set(kinds) - {"full_attention", "sliding_attention"}:
        raise ConfigError(f"{fields.source}: layer_types must name full_attention or sliding_attention for {layers} layers")
    window = fields.count("sliding_window") if "sliding_attention" in kinds else 0
    return tuple(window if kind == "sliding_attention" else 0 for kind in kinds)
