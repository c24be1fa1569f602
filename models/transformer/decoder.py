"""The decoder of the open families: embedding, layers, norm, logits; and the caches that go with it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ...core import Backend, Module, ops
from ...core.backend import Array
from ...core.layers import ReversibleEmbedding, RMSNorm
from .. import kv_cache
from .blocks import PreNormBlock
from .config import DecoderConfig, Fields, common
from .rope import Rope, cos_sin

Cache = dict[str, Any]


class Decoder(Module):
    """A causal language model. A family is a subclass that names its block and reads its `config.json`.

    Attributes:
        architectures: names in `config.json` that this definition runs, and the `model_type` that belongs to each.
        block: of its layers.
        defaults: fields that its `config.json` may leave out, and what they are then.
        renamed: beginnings of names in the checkpoint of a model that also sees or hears, and what a text model has instead.
        unused: beginnings of the names of arrays, after renaming, that such a checkpoint holds and text needs not.
    """

    architectures: Mapping[str, str] = MappingProxyType({})
    dialect: str = "plain"  # how its instruction-tuned checkpoints write calls
    block: type[Module] = PreNormBlock
    defaults: Mapping[str, Any] = MappingProxyType({})
    renamed: tuple[tuple[str, str], ...] = ()
    unused: tuple[str, ...] = ()

    def __init__(self, config: DecoderConfig):
        c = config
        self.config = c
        self.embed_tokens = ReversibleEmbedding(c.vocab, c.d_model, c.tied, c.logit_cap)
        self.layers = [self.block(c, layer) for layer in range(c.layers)]
        self.norm = RMSNorm(c.d_model, c.norm_eps, c.zero_centred)

    @classmethod
    def read_config(cls, fields: Fields) -> DecoderConfig:
        """Sizes from `config.json`.

        Raises:
            ConfigError: a field is missing, of the wrong kind, contradicts another or asks for what is not supported.
        """
        return common(fields)

    def __call__(self, ids: Array, valid: Array | int, cache: Cache) -> tuple[Array, Cache]:
        """Run new tokens behind those of the cache; see `token_loop.Decoder`."""
        state = _State(ids, valid, cache, self.config.max_positions)
        x = self.embed_tokens(ids)
        if self.config.embedding_scale != 1:
            x = x * self.config.embedding_scale
        x, layers = self.run_layers(x, ids, state, cache["layers"])
        return self.norm(x), {**cache, "length": cache["length"] + valid, "layers": layers}

    def run_layers(self, x: Array, ids: Array, state: Any, buffers: list[Any]) -> tuple[Array, list[Any]]:
        """One layer after the other: embeddings x [B, T, D] of ids [B, T] -> hidden states [B, T, D], and the buffers."""
        kept = []
        for layer, buffer in zip(self.layers, buffers):
            x, buffer = layer(x, state, buffer)
            kept.append(buffer)
        return x, kept

    @property
    def border(self) -> int:
        """Length of a text beyond which all of its positions turn at another pace ("longrope"); 0 for none.

        A cache then has the entry `until`, the length of the text that is on its way through the model, which decides. So its
        beginning is read as the beginning of a long text, or of a short one.
        """
        borders = {rope.original for rope in self.config.ropes if rope is not None and rope.kind == "longrope"}
        return max((border for border in borders if border < self.config.max_positions), default=0)

    def logits(self, hidden: Array) -> Array:
        """Hidden states [..., D] -> logits [..., V]."""
        if self.config.logit_scale != 1:
            hidden = hidden * self.config.logit_scale
        return self.embed_tokens(hidden, reverse=True)

    def new_cache(self, backend: Backend, capacity: int, batch: int = 1, pool: bool = False) -> Cache:
        """An empty cache with room for `capacity` positions; layers with a window take no more than they need."""
        c, dynamic = self.config, backend.dynamic_shapes
        dtype = ops.element_type(self.norm.gain)
        rows = [capacity if dynamic else kv_cache.ring_rows(window, capacity) for window in c.windows]
        shapes = [(n, heads, channels, channels) for n, (heads, channels) in zip(rows, c.kept)]
        names = ("length", "until") if self.border else ("length",)
        counts = {name: 0 if dynamic else backend.zeros((), "int32") for name in names}
        return {**counts, "layers": [kv_cache.new_buffer(backend, batch, *shape, dtype) for shape in shapes]}

    def copy_cache(self, backend: Backend, cache: Cache, length: int) -> Cache:
        """The same cache after `length` positions, in memory of its own."""
        counts = {name: n if isinstance(n, int) else backend.copy(n) for name, n in cache.items() if name != "layers"}
        return {**counts, "layers": [kv_cache.copy(backend, buffer, length) for buffer in cache["layers"]]}

    def grow_cache(self, cache: Cache, capacity: int) -> Cache:
        """The same cache with room for `capacity` positions (fixed shapes; the dynamic form grows by itself)."""
        layers = []
        for window, buffer in zip(self.config.windows, cache["layers"]):
            rows = kv_cache.ring_rows(window, capacity)
            layers.append(kv_cache.grow(buffer, rows) if rows > buffer["k"].shape[1] else buffer)
        return {**cache, "layers": layers}


class _State:
    """What the layers of one call share: positions, rotations, masks."""

    def __init__(self, ids: Array, valid: Array | int, cache: Cache, most: int):
        self.new, self.valid, self.length, self.most = ids.shape[1], valid, cache["length"], most
        self.until = cache.get("until", self.length + valid)
        self.positions = ops.arange(self.new, like=ids) + self.length
        self._masks: dict[Any, Array | None] = {}
        self._rotations: dict[Any, tuple[Array, Array]] = {}

    def rotation(self, rope: Rope, channels: int, like: Array) -> tuple[Array, Array]:
        """Cosine and sine [T, 1, channels/2], in the element type of `like`."""
        key = (id(rope), channels)
        if key not in self._rotations:
            found = cos_sin(rope, channels, self.positions, self.until)
            self._rotations[key] = tuple(ops.cast(x, ops.element_type(like)) for x in found)
        return self._rotations[key]

    def mask(self, buffer: kv_cache.Buffer, window: int) -> Array | None:
        """Visible rows for each query, bool [1, T, S]; None when all are."""
        key = (window, buffer["k"].shape[1], buffer.get("start", 0))
        if key not in self._masks:
            self._masks[key] = self._make_mask(buffer, window or self.most)
        return self._masks[key]

    def _make_mask(self, buffer: kv_cache.Buffer, reach: int) -> Array | None:
        if self.new == 1 and isinstance(self.length, int) and self.length + 1 - buffer["start"] <= reach:
            return None
        rows = kv_cache.row_positions(buffer, self.length, self.valid, self.new, self.positions)
        p, q = ops.expand_dims(rows, 0), ops.expand_dims(self.positions, 1)
        return ops.expand_dims((p >= 0) & (p <= q) & (q - p < reach), 0)
