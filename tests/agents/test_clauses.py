"""What a goal is cut into, by tables; and that any text at all is cut into spans of itself, in bounded time."""

from __future__ import annotations

import time

import pytest
from ferrule.agents.clauses import Clause, clauses, whole
from hypothesis import given
from hypothesis import strategies as st


def texts(goal: str) -> list[str]:
    return [clause.text for clause in clauses(goal)]


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        ("Lock the front door and turn off the lights", ["Lock the front door", "turn off the lights"]),
        ("Find a bakery, then book a table there", ["Find a bakery", "book a table there"]),
        ("Copy the report and then delete the original.", ["Copy the report", "delete the original."]),
        ("Open the shop; close the garage", ["Open the shop", "close the garage"]),
        ("Water the plants? Show me the tank.", ["Water the plants? Show me the tank."]),  # "water" is no order here
        ("Show me the tank. Start the pump!", ["Show me the tank.", "Start the pump!"]),
        ("Save the draft\nSend it to Nora", ["Save the draft", "Send it to Nora"]),
        ("What is the time in Lima and how cold is it there?", ["What is the time in Lima", "how cold is it there?"]),
        ("Find the invoice, pay it, and archive it", ["Find the invoice", "pay it", "archive it"]),
        ("Please list the tickets. After that, close the oldest one.", ["list the tickets.", "close the oldest one."]),
        ("Start the engine — turn on the heater", ["Start the engine", "turn on the heater"]),
        ("Create a list. I need milk and bread.", ["Create a list.", "I need milk and bread."]),
        ("Reserve a room, once that is done invite the team", ["Reserve a room", "invite the team"]),
    ],
)
def test_a_goal_is_cut_where_another_request_begins(goal, expected):
    assert texts(goal) == expected


@pytest.mark.parametrize(
    "goal",
    [
        "Find lamps and chairs in Graz",
        "Send Tom the message 'come home and call mum. Then rest'",
        'Post "buy now, then sell everything. Open the door!" to the wall',
        "Post “Rest. Then list all” to the wall",
        "Write a note (and delete it later. Then list it) for Ada",
        "Divide 3.5 by 0.25",
        "Email ann.lee@shop.example.com about the order",
        "Open the file notes.v2.txt",
        "Send the parcel to Dr. Brown in St. Ives",
        "Find a café, e.g. Central, near the station",
        "Book the hotel where Ada stays",
        "Find the flight, which lands before noon",
        "Compare search and share prices",
        "Message Ann 'don't wait and call me'",
    ],
)
def test_one_request_stays_whole(goal):
    assert texts(goal) == [goal]


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        ("I'm in Oslo. Find a hotel.", ["I'm in Oslo. Find a hotel."]),
        ("Find a hotel. My budget is small.", ["Find a hotel. My budget is small."]),
        ("If it rains, find an umbrella and book a taxi", ["If it rains, find an umbrella and book a taxi"]),  # one condition
        ("The lamp is on. It is late.", ["The lamp is on. It is late."]),
    ],
)
def test_what_asks_for_nothing_belongs_to_a_request_beside_it(goal, expected):
    assert texts(goal) == expected


def test_of_other_languages_only_what_is_asked_in_english_is_told_apart():
    assert texts("Öffne die Tür und schließe das Fenster") == ["Öffne die Tür und schließe das Fenster"]
    assert texts("打开灯。关上门。") == ["打开灯。关上门。"]
    assert texts("Guten Tag! Open the door. Close the window.") == ["Guten Tag! Open the door.", "Close the window."]


@pytest.mark.parametrize("mark", ["(", '"', "“", "`", "["])
def test_a_quote_that_is_never_closed_is_none(mark):
    assert texts(f"Print {mark}hello, then open the door") == [f"Print {mark}hello", "open the door"]


def test_a_quote_behind_a_bracket_that_is_never_closed_holds():
    assert texts('Print :( and post "hide it, then open the door"') == ["Print :(", 'post "hide it, then open the door"']


@pytest.mark.parametrize(
    ("second", "refers"),
    [
        ("delete it", True),
        ("book the cheapest one", True),
        ("multiply the sum by 3", True),
        ("email both of them", True),
        ("list all tickets", False),
        ("open the item list", False),  # "it" inside a word
    ],
)
def test_which_clauses_point_outside_themselves(second, refers):
    first, last = clauses(f"Find a lamp, then {second}")
    assert (first.refers, last.refers) == (False, refers)


def test_the_first_clause_has_nothing_to_point_at():
    assert not clauses("Delete it")[0].refers


@pytest.mark.parametrize("goal", ["", " ", "\n\n", "...", ", ;", "and", "then"])
def test_a_goal_of_nothing_is_one_clause(goal):
    assert len(clauses(goal)) == 1


def test_whole():
    assert whole("List it") == Clause("List it", 0, 7, False)


_SAMPLES = """list|the files|and|then|,|;|.|'|"|(|)|“|”|’s|it|please|after that|what is|3.5|a.txt|Dr.|İ|。|—| - |book|I need|who
|don't|\t|re-run"""
_WORDS = st.sampled_from(_SAMPLES.split("|"))


@given(st.one_of(st.text(), st.lists(_WORDS).map(" ".join), st.lists(_WORDS).map("".join)))
def test_clauses_are_spans_of_the_goal_in_order(goal):
    end = 0
    for clause in clauses(goal):
        assert end <= clause.start <= clause.end <= len(goal)
        assert clause.text == goal[clause.start : clause.end]
        end = clause.end


@given(
    st.lists(st.sampled_from(["list the files", "close the door", "show me the time", "what is new"]), min_size=1, max_size=6)
)
def test_requests_that_are_joined_come_apart(requests):
    assert texts(", then ".join(requests)) == requests
    assert texts(". ".join(requests)) == [f"{request}." for request in requests[:-1]] + requests[-1:]


@pytest.mark.parametrize(
    "unit",
    ["please, ", ".", '!?)"x', " ", "list a and b, ", "'a ", "don't ", "the ", "after the ", "(", ", ", "list it. ", "a", "\n"],
)
def test_time_grows_with_the_length(unit):
    """Some 200,000 characters in a few tenths of a second; what grows with their square would take minutes."""
    goal = "List a" + unit * (200_000 // len(unit)) + "x, list b"
    begin = time.perf_counter()
    assert clauses(goal)
    assert time.perf_counter() - begin < 10


def test_a_megabyte():
    goal = "List the files and close the door. " * 30_000
    begin = time.perf_counter()
    assert len(clauses(goal)) == 60_000
    assert time.perf_counter() - begin < 60
