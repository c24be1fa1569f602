"""Presets that KerasHub wrote, beside what KerasHub computes with them; see `keras_hub_oracle.py`."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ferrule.core import ElementTypeError, backend_names
from ferrule.hub import from_preset, save_preset
from ferrule.hub.errors import PresetError
from ferrule.hub.keras_presets import tokenizer_files
from ferrule.hub.loading import weights_sha256
from ferrule.models.errors import ConfigError, TokenizerError, WeightsError
from ferrule.models.families.keras_hub import BACKBONES
from ferrule.models.hugging_face_tokenizer import read_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("h5py")
if importlib.util.find_spec("keras_hub") is None:
    pytest.skip("keras_hub is not installed (pip install --no-deps keras-hub==0.32.0)", allow_module_level=True)

ORACLE = Path(__file__).with_name("keras_hub_oracle.py")
_spec = importlib.util.spec_from_file_location("keras_hub_oracle", ORACLE)
oracle = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(oracle)
TOLERANCE = 2e-4  # of the largest logit
PIECES = ["gemma", "gemma3", "llama2", "mistral"]
PAIRS = ["llama3", "mistral-tekken", "qwen2", "qwen3"]
MENDED = [name for name in PAIRS if name != "mistral-tekken"]  # whose texts KerasHub does not cut as it means to
each_row = pytest.mark.parametrize("name", oracle.ROWS)


class KerasHub:
    """The process of the oracle."""

    def __init__(self, folder: Path):
        log = (folder / "log").open("w")
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, str(ORACLE), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        first = self._process.stdout.readline()
        assert first == "ready\n", (folder / "log").read_text()[-2000:]

    def tokenize(self, name: str, texts: list[str], mended: bool | None = None) -> tuple[list[list[int]], list[str]]:
        """Ids of texts, and the texts of these ids."""
        self._process.stdin.write(json.dumps([name, texts, mended]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def computed(self, name: str) -> dict[str, np.ndarray]:
        return np.load(self.folder / f"{name}.npz")

    def end(self) -> None:
        self._process.stdin.close()
        self._process.wait(30)


@pytest.fixture(scope="module")
def keras_hub(tmp_path_factory):
    found = KerasHub(tmp_path_factory.mktemp("keras_hub"))
    yield found
    found.end()


def copy(keras_hub, name, tmp_path, **replaced):
    """A preset again, with some files replaced by bytes, or left out."""
    target = tmp_path / "copy"
    shutil.copytree(keras_hub.folder / name, target)
    for file, data in replaced.items():
        path = target / file
        path.unlink()
        if data is not None:
            path.write_bytes(data)
    return target


def changed(keras_hub, name, file="config.json", **fields):
    """A file of a preset with other values in its object `config`."""
    found = json.loads((keras_hub.folder / name / file).read_text())
    found["config"] = {**found["config"], **fields}
    return json.dumps(found).encode()


@each_row
def test_logits_are_those_of_keras_hub(keras_hub, name):
    expected = keras_hub.computed(name)
    found = from_preset(keras_hub.folder / name).logits(expected["ids"])
    scale = np.abs(expected["logits"]).max()
    assert scale > 1
    np.testing.assert_allclose(found, expected["logits"], rtol=0, atol=TOLERANCE * scale)


@each_row
def test_greedy_tokens_are_those_of_keras_hub(keras_hub, name):
    expected = keras_hub.computed(name)
    model = from_preset(keras_hub.folder / name)
    stream = model.stream_tokens(expected["ids"][0, : oracle.PROMPT].tolist(), max_tokens=oracle.NEW, stop_ids=())
    assert [token.id for token in stream] == expected["greedy"].tolist()


def test_element_types(keras_hub):
    assert "bfloat16" in str(from_preset(keras_hub.folder / "qwen3", "torch", dtype="bfloat16").module.norm.gain.dtype)
    for dtype in ("int8", "float64"):
        with pytest.raises(ElementTypeError, match=f"computes in float32, bfloat16, float16, received '{dtype}'"):
            from_preset(keras_hub.folder / "qwen3", "torch", dtype=dtype)


@pytest.mark.parametrize("name", ["gemma2", "qwen2"])
@pytest.mark.parametrize("backend", [name for name in backend_names() if name != "numpy"])
def test_every_backend(keras_hub, name, backend):
    pytest.importorskip(backend)
    expected = keras_hub.computed(name)
    found = from_preset(keras_hub.folder / name, backend).logits(expected["ids"][:1])
    np.testing.assert_allclose(found, expected["logits"][:1], rtol=0, atol=TOLERANCE * np.abs(expected["logits"]).max())


def test_element_type_dialect_and_options(keras_hub):
    folder = keras_hub.folder / "llama3-tied"
    model = from_preset(folder, "torch", dtype="bfloat16", dialect="hermes")
    assert "bfloat16" in str(model.module.norm.gain.dtype)
    assert (model.dialect, model.name, model.context_length) == ("hermes", "llama3-tied", 8192)
    assert {name: from_preset(keras_hub.folder / name).dialect for name in ("gemma3", "llama3", "mistral", "qwen3")} == {
        "gemma3": "gemma3_json",
        "llama3": "llama3",
        "mistral": "mistral",
        "qwen3": "hermes",
    }
    with pytest.raises(PresetError, match="options of Needle models"):
        from_preset(folder, depth=4)
    assert weights_sha256(folder) != weights_sha256(keras_hub.folder / "gemma")


def test_every_backbone_is_tested():
    assert {f"{kind}Backbone" for kind, _ in oracle.ROWS.values()} == set(BACKBONES)


@pytest.mark.parametrize("name", ["gemma2", "gemma3", "llama3", "mistral", "qwen3-window"])
def test_saved_as_hugging_face_folder(keras_hub, name, tmp_path):
    """transformers computes the same logits from it, and so do we."""
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    expected = keras_hub.computed(name)
    model = from_preset(keras_hub.folder / name)
    saved = save_preset(model, tmp_path / "saved")
    np.testing.assert_array_equal(from_preset(saved).logits(expected["ids"]), model.logits(expected["ids"]))
    theirs, report = transformers.AutoModelForCausalLM.from_pretrained(
        saved, attn_implementation="eager", output_loading_info=True
    )
    assert not report["missing_keys"] | report["unexpected_keys"]
    with torch.no_grad():
        logits = theirs(torch.tensor(expected["ids"].astype(np.int64))).logits.numpy()
    np.testing.assert_allclose(logits, expected["logits"], rtol=0, atol=TOLERANCE * np.abs(logits).max())


@pytest.mark.parametrize("name", [*PIECES, *PAIRS])
def test_saved_tokenizers(keras_hub, name, tmp_path):
    """Read again here, they are the same, and in transformers; but that puts no space before SentencePiece's first word."""
    model = from_preset(keras_hub.folder / name)
    again = from_preset(save_preset(model, tmp_path / "saved")).tokenizer
    text = "Set a timer  for 12345 <|eot_id|> <start_of_turn>[INST] naïve 🙂\n\n x"
    for markers in (True, False):
        assert again.encode(text, markers=markers) == model.tokenizer.encode(text, markers=markers)
    assert (again.bos_id, again.eos_ids) == (model.tokenizer.bos_id, model.tokenizer.eos_ids)
    assert again.special_ids == model.tokenizer.special_ids
    if name not in ("llama2", "mistral"):
        theirs = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(tmp_path / "saved")
        assert theirs.encode(text, add_special_tokens=False) == model.tokenizer.encode(text)


