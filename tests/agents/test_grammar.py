"""What the call grammar accepts and refuses, text by text; random generations are in test_constrained_generation."""

from __future__ import annotations

import json

import llguidance
import pytest
from ferrule.agents.errors import SchemaError
from ferrule.agents.grammar import MAX_CALLS, call_grammar
from ferrule.agents.names import WireNames
from ferrule.tools.tool import Tool
from jsonschema import Draft202012Validator

BYTES = llguidance.LLTokenizer("byte")


def accepts(grammar: str, text: str) -> bool:
    matcher = llguidance.LLMatcher(BYTES, f"start: calls\n{grammar}", log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    data = list(text.encode())
    return matcher.try_consume_tokens(data) == len(data) and matcher.is_accepting()


class Value:
    """A tool with one required parameter `v` of the given schema."""

    def __init__(self, schema: object, **more: object) -> None:
        self.parameters = {"type": "object", "properties": {"v": schema}, "required": ["v"], **more}
        self.grammar = call_grammar([Tool("t", "", self.parameters)])

    def takes(self, text: str) -> bool:
        """Whether `text` may stand as the value; if so, the validator must agree."""
        taken = accepts(self.grammar, f'[{{"name":"t","arguments":{{"v":{text}}}}}]')
        if taken:
            Draft202012Validator(self.parameters).validate({"v": json.loads(text)})
        return taken


def check(schema: object, good: list[str], bad: list[str], **more: object) -> None:
    value = Value(schema, **more)
    assert [text for text in good if not value.takes(text)] == []
    assert [text for text in bad if value.takes(text)] == []


def test_list_of_calls():
    a = Tool("a", "", {"type": "object", "properties": {}})
    b = Tool("b.c", "", {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]})
    grammar = call_grammar([a, b])
    call_a, call_b = '{"name":"a","arguments":{}}', '{"name":"b.c","arguments":{"x":1}}'
    for text in ("[]", f"[{call_a}]", f"[{call_b},{call_a},{call_a}]"):
        assert accepts(grammar, text)
    for text in (
        "",
        "[ ]",
        call_a,
        f"[{call_a},]",
        f"[{call_a.replace('a', 'z', 1)}]",
        '[{"arguments":{},"name":"a"}]',
        "[{}]",
    ):
        assert not accepts(grammar, text)
    assert not accepts(grammar, '[{"name":"b","arguments":{}}]')
    assert accepts(grammar, f"[{','.join([call_a] * MAX_CALLS)}]")
    assert not accepts(grammar, f"[{','.join([call_a] * (MAX_CALLS + 1))}]")


def test_options():
    tool = Tool("a", "", {"type": "object", "properties": {}})
    call = '{"name":"a","arguments":{}}'
    assert not accepts(call_grammar([tool], min_calls=1), "[]")
    assert not accepts(call_grammar([tool], max_calls=1), f"[{call},{call}]")
    assert accepts(call_grammar([tool], max_calls=1), f"[{call}]")
    assert accepts(call_grammar([]), "[]")
    with pytest.raises(SchemaError, match="no tool"):
        call_grammar([], min_calls=1)


def test_wire_names():
    schema = {"type": "object", "properties": {"maxItems": {"type": "integer"}}, "additionalProperties": {"type": "null"}}
    tool = Tool("Kind Of", "", schema)
    grammar = call_grammar([tool], names=WireNames([tool]))
    assert accepts(grammar, '[{"name":"kind_of","arguments":{"max_items":1,"other":null}}]')
    # neither spelling may come in as an undeclared property
    for name in ("maxItems", "max_items"):
        assert not accepts(grammar, f'[{{"name":"kind_of","arguments":{{"{name}":null}}}}]')
    assert not accepts(grammar, '[{"name":"Kind Of","arguments":{}}]')


