"""Calls that mean the same have the same key."""

import json

from ferrule.tools import ToolCall
from hypothesis import given, settings
from hypothesis import strategies as st

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4))


def reversed_keys(value):
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


@settings(deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_key_does_not_depend_on_key_order_or_id(arguments):
    assert ToolCall("f", arguments, "a").key() == ToolCall("f", reversed_keys(arguments), "b").key()


@settings(deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=3), st.dictionaries(st.text(), JSON, max_size=3))
def test_keys_are_equal_only_for_equal_json(left, right):
    # The oracle is JSON equality: numbers by value, true is not 1.
    def same(a, b):
        if isinstance(a, bool) or isinstance(b, bool):
            return a is b
        if isinstance(a, dict) and isinstance(b, dict):
            return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
        if isinstance(a, list) and isinstance(b, list):
            return len(a) == len(b) and all(map(same, a, b))
        return a == b and isinstance(a, (dict, list)) == isinstance(b, (dict, list))

    assert (ToolCall("f", left).key() == ToolCall("f", right).key()) == same(left, right)


def test_key_tells_apart_what_json_tells_apart():
    assert ToolCall("f", {"a": 1}).key() == ToolCall("f", {"a": 1.0}).key()
    assert ToolCall("f", {"a": 1}).key() != ToolCall("f", {"a": True}).key()
    assert ToolCall("f", {"a": 1}).key() != ToolCall("f", {"a": "1"}).key()
    assert ToolCall("f", {"a": 1}).key() != ToolCall("g", {"a": 1}).key()
    assert json.loads(ToolCall("f", {"b": 1, "a": 2}).key()) == ["f", {"a": 2, "b": 1}]
