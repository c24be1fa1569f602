"""Folders as Hugging Face lays them out: `config.json`, safetensors, tokenizer files; read, and written again.

That of an encoder is a sentence-transformers folder: `modules.json` lists subfolders with what follows the transformer.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..agents import AgentError
from ..agents.dialects import dialect_of, get_dialect
from ..core import Backend, ElementTypeError, named_arrays, ops
from ..models.chat_template import FILES as TEMPLATE_FILES
from ..models.chat_template import FOLDER as TEMPLATE_FOLDER
from ..models.chat_template import read_chat_template
from ..models.embedding_model import EmbeddingModel
from ..models.errors import ConfigError, ModelError
from ..models.families import build, text_config
from ..models.families.embedding_gemma import EmbeddingGemma
from ..models.families.keras_hub import translated
from ..models.families.weights import load_weights, saved_weights
from ..models.framing import read_framing
from ..models.hugging_face_tokenizer import load_tokenizer
from ..models.language_model import LanguageModel
from ..models.safetensors import Checkpoint, write_safetensors
from ..models.sentence_modules import LIMITS, LIST, SETTINGS, SentenceEncoder, load_modules, module_folders, read_modules
from ..models.transformer.decoder import Decoder
from .errors import PresetError

ELEMENT_TYPES = ("float32", "bfloat16", "float16")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
    *TEMPLATE_FILES,
)
ENCODER_FILES = (LIST, SETTINGS, LIMITS)


def check_element_type(dtype: str) -> None:
    """Whether models compute in it, on some backend.

    Raises:
        ElementTypeError: they do not.
    """
    if dtype not in ELEMENT_TYPES:
        raise ElementTypeError(f"a model computes in {', '.join(ELEMENT_TYPES)}, received {dtype!r}; use float32 otherwise")


def check_checkpoint(folder: Path, source: str) -> None:
    """Whether this version runs the model of a folder, of which the weights need not be there.

    Args:
        source: what errors call its `config.json`.

    Raises:
        ConfigError: it does not, or a file that says what it is made of is missing or damaged.
    """
    config = read_config(folder)
    module = build(translated(config, source) if "registered_name" in config else config, source)
    if isinstance(module, EmbeddingGemma):
        read_modules(folder, module, module.config.d_model)


def load_checkpoint(
    folder: Path, backend: Backend, title: str | None = None, dtype: str = "float32", dialect: str | None = None
) -> LanguageModel | EmbeddingModel:
    """The model of a folder, with weights and caches in that element type: "float32", "bfloat16" or "float16".

    Raises:
        ElementTypeError: the backend does not compute in it.
        ConfigError, WeightsError, TokenizerError, ChatTemplateError: that part of it is missing, damaged or not supported.
        PresetError: a dialect is given for a model that writes nothing.
    """
    check_element_type(dtype)
    config, title = read_config(folder), title or folder.name
    module = build(config, str(folder / "config.json"))
    text = text_config(config)
    source = Source(folder, MappingProxyType(text))
    if isinstance(module, EmbeddingGemma):
        if dialect is not None:
            raise PresetError(f"{title} is an embedding model, which writes no calls; leave dialect={dialect!r} out")
        return _load_encoder(module, source, backend, title, dtype)
    module = load_weights(module, Checkpoint(folder), backend, dtype, str(folder))
    if not module.config.tied and text.get("tie_word_embeddings"):  # the checkpoint knows better
        source = Source(folder, MappingProxyType({**text, "tie_word_embeddings": False}))
    module.source = source
    tokenizer = load_tokenizer(folder, module.config.vocab)
    dialect = dialect or _saved_dialect(folder) or dialect_of(tokenizer, type(module).dialect)
    try:
        get_dialect(dialect)
    except AgentError as error:
        raise PresetError(f"{title}: {error}") from None
    model = LanguageModel(title, module, tokenizer, backend, module.config.max_positions, dialect)
    model.chat_template = read_chat_template(folder)
    return model


def _load_encoder(module: EmbeddingGemma, source: Source, backend: Backend, title: str, dtype: str) -> EmbeddingModel:
    folder, config = source.folder, module.config
    encoder = read_modules(folder, module, config.d_model)
    tokenizer = load_tokenizer(folder, config.vocab)
    framing = read_framing(folder, config.max_positions, encoder.width)
    encoder = load_modules(encoder, folder, backend)
    encoder.transformer = load_weights(module, Checkpoint(folder), backend, dtype, str(folder))
    encoder.source = source
    return EmbeddingModel(title, encoder, tokenizer, backend, framing)


def _saved_dialect(folder: Path) -> str | None:
    """What `save_preset` noted in `ferrule.json`."""
    try:
        facts = json.loads((folder / "ferrule.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    found = facts.get("dialect") if isinstance(facts, dict) else None
    return found if isinstance(found, str) else None


class Source:
    """Where a model came from: what `save_preset` needs besides its arrays.

    Args:
        folder: that it was read from.
        config: its `config.json`, as Hugging Face writes it.
        tokenizer: files of its tokenizer by name, where those of the folder are of another form.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], tokenizer: Mapping[str, bytes] | None = None):
        self.folder, self.config, self.tokenizer = folder, config, tokenizer

    def write_tokenizer(self, target: Path) -> None:
        """The tokenizer's files, into a folder."""
        if self.tokenizer is None:
            templates = tuple(f"{TEMPLATE_FOLDER}/{path.name}" for path in (self.folder / TEMPLATE_FOLDER).glob("*.jinja"))
            _copy((*TOKENIZER_FILES, *templates), self.folder, target)
        for name, data in (self.tokenizer or {}).items():
            (target / name).write_bytes(data)


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` as it stands; the text part of a model that also sees or hears.

    Raises:
        ConfigError: it is missing or no JSON object.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: no JSON: {error}; mend the file, or fetch it again") from None
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: no JSON object, received {config!r:.80}; mend the file, or fetch it again")
    return config


def save_preset(model: LanguageModel | EmbeddingModel, folder: str | os.PathLike[str]) -> Path:
    """Write a model as a folder that `from_preset` loads, and so does `transformers`; an encoder, `sentence_transformers`.

    The folder appears whole or not at all. Weights are written in float32, whatever the model computes in, and `config.json`
    says so (`torch_dtype`).

    Args:
        model: of one of the open families.
        folder: must not exist yet.

    Raises:
        PresetError: the folder exists, or this is no model, or none that came from such a folder.
    """
    if not isinstance(model, LanguageModel | EmbeddingModel):
        raise PresetError(f"what is saved is a model, as from_preset gives it, received a {type(model).__name__}")
    if not isinstance(folder, str | os.PathLike) or not isinstance(named := os.fspath(folder), str) or not named.strip():
        raise PresetError(f"the folder to save to is named by a text or a path, received {folder!r}")
    target = Path(named)
    source = getattr(model.module, "source", None)
    if not isinstance(model.module, Decoder | SentenceEncoder) or source is None:
        raise PresetError(f"{model.name} did not come from a Hugging Face folder, so it cannot be saved as one")
    if target.exists():
        raise PresetError(f"{target} exists already; choose another name, or remove it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=".ferrule."))
    except OSError as error:
        raise PresetError(f"{target} cannot be written: {error.strerror or error}") from None
    try:
        facts: dict[str, Any] = {"format": 1, "title": model.name}
        if isinstance(model, EmbeddingModel):
            transformer = model.module.transformer
            _write_modules(model.module, source.folder, temporary)
        else:
            transformer = model.module
            facts["dialect"] = model.dialect
        # transformers 5 calls it dtype, and puts that before torch_dtype, which all of them read
        config = {name: value for name, value in source.config.items() if name != "dtype"} | {"torch_dtype": "float32"}
        (temporary / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        write_safetensors(temporary / "model.safetensors", saved_weights(transformer), {"format": "pt"})
        source.write_tokenizer(temporary)
        (temporary / "ferrule.json").write_text(json.dumps(facts, indent=2) + "\n")
        temporary.chmod(0o755)
        os.replace(temporary, target)
    except (OSError, ModelError) as error:
        raise PresetError(f"{target} cannot be written: {getattr(error, 'strerror', None) or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _write_modules(encoder: SentenceEncoder, source: Path, target: Path) -> None:
    """What a sentence-transformers folder has besides a transformer."""
    _copy(ENCODER_FILES, source, target)
    for _, place in module_folders(source):
        if place:
            (target / place).mkdir()
            _copy(("config.json",), source / place, target / place)
    for place, module in encoder.following.items():
        arrays = [(name, ops.to_numpy(array)) for name, array in named_arrays(module).items()]
        if arrays:
            write_safetensors(target / place / "model.safetensors", arrays, {"format": "pt"})


def _copy(names: tuple[str, ...], source: Path, target: Path) -> None:
    for name in names:
        if (source / name).is_file():
            (target / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(source / name, target / name)
