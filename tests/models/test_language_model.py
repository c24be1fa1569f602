from __future__ import annotations

import numpy as np
import pytest
from ferrule.core import get_backend, load_arrays, named_arrays, ops
from ferrule.models import (
    ConstraintError,
    ContextLengthError,
    GrammarError,
    LanguageModel,
    OptionError,
    TaskError,
    WeightsError,
)


@pytest.fixture(scope="module")
def model(small_model) -> LanguageModel:
    return small_model("numpy")


def test_what_it_says_of_itself(model):
    assert (model.name, model.backend, model.dialect, model.context_length) == ("small", "numpy", "needle", 96)
    assert repr(model) == "LanguageModel('small', backend='numpy', context_length=96)"


def test_logits_of_one_text_and_of_several(model):
    texts = np.array([[2, 10, 11, 12], [2, 20, 21, 22]])
    both = model.logits(texts)
    assert both.shape == (2, 4, 272)
    assert both.dtype == np.float32
    np.testing.assert_allclose(model.logits(texts[1]), both[1], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(model.logits([2, 20, 21, 22]), both[1], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("ids", [[], [[]], 5, [[[2]]], [2, -1], [2, 272], np.zeros((0, 3))])
def test_ids_that_are_none(model, ids):
    with pytest.raises(ValueError, match=r"^token_ids must be \[T\] or \[B, T\] of whole numbers from 0 to 271, received"):
        model.logits(ids)


@pytest.mark.parametrize(
    "ids", [[2**40], [2**80], [3.7], ["a"], [True], [True, 2], [[2, False]], None, [[2], [2, 3]], "a", [None], [[2, "x"]]]
)
def test_ids_that_are_no_whole_numbers(model, ids):
    with pytest.raises(ValueError, match=r"^token_ids must be \[T\] or \[B, T\] of whole numbers .* received") as caught:
        model.logits(ids)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ids", [[2, 3.7], [2, 272], [[2, 3]], ["a"], [2, True], None, 5])
def test_a_prompt_of_no_ids(model, ids):
    with pytest.raises(ValueError, match=r"^token_ids must be \[T\] of whole numbers from 0 to 271, received"):
        model.stream_tokens(ids, max_tokens=2)


@pytest.mark.parametrize("prompt", [5, None, ["a"], b"a"])
def test_a_prompt_that_is_no_text(model, prompt):
    with pytest.raises(TypeError, match=r"^a prompt is a text, received "):
        model.generate(prompt)


def test_an_option_that_is_not_there(model):
    for call in (model.generate, lambda *args, **options: next(model.stream(*args, **options))):
        with pytest.raises(
            TypeError, match=r"^there is no option 'foo' of generate and stream; there are max_tokens, temperature, .* seed$"
        ):
            call("the", foo=1)


def test_generated_text(model):
    text = model.generate("the ab", max_tokens=8)
    assert text.stop_reason == "length"
    assert len(text.ids) == 8
    assert text.text == model.tokenizer.decode(text.ids)
    ids = [2, *model.tokenizer.encode("the ab")]
    for token in text.ids:
        assert token == int(np.argmax(model.logits(ids)[-1]))
        ids.append(token)


def test_streamed_text_is_the_generated_text(model):
    for seed in range(4):
        options = {"max_tokens": 20, "temperature": 2.0, "seed": seed}
        pieces = list(model.stream("é", **options))
        assert all(pieces)
        assert "".join(pieces) == model.generate("é", **options).text


def test_the_same_seed_on_every_backend_writes_the_same(backend, model, small_model):
    if backend.name in ("jax", "tensorflow"):
        pytest.skip("its logits are compared elsewhere; the sampler runs on the host")
    options = {"max_tokens": 12, "temperature": 1.5, "top_k": 50, "top_p": 0.9, "seed": 11}
    assert small_model(backend).generate("go", **options) == model.generate("go", **options)


def test_under_a_grammar(model):
    constraint = model.grammar('start: "yes" | "no"')
    for seed in range(5):
        found = model.generate("is it?", constraint=constraint.fork(), temperature=30.0, seed=seed)
        assert found.text in ("yes", "no")
        assert found.stop_reason == "stop"
    begun = model.tokenizer.encode("y")
    assert model.generate("is it?", constraint=model.grammar('start: "yes" | "no"', begun)).text == "es"
    with pytest.raises(ConstraintError):
        model.grammar('start: "yes" | "no"', model.tokenizer.encode("maybe"))
    with pytest.raises(GrammarError) as error:
        model.grammar("start: unknown_rule")
    assert "\n" not in str(error.value)


def test_options_are_not_swallowed(model):
    with pytest.raises(TypeError, match="top_q"):
        model.generate("x", top_q=3)
    with pytest.raises(OptionError, match="temperature must be a number from 0 on, received -1"):
        model.generate("x", temperature=-1)
    with pytest.raises(OptionError, match="top_p must be a number above 0 and at most 1, received 2"):
        next(model.stream("x", top_p=2))


@pytest.mark.parametrize("most", [0, -1, 1.5, None, True, "9"])
def test_numbers_of_tokens_that_cannot_be(model, most):
    for call in (lambda: model.generate("x", max_tokens=most), lambda: list(model.stream("x", max_tokens=most))):
        with pytest.raises(OptionError) as caught:
            call()
        assert str(caught.value) == f"max_tokens must be a whole number from 1 on, received {most!r}"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_no_numbers(small_model, backend, bad):
    """Logits would be garbage."""
    found = small_model("numpy")
    arrays = dict(named_arrays(found.module))
    arrays["final_norm.gain"] = np.where(np.arange(48) == 3, np.float32(bad), arrays["final_norm.gain"])
    module = load_arrays(found.module, arrays, backend)
    model = LanguageModel("bad", module, found.tokenizer, backend, 96, "needle")
    for call in (lambda: model.logits([2, 10, 11]), lambda: model.generate("ab"), lambda: list(model.stream("ab"))):
        with pytest.raises(WeightsError, match=r"gives NaN or infinite logits: .*, or load it in float32 if it was not"):
            call()


def test_prompts_that_do_not_fit(model):
    with pytest.raises(ContextLengthError):
        model.generate("x" * 96)
    with pytest.raises(ContextLengthError):
        next(model.stream("x" * 96))
    with pytest.raises(ContextLengthError):
        model.embed(["x" * 96])


def test_embeddings_are_unit_vectors_of_the_pool(model):
    vectors = model.embed(["set a timer", "set a timer!", ""])
    assert vectors.shape == (3, 3 * 48)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-6)
    np.testing.assert_array_equal(model.embed(["set a timer"])[0], vectors[0])
    pool = model.loop.read([2, *model.tokenizer.encode("set a timer")]).cache["pool"]
    pooled = ops.to_numpy(model.module.confidence.pooled(pool))[0]
    np.testing.assert_allclose(vectors[0], pooled / np.linalg.norm(pooled), atol=1e-6)
    assert model.embed([]).shape == (0, 3 * 48)


def test_what_embed_does_not_take(model, small_model):
    with pytest.raises(TypeError, match=r"write embed\(\[text\]\)"):
        model.embed("one text")
    with pytest.raises(TaskError, match="small has no pooling head"):
        small_model("numpy", probes=0, queries=0).embed(["x"])


def test_confidence_is_that_of_the_whole_text(model):
    stream = model.stream_tokens([2, 10, 11, 12], max_tokens=5, stop_ids=())
    list(stream)
    confidence = model.confidence(stream.state)
    assert 0 < confidence < 1
    pool = model.loop.read([2, 10, 11, 12, *stream.ids]).cache["pool"]
    logit = float(ops.to_numpy(model.module.confidence(pool))[0])
    assert confidence == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
    following = model.stream_tokens([2, 10, 11, 12, *stream.ids, 9], max_tokens=1)
    assert following.usage.reused_tokens == 9  # the state was kept


def test_a_model_without_a_head_has_no_opinion(small_model):
    model = small_model("numpy", probes=0, queries=0)
    stream = model.stream_tokens([2, 10], max_tokens=3)
    list(stream)
    assert model.confidence(stream.state) is None


def test_two_models_on_two_backends_in_one_process(model, small_model):
    try:
        get_backend("torch")
    except ImportError as error:
        pytest.skip(str(error))
    other = small_model("torch")
    ids = [2, 10, 11, 12, 13]
    np.testing.assert_allclose(other.logits(ids), model.logits(ids), rtol=1e-5, atol=1e-4)
    assert (other.backend, model.backend) == ("torch", "numpy")


def test_a_constraint_of_another_state(model):
    constraint = model.grammar('start: "yes"')
    constraint.commit(constraint.forced()[0])
    with pytest.raises(ConstraintError):
        constraint.commit(5)
