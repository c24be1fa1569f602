from __future__ import annotations

import json
import os
import shutil
import struct
import time

import pytest
from ferrule.hub import from_preset
from ferrule.hub.fingerprint import fingerprint
from ferrule.models.errors import WeightsError

SIZE = 3 << 20


@pytest.fixture
def folder(tmp_path):
    """A folder with the files of a checkpoint; the fingerprint does not read what they mean."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [SIZE // 4], "data_offsets": [0, SIZE]}}).encode()
    (tmp_path / "config.json").write_text('{"model_type": "x"}')
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(SIZE))
    return tmp_path


def test_the_same_files_have_the_same(folder, tmp_path_factory):
    copy = shutil.copytree(folder, tmp_path_factory.mktemp("copies") / "copy")
    (copy / "README.md").write_text("not a part of the model")
    assert fingerprint(folder) == fingerprint(copy)
    assert fingerprint(folder).startswith("sampled:")


def change(path, at, data):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


@pytest.mark.parametrize(
    ("name", "at", "data"),
    [
        ("config.json", 15, b"y"),
        ("tokenizer.json", 2, b" "),
        ("model.safetensors", 10, b"v"),  # the name of a tensor
        ("model.safetensors", SIZE, b"\1" * 8),  # near the end
        ("model.safetensors", SIZE // 2, b"\1" * (SIZE // 8)),  # a tensor of some size
    ],
)
def test_other_files_have_another(folder, name, at, data):
    before = fingerprint(folder)
    change(folder / name, at, data)
    assert fingerprint(folder) != before


def test_another_name_or_file_more(folder):
    found = {fingerprint(folder)}
    shutil.copy(folder / "model.safetensors", folder / "model-2.safetensors")
    found.add(fingerprint(folder))
    (folder / "model.safetensors").unlink()
    found.add(fingerprint(folder))
    assert len(found) == 3


def test_what_it_does_not_see(folder):
    """It is no checksum, and says so: a byte between the pieces."""
    before = fingerprint(folder)
    change(folder / "model.safetensors", 300_000, b"\1")
    assert fingerprint(folder) == before


def test_a_file_by_itself(needle_weights, tmp_path):
    (tmp_path / "mine.cact").symlink_to(needle_weights)
    start = time.perf_counter()
    assert fingerprint(tmp_path / "mine.cact") == fingerprint(needle_weights)
    assert time.perf_counter() - start < 1
    change(shutil.copy(needle_weights, tmp_path / "other.cact"), 0, b"X")
    assert fingerprint(tmp_path / "other.cact") != fingerprint(needle_weights)
    with pytest.raises(WeightsError, match="cannot open"):
        fingerprint(tmp_path / "none.cact")


def test_a_models_source(needle_weights, monkeypatch):
    by_name = from_preset("needle_3").source
    monkeypatch.chdir(needle_weights.parent)
    by_path = from_preset(f"./{needle_weights.name}").source
    assert (by_name["preset"], by_name["backend"]) == ("needle_3", "numpy")
    assert by_path["preset"] == os.path.abspath(needle_weights)
    assert by_name["fingerprint"] == by_path["fingerprint"]
