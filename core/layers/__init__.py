"""Layers that models are built of. Each is a `Module`: construct it, then `initialize` or `load_arrays` fills it."""

from .embedding import Embedding, ReversibleEmbedding
from .linear import CausalConv, Linear
from .norm import LayerNorm, RMSNorm
from .pooling import AdaptiveAveragePooling1D, AdaptiveAveragePooling2D, AdaptiveAveragePooling3D

__all__ = [
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "CausalConv",
    "Embedding",
    "LayerNorm",
    "Linear",
    "RMSNorm",
    "ReversibleEmbedding",
]
