"""Every family beside transformers, on small random weights in odd shapes. A new family is one row of `FAMILIES`.

The rows are chosen to hurt: windows shorter than the prompt, grouped heads, soft caps, tied and untied heads, head sizes that
do not divide the width, position embeddings of every kind.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from ferrule.core import backend_names, get_backend, named_arrays
from ferrule.core.backends.numpy import REFERENCE
from ferrule.models import token_loop
from ferrule.models.errors import ConfigError, WeightsError
from ferrule.models.families import FAMILIES as DEFINED
from ferrule.models.families import build, text_config
from ferrule.models.families.weights import checkpoint_name, load_weights, saved_weights
from ferrule.models.safetensors import Checkpoint, write_safetensors

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
each_family = pytest.mark.parametrize("name", FAMILIES)
IDS = np.random.default_rng(0).integers(3, 97, (3, 40)).astype(np.int32)
TOLERANCE = 2e-4  # of the largest logit


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
        self.folder = folder
        self.config = json.loads((folder / "config.json").read_text())
        self.checkpoint = Checkpoint(folder)
        with torch.no_grad():
            self.logits = self.oracle(torch.tensor(IDS.astype(np.int64))).logits.numpy()

    def model(self, backend):
        return load_weights(build(self.config), self.checkpoint, get_backend(backend))

    def loop(self, backend):
        model = self.model(backend)
        return token_loop.TokenLoop(model, None, get_backend(backend), model.config.max_positions)


@pytest.fixture(scope="session")
def family(tmp_path_factory):
    kept: dict[str, Family] = {}
    return lambda name: kept.setdefault(name, Family(name, tmp_path_factory.mktemp(name))) if name not in kept else kept[name]


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


def greedy(loop, prompt, count):
    """The likeliest token each time."""
    state, out = loop.read(prompt), []
    for _ in range(count):
        out.append(int(np.argmax(loop.feed(state))))
        state.pending.append(out[-1])
    return out


@each_family
def test_logits_are_those_of_transformers(family, name):
    """One pass of plain NumPy over a batch, then again in pieces behind a cache."""
    close(family(name).loop(REFERENCE).score(IDS), family(name).logits)


@pytest.mark.parametrize("backend", list(backend_names()))
@each_family
def test_every_backend(family, name, backend):
    pytest.importorskip(backend)
    loop = family(name).loop(backend)
    close(loop.score(IDS[:1]), family(name).logits[:1])
    state = loop.read(IDS[0, :30].tolist())
    close(state.logits, family(name).logits[0, 29])
    for token in range(30, 33):  # token by token behind the cache
        state.pending.append(int(IDS[0, token]))
        close(loop.feed(state), family(name).logits[0, token])


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        *((name, "numpy") for name in FAMILIES),
        *itertools.product(("gemma2", "gemma3", "gemma4-shared", "llama3", "granite"), ("jax", "torch", "tensorflow")),
    ],
)
def test_bfloat16(family, name, backend):
    """As far from float32 as transformers is in bfloat16, give or take the order of sums; NumPy only keeps matrices in it."""
    pytest.importorskip(backend)
    found = family(name)
    # its faster experts want widths that are multiples of 8 in bfloat16
    eager = {"attn_implementation": "eager", "experts_implementation": "eager"}
    half = transformers.AutoModelForCausalLM.from_pretrained(found.folder, **eager).to(torch.bfloat16)
    with torch.no_grad():
        theirs = half(torch.tensor(IDS[:1].astype(np.int64))).logits.float().numpy()
    model = load_weights(build(found.config), found.checkpoint, get_backend(backend), "bfloat16")
    ours = token_loop.TokenLoop(model, None, get_backend(backend), model.config.max_positions).score(IDS[:1])
    assert np.abs(ours - found.logits[:1]).max() < 2 * np.abs(theirs - found.logits[:1]).max()


@each_family
def test_greedy_continuations(family, name):
    found = family(name)
    prompt = IDS[0, :9]
    with torch.no_grad():
        expected = found.oracle.generate(
            torch.tensor(prompt[None].astype(np.int64)), max_new_tokens=64, min_new_tokens=64, do_sample=False
        )
    suppressed = expected[0, 9:].tolist()
    loop = found.loop("numpy")
    ours = []
    state = loop.read(prompt.tolist())
    for _ in range(64):
        logits = loop.feed(state).copy()
        logits[2] = -np.inf  # min_new_tokens keeps transformers from ending, too
        ours.append(int(np.argmax(logits)))
        state.pending.append(ours[-1])
    assert ours == suppressed


@each_family
def test_batches_of_unequal_length(family, name):
    """Padding behind a text changes nothing before it."""
    padded = IDS.copy()
    padded[1, 11:] = 0
    close(family(name).loop("numpy").score(padded)[1, :11], family(name).logits[1, :11])


@each_family
def test_a_saved_checkpoint_loads_in_transformers(family, name, tmp_path):
    found = family(name)
    write_safetensors(tmp_path / "model.safetensors", saved_weights(found.model("numpy")), {"format": "pt"})
    (tmp_path / "config.json").write_text(json.dumps(found.config))
    again, report = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, attn_implementation="eager", output_loading_info=True
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    with torch.no_grad():
        np.testing.assert_array_equal(again(torch.tensor(IDS.astype(np.int64))).logits.numpy(), found.logits)


@each_family
def test_names_that_do_not_fit_are_listed(family, name):
    found = family(name)
    arrays = dict(found.checkpoint)
    gone = next(iter(arrays))
    del arrays[gone]
    arrays["model.layers.0.extra.weight"] = np.zeros(3, np.float32)
    with pytest.raises(WeightsError, match=f"missing {gone}.*unknown model.layers.0.extra.weight"):
        load_weights(build(found.config), arrays, REFERENCE)
    arrays = {**found.checkpoint, "model.norm.weight": np.zeros(3, np.float32)}
    with pytest.raises(WeightsError, match=r"norm.gain is \(3,\), expected \(\d+,\)"):
        load_weights(build(found.config), arrays, REFERENCE)


def test_every_definition_is_tested():
    rows = {f"{kind.removesuffix('Text')}ForCausalLM" for kind, _ in FAMILIES.values()}
    rows |= {f"{kind}ForConditionalGeneration" for kind, _, _ in WRAPPED.values()}
    assert rows == {name for family in DEFINED for name in family.architectures}


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


@pytest.fixture(scope="module", params=WRAPPED)
def wrapped(request, tmp_path_factory):
    """Folder of such a model, and its logits of a text."""
    kind, row, others = WRAPPED[request.param]
    text = {**SMALL, **FAMILIES[row][1]}
    tied = text.get("tie_word_embeddings", True)
    config = getattr(transformers, f"{kind}Config")(text_config=text, tie_word_embeddings=tied, **others)
    model = getattr(transformers, f"{kind}ForConditionalGeneration")._from_config(config, attn_implementation="eager")
    folder = tmp_path_factory.mktemp(request.param)
    randomised(model.eval()).save_pretrained(folder)
    with torch.no_grad():
        return folder, model(torch.tensor(IDS.astype(np.int64))).logits.numpy()


def load(folder, checkpoint=None):
    config = json.loads((folder / "config.json").read_text())
    return load_weights(build(config), Checkpoint(folder) if checkpoint is None else checkpoint, REFERENCE)


def scored(model):
    return token_loop.TokenLoop(model, None, REFERENCE, model.config.max_positions).score(IDS)


def test_text_part_of_a_model_that_also_sees(wrapped, tmp_path):
    """It loads, and what is saved of it is a text model for transformers and for us."""
    folder, logits = wrapped
    model = load(folder)
    close(scored(model), logits)
    write_safetensors(tmp_path / "model.safetensors", saved_weights(model), {"format": "pt"})
    (tmp_path / "config.json").write_text(json.dumps(text_config(json.loads((folder / "config.json").read_text()))))
    np.testing.assert_array_equal(scored(load(tmp_path)), scored(model))
    again, report = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, attn_implementation="eager", output_loading_info=True
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    with torch.no_grad():
        close(again(torch.tensor(IDS.astype(np.int64))).logits.numpy(), logits)


def test_arrays_of_other_parts_are_known_by_name(wrapped):
    """Only those: what else a checkpoint holds is an error, and so is an array that it holds under two names."""
    folder, _ = wrapped
    arrays = dict(Checkpoint(folder))
    part = next(name for name in arrays if name.endswith("embed_tokens.weight")).removesuffix("embed_tokens.weight")
    with pytest.raises(WeightsError, match=f"unknown {part}layers.0.extra.weight; unknown {part}tower.weight$"):
        load(folder, {**arrays, f"{part}layers.0.extra.weight": IDS, f"{part}tower.weight": IDS})
    with pytest.raises(WeightsError, match=f"(model.norm.weight|{part}norm.weight) and .*norm.weight are one array"):
        load(folder, {**arrays, "model.norm.weight": arrays[f"{part}norm.weight"]})


def test_either_way_of_naming_the_text_part(family):
    """Gemma 3's checkpoints as they are on the hub, and as transformers holds them in memory."""
    found = family("gemma3")
    for part in ("language_model.model.", "model.language_model."):
        arrays = {part + name.removeprefix("model."): array for name, array in found.checkpoint.items()}
        close(scored(load(found.folder, arrays)), found.logits)


