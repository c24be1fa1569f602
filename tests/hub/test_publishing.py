"""Uploads to a server on this machine that answers as the Hugging Face hub does."""

from __future__ import annotations

import numpy as np
import pytest
from ferrule.hub import HubError, PresetError, from_preset
from ferrule.hub.publishing import PublishError, model_card, push_to_hub

IDS = np.array([[1, 2, 3]], np.int32)


@pytest.fixture
def model(hub, tiny_llama, tmp_path, monkeypatch):
    (tmp_path / "tiny").mkdir()
    for name, content in tiny_llama.items():
        (tmp_path / "tiny" / name).write_bytes(content)
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    return from_preset(tmp_path / "tiny")


def published(hub) -> dict[str, bytes]:
    return hub.commits[hub.refs["main"]]


def test_what_is_uploaded_is_loaded(hub, model, tiny_llama):
    address = push_to_hub(model, "org/tiny", license="apache-2.0", message="A first try")
    assert address == f"https://huggingface.co/org/tiny/commit/{hub.refs['main']}"
    assert set(published(hub)) == {*tiny_llama, "ferrule.json", "README.md"}
    np.testing.assert_array_equal(from_preset("hf://org/tiny").logits(IDS), model.logits(IDS))


def test_the_model_card(hub, model):
    push_to_hub(model, "hf://org/tiny", license="apache-2.0")
    card = published(hub)["README.md"].decode()
    assert card == model_card(model, "org/tiny", "apache-2.0")
    assert card.startswith(
        '---\nlibrary_name: ferrule\npipeline_tag: text-generation\ntags: [safetensors]\nlicense: "apache-2.0"\n---'
    )
    count = 2 * 256 * 16 + 16 + 2 * (16 * 16 * 2 + 16 * 8 * 2 + 3 * 16 * 32 + 2 * 16)
    for line in (
        "| Architecture | LlamaForCausalLM |",
        f"| Parameters | {count:,} |",
        "| Context | 64 tokens |",
        'model = from_preset("hf://org/tiny")',
    ):
        assert line in card.splitlines()


def test_older_weights_go_and_a_card_stays(hub, model):
    hub.publish({"README.md": b"# Mine", "model-1.safetensors": b"old", "model.safetensors.index.json": b"{}"})
    push_to_hub(model, "org/tiny")
    assert published(hub)["README.md"] == b"# Mine"
    assert [name for name in published(hub) if "safetensors" in name] == ["model.safetensors"]


def test_an_encoder(hub, embedding_folder, monkeypatch):
    """Its subfolders are uploaded with it, and older weights in them go."""
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    hub.publish({"2_Dense/model-old.safetensors": b"old"})
    model = from_preset(embedding_folder)
    push_to_hub(model, "org/tiny")
    files = {str(path.relative_to(embedding_folder)) for path in embedding_folder.rglob("*") if path.is_file()}
    assert set(published(hub)) == {*files, "ferrule.json", "README.md"}
    np.testing.assert_array_equal(from_preset("hf://org/tiny").embed(["a text"]), model.embed(["a text"]))
    card = published(hub)["README.md"].decode()
    for line in (
        "pipeline_tag: sentence-similarity",
        "| Dimensions | 48 |",
        'model.embed(["..."])',
        "| Context | 160 tokens |",
    ):
        assert line in card.splitlines()


def refused(error, *args) -> str:
    with pytest.raises(error) as caught:
        push_to_hub(*args)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, HubError)
    return str(caught.value)


def test_a_token_that_may_not_write(hub, model, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    message = refused(PublishError, model, "org/tiny")
    assert "the hub refuses (403): set HF_TOKEN to a token that may write to org, or run `hf auth login`" in message
    assert hub.commits == {}


def test_a_hub_that_is_not_there(hub, model, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "hf://org/tiny cannot be uploaded: ConnectError: " in refused(PublishError, model, "org/tiny")


@pytest.mark.parametrize("name", ["tiny", "org/tiny/x", ""])
def test_names_of_no_repository(hub, model, name):
    assert "a repository is named by hf://org/repo" in refused(PresetError, model, name)


def test_a_revision_is_not_for_uploads(hub, model):
    assert "leave @v1 out of the name" in refused(PublishError, model, "org/tiny@v1")


def test_a_model_that_is_no_folder(hub, needle):
    assert "did not come from a Hugging Face folder" in refused(PresetError, needle("numpy"), "org/tiny")
    assert hub.log == []
