"""The front door: a preset's name becomes a model that is ready to run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core import Backend, Module, get_backend
from ..models.language_model import LanguageModel
from ..models.tokenizer import Tokenizer
from ..presets import Preset, UnknownPresetError, find_by_repo, get_preset
from .errors import PresetError
from .sources import hub_name, locate, sha256, split_address, verify_local

Loader = Callable[..., tuple[Module, Tokenizer]]


def from_preset(
    name: str | os.PathLike[str],
    backend: str | Backend = "numpy",
    *,
    dtype: str = "float32",
    dialect: str | None = None,
    depth: int | None = None,
    kv_window: int = 0,
) -> LanguageModel:
    """A model by preset name.

    Args:
        name: of the catalogue (see `ferrule presets`), ``hf://org/repo[@revision]`` of a repository on the Hugging Face hub, or
            the path of a `.cact` file, of a folder that holds one, or of a Hugging Face folder. Such folders and repositories
            (`config.json`, safetensors, tokenizer) are of one of the families in `ferrule.models.families`. A name of the
            catalogue goes before a path; ``./name`` is a path.
        backend: "numpy", "jax", "torch" or "tensorflow"; imported now, not before.
        dtype: what a Hugging Face folder's model computes in: "float32", or "bfloat16" on JAX, PyTorch and TensorFlow.
        dialect: how it is prompted for tools and writes calls (see `ferrule.agents.dialects`); default: that of its family.
        depth: Needle only: run the ladder sub-network of that many layers (2 … 20), faster and less able.
        kv_window: Needle only: narrow attention to this many positions plus system text and tools, as the published engine does
            with 256; 0 lets the model look back as far as it can.

    A file of the catalogue is checked by size and SHA-256. So is a file by path that has the size of a published one; one of
    another size is checked for its structure and for finite weights. What is fetched from a repository is checked against the
    hub's listing when it arrives, and kept; see `ferrule.hub.fetch`.

    Raises:
        PresetError: the name or an option is not known.
        UnknownBackendError, BackendNotInstalledError: see `get_backend`.
        FetchError, WeightsError: the weights are missing, or are not what was published.
        ConfigError, TokenizerError: a folder's configuration or tokenizer is damaged or not supported.

    >>> model = from_preset("needle_3")
    >>> model.generate("The capital of France is", max_tokens=8).stop_reason
    'length'
    """
    chosen = get_backend(backend)
    preset, path = _resolve(name)
    if path.is_dir():
        from .checkpoints import load_checkpoint

        if depth is not None or kv_window:
            raise PresetError(f"depth and kv_window are options of Needle models; {path} is a Hugging Face folder")
        return load_checkpoint(path, chosen, hub_name(name), dtype, dialect)
    if dtype != "float32" or dialect is not None:
        raise PresetError(f"dtype and dialect are options of Hugging Face folders; {name} is a Needle model")
    family, dialect, title = ("needle", "needle", path.stem) if preset is None else (preset.family, preset.dialect, preset.name)
    options = {"depth": depth, "kv_window": kv_window}
    module, tokenizer = _loader(family)(path, chosen, **options)
    title = " ".join([title, *(f"{option}={value}" for option, value in options.items() if value)])
    return LanguageModel(title, module, tokenizer, chosen, module.config.max_seq_len, dialect)


def weights_sha256(name: str | os.PathLike[str]) -> str:
    """SHA-256 of the weights that `from_preset` loads by that name; the same errors."""
    preset, path = _resolve(name)
    if path.is_dir():
        raise PresetError(f"{path}: no single file of weights; evaluate a preset of the catalogue or a .cact file")
    return preset.file.sha256 if preset is not None else sha256(path)


def _load_needle(path: Path, backend: Backend, **options: Any) -> tuple[Module, Tokenizer]:
    # A family's code is imported when one of its models is loaded.
    from ..models.needle.checkpoint import load_needle
    from ..models.needle.config import OptionError

    try:
        return load_needle(path, backend, **options)
    except OptionError as error:
        raise PresetError(str(error)) from None


FAMILIES: dict[str, Loader] = {"needle": _load_needle}
"""Family of a preset -> what reads its file: ``loader(path, backend, depth=…, kv_window=…)`` gives module and tokenizer."""


def _loader(family: str) -> Loader:
    if family not in FAMILIES:
        raise PresetError(f"this version runs no model of the family {family!r}; it runs: {', '.join(FAMILIES)}")
    return FAMILIES[family]


def _resolve(name: str | os.PathLike[str]) -> tuple[Preset | None, Path]:
    if not isinstance(name, str | os.PathLike) or not isinstance(name := os.fspath(name), str):
        raise PresetError(f"a preset is named by a text or a path, received {name!r}")
    if not name.strip():
        raise PresetError(f"a preset is named by a text or a path, received {name!r} (see `ferrule presets`)")
    if name.startswith("hf://"):
        repo, revision = split_address(name)
        preset = find_by_repo(repo) if revision is None else None
        return (None, _fetch(repo, revision)) if preset is None else (preset, locate(preset))
    try:
        preset = get_preset(name)
    except UnknownPresetError as error:
        path = _local(name, error)
        if path.is_file():
            verify_local(path)
        return None, path
    return preset, locate(preset)


def _fetch(repo: str, revision: str | None) -> Path:
    from ..models.families import build
    from .checkpoints import read_config
    from .fetch import fetch

    # What cannot be run is refused before its weights are fetched
    return fetch(repo, revision, lambda folder: build(read_config(folder), f"config.json of hf://{repo}"))


def _local(name: str, unknown: UnknownPresetError) -> Path:
    path = Path(name)
    if path.is_dir():
        if (path / "config.json").is_file():
            return path
        files = sorted(path.glob("*.cact"))
        if len(files) != 1:
            raise PresetError(
                f"{path}: a preset folder holds a config.json with its weights, or one .cact file; this one holds {len(files)}"
            )
        return files[0]
    if path.suffix == ".cact" or path.is_file():
        return path
    if os.sep in name:
        raise PresetError(f"{name} does not exist; give the path of a .cact file or of a folder with one, or a preset's name")
    raise PresetError(str(unknown)) from None