def tokenizer(keras_hub, name):
    folder = keras_hub.folder / name
    return read_tokenizer(tokenizer_files(folder, oracle.VOCAB), folder, oracle.VOCAB)


@pytest.fixture(scope="module")
def tokenizers(keras_hub):
    return {name: tokenizer(keras_hub, name) for name in (*PIECES, *PAIRS)}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
WORDS = st.lists(st.sampled_from(["the", "theatre", " it's", "12345", "  ", "\n", "\n\n", "...com", "東京", "🙂", "(", "x"]))
MARKERS = st.sampled_from([*oracle.TURNS, *oracle.LLAMA3, *oracle.QWEN])
MIXED = st.lists(TEXTS | WORDS.map("".join) | MARKERS, max_size=8).map("".join)


@pytest.mark.parametrize("name", [*PIECES, *PAIRS])
def test_texts_of_any_kind(keras_hub, tokenizers, name):
    ours = tokenizers[name]

    @settings(deadline=None, max_examples=60)
    @given(texts=st.lists(MIXED.filter(bool), min_size=1, max_size=8))
    def check(texts):
        if name == "mistral-tekken":  # it has markers that KerasHub finds in no text
            texts = [text.replace("INST", "") for text in texts]
        ids, back = keras_hub.tokenize(name, texts, mended=True if name in MENDED else None)
        assert [ours.encode(text) for text in texts] == ids
        for text, found, theirs in zip(texts, ids, back):
            if not ours.special_ids & set(found) and "\u2047" not in theirs:  # how SentencePiece writes an unknown piece
                assert ours.decode(found) == theirs, text

    check()


