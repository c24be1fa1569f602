"""SmolLM3 (Bakouch et al. 2025): Llama without positions in every fourth layer (Yang et al. 2025, "NoPE")."""

from __future__ import annotations

from types import MappingProxyType

from ..errors import ConfigError
from ..transformer.config import DecoderConfig, Fields, common, windows_of
from ..transformer.decoder import Decoder


class SmolLM3(Decoder):
    architectures = MappingProxyType({"SmolLM3ForCausalLM": "smollm3"})
    dialect = "hermes"

    @classmethod
    def read_config(cls, fields: Fields) -> DecoderConfig:
        layers = fields.layers()
        every = fields.count("no_rope_layer_interval", 4)
        turned = fields.array("no_rope_layers", [int((layer + 1) % every != 0) for layer in range(layers)])
        if len(turned) != layers:
            raise ConfigError(f"{fields.source}: no_rope_layers has {len(turned)} entries for {layers} layers")
        windows = (0,) * layers
        if fields.flag("use_sliding_window", False):
            window = fields.count("sliding_window") if "sliding_window" in fields else 0
            windows = windows_of(fields) if "layer_types" in fields else tuple(0 if turns else window for turns in turned)
        bias = fields.flag("attention_bias", False)
        return common(
            fields,
            qkv_bias=bias,
            out_bias=bias,
            mlp_bias=fields.flag("mlp_bias", False),
            windows=windows,
            ropes=tuple(fields.rope() if turns else None for turns in turned),
        )
