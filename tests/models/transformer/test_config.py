"""A `config.json` that is nonsense is one line: the file, the field, and what it said."""

from __future__ import annotations

import time

import pytest
from ferrule.models.errors import ConfigError
from ferrule.models.families import build

SMALL = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
}
NAN, INF = float("nan"), float("inf")


def refused(architecture: str, changes: dict) -> str:
    with pytest.raises(ConfigError) as caught:
        build({**SMALL, "architectures": [architecture], **changes}, "here/config.json")
    line = str(caught.value)
    assert line.startswith("here/config.json: ")
    assert "\n" not in line
    assert len(line) < 300
    return line


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["LamaForCausalLM"]}, "LamaForCausalLM is not supported; the nearest .* LlamaForCausalLM"),
        (
            {"num_attention_heads": 5},
            "5 query heads cannot share 2 key heads evenly; the first must be a multiple",
        ),
        ({"num_hidden_layers": None}, "num_hidden_layers must be a whole number from 1 on, received None"),
        ({"hidden_size": "48"}, "hidden_size must be a whole number from 1 on, received '48'"),
        ({"head_dim": None, "hidden_size": 50}, "hidden_size 50 is no multiple of 6 heads"),
        ({"hidden_act": "tanh"}, "hidden_act is 'tanh'; supported are silu"),
        ({"rope_parameters": {"rope_type": "dynamic"}}, "rope_type is 'dynamic'; supported are default"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "needs factor and low_freq_factor and high_freq_factor"),
        ({"rope_parameters": {"rope_type": "linear"}}, "rope_type 'linear' needs factor"),
        ({"rope_scaling": {"type": "yarn", "original_max_position_embeddings": 64}}, "rope_type 'yarn' needs factor"),
        (
            {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}, "rope_scaling": {"type": "linear", "factor": 2.0}},
            "rope_parameters .* and rope_scaling .* contradict each other; leave out the one",
        ),
        (
            {
                "rope_parameters": {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 64},
                "original_max_position_embeddings": 32,
            },
            "original_max_position_embeddings is 32, and 64 in the position embedding's own fields; make them agree",
        ),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings must be true or false, received 'yes'"),
    ],
)
def test_configs_that_contradict_themselves(changes, message):
    with pytest.raises(ConfigError, match=message):
        build({**SMALL, "architectures": ["LlamaForCausalLM"], **changes})


LLAMA, GEMMA, GEMMA2, GEMMA3, GRANITE, PHI, QWEN_MOE, SMOLLM, MISTRAL = (
    f"{name}ForCausalLM" for name in ("Llama", "Gemma", "Gemma2", "Gemma3", "Granite", "Phi3", "Qwen3Moe", "SmolLM3", "Mistral")
)
MIXTURE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8}


@pytest.mark.parametrize(
    ("architecture", "field", "value", "wanted"),
    [
        *((LLAMA, "rms_norm_eps", value, "above 0") for value in (0, -1e-6, -1)),
        *((LLAMA, "rms_norm_eps", value, "a number") for value in (NAN, INF, "1e-6", 10**400, True)),
        *((LLAMA, "rope_theta", value, "above 1") for value in (0, -1e4, 1, 0.5)),
        *((LLAMA, "rope_theta", value, "a number") for value in (NAN, [1e4])),
        *((GEMMA2, name, 0, "above 0") for name in ("attn_logit_softcapping", "final_logit_softcapping")),
        *((GEMMA2, name, -30.0, "above 0") for name in ("attn_logit_softcapping", "final_logit_softcapping")),
        (GEMMA2, "query_pre_attn_scalar", 0, "above 0"),
        (GEMMA3, "rope_local_base_freq", 0, "above 1"),
        *((GRANITE, name, 0, "above 0") for name in ("attention_multiplier", "logits_scaling", "embedding_multiplier")),
        (PHI, "partial_rotary_factor", 1.5, "above 0 and at most 1"),
        (PHI, "partial_rotary_factor", "half", "a number"),
        (SMOLLM, "no_rope_layers", 3, "a list"),
        (QWEN_MOE, "mlp_only_layers", 3, "a list"),
        (GEMMA2, "layer_types", 7, "a list"),
        (LLAMA, "hidden_size", 2**31, "a whole number from 1 to 2147483647"),
        (LLAMA, "vocab_size", 0, "a whole number from 1 on"),
        (LLAMA, "rope_parameters", "default", "an object"),
    ],
)
def test_values_that_are_nonsense(architecture, field, value, wanted):
    needed = {"sliding_window": 8, **MIXTURE}
    line = refused(architecture, {**needed, field: value})
    received = repr(float(value) if wanted.startswith("above") else value)
    assert line.replace(received[:80], "…", 1).startswith(f"here/config.json: {field} must be {wanted}, received …")


