from __future__ import annotations

import asyncio

import pytest
from ferrule.agents import Agent, Approval, Permissions, ScriptedModel, Source, UsageError
from ferrule.agents.permissions import tainted
from ferrule.tools import Tool, ToolCall, tool

SCHEMA = {"type": "object", "properties": {"to": {"type": "string"}, "body": {"type": "string"}}}
TRUSTED, UNTRUSTED = Source("goal", "0:3"), Source("observation", "1#/from", trusted=False)


def made(permission, **options):
    return Tool("send", "", SCHEMA, lambda **_: "sent", permission=permission, **options)


@pytest.mark.parametrize(
    ("permission", "options", "verdict"),
    [
        ("read", {}, "allow"),
        ("write", {}, "allow"),
        ("destructive", {}, "ask"),
        ("write", {"write": "deny"}, "deny"),
        ("read", {"tools": {"send": "ask"}}, "ask"),
        ("destructive", {"tools": {"send": "allow"}}, "allow"),
    ],
)
def test_verdicts(permission, options, verdict):
    assert Permissions(**options).judge(made(permission), ToolCall("send", {}), {})[0] == verdict


def test_values_from_untrusted_results():
    evidence = {"/to": UNTRUSTED, "/body": TRUSTED}
    assert Permissions().judge(made("write"), ToolCall("send", {}), evidence)[0] == "ask"
    assert Permissions(tainted="deny").judge(made("write"), ToolCall("send", {}), evidence)[0] == "deny"
    assert Permissions(tainted="allow").judge(made("write"), ToolCall("send", {}), evidence)[0] == "allow"
    assert Permissions().judge(made("read"), ToolCall("send", {}), evidence)[0] == "allow"
    assert Permissions().judge(made("write", sensitive=("body",)), ToolCall("send", {}), evidence)[0] == "allow"
    assert list(tainted(made("write"), evidence)) == ["to comes from the result of call 1, which is not trusted"]
    # the harsher of two verdicts counts
    assert Permissions(tainted="deny").judge(made("destructive"), ToolCall("send", {}), evidence)[0] == "deny"


@pytest.mark.parametrize("options", [{"write": "maybe"}, {"tools": {"send": True}}])
def test_verdicts_that_are_none(options):
    with pytest.raises(UsageError, match=r"allow, ask, deny, received"):
        Permissions(**options)


@pytest.fixture
def delete():
    gone = []

    @tool(permission="destructive")
    def delete(name: str) -> str:
        gone.append(name)
        return "gone"

    delete.__dict__["gone"] = gone
    return delete


CALL = ToolCall("delete", {"name": "a.txt"})


def run(delete, *turns, **options):
    return Agent(ScriptedModel.from_calls(turns), [delete], **options).run("delete a.txt")


def test_without_anybody_to_ask_nothing_is_destroyed(delete):
    result = run(delete, [CALL], "Not done.")
    assert delete.gone == []
    assert result.calls == []
    assert [step.granted for step in result.steps if isinstance(step, Approval)] == [False]


def test_the_user_decides_about_these_very_arguments(delete):
    asked = []

    def approve(request):
        asked.append((request.call, request.reasons))
        return True

    run(delete, [CALL], "Done.", approve=approve)
    assert asked == [(CALL, ("delete is marked destructive",))]
    assert delete.gone == ["a.txt"]


def test_a_yes_counts_once(delete):
    answers = iter([True, False])
    other = ToolCall("delete", {"name": "txt"})
    run(delete, [CALL, other], "Done.", approve=lambda request: next(answers))
    assert delete.gone == ["a.txt"]


def test_coroutines_may_approve(delete):
    async def approve(request):
        await asyncio.sleep(0)
        return True

    asyncio.run(Agent(ScriptedModel.from_calls([[CALL], "Done."]), [delete], approve=approve).arun("delete a.txt"))
    assert delete.gone == ["a.txt"]


def test_what_is_denied_is_not_asked_about(delete):
    result = run(delete, [CALL], "No.", permissions=Permissions(destructive="deny"), approve=lambda request: True)
    assert delete.gone == []
    assert [step.by for step in result.steps if isinstance(step, Approval)] == ["policy"]


def test_dry_runs_change_nothing(delete):
    result = run(delete, [CALL], "Would be done.", dry_run=True, permissions=Permissions(destructive="allow"))
    assert delete.gone == []
    assert result.observations[0].value == {"dry_run": True, "not_called": "delete"}
    assert result.calls == [CALL]
