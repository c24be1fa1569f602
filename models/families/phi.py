"""Phi-3 and Phi-4-mini (Abdin et al. 2024, 2025): fused projections, part of each head turned, "longrope"."""

from __future__ import annotations

from types import MappingProxyType

from ..errors import ConfigError
from ..transformer.blocks import FusedBlock
from ..transformer.config import DecoderConfig, Fields, common
from ..transformer.decoder import Decoder


class Phi3(Decoder):
    architectures = MappingProxyType({"Phi3ForCausalLM": "phi3"})
    block = FusedBlock

    @classmethod
    def read_config(cls, fields: Fields) -> DecoderConfig:
        plain = common(fields)
        part = Fields(fields.mapping("rope_parameters"), fields.source).share(
            "partial_rotary_factor", fields.share("partial_rotary_factor", 1.0)
        )
        rotated = int(plain.head_dim * part)
        for name in ("short_factor", "long_factor"):
            found = plain.ropes[0].options.get(name)
            if found is not None and len(found) != rotated // 2:
                raise ConfigError(f"{fields.source}: {name} has {len(found)} factors for {rotated // 2} pairs of channels")
        window = fields.count("sliding_window") if "sliding_window" in fields else 0
        return common(fields, rotated=rotated, windows=(window,) * plain.layers)
