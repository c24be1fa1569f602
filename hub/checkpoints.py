"""Folders as Hugging Face lays them out: `config.json`, safetensors, tokenizer files; read, and written again."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..core import Backend
from ..models.errors import ConfigError, ModelError
from ..models.families import build
from ..models.families.weights import load_weights, saved_weights
from ..models.hugging_face_tokenizer import load_tokenizer
from ..models.language_model import LanguageModel
from ..models.safetensors import Checkpoint, write_safetensors
from ..models.transformer.decoder import Decoder
from .errors import PresetError

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
    "chat_template.jinja",
)


def load_checkpoint(
    folder: Path, backend: Backend, title: str | None = None, dtype: str = "float32", dialect: str | None = None
) -> LanguageModel:
    """The model of a folder, with weights and caches in that element type: "float32", "bfloat16" or "float16".

    Raises:
        ElementTypeError: the backend does not compute in it.
        ConfigError, WeightsError, TokenizerError: that part of it is missing, damaged or not supported.
    """
    config = read_config(folder)
    module = load_weights(build(config, str(folder / "config.json")), Checkpoint(folder), backend, dtype)
    module.source = Source(folder, MappingProxyType(config))
    tokenizer = load_tokenizer(folder, module.config.vocab)
    dialect = dialect or _saved_dialect(folder) or type(module).dialect
    return LanguageModel(title or folder.name, module, tokenizer, backend, module.config.max_positions, dialect)


def _saved_dialect(folder: Path) -> str | None:
    """What `save_preset` noted in `ferrule.json`."""
    try:
        facts = json.loads((folder / "ferrule.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    found = facts.get("dialect") if isinstance(facts, dict) else None
    return found if isinstance(found, str) else None


class Source:
    """Where a model came from: what `save_preset` needs besides its arrays."""

    def __init__(self, folder: Path, config: MappingProxyType[str, Any]):
        self.folder, self.config = folder, config


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
    except (ValueError, RecursionError):
        raise ConfigError(f"{path}: no JSON") from None
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: no JSON object")
    return config


def save_preset(model: LanguageModel, folder: str | os.PathLike[str]) -> Path:
    """Write a model as a folder that `from_preset` and `transformers` load.

    The folder appears whole or not at all.

    Args:
        model: of one of the open families.
        folder: must not exist yet.

    Raises:
        PresetError: the folder exists, or this model did not come from such a folder.
    """
    target = Path(folder)
    source = getattr(model.module, "source", None)
    if not isinstance(model.module, Decoder) or source is None:
        raise PresetError(f"{model.name} did not come from a Hugging Face folder, so it cannot be saved as one")
    if target.exists():
        raise PresetError(f"{target} exists already; choose another name, or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        (temporary / "config.json").write_text(json.dumps({**source.config, "torch_dtype": "float32"}, indent=2) + "\n")
        write_safetensors(temporary / "model.safetensors", saved_weights(model.module), {"format": "pt"})
        for name in TOKENIZER_FILES:
            if (source.folder / name).is_file():
                shutil.copyfile(source.folder / name, temporary / name)
        facts = {"format": 1, "dialect": model.dialect, "title": model.name}
        (temporary / "ferrule.json").write_text(json.dumps(facts, indent=2) + "\n")
        temporary.chmod(0o755)
        os.replace(temporary, target)
    except (OSError, ModelError) as error:
        raise PresetError(f"{target} cannot be written: {error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target
