"""Whatever the text, the readers give a value or say what is wrong, in one line."""

from __future__ import annotations

import json

import pytest
from ferrule.agents.errors import ParseError
from ferrule.agents.reading import MAX_DEPTH, MarkedReader, PythonReader
from hypothesis import given, settings
from hypothesis import strategies as st

_pieces = st.sampled_from(
    ["{", "}", "[", "]", "(", ")", ",", ":", "=", "**", "<escape>", '"', "'", "\\", "\\u12", "-", "1", "1e9"]
)
_pieces |= st.sampled_from([".5", "a", "true", "None", " ", "\n", "\\N{DASH}", "\\777", "\udc00", "9" * 5000, "[" * 500])
texts = st.lists(_pieces | st.text(max_size=2), max_size=12).map("".join)
LONGEST_ESCAPE = len(repr("\U000e0001")) - 2  # of one of the 80 characters that are shown


@settings(max_examples=500)
@given(texts)
def test_any_text_gives_a_value_or_a_parse_error(text):
    for read in (MarkedReader(text, 0, "<escape>").value, PythonReader(text, 0).value, PythonReader("(" + text, 0).arguments):
        try:
            json.dumps(read(), allow_nan=False)
        except ParseError as error:
            assert "\n" not in str(error)  # noqa: PT017
            assert len(str(error)) <= 100 + 80 * LONGEST_ESCAPE  # noqa: PT017


def test_depth():
    for reader in (MarkedReader, PythonReader):
        more = ("<escape>",) if reader is MarkedReader else ()
        deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
        assert json.dumps(reader(deep, 0, *more).value()) == deep
        with pytest.raises(ParseError, match="nested too deeply"):
            reader(f"[{deep}]", 0, *more).value()


def test_a_value_ends_where_it_ends():
    reader = MarkedReader("x{a:1}y", 1, "<escape>")
    assert reader.value() == {"a": 1}
    assert reader.at == 6
    with pytest.raises(ParseError, match="'z' should stand here, received 'y'"):
        reader.expect("z")
