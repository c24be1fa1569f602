from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from ferrule.agents import retrieval as module
from ferrule.agents.retrieval import Fusion, LexicalIndex, clauses, fuse, terms, words
from ferrule.tools import Tool
from hypothesis import given, settings
from hypothesis import strategies as st


def tool(name, description="", **properties):
    return Tool.from_schema({"name": name, "description": description, "parameters": {"properties": properties}})


TOOLS = [
    tool("get_weather", "Current weather in a city.", city={"type": "string"}),
    tool("setTimer", "Starts a countdown.", minutes={"type": "integer"}, label={"type": "string"}),
    tool("calendar.create_event", "Puts an appointment into the calendar.", title={"type": "string"}),
    tool("calendar.delete_event", "Takes an appointment out of the calendar.", title={"type": "string"}),
    tool("play_music", "Plays a song.", genre={"type": "string", "enum": ["jazz", "rock", "classical"]}),
    tool("timezone_lookup", "Which zone a place is in.", place={"type": "string"}),
    tool("sum", "Adds numbers.", values={"type": "array", "items": {"type": "number"}}),
    tool("currency_exchange", "Rate between two currencies.", base={"type": "string"}, quote={"type": "string"}),
]
INDEX = LexicalIndex(TOOLS)


def first(text):
    return INDEX.rank(text)[0][0]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("what's the weather like in Oslo?", "get_weather"),
        ("a countdown for the eggs", "setTimer"),
        ("TIMERS please", "setTimer"),
        ("put lunch into my calendar", "calendar.create_event"),
        ("deleting my appointments", "calendar.delete_event"),
        ("some jazz", "play_music"),  # a value that the schema lists
        ("the time zone of Lima", "timezone_lookup"),  # written together in the name
        ("musical evening", "play_music"),  # only letters in common
        ("I have 100 euro. How much is it in USD?", "currency_exchange"),  # two units of one kind
    ],
)
def test_the_first_tool(text, name):
    assert first(text) == name


def test_a_tool_that_is_named_stands_first():
    text = "weather weather weather: use calendar.delete_event for the weather"
    assert first(text) == "calendar.delete_event"
    # A name that is also a word is only a word.
    assert first("what is the sum of the weather in a city, the current weather") == "get_weather"


def test_every_clause_gets_its_tool():
    text = "tell me about the weather, the weather in the city and the current weather. Then start a countdown, and play a song"
    assert {name for name, _ in INDEX.rank(text)[:3]} == {"get_weather", "setTimer", "play_music"}
    assert clauses("Do one thing here. Wake me, then close the door and feed the cats") == [
        "Do one thing here.",
        "close the door",
        "feed the cats",
    ]


def test_what_has_nothing_in_common_is_not_ranked():
    assert INDEX.rank("xyzzy") == [] == INDEX.rank("") == INDEX.rank("the of and")
    assert LexicalIndex([]).rank("weather") == []


def test_words():
    assert words("getHTTPResponse_codeV2") == ["get", "http", "response", "code", "v", "2"]
    assert words("北京天气") == ["北京", "京天", "天气"]
    stems, pairs, grams = terms("the time zones")
    assert (stems, pairs) == (("tim", "zon"), ("timzon",))
    assert "#^zon" in grams


def reference(tools, query):
    """BM25F by its definition (Robertson and Zaragoza 2009, equations 3.18 to 3.20), one sum after the other."""
    documents = [module._document(tool) for tool in tools]
    size = len(documents)
    scores = []
    for document in documents:
        total = 0.0
        for term in query:
            having = sum(any(other[field][term] for field in other) for other in documents)
            frequency = 0.0
            for field, weight in module.FIELDS.items():
                mean = sum(sum(other[field].values()) for other in documents) / size
                flat = module.FLATTENING[field]
                length = sum(document[field].values()) / mean if mean else 0.0
                frequency += weight * document[field][term] / (1 - flat + flat * length)
            idf = math.log(1 + (size - having + 0.5) / (having + 0.5))
            total += idf * frequency / (module.SATURATION + frequency)
        scores.append(total)
    return scores


@pytest.mark.parametrize("query", [["weather"], ["calendar", "title"], ["plac", "jazz", "event", "nothing"]])
def test_scores_are_those_of_bm25f(query):
    ours = np.zeros(len(TOOLS))
    for term in query:
        places, values = INDEX._impact(term) if term in INDEX._postings else ([], [])
        for place, value in zip(places, values):
            ours[place] += value
    np.testing.assert_allclose(ours, reference(TOOLS, query), rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_any_text_ranks_the_same_twice(text):
    ranking = LexicalIndex(TOOLS).rank(text)
    assert ranking == INDEX.rank(text)
    names = [name for name, _ in ranking]
    assert len(set(names)) == len(names)
    assert set(names) <= {tool.name for tool in TOOLS}
    scores = [score for _, score in ranking]
    assert scores == sorted(scores, reverse=True)
    assert all(score > 0 for score in scores)


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(len(TOOLS))), st.sampled_from(["weather timer song", "delete it from the calendar"]))
def test_the_order_of_the_tools_does_not_change_scores(order, text):
    shuffled = LexicalIndex([TOOLS[place] for place in order]).rank(text)
    assert dict(shuffled) == pytest.approx(dict(INDEX.rank(text)))


def test_schemas_of_every_shape_are_read():
    odd = Tool.from_schema(
        {
            "name": "odd",
            "parameters": {
                "properties": {
                    "a": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"zebra": {"type": "string"}}}]},
                    "b": {"type": "array", "items": {"enum": ["giraffe", 7, None]}},
                    "c": True,
                    "d": {"type": "object", "additionalProperties": {"type": "string", "description": "an okapi"}},
                }
            },
        }
    )
    index = LexicalIndex([odd, *TOOLS])
    for text in ("zebra", "giraffe", "okapi"):
        assert index.rank(text)[0][0] == "odd"


def test_fusion():
    rankings = [[("a", 9.0), ("b", 8.0), ("c", 1.0)], [("b", 0.3), ("c", 0.2)]]
    expected = Counter({"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 63 + 1 / 62})
    assert [name for name, _ in fuse(rankings)] == [name for name, _ in expected.most_common()]
    assert dict(fuse(rankings)) == pytest.approx(expected)

    class Fixed:
        def __init__(self, ranking):
            self.rank = lambda text: ranking

    assert Fusion(map(Fixed, rankings)).rank("x") == fuse(rankings)
