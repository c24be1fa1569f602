"""Tokenizers that the libraries themselves train and save, beside those libraries."""

from __future__ import annotations

import json
import shutil
import time

import pytest
from ferrule.models.errors import TokenizerError
from ferrule.models.hugging_face_tokenizer import load_tokenizer
from ferrule.models.tokenizer import Tokenizer as Protocol
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

TEXT = [
    "Set a timer for nine minutes, please.",
    "def f(x):\n    return x * 2  # doubles",
    "Straße, naïve café, 東京 🙂 \t tabs\u00a0and 3.14159",
    "the the the theatre there then thesis",
] * 4
MARKERS = ["<bos>", "<eos>", "<tool>"]


def byte_level() -> Tokenizer:
    """As GPT-2, Llama 3 and Qwen."""
    found = Tokenizer(models.BPE())
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    found.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))
    return found


def byte_fallback() -> Tokenizer:
    """As Gemma: spaces become ▁, characters that are not in the vocabulary become their bytes."""
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=150, show_progress=False, limit_alphabet=40))
    data = json.loads(trained.to_str())
    pieces = [f"<0x{byte:02X}>" for byte in range(256)] + list(data["model"]["vocab"])
    data["model"].update(vocab={piece: i for i, piece in enumerate(pieces)}, byte_fallback=True)
    found = Tokenizer.from_str(json.dumps(data))
    found.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return found


KINDS = {"byte-level": byte_level, "byte-fallback": byte_fallback}


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tmp_path_factory):
    """The library's tokenizer and ours, from the same file."""
    library = KINDS[request.param]()
    library.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in MARKERS[:2]])
    library.add_tokens([AddedToken(MARKERS[2], special=False, normalized=False)])
    folder = tmp_path_factory.mktemp(request.param)
    library.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<bos>", "eos_token": {"content": "<eos>"}}))
    return library, load_tokenizer(folder)


@settings(deadline=None, max_examples=200)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(TEXT))
def test_texts_of_any_kind(pair, text):
    library, ours = pair
    ids = ours.encode(text)
    assert ids == library.encode(text, add_special_tokens=False).ids
    assert ours.decode(ids) == library.decode(ids, skip_special_tokens=False) or not text
    assert b"".join(map(ours.token_bytes, ids)).decode() == text.replace("▁", " ")
    decoder = ours.stream_decoder()
    assert "".join(decoder.push(i) for i in ids) + decoder.flush() == ours.decode(ids)


def test_markers(pair):
    library, ours = pair
    text = "a <tool> b<eos>"
    assert ours.encode(text) == library.encode(text, add_special_tokens=False).ids
    spelt = ours.encode(text, markers=False)
    assert not {ours.id_of(m) for m in MARKERS} & set(spelt)
    assert ours.decode(spelt) == text
    assert (ours.bos_id, ours.eos_ids) == (ours.id_of("<bos>"), (ours.id_of("<eos>"),))
    assert ours.token_bytes(ours.id_of("<tool>")) == b"<tool>"
    assert ours.token_bytes(ours.id_of("<eos>")) == b""
    assert isinstance(ours, Protocol)
    with pytest.raises(KeyError):
        ours.id_of("<none>")


def test_a_marker_that_the_model_has_no_row_for(tmp_path, pair):
    """It is spelt out, and so can never be asked for; the others are where they were. Pieces of texts are not left out."""
    library, ours = pair
    library.save(str(tmp_path / "tokenizer.json"))
    rows = ours.id_of("<tool>")
    fewer = load_tokenizer(tmp_path, vocab=rows)
    assert fewer.vocab_size == rows
    for text in ("a <tool> b<eos>", "<bos><tool>", "plain text"):
        assert fewer.decode(fewer.encode(text, markers=False)) == text
        assert max(fewer.encode(text)) < rows
        bare = text.replace("<tool>", "")
        assert fewer.encode(bare) == library.encode(bare, add_special_tokens=False).ids
    with pytest.raises(KeyError):
        fewer.id_of("<tool>")
    with pytest.raises(TokenizerError, match="they do not belong together"):
        load_tokenizer(tmp_path, vocab=rows - len(MARKERS))


def test_no_half_characters(pair):
    _, ours = pair
    decoder = ours.stream_decoder()
    given_out = [decoder.push(i) for i in ours.encode("東🙂é")] + [decoder.flush()]
    assert "".join(given_out) == "東🙂é"
    assert "\ufffd" not in "".join(given_out)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    spm = pytest.importorskip("sentencepiece")
    folder = tmp_path_factory.mktemp("spm")
    (folder / "text").write_text("\n".join(line.replace("\n", " ") for line in TEXT * 5))
    spm.SentencePieceTrainer.train(
        input=str(folder / "text"),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=420,
        model_type="bpe",
        byte_fallback=True,
        character_coverage=0.98,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
        bos_id=2,
        eos_id=1,
        unk_id=3,
        pad_id=0,
    )
    added = {"420": {"content": "<tool>", "special": False}}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"bos_token": "<s>", "eos_token": "</s>", "added_tokens_decoder": added})
    )
    return spm.SentencePieceProcessor(model_file=str(folder / "tokenizer.model")), folder


