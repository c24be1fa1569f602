"""Embedding models beside sentence-transformers, on small random weights with windows shorter than the texts."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from ferrule.core import backend_names, named_arrays
from ferrule.core.backends.numpy import REFERENCE
from ferrule.hub import from_preset
from ferrule.models import EmbeddingModel, ModelError, TaskError, embedding_model
from ferrule.models.errors import ConfigError, TokenizerError, WeightsError
from ferrule.models.families import build
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import processors

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
sentence_transformers = pytest.importorskip("sentence_transformers")

TEXTS = [
    "set a timer for nine minutes",
    "",
    " a text \n with spaces around it ",
    "kitchen " * 40,  # longer than the context
    "x",
    "the quick brown fox jumps over the lazy dog " * 2,
    "東京 🙂 naïve",
    *(f"text {i} " * (i % 5 + 1) for i in range(12)),
]
FEW = TEXTS[:5]  # one program in fixed shapes
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def oracle(embedding_folder):
    return sentence_transformers.SentenceTransformer(str(embedding_folder), device="cpu")


@pytest.fixture(scope="module")
def model(embedding_folder) -> EmbeddingModel:
    return from_preset(embedding_folder)


def changed(folder, tmp_path, name, **fields):
    """The folder again, with fields of one JSON file changed; None takes one away."""
    target = tmp_path / "changed"
    shutil.copytree(folder, target)
    data = json.loads((target / name).read_text()) | fields
    (target / name).write_text(json.dumps({key: value for key, value in data.items() if value is not None}))
    return target


def beside(folder, texts=TEXTS, **options):
    """Ours and the library's vectors, from the same folder."""
    library = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    return from_preset(folder, REFERENCE).embed(texts), library.encode(texts, normalize_embeddings=True)


@pytest.mark.parametrize("backend", ["plain numpy", *backend_names()])
def test_vectors_are_those_of_sentence_transformers(embedding_folder, oracle, backend):
    """All at once: batches of unequal length, an empty text, one that is too long."""
    if backend != "plain numpy":
        pytest.importorskip(backend)
    model = from_preset(embedding_folder, REFERENCE if backend == "plain numpy" else backend)
    assert isinstance(model, EmbeddingModel)
    vectors = model.embed(FEW)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(FEW), model.width)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors, oracle.encode(FEW), atol=TOLERANCE)
    np.testing.assert_allclose(model.embed(FEW[:1]), vectors[:1], atol=TOLERANCE)
    if backend in ("plain numpy", "numpy", "torch"):
        np.testing.assert_allclose(model.embed(TEXTS), oracle.encode(TEXTS), atol=TOLERANCE)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_bfloat16(embedding_folder, oracle, backend):
    """As near to float32 as the library is, give or take the order of sums."""
    pytest.importorskip(backend)
    half = sentence_transformers.SentenceTransformer(
        str(embedding_folder), device="cpu", model_kwargs={"torch_dtype": "bfloat16"}
    ).to(torch.bfloat16)
    exact = oracle.encode(FEW)
    theirs = np.abs(half.encode(FEW, convert_to_tensor=True).float().numpy() - exact).max()
    assert theirs > 1e-3
    assert np.abs(from_preset(embedding_folder, backend, dtype="bfloat16").embed(FEW) - exact).max() < 2 * theirs


@settings(deadline=None, max_examples=20)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), max_size=12))
def test_what_else_is_embedded_makes_no_difference(model, oracle, texts):
    together = model.embed(texts)
    assert together.shape == (len(texts), 48)
    for text, vector in zip(texts, together):
        np.testing.assert_allclose(model.embed([text])[0], vector, atol=TOLERANCE)
    if texts:
        np.testing.assert_allclose(together, oracle.encode(texts), atol=TOLERANCE)


