"""From a `.cact` container to a `Needle`: which tensors of the file become which array of the tree, and how.

Projections that read the same input are joined, zero-centred gains get their 1, and gates that are constants of the checkpoint
are folded into the gain they multiply. N-gram tables stay packed. At full depth every tensor of the container is used, except
those of the heads "embedding" and "router", which nothing here runs; a ladder leaves those of its missing layers out, too. A
container holds no tensor that its header does not imply (`read_container`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core import Backend, CodebookArray, get_backend, load_arrays
from ..errors import WeightsError
from .config import NeedleConfig
from .container import Container, read_container
from .model import Needle, rotary_tables
from .packed import PackedTensor, dequantize
from .tokenizer import NeedleTokenizer


def load_needle(
    path: str | os.PathLike[str], backend: str | Backend = "numpy", depth: int | None = None, kv_window: int = 0
) -> tuple[Needle, NeedleTokenizer]:
    """The model and tokenizer of a container.

    Args:
        path: a `.cact` file.
        backend: where the arrays go.
        depth: layers of the ladder sub-network to keep, 2 … all; None keeps all.
        kv_window: see `NeedleConfig`.

    Raises:
        WeightsError: the file is missing, damaged or of another format.
        OptionError: the model has no such depth, or the window is no number of positions.
    """
    backend = get_backend(backend)
    container = read_container(path)
    config = needle_config(container).narrowed(kv_window)
    if depth is not None:
        config = config.ladder(depth)
    model = load_arrays(Needle(config), needle_arrays(container, config, packed=backend.keeps_packed()), backend)
    return model, NeedleTokenizer(container.tokenizer)


def needle_config(container: Container) -> NeedleConfig:
    """Sizes of the full-depth model in a container."""
    h, t = container.header, container.tensors
    if h.out_vocab not in (0, h.vocab):
        raise WeightsError(f"the output head has {h.out_vocab} of {h.vocab} rows, only full heads can be run; use another file")
    heads = {}
    if "heads.confidence.gain" in t:
        heads = {"probes": t["heads.confidence.gain"].shape[1], "queries": t["heads.confidence.query"].shape[0]}
    return NeedleConfig.from_header(h, cond_rank=t["layers.0.cond_v"].shape[1], **heads)


def needle_arrays(container: Container, config: NeedleConfig, packed: bool) -> dict[str, Any]:
    """Arrays of the tree by path, float32 on the host; n-gram tables, and if `packed` every large matrix, `CodebookArray`."""
    read, join = _reader(container), _joiner(container, packed)
    cos, sin = rotary_tables(config)
    arrays: dict[str, Any] = {
        "embedding.weight": join("embedding"),
        "cos": cos,
        "sin": sin,
        "final_norm.gain": 1 + read("final_norm"),
    }
    J = config.mhc_lanes
    phi = {n: read(f"mhc.phi_{n}").reshape(config.num_layers, -1, J * config.d_model) for n in ("pre", "post", "res")}
    for place, layer in enumerate(config.layers):
        arrays.update(_under(f"blocks.{place}.mhc.", _hyper_connection(read, phi, layer, place % J, J)))
        arrays.update(_under(f"blocks.{place}.attn.", _attention(read, join, f"layers.{layer}.", config)))
        arrays.update(_under(f"blocks.{place}.mlp.", _mlp(read, f"layers.{layer}.", config)))
        if layer in config.engram_sites:
            arrays.update(_under(f"blocks.{place}.engram.", _engram(read, join, _joiner(container, True), f"engram.{layer}.")))
    if config.probes:
        arrays.update(_under("confidence.", _confidence(read, config)))
    return arrays


def _reader(container: Container) -> Callable[[str], np.ndarray]:
    def read(name: str) -> np.ndarray:
        tensor = container.tensors[name]
        return dequantize(tensor) if isinstance(tensor, PackedTensor) else tensor.astype(np.float32)

    return read


def _joiner(container: Container, packed: bool) -> Callable[..., Any]:
    """Function from names of matrices with equal columns to one matrix of all their rows, packed where it can be."""
    read = _reader(container)

    def join(*names: str) -> Any:
        parts = [container.tensors[name] for name in names]
        first = parts[0]
        same = all(isinstance(p, PackedTensor) and (p.bits, p.group) == (first.bits, first.group) for p in parts)
        if not packed or not same or 8 % first.code_bits:
            return np.concatenate([read(name) for name in names]) if len(names) > 1 else read(names[0])
        codes, norms = (np.concatenate([getattr(p, kind) for p in parts]) for kind in ("codes", "norms"))
        return CodebookArray(codes, norms, first.codebook, first.code_bits, first.group, first.shape[1])

    return join


def _under(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    return {prefix + name: array for name, array in arrays.items()}


def _hyper_connection(read, phi, layer: int, lane: int, J: int) -> dict[str, Any]:
    # A layer starts out reading and writing one lane: that lane's bias is raised (read) or left (write), the others lowered.
    own = np.arange(J) == lane
    scale = [np.full(n, read(f"mhc.a_{part}")[layer]) for part, n in (("pre", J), ("post", J), ("res", J * J))]
    bias = [
        read("mhc.b_pre")[layer] + np.where(own, 4.0, -4.0),
        read("mhc.b_post")[layer] + np.where(own, 0.0, -4.0),
        read("mhc.b_res")[layer].reshape(-1),
    ]
    return {
        "phi": np.concatenate([phi["pre"][layer], phi["post"][layer], phi["res"][layer]]),
        "scale": np.concatenate(scale).astype(np.float32),
        "bias": np.concatenate(bias).astype(np.float32),
    }


def _attention(read, join, at: str, config: NeedleConfig) -> dict[str, Any]:
    norms = [1 + read(at + "q_norm")] * config.num_heads + [1 + read(at + "k_norm")] * config.num_kv_heads
    gate = 1 / (1 + np.exp(-read(at + "attn_gate")))
    return {
        "norm_in.gain": 1 + read(at + "norm_in"),
        "qkvg_proj.weight": join(*(f"{at}{n}_proj" for n in ("q", "k", "v", "gate"))),
        "qk_norm": np.stack(norms),
        "out_proj.weight": join(at + "out_proj"),
        "post_norm.gain": gate * (1 + read(at + "post_norm")),
        "conv.weight": np.concatenate([read(f"{at}{n}_taps") for n in ("q", "k", "v")], axis=1),
    }


def _mlp(read, at: str, config: NeedleConfig) -> dict[str, Any]:
    D = config.d_model
    same = ("d2", "b2", "d3", "w1b", "w2a", "w2b", "w3b")
    rows = D // math.isqrt(config.hada_n)  # the stream fills the first rows of the square; zeros below take no part
    return {
        **{name: read(at + name) for name in same},
        "w1a": np.ascontiguousarray(read(at + "w1a")[:rows]),
        "w3a": np.ascontiguousarray(read(at + "w3a")[:, :rows]),
        "d1": read(at + "d1")[:D],
        "d4": read(at + "d4")[:D],
        "pre_hada.gain": 1 + read(at + "pre_hada"),
        "cond_v.weight": np.ascontiguousarray(read(at + "cond_v").T),
        "cond_u.weight": np.ascontiguousarray(read(at + "cond_u").T),
        "p1": read("p1").astype(np.int32),
        "p2": read("p2").astype(np.int32),
    }


def _engram(read, join, join_packed, at: str) -> dict[str, Any]:
    return {
        "tables": join_packed(at + "tables"),
        "kv_proj.weight": join(at + "key_proj", at + "value_proj"),
        "conv.weight": read(at + "taps"),
    }


def _confidence(read, config: NeedleConfig) -> dict[str, Any]:
    rows = [0] + [layer + 1 for layer in config.layers]
    at = "heads.confidence."
    return {
        "probes": read(at + "probes").reshape(config.num_layers + 1, config.probes, -1)[rows],
        "gain": read(at + "gain")[rows],
        "query": read(at + "query"),
        "row_bias": np.ascontiguousarray(read(at + "row_bias")[:, rows]),
        "proj": read(at + "proj"),
        "bias": read(at + "bias"),
    }
