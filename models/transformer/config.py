"""Sizes and variants of a decoder."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from .rope import KINDS, Rope

MAX_LAYERS = 1024  # many times those of the deepest published model
_LARGEST = sys.float_info.max
_LONGEST_SHOWN = 80


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
            raise ConfigError(
                f"{self.heads} query heads cannot share {self.kv_heads} key heads evenly; the first must be a multiple"
            )
        if len(self.ropes) != len(self.windows):
            raise ConfigError(f"{len(self.windows)} layers have {len(self.ropes)} position embeddings")
        if self.head_dim % 2 or self.rotated % 2 or not 0 <= self.rotated <= self.head_dim:
            raise ConfigError(f"heads of {self.head_dim} channels of which {self.rotated} are turned: both must be even")
        if self.experts_per_token > self.experts:
            raise ConfigError(f"a token cannot take {self.experts_per_token} of {self.experts} experts")

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

    def count(self, name: str, default: int | None = None, least: int = 1, most: int = 2**31 - 1) -> int:
        """A whole number."""
        value = self.raw(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            bound = f"to {most}" if isinstance(value, int) and value > most else "on"
            raise self.refused(name, f"a whole number from {least} {bound}", value)
        return value

    def layers(self, name: str = "num_hidden_layers") -> int:
        """How many there are. A model is built layer by layer: of far too many, that takes minutes."""
        return self.count(name, most=MAX_LAYERS)

    def number(self, name: str, default: float | None = None) -> float:
        value = self.raw(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
            raise self.refused(name, "a number", value)
        return float(value)

    def positive(self, name: str, default: float | None = None, above: float = 0) -> float:
        """A number above 0, or above another one."""
        value = self.number(name, default)
        if value <= above:
            raise self.refused(name, f"above {above}", value)
        return value

    def optional_positive(self, name: str) -> float | None:
        return self.positive(name) if name in self else None

    def share(self, name: str, default: float | None = None) -> float:
        """A number above 0, up to 1."""
        value = self.positive(name, default)
        if value > 1:
            raise self.refused(name, "above 0 and at most 1", value)
        return value

    def array(self, name: str, default: Sequence[Any] | None = None) -> Sequence[Any]:
        value = self.raw(name, default)
        if not isinstance(value, list | tuple):
            raise self.refused(name, "a list", value)
        return value

    def mapping(self, name: str) -> Mapping[str, Any]:
        """An object; empty where there is none."""
        value = self.raw(name, {})
        if not isinstance(value, Mapping):
            raise self.refused(name, "an object", value)
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.raw(name, default)
        if not isinstance(value, bool):
            raise self.refused(name, "true or false", value)
        return value

    def choice(self, name: str, choices: Mapping[str, str], default: str | None = None) -> str:
        value = self.raw(name, default)
        if not isinstance(value, str) or value not in choices:
            raise ConfigError(f"{self.source}: {name} is {shown(value)}; supported are {', '.join(choices)}")
        return choices[value]

    def refused(self, name: str, wanted: str, value: Any) -> ConfigError:
        """What is raised of a field that is not what it must be."""
        return ConfigError(f"{self.source}: {name} must be {wanted}, received {shown(value)}")

    def rope(self, theta: float = 10000.0, kind_of_layer: str | None = None) -> Rope:
        """Position embedding, in the form of transformers 5 (`rope_parameters`) or of earlier ones (`rope_theta` …)."""
        found, older = self.mapping("rope_parameters"), self.mapping("rope_scaling")
        parts = [found, *(part for part in found.values() if isinstance(part, Mapping))]
        if found and older and not any(_renamed(older).items() <= _renamed(part).items() for part in parts):
            raise ConfigError(
                f"{self.source}: rope_parameters {shown(dict(found))} and rope_scaling {shown(dict(older))} contradict "
                "each other; leave out the one that is not meant"
            )
        if kind_of_layer is not None and isinstance(found.get(kind_of_layer), Mapping):
            found = found[kind_of_layer]
        scaling = found or older
        own = Fields(scaling, self.source)
        kind = own.raw("rope_type", own.raw("type", "default"))
        if kind not in KINDS:
            raise ConfigError(f"{self.source}: rope_type is {shown(kind)}; supported are {', '.join(KINDS)}")
        _check_rope(own, kind)
        longest, name = self.count("max_position_embeddings", 1), "original_max_position_embeddings"
        if name in own and name in self and own.raw(name) != self.raw(name):
            problem = f"{name} is {shown(self.raw(name))}, and {shown(own.raw(name))} in the position embedding's own fields"
            raise ConfigError(f"{self.source}: {problem}; make them agree")
        original = own.positive(name) if name in own else self.positive(name, longest)
        factor = own.positive("factor", longest / original if kind == "longrope" else 1.0)
        if kind == "longrope" and factor > 1 and original <= 1:
            raise own.refused(name, "above 1", original)
        base = own.positive("rope_theta", above=1) if "rope_theta" in own else self.positive("rope_theta", theta, above=1)
        return Rope(base, kind, factor, int(original), dict(scaling))


def _renamed(scaling: Mapping[str, Any]) -> dict[str, Any]:
    """Position embedding with the present name of its kind, and lists that can be compared."""
    return {"rope_type" if name == "type" else name: repr(value) for name, value in scaling.items()}


def _check_rope(fields: Fields, kind: str) -> None:
    """The numbers that only some kinds have."""
    bands, lists = ("low_freq_factor", "high_freq_factor"), ("short_factor", "long_factor")
    needed = {"linear": ("factor",), "yarn": ("factor",), "llama3": ("factor", *bands), "longrope": lists}
    for needing, names in needed.items():
        if kind == needing and not all(name in fields for name in names):
            raise ConfigError(f"{fields.source}: rope_type {kind!r} needs {' and '.join(names)}")
    for name in (*bands, "attention_factor", "beta_fast", "beta_slow"):
        fields.optional_positive(name)
    for name in ("mscale", "mscale_all_dim"):
        fields.number(name, 0.0)
    fields.share("partial_rotary_factor", 1.0)
    fields.flag("truncate", True)
    if kind == "llama3" and fields.number(bands[0]) >= fields.number(bands[1]):
        raise fields.refused(bands[1], f"above low_freq_factor, {fields.raw(bands[0])}", fields.raw(bands[1]))
    for name in lists:
        for number in fields.array(name, ()):
            Fields({name: number}, fields.source).positive(name)


def shown(value: Any) -> str:
    """A value in a message, however long it is."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


ACTIVATIONS = {"silu": "silu", "swish": "silu", "gelu_pytorch_tanh": "gelu", "gelu_new": "gelu", "gelu": "gelu_exact"}


def common(fields: Fields, **changes: Any) -> DecoderConfig:
    """The fields that nearly every family has; a family changes what is its own."""
    heads, d_model = fields.count("num_attention_heads"), fields.count("hidden_size")
    if "head_dim" not in fields and d_model % heads:
        raise ConfigError(f"{fields.source}: hidden_size {d_model} is no multiple of {heads} heads, and there is no head_dim")
    head_dim = fields.count("head_dim", d_model // heads)
    layers = fields.layers()
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
        "norm_eps": fields.positive("rms_norm_eps", 1e-6),
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
    layers = fields.layers()
    kinds = fields.array("layer_types", [default] * layers)
    if len(kinds) != layers or not all(kind in ("full_attention", "sliding_attention") for kind in kinds):
        wanted = f"layer_types must name full_attention or sliding_attention for {layers} layers"
        raise ConfigError(f"{fields.source}: {wanted}, received {shown(kinds)}")
    window = fields.count("sliding_window") if "sliding_attention" in kinds else 0
    return tuple(window if kind == "sliding_attention" else 0 for kind in kinds)
