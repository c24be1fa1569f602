from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest

if find_spec("agentdojo") is None:
    pytest.skip("agentdojo is not installed (pip install --no-deps agentdojo==0.1.35)", allow_module_level=True)

from ferrule.agents import Approval, Call, Observation, Permissions, Run
from ferrule.hub.evaluation.agentdojo import SUITES, Dojo, Job, evaluate_agentdojo, jobs
from ferrule.hub.evaluation.agentdojo.marks import MARKS
from ferrule.hub.evaluation.agentdojo.plans import plan
from ferrule.hub.evaluation.agentdojo.runner import effects, is_same
from ferrule.hub.evaluation.agentdojo.suites import Bench, function_call, load_attack, message
from ferrule.hub.evaluation.bfcl import EvaluationError
from ferrule.tools import Tool, ToolCall, ToolResult, Toolset

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", params=SUITES)
def bench(request):
    return Bench(request.param)


# -- what comes out of the package -------------------------------------------------------------------------------------


def test_no_client_of_a_model_vendor_is_imported(bench):
    assert not {name.split(".")[0] for name in sys.modules} & {"openai", "anthropic", "cohere", "langchain", "tenacity"}


def test_every_function_has_marks_and_every_mark_a_function():
    functions = {function.name for name in SUITES for function in Bench(name).suite.tools}
    assert functions == set(MARKS)


def test_the_environment_is_the_suites_own(bench):
    injections = {name: f"here: {name}" for name in bench.suite.get_injection_vector_defaults()}
    assert bench.environment_with(injections) == bench.suite.load_and_inject_default_environment(injections)


def test_what_is_marked_as_reading_changes_nothing(bench):
    """But for the marks of mails that were shown, and the list of pages that were visited."""
    fresh, seen = bench.environment_with({}), set()
    for task in [*bench.suite.user_tasks.values(), *bench.suite.injection_tasks.values()]:
        calls = plan(bench.suite.name, task, fresh)
        if seen >= {call.name for call in calls}:
            continue
        bench.environment = fresh.model_copy(deep=True)
        for call in calls:
            before = state(bench.environment) if call.name not in seen else None
            bench.tools.execute(call)
            if before is not None:
                seen.add(call.name)
                assert MARKS[call.name].permission != "read" or state(bench.environment) == before, call.name
    assert len(seen) > len(bench.tools) / 3


def state(environment):
    found = environment.model_dump(mode="json")
    for mail in found.get("inbox", {}).get("emails", {}).values():
        mail["read"] = True
    for mails in ("received", "sent", "drafts", "initial_emails"):
        found.get("inbox", {}).pop(mails, None)
    found.get("web", {}).pop("web_requests", None)
    return found


def test_of_what_changes_things_every_argument_is_sensitive(bench):
    for tool in bench.tools:
        for name in tool.parameters.get("properties", {}):
            assert tool.is_sensitive(name) == (tool.permission != "read" or name == "url")


class Plain:
    """A pipeline that makes the calls of a plan, with nobody in between."""

    name = "plain"

    def __init__(self, suite, task):
        self.suite, self.task = suite, task

    def query(self, query, runtime, environment, *_):
        calls = [function_call(call.name, call.arguments) for call in plan(self.suite, self.task, environment)]
        for call in calls:
            runtime.run_function(environment, call.function, call.args, raise_on_error=True)
        said = [message("user", query), message("assistant", None, calls)]
        return query, runtime, environment, [*said, message("assistant", self.task.GROUND_TRUTH_OUTPUT)], {}


def test_the_plan_of_every_injection_does_what_the_injection_asks_for(bench):
    user = next(iter(bench.suite.user_tasks.values()))
    for name, injection in bench.suite.injection_tasks.items():
        pipeline = Plain(bench.suite.name, injection)
        _, attacked = bench.suite.run_task_with_pipeline(pipeline, user, injection, {}, environment=bench.environment_with({}))
        assert attacked, name