def test_keys_of_layers_that_share_may_be_there(family):
    """Released Gemma 4 checkpoints hold them, though nothing reads them."""
    found = family("gemma4-shared")
    last = found.oracle.config.num_hidden_layers - 1
    extra = {f"model.layers.{last}.self_attn.{part}.weight": IDS for part in ("k_proj", "v_proj", "k_norm")}
    close(scored(load(found.folder, {**found.checkpoint, **extra})), found.logits)


@pytest.mark.parametrize("backend", [REFERENCE, get_backend("numpy")])
def test_shared_keys_of_a_long_text(family, backend):
    """Behind a kept beginning, over the end of the ring and of the first capacity."""
    found = family("gemma4-shared")
    ids = np.random.default_rng(1).integers(3, 97, 620)
    model = load_weights(build({**found.config, "max_position_embeddings": 1024}), found.checkpoint, backend)
    loop = token_loop.TokenLoop(model, None, backend, 1024)
    with torch.no_grad():
        expected = found.oracle(torch.tensor(ids[None])).logits[0].numpy()
    loop.keep(loop.read(ids[:300].tolist()))
    state = loop.read(ids[:600].tolist())
    assert state.usage.reused_tokens == 300
    close(state.logits, expected[599])
    for token in range(600, 620):
        state.pending.append(int(ids[token]))
        close(loop.feed(state), expected[token])


