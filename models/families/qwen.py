"""Qwen 2.5 (Yang et al. 2024) and Qwen 3 (Yang et al. 2025), dense and mixture of experts."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from ..transformer.config import DecoderConfig, Fields, common, windows_of
from ..transformer.decoder import Decoder


def _windows(fields: Fields) -> tuple[int, ...]:
    """The layers from `max_window_layers` on have a window, where windows are in use at all."""
    layers = fields.layers()
    if not fields.flag("use_sliding_window", False):
        return (0,) * layers
    if "layer_types" in fields:
        return windows_of(fields)
    window, first = fields.count("sliding_window"), fields.count("max_window_layers", layers, least=0)
    return tuple(window if layer >= first else 0 for layer in range(layers))


class Qwen2(Decoder):
    architectures = MappingProxyType({"Qwen2ForCausalLM": "qwen2"})
    dialect = "hermes"

    @classmethod
    def read_config(cls, fields: Fields) -> DecoderConfig:
        return common(fields, qkv_bias=True, windows=_windows(fields))


class Qwen3(Decoder):
    architectures = MappingProxyType({"Qwen3ForCausalLM": "qwen3"})
    dialect = "hermes"

    @classmethod
    def read_config(cls, fields: Fields) -> DecoderConfig:
        bias = fields.flag("attention_bias", False)
        head_dim = fields.count("head_dim", 128)
        return common(
            fields,
            qkv_bias=bias,
            out_bias=bias,
            qk_norm=True,
            windows=_windows(fields),
            head_dim=head_dim,
            rotated=head_dim,
            scale=head_dim**-0.5,
        )


class Qwen3Moe(Qwen3):
    architectures = MappingProxyType({"Qwen3MoeForCausalLM": "qwen3_moe"})

    @classmethod
    def read_config(cls, fields: Fields) -> DecoderConfig:
        dense, every = fields.array("mlp_only_layers", ()), fields.count("decoder_sparse_step", 1)
        layers = fields.layers()
        window = fields.count("sliding_window", 4096) if fields.flag("use_sliding_window", False) else 0
        return replace(
            super().read_config(fields),
            windows=(window,) * layers,  # in all layers, unlike those of the dense models
            experts=fields.count("num_experts" if "num_experts" in fields else "num_local_experts"),
            experts_per_token=fields.count("num_experts_per_tok"),
            d_expert=fields.count("moe_intermediate_size"),
            normalise_experts=fields.flag("norm_topk_prob", False),
            sparse=tuple(layer not in dense and (layer + 1) % every == 0 for layer in range(layers)),
        )
