"""Models that also see or hear: their text part, beside transformers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ferrule.core import named_arrays
from ferrule.models.errors import WeightsError
from ferrule.models.families import build, text_config
from ferrule.models.families.weights import checkpoint_name, saved_weights
from ferrule.models.safetensors import Checkpoint, write_safetensors

from .rows import FAMILIES, IDS, SMALL, WRAPPED, close, load, randomised, scored, torch, transformers


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
    with pytest.raises(WeightsError, match=f"unknown {part}layers.0.extra.weight, {part}tower.weight$"):
        load(folder, {**arrays, f"{part}layers.0.extra.weight": IDS, f"{part}tower.weight": IDS})
    with pytest.raises(WeightsError, match=f"(model.norm.weight|{part}norm.weight) and .*norm.weight are one array"):
        load(folder, {**arrays, "model.norm.weight": arrays[f"{part}norm.weight"]})


def test_either_way_of_naming_the_text_part(family):
    """Gemma 3's checkpoints as they are on the hub, and as transformers holds them in memory."""
    found = family("gemma3")
    for part in ("language_model.model.", "model.language_model."):
        arrays = {part + name.removeprefix("model."): array for name, array in found.checkpoint.items()}
        close(scored(load(found.folder, arrays)), found.logits)


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
