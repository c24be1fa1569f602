from __future__ import annotations

import doctest
from pathlib import Path

import ferrule.agents.scripted
import pytest
from ferrule.agents import Agent, AgentError, ScriptedModel, ScriptError
from ferrule.agents.dialects import NeedleDialect
from ferrule.agents.scripted import ScriptedTokenizer
from ferrule.tools import ToolCall, load_tools, tool
from hypothesis import given
from hypothesis import strategies as st

EXAMPLES = Path(__file__).parents[2] / "examples" / "tools.py"
DIALECTS = ["needle", "hermes", "llama3", "mistral", "gemma3_json", "gemma3_python", "functiongemma", "gemma4", "plain"]


@tool
def add(a: int, b: int = 0) -> int:
    """Adds."""
    return a + b


@tool(name="getWeather")
def weather(cityName: str) -> str:
    """Weather."""
    return f"rain in {cityName}"


def test_example_of_the_documentation():
    assert doctest.testmod(ferrule.agents.scripted).failed == 0


def test_markers_have_the_ids_that_the_dialect_works_with():
    tokenizer = ScriptedTokenizer(NeedleDialect.markers)
    assert tokenizer.encode("<|im_start|><|im_end|><think></think><tools></tools><tool_call></tool_call>") == list(range(4, 12))
    assert tokenizer.encode("<schema></schema>\n") == [26, 27, 28 + 10]
    assert tokenizer.encode("é") == [28 + byte for byte in "é".encode()]
    before = tokenizer.vocab_size
    words = tokenizer.encode("set a timer")
    assert len(words) == 5
    assert tokenizer.encode("set a timer") == words
    assert tokenizer.vocab_size == before + 2  # "a" is a byte


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])) | st.sampled_from(["<think>x</think>\n", "a_b1 <tool>"]))
def test_decoding_undoes_encoding(text):
    tokenizer = ScriptedTokenizer(NeedleDialect.markers)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_writes_one_turn_after_the_other_over_all_runs():
    model = ScriptedModel.from_calls([[ToolCall("add", {"a": 1})], "One.", []])
    agent = Agent(model, [add])
    assert agent.run("what is 1?").answer == "One."
    assert agent.run("and the moon?").status == "refused"
    assert len(model.prompts) == 3
    assert model.prompts[0].startswith('<|im_start|>user\n<tools>[{"name":"add"')
    assert model.prompts[0].endswith("\nwhat is 1?<|im_end|>\n<|im_start|>assistant\n")
    assert "what is 1?" not in model.prompts[2]


def test_names_that_models_see_in_another_spelling():
    calls = [[ToolCall("getWeather", {"cityName": "Oslo"})], "Rain."]
    run = Agent(ScriptedModel.from_calls(calls, tools=[weather]), [weather]).run("weather?")
    assert run.calls == [ToolCall("getWeather", {"cityName": "Oslo"})]
    with pytest.raises(ScriptError, match="getWeather"):
        Agent(ScriptedModel.from_calls(calls), [weather]).run("weather?")


@pytest.mark.parametrize(
    ("turn", "place"),
    [
        ("The answer, before any call.", "The answer"),
        ([ToolCall("subtract", {"a": 1})], "subtract"),
        ([ToolCall("add", {"a": "one"})], '"one"'),
        ([ToolCall("add", {"b": 1})], "}}]"),
        ([ToolCall("add", {"a": 1, "c": 1})], 'c":1'),
    ],
)
def test_a_turn_that_no_real_model_could_write(turn, place):
    with pytest.raises(ScriptError, match="turn 1 of the script is not possible") as error:
        Agent(ScriptedModel.from_calls([turn]), [add]).run("go on with 1 and 2")
    assert place in str(error.value)
    assert "\n" not in str(error.value)


def test_a_turn_that_does_not_end():
    with pytest.raises(ScriptError, match="then it ends"):
        Agent(ScriptedModel(["<think>hm"]), [add]).run("go on with 1 and 2")


def test_unchecked_turns_reach_the_agent():
    model = ScriptedModel.from_calls([[ToolCall("subtract", {"a": 1})], "Sorry."], check=False)
    run = Agent(model, [add]).run("go on with 1 and 2")
    assert run.observations[0].error.startswith("there is no tool called 'subtract'")


def test_the_script_is_over():
    with pytest.raises(ScriptError, match="it has 1 turn, and the agent asks for one more"):
        Agent(ScriptedModel.from_calls([[ToolCall("add", {"a": 1})]]), [add]).run("go on with 1 and 2")


def test_claims_confidence_turn_by_turn():
    calls = [[ToolCall("add", {"a": 1})], [ToolCall("add", {"a": 2})]]
    run = Agent(ScriptedModel.from_calls([*calls, "3"], confidence=[0.9, 0.5, None]), [add]).run("go on with 1 and 2")
    assert [step.confidence for step in run.steps if step.kind == "call"] == [0.9, 0.5]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_example_tools_in_every_dialect(dialect):
    """From a goal to executed calls and an answer: each turn is checked against the grammar, and read back."""
    calls = [ToolCall("set_timer", {"minutes": 9, "label": "pasta"}), ToolCall("get_weather", {"city": "Oslo"})]
    model = ScriptedModel.from_calls([calls, "The timer is set, and it is cold."], dialect=dialect)
    run = Agent(model, load_tools(EXAMPLES)).run("set a pasta timer for 9 minutes and tell me the weather in Oslo")
    assert [(call.name, call.arguments) for call in run.calls] == [(call.name, call.arguments) for call in calls]
    assert run.answer == "The timer is set, and it is cold."
    assert [result.ok for result in run.observations] == [True, True]
    first, second = model.prompts
    assert second.startswith(first)
    assert "set_timer" in first
    assert "monthly climate normals" in second


def test_a_model_of_another_dialect_writes_no_calls_of_needles():
    turn = "<think></think>\n<tool_call>[]</tool_call><|im_end|>"
    with pytest.raises(ScriptError, match="turn 1 of the script is not possible"):
        Agent(ScriptedModel([turn], dialect="functiongemma"), [add]).run("go on with 1 and 2")
    with pytest.raises(AgentError, match="no dialect is called 'latin'"):
        ScriptedModel([], dialect="latin")
