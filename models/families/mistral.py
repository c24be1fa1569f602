"""Mistral 7B and its successors (Jiang et al. 2023): Llama with a sliding window in the first version."""

from __future__ import annotations

from types import MappingProxyType

from ..transformer.config import DecoderConfig, Fields, common
from ..transformer.decoder import Decoder


class Mistral(Decoder):
    architectures = MappingProxyType({"MistralForCausalLM": "mistral"})
    dialect = "mistral"

    @classmethod
    def read_config(cls, fields: Fields) -> DecoderConfig:
        window = fields.count("sliding_window") if "sliding_window" in fields else 0
        return common(fields, windows=(window,) * fields.layers())
