"""Every family beside transformers, on small random weights in odd shapes. A new family is one row of `rows.FAMILIES`."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from ferrule.core import backend_names, get_backend, named_arrays
from ferrule.core.backends.numpy import REFERENCE
from ferrule.models import token_loop
from ferrule.models.errors import WeightsError
from ferrule.models.families import FAMILIES as DEFINED
from ferrule.models.families import build
from ferrule.models.families.weights import load_weights, saved_weights
from ferrule.models.safetensors import write_safetensors

from .rows import FAMILIES, IDS, WRAPPED, close, torch, transformers

each_family = pytest.mark.parametrize("name", FAMILIES)


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


OTHERS = ("jax", "torch", "tensorflow")
SOON = ("gemma2", "gemma3", "gemma4-shared", "llama3", "granite")  # on these in the suite, the rest by `make test-families`


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        *((name, "numpy") for name in FAMILIES),
        *itertools.product(SOON, OTHERS),
        *(
            pytest.param(name, backend, marks=pytest.mark.slow)
            for name, backend in itertools.product(FAMILIES, OTHERS)
            if name not in SOON
        ),
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
    with pytest.raises(WeightsError, match=r"model.norm.weight is \(3,\), expected \(\d+,\)"):
        load_weights(build(found.config), arrays, REFERENCE)


def test_many_names_that_do_not_fit_are_one_short_line(family):
    found = family("qwen3-moe")
    expected = sum(spec.shape[0] if len(spec.shape) == 3 else 1 for spec in named_arrays(build(found.config)).values())
    with pytest.raises(WeightsError) as caught:
        load_weights(build(found.config), {f"x.{i}": IDS for i in range(5)}, REFERENCE, source="here")
    line = str(caught.value)
    assert line.startswith("here does not fit its config.json: missing model.embed_tokens.weight, ")
    assert f" and {expected - 3} more; unknown x.0, x.1, x.2 and 2 more" in line
    assert len(line) < 300
    many = {"num_experts": 1_000_000}
    with pytest.raises(WeightsError, match=r"^here does not fit its config.json, which is of \d{7,} arrays; here are 5$"):
        load_weights(build({**found.config, **many}), {f"x.{i}": IDS for i in range(5)}, REFERENCE, source="here")


def test_every_definition_is_tested():
    rows = {f"{kind.removesuffix('Text')}ForCausalLM" for kind, _ in FAMILIES.values()}
    rows |= {f"{kind}ForConditionalGeneration" for kind, _, _ in WRAPPED.values()}
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
