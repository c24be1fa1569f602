from __future__ import annotations

from zoneinfo import available_timezones

import pytest
from ferrule.agents.places import LIES_IN, place, time_zone


@pytest.mark.parametrize(
    ("value", "text", "words"),
    [
        ("Boston, MA", "in boston please", "boston"),
        ("Boston, MA", "in boston, massachusetts", "boston, massachusetts"),
        ("New York City, NY", "rock in new york", "new york"),
        ("NYC", "in new york city", "new york city"),
        ("Massachusetts", "a bar in boston", "boston"),
        ("Chicago, IL.", "in chicago", "chicago"),
        ("Paris, France", "in paris", "paris"),
        ("Central Park, NY", "central park in new york", "central park in new york"),
        ("Boston, CA", "in boston", None),
        ("Oslo, Sweden", "in oslo", None),
        ("Nashville", "in nash", None),
        ("", "anything", None),
        (",,,", "anything", None),
    ],
)
def test_places(value, text, words):
    span = place(value, text)
    assert (text[slice(*span)] if span else None) == words


@pytest.mark.parametrize(
    ("value", "text", "said"),
    [
        ("America/New_York", "3pm new york time", True),
        ("Europe/London", "london", True),
        ("America/Argentina/Buenos_Aires", "buenos aires", True),
        ("Europe/London", "paris", False),
        ("Home/London", "london", False),
    ],
)
def test_time_zones(value, text, said):
    assert (time_zone(value, text) is not None) is said


def test_the_cities_of_all_time_zones_can_be_read():
    zones = [name for name in available_timezones() if name.startswith(("Europe/", "America/", "Asia/"))]
    assert all(time_zone(name, name.rsplit("/", 1)[1].replace("_", " ").lower()) for name in zones)


def test_the_table_is_whole():
    assert all(names for names in LIES_IN.values())
    assert {"ma", "massachusetts", "england"} <= LIES_IN["boston"] | LIES_IN["cambridge"]
    assert not any(character in city for city in LIES_IN for character in "\n:")
