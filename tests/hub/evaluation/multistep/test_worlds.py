from __future__ import annotations

import inspect

import pytest
from ferrule.hub.evaluation.multistep import WorldSpec, open_world
from ferrule.hub.evaluation.multistep.tasks import initial_states
from ferrule.hub.evaluation.simulated import SIMULATED
from ferrule.tools import ToolCall, Toolset

SPECS = [WorldSpec(name, state) for name, states in initial_states().items() for state in states]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_every_world_is_fresh(spec):
    with open_world([spec]) as first, open_world([spec]) as second:
        assert first[0].state() == second[0].state()
        assert first[0].state() is not first[0].state()


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.name in SIMULATED], ids=str)
def test_a_class_offers_all_of_its_functions_as_documented(spec):
    with open_world([spec]) as (world,):
        instance = world._instance
        functions = {name for name, _ in inspect.getmembers(instance, inspect.ismethod) if not name.startswith("_")}
        assert {tool.name for tool in world.tools} == functions
        for tool in world.tools:
            accepted = set(inspect.signature(getattr(instance, tool.name)).parameters)
            assert set(tool.parameters["properties"]) == accepted - {"access_token"}


def run(spec, *calls):
    with open_world([spec]) as (world,):
        before = world.state()
        results = [Toolset(world.tools).execute(ToolCall(name, arguments)) for name, arguments in calls]
        return before, world.state(), results


def test_reads_change_nothing_and_writes_do():
    before, after, results = run(WorldSpec("GorillaFileSystem", "desk"), ("cd", {"folder": "logs"}), ("ls", {}))
    assert before == after  # where one stands is no effect
    assert results[1].value == {"current_directory_content": ["server.log"]}
    before, after, _ = run(WorldSpec("GorillaFileSystem", "desk"), ("touch", {"file_name": "a.txt"}))
    assert after["root"] == {**before["root"], "a.txt": ""}


def test_an_answer_that_is_an_error_is_a_failure():
    _, _, (result,) = run(WorldSpec("MessageAPI", "team"), ("get_user_id", {"user": "Nobody"}))
    assert (result.ok, "Nobody" in result.error) == (False, True)
    _, _, (result,) = run(WorldSpec("TravelAPI", "traveller"), ("cancel_booking", {"booking_id": "1"}))
    assert (result.ok, result.error) == (False, "Booking not found")


def test_what_is_not_given_is_left_out():
    _, _, (result,) = run(WorldSpec("GorillaFileSystem", "desk"), ("find", {}))
    assert "./recipes/bread.txt" in result.value["matches"]  # and not those that are called "None"


def test_the_credential_is_the_hosts():
    _, after, (result,) = run(WorldSpec("TravelAPI", "traveller"), ("set_budget_limit", {"budget_limit": 900}))
    assert (result.ok, after["budget_limit"]) == (True, 900)


def test_permissions_are_marked():
    with open_world([WorldSpec("GorillaFileSystem", "desk"), WorldSpec("Service", "home")]) as worlds:
        marks = {tool.name: tool.permission for world in worlds for tool in world.tools}
    assert [marks[name] for name in ("ls", "mv", "rm")] == ["read", "write", "destructive"]
    assert [marks[name] for name in ("find_contact", "send_text", "cancel_event")] == ["read", "write", "destructive"]
