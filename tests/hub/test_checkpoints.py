"""Hugging Face folders: loaded by path, saved, loaded again here and in transformers."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from ferrule.core import ElementTypeError
from ferrule.hub import from_preset, save_preset
from ferrule.hub.errors import PresetError
from ferrule.models.errors import ConfigError, ModelError, TokenizerError, WeightsError
from ferrule.models.safetensors import Checkpoint, SafetensorsFile, write_safetensors
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small Gemma 3 as transformers saves it, in two shards, with a tokenizer."""
    path = tmp_path_factory.mktemp("gemma")
    config = transformers.Gemma3TextConfig(
        vocab_size=320,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=256,
        sliding_window=32,
    )
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(path, max_shard_size="200KB")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<bos>", "<eos>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(["set a timer for nine minutes"] * 3, trainer)
    tokenizer.save(str(path / "tokenizer.json"))
    (path / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<bos>", "eos_token": "<eos>"}))
    assert len(list(path.glob("*.safetensors"))) > 1
    return path


def copy(folder, tmp_path, **replaced):
    """The folder again, with some files replaced by bytes, or left out."""
    target = tmp_path / "copy"
    target.mkdir()
    for path in folder.iterdir():
        if path.name not in replaced:
            (target / path.name).write_bytes(path.read_bytes())
    for name, data in replaced.items():
        if data is not None:
            (target / name).write_bytes(data)
    return target


def test_a_folder_is_loaded_and_saved(folder, tmp_path):
    model = from_preset(folder)
    ids = np.array([[0, 5, 9, 77, 33, 8]], np.int32)
    with torch.no_grad():
        expected = transformers.AutoModelForCausalLM.from_pretrained(folder)(torch.tensor(ids.astype(np.int64))).logits.numpy()
    np.testing.assert_allclose(model.logits(ids), expected, atol=2e-4 * np.abs(expected).max())
    assert model.generate("set a timer", max_tokens=5).text
    saved = save_preset(model, tmp_path / "new" / "saved")
    assert sorted(p.name for p in saved.parent.iterdir()) == ["saved"]
    np.testing.assert_array_equal(from_preset(saved).logits(ids), model.logits(ids))
    with torch.no_grad():
        again = transformers.AutoModelForCausalLM.from_pretrained(saved)(torch.tensor(ids.astype(np.int64))).logits.numpy()
    np.testing.assert_array_equal(again, expected)
    with pytest.raises(PresetError, match="exists already"):
        save_preset(model, saved)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_on_disk(folder, tmp_path, dtype):
    half = transformers.AutoModelForCausalLM.from_pretrained(folder).to(getattr(torch, dtype))
    half.save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    ids = np.array([[0, 5, 9, 77]], np.int32)
    with torch.no_grad():
        expected = half.float()(torch.tensor(ids.astype(np.int64))).logits.numpy()
    np.testing.assert_allclose(from_preset(tmp_path).logits(ids), expected, atol=2e-4 * np.abs(expected).max())


def test_of_a_model_that_also_sees_the_text_part_is_saved(folder, tmp_path):
    tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = json.loads((folder / "config.json").read_text())
    config = transformers.Gemma3Config(
        text_config=text, vision_config={**tower, "image_size": 28, "patch_size": 14}, image_token_index=310
    )
    torch.manual_seed(0)
    whole = tmp_path / "whole"
    transformers.Gemma3ForConditionalGeneration(config).save_pretrained(whole)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (whole / name).write_bytes((folder / name).read_bytes())
    model, ids = from_preset(whole), np.array([[0, 5, 9, 77, 33, 8]], np.int32)
    saved = save_preset(model, tmp_path / "saved")
    again, report = transformers.AutoModelForCausalLM.from_pretrained(saved, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    with torch.no_grad():
        logits = again(torch.tensor(ids.astype(np.int64))).logits.numpy()
    np.testing.assert_allclose(model.logits(ids), logits, atol=2e-4 * np.abs(logits).max())


def test_weights_are_mapped_not_copied(folder):
    """What transformers needs memory for twice is a view of the file here."""
    file = SafetensorsFile(next(folder.glob("*.safetensors")))
    array = file[next(iter(file))]
    assert not array.flags.writeable
    assert not array.flags.owndata


def broken_index(folder):
    data = json.loads((folder / "model.safetensors.index.json").read_bytes())
    name = next(iter(data["weight_map"]))
    return {**data, "weight_map": {**data["weight_map"], name: "../elsewhere.safetensors"}}


def changed(folder, **fields):
    return {"config.json": json.dumps({**json.loads((folder / "config.json").read_text()), **fields}).encode()}


@pytest.mark.parametrize(
    ("replace", "error", "message"),
    [
        (lambda f: {"config.json": b"{"}, ConfigError, r"config.json: no JSON: .*; mend the file, or fetch it again$"),
        (lambda f: {"config.json": b"[]"}, ConfigError, "no JSON object"),
        (lambda f: {"config.json": b'{"architectures": ["FooModel"]}'}, ConfigError, "FooModel is not supported"),
        (lambda f: changed(f, architectures="FooModel"), ConfigError, "architectures must be a list of names"),
        (lambda f: changed(f, rope_parameters=[1]), ConfigError, "rope_parameters must be an object"),
        (
            lambda f: changed(f, rope_parameters={f"{kind}_attention": {"rope_theta": "a"} for kind in ("full", "sliding")}),
            ConfigError,
            "rope_theta must be a number",
        ),
        (lambda f: changed(f, query_pre_attn_scalar=0), ConfigError, "query_pre_attn_scalar must be above 0"),
        (
            lambda f: changed(f, architectures=["LlamaForCausalLM"], model_type="qwen3"),
            ConfigError,
            "architectures LlamaForCausalLM and model_type 'qwen3' contradict each other: .* LlamaForCausalLM is 'llama'",
        ),
        (
            lambda f: changed(f, architectures=[], model_type="gemma_3"),
            ConfigError,
            "model_type 'gemma_3' is not supported; .*",
        ),
        (lambda f: {"config.json": b"{}"}, ConfigError, "neither architectures nor model_type is there"),
        (
            lambda f: changed(f, quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}),
            ConfigError,
            "quantization_config says that the weights are quantised with 'bitsandbytes', which is not",
        ),
        (lambda f: changed(f, quantization_config=[]), ConfigError, "quantization_config says that"),
        (lambda f: {"tokenizer_config.json": b"[]"}, TokenizerError, r"tokenizer_config.json: no JSON object, received \[\]"),
        (
            lambda f: {"generation_config.json": b'{"eos_token_id": "x"}'},
            TokenizerError,
            "generation_config.json: eos_token_id must be a whole number, or a list of them, received 'x'",
        ),
        (lambda f: {"generation_config.json": b'{"eos_token_id": true}'}, TokenizerError, "a list of them, received True"),
        (
            lambda f: changed(f, eos_token_id=99999),
            TokenizerError,
            "config.json: eos_token_id is 99999, but the tokens are",
        ),
        (lambda f: {"tokenizer.json": None}, TokenizerError, "holds neither tokenizer.json"),
        (lambda f: {"model.safetensors.index.json": b"{}"}, WeightsError, "needs an object weight_map"),
        (
            lambda f: {"model.safetensors.index.json": json.dumps(broken_index(f)).encode()},
            WeightsError,
            "'../elsewhere.safetensors' is no safetensors file of its folder",
        ),
        (
            lambda f: {p.name: p.read_bytes()[:-8] for p in f.glob("*.safetensors")},
            WeightsError,
            "truncated: .* fetch or copy the file again",
        ),
        (
            lambda f: {p.name: b"\x80\x04garbage" for p in f.glob("*.safetensors")},
            WeightsError,
            r"no safetensors file, or a truncated one \(9 bytes\); fetch or copy the file again$",
        ),
        (
            lambda f: {max(p.name for p in f.glob("*.safetensors")): None},
            WeightsError,
            r"safetensors: cannot be read: No such file or directory; fetch or copy the file again$",
        ),
        (
            lambda f: {**{p.name: None for p in f.glob("*.safetensors*")}, "pytorch_model.bin": b"\x80\x04."},
            WeightsError,
            "pytorch_model.bin is a pickle, which can run any code",
        ),
        (lambda f: {p.name: None for p in f.glob("*.safetensors*")}, WeightsError, "holds no .safetensors file; fetch or copy"),
    ],
)
def test_folders_that_are_damaged(folder, tmp_path, replace, error, message):
    with pytest.raises(error, match=message) as caught:
        from_preset(copy(folder, tmp_path, **replace(folder)))
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ModelError)