def test_heads_of_layers_without_a_window(family):
    """Released configs give them as numbers of their own, transformers writes what differs of each layer."""
    found = family("gemma4-moe")
    released = {**found.config, "global_head_dim": 24, "num_global_key_value_heads": 1}
    del released["per_layer_config"]
    assert build(released).config == build(found.config).config
    assert build({**released, "attention_k_eq_v": False}).config.global_kv_heads == 2


LOCAL_4, LOCAL_5 = (["sliding_attention"] * n + ["full_attention"] for n in (4, 5))
GEMMA4_SIZES = {  # text parts of the released checkpoints
    "E2B": {
        "hidden_size": 1536,
        "intermediate_size": 6144,
        "num_hidden_layers": 35,
        "layer_types": LOCAL_4 * 7,
        "num_attention_heads": 8,
        "num_key_value_heads": 1,
        "num_kv_shared_layers": 20,
        "use_double_wide_mlp": True,
    },
    "E4B": {
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "num_hidden_layers": 42,
        "layer_types": LOCAL_5 * 7,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "num_kv_shared_layers": 18,
    },
    "12B": {
        "hidden_size": 3840,
        "intermediate_size": 15360,
        "num_hidden_layers": 48,
        "layer_types": LOCAL_5 * 8,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "num_global_key_value_heads": 1,
        "attention_k_eq_v": True,
    },
    "26B-A4B": {
        "hidden_size": 2816,
        "hidden_size_per_layer_input": 0,
        "intermediate_size": 2112,
        "num_hidden_layers": 30,
        "layer_types": LOCAL_5 * 5,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "num_global_key_value_heads": 2,
        "attention_k_eq_v": True,
        "enable_moe_block": True,
        "num_experts": 128,
        "top_k_experts": 8,
        "moe_intermediate_size": 704,
    },
    "31B": {
        "hidden_size": 5376,
        "hidden_size_per_layer_input": 0,
        "intermediate_size": 21504,
        "num_hidden_layers": 60,
        "layer_types": LOCAL_5 * 10,
        "num_attention_heads": 32,
        "num_key_value_heads": 16,
        "num_global_key_value_heads": 4,
        "attention_k_eq_v": True,
    },
}


@pytest.mark.parametrize("size", GEMMA4_SIZES)
def test_full_size_gemma4_without_memory(size):
    """As many weights, by the same names and in the same shapes, as transformers would make; no array here or there."""
    kind = "Gemma4Unified" if size == "12B" else "Gemma4"
    with torch.device("meta"):
        theirs = getattr(transformers, f"{kind}ForCausalLM")(getattr(transformers, f"{kind}TextConfig")(**GEMMA4_SIZES[size]))
    shapes = {name: tuple(array.shape) for name, array in theirs.state_dict().items() if name != "lm_head.weight"}
    common = {"vocab_size": 262144, "head_dim": 256, "max_position_embeddings": 131072, "sliding_window": 512}
    model = build({**common, **GEMMA4_SIZES[size], "architectures": [f"{kind}ForCausalLM"]})
    assert {checkpoint_name(name): tuple(spec.shape) for name, spec in named_arrays(model).items()} == shapes


