"""KerasHub's configurations and layouts. What KerasHub computes is compared in `tests/hub/test_keras_presets.py`."""

from __future__ import annotations

import numpy as np
import pytest
from ferrule.core import get_backend, named_arrays
from ferrule.models.errors import ConfigError, WeightsError
from ferrule.models.families import build
from ferrule.models.families.keras_hub import BACKBONES, EMBEDDING, HEAD, LAYOUTS, load_keras_weights, translated

SIZES = {
    "vocabulary_size": 97,
    "num_layers": 2,
    "num_query_heads": 6,
    "num_key_value_heads": 2,
    "hidden_dim": 48,
    "intermediate_dim": 80,
}
POST_NORMS = {"use_post_ffw_norm": True, "use_post_attention_norm": True}
FIELDS = {
    "GemmaBackbone": {**SIZES, "head_dim": 16},
    "Gemma3Backbone": {**SIZES, "head_dim": 16, **POST_NORMS},
    "LlamaBackbone": SIZES,
    "Llama3Backbone": SIZES,
    "MistralBackbone": {**SIZES, "head_dim": 16},
    "QwenBackbone": SIZES,
    "Qwen3Backbone": {**SIZES, "head_dim": 16},
}
BANDS = {
    "rope_frequency_adjustment_factor": 8.0,
    "rope_low_freq_factor": 1.0,
    "rope_high_freq_factor": 4.0,
    "rope_pretraining_sequence_length": 8192,
}
each_backbone = pytest.mark.parametrize("name", FIELDS)


def config(name, **fields):
    return {"class_name": name, "registered_name": f"keras_hub>{name}", "config": {**FIELDS[name], **fields}}


def test_every_backbone_is_here():
    assert set(FIELDS) == set(BACKBONES)


def weights_of(name):
    """Arrays as a file of that backbone holds them, with numbers that tell them apart."""
    model = build(translated(config(name), name))
    c, layout = model.config, LAYOUTS[type(model)]
    sizes = {"V": c.vocab, "D": c.d_model, "F": c.d_ff, "H": c.heads, "K": c.kv_heads, "C": c.head_dim}
    axes = {EMBEDDING: "VD", f"layers/{layout.norm}/vars/0": "D"} | ({} if c.tied else {HEAD: "DV"})
    inner = {ours.split(".", 2)[2] for ours in named_arrays(model) if ours.startswith("layers.")}
    for block in (layout.block, f"{layout.block}_1"):
        axes |= {f"layers/{block}/{layout.arrays[ours][0]}": layout.arrays[ours][1] for ours in inner}
    rng = np.random.default_rng(0)
    return model, {path: rng.standard_normal([sizes[axis] for axis in names], np.float32) for path, names in axes.items()}


@each_backbone
def test_axes(name):
    """Each projection is that of an einsum over KerasHub's own axes."""
    model, weights = weights_of(name)
    loaded = load_keras_weights(model, weights, get_backend("numpy"))
    layout, c = LAYOUTS[type(model)], model.config
    attention, x = loaded.layers[1].self_attn, np.random.default_rng(1).standard_normal((3, c.d_model), np.float32)
    for ours, projection in (("q", attention.q_proj), ("k", attention.k_proj), ("v", attention.v_proj)):
        path, axes, _ = layout.arrays[f"self_attn.{ours}_proj.weight"]
        heads = "K" if "K" in axes else "H"
        kernel = weights[f"layers/{layout.block}_1/{path}"]
        expected = np.einsum(f"tD,{axes}->t{heads}C", x, kernel)
        expected = expected + (weights[f"layers/{layout.block}_1/{path[:-1]}1"] if c.qkv_bias else 0)
        np.testing.assert_allclose(projection(x), expected.reshape(3, -1), rtol=1e-4, atol=1e-4)
    values = np.random.default_rng(2).standard_normal((3, c.heads, c.head_dim), np.float32)
    kernel = weights[f"layers/{layout.block}_1/{layout.arrays['self_attn.o_proj.weight'][0]}"]
    expected = np.einsum("tHC,HCD->tD", values, kernel)
    np.testing.assert_allclose(attention.o_proj(values.reshape(3, -1)), expected, rtol=1e-4, atol=1e-4)


@each_backbone
def test_names_that_do_not_fit_are_listed(name):
    model, weights = weights_of(name)
    norm = f"layers/{LAYOUTS[type(model)].norm}/vars/0"
    weights[EMBEDDING] = weights[EMBEDDING][:-1]
    del weights[norm]
    weights["layers/other/vars/0"] = np.zeros(3, np.float32)
    weights["layers/dropout/seed_generator/vars/0"] = np.zeros(2, np.uint32)
    expected = rf"missing {norm}; unknown layers/other/vars/0; {EMBEDDING} is \(96, 48\), expected \(97, 48\)$"
    with pytest.raises(WeightsError, match=expected):
        load_keras_weights(model, weights, get_backend("numpy"))