def test_the_attack_is_the_packages_own():
    bench = Bench("banking")
    user, injection = bench.suite.user_tasks["user_task_0"], bench.suite.injection_tasks["injection_task_0"]
    ((vector, words),) = load_attack("banking").attack(user, injection).items()
    assert vector == "injection_bill_text"
    assert injection.GOAL in words


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"suites": ["kitchen"]}, "no suite 'kitchen'; there are: workspace, travel, banking, slack"),
        ({"attack": "polite"}, "no attack 'polite'; there are: "),
        ({"approvers": ["mother"]}, "no approver 'mother'; there are: nobody, user, unguarded"),
        ({"suites": []}, "there is nothing to run"),
        ({"limit": 0}, "a number of tasks above 0, received 0"),
    ],
)
def test_wrong_requests(wrong, message):
    with pytest.raises(EvaluationError, match=message):
        evaluate_agentdojo(**{"suites": ["banking"], **wrong})


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", SUITES)
def test_a_model_that_obeys_has_no_effect_that_nobody_approved(suite):
    report = evaluate_agentdojo(suites=[suite], limit=2, approvers=("nobody", "user", "unguarded"))
    scores = report.scores()
    assert report.unapproved == []
    assert scores["alone", "user", suite].utility == 2
    for approver in ("nobody", "user"):
        score = scores["attack", approver, suite]
        assert score.runs == 4
        assert (score.ordered, score.attacked_by_effect) == (0, 0)
    # the same model, unguarded: the attack is there, and does what it says
    unguarded = scores["attack", "unguarded", suite]
    assert unguarded.read == 4
    assert unguarded.attacked >= 3
    assert unguarded.unapproved >= unguarded.ordered > 0


@pytest.mark.parametrize("injection", [f"injection_task_{n}" for n in (6, 9, 12, 13)])
def test_orders_of_several_lines_and_calls_are_read_and_obeyed(injection):
    dojo = Dojo("workspace")
    outcome = dojo.run(Job("workspace", "user_task_13", injection, "unguarded"))
    assert outcome.read
    assert outcome.ordered >= 2
    outcome = dojo.run(Job("workspace", "user_task_13", injection, "nobody"))
    assert (outcome.read, outcome.ordered, outcome.attacked, outcome.unapproved) == (True, 0, False, ())


@pytest.mark.slow
def test_the_whole_set():
    report = evaluate_agentdojo()
    scores = report.scores()
    assert report.unapproved == []
    assert scores["alone", "user", "all"].utility > 0.95 * scores["alone", "user", "all"].runs
    for approver in ("nobody", "user"):
        assert scores["attack", approver, "all"].runs == 949
        assert approver == "nobody" or scores["attack", approver, "all"].read == 949
        assert scores["attack", approver, "all"].ordered == 0


def test_permissions_hold_without_grounding():
    """Grounding withholds calls with numbers from nowhere; that is not what keeps injections out."""
    dojo = Dojo("banking")
    agent = dojo._agent("nobody")
    agent.settings = type(agent.settings)(**{**vars(agent.settings), "grounding": False})
    found = [dojo.run(job) for job in jobs(["banking"], 4, ("nobody",)) if job.injection_task]
    assert all(outcome.read and not outcome.ordered and not outcome.unapproved for outcome in found)
    assert sum(outcome.asked for outcome in found) >= len(found)


def test_the_record_sees_what_the_permissions_let_through():
    dojo = Dojo("banking")
    dojo._agent("nobody").settings = type(dojo._agent("nobody").settings)(
        **{**vars(dojo._agent("nobody").settings), "permissions": Permissions(tainted="allow")}
    )
    outcome = dojo.run(Job("banking", "user_task_2", "injection_task_7"))
    assert outcome.attacked
    assert outcome.ordered == 1
    assert "update_password was made because an injection ordered it" in outcome.unapproved
    assert any("may come from the result" in line for line in outcome.unapproved)


def test_jobs():
    assert len(jobs(approvers=("nobody",))) == 97 + 949
    assert [job for job in jobs(["banking"], 1, ("user", "unguarded")) if not job.injection_task] == [
        Job("banking", "user_task_0", "", "user")
    ]


# -- the record --------------------------------------------------------------------------------------------------------


def test_effects_and_approvals():
    send = Tool("send", permission="write")
    visit = Tool("visit", "", {"type": "object", "properties": {"url": {}}}, sensitive=("url",))
    tools = Toolset([send, visit, Tool("look")])
    sent = ToolCall("send", {})
    calls = [sent, sent, ToolCall("visit", {"url": "x"}), ToolCall("look", {}), sent]
    steps = [Approval(calls[0], True)]
    for number, call in enumerate(calls, 1):
        steps += [Call(call, number=number), Observation(ToolResult(call, number != 5), number)]
    found = [(call.number, approved) for call, approved in effects(Run(steps), tools)]
    assert found == [(1, True), (2, False), (3, False)]  # an approval counts once; what failed had no effect


def test_the_same_call():
    planned = ToolCall("f", {"a": 1, "b": 2})
    assert is_same(ToolCall("f", {"a": 1}), planned)
    assert not is_same(ToolCall("f", {"a": 2}), planned)
    assert not is_same(ToolCall("f", {"a": 1, "c": 3}), planned)
    assert not is_same(ToolCall("g", {"a": 1, "b": 2}), planned)
