"""What checkpoints call the arrays of a decoder, both ways, and loading and saving by these names."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...core import Backend, first_few, load_arrays, named_arrays, ops
from ..errors import WeightsError
from ..transformer.decoder import Decoder
from .embedding_gemma import EmbeddingGemma

Model = Decoder | EmbeddingGemma
_LOG = logging.getLogger(__name__)
_BLOCK = 4096  # rows that are compared at a time
_EXPERTS = re.compile(r"(layers\.\d+\.mlp)\.(gate_proj|up_proj|down_proj)$")


def checkpoint_name(name: str) -> str:
    """The checkpoint's name of our array; with ``*`` for an expert's number where ours holds all of them.

    >>> checkpoint_name("layers.0.input_layernorm.gain")
    'model.layers.0.input_layernorm.weight'
    >>> checkpoint_name("layers.0.mlp.gate_proj")
    'model.layers.0.mlp.experts.*.gate_proj.weight'
    """
    if name == "embed_tokens.reverse_weight":
        return "lm_head.weight"
    name = re.sub(r"\.gain$", ".weight", name)
    return "model." + _EXPERTS.sub(r"\1.experts.*.\2.weight", name)


class _Renamed(Mapping[str, np.ndarray]):
    """A checkpoint under our names. Each array is read when it is asked for."""

    def __init__(self, model: Model, checkpoint: Mapping[str, np.ndarray], source: str):
        self._checkpoint = checkpoint
        wanted = named_arrays(model)
        count = sum(spec.shape[0] if "*" in checkpoint_name(ours) else 1 for ours, spec in wanted.items())
        if count > 4 * len(checkpoint) + 10_000:  # not worth a name for each
            raise WeightsError(f"{source} does not fit its config.json, which is of {count} arrays; here are {len(checkpoint)}")
        self._places: dict[str, str] = {}  # a text model's names -> those of this checkpoint
        twice: list[str] = []
        for name in checkpoint:
            plain = next((to + name[len(start) :] for start, to in model.renamed if name.startswith(start)), name)
            twice += [f"{name} and {self._places[plain]} are one array"] if plain in self._places else []
            self._places[plain] = name
        self._names: dict[str, list[str]] = {}
        missing: list[str] = []
        for ours, spec in wanted.items():
            theirs = checkpoint_name(ours)
            names = [theirs.replace("*", str(e)) for e in range(spec.shape[0])] if "*" in theirs else [theirs]
            missing += [name for name in names if name not in self._places]
            self._names[ours] = names
        known = {name for names in self._names.values() for name in names}
        # A tied head may be there under its own name as well; older checkpoints hold what is computed from the config
        passed = ("lm_head.weight", *model.unused) if model.config.tied else model.unused
        unknown = [place for plain, place in self._places.items() if plain not in known and not plain.startswith(passed)]
        unknown = [name for name in unknown if not name.endswith("rotary_emb.inv_freq")]
        problems = [f"{kind} {first_few(names)}" for kind, names in (("missing", missing), ("unknown", unknown)) if names]
        problems += [first_few(wrong, "; ") for wrong in (twice, self._misshaped(wanted)) if wrong]
        if problems:
            raise WeightsError(f"{source} does not fit its config.json: {'; '.join(problems)}")

    def _misshaped(self, wanted: Mapping[str, Any]) -> list[str]:
        """What is wrong with arrays that are there, by the checkpoint's own names."""
        found = []
        for ours, names in self._names.items():
            shape = tuple(wanted[ours].shape)[1:] if "*" in checkpoint_name(ours) else tuple(wanted[ours].shape)
            for place in (self._places[name] for name in names if name in self._places):
                array = self._checkpoint[place]
                if tuple(array.shape) != shape:
                    found.append(f"{place} is {tuple(array.shape)}, expected {shape}")
                elif "float" not in str(array.dtype):
                    found.append(f"{place} holds {array.dtype}, expected floats")
        return found

    def __getitem__(self, name: str) -> Any:
        names = self._names[name]
        if len(names) == 1 and "*" not in checkpoint_name(name):
            return self._checkpoint[self._places[names[0]]]
        return _Stack([self._checkpoint[self._places[n]] for n in names])

    @property
    def head(self) -> np.ndarray | None:
        """The output projection, if there is one, needed or not."""
        place = self._places.get("lm_head.weight")
        return None if place is None else self._checkpoint[place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _differs(head: np.ndarray | None, embedding: np.ndarray) -> bool:
    """Whether an output projection is another array than the embedding; they are read block by block."""
    if head is None:
        return False
    if tuple(head.shape) != tuple(embedding.shape):
        return True
    blocks = (slice(start, start + _BLOCK) for start in range(0, len(head), _BLOCK))
    return any(not np.array_equal(np.asarray(head[rows]), np.asarray(embedding[rows])) for rows in blocks)


class _Stack:
    """Arrays of one shape that become one array when they are asked for."""

    def __init__(self, parts: list[np.ndarray]):
        self._parts = parts
        self.shape = (len(parts), *parts[0].shape)
        self.dtype = parts[0].dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.stack(self._parts).astype(dtype or self.dtype, copy=False)


def load_weights(
    model: Model,
    checkpoint: Mapping[str, np.ndarray],
    backend: Backend,
    dtype: str = "float32",
    source: str = "the checkpoint",
) -> Model:
    """The model with a checkpoint's arrays, moved one by one.

    Where a tied model's checkpoint has an output projection of its own, that is used, with a warning; the result is not tied.

    Args:
        source: what errors call the checkpoint.

    Raises:
        WeightsError: arrays are missing, unknown or of another shape; the message names the first ones of each kind.
    """
    renamed = _Renamed(model, checkpoint, source)
    if model.config.tied and _differs(renamed.head, renamed["embed_tokens.weight"]):
        _LOG.warning(
            "%s: tie_word_embeddings is true, but lm_head.weight is not the embedding; it is used, as in transformers", source
        )
        model = type(model)(replace(model.config, tied=False))
        renamed = _Renamed(model, checkpoint, source)
    return load_arrays(model, renamed, backend, dtype)


def saved_weights(model: Model) -> list[tuple[str, np.ndarray]]:
    """Names and arrays as a checkpoint holds them; that of an encoder has no "model." before its names."""
    found: list[tuple[str, np.ndarray]] = []
    for ours, array in named_arrays(model).items():
        theirs, values = checkpoint_name(ours), ops.to_numpy(array)
        theirs = theirs.removeprefix("model.") if isinstance(model, EmbeddingGemma) else theirs
        if "*" in theirs:
            found += [(theirs.replace("*", str(e)), part) for e, part in enumerate(values)]
        else:
            found.append((theirs, values))
    return found
