from __future__ import annotations

import pytest
from ferrule.agents.dialects.functiongemma import FunctionGemmaDialect
from ferrule.agents.errors import ParseError, SchemaError
from ferrule.tools.call import ToolCall, ToolResult
from ferrule.tools.tool import Tool

dialect = FunctionGemmaDialect()
SENTENCE = "You are a model that can do function calling with the following functions"


def parse(arguments: str) -> dict:
    (call,) = dialect.parse(f"<start_function_call>call:f{arguments}<end_function_call><start_function_response>").calls
    return call.arguments


def test_the_sentence_follows_the_system_text_and_no_turn_stands_for_nothing():
    ping = Tool("ping", "Says pong.")
    declared = "<start_function_declaration>declaration:ping{description:<escape>Says pong.<escape>,parameters:"
    declared += "{type:<escape>OBJECT<escape>}}<end_function_declaration><end_of_turn>\n"
    assert dialect.render_prefix(None, [ping]) == f"<start_of_turn>developer\n{SENTENCE}{declared}"
    assert dialect.render_prefix(" date: 2026-11-22\n", [ping]) == (
        f"<start_of_turn>developer\ndate: 2026-11-22\n{SENTENCE}{declared}"
    )
    assert dialect.render_prefix("Be brief.", []) == "<start_of_turn>developer\nBe brief.<end_of_turn>\n"
    assert dialect.render_prefix(None, []) == ""


def test_declarations_show_what_the_template_would_lose():
    properties = {
        "type": {"type": "string", "description": "A parameter that is called as a keyword."},
        "note": {"type": ["string", "null"]},
        "either": {"type": ["integer", "string"]},
        "who": {"$ref": "#/$defs/person", "description": "Who."},
        "any": {"type": "object"},
        "a:b": {},
    }
    person = {"type": "object", "description": "Anyone.", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    prompt = dialect.render_prefix(
        None, [Tool("f", "", {"type": "object", "properties": properties, "$defs": {"person": person}})]
    )
    empty = "description:<escape><escape>"
    for part in (
        "type:{description:<escape>A parameter that is called as a keyword.<escape>,type:<escape>STRING<escape>}",
        f"note:{{{empty},type:<escape>STRING<escape>}}",
        f"either:{{{empty},type:[<escape>INTEGER<escape>,<escape>STRING<escape>]}}",
        f"who:{{description:<escape>Who.<escape>,properties:{{name:{{{empty},type:<escape>STRING<escape>}}}},"
        "required:[<escape>name<escape>],type:<escape>OBJECT<escape>}",
        f"any:{{{empty},properties:{{}},type:<escape>OBJECT<escape>}}",
        f"<escape>a:b<escape>:{{{empty},type:<escape><escape>}}",
    ):
        assert part in prompt


def test_results_go_on_in_the_same_turn():
    call = ToolCall("a.b", {})
    results = [
        ToolResult(call, True, {"x": None, "B": [1.5, {"z": "}", "y": True}]}),
        ToolResult(call, False, error="no <escape>"),
    ]
    assert dialect.render_results(results) == (
        "response:a.b{B:[1.5,{y:true,z:<escape>}<escape>}],x:null}<end_function_response>"
        "<start_function_response>response:a.b{error:<escape>no < escape><escape>}<end_function_response>"
    )
    assert dialect.render_results([ToolResult(call, True, ["a"])]) == (
        "response:a.b{value:[<escape>a<escape>]}<end_function_response>"
    )


def test_what_other_parsers_lose():
    assert parse("{n:1,x:-1.5e3,b:true,z:null}") == {"n": 1, "x": -1500.0, "b": True, "z": None}  # not dropped
    assert parse("{s:<escape>123<escape>,t:<escape>true<escape>}") == {"s": "123", "t": "true"}  # not converted
    assert parse("{a:{b:[{c:<escape>}],{<escape>}]}}") == {"a": {"b": [{"c": "}],{"}]}}  # nested, with brackets in the text
    assert parse("{<escape>a:b<escape>:[],c d:{}}") == {"a:b": [], "c d": {}}
    assert parse(" { a : 1 , b : [ ] } ") == {"a": 1, "b": []}
    text = "<start_function_call>call:a.b.c{x:1}<end_function_call><start_function_call>call:d-e{}<end_function_call>"
    assert dialect.parse(text).calls == (ToolCall("a.b.c", {"x": 1}), ToolCall("d-e", {}))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("{a:Tokyo}", "a value should begin here"),
        ("{a:<escape>Tokyo}", "a string does not end"),
        ("{a:<escape>a<escape>b<escape>}", "',' should stand here"),
        ("{a}", "':' should stand here"),
        ("{:1}", "a name should stand here"),
        ("{a:1", "',' should stand here"),
        ("[1]", "needs its arguments"),
        ("{a:1e999}", "too large"),
        ("{a:" + "9" * 5000 + "}", "too large"),
        ("{a:" + "[" * 5000, "nested too deeply"),
        ("{a:01}", "',' should stand here"),
    ],
)
def test_what_is_no_call(arguments, problem):
    with pytest.raises(ParseError, match=problem):
        parse(arguments)


def test_without_tokens_the_marker_is_no_part_of_a_value():
    """Then it is text, which nothing in a string can be told from."""
    for schema in ({"enum": ["a<escape>b"]}, {"properties": {"<escape>": {}}}):
        with pytest.raises(SchemaError, match="ends a string"):
            dialect.grammar([Tool("f", "", {"type": "object", "properties": {"v": schema}})])
    with pytest.raises(SchemaError, match="rename it"):
        dialect.grammar([Tool("f<escape>", "", {"type": "object"})])