def test_integers_are_refused():
    model, weights = weights_of("GemmaBackbone")
    weights[EMBEDDING] = weights[EMBEDDING].astype(np.int8)
    with pytest.raises(WeightsError, match=r"embed_tokens.weight holds int8, expected float32"):
        load_keras_weights(model, weights, get_backend("numpy"))


def test_longest_texts():
    def longest(name, **fields):
        return build(translated(config(name, **fields), name)).config.max_positions

    assert longest("GemmaBackbone") == longest("GemmaBackbone", **POST_NORMS) == 8192
    assert longest("Gemma3Backbone") == 32768
    assert longest("Gemma3Backbone", global_rope_scaling_factor=8.0) == 131072
    assert (longest("LlamaBackbone"), longest("Llama3Backbone"), longest("Llama3Backbone", **BANDS)) == (4096, 8192, 131072)


def test_whether_a_head_is_the_embedding():
    """KerasHub's Llama does not write it down; the arrays tell."""
    tied = {
        name: translated(config("Llama3Backbone"), "", names)["tie_word_embeddings"]
        for name, names in (("", []), ("h", [HEAD]))
    }
    assert tied == {"": True, "h": False}
    assert translated(config("Llama3Backbone", tie_word_embeddings=False), "", [])["tie_word_embeddings"] is False
    assert translated(config("QwenBackbone"), "", [HEAD])["tie_word_embeddings"] is True


@pytest.mark.parametrize(
    "dtype", [None, "bfloat16", "mixed_float16", {"class_name": "DTypePolicy", "config": {"name": "float32"}}]
)
def test_element_types(dtype):
    assert translated(config("GemmaBackbone", dtype=dtype))["hidden_size"] == 48


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("GemmaBackbone", {"use_post_ffw_norm": True}, "use_post_ffw_norm is True; it must be that of use_post_attention_norm"),
        ("GemmaBackbone", {"final_logit_soft_cap": 30.0}, "final_logit_soft_cap is 30.0; it must be left out"),
        ("GemmaBackbone", {"use_sliding_window_attention": True}, "use_sliding_window_attention is True; it must be left out"),
        ("GemmaBackbone", {"query_head_dim_normalize": False}, "query_head_dim_normalize is False; it must be true"),
        ("GemmaBackbone", {"hidden_dim": "44"}, "hidden_dim must be a whole number from 1 on, received '44'"),
        ("GemmaBackbone", {"num_query_heads": 5}, "5 query heads cannot share 2 key heads"),
        ("GemmaBackbone", {**POST_NORMS, "layer_norm_epsilon": 1e-5}, "layer_norm_epsilon is 1e-05; it must be 1e-06"),
        ("Gemma3Backbone", {"vision_encoder": {}}, "vision_encoder is {}; it must be null: presets for text alone"),
        ("Gemma3Backbone", {"is_embedding_model": True}, "is_embedding_model is True; it must be false"),
        ("Gemma3Backbone", {"use_query_key_norm": False}, "use_query_key_norm is False; it must be true"),
        ("Gemma3Backbone", {"use_post_ffw_norm": False}, "use_post_ffw_norm is False; it must be true"),
        ("Llama3Backbone", {"rope_position_scaling_factor": 2.0}, "rope_position_scaling_factor is 2.0; it must be 1.0"),
        ("Llama3Backbone", {**BANDS, "rope_low_freq_factor": None}, "rope_low_freq_factor must be a number, received None"),
        ("Llama3Backbone", {"dtype": {"class_name": "DTypePolicyMap", "config": {}}}, r"quantised \(DTypePolicyMap\)"),
        ("Llama3Backbone", {"dtype": "int8_from_bfloat16"}, r"quantised \(int8_from_bfloat16\); take the preset in floats"),
    ],
)
def test_what_is_not_supported(name, fields, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build(translated(config(name, **fields)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            {"class_name": "Qwen3MoeBackbone", "config": {}},
            "KerasHub's Qwen3MoeBackbone is not supported; the nearest supported ones are Qwen3Backbone",
        ),
        ({"registered_name": "x"}, "KerasHub's None is not supported; the nearest .* GemmaBackbone"),
        ({"class_name": "GemmaBackbone", "config": 3}, "it needs an object config"),
    ],
)
def test_classes_that_are_not_supported(found, message):
    with pytest.raises(ConfigError, match=message):
        translated(found)
