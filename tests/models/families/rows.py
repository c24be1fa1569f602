"""Configurations of every family, small and in odd shapes, and what transformers computes with them on random weights.

The rows are chosen to hurt: windows shorter than the prompt, grouped heads, soft caps, tied and untied heads, head sizes that
do not divide the width, position embeddings of every kind.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from ferrule.core import get_backend
from ferrule.core.backends.numpy import REFERENCE
from ferrule.models import token_loop
from ferrule.models.families import build
from ferrule.models.families.weights import load_weights
from ferrule.models.safetensors import Checkpoint

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SMALL = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "partial_rotary_factor": 0.75,
    "short_factor": [1.0 + 0.1 * i for i in range(6)],
    "long_factor": [1.5 + 0.5 * i for i in range(6)],
    "original_max_position_embeddings": 128,
}
LOCAL = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"]
GEMMA4 = {"sliding_window": 7, "global_head_dim": 24, "hidden_size_per_layer_input": 0, "layer_types": [*LOCAL[:3], LOCAL[2]]}
MIXTURE = {"enable_moe_block": True, "num_experts": 7, "top_k_experts": 3, "moe_intermediate_size": 20}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma": ("Gemma", {"num_key_value_heads": 1}),
    "gemma2": (
        "Gemma2",
        {"sliding_window": 7, "query_pre_attn_scalar": 24, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0},
    ),
    "gemma3": ("Gemma3Text", {"sliding_window": 7, "query_pre_attn_scalar": 24, "layer_types": LOCAL}),
    # E2B and E4B: embeddings for each layer, the last layers look at keys of an earlier one and are wider
    "gemma4-shared": (
        "Gemma4Text",
        {
            **GEMMA4,
            "num_hidden_layers": 6,
            "layer_types": [*LOCAL, *LOCAL[1:3]],
            "num_kv_shared_layers": 2,
            "use_double_wide_mlp": True,
            "hidden_size_per_layer_input": 10,
            "vocab_size_per_layer_input": 99,
            "final_logit_softcapping": 3.0,
        },
    ),
    # 26B-A4B: a mixture beside the feed-forward, keys for values
    "gemma4-moe": (
        "Gemma4Text",
        {**GEMMA4, **MIXTURE, "attention_k_eq_v": True, "num_global_key_value_heads": 1},
    ),
    "gemma4-everything": (
        "Gemma4Text",
        {
            **GEMMA4,
            **MIXTURE,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "num_kv_shared_layers": 2,
            "use_double_wide_mlp": True,
            "hidden_size_per_layer_input": 6,
            "vocab_size_per_layer_input": 97,
            "attention_k_eq_v": True,
            "num_global_key_value_heads": 6,
            "final_logit_softcapping": 5.0,
            "rope_parameters": {
                "full_attention": {
                    "rope_type": "proportional",
                    "rope_theta": 1e4,
                    "partial_rotary_factor": 0.6,
                    "factor": 2.0,
                },
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e3},
            },
        },
    ),
    # 12B, 31B, and what no checkpoint has: biases, an output matrix, and rotation of another kind
    "gemma4-unified": (
        "Gemma4UnifiedText",
        {
            "sliding_window": 7,
            "layer_types": [*LOCAL[:3], LOCAL[2]],
            "global_head_dim": 20,
            "num_global_key_value_heads": 3,
            "attention_k_eq_v": True,
            "attention_bias": True,
            "tie_word_embeddings": False,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "rope_theta": 1e5, "factor": 4.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            },
        },
    ),
    "llama2": ("Llama", {"num_key_value_heads": 6, "head_dim": 8}),
    "llama3": ("Llama", {"rope_parameters": LLAMA3, "tie_word_embeddings": True}),
    "llama-biases": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "llama-linear": ("Llama", {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}}),
    "llama-yarn": (
        "Llama",
        {
            "rope_parameters": {
                "rope_type": "yarn",
                "factor": 4.0,
                "rope_theta": 10000.0,
                "original_max_position_embeddings": 64,
            }
        },
    ),
    "mistral": ("Mistral", {"sliding_window": 9}),
    "mistral-no-window": ("Mistral", {"sliding_window": None}),
    "smollm3": ("SmolLM3", {}),
    "qwen2": ("Qwen2", {"head_dim": 8}),
    "qwen2-windows": ("Qwen2", {"head_dim": 8, "use_sliding_window": True, "sliding_window": 9, "max_window_layers": 2}),
    "qwen3": ("Qwen3", {"tie_word_embeddings": True}),
    "qwen3-moe": (
        "Qwen3Moe",
        {
            "num_experts": 6,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "norm_topk_prob": True,
            "mlp_only_layers": [1],
        },
    ),
    "phi3": ("Phi3", {"head_dim": 16, "rope_parameters": LONGROPE, "hidden_size": 96}),
    "granite": (
        "Granite",
        {
            "head_dim": 8,
            "embedding_multiplier": 3.0,
            "attention_multiplier": 0.2,
            "residual_multiplier": 0.4,
            "logits_scaling": 2.0,
        },
    ),
}
IDS = np.random.default_rng(0).integers(3, 97, (3, 40)).astype(np.int32)
TOLERANCE = 2e-4  # of the largest logit

# Models that also see or hear: kind, row of `FAMILIES` for the text part, sizes of the other parts
TOWER = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
GEMMA4_TOWERS = {
    "vision_config": {**TOWER, "num_key_value_heads": 2, "head_dim": 8, "position_embedding_size": 16},
    "audio_config": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "output_proj_dims": 16},
}
WRAPPED = {
    "gemma3": ("Gemma3", "gemma3", {"vision_config": {**TOWER, "image_size": 28, "patch_size": 14}, "image_token_index": 90}),
    "gemma4": ("Gemma4", "gemma4-shared", GEMMA4_TOWERS),
    "gemma4-moe": ("Gemma4", "gemma4-moe", GEMMA4_TOWERS),
    "gemma4-unified": (
        "Gemma4Unified",
        "gemma4-unified",
        {"vision_config": {"mm_embed_dim": 16, "mm_posemb_size": 8, "output_proj_dims": 16}, "audio_config": {}},
    ),
}


def oracle(name: str):
    """transformers' model of a row, with weights that make logits of some size."""
    kind, changes = FAMILIES[name]
    config = getattr(transformers, f"{kind}Config")(**{**SMALL, **changes})
    return randomised(transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval())


