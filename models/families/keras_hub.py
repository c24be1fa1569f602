"""Backbones of KerasHub (https://github.com/keras-team/keras-hub, 0.32): their configurations and arrays in our terms.

A backbone's configuration becomes a `config.json` as Hugging Face writes it, which a family reads as any other. Where the
arrays lie in its file of weights, and how their axes are laid out, is the table `LAYOUTS`.

KerasHub names no longest text; that of the published models stands in. Where KerasHub 0.32 leaves out of its computation what
a configuration says (`query_head_dim_normalize` of Gemma, `sliding_window_size` of Qwen on JAX and PyTorch), the
configuration is followed, and so are the checkpoints that it was translated from.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core import Backend, ShapeError, first_few, load_arrays, named_arrays
from ..errors import ConfigError, WeightsError
from ..keras_weights import StoredArray
from ..transformer.config import Fields
from ..transformer.decoder import Decoder
from .gemma import Gemma, Gemma2, Gemma3
from .llama import Llama
from .mistral import Mistral
from .qwen import Qwen2, Qwen3

Config = dict[str, Any]


def _sizes(fields: Fields, family: type[Decoder], model_type: str, positions: int, **changes: Any) -> Config:
    """What all backbones have."""
    heads, width = fields.count("num_query_heads"), fields.count("hidden_dim")
    return {
        "architectures": [next(iter(family.architectures))],
        "model_type": model_type,
        "vocab_size": fields.count("vocabulary_size"),
        "num_hidden_layers": fields.layers("num_layers"),
        "num_attention_heads": heads,
        "num_key_value_heads": fields.count("num_key_value_heads"),
        "hidden_size": width,
        "intermediate_size": fields.count("intermediate_dim"),
        "head_dim": fields.count("head_dim", width // heads),
        "rms_norm_eps": fields.positive("layer_norm_epsilon", 1e-6),
        "max_position_embeddings": positions,
        **changes,
    }


def _rope(theta: float, factor: float) -> Config:
    """Position embedding whose positions are divided by a factor."""
    scaling = {"rope_type": "default"} if factor == 1 else {"rope_type": "linear", "factor": factor}
    return {**scaling, "rope_theta": theta}


def _windows(fields: Fields, every: int) -> Config:
    """All layers but the last of `every` have a window, where windows are in use."""
    layers, used = fields.layers("num_layers"), fields.flag("use_sliding_window_attention", False)
    local = [used and layer % every < every - 1 for layer in range(layers)]
    return {
        "sliding_window": fields.count("sliding_window_size") if used else None,
        "layer_types": ["sliding_attention" if here else "full_attention" for here in local],
    }


def _gemma_sizes(fields: Fields, family: type[Decoder], model_type: str, positions: int, **changes: Any) -> Config:
    """What the versions of Gemma share. Their layers' norms have an epsilon of 1e-6, whatever the backbone's."""
    _need(fields, "layer_norm_epsilon", fields.positive("layer_norm_epsilon", 1e-6) == 1e-6, "1e-06, as its layers have it")
    by_head = fields.flag("query_head_dim_normalize", True)
    scalar = fields.count("head_dim") if by_head else fields.count("hidden_dim") // fields.count("num_query_heads")
    return _sizes(
        fields,
        family,
        model_type,
        positions,
        hidden_activation="gelu_pytorch_tanh",
        tie_word_embeddings=True,
        query_pre_attn_scalar=scalar,
        attn_logit_softcapping=fields.optional_positive("attention_logit_soft_cap"),
        final_logit_softcapping=fields.optional_positive("final_logit_soft_cap"),
        **changes,
    )


def _gemma(fields: Fields) -> Config:
    """Gemma 1 and 2, which are one class there."""
    half = fields.count("intermediate_dim", least=2) // 2  # it counts gate and up together
    sandwich = fields.flag("use_post_attention_norm", False)
    same = fields.flag("use_post_ffw_norm", False) == sandwich
    _need(fields, "use_post_ffw_norm", same, "that of use_post_attention_norm, as in Gemma 1 (false) and 2 (true)")
    if sandwich:
        return {**_gemma_sizes(fields, Gemma2, "gemma2", 8192, intermediate_size=half), **_windows(fields, 2)}
    for name in ("use_sliding_window_attention", "attention_logit_soft_cap", "final_logit_soft_cap"):
        _need(fields, name, not fields.raw(name), "left out where there are no post norms, as in Gemma 1")
    config = _gemma_sizes(fields, Gemma, "gemma", 8192, intermediate_size=half)
    scalar = config.pop("query_pre_attn_scalar")
    _need(fields, "query_head_dim_normalize", scalar == config["head_dim"], "true, as in Gemma 1")
    return config


def _gemma3(fields: Fields) -> Config:
    _need(fields, "vision_encoder", fields.raw("vision_encoder") is None, "null: presets for text alone are supported")
    for name in ("is_embedding_model", "use_bidirectional_attention"):
        _need(fields, name, not fields.raw(name), "false: models that write text are supported")
    for name in ("use_query_key_norm", "use_post_attention_norm", "use_post_ffw_norm"):
        _need(fields, name, fields.flag(name, True), "true, as in Gemma 3")
    everywhere = fields.positive("global_rope_scaling_factor", 1.0)
    windows = _windows(fields, 6)
    ropes = {
        "full_attention": _rope(1e6, everywhere),
        "sliding_attention": _rope(1e4, fields.positive("local_rope_scaling_factor", 1.0)),
    }
    positions = 32768 if everywhere == 1 else 131072
    return {**_gemma_sizes(fields, Gemma3, "gemma3_text", positions, rope_parameters=ropes), **windows}


def _llama(fields: Fields, positions: int) -> Config:
    _need(
        fields,
        "rope_position_scaling_factor",
        fields.number("rope_position_scaling_factor", 1.0) == 1,
        "1.0: KerasHub itself leaves another factor out of its computation",
    )
    rope: Config = {"rope_type": "default", "rope_theta": fields.positive("rope_max_wavelength", 1e4, above=1)}
    if "rope_frequency_adjustment_factor" in fields:
        rope |= {
            "rope_type": "llama3",
            "factor": fields.positive("rope_frequency_adjustment_factor"),
            "low_freq_factor": fields.positive("rope_low_freq_factor"),
            "high_freq_factor": fields.positive("rope_high_freq_factor"),
            "original_max_position_embeddings": fields.count("rope_pretraining_sequence_length"),
        }
        positions = 131072
    tied = fields.flag("tie_word_embeddings", False)
    return _sizes(fields, Llama, "llama", positions, hidden_act="silu", rope_parameters=rope, tie_word_embeddings=tied)


def _scaled_rope(fields: Fields) -> Config:
    return _rope(fields.positive("rope_max_wavelength", 1e4, above=1), fields.positive("rope_scaling_factor", 1.0))


def _mistral(fields: Fields) -> Config:
    window = fields.count("sliding_window") if "sliding_window" in fields else None
    changes = {"rope_parameters": _scaled_rope(fields), "sliding_window": window, "tie_word_embeddings": False}
    return _sizes(fields, Mistral, "mistral", 32768, hidden_act="silu", **changes)


def _qwen(fields: Fields, family: type[Decoder], model_type: str, positions: int, windows: bool) -> Config:
    layers = fields.layers("num_layers")
    return _sizes(
        fields,
        family,
        model_type,
        positions,
        hidden_act="silu",
        rope_parameters=_scaled_rope(fields),
        tie_word_embeddings=fields.flag("tie_word_embeddings", True),
        use_sliding_window=windows,
        sliding_window=fields.count("sliding_window_size") if windows else None,
        max_window_layers=0 if windows else layers,
        layer_types=["sliding_attention" if windows else "full_attention"] * layers,
    )


def _qwen2(fields: Fields) -> Config:
    return _qwen(fields, Qwen2, "qwen2", 32768, fields.flag("use_sliding_window_attention", False))


def _qwen3(fields: Fields) -> Config:
    return _qwen(fields, Qwen3, "qwen3", 40960, bool(fields.raw("sliding_window_size")))


def _need(fields: Fields, name: str, holds: bool, what: str) -> None:
    if not holds:
        raise ConfigError(f"{fields.source}: {name} is {fields.raw(name)!r}; it must be {what}")


BACKBONES: dict[str, tuple[Callable[[Fields], Config], Config]] = {
    "GemmaBackbone": (_gemma, {"sliding_window_size": 4096}),
    "Gemma3Backbone": (_gemma3, {"sliding_window_size": 1024, "use_post_attention_norm": False, "use_post_ffw_norm": False}),
    "LlamaBackbone": (lambda fields: _llama(fields, 4096), {}),
    "Llama3Backbone": (lambda fields: _llama(fields, 8192), {}),
    "MistralBackbone": (_mistral, {"sliding_window": 512}),
    "QwenBackbone": (_qwen2, {"sliding_window_size": 32768}),
    "Qwen3Backbone": (_qwen3, {"sliding_window_size": 32768}),
}
"""KerasHub's class -> what reads its configuration, and the defaults of its constructor where they matter."""


