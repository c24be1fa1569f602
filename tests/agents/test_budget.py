from __future__ import annotations

import pytest
from ferrule.agents import Budget, RunUsage, UsageError


@pytest.mark.parametrize("name", ["turns", "calls", "tokens", "turn_tokens", "reasoning_tokens", "seconds"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_budgets_are_above_zero(name, value):
    with pytest.raises(ValueError, match=f"received {name}="):
        Budget(**{name: value})


def test_nothing_is_used_up_at_first():
    assert Budget().before_turn(RunUsage()) is None
    assert Budget().before_call(RunUsage()) is None


@pytest.mark.parametrize(
    ("name", "usage", "before"),
    [
        ("turns", RunUsage(turns=3), "before_turn"),
        ("tokens", RunUsage(generated_tokens=3), "before_turn"),
        ("calls", RunUsage(calls=3), "before_call"),
    ],
)
def test_each_budget_says_which_it_is(name, usage, before):
    assert getattr(Budget(**{name: 4}), before)(usage) is None
    stop = getattr(Budget(**{name: 3}), before)(usage)
    assert stop.reason == name
    assert stop.text == f"stopped: the budget of 3 {name} is used up; raise Budget({name}=...) to go on"


@pytest.mark.parametrize("before", ["before_turn", "before_call"])
def test_wall_clock(before):
    stop = getattr(Budget(seconds=1.5), before)(RunUsage(seconds=2))
    assert stop.reason == "seconds"
    assert "1.5 seconds" in stop.text


def test_used_up_calls_leave_the_model_its_last_word():
    assert Budget(calls=1).before_turn(RunUsage(calls=1)) is None


@pytest.mark.parametrize("limit", [{"turns": "3"}, {"reasoning_tokens": 1.5}, {"calls": True}, {"seconds": None}])
def test_limits_are_numbers(limit):
    with pytest.raises(UsageError, match=r"a budget is a (whole )?number above 0, received") as error:
        Budget(**limit)
    assert isinstance(error.value, ValueError)


def test_what_is_left_for_a_tool():
    assert Budget(seconds=float("inf")).seconds_left(RunUsage()) is None
    assert Budget(seconds=10).seconds_left(RunUsage(seconds=1)) == 9
    assert Budget(seconds=1).seconds_left(RunUsage(seconds=5)) > 0


def test_calls_that_wait_count():
    assert Budget(calls=3).before_call(RunUsage(calls=1), 1) is None
    assert Budget(calls=3).before_call(RunUsage(calls=1), 2).reason == "calls"