@pytest.mark.parametrize(
    ("architecture", "changes", "message"),
    [
        *(
            (name, {"use_bidirectional_attention": True}, "reads in both directions")
            for name in ("GemmaForCausalLM", GEMMA2, GEMMA3)
        ),
        (
            GEMMA3,
            {"rope_parameters": {"rope_type": "default", "rope_theta": 5e4}},
            "rope_parameters must be an object with full",
        ),
        (MISTRAL, {"layer_types": ["full_attention"] * 4}, "contradict sliding_window 8: a Mistral has a window in all"),
    ],
)
def test_what_would_change_the_mathematics_is_refused(architecture, changes, message):
    assert message in refused(architecture, {"sliding_window": 8, **changes})


@pytest.mark.parametrize(
    "both",
    [
        ({"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}, {"type": "linear", "factor": 2.0}),
        ({"rope_type": "default", "rope_theta": 1e4}, None),
        ({"rope_type": "default", "rope_theta": 1e4}, {}),
    ],
)
def test_position_embeddings_that_agree_in_both_forms(both):
    build({**SMALL, "architectures": [LLAMA], "rope_parameters": both[0], "rope_scaling": both[1]})


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


@pytest.mark.parametrize(
    ("rope", "message"),
    [
        ({**YARN, "factor": 0}, "factor must be above 0, received 0.0"),
        ({**YARN, "factor": NAN}, "factor must be a number, received nan"),
        ({**YARN, "rope_theta": 1}, "rope_theta must be above 1, received 1.0"),
        ({**YARN, "beta_fast": -1}, "beta_fast must be above 0, received -1.0"),
        ({**YARN, "mscale": "x"}, "mscale must be a number, received 'x'"),
        ({**YARN, "original_max_position_embeddings": 0}, "original_max_position_embeddings must be above 0, received 0.0"),
        ({**LLAMA3, "low_freq_factor": 0}, "low_freq_factor must be above 0, received 0.0"),
        ({**LLAMA3, "high_freq_factor": 1.0}, "high_freq_factor must be above low_freq_factor, 1.0, received 1.0"),
        ({"rope_type": "longrope", "short_factor": 3, "long_factor": [1.0]}, "short_factor must be a list, received 3"),
        (
            {"rope_type": "longrope", "short_factor": [1.0] * 8, "long_factor": [0] * 8},
            "long_factor must be above 0, received 0.0",
        ),
        ({"rope_type": ["yarn"]}, "rope_type is ['yarn']; supported are default, linear"),
        ({"partial_rotary_factor": 2}, "partial_rotary_factor must be above 0 and at most 1, received 2.0"),
        ({"rope_type": "linear", "factor": -4, "attention_factor": 1}, "factor must be above 0, received -4.0"),
    ],
)
def test_position_embeddings_that_are_nonsense(rope, message):
    assert refused(LLAMA, {"rope_parameters": rope}).startswith(f"here/config.json: {message}")
    assert refused(LLAMA, {"rope_scaling": rope}).startswith(f"here/config.json: {message}")


@pytest.mark.parametrize("architecture", [LLAMA, GEMMA2, GEMMA3, PHI, QWEN_MOE, SMOLLM, "Gemma4ForCausalLM"])
def test_far_too_many_layers(architecture):
    """They are refused before one is built."""
    began = time.perf_counter()
    line = refused(architecture, {"num_hidden_layers": 10**9, "sliding_window": 8, **MIXTURE})
    assert line == "here/config.json: num_hidden_layers must be a whole number from 1 to 1024, received 1000000000"
    assert time.perf_counter() - began < 1


def test_more_experts_for_a_token_than_there_are():
    line = refused(QWEN_MOE, {**MIXTURE, "num_experts_per_tok": 5})
    assert line == "here/config.json: a token cannot take 5 of 4 experts"


def test_long_values_are_cut():
    line = refused(GEMMA2, {"layer_types": ["chunked_attention"] * 10_000, "sliding_window": 8})
    assert "layer_types must name full_attention or sliding_attention for 4 layers, received ['chunked" in line
    assert line.endswith("…")
