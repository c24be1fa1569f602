from __future__ import annotations

import json

import pytest
from ferrule.presets import AgentPresetError, UnknownPresetError, get_agent_preset, list_agent_presets, list_presets
from ferrule.presets.agent_presets import SCHEMA
from jsonschema import Draft202012Validator


def test_those_that_come_along():
    found = {preset.name: preset for preset in list_agent_presets()}
    assert set(found) == {"calendar", "files", "openapi", "smart_home", "sqlite"}
    models = {preset.name for preset in list_presets()}
    for preset in found.values():
        assert preset.model["preset"] in models
        assert preset.title
        assert preset.description.endswith(".")
        assert preset.examples
        Draft202012Validator(SCHEMA).validate(preset.to_json())


def test_a_file_is_read_as_it_was_written(tmp_path):
    for preset in list_agent_presets():
        (tmp_path / preset.name).mkdir()
        (tmp_path / preset.name / "agent.json").write_text(json.dumps(preset.to_json()))
        again = get_agent_preset(tmp_path / preset.name)
        assert (again.to_json(), again.name) == (preset.to_json(), preset.name)
        assert again.path == tmp_path / preset.name / "agent.json"


def test_names():
    with pytest.raises(UnknownPresetError, match="did you mean 'smart_home'"):
        get_agent_preset("smarthome")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1: not JSON"),
        ("[]", r"at \$: \[\] is not of type 'object'"),
        ('{"model": null, "tools": []}', r"at \$.tools"),
        ('{"model": null, "tools": [{"library": "home", "source": "x"}]}', r"at \$.tools\[0\]"),
        ('{"model": null, "tools": [{"library": "home"}], "budgets": {}}', "'budgets' was unexpected"),
        ('{"model": null, "tools": [{"library": "home"}], "budget": {"turns": 0}}', r"at \$.budget.turns"),
        ('{"model": null, "tools": [{"library": "home"}], "permissions": {"write": "yes"}}', r"at \$.permissions.write"),
        ('{"model": null, "tools": [{"library": "home"}], "min_confidence": NaN}', "NaN is not JSON"),
        ("[" * 200000, "no JSON"),
    ],
)
def test_what_is_no_preset_is_one_line(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(AgentPresetError, match=message) as caught:
        get_agent_preset(tmp_path / "a.json")
    assert "\n" not in str(caught.value)
    assert "a.json" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(AgentPresetError, match="there is no agent preset"):
        get_agent_preset(tmp_path / "a.json")