@pytest.mark.parametrize("dynamic", [True, False])
def test_every_text_is_run_once_in_few_shapes(embedding_folder, dynamic):
    model = from_preset(embedding_folder, "torch" if dynamic else "numpy")
    counts = np.random.default_rng(0).integers(1, model.context_length + 1, 500).tolist()
    calls = list(model._plan(counts))
    assert sorted(place for places, _, _ in calls for place in places) == list(range(500))
    assert all(counts[place] <= length for places, _, length in calls for place in places)
    assert all(len(places) <= rows and rows * length <= embedding_model.TOKENS for places, rows, length in calls)
    if dynamic:
        assert all(rows == len(places) and length < 2 * counts[p] for places, rows, length in calls for p in places)
    else:
        assert {length for _, _, length in calls} <= {*embedding_model.LENGTHS, model.context_length}
        assert {rows for _, rows, _ in calls} <= {1, embedding_model.BATCH}
        assert len({(rows, length) for _, rows, length in calls}) <= 8


def test_nothing_is_compiled_for_each_text(embedding_folder):
    """Texts of a length that was seen run the program that is there."""
    jax = pytest.importorskip("jax")
    model = from_preset(embedding_folder, "jax")
    model.embed(["x"])
    with jax.log_compiles(), pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr(jax._src.dispatch.logger, "log", lambda level, text, *args: lines.append(text % args))
        patch.setattr(jax._src.interpreters.pxla.logger, "log", lambda level, text, *args: lines.append(text % args))
        for count in range(3, 9):
            model.embed(["y " * count, "z"])
        assert not [line for line in lines if line.startswith("Compiling")]
        model.embed(["y"] * 8)
        assert [line for line in lines if line.startswith("Compiling")]


# Prompts, widths, lengths


def test_prompts(model, oracle, embedding_folder, tmp_path):
    assert set(model.framing.prompts) == {"query", "document"}
    for name in ("query", "document"):
        np.testing.assert_allclose(model.embed(TEXTS, prompt=name), oracle.encode(TEXTS, prompt_name=name), atol=TOLERANCE)
    assert np.abs(model.embed(TEXTS, prompt="query") - model.embed(TEXTS, prompt="document")).max() > 0.1
    folder = changed(embedding_folder, tmp_path, "config_sentence_transformers.json", default_prompt_name="query")
    ours, theirs = beside(folder)
    np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)
    np.testing.assert_allclose(ours, model.embed(TEXTS, prompt="query"), atol=TOLERANCE)
    np.testing.assert_allclose(from_preset(folder).embed(TEXTS, prompt=""), model.embed(TEXTS), atol=TOLERANCE)
    with pytest.raises(ValueError, match="there is no prompt 'summary'; this model has: document, query"):
        model.embed(TEXTS, prompt="summary")


@pytest.mark.parametrize("dimensions", [1, 12, 48])
def test_fewer_dimensions(model, oracle, dimensions):
    expected = oracle.encode(TEXTS, truncate_dim=dimensions, normalize_embeddings=True)
    np.testing.assert_allclose(model.embed(TEXTS, dimensions=dimensions), expected, atol=TOLERANCE)


def test_dimensions_of_the_folder(embedding_folder, tmp_path):
    folder = changed(embedding_folder, tmp_path, "config_sentence_transformers.json", truncate_dim=8)
    ours, theirs = beside(folder)
    assert ours.shape == (len(TEXTS), 8)
    np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)
    assert from_preset(folder).embed(TEXTS, dimensions=48).shape == (len(TEXTS), 48)


@pytest.mark.parametrize("dimensions", [0, 49, -1, 2.0, True])
def test_dimensions_that_there_are_not(model, dimensions):
    with pytest.raises(ValueError, match="dimensions must be a whole number from 1 to 48, received"):
        model.embed(TEXTS, dimensions=dimensions)


@pytest.mark.parametrize("longest", [3, 20, 150])
def test_texts_are_cut_as_the_library_cuts_them(embedding_folder, tmp_path, longest):
    folder = changed(embedding_folder, tmp_path, "sentence_bert_config.json", max_seq_length=longest)
    assert from_preset(folder).context_length == longest
    np.testing.assert_allclose(*beside(folder), atol=TOLERANCE)