def translated(config: Mapping[str, Any], source: str = "config.json", weights: Collection[str] | None = None) -> Config:
    """The `config.json` of a KerasHub preset in Hugging Face's form.

    Args:
        weights: paths of its arrays, where they are there: KerasHub's Llama does not say whether its head is the embedding.

    Raises:
        ConfigError: the class is not supported, its weights are quantised, or a field is missing or not supported.
    """
    name, fields = config.get("class_name"), config.get("config")
    if name not in BACKBONES:
        near = difflib.get_close_matches(str(name), BACKBONES, n=3, cutoff=0.5) or list(BACKBONES)
        raise ConfigError(f"{source}: KerasHub's {name} is not supported; the nearest supported ones are {', '.join(near)}")
    if not isinstance(fields, Mapping):
        raise ConfigError(f"{source}: no configuration of a {name}; it needs an object config")
    policy = _policy(fields.get("dtype"))
    if policy.removeprefix("mixed_") not in ("float64", "float32", "bfloat16", "float16"):
        raise ConfigError(f"{source}: the weights are quantised ({policy}); take the preset in floats, and quantise it here")
    translate, defaults = BACKBONES[name]
    found = translate(Fields({**defaults, **fields}, source))
    if weights is not None and found["model_type"] == "llama" and "tie_word_embeddings" not in fields:
        found["tie_word_embeddings"] = HEAD not in weights
    return found


