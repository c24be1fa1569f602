"""Which tool may tell a value that nobody said, and which value of its result it is."""

from __future__ import annotations

import pytest
from ferrule.agents.lookups import choices, is_about, is_key, looks_keyed, numbers_in, singular, subjects, suppliers, told
from ferrule.tools import Tool, ToolCall, ToolResult


def _tool(name, description, properties, permission="read", returns=None):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return Tool(name, description, schema, permission=permission, returns=returns)


def _text(description=""):
    return {"type": "string", "description": description}


TEXT_SOMEBODY = _tool("send_text", "Send a text.", {"phone_number": _text("Number to send to."), "body": _text()}, "write")
FIND_CONTACT = _tool("find_contact", "Find a contact and the phone number.", {"name": _text("Name of the contact.")})
TRADE = _tool("place_order", "Place an order.", {"symbol": _text("Ticker symbol."), "amount": {"type": "integer"}}, "write")
FIND_SYMBOL = _tool("find_symbol", "Find the ticker symbol of a company.", {"company": _text("Name.")})
CANCEL = _tool("cancel_event", "Cancel an event.", {"event_id": {"type": "integer", "description": "Id."}}, "write")
LIST_EVENTS = _tool("list_events", "List events of the calendar.", {})
WEATHER = _tool("weather", "How warm it is.", {"city": _text("City.")})
ALL = [TEXT_SOMEBODY, FIND_CONTACT, TRADE, FIND_SYMBOL, CANCEL, LIST_EVENTS, WEATHER]

EVENTS = [
    {"event_id": 31, "title": "Dentist", "day": "2026-03-04", "minutes": 40},
    {"event_id": 32, "title": "Yoga", "day": "2026-03-05", "minutes": 90},
    {"event_id": 33, "title": "Haircut", "day": "2026-03-09", "minutes": 30},
]


@pytest.mark.parametrize(
    ("name", "schema", "expected"),
    [
        ("event_id", {"type": "integer"}, True),
        ("userId", {"type": "string"}, True),
        ("phone_number", {}, True),
        ("origin", {"description": "Three-letter code of the airport"}, True),
        ("city", {"type": "string", "description": "Name of the city"}, False),
        ("side", {"type": "string", "description": "id", "enum": ["a", "b"]}, False),
        ("width", {"type": "integer"}, False),  # "id" inside a word
        ("anything", True, False),
    ],
)
def test_what_takes_a_key(name, schema, expected):
    assert is_key(name, schema) is expected


def test_what_looks_like_a_key():
    assert looks_keyed("ZRH", "Fly to ZRH")
    assert looks_keyed("a@b.example", "")
    assert looks_keyed("U-17", "")
    assert looks_keyed(5, "")
    assert not looks_keyed("Mia", "Text Mia")
    assert not looks_keyed("ZRH", "Fly to Zurich")


@pytest.mark.parametrize(
    ("tool", "parameter", "text", "expected"),
    [
        (TEXT_SOMEBODY, "phone_number", "text Ada", "find_contact"),
        (TRADE, "symbol", "buy ten shares of Globex", "find_symbol"),
        (CANCEL, "event_id", "cancel the dentist", "list_events"),
    ],
)
def test_who_may_tell_a_value(tool, parameter, text, expected):
    found = suppliers(tool, parameter, ALL, text)
    assert found[0] == expected
    assert tool.name not in found


def test_one_that_changes_something_or_needs_the_value_itself_tells_nothing():
    writes = _tool("make_contact", "Make a contact, give its phone number.", {"name": _text()}, "write")
    needs = _tool("whose_phone", "Find a contact.", {"phone_number": _text()})
    assert suppliers(TEXT_SOMEBODY, "phone_number", [writes, needs], "text Ada") == []
    assert suppliers(TEXT_SOMEBODY, "phone_number", [needs], "text Ada", known=["phone_number"]) == ["whose_phone"]


def test_the_schema_of_results_tells_who_knows():
    returns = {"type": "array", "items": {"type": "object", "properties": {"event_id": {"type": "integer"}}}}
    plain, rich = _tool("agenda", "What is planned.", {}), _tool("planned", "What is planned.", {}, returns=returns)
    assert suppliers(CANCEL, "event_id", [plain, rich], "cancel yoga") == ["planned"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cancel the dentist appointment", [31]),
        ("cancel my yoga class", [32]),
        ("cancel the longest event", [32]),
        ("cancel the shortest event", [33]),
        ("cancel the event", [31, 32, 33]),
    ],
)
def test_which_value_of_a_result_it_is(text, expected):
    assert choices(CANCEL, "event_id", [{"events": EVENTS}], text) == expected


def test_a_value_of_another_type_is_none():
    assert choices(CANCEL, "event_id", [[{"event_id": "x"}]], "cancel it") == []
    assert choices(CANCEL, "event_id", [], "cancel it") == []


def test_the_last_of_records_without_numbers():
    people = [{"id": "a", "name": "Ada"}, {"id": "b", "name": "Ben"}]
    greet = _tool("greet", "Greet.", {"id": _text()})
    assert choices(greet, "id", [people], "greet the last one") == ["b"]
    assert choices(greet, "id", [people], "greet the first one") == ["a"]


def test_what_results_say_of_a_phrase():
    result = ToolResult(ToolCall("list_events", {}), True, EVENTS)
    note = _tool("write_note", "Write a note.", {"text": _text()}, "write")
    assert told("the day of the yoga", note, [result]) == "2026-03-05"
    assert told("the minutes of the haircut", note, [result]) == "30"
    assert told("the colour of the sky", note, [result]) is None


def test_whether_a_text_is_about_a_result():
    result = ToolResult(ToolCall("list_events", {}), True, EVENTS)
    assert is_about(result, "cancel my next appointment")
    assert is_about(result, "move the yoga")
    assert not is_about(result, "buy a lamp")


def test_numbers_that_are_no_keys():
    assert numbers_in({"id": 7, "rows": [{"price": 2.5, "open": True}], "note": "3"}) == [2.5]


def test_subjects():
    text = "text Ada's sister that I am late"
    used = [(text.index("that"), len(text))]
    assert subjects(text, used, TEXT_SOMEBODY)[0] == "Ada"
    assert subjects("cancel the dentist appointment", [], CANCEL) == ["dentist"]
    assert subjects("buy the lamps", [], TRADE) == ["lamps", "lamp"]


def test_a_search_for_one_in_place_of_several():
    assert singular(ToolCall("search", {"query": "lamps"})) == ToolCall("search", {"query": "lamp"})
    assert singular(ToolCall("search", {"query": "glass", "n": 3})) is None


def test_the_cheapest_is_judged_by_its_price():
    book = Tool("book", "Book a flight.", {"type": "object", "properties": {"flight_id": {"type": "string"}}})
    flights = [{"flight_id": "F1", "minutes": 50, "price": 300}, {"flight_id": "F2", "minutes": 90, "price": 80}]
    assert choices(book, "flight_id", [flights], "book the cheapest flight") == ["F2"]
    assert choices(book, "flight_id", [flights], "book the most expensive flight") == ["F1"]
