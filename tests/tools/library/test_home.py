from __future__ import annotations

import json

import pytest
from ferrule.tools import ArgumentError, RetryCall, ToolDefinitionError, ToolFailed
from ferrule.tools.library import home, make_tools


def test_a_home_in_memory():
    tools = make_tools("home")
    tools["set_lights"].call({"room": "kitchen", "state": "on", "brightness": 30, "colour": "blue"})
    tools["set_blinds"].call({"room": "all", "position": "closed"})
    tools["set_thermostat"].call({"temperature": 18.5, "mode": "auto"})
    tools["unlock_door"].call({"door": "garage"})
    tools["set_timer"].call({"minutes": 9, "label": "pasta"})
    status = tools["get_home_status"].call({})
    assert status["rooms"]["kitchen"] == "20 °C, lights on (30%, blue), blinds closed"
    assert status["rooms"]["hall"] == "18.5 °C, lights off, blinds closed"
    assert (status["doors"]["garage"], status["thermostat"]) == ("unlocked", "auto, 18.5 °C")
    assert [timer["label"] for timer in status["timers"]] == ["pasta"]
    tools["activate_scene"].call({"scene": "good night"})
    status = tools["get_home_status"].call({})
    assert (status["doors"]["garage"], status["thermostat"]) == ("locked", "auto, 17 °C")
    assert "lights off" in status["rooms"]["kitchen"]
    assert tools["cancel_timer"].call({"label": "Pasta"})["cancelled"] == 1
    assert make_tools("home")["get_home_status"].call({})["doors"]["garage"] == "locked"  # a home of its own


def test_a_home_in_a_file(tmp_path):
    path = tmp_path / "home.json"
    make_tools("home", state=path)["set_lights"].call({"room": "study", "state": "on"})
    again = make_tools("home", state=path)
    assert again["get_home_status"].call({"room": "study"})["state"].startswith("19.5 °C, lights on")
    state = json.loads(path.read_text())
    state["rooms"]["attic"] = dict(state["rooms"]["hall"])
    path.write_text(json.dumps(state))
    assert "attic" not in again["set_lights"].parameters["properties"]["room"]["enum"]
    own = make_tools("home", state=path)
    assert own["set_lights"].call({"room": "attic", "state": "on"}) == {"room": "attic", "state": "on"}


def test_only_what_there_is():
    tools = make_tools("home")
    with pytest.raises(ArgumentError):
        tools["set_lights"].call({"room": "cellar", "state": "on"})
    with pytest.raises(ArgumentError):
        tools["set_thermostat"].call({"temperature": 50})
    with pytest.raises(RetryCall, match="no timer is called 'egg'; running: none"):
        tools["cancel_timer"].call({"label": "egg"})
    assert "null" not in json.dumps([tool.parameters for tool in tools])


def test_timers_end(monkeypatch):
    from datetime import timedelta

    tools = make_tools("home")
    tools["set_timer"].call({"minutes": 5})
    now = home._now()
    monkeypatch.setattr(home, "_now", lambda: now + timedelta(minutes=6))
    assert tools["get_home_status"].call({})["timers"] == []


def test_a_file_that_is_no_home(tmp_path):
    path = tmp_path / "home.json"
    for text, message in (("{", "no JSON"), ("{}", "no state of a home"), ("[" * 100000, "no JSON")):
        path.write_text(text)
        with pytest.raises(ToolDefinitionError, match=message):
            make_tools("home", state=path)
    path.write_text(json.dumps(home.DEFAULT))
    tools = make_tools("home", state=path)
    path.write_text("gone")
    with pytest.raises(ToolFailed, match="no JSON"):
        tools["set_lights"].call({"room": "hall", "state": "on"})
    assert path.read_text() == "gone"
    with pytest.raises(ToolDefinitionError, match="no folder"):
        make_tools("home", state=tmp_path / "a/b.json")


def test_marks():
    tools = make_tools("home")
    assert tools["unlock_door"].permission == "destructive"
    assert tools["unlock_door"].is_sensitive("door")
    assert all(tool.trusted for tool in tools)
