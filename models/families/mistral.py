"""Mistral 7B and its successors (Jiang et al. 2023): Llama with a sliding window in the first version."""

from __future__ import annotations

from types import MappingProxyType

from ..errors import ConfigError
from ..transformer.config import DecoderConfig, Fields, common, shown
from ..transformer.decoder import Decoder


class Mistral(Decoder):
    architectures = MappingProxyType({"MistralForCausalLM": "mistral"})
    dialect = "mistral"

    @classmethod
    def read_config(cls, fields: Fields) -> DecoderConfig:
        window = fields.count("sliding_window") if "sliding_window" in fields else 0
        kinds = fields.array("layer_types", ())
        if any(kind != ("sliding_attention" if window else "full_attention") for kind in kinds):
            raise ConfigError(
                f"{fields.source}: layer_types {shown(list(kinds))} contradict sliding_window {window or None}: "
                "a Mistral has a window in all layers or in none"
            )
        return common(fields, windows=(window,) * fields.layers())
