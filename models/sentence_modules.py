"""What makes one vector of a text's hidden states: the modules that a sentence-transformers folder lists in `modules.json`.

Each line of that list names a class of sentence-transformers and a subfolder with its `config.json` and, where it has any, its
weights. The first is the transformer in the folder itself, the second pools, and the others go from vector to vector.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..core import Backend, Module, ShapeError, load_arrays, ops
from ..core.backend import Array
from ..core.layers import Linear
from .errors import ConfigError, WeightsError
from .safetensors import Checkpoint
from .transformer.config import Fields

LIST = "modules.json"
SETTINGS = "config_sentence_transformers.json"
LIMITS = "sentence_bert_config.json"

# Share of each token in the pooled vector, float32 [B, T], from: whether it is of the text [B, T], its place [1, T] from 0, and
# the length of the text [B, 1]
_POOLINGS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "mean": lambda inside, place, length: inside / length,
    "mean_sqrt_len_tokens": lambda inside, place, length: inside / ops.sqrt(length),
    "weightedmean": lambda inside, place, length: inside * (place + 1.0) / (length * (length + 1.0) * 0.5),
    "cls": lambda inside, place, length: inside * ops.cast(place < 1.0, "float32"),
    "lasttoken": lambda inside, place, length: inside * ops.cast(place > length - 1.5, "float32"),
}
_POOLING_FLAGS = {  # of configs before sentence-transformers 5.4
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "Identity": lambda x: x,
    "Tanh": ops.tanh,
    "ReLU": ops.relu,
    "GELU": lambda x: ops.gelu(x, approximate=False),
    "SiLU": ops.silu,
    "Sigmoid": ops.sigmoid,
}


class Pooling(Module):
    """Hidden states to one vector: weighted sums over the tokens of each text, one for each mode, side by side."""

    def __init__(self, modes: Iterable[str]):
        self.modes = tuple(modes)

    def __call__(self, hidden: Array, lengths: Array) -> Array:
        """hidden [B, T, D], lengths int32 [B] from 1 on -> float32 [B, modes · D]."""
        hidden = ops.cast(hidden, "float32")
        place = ops.expand_dims(ops.arange(hidden.shape[1], like=hidden, dtype="float32"), 0)
        length = ops.expand_dims(ops.cast(lengths, "float32"), 1)
        inside = ops.cast(place < length, "float32")
        shares = [_POOLINGS[mode](inside, place, length) for mode in self.modes]
        return ops.concatenate([ops.einsum("bt,btd->bd", share, hidden) for share in shares], -1)


class Dense(Module):
    """A linear layer and an activation: [B, inputs] -> [B, outputs]."""

    def __init__(self, inputs: int, outputs: int, bias: bool, activation: str):
        self.linear = Linear(inputs, outputs, bias)
        self.activation = activation

    def __call__(self, x: Array) -> Array:
        return _ACTIVATIONS[self.activation](self.linear(x))


class Normalize(Module):
    """x / max(‖x‖, 1e-12): [B, width] -> [B, width]."""

    def __call__(self, x: Array) -> Array:
        return x / ops.maximum(ops.sqrt(ops.sum(x * x, -1, keepdims=True)), 1e-12)


class SentenceEncoder(Module):
    """Texts to vectors.

    Args:
        transformer: ids int32 [B, T] and lengths int32 [B] to hidden states [B, T, D].
        pooling: of the hidden states.
        following: modules from vector to vector, in order, by the subfolder that they lie in.
        width: of the vectors.
    """

    def __init__(self, transformer: Module, pooling: Pooling, following: dict[str, Module], width: int):
        self.transformer, self.pooling, self.following = transformer, pooling, following
        self.width = width

    def __call__(self, ids: Array, lengths: Array) -> Array:
        """ids int32 [B, T], lengths int32 [B] from 1 on -> float32 [B, width]."""
        x = self.pooling(self.transformer(ids, lengths), lengths)
        for module in self.following.values():
            x = module(x)
        return x


def module_folders(folder: Path) -> list[tuple[str, str]]:
    """(class, subfolder) of each module that `modules.json` lists, in order; the class without its package.

    Raises:
        ConfigError: it is missing or damaged, or names something that is no subfolder.
    """
    path = folder / LIST
    if not path.is_file():
        raise ConfigError(f"{folder}: holds no {LIST}; an encoder is read from a folder that sentence-transformers saved")
    listed = _read_json(path)
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise ConfigError(f"{path}: no list of modules")
    found = []
    for entry in listed:
        kind, place = entry.get("type"), entry.get("path")
        if not isinstance(kind, str) or not isinstance(place, str):
            raise ConfigError(f"{path}: a module needs a type and a path, received {entry!r}")
        if place and (place.startswith(".") or not set(place).isdisjoint("/\\:\0")):
            raise ConfigError(f"{path}: {place!r} is no subfolder of the model")
        found.append((kind.rpartition(".")[2], place))
    return found


def read_modules(folder: Path, transformer: Module, width: int) -> SentenceEncoder:
    """The modules of a folder around its transformer, as shapes without arrays.

    Args:
        folder: of sentence-transformers.
        transformer: see `SentenceEncoder`.
        width: of its hidden states.

    Raises:
        ConfigError: a file is missing or damaged, or asks for a module or an option that is not supported.
    """
    modules = module_folders(folder)
    kinds = [kind for kind, _ in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or modules[0][1] or not set(kinds[2:]) <= {"Dense", "Normalize"}:
        raise ConfigError(
            f"{folder / LIST}: supported are a Transformer in the folder itself, a Pooling, and any number of Dense and "
            f"Normalize behind them; received {', '.join(kinds) or 'nothing'}"
        )
    places = [place for _, place in modules]
    if "" in places[1:] or len(set(places)) < len(places):
        raise ConfigError(f"{folder / LIST}: every module but the first needs a subfolder of its own, received {places[1:]}")
    pooling = _read_pooling(folder / places[1], width)
    width *= len(pooling.modes)
    following: dict[str, Module] = {}
    for kind, place in modules[2:]:
        if kind == "Normalize":
            following[place] = Normalize()
        else:
            following[place], width = _read_dense(folder / place, width)
    return SentenceEncoder(transformer, pooling, following, width)


def load_modules(encoder: SentenceEncoder, folder: Path, backend: Backend) -> SentenceEncoder:
    """The same with the weights of its `Dense` modules; they are small, and float32 whatever the transformer is.

    Raises:
        WeightsError: they are missing, damaged or of another shape.
    """
    following = dict(encoder.following)
    for place, module in following.items():
        if isinstance(module, Dense):
            try:
                following[place] = load_arrays(module, Checkpoint(folder / place), backend, "float32")
            except ShapeError as error:
                raise WeightsError(f"{folder / place}: {error}") from None
    return SentenceEncoder(encoder.transformer, encoder.pooling, following, encoder.width)


def read_settings(folder: Path, name: str) -> dict[str, Any]:
    """A settings file of the folder; without it, nothing is set.

    Raises:
        ConfigError: it is no JSON object.
    """
    found = _read_json(folder / name) if (folder / name).is_file() else {}
    if not isinstance(found, dict):
        raise ConfigError(f"{folder / name}: no JSON object")
    return found


def _read_pooling(folder: Path, width: int) -> Pooling:
    fields = _fields(folder)
    modes = fields.raw("pooling_mode", [mode for flag, mode in _POOLING_FLAGS.items() if fields.raw(flag)] or ["mean"])
    modes = [modes] if isinstance(modes, str) else modes
    if not isinstance(modes, list) or not modes or not set(map(str, modes)) <= set(_POOLINGS):
        raise ConfigError(f"{fields.source}: pooling_mode is {modes!r}; supported are {', '.join(_POOLINGS)}")
    if not fields.flag("include_prompt", True):
        raise ConfigError(f"{fields.source}: include_prompt false is not supported: prompts are pooled with the text")
    name = "embedding_dimension" if "embedding_dimension" in fields else "word_embedding_dimension"
    if fields.count(name, width) != width:
        raise ConfigError(f"{fields.source}: {name} is {fields.raw(name)}, but hidden states have {width} channels")
    return Pooling(modes)


def _read_dense(folder: Path, width: int) -> tuple[Dense, int]:
    fields = _fields(folder)
    inputs, outputs = fields.count("in_features"), fields.count("out_features")
    if inputs != width:
        raise ConfigError(f"{fields.source}: in_features is {inputs}, but what comes before gives {width} channels")
    if fields.flag("use_residual", False):
        raise ConfigError(f"{fields.source}: use_residual is not supported")
    for name in ("module_input_name", "module_output_name"):
        if fields.raw(name, "sentence_embedding") != "sentence_embedding":
            raise ConfigError(f"{fields.source}: {name} is {fields.raw(name)!r}; supported is sentence_embedding")
    activation = str(fields.raw("activation_function", "torch.nn.modules.activation.Tanh"))
    package, _, kind = activation.rpartition(".")
    if not package.startswith("torch.nn") or kind not in _ACTIVATIONS:
        raise ConfigError(f"{fields.source}: activation_function is {activation!r}; supported are {', '.join(_ACTIVATIONS)}")
    return Dense(inputs, outputs, fields.flag("bias", True), kind), outputs


def _fields(folder: Path) -> Fields:
    found = _read_json(folder / "config.json")
    if not isinstance(found, dict):
        raise ConfigError(f"{folder / 'config.json'}: no JSON object")
    return Fields(found, str(folder / "config.json"))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{path}: no JSON") from None
