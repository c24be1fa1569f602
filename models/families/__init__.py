"""The open families, one file each: which block they are made of, and how their `config.json` is read.

To add one, write its file and name its class in `FAMILIES`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError
from ..transformer.config import Fields
from ..transformer.decoder import Decoder
from .gemma import Gemma, Gemma2, Gemma3
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
    Granite,
    Llama,
    Mistral,
    Phi3,
    Qwen2,
    Qwen3,
    Qwen3Moe,
    SmolLM3,
)


def build(config: Mapping[str, Any], source: str = "config.json") -> Decoder:
    """The model of a `config.json`, as shapes without arrays.

    Raises:
        ConfigError: the architecture is not supported, or a field is missing or contradicts another.
    """
    known = {name: family for family in FAMILIES for name in family.architectures}
    found = config.get("architectures") or []
    architecture = next((name for name in found if name in known), None)
    if architecture is None:
        wanted = ", ".join(map(str, found)) or f"model_type {config.get('model_type')!r}"
        near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.3) or list(known)
        raise ConfigError(f"{source}: {wanted} is not supported; the nearest supported ones are {', '.join(near)}")
    family = known[architecture]
    return family(family.read_config(Fields(config, source)))