def test_properties_in_any_order_each_once():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}, "c": {"type": "null"}},
        "required": ["b"],
    }
    good = ['{"b":true}', '{"a":1,"b":true}', '{"c":null,"b":false,"a":1}']
    bad = ["{}", '{"a":1}', '{"b":true,"b":true}', '{"b":true,"d":1}', '{"b":true,}', '{"b":1}', '{ "b":true}', '{"b": true}']
    check(schema, good, bad)


def test_many_properties():
    names = [f"p{i}" for i in range(70)]
    schema = {"type": "object", "properties": {name: {"type": "integer"} for name in names}, "required": ["p3", "p69"]}
    check(
        schema,
        ['{"p3":1,"p69":2}', '{"p0":1,"p3":2,"p40":3,"p69":1}'],
        ['{"p69":1,"p3":2}', '{"p3":1}', "{}", '{"p0":1,"p69":1}'],
    )
    check({**schema, "required": []}, ["{}", '{"p69":1}'], ['{"p3":1,}'])


def test_undeclared_properties():
    declared = {"type": "object", "properties": {"a": {"type": "integer"}}}
    check(declared, ["{}", '{"a":1}'], ['{"b":1}'])
    check(
        {**declared, "additionalProperties": True},
        ['{"b":[1]}', '{"a":1,"b":{}}'],
        ['{"a":"x"}', '{"\\u0061":"x"}', '{"a\\n":1}'],
    )
    check({**declared, "additionalProperties": {"type": "null"}}, ['{"b":null}'], ['{"b":1}', '{"a":null}'])
    check({"type": "object"}, ["{}", '{"x":{"y":[1,"z",null]}}'], ["[]"])
    check({"type": "object", "additionalProperties": False}, ["{}"], ['{"a":1}'])
    check({"type": "object", "required": ["a"]}, ['{"a":1}', '{"a":"x","b":2}'], ["{}", '{"b":1}'])


def test_property_counts():
    three = {"type": "object", "properties": {key: {"type": "integer"} for key in "abc"}}
    check({**three, "minProperties": 2}, ['{"a":1,"c":1}'], ["{}", '{"a":1}'])
    check({**three, "maxProperties": 1}, ["{}", '{"b":1}'], ['{"a":1,"c":1}'])
    check(
        {**three, "required": ["c"], "maxProperties": 2}, ['{"a":1,"c":1}', '{"c":1}'], ['{"a":1,"b":1,"c":1}', '{"a":1,"b":1}']
    )
    check({**three, "maxProperties": 0}, ["{}"], ['{"a":1}'])
    free = {"type": "object", "additionalProperties": {"type": "integer"}}
    check({**free, "minProperties": 1}, ['{"x":1}'], ["{}"])
    check({**free, "maxProperties": 2}, ["{}", '{"x":1,"y":1}'], ['{"x":1,"y":1,"z":1}'])