@pytest.mark.parametrize("template", ["<bos> $A", "$A <eos>", "<bos> <bos> $A <eos>", None])
def test_tokens_around_texts_are_those_of_the_template(embedding_folder, tmp_path, template):
    special = [("<bos>", 2), ("<eos>", 1)]
    made = template and processors.TemplateProcessing(single=template, special_tokens=special)
    state = made and json.loads(made.__getstate__())
    settings = {"add_bos_token": True, "add_eos_token": True}  # which transformers passes over where there is a tokenizer.json
    folder = changed(embedding_folder, tmp_path, "tokenizer_config.json", **settings)
    data = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(data | {"post_processor": state}))
    np.testing.assert_allclose(*beside(folder, [text for text in TEXTS if text]), atol=TOLERANCE)
    if template is None:
        with pytest.raises(ValueError, match="text 1 is empty, and this model puts nothing around it"):
            from_preset(folder).embed(["a", ""])


# Modules


@pytest.mark.parametrize("mode", ["mean", "mean_sqrt_len_tokens", "weightedmean", "cls", "lasttoken"])
def test_poolings(embedding_folder, tmp_path, mode):
    np.testing.assert_allclose(
        *beside(changed(embedding_folder, tmp_path, "1_Pooling/config.json", pooling_mode=mode)), atol=TOLERANCE
    )


def test_poolings_as_flags(embedding_folder, tmp_path):
    """As configs had it before, EmbeddingGemma's among them."""
    fields = {"pooling_mode": None, "embedding_dimension": None, "word_embedding_dimension": 48}
    flags = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": False}
    folder = changed(embedding_folder, tmp_path, "1_Pooling/config.json", **fields, **flags)
    np.testing.assert_allclose(*beside(folder), atol=TOLERANCE)


@pytest.mark.parametrize("kind", ["Tanh", "ReLU", "GELU", "SiLU", "Sigmoid"])
def test_activations(embedding_folder, tmp_path, kind):
    name = f"torch.nn.modules.activation.{kind}"
    folder = changed(embedding_folder, tmp_path, "2_Dense/config.json", activation_function=name)
    np.testing.assert_allclose(*beside(folder), atol=TOLERANCE)


def test_two_poolings_a_bias_and_no_normalize(embedding_folder, tmp_path):
    library = sentence_transformers.SentenceTransformer(str(embedding_folder), device="cpu")
    pooling = sentence_transformers.sentence_transformer.modules.Pooling(48, pooling_mode=["cls", "mean"])
    dense = sentence_transformers.sentence_transformer.modules.Dense(96, 20)
    folder = tmp_path / "other"
    sentence_transformers.SentenceTransformer(modules=[library[0], pooling, dense], device="cpu").save(str(folder))
    np.testing.assert_allclose(*beside(folder), atol=TOLERANCE)


# What goes wrong


@pytest.mark.parametrize("task", ["generate", "stream", "stream_tokens", "logits", "grammar"])
def test_an_encoder_does_not_write(model, task):
    with pytest.raises(TaskError, match=f"is an embedding model and has no {task}; use embed") as caught:
        getattr(model, task)("text")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ModelError)
    assert not hasattr(model, task)
    with pytest.raises(AttributeError, match="has no colour"):
        _ = model.colour


