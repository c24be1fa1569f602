"""Granite 3 and 4 dense models (IBM): Llama with factors on embeddings, attention, residuals and logits."""

from __future__ import annotations

from types import MappingProxyType

from ..transformer.config import DecoderConfig, Fields, common
from ..transformer.decoder import Decoder


class Granite(Decoder):
    architectures = MappingProxyType({"GraniteForCausalLM": "granite"})

    @classmethod
    def read_config(cls, fields: Fields) -> DecoderConfig:
        bias = fields.flag("attention_bias", False)
        return common(
            fields,
            qkv_bias=bias,
            out_bias=bias,
            mlp_bias=fields.flag("mlp_bias", False),
            scale=fields.positive("attention_multiplier", 1.0),
            embedding_scale=fields.positive("embedding_multiplier", 1.0),
            residual_scale=fields.positive("residual_multiplier", 1.0),
            logit_scale=1.0 / fields.positive("logits_scaling", 1.0),
        )
