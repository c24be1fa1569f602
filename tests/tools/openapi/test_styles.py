"""Styles against the tables of the specification (3.1.1, "Style Examples"; RFC 6570)."""

from urllib.parse import parse_qsl, unquote

import pytest
from ferrule.tools.openapi.styles import escape, escape_reserved, header_text, path_text, query_pairs, text_of
from hypothesis import given
from hypothesis import strategies as st

ARRAY = ["blue", "black", "brown"]
OBJECT = {"R": 100, "G": 200, "B": 150}


def query(value, style, explode):
    return "&".join(f"{name}={text}" for name, text in query_pairs("color", value, style, explode))


@pytest.mark.parametrize(
    ("style", "explode", "text", "array", "mapping"),
    [
        ("matrix", False, ";color=blue", ";color=blue,black,brown", ";color=R,100,G,200,B,150"),
        ("matrix", True, ";color=blue", ";color=blue;color=black;color=brown", ";R=100;G=200;B=150"),
        ("label", False, ".blue", ".blue,black,brown", ".R,100,G,200,B,150"),
        ("label", True, ".blue", ".blue.black.brown", ".R=100.G=200.B=150"),
        ("simple", False, "blue", "blue,black,brown", "R,100,G,200,B,150"),
        ("simple", True, "blue", "blue,black,brown", "R=100,G=200,B=150"),
    ],
)
def test_paths(style, explode, text, array, mapping):
    assert [path_text("color", value, style, explode) for value in ("blue", ARRAY, OBJECT)] == [text, array, mapping]
    if style == "simple":
        assert [header_text(value, explode) for value in ("blue", ARRAY, OBJECT)] == [text, array, mapping]


@pytest.mark.parametrize(
    ("style", "explode", "array", "mapping"),
    [
        ("form", False, "color=blue,black,brown", "color=R,100,G,200,B,150"),
        ("form", True, "color=blue&color=black&color=brown", "R=100&G=200&B=150"),
        ("spaceDelimited", False, "color=blue%20black%20brown", "color=R%20100%20G%20200%20B%20150"),
        ("pipeDelimited", False, "color=blue%7Cblack%7Cbrown", "color=R%7C100%7CG%7C200%7CB%7C150"),
        ("spaceDelimited", True, "color=blue&color=black&color=brown", None),
        ("pipeDelimited", True, "color=blue&color=black&color=brown", None),
        ("deepObject", True, None, "color[R]=100&color[G]=200&color[B]=150"),
    ],
)
def test_queries(style, explode, array, mapping):
    assert array is None or query(ARRAY, style, explode) == array
    assert mapping is None or query(OBJECT, style, explode) == mapping


def test_what_is_written_for_values():
    assert [text_of(value) for value in (True, False, 3, 3.0, -0.0, 0.1, 1e21, "é", [1, {"a": None}])] == [
        *("true", "false", "3", "3", "0", "0.1", "1000000000000000000000", "é", '[1,{"a":null}]')
    ]
    assert query(None, "form", True) == query([], "form", True) == query([None], "form", False) == ""
    assert query("", "form", True) == "color="
    assert path_text("color", "", "matrix", False) == ";color="
    assert path_text("color", [], "simple", False) == path_text("color", {}, "label", True) == ""
    # Nested values have no style: JSON, as documentation pages send them.
    assert query([{"a": 1}], "form", True) == "color=%7B%22a%22%3A1%7D"
    assert query({"a": {"b": [1, 2]}, "n": None}, "deepObject", True) == "color[a][b]=1&color[a][b]=2"


def test_delimiters_in_values_are_not_delimiters():
    assert query(["a,b", "c"], "form", False) == "color=a%2Cb,c"
    assert path_text("color", ["a,b", "c/d"], "simple", False) == "a%2Cb,c%2Fd"
    assert path_text("color", ["a;b=c"], "matrix", True) == ";color=a%3Bb%3Dc"
    assert query_pairs("a&b=c[]", "x", "form", True) == [("a%26b%3Dc%5B%5D", "x")]


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_escaping_is_undone_by_unquote(text):
    assert unquote(escape(text)) == text
    assert escape(text).isascii()
    assert not set(escape(text)) & set("/?#&=+ ;,\r\n")
    assert parse_qsl(f"a={escape_reserved(text)}&b=1", keep_blank_values=True) == [("a", text), ("b", "1")]