def test_pattern_properties():
    schema = {"type": "object", "patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False}
    check(schema, ["{}", '{"x-a":1}'], ['{"y":1}', '{"x-a":"b"}'])
    # a declared name that matches must satisfy both
    schema = {"type": "object", "properties": {"x-a": {"minimum": 5}}, "patternProperties": {"^x-": {"type": "integer"}}}
    check(schema, ['{"x-a":5}', '{"x-b":1}'], ['{"x-a":4}', '{"x-a":"b"}'])


def test_strings():
    check({"type": "string"}, ['""', '"naïve 東京 😀"', r'"a\"b\\c\n"'], ['"\\u0041"', '"\\ud800"', '"\x01"', "'a'", '"a'])
    check({"type": "string", "maxLength": 2}, ['"😀😀"', r'"\n\""', '""'], ['"abc"', '"😀😀😀"'])
    check({"type": "string", "minLength": 2}, ['"ab"', r'"\n\n"'], ['"😀"', '""'])
    check({"type": "string", "pattern": "^[a-z]+$", "maxLength": 3}, ['"abc"'], ['"abcd"', '""', '"A"'])
    check({"type": "string", "pattern": "b"}, ['"abc"', '"b"'], ['"ac"'])
    check({"type": "string", "format": "date"}, ['"2024-02-29"'], ['"2023-02-29"', '"today"'])
    check({"type": "string", "format": "no-such"}, ['"anything"'], ["1"])
    check({"allOf": [{"type": "string", "pattern": "^a"}, {"pattern": "b$"}]}, ['"ab"', '"axxb"'], ['"a"', '"b"', '"ba"'])


def test_numbers():
    check({"type": "integer"}, ["0", "-12", "999999999999999"], ["1.0", "01", "1e5", "+1", "-", "1" * 5000])
    check({"type": "integer", "minimum": 3, "exclusiveMaximum": 12}, ["3", "11"], ["2", "12", "-3", "1", "111"])
    check({"type": "integer", "minimum": 2.5, "maximum": 1e300}, ["3", "900"], ["2"])
    check({"type": "number"}, ["0", "-1.5", "6.67e-11", "1E9"], ["1e400", ".5", "1.", "NaN", "Infinity", "1e-400"])
    check({"type": "number", "minimum": 0}, ["0", "0.5", "6.67e-11"], ["-1"])
    check({"type": "number", "exclusiveMinimum": 0}, ["0.5", "1e-99"], ["0", "0.0", "-1"])
    check(
        {"type": "number", "minimum": -0.5, "exclusiveMaximum": 1.5}, ["-0.5", "0", "1.49", "1"], ["-0.51", "1.5", "1.50", "2"]
    )
    # text below the bound that is read as the bound
    check({"type": "number", "exclusiveMaximum": 1}, ["0.99999999999999"], ["0.99999999999999999999", "1"])
    check({"type": "number", "exclusiveMaximum": 0.1 + 0.2}, ["0.3"], ["0.30000000000000004"])
    check({"type": ["integer", "string"], "maximum": 5}, ["5", '"x"'], ["6", "1.5", "null"])


def test_multiples():
    check({"type": "integer", "multipleOf": 5, "minimum": 3, "maximum": 22}, ["5", "20"], ["0", "7", "25"])
    check({"type": "integer", "multipleOf": 7}, ["0", "-7", "700"], ["8", "1" * 30])
    check({"type": "number", "multipleOf": 0.5}, ["3"], [])
    check({"type": "number", "multipleOf": 2.5}, ["5", "10"], ["3"])
    with pytest.raises(SchemaError, match=r"multipleOf.*0\.01"):
        Value({"type": "number", "multipleOf": 0.01})


def test_listed_values():
    check(
        {"enum": ["on", 'q"', 1, 2.5, None, True, [1], {"a": 1}]},
        ['"on"', '"q\\""', "1", "null", '{"a":1}'],
        ['"off"', "1.0", "false"],
    )
    check({"const": {"b": [1, "x"]}}, ['{"b":[1,"x"]}'], ['{"b":[1]}'])
    # siblings are checked by the validator itself, whatever they are
    check({"enum": ["a", "bb", 3], "type": "string", "minLength": 2}, ['"bb"'], ['"a"', "3"])
    check({"enum": ["a", "b"], "not": {"const": "a"}}, ['"b"'], ['"a"'])
    check({"allOf": [{"enum": [1, 2]}, {"enum": [2, 3]}]}, ["2"], ["1", "3"])


def test_arrays():
    check({"type": "array", "items": {"type": "integer"}}, ["[]", "[1,2,3]"], ['["a"]', "[1,]", "[1, 2]"])
    check(
        {"type": "array", "items": {"type": "null"}, "minItems": 2, "maxItems": 3},
        ["[null,null]"],
        ["[null]", "[]", "[null,null,null,null]"],
    )
    check({"type": "array", "items": {"type": "null"}, "maxItems": 0}, ["[]"], ["[null]"])
    check({"type": "array", "items": {"type": "null"}, "maxItems": 1}, ["[]", "[null]"], ["[null,null]"])
    pair = {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}
    check({**pair, "items": False, "minItems": 2}, ['[1,"a"]'], ["[1]", "[]", '["a",1]', '[1,"a",2]'])
    check({**pair, "items": {"type": "null"}}, ["[]", "[1]", '[1,"a",null]'], ["[null]", '[1,"a",2]'])
    check(
        {**pair, "items": {"type": "null"}, "minItems": 3, "maxItems": 4},
        ['[1,"a",null]'],
        ['[1,"a"]', '[1,"a",null,null,null]'],
    )
    check({"type": "array"}, ["[]", '[1,"a",{"b":[]}]'], ["{}"])


def test_unique_items():
    check({"type": "array", "items": {"enum": ["a", "b", 1]}, "uniqueItems": True}, ["[]", '["b",1,"a"]'], ['["a","a"]'])
    flags = {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "minItems": 2}
    check(flags, ["[true,false]", "[false,true]"], ["[true]", "[true,true]"])
    check({"type": "array", "items": {"type": "string"}, "uniqueItems": True, "maxItems": 1}, ["[]", '["a"]'], ['["a","a"]'])
    # of free values the grammar cannot know; the dialect drops repeated ones
    tags = Tool(
        "t", "", {"type": "object", "properties": {"v": {"type": "array", "items": {"type": "string"}, "uniqueItems": True}}}
    )
    assert accepts(call_grammar([tags]), '[{"name":"t","arguments":{"v":["a","a"]}}]')
    with pytest.raises(SchemaError, match="uniqueItems"):
        Value({"type": "array", "items": {"type": "string"}, "uniqueItems": True, "minItems": 2})


def test_references():
    defs = {"point": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}}
    check({"$ref": "#/$defs/point"}, ['{"x":1}'], ["{}"], **{"$defs": defs})
    more = {"$ref": "#/$defs/point", "properties": {"y": {"type": "null"}}, "required": ["y"]}
    check(more, ['{"y":null,"x":1}'], ['{"x":1}'], **{"$defs": defs})
    check({"$ref": "#/$defs/a~1b%25"}, ["null"], ["1"], **{"$defs": {"a/b%": {"type": "null"}}})


