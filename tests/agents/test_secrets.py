from __future__ import annotations

import pytest
from ferrule.agents import Agent, ScriptedModel, UsageError
from ferrule.agents.secrets import Secrets
from ferrule.tools import ToolCall, tool
from hypothesis import given
from hypothesis import strategies as st

KEY = "sk-1234567890"


def test_neither_the_model_nor_the_log_sees_a_secret(tmp_path):
    seen = []

    @tool
    def login(key: str, site: str) -> dict:
        seen.append(key)
        return {"url": f"https://{site}/?key={key}", key: "as a key"}

    model = ScriptedModel.from_calls([[ToolCall("login", {"key": "{{API_KEY}}", "site": "a.org"})], "In."])
    with Agent(model, [login], secrets={"API_KEY": KEY}, log=tmp_path / "log") as agent:
        result = agent.run("log in to a.org with {{API_KEY}}")
    assert seen == [KEY]
    assert result.observations[0].value == {"url": "https://a.org/?key={{API_KEY}}", "{{API_KEY}}": "as a key"}
    assert KEY not in (tmp_path / "log").read_text() + "".join(model.prompts)


def test_errors_do_not_tell(tmp_path):
    @tool
    def login(key: str) -> str:
        raise RuntimeError(f"wrong key {key}")

    model = ScriptedModel.from_calls([[ToolCall("login", {"key": "{{K}}"})], "No."])
    result = Agent(model, [login], secrets={"K": KEY}).run("log in with {{K}}")
    assert result.observations[0].error == "RuntimeError: wrong key {{K}}"


@given(st.recursive(st.text() | st.just(f"a{KEY}b") | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_nothing_is_left_of_it(value):
    assert KEY not in str(Secrets({"K": KEY}).hide(value))


def test_the_longest_first():
    assert Secrets({"A": "secret", "B": "secret-too"}).hide("secret-too secret") == "{{B}} {{A}}"


def test_unknown_names_stay():
    assert Secrets({"A": "secret"}).fill(["{{A}}", "{{B}}", "{A}"]) == ["secret", "{{B}}", "{A}"]


@pytest.mark.parametrize("values", [{"a-b": KEY}, {"A": "short"}, {"A": 1}])
def test_secrets_that_cannot_be_kept(values):
    with pytest.raises(UsageError, match="secret"):
        Secrets(values)


def test_secrets_that_the_user_says_are_hidden(tmp_path):
    @tool
    def login(key: str) -> str:
        return "in"

    model = ScriptedModel.from_calls([[], []])
    with Agent(model, [login], secrets={"K": KEY}, instructions=f"key {KEY}", log=tmp_path / "log") as agent:
        agent.run(f"log in with {KEY}")
        agent.decide(f"log in with {KEY}")
    assert KEY not in (tmp_path / "log").read_text() + "".join(model.prompts)
