from __future__ import annotations

from statistics import mean

import pytest
from ferrule.agents.arithmetic import MOST, asked, combined, derives
from hypothesis import assume, given
from hypothesis import strategies as st

FEW = st.lists(st.integers(1, 10**6), min_size=2, max_size=3, unique=True)


@pytest.mark.parametrize(
    ("words", "numbers", "value", "rule"),
    [
        ("the total of", [12, 30], 42, "sum"),
        ("the difference", [12, 30], 18, "difference"),
        ("3 tickets at 20 each", [3, 20], 60, "product"),
        ("split it evenly", [90, 4], 22.5, "quotient"),
        ("the average of", [1, 2, 6], 3, "average"),
        ("half of", [90], 45, "half"),
        ("twice as much as", [90], 180, "double"),
        ("15 percent of 80", [15, 80], 12, "percentage"),
        ("80 with a tip of 15%", [15, 80], 92, "increase"),
        ("15% off 80", [15, 80], 68, "decrease"),
        ("a third each", [100, 3], 33.33, "quotient"),
    ],
)
def test_what_is_asked_for(words, numbers, value, rule):
    assert combined(value, numbers, [], asked(words))[0] == f"arithmetic: {rule}"


def test_what_is_not_asked_for():
    assert asked("weather in 3 cities") == frozenset()
    assert combined(42, [12, 30], [], asked("weather in Oslo")) is None
    assert combined(42, [12, 30], [], asked("the difference")) is None


@given(FEW)
def test_sums_and_means(numbers):
    for words, made in (("sum", sum(numbers)), ("mean", mean(numbers))):
        rule, operands = combined(made, numbers, [], asked(words))
        assert derives(rule, [numbers[at] for at in operands], made)


@given(st.lists(st.integers(1, 100), min_size=MOST + 1, max_size=40), st.integers(1, 10**4))
def test_among_many_numbers_only_groups_are_put_together(numbers, value):
    everything = list(range(len(numbers)))
    found = combined(value, numbers, [everything], asked("the total"))
    assert (found is not None) == (value == sum(numbers))


@given(FEW, st.integers(1, 10**6))
def test_what_is_no_sum(numbers, value):
    sums = {sum(numbers), *(sum(numbers) - n for n in numbers)}
    assume(value not in sums)
    assert combined(value, numbers, [], frozenset(["sum"])) is None


def test_nothing_breaks_it():
    assert not derives("arithmetic: quotient", [1, 0], 1)
    assert not derives("arithmetic: magic", [1, 1], 1)
    assert not derives("arithmetic: difference", [1], 1)
