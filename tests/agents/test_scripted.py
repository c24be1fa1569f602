from __future__ import annotations

import doctest

import ferrule.agents.scripted
import pytest
from ferrule.agents import Agent, ScriptedModel, ScriptError
from ferrule.agents.scripted import ScriptedTokenizer
from ferrule.tools import ToolCall, tool
from hypothesis import given
from hypothesis import strategies as st


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
    tokenizer = ScriptedTokenizer()
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
    tokenizer = ScriptedTokenizer()
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
