from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from ferrule.models.errors import TokenizerError
from ferrule.models.needle.tokenizer import NeedleTokenizer
from ferrule.models.tokenizer import Tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

GOLDEN = json.loads((Path(__file__).parents[2] / "data/needle/golden_tokenizer.json").read_text())


def test_golden_cases(tokenizer):
    assert len(GOLDEN) == 200
    for case in GOLDEN:
        assert tokenizer.encode(case["text"]) == case["ids"], case["text"]
        assert tokenizer.decode(case["ids"]) == case["decoded"], case["text"]


def test_protocol(tokenizer):
    assert isinstance(tokenizer, Tokenizer)
    assert (tokenizer.vocab_size, tokenizer.bos_id, tokenizer.eos_ids) == (8192, 2, (1,))
    assert tokenizer.special_ids == frozenset(range(28))
    assert tokenizer.id_of("<tool_call>") == 10
    assert tokenizer.id_of("</s>") == 1
    with pytest.raises(KeyError):
        tokenizer.id_of("hello")
    assert tokenizer.token_bytes(2) == b""
    assert tokenizer.token_bytes(10) == b"<tool_call>"
    assert tokenizer.token_bytes(28 + 0xE2) == b"\xe2"


def encode_literally(tokenizer: NeedleTokenizer, text: str) -> list[int]:
    """Spec §2.2 step by step: markers, then joining the adjacent pair with the smallest id, leftmost first."""
    ids = {piece: i for i, piece in enumerate(tokenizer.pieces) if i >= 284}
    markers = {piece: i for i, piece in enumerate(tokenizer.pieces[4:28], start=4)}
    text = text.replace(" ", "▁")
    out: list[int] = []
    segment: list[str] = []

    def close() -> None:
        while True:
            joins = [(ids[a + b], i) for i, (a, b) in enumerate(itertools.pairwise(segment)) if a + b in ids]
            if not joins:
                break
            _, i = min(joins)
            segment[i : i + 2] = [segment[i] + segment[i + 1]]
        for symbol in segment:
            out.extend([ids[symbol]] if symbol in ids else [28 + byte for byte in symbol.encode()])
        segment.clear()

    at = 0
    while at < len(text):
        marker = max((m for m in markers if text.startswith(m, at)), key=len, default=None)
        if marker is None:
            segment.append(text[at])
            at += 1
        else:
            close()
            out.append(markers[marker])
            at += len(marker)
    close()
    return out


words = st.sampled_from(
    ["set a timer", '{"name":"', "</s>", "<think>", "<tool_call>", "<|im_", "end|>", " ", "  ", "\n", "naïve", "東京", "👩‍🚀"]
)
texts = st.lists(words | st.text(max_size=8), max_size=12).map("".join)


@settings(max_examples=200, deadline=None)
@given(text=texts)
def test_encoding_follows_the_specification(tokenizer, text):
    assert tokenizer.encode(text) == encode_literally(tokenizer, text)


@settings(max_examples=200, deadline=None)
@given(text=texts)
def test_round_trip(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text.replace("▁", " ")


@settings(max_examples=300, deadline=None)
@given(ids=st.lists(st.integers(0, 8191) | st.integers(28 + 128, 283), max_size=30))
def test_decoding_arbitrary_ids(tokenizer, ids):
    """Spec §2.3, and streaming gives the same text piece by piece."""
    raw = b"".join(bytes([i - 28]) if 28 <= i < 284 else b"" if i < 4 else tokenizer.pieces[i].encode() for i in ids)
    expected = raw.decode("utf-8", errors="replace").replace("▁", " ")
    assert tokenizer.decode(ids) == expected
    stream = tokenizer.stream_decoder()
    assert "".join([stream.push(i) for i in ids] + [stream.flush()]) == expected
    assert stream.flush() == ""


def test_streaming_holds_back_unfinished_characters(tokenizer):
    stream = tokenizer.stream_decoder()
    assert [stream.push(28 + byte) for byte in "é".encode()] == ["", "é"]
    assert stream.push(28 + 0xF0) == ""
    assert stream.flush() == "\ufffd"


@settings(max_examples=100, deadline=None)
@given(text=texts)
def test_encoding_without_markers(tokenizer, text):
    ids = tokenizer.encode(text, markers=False)
    assert not tokenizer.special_ids & set(ids)
    assert tokenizer.decode(ids) == text.replace("▁", " ")
    if tokenizer.special_ids.isdisjoint(tokenizer.encode(text)):
        assert ids == tokenizer.encode(text)


def test_lone_surrogate(tokenizer):
    with pytest.raises(TokenizerError) as error:
        tokenizer.encode("a\ud800b")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [0, 10, 24, 1000, -1])
def test_truncated_blob(published, size):
    with pytest.raises(TokenizerError, match="damaged"):
        NeedleTokenizer(published.tokenizer[:size])


def test_damaged_blob(published):
    blob = bytearray(published.tokenizer)
    blob[20] = 1  # dummy prefix
    with pytest.raises(TokenizerError, match="dummy prefix"):
        NeedleTokenizer(bytes(blob))
    with pytest.raises(TokenizerError, match="damaged"):
        NeedleTokenizer(published.tokenizer + b"x")
