"""Gemma 1, 2 and 3 (Gemma Team 2024, 2024, 2025): text models; FunctionGemma has the architecture of Gemma 3."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from ..errors import ConfigError
from ..transformer.blocks import SandwichBlock
from ..transformer.config import ACTIVATIONS, DecoderConfig, Fields, common, windows_of
from ..transformer.decoder import Decoder


def gemma_config(fields: Fields, **changes: Any) -> DecoderConfig:
    """What all of them share: zero-centred gains, scaled and tied embeddings, a gated GELU."""
    activation = "hidden_activation" if "hidden_activation" in fields else "hidden_act"
    name = fields.choice(activation, {**ACTIVATIONS, "gelu": "gelu"}, "gelu_pytorch_tanh")  # the first configs said "gelu"
    bias = fields.flag("attention_bias", False)
    head_dim = fields.count("head_dim", 256)
    return common(
        fields,
        **{
            "activation": name,
            "qkv_bias": bias,
            "out_bias": bias,
            "head_dim": head_dim,
            "rotated": head_dim,
            "scale": head_dim**-0.5,
            "zero_centred": True,
            "embedding_scale": fields.count("hidden_size") ** 0.5,
            "tied": fields.flag("tie_word_embeddings", True),
            **changes,
        },
    )


def _capped(fields: Fields, **changes: Any) -> DecoderConfig:
    """What the second and third version share: a scale of attention of their own, and soft caps."""
    return gemma_config(
        fields,
        scale=fields.positive("query_pre_attn_scalar", 256) ** -0.5,
        attention_cap=fields.optional_positive("attn_logit_softcapping"),
        logit_cap=fields.optional_positive("final_logit_softcapping"),
        **changes,
    )


def _must_write(fields: Fields) -> None:
    if fields.flag("use_bidirectional_attention", False):
        raise ConfigError(
            f"{fields.source}: use_bidirectional_attention is true, so the model reads in both directions and cannot write; "
            "only EmbeddingGemma (Gemma3TextModel) is supported that way"
        )


class Gemma(Decoder):
    architectures = MappingProxyType({"GemmaForCausalLM": "gemma"})
    dialect = "gemma3_json"

    @classmethod
    def read_config(cls, fields: Fields) -> DecoderConfig:
        _must_write(fields)
        return gemma_config(fields)


class Gemma2(Decoder):
    """Every other layer has a window; attention scores and logits have soft caps."""

    architectures = MappingProxyType({"Gemma2ForCausalLM": "gemma2"})
    dialect = "gemma3_json"
    block = SandwichBlock

    @classmethod
    def read_config(cls, fields: Fields) -> DecoderConfig:
        _must_write(fields)
        layers = fields.layers()
        if "layer_types" in fields:
            windows = windows_of(fields)
        else:
            windows = tuple(0 if layer % 2 else fields.count("sliding_window") for layer in range(layers))
        return _capped(fields, windows=windows)


class Gemma3(Decoder):
    """Five layers with a window and slow positions of their own, then one that sees everything."""

    architectures = MappingProxyType({"Gemma3ForCausalLM": "gemma3_text", "Gemma3ForConditionalGeneration": "gemma3"})
    dialect = "gemma3_json"
    block = SandwichBlock
    # The checkpoints that also see (4B, 12B, 27B) leave out what their text part has in common with these
    defaults = MappingProxyType(
        {
            "model_type": "gemma3_text",
            "vocab_size": 262208,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "max_position_embeddings": 131072,
        }
    )
    renamed = (
        ("language_model.model.", "model."),
        ("language_model.lm_head.", "lm_head."),
        ("model.language_model.", "model."),
        ("vision_tower.", "model.vision_tower."),
        ("multi_modal_projector.", "model.multi_modal_projector."),
    )
    unused = ("model.vision_tower.", "model.multi_modal_projector.")

    @classmethod
    def read_config(cls, fields: Fields) -> DecoderConfig:
        _must_write(fields)
        return gemma3_config(fields)


def gemma3_config(fields: Fields) -> DecoderConfig:
    """Of the third version, whether it writes or, as EmbeddingGemma, only reads."""
    layers = fields.layers()
    if "layer_types" in fields:
        windows = windows_of(fields)
    else:
        every = fields.count("sliding_window_pattern", 6)
        windows = tuple(fields.count("sliding_window") if (layer + 1) % every else 0 for layer in range(layers))
    given = fields.mapping("rope_parameters")
    if given and not any(kind in given for kind in ("full_attention", "sliding_attention")):
        raise fields.refused("rope_parameters", "an object with full_attention and sliding_attention", dict(given))
    everywhere, nearby = fields.rope(1e6, "full_attention"), fields.rope(1e4, "sliding_attention")
    if "rope_parameters" not in fields:  # older configs: the window's base has a name of its own, and no scaling
        nearby = type(nearby)(fields.positive("rope_local_base_freq", 1e4, above=1))
    ropes = tuple(nearby if window else everywhere for window in windows)
    return _capped(fields, windows=windows, ropes=ropes, qk_norm=True)
