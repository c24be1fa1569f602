"""Every family beside transformers, on small random weights in odd shapes. A new family is one row of `FAMILIES`.

The rows are chosen to hurt: windows shorter than the prompt, grouped heads, soft caps, tied and untied heads, head sizes that
do not divide the width, position embeddings of every kind.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from ferrule.core import backend_names, get_backend, named_arrays
from ferrule.core.backends.numpy import REFERENCE
from ferrule.models import token_loop
from ferrule.models.errors import ConfigError, WeightsError
from ferrule.models.families import FAMILIES as DEFINED
from ferrule.models.families import build
from ferrule.models.families.weights import load_weights, saved_weights
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

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma": ("Gemma", {"num_key_value_heads": 1}),
    "gemma2": (
        "Gemma2",
        {"sliding_window": 7, "query_pre_attn_scalar": 24, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0},
    ),
    "gemma3": ("Gemma3Text", {"sliding_window": 7, "query_pre_attn_scalar": 24, "layer_types": LOCAL}),
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
    torch.manual_seed(0)
    found = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
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


@pytest.mark.parametrize("backend", ["jax", "torch", "tensorflow"])
@pytest.mark.parametrize("name", ["gemma2", "gemma3", "llama3", "granite"])
def test_bfloat16(family, name, backend):
    """As far from float32 as transformers is in bfloat16, give or take the order of sums."""
    pytest.importorskip(backend)
    found = family(name)
    half = transformers.AutoModelForCausalLM.from_pretrained(found.folder, attn_implementation="eager").to(torch.bfloat16)
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
    assert rows == {name for family in DEFINED for name in family.architectures}


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