@settings(deadline=None, max_examples=200)
@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40) | st.sampled_from(TEXT))
def test_sentencepiece_models(pieces, text):
    library, folder = pieces
    ours = load_tokenizer(folder)
    ids = ours.encode(text)
    assert ids == library.encode(text)
    if "\u2047" not in library.decode(ids):  # how the library writes an unknown piece
        assert ours.decode(ids) == library.decode(ids)


def test_sentencepiece_markers(pieces):
    ours = load_tokenizer(pieces[1], vocab=512)
    assert (ours.vocab_size, ours.bos_id, ours.eos_ids) == (512, 2, (1,))
    assert ours.id_of("<tool>") == 420
    assert 420 in ours.encode("a<tool>b")
    assert 420 not in ours.encode("a<tool>b", markers=False)
    assert ours.token_bytes(500) == b""


def test_what_is_no_tokenizer(tmp_path, pair, pieces):
    with pytest.raises(TokenizerError, match=r"holds neither tokenizer\.json nor tokenizer\.model"):
        load_tokenizer(tmp_path)
    for text in ("", "{}", '{"model": 3}', "[" * 100_000):
        (tmp_path / "tokenizer.json").write_text(text)
        with pytest.raises(TokenizerError, match="no tokenizer") as caught:
            load_tokenizer(tmp_path)
        assert "\n" not in str(caught.value)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.model").write_bytes(b"\x00\x01nothing")
    with pytest.raises(TokenizerError, match="no SentencePiece model"):
        load_tokenizer(tmp_path)
    with pytest.raises(TokenizerError, match=r"has ids up to 420 and the model 100 rows"):
        load_tokenizer(pieces[1], vocab=100)
    with pytest.raises(TokenizerError, match="not valid Unicode"):
        pair[1].encode("\ud800")


def test_special_tokens_that_the_tokenizer_has_not(tmp_path, pair):
    pair[0].save(str(tmp_path / "tokenizer.json"))
    config = tmp_path / "tokenizer_config.json"
    for which, named in (("eos", "</none>"), ("bos", {"content": "</none>"})):
        config.write_text(json.dumps({f"{which}_token": named}))
        with pytest.raises(TokenizerError, match=f"tokenizer_config.json: {which}_token is '</none>', which is no token"):
            load_tokenizer(tmp_path)
    config.write_text(json.dumps({"eos_token": "e", "bos_token": None}))  # any token of the vocabulary can be one
    ours = load_tokenizer(tmp_path)
    assert (ours.bos_id, ours.eos_ids) == (None, (pair[0].token_to_id("e"),))


@pytest.mark.parametrize(("vocab", "line"), [(None, r"tokens and ids up to 10{9}; it is damaged"), (500, "the model 500 rows")])
def test_ids_far_beyond_the_tokens(tmp_path, pair, pieces, vocab, line):
    """They are refused before a place is made for each."""
    data = json.loads(pair[0].to_str())
    data["model"]["vocab"]["unheard of"] = 10**9
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    began = time.perf_counter()
    with pytest.raises(TokenizerError, match=rf"tokenizer\.json: .*{line}"):
        load_tokenizer(tmp_path, vocab)
    (tmp_path / "tokenizer.json").unlink()
    shutil.copy(pieces[1] / "tokenizer.model", tmp_path)
    added = {"added_tokens_decoder": {str(10**9): {"content": "<tool>"}}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(added))
    with pytest.raises(TokenizerError, match=rf"tokenizer\.model: .*{line}"):
        load_tokenizer(tmp_path, vocab)
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("added", [[1], {"x": {"content": "<a>"}}, {"1": "<a>"}, {"1": {}}, {"-1": {"content": "<a>"}}])
def test_added_tokens_that_are_none(tmp_path, pieces, added):
    shutil.copy(pieces[1] / "tokenizer.model", tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    with pytest.raises(TokenizerError, match=r"tokenizer_config\.json: added_tokens_decoder must hold an object with content"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("begins", [True, False, None])
def test_bos_where_transformers_puts_it(tmp_path, begins):
    """With a post-processor that puts it first, with one that does not, and with none."""
    transformers = pytest.importorskip("transformers")
    library = byte_level()
    library.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in MARKERS[:2]])
    bos = library.token_to_id("<bos>")
    if begins is not None:
        single = "<bos> $A" if begins else "$A"
        library.post_processor = TemplateProcessing(single=single, special_tokens=[("<bos>", bos)])
    named = {"bos_token": "<bos>", "eos_token": "<eos>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=library, **named).save_pretrained(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)("hello").input_ids
    ours = load_tokenizer(tmp_path)
    assert [*([] if ours.bos_id is None else [ours.bos_id]), *ours.encode("hello")] == theirs


def test_one_token_may_be_both(tmp_path, pair):
    pair[0].save(str(tmp_path / "tokenizer.json"))
    settings = {"bos_token": "<eos>", "eos_token": "<eos>", "add_bos_token": True}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    ours = load_tokenizer(tmp_path)
    assert (ours.bos_id, ours.eos_ids) == (pair[0].token_to_id("<eos>"), (pair[0].token_to_id("<eos>"),))


@pytest.mark.parametrize("named", [["<eos>"], {"content": ["<eos>"]}, 3])
def test_special_tokens_that_are_no_text(tmp_path, pair, named):
    pair[0].save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": named}))
    with pytest.raises(TokenizerError, match=r"tokenizer_config.json: eos_token is .*, which is no token of the tokenizer"):
        load_tokenizer(tmp_path)
