"""The open families, one file each: which block they are made of, and how their `config.json` is read.

To add one, write its file and name its class in `FAMILIES`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError
from ..transformer.config import Fields, shown
from ..transformer.decoder import Decoder
from .embedding_gemma import EmbeddingGemma
from .gemma import Gemma, Gemma2, Gemma3
from .gemma4 import Gemma4, Gemma4Unified
from .granite import Granite
from .llama import Llama
from .mistral import Mistral
from .phi import Phi3
from .qwen import Qwen2, Qwen3, Qwen3Moe
from .smollm import SmolLM3

FAMILIES: tuple[type[Decoder], ...] = (
    Gemma,
    Gemma2,
    Gemma3,
    Gemma4,
    Gemma4Unified,
    Granite,
    Llama,
    Mistral,
    Phi3,
    Qwen2,
    Qwen3,
    Qwen3Moe,
    SmolLM3,
)
ENCODERS: tuple[type[EmbeddingGemma], ...] = (EmbeddingGemma,)
"""Those that read a text and write none."""


_SAID_OUTSIDE = ("bos_token_id", "eos_token_id", "pad_token_id", "tie_word_embeddings")  # of `text_config`, for the whole model


def build(config: Mapping[str, Any], source: str = "config.json") -> Decoder | EmbeddingGemma:
    """The model of a `config.json`, as shapes without arrays; of a model that also sees or hears, its text part.

    Raises:
        ConfigError: the architecture is not supported, or a field is missing or contradicts another.
    """
    family = _family(config, source)
    try:
        return family(family.read_config(Fields({**family.defaults, **text_config(config, source)}, source)))
    except ConfigError as error:  # of fields that contradict each other: they do not know where they came from
        raise error if str(error).startswith(source) else ConfigError(f"{source}: {error}") from None


def text_config(config: Mapping[str, Any], source: str = "config.json") -> dict[str, Any]:
    """The `config.json` of the text part alone, of a model that also sees or hears; that of a text model as it stands.

    Raises:
        ConfigError: the architecture is not supported.
    """
    text = config.get("text_config")
    if not isinstance(text, Mapping):
        return dict(config)
    family = _family(config, source)
    outside = {name: config[name] for name in _SAID_OUTSIDE if config.get(name) is not None}
    return {**family.defaults, **text, **outside, "architectures": [family.architectures[0]]}


def _family(config: Mapping[str, Any], source: str) -> type[Decoder] | type[EmbeddingGemma]:
    known = {name: family for family in (*FAMILIES, *ENCODERS) for name in family.architectures}
    found = config.get("architectures") or []
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise ConfigError(f"{source}: architectures must be a list of names, received {shown(found)}")
    architecture = next((name for name in found if name in known), None)
    if architecture is None:
        wanted = ", ".join(map(str, found)) or f"model_type {config.get('model_type')!r}"
        near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.3) or list(known)
        raise ConfigError(f"{source}: {wanted} is not supported; the nearest supported ones are {', '.join(near)}")
    return known[architecture]
