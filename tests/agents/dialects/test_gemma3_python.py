from __future__ import annotations

import ast
from contextlib import nullcontext

import pytest
from ferrule.agents.dialects.gemma3_python import Gemma3PythonDialect
from ferrule.agents.errors import ParseError
from ferrule.tools.call import ToolCall, ToolResult
from ferrule.tools.tool import Tool

dialect = Gemma3PythonDialect()
MODEL = "<end_of_turn>\n<start_of_turn>model\n"


def parse(text: str) -> dict:
    (call,) = dialect.parse(text).calls
    return call.arguments


def test_prompt():
    tool = Tool("a.b", "", {"type": "object", "properties": {}})
    prompt = dialect.render_prefix("Be brief.", [tool]) + dialect.render_user("hi")
    assert prompt.startswith("<start_of_turn>user\nBe brief.\n\nYou can call functions.")
    assert prompt.endswith('"parameters": {"type": "object", "properties": {}}}]\n\nhi' + MODEL)
    results = dialect.render_results([ToolResult(ToolCall("a.b", {}), True, 27)])
    assert results == "\n<start_of_turn>user\nThe functions returned: [27]" + MODEL


def test_calls_are_python():
    arguments = {"city": 'São\n"Paulo"', "n": 1, "x": 1e22, "b": True, "z": None, "l": [[], {"a b": False}]}
    other = {"from": 1, "x-y": "'", "None": 2, "é": 3}
    written = dialect.render_calls([ToolCall("a.b", arguments), ToolCall("f", other)])
    assert written == (
        '[a.b(city="São\\n\\"Paulo\\"", n=1, x=1e+22, b=True, z=None, l=[[], {"a b": False}]), '
        'f(**{"from": 1}, **{"x-y": "\'"}, **{"None": 2}, **{"é": 3})]'
    )
    # Python itself reads the same in it.
    first, second = ast.parse(written, mode="eval").body.elts
    assert ast.unparse(first.func) == "a.b"
    assert {keyword.arg: ast.literal_eval(keyword.value) for keyword in first.keywords} == arguments
    assert {k: v for keyword in second.keywords for k, v in ast.literal_eval(keyword.value).items()} == other
    assert [call.arguments for call in dialect.parse(written).calls] == [arguments, other]


def test_names_that_python_has_not():
    calls = [ToolCall("Kind Of", {}), ToolCall('q"(', {"a": 1}), ToolCall("列", {})]
    assert dialect.render_calls(calls) == '["Kind Of"(), "q\\"("(a=1), 列()]'
    assert list(dialect.parse(dialect.render_calls(calls)).calls) == calls


@pytest.mark.parametrize(
    "text", [r"'a'", r'"\x41\u00e9\U0001f600\101"', r"'\'\"\\\a\d'", r"'\n\t\b\f\r\v'", "'a\\\nb'", r"'\0'"]
)
def test_strings_are_read_as_python_reads_them(text):
    with pytest.warns() if "\\d" in text else nullcontext():
        expected = ast.literal_eval(text)
    assert parse(f"[f(a={text})]") == {"a": expected}


def test_what_models_mix_in():
    assert parse('[f(a=true, b = null , **{"c-d": 1, "e": [False]})]') == {"a": True, "b": None, "c-d": 1, "e": [False]}
    assert parse(r'[f(a="\ud83d\ude00")]') == {"a": "😀"}
    assert parse("[ f ( ) ]") == {}


@pytest.mark.parametrize(
    "call",
    [
        "f(1)",
        "f(a=b)",
        "f(a=open('x'))",
        "f(a=1+1)",
        "f(a=(1, 2))",
        "f(a=f'{x}')",
        "f(a='x",
        "f(a=1",
        "f(a.b=1)",
        "f(**[1])",
        "f(**{1: 2})",
        "f(a=__import__('os'))",
        "f.(a=1)",
        "f(a=[1,,2])",
        r"f(a='\ud800')",
        r"f(a='\U00110000')",
        "f(a=" + "[" * 10_000,
        "f(a=" + "9" * 10_000 + ")",
        "f(a=" + "-" * 10_000,
        "f" + ".f" * 10_000,
        "(" * 10_000,
    ],
)
def test_what_is_no_call_is_refused_and_never_evaluated(call):
    with pytest.raises(ParseError):
        dialect.parse(f"[{call}]")
