from __future__ import annotations

import pytest
from ferrule.tools import RetryCall, ToolResultError
from ferrule.tools.mcp.results import read_result
from mcp_types import CallToolResult, ImageContent, TextContent


def read(*texts, **fields):
    return read_result("a server", "f", CallToolResult(content=[TextContent(text=text) for text in texts], **fields))


@pytest.mark.parametrize(
    ("texts", "value"),
    [
        ([], None),
        ([""], ""),
        (["12"], "12"),
        (["true"], "true"),
        (['"quoted"'], '"quoted"'),
        ([' {"a": [1, 2.5, null]}\n'], {"a": [1, 2.5, None]}),
        (["[]"], []),
        (["[note] read this"], "[note] read this"),
        (['{"a": NaN}'], '{"a": NaN}'),
        (["[" * 100_000], "[" * 100_000),
        (["a", '{"b": 1}'], ["a", {"b": 1}]),
    ],
)
def test_texts(texts, value):
    assert read(*texts) == value


def test_structured_content_goes_before_its_text():
    assert read('{"a": 1}', structured_content={"a": 1}) == {"a": 1}
    assert read("text", structured_content=0) == 0
    assert read("text", structured_content=None) == "text"


def test_structured_content_with_a_picture():
    picture = ImageContent(data="AAAA", mime_type="image/png")
    result = CallToolResult(content=[TextContent(text="x"), picture], structured_content={"a": 1})
    described = {"type": "image", "mime_type": "image/png", "bytes": 3}
    assert read_result("s", "f", result) == {"result": {"a": 1}, "content": [described]}


@pytest.mark.parametrize(
    ("texts", "fields", "said"),
    [
        (["no\nsuch", "file"], {}, "f: no such file"),
        ([], {}, "f: it failed, and a server did not say why"),
        ([], {"structured_content": {"code": 5}}, 'f: {"code": 5}'),
    ],
)
def test_failures(texts, fields, said):
    with pytest.raises(RetryCall) as caught:
        read(*texts, is_error=True, **fields)
    assert str(caught.value) == said


def test_a_long_failure_is_cut():
    with pytest.raises(RetryCall) as caught:
        read("x" * 10_000, is_error=True)
    assert len(str(caught.value)) < 1100


def test_everything_that_is_no_text_is_described(tools):
    assert tools["media"].call({}) == [
        {"type": "image", "mime_type": "image/png", "bytes": 3_000_000},
        {"type": "audio", "mime_type": "audio/wav", "bytes": 5},
        {"type": "resource_link", "uri": "file:///a/b.txt", "name": "b", "mime_type": "text/plain"},
        {"type": "resource", "uri": "memo:1", "mime_type": "text/plain", "text": "a note"},
        {"type": "resource", "uri": "memo:2", "bytes": 3},
        "and words",
    ]


def test_what_comes_over_the_wire(tools):
    assert tools["several"].call({}) == ["one", [2, {}], "3", "[half"]
    assert tools["nothing"].call({}) is None
    assert tools["big"].call({"n": 1_000_000}) == "x" * 1_000_000


def test_a_large_result_is_bounded(tools):
    with pytest.raises(ToolResultError, match="the result is too large: 1100002 bytes"):
        tools["big"].call({"n": 1_100_000})