def _policy(dtype: Any) -> str:
    """Name of a policy of element types: a text, or an object that holds one."""
    if isinstance(dtype, Mapping):
        inner = dtype.get("config")
        found = inner.get("name") if isinstance(inner, Mapping) else None
        return str(found if isinstance(found, str) else dtype.get("class_name"))
    return "float32" if dtype is None else str(dtype)


@dataclass(frozen=True)
class Layout:
    """Where a backbone's file of weights holds the arrays of a family.

    Attributes:
        block: group of the first layer; those of the others end in ``_1``, ``_2`` …
        norm: group of the last norm.
        arrays: ours below a layer -> theirs below its group, its axes in their order and in ours. Axes: D, F, H, K, C, V of
            `core`; adjacent axes of ours are one (``HCD`` is the matrix [H · C, D]).
    """

    block: str
    norm: str
    arrays: Mapping[str, tuple[str, str, str]]


def _attention(group: str, names: str, axes: str, norm: str = "") -> dict[str, tuple[str, str, str]]:
    """Projections whose layer of the same name lies in `group`; `axes` of those into the heads, with H for the heads."""
    found = {}
    for ours, theirs, heads in (("q", "query", "H"), ("k", "key", "K"), ("v", "value", "K")):
        place = f"{group}/{names.format(theirs)}"
        found[f"self_attn.{ours}_proj.weight"] = (f"{place}/vars/0", axes.replace("H", heads), f"{heads}CD")
        found[f"self_attn.{ours}_proj.bias"] = (f"{place}/vars/1", f"{heads}C", f"{heads}C")
        found[f"self_attn.{ours}_norm.gain"] = (f"{group}/{norm.format(theirs)}/vars/0", "C", "C")
    found["self_attn.o_proj.weight"] = (f"{group}/{names.format('output')}/vars/0", "HCD", "DHC")
    return found


def _feed_forward(gate: str, up: str, down: str) -> dict[str, tuple[str, str, str]]:
    return {
        "mlp.gate_proj.weight": (f"{gate}/vars/0", "DF", "FD"),
        "mlp.up_proj.weight": (f"{up}/vars/0", "DF", "FD"),
        "mlp.down_proj.weight": (f"{down}/vars/0", "FD", "DF"),
    }


def _norms(**groups: str) -> dict[str, tuple[str, str, str]]:
    return {f"{ours}.gain": (f"{theirs}/vars/0", "D", "D") for ours, theirs in groups.items()}


