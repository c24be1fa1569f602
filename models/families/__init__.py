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
    _check_plain(config, source)
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
    return {**family.defaults, **text, **outside, "architectures": [next(iter(family.architectures))]}


def _check_plain(config: Mapping[str, Any], source: str) -> None:
    """ConfigError where the weights are not plain numbers."""
    parts = [part for part in (config, config.get("text_config")) if isinstance(part, Mapping)]
    for name in ("quantization_config", "compression_config"):
        found = next((part[name] for part in parts if part.get(name) is not None), None)
        if found is not None:
            method = found.get("quant_method") if isinstance(found, Mapping) else None
            kind = f" with {shown(method)}" if method is not None else ""
            raise ConfigError(
                f"{source}: {name} says that the weights are quantised{kind}, which is not supported; "
                "use the folder of the model in float32, bfloat16 or float16"
            )


def _family(config: Mapping[str, Any], source: str) -> type[Decoder] | type[EmbeddingGemma]:
    known = {name: family for family in (*FAMILIES, *ENCODERS) for name in family.architectures}
    types = {name: kind for family in known.values() for name, kind in family.architectures.items()}
    found, kind = config.get("architectures") or [], config.get("model_type")
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise ConfigError(f"{source}: architectures must be a list of names, received {shown(found)}")
    if not found and kind is None:
        raise ConfigError(f"{source}: neither architectures nor model_type is there, which say what model this is")
    fitting = [name for name in found or known if name in known and (kind is None or types[name] == kind)]
    if fitting:
        return known[fitting[0]]
    if other := next((name for name in found if name in known), None):
        raise ConfigError(
            f"{source}: architectures {other} and model_type {shown(kind)} contradict each other: "
            f"the model_type of {other} is {types[other]!r}; correct the wrong one"
        )
    wanted = ", ".join(found) or f"model_type {shown(kind)}"
    near = difflib.get_close_matches(", ".join(found) or str(kind), known if found else types.values(), n=3, cutoff=0.3)
    supported = ", ".join(near or known)
    raise ConfigError(f"{source}: {wanted} is not supported; the nearest supported ones are {supported}")