def randomised(found):
    torch.manual_seed(0)
    with torch.no_grad():
        for label, buffer in found.named_buffers():
            if label.endswith("layer_scalar"):
                buffer.uniform_(0.5, 1.5)
        for label, weight in found.named_parameters():
            if "norm" in label:
                weight.add_(torch.randn_like(weight) * 0.1)
            else:
                weight.copy_(torch.randn_like(weight) * (0.5 if "embed" in label else 1.2 * weight.shape[-1] ** -0.5))
    return found


class Family:
    def __init__(self, name: str, folder):
        self.oracle = oracle(name)
        self.oracle.save_pretrained(folder)
        self.read(folder)
        with torch.no_grad():
            self.logits = self.oracle(torch.tensor(IDS.astype(np.int64))).logits.numpy()

    def read(self, folder):
        self.folder = folder
        self.config = json.loads((folder / "config.json").read_text())
        self.checkpoint = Checkpoint(folder)

    def model(self, backend):
        return load_weights(build(self.config), self.checkpoint, get_backend(backend))

    def loop(self, backend):
        model = self.model(backend)
        return token_loop.TokenLoop(model, None, get_backend(backend), model.config.max_positions)


def load(folder, checkpoint=None):
    config = json.loads((folder / "config.json").read_text())
    return load_weights(build(config), Checkpoint(folder) if checkpoint is None else checkpoint, REFERENCE)


def scored(model):
    return token_loop.TokenLoop(model, None, REFERENCE, model.config.max_positions).score(IDS)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())