def test_model_type_alone(folder, tmp_path):
    """As transformers reads it."""
    fields = json.loads(changed(folder)["config.json"])
    assert fields["model_type"] == "gemma3_text"
    del fields["architectures"]
    target = copy(folder, tmp_path, **{"config.json": json.dumps(fields).encode()})
    ids = np.array([[0, 5, 9, 77]], np.int32)
    with torch.no_grad():
        expected = transformers.AutoModelForCausalLM.from_pretrained(target)(torch.tensor(ids.astype(np.int64))).logits.numpy()
    np.testing.assert_allclose(from_preset(target).logits(ids), expected, atol=2e-4 * np.abs(expected).max())


@pytest.mark.parametrize("extra", ["consolidated.safetensors", "adapter_model.safetensors", "model.safetensors.index.json"])
def test_the_whole_file_goes_before_others(folder, tmp_path, extra):
    """As in transformers."""
    arrays = dict(Checkpoint(folder).items())
    target = copy(folder, tmp_path, **{path.name: None for path in folder.glob("*.safetensors*")})
    write_safetensors(target / "model.safetensors", list(arrays.items()), {"format": "pt"})
    if extra.endswith(".json"):
        (target / extra).write_text("{}")
    else:
        write_safetensors(target / extra, [("lora_A.weight", np.ones(3, np.float32)), *list(arrays.items())[:1]])
    assert {name: array.tobytes() for name, array in Checkpoint(target).items()} == {
        name: array.tobytes() for name, array in arrays.items()
    }
    ids = np.array([[0, 5, 9, 77]], np.int32)
    np.testing.assert_array_equal(from_preset(target).logits(ids), from_preset(folder).logits(ids))


