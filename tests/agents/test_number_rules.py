from __future__ import annotations

import re
from decimal import Decimal

import pytest
from ferrule.agents import number_rules
from hypothesis import given, settings
from hypothesis import strategies as st

FORM, LENGTH = map(re.compile, number_rules.DECIMAL)


@settings(max_examples=300, deadline=None)
@given(
    st.none() | st.integers(-5000, 5000), st.none() | st.integers(-5000, 5000), st.lists(st.integers(-6000, 6000), max_size=30)
)
def test_integers_are_exactly_those_in_range(lo, hi, values):
    regex = number_rules.integers(lo, hi)
    for value in [*values, 0, *(n + d for n in (lo, hi) if n is not None for d in (-1, 0, 1))]:
        inside = (lo is None or value >= lo) and (hi is None or value <= hi)
        assert (regex is not None and bool(re.fullmatch(regex, str(value)))) == inside
    assert regex is None or not re.fullmatch(regex, "007")


def test_integers_of_many_digits():
    assert re.fullmatch(number_rules.integers(10**20, None), str(10**20 + 7))
    assert not re.fullmatch(number_rules.integers(10**20, None), str(10**20 - 1))
    assert re.fullmatch(number_rules.integers(-3, 10**300), "12")
    assert number_rules.integers(5, 4) is None


bounds = (
    st.floats(-1e6, 1e6, allow_nan=False)
    | st.integers(-1000, 1000)
    | st.sampled_from([0.1, 0.3, 1e-9, 0.1 + 0.2, 1 / 3, 100.25])
)


@settings(max_examples=400, deadline=None)
@given(low=st.none() | bounds, high=st.none() | bounds, low_open=st.booleans(), high_open=st.booleans(), data=st.data())
def test_decimals_agree_with_the_numbers_they_are_read_as(low, high, low_open, high_open, data):
    """Every text the expressions match satisfies the bounds as a float does; no short decimal in range is missing."""
    regex = number_rules.decimals(
        None if low is None else Decimal(repr(low)), low_open, None if high is None else Decimal(repr(high)), high_open
    )
    texts = {"0", "-1", "0.5", repr(data.draw(st.floats(-1e6, 1e6).map(lambda x: round(x, 3))))}
    for bound in (low, high):
        if bound is not None:
            exact = Decimal(repr(bound))
            for places in range(15):
                step = Decimal(1).scaleb(-places)
                texts |= {format(exact + step, "f"), format(exact - step, "f"), format(round(exact, places), "f")}
            texts.add(format(exact, "f"))
    for text in texts:
        if not (FORM.fullmatch(text) and LENGTH.fullmatch(text)):
            continue
        value = float(text) if "." in text else int(text)
        inside = (low is None or (value > low if low_open else value >= low)) and (
            high is None or (value < high if high_open else value <= high)
        )
        matched = regex is not None and bool(re.fullmatch(regex, text))
        # Zero is written with a sign only where negative numbers are possible.
        assert matched == inside or (inside and value == 0 and text[0] == "-"), text


@pytest.mark.parametrize("text", ["0", "-12.5", "6.67e-11", "1E5", "999999999999999.12"])
def test_number(text):
    assert re.fullmatch(number_rules.NUMBER, text)


@pytest.mark.parametrize("text", ["1e400", "01", "1.", ".5", "+1", "NaN", "Infinity", "1" * 400])
def test_not_a_number(text):
    assert not re.fullmatch(number_rules.NUMBER, text)


def test_signs():
    assert not re.fullmatch(number_rules.NOT_NEGATIVE, "-1")
    assert re.fullmatch(number_rules.NOT_NEGATIVE, "0")
    for text in ("0", "0.0", "0.000", "-1", "0e5"):
        assert not re.fullmatch(number_rules.POSITIVE, text)
    for text in ("0.01", "5", "5.0", "1e-99"):
        assert re.fullmatch(number_rules.POSITIVE, text)
