"""The tools of the README's demo do what they say."""

from datetime import datetime
from pathlib import Path

import pytest
from ferrule.tools import ToolCall, load_tools

EXAMPLES = Path(__file__).parents[2] / "examples" / "tools.py"


@pytest.fixture
def tools():
    return load_tools(EXAMPLES)


def run(tools, name, **arguments):
    return tools.execute(ToolCall(name, arguments))


def test_the_catalogue(tools):
    assert tools.names == ("get_weather", "set_timer", "control_lights", "convert_temperature")
    assert [tool.permission for tool in tools] == ["read", "write", "write", "read"]
    for schema in tools.schemas():
        assert schema["description"]
        assert all(value["description"] for value in schema["parameters"]["properties"].values())


def test_weather(tools):
    celsius = run(tools, "get_weather", city="oslo").value
    fahrenheit = run(tools, "get_weather", city=" Oslo", unit="fahrenheit").value
    assert celsius["source"] == "monthly climate normals"
    assert celsius["city"] == "Oslo"
    assert fahrenheit["temperature"] == round(celsius["temperature"] * 9 / 5 + 32)
    unknown = run(tools, "get_weather", city="Atlantis")
    assert unknown.retry
    assert "Oslo" in unknown.error


def test_timer(tools):
    before = datetime.now().astimezone().replace(microsecond=0)
    value = run(tools, "set_timer", minutes=9, label="pasta").value
    assert (value["label"], value["minutes"]) == ("pasta", 9)
    assert 540 <= (datetime.fromisoformat(value["ends_at"]) - before).total_seconds() <= 545
    assert not run(tools, "set_timer", minutes=0).ok
    assert not run(tools, "set_timer", minutes="nine").ok


def test_lights(tools):
    assert run(tools, "control_lights", room="study", state="on").value["changed"] is True
    assert run(tools, "control_lights", room="study", state="on").value["changed"] is False
    assert not run(tools, "control_lights", room="garage", state="on").ok


def test_convert(tools):
    assert run(tools, "convert_temperature", value=100, to="fahrenheit").value == {"value": 212.0, "unit": "fahrenheit"}
    assert run(tools, "convert_temperature", value=-40, to="celsius").value == {"value": -40.0, "unit": "celsius"}
