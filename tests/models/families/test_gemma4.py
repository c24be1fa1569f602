"""What only Gemma 4 has: layers that share keys, wider heads in some layers; and its checkpoints in full size."""

from __future__ import annotations

import numpy as np
import pytest
from ferrule.core import backend_names, get_backend, named_arrays
from ferrule.core.backends.numpy import REFERENCE
from ferrule.models import token_loop
from ferrule.models.errors import ConfigError
from ferrule.models.families import build
from ferrule.models.families.weights import checkpoint_name, load_weights

from .rows import GEMMA4, IDS, MIXTURE, SMALL, close, load, scored, torch, transformers


def test_keys_of_layers_that_share_may_be_there(family):
    """Released Gemma 4 checkpoints hold them, though nothing reads them."""
    found = family("gemma4-shared")
    last = found.oracle.config.num_hidden_layers - 1
    extra = {f"model.layers.{last}.self_attn.{part}.weight": IDS for part in ("k_proj", "v_proj", "k_norm")}
    close(scored(load(found.folder, {**found.checkpoint, **extra})), found.logits)


@pytest.mark.parametrize("backend", ["reference", *backend_names()])
def test_shared_keys_of_a_long_text(family, backend):
    """In several full chunks, behind a kept beginning, over the end of the ring and of the first capacity."""
    if backend != "reference":
        pytest.importorskip(backend)
    backend = REFERENCE if backend == "reference" else get_backend(backend)
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
