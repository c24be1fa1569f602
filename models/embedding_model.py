"""What a user holds of an encoder: texts in, vectors out."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..core import Backend, ops
from .errors import TaskError

if TYPE_CHECKING:  # a language model starts without them
    from .framing import Framing
    from .sentence_modules import SentenceEncoder
    from .tokenizer import Tokenizer

LENGTHS = (32, 64, 128, 256, 512)  # of programs in fixed shapes, before the longest
BATCH = 8  # texts that a program in fixed shapes takes, where it takes more than one
TOKENS = 4096  # that one call takes at most, unless one text has more
_OF_DECODERS = ("generate", "stream", "stream_tokens", "logits", "grammar", "confidence", "dialect", "loop")


class EmbeddingModel:
    """An encoder, its tokenizer and its compiled programs on one backend.

    Attributes:
        name: of the preset it came from.
        backend: name of the backend.
        module: the tree of arrays.
        tokenizer: see `Tokenizer`.
        framing: what becomes of a text before it is read; `framing.prompts` are the prompts by name.
        context_length: tokens of a text that are read, those around it included.
        width: of its vectors.
    """

    def __init__(self, name: str, module: SentenceEncoder, tokenizer: Tokenizer, backend: Backend, framing: Framing):
        self.name = name
        self.module = module
        self.tokenizer = tokenizer
        self.backend = backend.name
        self.framing = framing
        self.context_length = framing.context_length
        self.width = module.width
        self._backend = backend
        self._turn = threading.Lock()
        self._encode = backend.compile(_vectors, module)

    def __repr__(self) -> str:
        return f"EmbeddingModel({self.name!r}, backend={self.backend!r}, width={self.width})"

    def __getattr__(self, name: str) -> NoReturn:
        if name in _OF_DECODERS:
            raise TaskError(f"{self.name} is an embedding model and has no {name}; use embed, or load a model that writes")
        raise AttributeError(f"an EmbeddingModel has no {name}")

    def embed(self, texts: Sequence[str], prompt: str | None = None, dimensions: int | None = None) -> np.ndarray:
        """Unit vectors of texts, float32 [len(texts), width].

        Of a text that is longer than the model's context, the beginning is read, as sentence-transformers does.

        Args:
            texts: in any number and of any length; batches are made here.
            prompt: name of the text that is put in front of each ("query" and "document" for search, with EmbeddingGemma); see
                `framing.prompts`. Without a name the model's default prompt is, where it has one; with "", nothing is.
            dimensions: keep this many of the first channels, as models trained for it allow (Matryoshka, Kusupati et al. 2022;
                128, 256, 512 or all 768 with EmbeddingGemma). The shorter vectors have length 1 again.

        Raises:
            ValueError: there is no such prompt, or more dimensions are asked for than there are.
            TokenizerError: a text is not valid Unicode.
        """
        if isinstance(texts, str):
            raise TypeError("embed takes a list of texts, received one string: write embed([text])")
        front, width = self.framing.prompt(prompt), self._width(dimensions)
        tokens = [self.framing.ids(self.tokenizer, front + text) for text in texts]
        if not all(tokens):
            raise ValueError(f"text {tokens.index([])} is empty, and this model puts nothing around it; leave it out")
        vectors = np.zeros((len(tokens), self.width), np.float32)
        with self._turn:
            for places, rows, length in self._plan([len(ids) for ids in tokens]):
                padded, lengths = np.zeros((rows, length), np.int32), np.ones(rows, np.int32)
                for row, place in enumerate(places):
                    padded[row, : len(tokens[place])], lengths[row] = tokens[place], len(tokens[place])
                found = self._encode(self._backend.asarray(padded), self._backend.asarray(lengths))
                vectors[places] = ops.to_numpy(found)[: len(places)]
        return unit_vectors(vectors[:, :width])

    def _width(self, dimensions: int | None) -> int:
        width = (self.framing.dimensions or self.width) if dimensions is None else dimensions
        if isinstance(width, bool) or not isinstance(width, int) or not 1 <= width <= self.width:
            raise ValueError(f"dimensions must be a whole number from 1 to {self.width}, received {width!r}")
        return width

    def _plan(self, counts: Sequence[int]) -> Iterator[tuple[list[int], int, int]]:
        """(texts, rows, tokens) of each call, for texts of so many tokens: those of like length go together."""
        order = sorted(range(len(counts)), key=counts.__getitem__, reverse=True)
        start = 0
        while start < len(order):
            length, left = counts[order[start]], len(order) - start
            if self._backend.dynamic_shapes:
                alike = sum(2 * counts[place] > length for place in order[start : start + TOKENS // length])
                size = rows = max(1, alike)
            else:
                length = next((n for n in LENGTHS if length <= n < self.context_length), self.context_length)
                rows = min(BATCH, max(1, TOKENS // length))
                rows = rows if 2 * left > rows else 1
                size = min(left, rows)
            yield order[start : start + size], rows, length
            start += size


def _vectors(module: SentenceEncoder, ids: Any, lengths: Any) -> Any:
    return module(ids, lengths)


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Each row divided by its length: float32 [N, width] -> float32 [N, width]; a row of zeros stays one."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32(1e-12))