def test_full_size_gemma3_that_sees_without_memory():
    """The 4B checkpoint's `text_config` leaves out most of its sizes."""
    text = {
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "model_type": "gemma3_text",
        "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1024,
    }
    config = transformers.Gemma3Config(text_config=text)
    with torch.device("meta"):
        theirs = transformers.Gemma3ForCausalLM(config.text_config)
    shapes = {name: tuple(array.shape) for name, array in theirs.state_dict().items() if name != "lm_head.weight"}
    model = build({"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": text})
    assert {checkpoint_name(name): tuple(spec.shape) for name, spec in named_arrays(model).items()} == shapes
    full = build(config.text_config.to_dict() | {"architectures": ["Gemma3ForCausalLM"]}).config
    assert [(r.theta, r.kind, r.factor) for r in model.config.ropes] == [(r.theta, r.kind, r.factor) for r in full.ropes]
    assert (model.config.windows, model.config.max_positions, model.config.scale) == (
        full.windows,
        full.max_positions,
        full.scale,
    )


def test_full_size_without_memory():
    """Gemma 3 27B as shapes: 27 billion weights, no array."""
    config = transformers.Gemma3TextConfig(
        hidden_size=5376,
        intermediate_size=21504,
        num_hidden_layers=62,
        num_attention_heads=32,
        num_key_value_heads=16,
        head_dim=128,
        architectures=["Gemma3ForCausalLM"],
    )
    model = build(config.to_dict())
    assert 26e9 < sum(int(np.prod(spec.shape)) for spec in named_arrays(model).values()) < 29e9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["LamaForCausalLM"]}, "LamaForCausalLM is not supported; the nearest .* LlamaForCausalLM"),
        ({"num_attention_heads": 5}, "5 query heads cannot share 2 key heads"),
        ({"num_hidden_layers": None}, "num_hidden_layers must be a whole number from 1 on, received None"),
        ({"hidden_size": "48"}, "hidden_size must be a whole number from 1 on, received '48'"),
        ({"head_dim": None, "hidden_size": 50}, "hidden_size 50 is no multiple of 6 heads"),
        ({"hidden_act": "tanh"}, "hidden_act is 'tanh'; supported are silu"),
        ({"rope_parameters": {"rope_type": "dynamic"}}, "rope_type is 'dynamic'; supported are default"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "needs low_freq_factor and high_freq_factor"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings must be true or false, received 'yes'"),
    ],
)
def test_configs_that_contradict_themselves(changes, message):
    with pytest.raises(ConfigError, match=message):
        build({**SMALL, "architectures": ["LlamaForCausalLM"], **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_kv_shared_layers": 4}, "the last 4 of 4 layers find none of their kind before them"),
        ({"num_kv_shared_layers": 2}, "the last 2 of 4 layers find none of their kind before them"),
        ({"num_global_key_value_heads": 4, "attention_k_eq_v": True}, "6 query heads cannot share 4 key heads of 24"),
        ({"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 90}, "97 tokens has only 90 embeddings"),
        ({**MIXTURE, "top_k_experts": 8}, "cannot take 8 of 7 experts"),
        ({**MIXTURE, "num_experts": None}, "num_experts must be a whole number from 1 on, received None"),
        ({"use_bidirectional_attention": "all"}, "use_bidirectional_attention 'all' makes no causal model"),
        ({"per_layer_config": {"0": {"head_dim": 32}}}, "per_layer_config must say the same of all layers of one kind"),
        ({"per_layer_config": {"2": {"head_dim": 32}}}, "per_layer_config must say the same of all layers of one kind"),
        ({"per_layer_config": ["x"]}, "per_layer_config must hold an object for each layer"),
        ({"layer_types": ["chunked_attention"] * 4}, "layer_types must name full_attention or sliding_attention"),
    ],
)
def test_gemma4_configs_that_contradict_themselves(changes, message):
    with pytest.raises(ConfigError, match=message):
        build({**SMALL, **GEMMA4, "architectures": ["Gemma4ForCausalLM"], **changes})
