from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from ferrule.agents.errors import UsageError
from ferrule.agents.retrieval_embeddings import EmbeddingIndex, described
from ferrule.tools import Tool

TOOLS = [Tool.from_schema({"name": name, "description": f"about {name}"}) for name in ("cats", "dogs", "birds")]


class Letters:
    """Unit vectors of the letters of a text."""

    name = "letters"

    def __init__(self, **others):
        self.texts = []
        vars(self).update(others)

    def embed(self, texts, **options):
        self.texts += [(text, options) for text in texts]
        counts = np.array([[text.count(chr(97 + i)) + 1e-3 for i in range(26)] for text in texts], np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def test_the_nearest_comes_first():
    model = Letters()
    index = EmbeddingIndex(TOOLS, model)
    ranking = index.rank("birds")
    assert ranking[0][0] == "birds"
    assert len(ranking) == 3
    vectors = model.embed([described(tool) for tool in TOOLS])
    expected = {tool.name: float(vectors[n] @ model.embed(["birds"])[0]) for n, tool in enumerate(TOOLS)}
    assert dict(ranking) == pytest.approx(expected, rel=1e-6)
    read = len(model.texts)
    index.rank("dogs")
    assert len(model.texts) == read + 1  # a tool is read once


def test_clauses_are_ranked_too():
    model = Letters()
    EmbeddingIndex(TOOLS, model).rank("look after dogs. Then feed the birds")
    assert {"look after dogs.", "Then feed the birds"} <= {text for text, _ in model.texts}


def test_prompts_of_the_model_are_used():
    model = Letters(framing=SimpleNamespace(prompts={"query": "q: ", "document": "d: "}))
    EmbeddingIndex(TOOLS, model).rank("dogs")
    assert [options["prompt"] for _, options in model.texts] == ["query"] + ["document"] * 3


def test_vectors_are_kept_between_processes(tmp_path):
    path = tmp_path / "new" / "vectors.npz"
    first = EmbeddingIndex(TOOLS, Letters(), cache=path).rank("dogs")
    again = Letters()
    assert EmbeddingIndex(TOOLS, again, cache=path).rank("dogs") == first
    assert [text for text, _ in again.texts] == ["dogs"]
    other = Letters(source={"fingerprint": "b"})
    EmbeddingIndex(TOOLS[:2], other, cache=path).rank("dogs")
    assert len(other.texts) == 3  # other weights, other vectors
    assert [file.name for file in path.parent.iterdir()] == ["vectors.npz"]


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_another_file_is_refused_and_kept(tmp_path, content):
    path = tmp_path / "vectors.npz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="holds no vectors"):
        EmbeddingIndex(TOOLS, Letters(), cache=path).rank("dogs")
    assert path.read_bytes() == content


def test_a_pickle_is_not_read(tmp_path):
    path = tmp_path / "vectors.npz"
    np.savez(path, keys=np.array([{}], object), vectors=np.zeros((1, 3)))
    with pytest.raises(UsageError, match="holds no vectors"):
        EmbeddingIndex(TOOLS, Letters(), cache=path).rank("dogs")


def test_a_model_without_embeddings():
    with pytest.raises(UsageError, match=r"has no embed\(texts\)"):
        EmbeddingIndex(TOOLS, object())


def test_no_tools():
    assert EmbeddingIndex([], Letters()).rank("dogs") == []
