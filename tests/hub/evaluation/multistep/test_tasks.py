from __future__ import annotations

import pytest
from ferrule.hub.evaluation import EvaluationError
from ferrule.hub.evaluation.multistep import SPLITS, GoldCall, load_tasks, open_world
from ferrule.hub.evaluation.multistep.service import OPERATIONS
from ferrule.hub.evaluation.multistep.tasks import KINDS, initial_states

TRAIN, HELD_OUT = (load_tasks(split) for split in SPLITS)


@pytest.mark.parametrize("tasks", [TRAIN, HELD_OUT], ids=SPLITS)
def test_a_half_is_made_of_chores_of_all_kinds(tasks):
    assert len(tasks) >= 60
    assert {task.kind for task in tasks} == set(KINDS)
    assert sum(task.kind == "conditional" for task in tasks) <= len(tasks) / 10
    assert sum(any(call.needs for call in task.plans[0]) for task in tasks) > len(tasks) / 2  # most depend on results
    several = [task for task in tasks if task.kind not in ("ask", "refuse", "conditional")]
    assert all(2 <= len(task.plans[0]) <= 5 for task in several)
    assert all(task.worlds[0].state in initial_states()[task.worlds[0].name] for task in tasks)


def test_the_halves_share_nothing_that_could_be_learnt_by_heart():
    assert len({task.id for task in TRAIN + HELD_OUT}) == len(TRAIN + HELD_OUT)
    assert not {task.goal.casefold() for task in TRAIN} & {task.goal.casefold() for task in HELD_OUT}
    states = [{(world.name, world.state) for task in tasks for world in task.worlds} for tasks in (TRAIN, HELD_OUT)]
    assert {name for name, _ in states[0] & states[1]} <= {"MathAPI"}  # which has no state
    assert len({name for name, _ in states[1]} - {name for name, _ in states[0]}) >= 2  # classes of the held-out half only


def test_a_third_of_the_operations_of_the_held_out_half_is_offered_in_no_other():
    offered = [
        {part for task in tasks for world in task.worlds if world.name == "Service" for part in world.parts}
        for tasks in (TRAIN, HELD_OUT)
    ]
    there = [operation for operation in OPERATIONS if operation.part in offered[1]]
    only = [operation.name for operation in there if operation.part not in offered[0]]
    assert len(there) >= 30
    assert 3 * len(only) >= len(there)
    called = {call.name for task in HELD_OUT for plan in task.plans for call in plan}
    assert set(only) <= called  # and each is needed there


def test_every_task_names_the_parts_of_the_service_that_it_offers():
    parts = {operation.part for operation in OPERATIONS}
    offered = [set(world.parts) for task in TRAIN + HELD_OUT for world in task.worlds if world.name == "Service"]
    assert all(offered)  # none of them grows when the service does
    assert set().union(*offered) == parts


def test_ten_to_forty_tools_are_offered():
    few = {}
    for task in TRAIN + HELD_OUT:
        few.setdefault(task.worlds, task)
    for task in few.values():
        with open_world(task.worlds) as worlds:
            names = [tool.name for world in worlds for tool in world.tools]
        assert 9 <= len(names) <= 40, task.id
        assert len(set(names)) == len(names)


def test_what_is_looked_for_does_not_stand_in_the_goal():
    for task in TRAIN + HELD_OUT:
        assert not [value for value in task.found if str(value).casefold() in task.goal.casefold()], task.id


def test_references_point_into_earlier_results():
    call = GoldCall("send", {"to": "{1/0/id}", "text": "Hello {2/name}, {1/0/id} is yours", "all": ["{2}"], "n": 3})
    assert call.needs == (1, 2)
    resolved = call.resolve([[{"id": 7}], {"name": "Mia"}])
    assert resolved.arguments == {"to": 7, "text": "Hello Mia, 7 is yours", "all": [{"name": "Mia"}], "n": 3}


def test_a_limit_is_spread_over_the_tasks():
    assert [task.id for task in load_tasks("train", 3)] == [TRAIN[i * len(TRAIN) // 3].id for i in range(3)]
    assert load_tasks("all", 1000) == TRAIN + HELD_OUT


@pytest.mark.parametrize(("split", "limit", "said"), [("test", None, "no split 'test'"), ("train", 0, "received 0")])
def test_bad_input_is_one_line(split, limit, said):
    with pytest.raises(EvaluationError, match=said):
        load_tasks(split, limit)
