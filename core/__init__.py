"""Arrays only: the op vocabulary, its backends, and modules (trees of named arrays). Knows nothing of language.

>>> import numpy as np
>>> from ferrule.core import get_backend, ops
>>> jax = get_backend("jax")                              # imported now, not before
>>> x = jax.asarray(np.ones((2, 3), np.float32))
>>> ops.to_numpy(ops.softmax(x)).shape                    # an op runs on the backend that its arrays belong to
(2, 3)
"""

from . import layers, ops
from .backend import Backend, available_backends, backend_names, get_backend
from .errors import BackendNotInstalledError, CoreError, ElementTypeError, ShapeError, UnknownBackendError, first_few
from .module import ArraySpec, Module, initialize, load_arrays, map_arrays, named_arrays
from .quantized import CodebookArray

__all__ = [
    "ArraySpec",
    "Backend",
    "BackendNotInstalledError",
    "CodebookArray",
    "CoreError",
    "ElementTypeError",
    "Module",
    "ShapeError",
    "UnknownBackendError",
    "available_backends",
    "backend_names",
    "first_few",
    "get_backend",
    "initialize",
    "layers",
    "load_arrays",
    "map_arrays",
    "named_arrays",
    "ops",
]
