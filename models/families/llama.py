"""Llama 2 and 3 (Touvron et al. 2023, Grattafiori et al. 2024), and SmolLM2, which has the same architecture."""

from __future__ import annotations

from types import MappingProxyType

from ..transformer.config import DecoderConfig, Fields, common
from ..transformer.decoder import Decoder


class Llama(Decoder):
    architectures = MappingProxyType({"LlamaForCausalLM": "llama"})
    dialect = "llama3"

    @classmethod
    def read_config(cls, fields: Fields) -> DecoderConfig:
        bias = fields.flag("attention_bias", False)
        return common(fields, qkv_bias=bias, out_bias=bias, mlp_bias=fields.flag("mlp_bias", False))