@pytest.mark.parametrize(("tokens", "warned"), [(300, False), (236, True)])
def test_a_tokenizer_much_smaller_than_the_vocabulary(folder, tmp_path, caplog, tokens, warned):
    """It may be another model's."""
    data = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = data["model"]["vocab"]
    data["model"]["vocab"] = {text: number for text, number in vocabulary.items() if number < tokens}
    data["model"]["merges"] = []
    target = copy(folder, tmp_path, **{"tokenizer.json": json.dumps(data).encode()})
    from_preset(target)
    lines = [message for name, _, message in caplog.record_tuples if name.startswith("ferrule")]
    line = f"{target / 'tokenizer.json'}: the tokenizer has 236 tokens and the model 320 rows; "
    assert [each.startswith(line) for each in lines] == [True] * warned


@pytest.mark.parametrize("other", [False, True])
def test_a_head_that_is_there_though_it_is_tied(folder, tmp_path, caplog, other):
    """transformers uses it where it is another matrix, and says so."""
    arrays = {name: np.array(array) for name, array in Checkpoint(folder).items()}
    head = arrays["model.embed_tokens.weight"] * (2 if other else 1)
    target = copy(folder, tmp_path, **{path.name: None for path in folder.glob("*.safetensors*")})
    write_safetensors(target / "model.safetensors", [*arrays.items(), ("lm_head.weight", head)], {"format": "pt"})
    ids = np.array([[0, 5, 9, 77]], np.int32)
    with torch.no_grad():
        expected = transformers.AutoModelForCausalLM.from_pretrained(target)(torch.tensor(ids.astype(np.int64))).logits.numpy()
    model = from_preset(target)
    np.testing.assert_allclose(model.logits(ids), expected, atol=2e-4 * np.abs(expected).max())
    assert ("ferrule" in {name.partition(".")[0] for name, _, _ in caplog.record_tuples}) == other
    saved = save_preset(model, tmp_path / "saved")
    caplog.clear()
    with torch.no_grad():
        again = transformers.AutoModelForCausalLM.from_pretrained(saved)(torch.tensor(ids.astype(np.int64))).logits.numpy()
    np.testing.assert_allclose(again, expected, atol=2e-4 * np.abs(expected).max())
    assert not caplog.records


@pytest.mark.parametrize(
    ("changes", "error", "line"),
    [
        ({"num_hidden_layers": 10**9}, ConfigError, "config.json: num_hidden_layers must be a whole number from 1 to 1024,"),
        ({"num_hidden_layers": 1024}, WeightsError, " does not fit its config.json, which is of "),
        ({"vocab_size": 10**9}, WeightsError, "embed_tokens.weight is "),
        ({"max_position_embeddings": 10**10}, ConfigError, "config.json: max_position_embeddings must be a whole number"),
        ({"rms_norm_eps": -1}, ConfigError, "config.json: rms_norm_eps must be above 0, received -1"),
    ],
)
def test_claims_that_cannot_be_are_refused_at_once(folder, tmp_path, changes, error, line):
    config = {**json.loads((folder / "config.json").read_text()), **changes}
    config.pop("layer_types", None)
    config["sliding_window_pattern"] = 2
    target = copy(folder, tmp_path, **{"config.json": json.dumps(config).encode()})
    began = time.perf_counter()
    with pytest.raises(error) as caught:
        from_preset(target)
    assert time.perf_counter() - began < 5
    assert str(caught.value).startswith(str(target))
    assert line in str(caught.value)
    assert len(str(caught.value)) < 400


