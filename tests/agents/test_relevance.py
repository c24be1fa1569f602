"""Which of a handful of near tools a clause is about."""

from __future__ import annotations

import pytest
from ferrule.agents.relevance import is_english, meant, nearest, ranked, stems
from ferrule.tools import Tool, Toolset


def _tool(name: str, description: str, permission: str = "read", **properties: str) -> Tool:
    schema = {"type": "object", "properties": {key: {"type": kind} for key, kind in properties.items()}}
    return Tool(name, description, schema, permission=permission)


FILES = [
    _tool("cd", "Go to a folder.", folder="string"),
    _tool("mkdir", "Make a directory.", "write", dir_name="string"),
    _tool("rm", "Remove a file or a folder.", "destructive", file_name="string"),
    _tool("mv", "Give a file another name.", "write", source="string", target="string"),
    _tool("wc", "Count lines and words of a file.", file_name="string"),
    _tool("cat", "Show what is in a file.", file_name="string"),
]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Make a folder for the invoices", "mkdir"),
        ("please create a directory", "mkdir"),
        ("Go to the folder of the invoices", "cd"),
        ("Delete the old folder", "rm"),
        ("If it is empty, remove the file", "rm"),
        ("Rename the file", "mv"),
        ("How many lines has the file?", "wc"),
        ("Display the file", "cat"),
    ],
)
def test_the_nearest_tool(text, name):
    assert ranked(text, FILES)[0][0] == name


def test_a_question_is_no_order_to_change_something():
    tools = [_tool("set_alarm", "The alarm.", "write"), _tool("get_alarm", "The alarm.")]
    assert ranked("When is the alarm?", tools)[0][0] == "get_alarm"
    assert ranked("Set the alarm", tools)[0][0] == "set_alarm"


def test_the_topic_counts_where_words_say_little():
    tools = [_tool("close_door", "Close a door."), _tool("close_ticket", "Close a ticket.")]
    assert ranked("close it", tools, "Open a ticket for Ada")[0][0] == "close_ticket"


def test_every_tool_is_ranked_and_equals_keep_their_order():
    tools = [_tool("first", ""), _tool("second", "")]
    assert ranked("", tools) == [("first", 0.0), ("second", 0.0)]
    assert ranked("anything", []) == []


def test_other_words_for_the_same_count_half():
    assert meant("buy")["buy"] == 1.0
    assert meant("buy")["purchas" if "purchas" in meant("buy") else stems("purchase")[0]] == 0.5
    assert "the" not in meant("the lamp")


def test_of_many_tools_the_near_ones():
    tools = Toolset([_tool(f"tool_{at}", f"About thing{at} only.") for at in range(100)] + [_tool("play_music", "Play music.")])
    found = nearest(tools, "play some music")
    assert found[0].name == "play_music"
    assert len(found) <= 32
    assert len(nearest(Toolset(FILES), "anything")) == len(FILES)


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("What is the weather?", True),
        ("who’s there", True),
        ("Wie ist das Wetter in Oslo?", False),
        ("Quel temps fait-il à Oslo ?", False),
        ("¿Qué tiempo hace en Oslo?", False),
        ("Hvordan er været i Oslo?", False),
        ("東京の天気は?", False),
        ("", False),
    ],
)
def test_english(text, english):
    assert is_english(text) == english
