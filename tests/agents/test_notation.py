"""What a notation writes is read back equal, and names stand bare only where nothing can be mistaken."""

from __future__ import annotations

import ast
import json
import re

import pytest
from ferrule.agents.lark import Rules
from ferrule.agents.notation import BARE, JSON, SPACED, MarkedNotation, PythonNotation
from ferrule.agents.reading import MarkedReader, PythonReader
from hypothesis import given
from hypothesis import strategies as st

PYTHON, MARKED = PythonNotation(), MarkedNotation(quote="<escape>")
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ['"}', "'", "\\n", "a\nb", "null", "1", " "]
)
_scalars = _texts | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none()
values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3), max_leaves=8
)


def same(first: object, second: object) -> bool:
    return json.dumps(first) == json.dumps(second)


@given(values)
def test_json_is_what_json_writes(value):
    assert JSON.write(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert SPACED.write(value) == json.dumps(value, ensure_ascii=False)


@given(values)
def test_python_reads_back_what_is_written_as_python(value):
    written = PYTHON.write(value)
    assert same(ast.literal_eval(written), value)
    reader = PythonReader(written, 0)
    assert same(reader.value(), value)
    assert reader.at == len(written)


@given(values)
def test_marked_values_are_read_back(value):
    written = MARKED.write(value)
    reader = MarkedReader(written, 0, MARKED.quote)
    assert same(reader.value(), value)
    assert reader.at == len(written)


@given(st.dictionaries(_texts, values, max_size=3))
def test_arguments_are_read_back(arguments):
    assert same(PythonReader(PYTHON.arguments(arguments), 0).arguments(), arguments)
    assert same(MarkedReader(MARKED.arguments(arguments), 0, MARKED.quote).value(), arguments)


@pytest.mark.parametrize("name", ["a", "b.c", "x-y", "列", "first name", "7", "a>b", "|", "true"])
def test_bare_names(name):
    assert re.fullmatch(BARE, name)
    assert MARKED.key(name) == name


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "a:b", "{", "}", "[", "a,b", "<", "<escape>", '"', "'", "`", "a\n", "\t", "a\x00b"]
)
def test_names_that_are_not_bare(name):
    assert MARKED.key(name) == f"<escape>{name}<escape>"


def test_what_has_no_spelling():
    assert MARKED.unwritable({"a": ["b", {"c<escape>": 1}]}) == "c<escape>"
    assert MARKED.unwritable({"a": ["b", {"c": "<escape>d"}]}) == "<escape>d"
    assert MarkedNotation(quote="\udc00", token="<[5]>").unwritable("<escape>") == ""
    assert JSON.unwritable('"') == ""
    with pytest.raises(ValueError, match="JSON"):
        PYTHON.write(float("nan"))


def test_tokens_are_written_by_id():
    marked = MarkedNotation(quote="\udc00", token="<[5]>")
    assert marked.lark(marked.key("a:b"), marked.colon) == '<[5]> "a:b" <[5]> ":"'
    assert marked.listed(Rules(), ["a", "b", 1, None]) == "T0 | <[5]> T1 <[5]>"
