from __future__ import annotations

import json

import pytest
from ferrule.agents import ScriptedModel
from ferrule.hub.evaluation import EvaluationError
from ferrule.hub.evaluation.multistep import Task, WorldSpec, evaluate_multistep, load_tasks, open_world
from ferrule.hub.evaluation.multistep.judge import expected
from ferrule.hub.evaluation.multistep.loops import BUDGET, PLAIN_BUDGET
from ferrule.hub.evaluation.multistep.tasks import GoldCall
from ferrule.tools import ToolCall

SAMPLE = [task for split in ("train", "held_out") for task in load_tasks(split, 8) if task.kind != "ask"]
SEND = (GoldCall("get_user_id", {"user": "Mia"}), GoldCall("send_message", {"receiver_id": "{1/user_id}", "message": "Hi"}))
HI = Task("hi", "train", "chain", "Send Mia 'Hi'.", (WorldSpec("MessageAPI", "team"),), (SEND,))
CONTACT = Task(
    *("zed", "train", "parallel", "Add Zed as a contact.", (WorldSpec("MessageAPI", "team"),)),
    ((GoldCall("add_contact", {"user_name": "Zed"}),),),
)
IDS = ToolCall("get_user_id", {"user": "Mia"}), ToolCall("send_message", {"receiver_id": "USR011", "message": "Hi"})


def scripted(task: Task, *turns, **options) -> ScriptedModel:
    with open_world(task.worlds) as worlds:
        tools = [tool for world in worlds for tool in world.tools]
    return ScriptedModel.from_calls(turns, tools=tools, **options)


def outcome(task: Task, *turns, loop: str = "plain", **options):
    return evaluate_multistep(scripted(task, *turns, **options), tasks=[task], loops=[loop]).outcomes[0]


@pytest.mark.parametrize("task", SAMPLE, ids=[task.id for task in SAMPLE])
def test_a_model_that_follows_the_plan_reaches_the_goal_and_one_that_does_nothing_does_not(task):
    calls = [result.call for result in expected(task).results[0]]
    followed = outcome(task, *([call] for call in calls), "Done.")
    assert (followed.ok, followed.reason, followed.ended) == (True, "", "answered")
    assert len(followed.calls) == followed.planned == len(calls)
    assert not outcome(task, []).ok


def test_wrong_calls_do_not_reach_it():
    wrong = ToolCall("send_message", {"receiver_id": "USR012", "message": "Hi"})
    assert outcome(HI, [wrong], "Done.").reason == "state"
    assert outcome(HI, [IDS[1], wrong], "Done.").reason == "state"
    assert outcome(HI, [IDS[0]], "Done.").reason == "state"
    assert outcome(HI, [IDS[1]], "Done.").ok  # lucky, but the world is as it should be


def test_what_it_cost_is_counted():
    found = outcome(HI, [IDS[0]], [IDS[1]], "Done.")
    assert (found.turns, [call["name"] for call in found.calls]) == (3, ["get_user_id", "send_message"])
    assert found.generated_tokens > 0
    assert found.prompt_tokens > 0
    assert found.seconds > 0


def test_the_plain_loop_ends_after_ten_turns_and_its_question_counts():
    found = outcome(HI, *([IDS[0]] for _ in range(12)))
    assert (found.ended, found.turns, PLAIN_BUDGET.turns) == ("stopped", 10, 10)
    assert BUDGET.calls >= 5
    assert outcome(HI, [IDS[0]], "What should I say?").ended == "asked"


def test_our_agent_is_run_as_it_comes():
    found = outcome(CONTACT, [ToolCall("add_contact", {"user_name": "Zed"})], "Done.", loop="agent", confidence=0.9)
    assert (found.ok, found.ended) == (True, "answered")
    refused = outcome(CONTACT, [], loop="agent", confidence=0.9)
    assert (refused.ok, refused.reason, refused.ended) == (False, "state", "refused")


@pytest.mark.parametrize("loop", ["agent", "plain"])
def test_what_does_not_fit_the_model_is_a_failure(loop):
    found = outcome(HI, loop=loop, context_length=30)
    assert (found.ok, found.ended, found.calls) == (False, "error", [])
    assert "too long" in found.text


@pytest.fixture
def report():
    model = scripted(HI, [IDS[0]], [IDS[1]], "Done.", [])
    return evaluate_multistep(model, tasks=[HI, CONTACT], loops=["plain"], preset="scripted [red]")


def test_figures_of_kinds_and_worlds(report):
    overall = report.overall("plain")
    assert (overall.tasks, overall.reached, overall.completion, overall.failures) == (2, 1, 0.5, {"state": 1})
    assert {kind: figures.completion for kind, figures in report.by_kind("plain").items()} == {"chain": 1.0, "parallel": 0.0}
    assert report.by_world("plain")["MessageAPI"].tasks == 2
    assert report.ratio is None  # of the two loops only one was run


def test_the_report_is_written_whole_or_not_at_all(report, tmp_path):
    for name in ("report.json", "report.svg"):
        report.write(tmp_path / name)
    record = json.loads((tmp_path / "report.json").read_text())
    assert record == json.loads(json.dumps(report.to_json()))
    assert [entry["ok"] for entry in record["outcomes"]] == [True, False]
    assert "chain" in (tmp_path / "report.svg").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.svg"]
    with pytest.raises(EvaluationError, match="cannot be written"):
        report.write(tmp_path / "no folder" / "report.json")


def test_two_loops_are_compared():
    model = scripted(CONTACT, [ToolCall("add_contact", {"user_name": "Zed"})], "Done.", [], confidence=0.9)
    told = []
    report = evaluate_multistep(
        *(model, "train"), tasks=[CONTACT], loops=["agent", "plain"], on_outcome=lambda outcome, total: told.append(total)
    )
    assert told == [2, 2]
    assert report.loops == ["agent", "plain"]
    assert (report.overall("agent").reached, report.overall("plain").reached, report.ratio) == (1, 0, None)
