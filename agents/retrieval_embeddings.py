"""A ranking of tools by embeddings: Needle's pooled vector, EmbeddingGemma, or any model that gives unit vectors of texts."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np

from ..tools import Tool
from .errors import UsageError
from .retrieval import MOST_CLAUSES, Ranking, clauses

_LONGEST_TEXT = 2000  # characters that are embedded of a tool or a text: models read no more than some hundred tokens well


class Embedder(Protocol):
    """`ferrule.models.LanguageModel` offers it where it has a head to pool with, and `ferrule.models.EmbeddingModel`."""

    name: str

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of texts, float32 [len(texts), width]."""
        ...


class EmbeddingIndex:
    """Ranks tools by the cosine between their vectors and a text's, or that of its nearest clause.

    Where the model has prompts called "query" and "document" (`EmbeddingModel.framing`), they are used.

    Args:
        tools: to be ranked.
        model: gives the vectors; a tool's are computed once, when they are first needed.
        cache: file (.npz) in which the tools' vectors are kept between processes.

    Raises:
        UsageError: the model gives no embeddings, or (when ranking) the file holds something else or cannot be written.
    """

    def __init__(self, tools: Iterable[Tool], model: Embedder, *, cache: str | os.PathLike[str] | None = None):
        if not callable(getattr(model, "embed", None)):
            raise UsageError(f"{model!r} has no embed(texts); pass a model that gives embeddings")
        self._tools, self._model = list(tools), model
        self._cache = None if cache is None else Path(cache)
        self._found: np.ndarray | None = None

    def rank(self, text: str) -> Ranking:
        """All tools, the nearest first."""
        if not self._tools:
            return []
        cosines = self.embed([text, *_parts(text)]) @ self.vectors.T
        scores = cosines[0] if len(cosines) == 1 else cosines[0] + cosines[1:].max(axis=0)
        order = np.argsort(-scores, kind="stable")
        return [(self._tools[place].name, float(scores[place])) for place in order]

    def embed(self, texts: Sequence[str], prompt: str = "query") -> np.ndarray:
        """Unit vectors, float32 [len(texts), width]."""
        prompts = getattr(getattr(self._model, "framing", None), "prompts", {})
        options: dict[str, Any] = {"prompt": prompt} if prompt in prompts else {}
        return self._model.embed([text[:_LONGEST_TEXT] or " " for text in texts], **options)

    @property
    def vectors(self) -> np.ndarray:
        """Of the tools, float32 [tools, width]."""
        if self._found is None:
            texts = [described(tool) for tool in self._tools]
            kept = self._kept()
            keys = [self._key(text) for text in texts]
            missing = {key: text for key, text in zip(keys, texts) if key not in kept}
            if missing:
                kept |= dict(zip(missing, self.embed(list(missing.values()), "document")))
                self._keep(kept)
            self._found = np.stack([kept[key] for key in keys])
        return self._found

    def _key(self, text: str) -> bytes:
        """Of a tool's vector in the file: other weights and other words give other vectors."""
        source = getattr(self._model, "source", None) or {}
        return hashlib.sha256(repr((self._model.name, source.get("fingerprint"), text)).encode("utf-8", "replace")).digest()

    def _kept(self) -> dict[bytes, np.ndarray]:
        if self._cache is None or not self._cache.exists():
            return {}
        try:
            with np.load(self._cache, allow_pickle=False) as file:
                keys, vectors = file["keys"], file["vectors"]
            if keys.ndim != 2 or keys.shape[1] != 32 or keys.dtype != np.uint8 or len(keys) != len(vectors):
                raise ValueError("its arrays are others")
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise UsageError(f"{self._cache} holds no vectors of tools ({error}); name another file") from None
        return {key.tobytes(): vector for key, vector in zip(keys, vectors)}

    def _keep(self, vectors: dict[bytes, np.ndarray]) -> None:
        if self._cache is None:
            return
        temporary = self._cache.with_name(f".{self._cache.name}.{secrets.token_hex(4)}")
        try:
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                keys = np.frombuffer(b"".join(vectors), np.uint8).reshape(-1, 32)
                np.savez(file, keys=keys, vectors=np.stack(list(vectors.values())))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._cache)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise UsageError(f"{self._cache} cannot be written ({error.strerror}); name another file") from None


def _parts(text: str) -> list[str]:
    parts = clauses(text)[:MOST_CLAUSES]
    return parts if len(parts) > 1 else []


def described(tool: Tool) -> str:
    """A tool in words, as it is embedded."""
    parameters = tool.parameters.get("properties")
    named = ", ".join(parameters) if isinstance(parameters, dict) else ""
    return f"{tool.name}: {tool.description}" + (f" ({named})" if named else "")