_GEMMA = {
    **_attention("attention", "{}_dense", "HDC", "{}_norm"),
    **_feed_forward("gating_ffw", "gating_ffw_2", "ffw_linear"),
}
_SANDWICH = {
    **_GEMMA,
    **_norms(
        input_layernorm="pre_attention_norm",
        post_attention_layernorm="post_attention_norm",
        pre_feedforward_layernorm="pre_ffw_norm",
        post_feedforward_layernorm="post_ffw_norm",
    ),
}
_LLAMA = {
    **_attention("_self_attention_layer", "_{}_dense", "DHC", "_{}_dense_layer_norm"),
    **_feed_forward("_feedforward_gate_dense", "_feedforward_intermediate_dense", "_feedforward_output_dense"),
    **_norms(input_layernorm="_self_attention_layernorm", post_attention_layernorm="_feedforward_layernorm"),
}
LAYOUTS: dict[type[Decoder], Layout] = {
    Gemma: Layout(
        "gemma_decoder_block",
        "rms_normalization",
        {**_GEMMA, **_norms(input_layernorm="pre_attention_norm", post_attention_layernorm="pre_ffw_norm")},
    ),
    Gemma2: Layout("gemma_decoder_block", "rms_normalization", _SANDWICH),
    Gemma3: Layout("gemma3_decoder_block", "rms_normalization", _SANDWICH),
    Llama: Layout("llama_transformer_decoder", "llama_layer_norm", _LLAMA),
    Mistral: Layout("mistral_transformer_decoder", "mistral_layer_normalization", _LLAMA),
    Qwen2: Layout("qwen_transformer_decoder", "qwen_layer_norm", _LLAMA),
    Qwen3: Layout("qwen3_transformer_decoder", "qwen3_layer_norm", _LLAMA),
}
EMBEDDING, HEAD = "layers/reversible_embedding/vars/0", "layers/reversible_embedding/vars/1"


class _Arranged(Mapping[str, "_Turned"]):
    """A file of weights under our names and with our axes."""

    def __init__(self, model: Decoder, weights: Mapping[str, StoredArray], source: str):
        c, layout = model.config, LAYOUTS[type(model)]
        sizes = {"V": c.vocab, "D": c.d_model, "F": c.d_ff, "H": c.heads, "K": c.kv_heads, "C": c.head_dim}
        places = {ours: (_place(ours, layout), tuple(spec.shape)) for ours, spec in named_arrays(model).items()}
        missing, misshaped, known = [], [], set()
        self._arrays: dict[str, _Turned] = {}
        for ours, ((path, theirs, order), shape) in places.items():
            known.add(path)
            expected = tuple(sizes[axis] for axis in theirs)
            if path not in weights:
                missing.append(path)
            elif weights[path].shape != expected:
                misshaped.append(f"{path} is {weights[path].shape}, expected {expected}")
            else:
                self._arrays[ours] = _Turned(weights[path], tuple(theirs.index(axis) for axis in order), shape)
        # States of random numbers, for training with dropout
        unknown = [path for path in weights if path not in known and "seed_generator" not in path]
        problems = [f"{kind} {first_few(names)}" for kind, names in (("missing", missing), ("unknown", unknown)) if names]
        problems += [first_few(misshaped, "; ")] if misshaped else []
        if problems:
            raise WeightsError(f"{source} do not fit their config.json: {'; '.join(problems)}")

    def __getitem__(self, name: str) -> _Turned:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


class _Turned:
    """An array with its axes in another order and put together, which it is when it is asked for."""

    def __init__(self, stored: StoredArray, order: tuple[int, ...], shape: tuple[int, ...]):
        self._stored, self._order = stored, order
        self.shape, self.dtype = shape, stored.dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        found = np.ascontiguousarray(np.asarray(self._stored).transpose(self._order)).reshape(self.shape)
        return found if dtype is None else found.astype(dtype, copy=False)


def _place(ours: str, layout: Layout) -> tuple[str, str, str]:
    """Path of one of our arrays in their file, its axes there and ours."""
    if ours == "embed_tokens.weight":
        return EMBEDDING, "VD", "VD"
    if ours == "embed_tokens.reverse_weight":
        return HEAD, "DV", "VD"
    if ours == "norm.gain":
        return f"layers/{layout.norm}/vars/0", "D", "D"
    _, layer, name = re.split(r"^layers\.(\d+)\.", ours)
    path, theirs, order = layout.arrays[name]
    return f"layers/{layout.block}{'' if layer == '0' else f'_{layer}'}/{path}", theirs, order


def load_keras_weights(
    model: Decoder,
    weights: Mapping[str, StoredArray],
    backend: Backend,
    dtype: str = "float32",
    source: str = "the weights",
) -> Decoder:
    """The model of a translated configuration with its arrays, moved one by one.

    Args:
        source: what errors call the weights.

    Raises:
        WeightsError: arrays are missing, unknown or of another shape; the message names the first ones of each kind.
    """
    try:
        return load_arrays(model, _Arranged(model, weights, source), backend, dtype)
    except ShapeError as error:
        raise WeightsError(f"{source}: {error}") from None