def test_recursive_references():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "v": {"type": "integer"}}, "required": ["v"]}
    check(
        {"$ref": "#/$defs/node"},
        ['{"v":1}', '{"v":1,"next":{"next":{"v":3},"v":2}}'],
        ['{"next":{}}'],
        **{"$defs": {"node": node}},
    )
    endless = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["next"]}
    with pytest.raises(SchemaError, match="no value satisfies"):
        Value({"$ref": "#/$defs/node"}, **{"$defs": {"node": endless}})


def test_alternatives():
    check({"anyOf": [{"type": "integer", "minimum": 5}, {"type": "string", "maxLength": 1}]}, ["5", '"a"'], ["4", '"ab"'])
    check(
        {"type": "object", "properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        ['{"a":1}', '{"b":1,"a":2}'],
        ["{}"],
    )
    check(
        {"allOf": [{"properties": {"a": {"type": "integer"}}}, {"properties": {"a": {"minimum": 3}}, "required": ["a"]}]},
        ['{"a":3}'],
        ['{"a":2}', "{}"],
    )
    check({"oneOf": [{"type": "integer"}, {"type": "string"}, {"enum": [True, None]}]}, ["1", '"a"', "null"], ["false", "1.5"])
    cat = {"type": "object", "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}}, "required": ["kind"]}
    dog = {"type": "object", "properties": {"kind": {"enum": ["dog", "wolf"]}}, "required": ["kind"]}
    check({"oneOf": [cat, dog]}, ['{"kind":"cat","lives":9}', '{"kind":"wolf"}'], ['{"lives":9}', '{"kind":"dog","lives":9}'])
    by_name = [{"type": "object", "properties": {n: {"type": "null"}}, "required": [n]} for n in "ab"]
    check({"oneOf": by_name}, ['{"a":null}', '{"b":null}'], ['{"a":null,"b":null}', "{}"])
    check({"type": ["string", "null"]}, ['"a"', "null"], ["1"])
    check(True, ["1", '{"a":[]}'], [""])
    check({}, ["null", "[1]"], ["nul"])


UNSUPPORTED = [
    ({"type": "integer", "not": {"const": 3}}, "not"),
    ({"type": "object", "if": {"required": ["a"]}, "then": {"required": ["b"]}}, "if"),
    ({"type": "object", "dependentRequired": {"a": ["b"]}}, "dependentRequired"),
    ({"type": "object", "dependentSchemas": {"a": {}}}, "dependentSchemas"),
    ({"type": "object", "propertyNames": {"maxLength": 3}}, "propertyNames"),
    ({"type": "object", "unevaluatedProperties": False}, "unevaluatedProperties"),
    ({"type": "array", "contains": {"const": 1}}, "contains"),
    ({"type": "string", "pattern": "(?=a)"}, "pattern"),
    ({"type": "string", "pattern": r"\p{L}"}, "pattern"),
    ({"type": "string", "pattern": "^a$", "minLength": 5}, "pattern"),
    ({"type": "string", "minLength": 10**9}, "minLength"),
    ({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2}, "minProperties"),
    ({"type": "object", "patternProperties": {"(": {}}, "properties": {"a": {}}}, "pattern"),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf"),
    ({"oneOf": [{"type": "string"}, {"type": "string", "pattern": "^a"}]}, "oneOf"),
    ({"$ref": "https://example.org/schema"}, "$ref"),
    ({"$ref": "#anchor"}, "$ref"),
    ({"$id": "https://example.org/v", "$ref": "#/$defs/x"}, "$id"),
    ({"type": "number", "minimum": 1e300}, "minimum"),
    ({"type": "integer", "minimum": 5, "maximum": 4}, "no value satisfies"),
    ({"enum": ["a"], "type": "integer"}, "no value satisfies"),
    (False, "no value satisfies"),
]


@pytest.mark.parametrize(("schema", "keyword"), UNSUPPORTED, ids=lambda case: case if isinstance(case, str) else "")
def test_what_cannot_be_guaranteed_is_refused(schema, keyword):
    parameters = {"type": "object", "properties": {"v": schema}, "required": ["v"], "$defs": {"x": {"$anchor": "anchor"}}}

    class Unchecked:
        """As a Tool, which would itself refuse some of these."""

        name, description = "my_tool", ""

    Unchecked.parameters = parameters
    with pytest.raises(SchemaError) as error:
        call_grammar([Unchecked])
    message = str(error.value)
    assert "my_tool" in message
    assert keyword in message
    assert "\n" not in message


def test_impossible_alternatives_are_left_out():
    check({"anyOf": [{"type": "integer", "minimum": 5, "maximum": 4}, {"type": "null"}]}, ["null"], ["5", "4"])
    optional = Tool("t", "", {"type": "object", "properties": {"a": False, "b": {"type": "null"}}})
    assert accepts(call_grammar([optional]), '[{"name":"t","arguments":{"b":null}}]')
    assert not accepts(call_grammar([optional]), '[{"name":"t","arguments":{"a":null}}]')


def test_text_that_spells_grammar_syntax():
    names = ['"', "/", "\\", "%json", "| x", "\n", "//", "{", "é\U0001f600"]
    tools = [Tool("t", "", {"type": "object", "properties": {name: {"enum": names} for name in names}})]
    grammar = call_grammar(tools)
    for name in names:
        arguments = json.dumps({name: name}, ensure_ascii=False, separators=(",", ":"))
        assert accepts(grammar, f'[{{"name":"t","arguments":{arguments}}}]')
