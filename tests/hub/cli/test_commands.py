from __future__ import annotations

import importlib
import json

import pytest
from ferrule.hub.parity import Parity
from ferrule.presets import get_preset, list_presets


@pytest.fixture
def measured(monkeypatch):
    """``measured(result, …)``: what `ferrule parity` finds; the preset and backends that it was asked for are kept."""
    asked = []

    def set_results(*results):
        def measure(preset, names, tokens):
            asked.append((preset, list(names), tokens))
            yield from results

        monkeypatch.setattr(importlib.import_module("ferrule.hub.cli.commands"), "measure_parity", measure)
        return asked

    return set_results


SAME = Parity("numpy", 0.0, 0.0, 96, 96, 0.7, 3.0)
OTHER = Parity("torch", 1.4e-4, 9e-7, 95, 96, 0.9, 4.0)


def test_presets_for_people(ferrule):
    result = ferrule("presets")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["name", "parameters", "download"]
    assert any(line.split()[:4] == ["needle_3", "121M", "35", "MB"] for line in lines)


def test_presets_for_machines(ferrule):
    documents = json.loads(ferrule("presets", "--json").stdout)
    assert [document["name"] for document in documents] == [preset.name for preset in list_presets()]


def test_one_preset(ferrule):
    document = json.loads(ferrule("presets", "needle_3", "--json").stdout)
    preset = get_preset("needle_3")
    assert (document["sha256"], document["size"], document["license"]) == (preset.file.sha256, preset.file.size, "Apache-2.0")
    assert [set(source) for source in document["sources"]] == [{"package", "version", "path", "extra"}, {"repo", "path"}]
    assert preset.file.sha256 in ferrule("presets", "needle_3").stdout


def test_unknown_presets(refused):
    assert "did you mean 'needle_3'?" in refused("presets", "needle")
    assert "did you mean 'needle_3'?" in refused("parity", "needle", "-b", "numpy")


def test_parity_for_machines(ferrule, measured):
    asked = measured(SAME)
    result = ferrule("parity", "needle_3", "-b", "numpy", "--tokens", "5", "--json")
    assert result.exit_code == 0
    assert asked == [("needle_3", ["numpy"], 5)]
    (document,) = json.loads(result.stdout)
    assert document == {**vars(SAME), "agrees": True}


def test_parity_for_people(ferrule, measured):
    measured(SAME, OTHER)
    result = ferrule("parity")
    assert "96/96" in result.stdout
    assert "1.4e-04" in result.stdout
    assert result.exit_code == 1
    assert result.stderr == "error: greedy tokens differ from the NumPy reference on torch\n"


def test_parity_of_an_unknown_backend(refused):
    assert refused("parity", "-b", "cuda").startswith("no backend is called 'cuda'")


def test_parity_of_missing_weights(refused):
    assert refused("parity", "none.cact", "-b", "numpy").startswith("cannot open none.cact")