@pytest.mark.parametrize("name", MENDED)
def test_prose_without_mending(keras_hub, tokenizers, name):
    """KerasHub as it is merges bytes across words, which makes no difference where no merge does."""
    texts = ["the theatre", "Set a timer for nine minutes, please.", "the spaces everywhere<|eot_id|>the", "def f"]
    ids, _ = keras_hub.tokenize(name, texts, mended=False)
    assert [tokenizers[name].encode(text) for text in texts] == ids
    texts = ["1  1x", "((x ", "  x\n"]
    ids, _ = keras_hub.tokenize(name, texts, mended=False)
    assert [tokenizers[name].encode(text) for text in texts] != ids  # equal, once KerasHub does what it means to do


def test_markers(tokenizers):
    gemma, llama3, qwen, mistral = (tokenizers[name] for name in ("gemma", "llama3", "qwen3", "mistral"))
    spelt = gemma.encode("a<start_of_turn>b<bos>", markers=False)
    assert not {gemma.id_of("<start_of_turn>"), gemma.bos_id} & set(spelt)
    assert gemma.decode(spelt) == "a<start_of_turn>b<bos>"
    assert gemma.encode("a<start_of_turn>b<bos>")[-1] == gemma.bos_id
    assert gemma.token_bytes(gemma.id_of("<start_of_turn>")) == b""
    assert gemma.decode(gemma.encode("a <b> c")) == "a <b> c"  # whole in Gemma's vocabulary, but text
    assert gemma.eos_ids == (1, gemma.id_of("<end_of_turn>"))
    assert llama3.bos_id == llama3.id_of("<|begin_of_text|>")
    assert llama3.eos_ids == (llama3.id_of("<|end_of_text|>"), llama3.id_of("<|eot_id|>"))
    assert (qwen.bos_id, qwen.eos_ids) == (None, (qwen.id_of("<|im_end|>"), qwen.id_of("<|endoftext|>")))
    assert qwen.token_bytes(qwen.id_of("<tool_call>")) == b"<tool_call>"
    assert mistral.id_of("[INST]") in mistral.encode("[INST] hi")
    assert mistral.id_of("[INST]") not in mistral.encode("[INST] hi", markers=False)


def test_no_start_token_where_the_preprocessor_adds_none(keras_hub, tmp_path):
    without = changed(keras_hub, "gemma", "preprocessor.json", add_start_token=False)
    assert from_preset(keras_hub.folder / "gemma").tokenizer.bos_id == 2
    assert from_preset(copy(keras_hub, "gemma", tmp_path, **{"preprocessor.json": without})).tokenizer.bos_id is None


def test_presets_that_are_refused(keras_hub, tmp_path):
    """What is wrong with configuration and weights is said as it is for other folders."""
    unsupported = changed(keras_hub, "gemma3", is_embedding_model=True)
    with pytest.raises(ConfigError, match=r"config.json: is_embedding_model is True"):
        from_preset(copy(keras_hub, "gemma3", tmp_path / "a", **{"config.json": unsupported}))
    other = (keras_hub.folder / "qwen3" / "model.weights.h5").read_bytes()
    with pytest.raises(WeightsError, match=r"missing layers/gemma_decoder_block/.* and \d+ more; unknown "):
        from_preset(copy(keras_hub, "gemma", tmp_path / "b", **{"model.weights.h5": other}))
    with pytest.raises(ConfigError, match="no JSON"):
        from_preset(copy(keras_hub, "gemma", tmp_path / "c", **{"config.json": b"{"}))