def test_what_embed_does_not_take(model):
    with pytest.raises(TypeError, match=r"write embed\(\[text\]\)"):
        model.embed("one text")
    with pytest.raises(TokenizerError, match="cannot encode the text"):
        model.embed(["\ud800"])
    assert model.embed([]).shape == (0, 48)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("config.json", {"use_bidirectional_attention": False}, "supported as an encoder, with use_bidirectional_attention"),
        ("1_Pooling/config.json", {"pooling_mode": "max"}, "pooling_mode is .'max'.; supported are mean"),
        ("1_Pooling/config.json", {"include_prompt": False}, "include_prompt false is not supported"),
        ("1_Pooling/config.json", {"embedding_dimension": 47}, "is 47, but hidden states have 48 channels"),
        ("2_Dense/config.json", {"in_features": 47}, "in_features is 47, but what comes before gives 48 channels"),
        ("2_Dense/config.json", {"activation_function": "os.system"}, "activation_function is 'os.system'; supported are"),
        ("2_Dense/config.json", {"use_residual": True}, "use_residual is not supported"),
        ("2_Dense/config.json", {"module_input_name": "token_embeddings"}, "supported is sentence_embedding"),
        ("config_sentence_transformers.json", {"prompts": {"query": 3}}, "prompts must be texts by name"),
        ("config_sentence_transformers.json", {"default_prompt_name": "x"}, "which is none of document, query"),
        ("config_sentence_transformers.json", {"truncate_dim": 100}, "truncate_dim must be a whole number up to 48"),
        ("sentence_bert_config.json", {"max_seq_length": 2}, "texts of 2 tokens have no room for any text"),
        ("sentence_bert_config.json", {"do_lower_case": True}, "do_lower_case is not supported"),
        ("tokenizer_config.json", {"truncation_side": "left"}, "truncation_side 'left' is not supported"),
    ],
)
def test_folders_that_ask_for_what_is_not_supported(embedding_folder, tmp_path, name, fields, message):
    with pytest.raises(ConfigError, match=message) as caught:
        from_preset(changed(embedding_folder, tmp_path, name, **fields))
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_template(embedding_folder, tmp_path):
    shutil.copytree(embedding_folder, tmp_path / "copy")
    (tmp_path / "copy/tokenizer.json").unlink()
    with pytest.raises(TokenizerError, match=r"tokenizer\.json"):
        from_preset(tmp_path / "copy")


def listed(*modules):
    return json.dumps([{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in modules]).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no modules.json"),
        (b"{}", "no list of modules"),
        (b"[[]]", "no list of modules"),
        (b'[{"path": ""}]', "a module needs a type and a path"),
        (listed(("Pooling", "1_Pooling")), "received Pooling"),
        (listed(), "received nothing"),
        (listed(("Transformer", ""), ("Pooling", "1_Pooling"), ("LSTM", "2_Dense")), "received Transformer, Pooling, LSTM"),
        (listed(("Transformer", ""), ("Pooling", "")), "needs a subfolder of its own"),
        *(
            (listed(("Transformer", ""), ("Pooling", path)), "is no subfolder of the model")
            for path in ("../x", "/x", "..", "a/b")
        ),
        (listed(("Transformer", ""), ("Pooling", "1_None")), "1_None/config.json: cannot be read"),
    ],
)
def test_lists_of_modules_that_are_damaged(embedding_folder, tmp_path, content, message):
    shutil.copytree(embedding_folder, tmp_path / "copy")
    (tmp_path / "copy/modules.json").unlink()
    if content is not None:
        (tmp_path / "copy/modules.json").write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        from_preset(tmp_path / "copy")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("2_Dense/model.safetensors", None, "2_Dense: holds no .safetensors file"),
        ("2_Dense/model.safetensors", "3_Dense/model.safetensors", r"linear.weight is \(48, 96\), expected \(96, 48\)"),
        ("model.safetensors", "2_Dense/model.safetensors", "missing model.embed_tokens.weight"),
    ],
)
def test_weights_that_are_damaged(embedding_folder, tmp_path, name, content, message):
    shutil.copytree(embedding_folder, tmp_path / "copy")
    (tmp_path / "copy" / name).unlink()
    if content is not None:
        shutil.copyfile(embedding_folder / content, tmp_path / "copy" / name)
    with pytest.raises(WeightsError, match=message):
        from_preset(tmp_path / "copy")


def test_full_size_without_memory():
    """EmbeddingGemma 300M as shapes: its published sizes."""
    config = {
        "architectures": ["Gemma3TextModel"],
        "use_bidirectional_attention": True,
        "vocab_size": 262144,
        "hidden_size": 768,
        "intermediate_size": 1152,
        "num_hidden_layers": 24,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "head_dim": 256,
        "max_position_embeddings": 2048,
        "sliding_window": 512,
        "rope_theta": 1000000.0,
        "rope_local_base_freq": 10000.0,
    }
    model = build(config)
    assert {layer.self_attn.window for layer in model.layers} == {257, 0}
    assert [bool(layer.self_attn.window) for layer in model.layers] == [(i + 1) % 6 != 0 for i in range(24)]
    dense = 2 * 768 * 3072
    assert sum(int(np.prod(spec.shape)) for spec in named_arrays(model).values()) + dense == 307581696
