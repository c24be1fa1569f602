from __future__ import annotations

from dataclasses import replace

import pytest
from ferrule.hub.evaluation.multistep import Attempt, Task, WorldSpec, judge, load_tasks, open_world
from ferrule.hub.evaluation.multistep.judge import carry_out, expected
from ferrule.hub.evaluation.multistep.tasks import GoldCall

TASKS = load_tasks("all")


@pytest.mark.parametrize("task", TASKS, ids=[task.id for task in TASKS])
def test_every_plan_reaches_its_goal_and_nothing_less_does(task):
    goal = expected(task)
    for plan, results in zip(task.plans, goal.results):
        assert [result.error for result in results if not result.ok] == []
        assert len(results) == len(plan)
    with open_world(task.worlds) as worlds:
        for outcome in ("unfinished", "answered", "refused"):  # with no call at all
            assert not judge(task, Attempt(outcome=outcome), worlds, goal).ok
        made = carry_out(task.plans[0], worlds)
        attempt = Attempt(tuple(made), "asked" if task.kind == "ask" else "answered")
        assert judge(task, attempt, worlds, goal).ok
        if task.kind == "ask":
            assert judge(task, replace(attempt, outcome="answered"), worlds, goal).reason == "not_asked"
        if len(task.plans) == 1 and not task.found and task.kind != "ask":
            short = [result for result in made[:-1] if result.ok]
            with open_world(task.worlds) as others:  # one call fewer
                carry_out(task.plans[0][: len(short)], others)
                assert not judge(task, Attempt(tuple(short), "answered"), others, goal).ok


SEND = (
    GoldCall("get_user_id", {"user": "Mia"}),
    GoldCall("send_message", {"receiver_id": "{1/user_id}", "message": "Hi, Mia"}),
)
TASK = Task("one", "train", "chain", "Say hi to Mia.", (WorldSpec("MessageAPI", "team"),), (SEND,), {"Hi, Mia": ["hi"]})


def verdict(*calls: GoldCall, task: Task = TASK, outcome: str = "answered"):
    with open_world(task.worlds) as worlds:
        results = carry_out(calls, worlds)
        return judge(task, Attempt(tuple(results), outcome), worlds, expected(task))


def send(receiver: str, message: str) -> GoldCall:
    return GoldCall("send_message", {"receiver_id": receiver, "message": message})


def test_other_words_will_do_where_they_are_free():
    assert verdict(send("USR011", "Tom says HI!")).ok
    assert not verdict(send("USR011", "Good morning")).ok
    assert verdict(send("USR011", "Tom says HI!"), task=replace(TASK, texts={})).reason == "state"


def test_extra_reads_do_no_harm_but_extra_effects_do():
    assert verdict(*SEND, GoldCall("list_users"), GoldCall("search_messages", {"keyword": "door"})).ok
    assert "entries" in verdict(*SEND, send("USR012", "Hi, Mia")).detail
    assert not verdict(*SEND, SEND[1]).ok
    assert not verdict(*SEND, GoldCall("add_contact", {"user_name": "Zed"})).ok
    assert not verdict(send("USR012", "Hi, Mia")).ok  # to somebody else


def test_the_order_of_independent_effects_is_free():
    both = (send("USR011", "a"), send("USR012", "b"))
    task = replace(TASK, plans=(both,), texts={})
    assert verdict(*both, task=task).ok
    assert verdict(*both[::-1], task=task).ok
    crossed = (send("USR011", "b"), send("USR012", "a"))
    assert not verdict(*crossed, task=task).ok


def test_the_order_matters_where_it_shows():
    tickets = [GoldCall("create_ticket", {"title": title}) for title in ("a", "b")]
    task = replace(TASK, worlds=(WorldSpec("TicketAPI", "support"),), plans=(tuple(tickets),), texts={})
    assert verdict(*tickets, task=task).ok
    assert not verdict(*tickets[::-1], task=task).ok
    assert verdict(*tickets[::-1], task=replace(task, plans=(*task.plans, tuple(tickets[::-1])))).ok


NUMBERS = [(7.9251, True), (7.93, True), (7.9, False), (30.0, False)]


@pytest.mark.parametrize(("amount", "ok"), NUMBERS)
def test_computed_amounts_may_be_rounded(amount, ok):
    fill = GoldCall("fillFuelTank", {"fuelAmount": 7.92516})
    task = replace(TASK, worlds=(WorldSpec("VehicleControlAPI", "van"),), plans=((fill,),), texts={})
    assert verdict(GoldCall("fillFuelTank", {"fuelAmount": amount}), task=task).ok is ok


FOUND = [("Mia", False), ("USR011", True), ("USR01", False), ("usr011", True)]


@pytest.mark.parametrize(("value", "ok"), FOUND)
def test_what_was_to_be_found_must_have_been_shown(value, ok):
    task = replace(TASK, kind="lookup", plans=(SEND[:1],), found=(value,))
    assert verdict(SEND[0], task=task).ok is ok
    assert verdict(task=task).reason == "not_found"


def test_whole_numbers_are_not_rounded():
    close = GoldCall("get_ticket", {"ticket_id": 1005})
    task = replace(TASK, kind="lookup", worlds=(WorldSpec("TicketAPI", "support"),), plans=((close,),), found=(1006,))
    assert verdict(close, task=task).reason == "not_found"
    assert verdict(close, task=replace(task, found=(1005,))).ok


def test_a_question_may_come_before_anything_is_done():
    ask = next(task for task in TASKS if task.kind == "ask" and () in task.plans)
    assert verdict(task=ask, outcome="asked").ok
    assert not verdict(task=ask, outcome="answered").ok