VOCABULARY, MERGES, SPM = (f"assets/tokenizer/{name}" for name in ("vocabulary.json", "merges.txt", "vocabulary.spm"))


@pytest.mark.parametrize(
    ("name", "replaced", "message"),
    [
        ("gemma", {"tokenizer.json": None}, "tokenizer.json: cannot be read"),
        ("gemma", {"tokenizer.json": b"{}"}, "KerasHub's None is not supported"),
        ("gemma", {"tokenizer.json": b'{"class_name": "BertTokenizer", "config": {}}'}, "BertTokenizer is not supported"),
        ("gemma", {SPM: b""}, "no SentencePiece model"),
        ("gemma", {SPM: b"\x00nothing"}, "no SentencePiece model"),
        ("gemma", {SPM: None}, "vocabulary.spm: cannot be read"),
        ("llama3", {VOCABULARY: b"["}, "vocabulary.json: no JSON"),
        ("llama3", {VOCABULARY: b"[]"}, "vocabulary.json: no JSON object"),
        ("llama3", {VOCABULARY: b'{"a": "0"}'}, "token 'a' is number '0', and the model has 460 rows"),
        ("llama3", {VOCABULARY: b'{"a": 460}'}, "token 'a' is number 460, and the model has 460 rows"),
        ("llama3", {VOCABULARY: b'{"a": 1, "b": 1}'}, "two tokens have the same number"),
        ("llama3", {VOCABULARY: b'{"a": 1}', MERGES: b"b c"}, "no byte-level BPE"),
        ("llama3", {MERGES: b"too many parts"}, "no byte-level BPE"),
        ("llama3", {VOCABULARY: b'{"a": 1}', MERGES: b""}, "must be a list of tokens of vocabulary.json"),
    ],
)
def test_tokenizers_that_are_damaged(keras_hub, tmp_path, name, replaced, message):
    with pytest.raises(TokenizerError, match=message) as caught:
        from_preset(copy(keras_hub, name, tmp_path, **replaced))
    assert "\n" not in str(caught.value)


def test_tokenizers_that_do_not_belong_to_the_model(keras_hub, tmp_path):
    with pytest.raises(TokenizerError, match="the tokenizer has ids up to 439 and the model 400 rows"):
        read_tokenizer(tokenizer_files(keras_hub.folder / "gemma", 400), keras_hub.folder / "gemma", 400)
    spm = (keras_hub.folder / "llama2" / SPM).read_bytes()
    with pytest.raises(TokenizerError, match="the vocabulary lacks '<bos>', which a GemmaTokenizer needs"):
        from_preset(copy(keras_hub, "gemma", tmp_path, **{SPM: spm}))


def test_presets_of_the_hub(keras_hub, hub):
    """In one file and in several; nothing is fetched that is not needed, and no file of weights before the rest is checked."""
    names = sorted(oracle.ROWS, key=lambda name: (keras_hub.folder / name / "model.weights.json").is_file())
    assert not (keras_hub.folder / names[0] / "model.weights.json").is_file()
    assert (keras_hub.folder / names[-1] / "model.weights.json").is_file()
    ids = np.array([[3, 5, 9, 7]], np.int32)
    for name in (names[0], names[-1]):
        folder = keras_hub.folder / name
        files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        hub.publish(files | {"assets/image/large.bin": b"x", "notes.weights.h5": b"x"})
        found = from_preset("hf://org/tiny")
        np.testing.assert_array_equal(found.logits(ids), from_preset(folder).logits(ids))
        assert not hub.asked("large.bin")
        assert not hub.asked("notes.weights.h5")
        hub.log.clear()
        hub.publish(files | {"config.json": changed(keras_hub, name, hidden_dim=-1, intermediate_dim=-1)})
        with pytest.raises(ConfigError):
            from_preset("hf://org/tiny")
        assert not hub.asked(".weights.h5")
