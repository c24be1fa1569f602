"""EmbeddingGemma (Schechter Vera et al. 2025): Gemma 3 whose tokens see the text on both sides. It encodes, and has no head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ...core import Module, ops
from ...core.backend import Array
from ...core.layers import Embedding, RMSNorm
from ..errors import ConfigError
from ..transformer.blocks import SandwichBlock
from ..transformer.config import DecoderConfig, Fields
from ..transformer.rope import Rope, cos_sin
from .gemma import gemma3_config


class EmbeddingGemma(Module):
    """Texts to hidden states, all tokens of a text at once and without a cache.

    Attributes:
        architectures, defaults, renamed, unused: as of a `Decoder`. Checkpoints of an encoder name its arrays without "model.".
    """

    architectures = MappingProxyType({"Gemma3TextModel": "gemma3_text"})
    defaults: Mapping[str, Any] = MappingProxyType({})
    renamed = (("model.", "model."), ("", "model."))
    unused: tuple[str, ...] = ()

    def __init__(self, config: DecoderConfig):
        c = config
        self.config = c
        self.embed_tokens = Embedding(c.vocab, c.d_model)
        self.layers = [SandwichBlock(c, layer) for layer in range(c.layers)]
        self.norm = RMSNorm(c.d_model, c.norm_eps, c.zero_centred)

    @classmethod
    def read_config(cls, fields: Fields) -> DecoderConfig:
        """Sizes from `config.json`, as of Gemma 3; a window holds half of its positions on either side.

        Raises:
            ConfigError: as of a `Decoder`; or the model reads from left to right, as those do that write.
        """
        if not fields.flag("use_bidirectional_attention", False):
            raise ConfigError(
                f"{fields.source}: a Gemma3TextModel is supported as an encoder, with use_bidirectional_attention true; "
                "a model that writes is a Gemma3ForCausalLM"
            )
        config = gemma3_config(fields)
        return replace(config, windows=tuple(window and window // 2 + 1 for window in config.windows))

    def __call__(self, ids: Array, lengths: Array) -> Array:
        """Normalised hidden states [B, T, D].

        Args:
            ids: int32 [B, T].
            lengths: int32 [B], at least 1; tokens from there on are padding, whose hidden states mean nothing.
        """
        state = _State(ids, lengths)
        x = self.embed_tokens(ids) * self.config.embedding_scale
        for layer in self.layers:
            x, _ = layer(x, state, None)
        return self.norm(x)


class _State:
    """What the layers of one call share: positions, rotations, masks. See `decoder.py` for that of a model with a cache."""

    length = 0  # of what came before

    def __init__(self, ids: Array, lengths: Array):
        self._shape = tuple(ids.shape)
        self._lengths = lengths
        self._positions = ops.arange(self._shape[1], like=ids)
        self._masks: dict[int, Array] = {}
        self._rotations: dict[Any, tuple[Array, Array]] = {}

    def rotation(self, rope: Rope, channels: int, like: Array) -> tuple[Array, Array]:
        """Cosine and sine [T, 1, channels/2], in the element type of `like`."""
        key = (id(rope), channels)
        if key not in self._rotations:
            found = cos_sin(rope, channels, self._positions, self._shape[1])
            self._rotations[key] = tuple(ops.cast(x, ops.element_type(like)) for x in found)
        return self._rotations[key]

    def mask(self, _: None, reach: int) -> Array:
        """Visible tokens for each token, bool [B, T, T]: those of the text that are less than `reach` away (0: all)."""
        B, T = self._shape
        reach = reach if 0 < reach < T else 0
        if reach not in self._masks:
            q, p = ops.expand_dims(self._positions, 1), ops.expand_dims(self._positions, 0)
            inside = ops.broadcast_to(ops.expand_dims(p < ops.expand_dims(self._lengths, 1), 1), (B, T, T))
            near = ops.expand_dims((q - p < reach) & (p - q < reach), 0)
            self._masks[reach] = inside & near if reach else inside
        return self._masks[reach]
