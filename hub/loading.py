"""The front door: a preset's name becomes a model that is ready to run."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core import Backend, Module, first_few, get_backend
from ..models.embedding_model import EmbeddingModel
from ..models.language_model import LanguageModel
from ..models.safetensors import weight_files
from ..models.tokenizer import Tokenizer
from ..presets import PackageSource, Preset, UnknownPresetError, find_by_repo, get_preset
from .errors import FetchError, PresetError
from .fingerprint import fingerprint
from .sources import hub_name, locate, sha256, split_address, verify_local

Loader = Callable[..., tuple[Module, Tokenizer]]
MODEL_OPTIONS = ("dtype", "dialect", "depth", "kv_window")
"""Options of `from_preset` that a model's `source` tells, so that it is found again as it was."""


def from_preset(
    name: str | os.PathLike[str],
    backend: str | Backend = "numpy",
    *,
    dtype: str = "float32",
    dialect: str | None = None,
    depth: int | None = None,
    kv_window: int = 0,
) -> LanguageModel | EmbeddingModel:
    """A model by preset name: a `LanguageModel`, or of an encoder an `EmbeddingModel`.

    Args:
        name: of the catalogue (see `ferrule presets`), ``hf://org/repo[@revision]`` of a repository on the Hugging Face hub, or
            the path of a `.cact` file, of a folder that holds one, or of a Hugging Face folder. Such folders and repositories
            (`config.json`, safetensors, tokenizer) are of one of the families in `ferrule.models.families`; so are folders that
            KerasHub wrote (`config.json`, `model.weights.h5`, `assets`), which need h5py. A name of the catalogue goes before
            a path; ``./name`` is a path.
        backend: "numpy", "jax", "torch" or "tensorflow"; imported now, not before.
        dtype: what a Hugging Face folder's model computes in: "float32", "bfloat16" or "float16". NumPy keeps matrices and
            embeddings in bfloat16, which halves their memory and what is read for each token, and computes in float32.
        dialect: how it is prompted for tools and writes calls (see `ferrule.agents.dialects`); default: that of the
            catalogue, or of its family.
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
    preset, path = _resolve(name, for_needle=depth is not None or kv_window != 0)
    if path.is_dir():
        from .checkpoints import load_checkpoint
        from .keras_presets import is_keras_preset, load_keras_preset

        title = hub_name(name) or (preset and preset.name)
        load = load_keras_preset if is_keras_preset(path) else load_checkpoint
        model = load(path, chosen, title, dtype, dialect or (preset and preset.dialect))
        own = {"dtype": dtype if dtype != "float32" else None, "dialect": dialect}
        return _sourced(model, name, preset, path, own)
    if dtype != "float32" or dialect is not None:
        raise PresetError(f"dtype and dialect are options of Hugging Face folders; {name} is a Needle model")
    family, dialect, title = ("needle", "needle", path.stem) if preset is None else (preset.family, preset.dialect, preset.name)
    options = {"depth": depth, "kv_window": kv_window}
    module, tokenizer = _loader(family)(path, chosen, **options)
    title = " ".join([title, *(f"{option}={value}" for option, value in options.items() if value)])
    model = LanguageModel(title, module, tokenizer, chosen, module.config.max_seq_len, dialect)
    if preset is not None and depth is None:  # a part of the layers has another confidence
        model.calibration = preset.calibration
    return _sourced(model, name, preset, path, options)


def _sourced(
    model: LanguageModel | EmbeddingModel,
    name: str | os.PathLike[str],
    preset: Preset | None,
    path: Path,
    options: dict[str, Any],
) -> LanguageModel | EmbeddingModel:
    """The model, which knows how it is found again: by name, or by its absolute path, and with which options."""
    if isinstance(model, LanguageModel):
        by_name = preset is not None or hub_name(name) is not None
        found = os.fspath(name) if by_name else os.path.abspath(os.fspath(name))
        model.source = {"preset": found, "backend": model.backend, "fingerprint": fingerprint(path)}
        if chosen := {option: value for option, value in options.items() if value}:
            model.source["options"] = chosen
    return model


def weights_sha256(name: str | os.PathLike[str]) -> str:
    """SHA-256 of the weights that `from_preset` loads by that name; the same errors."""
    preset, path = _resolve(name)
    if path.is_dir():
        from .keras_presets import is_keras_preset

        # Of a folder: that of the lines that `sha256sum` prints for these files
        files = (is_keras_preset(path) and sorted(path.glob("*.weights.h5"))) or weight_files(path)
        lines = [f"{sha256(file)}  {file.name}\n" for file in files]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    return preset.file.sha256 if preset is not None and preset.file is not None else sha256(path)


def find_kept(preset: Preset) -> Path | None:
    """Where a preset lies on this machine, so that it can be loaded without a network; unchecked."""
    from huggingface_hub import try_to_load_from_cache

    from .fetch import Shelf, library_snapshot
    from .sources import in_package

    repository = preset.repository
    if repository is not None:
        wanted = repository.repo, repository.revision or "main"
        return Shelf(wanted[0]).find(wanted[1]) or library_snapshot(*wanted)
    for source in preset.sources:
        if isinstance(source, PackageSource):
            with contextlib.suppress(FetchError):
                return in_package(source)
        elif isinstance(found := try_to_load_from_cache(source.repo, source.path), str):
            return Path(found)
    return None


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


def _resolve(name: str | os.PathLike[str], for_needle: bool = False) -> tuple[Preset | None, Path]:
    """The preset, where it is one of the catalogue, and its files, fetched where they are not here.

    With `for_needle`, a folder or repository is refused before anything is fetched: Needle models are files.
    """
    if not isinstance(name, str | os.PathLike) or not isinstance(name := os.fspath(name), str):
        raise PresetError(f"a preset is named by a text or a path, received {name!r}")
    if not name.strip():
        raise PresetError(f"a preset is named by a text or a path, received {name!r} (see `ferrule presets`)")
    if name.startswith("hf://"):
        repo, revision = split_address(name)
        preset = find_by_repo(repo)
        if preset is not None and revision is None:
            return preset, _obtain(preset, for_needle)
        return preset if preset is None or preset.file is None else None, _fetch(repo, revision, for_needle)
    try:
        preset = get_preset(name)
    except UnknownPresetError as error:
        path = _local(name, error)
        if for_needle and path.is_dir():
            raise _no_needle(path) from None
        if path.is_file():
            verify_local(path)
        return None, path
    return preset, _obtain(preset, for_needle)


def _obtain(preset: Preset, for_needle: bool) -> Path:
    repository = preset.repository
    return locate(preset) if repository is None else _fetch(repository.repo, repository.revision, for_needle)


def _fetch(repo: str, revision: str | None, for_needle: bool) -> Path:
    from .checkpoints import check_checkpoint
    from .fetch import fetch

    if for_needle:
        raise _no_needle(f"hf://{repo}")
    # What cannot be run is refused before its weights are fetched
    return fetch(repo, revision, lambda folder: check_checkpoint(folder, f"config.json of hf://{repo}"))


def _no_needle(where: str | Path) -> PresetError:
    return PresetError(f"depth and kv_window are options of Needle models; {where} is a Hugging Face folder")


def _local(name: str, unknown: UnknownPresetError) -> Path:
    path = Path(name)
    if path.is_dir():
        config, files = path / "config.json", sorted(path.glob("*.cact"))
        if config.is_file():
            return path
        if len(files) == 1:
            return files[0]
        if files:
            raise PresetError(f"{path} holds {len(files)} .cact files; name one of them: {first_few([f.name for f in files])}")
        if os.path.lexists(config):
            raise PresetError(f"{config} is no file; fetch or copy it again")
        raise PresetError(
            f"{path} holds neither config.json nor a .cact file; name a folder that does, or copy the config.json of its model "
            "into it"
        )
    if path.suffix == ".cact" or path.is_file():
        return path
    if os.sep in name and find_by_repo(name) is None:
        raise PresetError(
            f"{name} does not exist; give the path of a Hugging Face or KerasHub folder (config.json, weights, tokenizer), "
            "of a .cact file or of a folder with one, or a preset's name"
        )
    raise PresetError(str(unknown)) from None