def test_element_type_and_dialect(folder, tmp_path):
    assert from_preset(folder).dialect == "plain"  # its tokenizer has no markers of turns
    model = from_preset(folder, "torch", dtype="bfloat16", dialect="hermes")
    assert model.dialect == "hermes"
    assert "bfloat16" in str(model.module.norm.gain.dtype)
    assert np.isfinite(model.logits([[0, 5, 9]])).all()
    assert from_preset(save_preset(from_preset(folder, dialect="plain"), tmp_path / "saved")).dialect == "plain"
    with pytest.raises(ElementTypeError, match="use float32"):
        from_preset(folder, dtype="bfloat8")
    with pytest.raises(ElementTypeError, match="received 'int8'"):
        from_preset(folder, dtype="int8")
    with pytest.raises(PresetError, match="no dialect is called 'nope'"):
        from_preset(folder, dialect="nope")
    with pytest.raises(PresetError, match="options of Hugging Face folders"):
        from_preset("needle_3", dtype="bfloat16")


def test_options_of_another_family(folder):
    with pytest.raises(PresetError, match="options of Needle models"):
        from_preset(folder, depth=4)


# Encoders


def test_an_encoder_is_saved_for_sentence_transformers(embedding_folder, tmp_path):
    library = pytest.importorskip("sentence_transformers")
    texts = ["set a timer", "the kitchen " * 30, ""]
    expected = library.SentenceTransformer(str(embedding_folder), device="cpu").encode(texts, prompt_name="query")
    model = from_preset(embedding_folder, "torch")
    saved = save_preset(model, tmp_path / "new" / "saved")
    assert sorted(path.name for path in saved.parent.iterdir()) == ["saved"]
    files = {str(path.relative_to(saved)) for path in saved.rglob("*") if path.is_file()}
    assert files == {str(path.relative_to(embedding_folder)) for path in embedding_folder.rglob("*") if path.is_file()} | {
        "ferrule.json"
    }
    again = library.SentenceTransformer(str(saved), device="cpu")
    np.testing.assert_array_equal(again.encode(texts, prompt_name="query"), expected)
    np.testing.assert_array_equal(from_preset(saved, "torch").embed(texts), model.embed(texts))
    with pytest.raises(PresetError, match="exists already"):
        save_preset(model, saved)


def test_an_encoder_in_half_precision_is_saved_as_it_was_loaded(embedding_folder, tmp_path):
    """The library would take the element type of `config.json`, whatever the weights have."""
    library = pytest.importorskip("sentence_transformers")
    half = library.SentenceTransformer(str(embedding_folder), device="cpu").to(torch.bfloat16)
    half.save(str(tmp_path / "half"), create_model_card=False)
    assert json.loads((tmp_path / "half/config.json").read_text())["dtype"] == "bfloat16"
    model = from_preset(tmp_path / "half")
    saved = library.SentenceTransformer(str(save_preset(model, tmp_path / "saved")), device="cpu")
    assert next(saved.parameters()).dtype == torch.float32
    np.testing.assert_allclose(saved.encode(["set a timer"]), model.embed(["set a timer"]), atol=1e-5)


def test_an_encoder_has_no_dialect(embedding_folder):
    with pytest.raises(PresetError, match="is an embedding model, which writes no calls; leave dialect='hermes' out"):
        from_preset(embedding_folder, dialect="hermes")


@pytest.mark.parametrize("model", ["qwen", None, 3])
def test_models_to_save_that_are_none(tmp_path, model):
    with pytest.raises(PresetError) as caught:
        save_preset(model, tmp_path / "saved")
    assert str(caught.value) == f"what is saved is a model, as from_preset gives it, received a {type(model).__name__}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", [5, None, b"saved", "", "  "])
def test_folders_to_save_to_that_are_none(folder, target):
    with pytest.raises(PresetError) as caught:
        save_preset(from_preset(folder), target)
    assert str(caught.value) == f"the folder to save to is named by a text or a path, received {target!r}"


def test_a_disk_that_is_full(folder, tmp_path, monkeypatch):
    """Nothing is left behind."""
    from ferrule.hub import checkpoints

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_safetensors", fail)
    with pytest.raises(PresetError, match=r"cannot be written: .*No space left on device"):
        save_preset(from_preset(folder), tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []
