"""The front door: a preset's name becomes a model that is ready to run."""

from __future__ import annotations

import os
from pathlib import Path

from ..core import get_backend
from ..models.language_model import LanguageModel
from ..presets import Preset, UnknownPresetError, find_by_repo, get_preset
from .errors import PresetError
from .sources import locate


def from_preset(
    name: str | os.PathLike[str], backend: str = "numpy", *, depth: int | None = None, kv_window: int = 0
) -> LanguageModel:
    """A model by preset name.

    Args:
        name: of the catalogue (see `ferrule presets`), ``hf://org/repo`` of a repository in the catalogue, or the path of a
            `.cact` file or of a folder that holds one. A name of the catalogue goes before a path; ``./name`` is a path.
        backend: "numpy", "jax", "torch" or "tensorflow"; imported now, not before.
        depth: Needle only: run the ladder sub-network of that many layers (2 … 20), faster and less able.
        kv_window: Needle only: narrow attention to this many positions plus system text and tools, as the published engine does
            with 256; 0 lets the model look back as far as it can.

    Raises:
        PresetError: the name or an option is not known.
        UnknownBackendError, BackendNotInstalledError: see `get_backend`.
        FetchError, WeightsError: the weights are missing, or are not what was published.

    >>> model = from_preset("needle_3")
    >>> model.generate("The capital of France is", max_tokens=8).stop_reason
    'length'
    """
    chosen = get_backend(backend)
    preset, path = _resolve(os.fspath(name))
    # A family's code is imported when one of its models is loaded.
    from ..models.needle.checkpoint import load_needle

    try:
        module, tokenizer = load_needle(path, chosen, depth, kv_window)
    except ValueError as error:
        raise PresetError(str(error)) from None
    title = preset.name if preset is not None else path.stem
    dialect = preset.dialect if preset is not None else "needle"
    return LanguageModel(title, module, tokenizer, chosen, module.config.max_seq_len, dialect)


def _resolve(name: str) -> tuple[Preset | None, Path]:
    if name.startswith("hf://"):
        repo = name.removeprefix("hf://").strip("/")
        preset = find_by_repo(repo)
        if preset is None:
            raise PresetError(f"{name}: this version runs only repositories of the catalogue (see `ferrule presets`)")
        return preset, locate(preset)
    try:
        preset = get_preset(name)
    except UnknownPresetError as error:
        return None, _local(Path(name), error)
    return preset, locate(preset)


def _local(path: Path, unknown: UnknownPresetError) -> Path:
    if path.is_dir():
        files = sorted(path.glob("*.cact"))
        if len(files) != 1:
            raise PresetError(f"{path}: a preset folder holds one .cact file, this one holds {len(files)}")
        return files[0]
    if path.suffix == ".cact" or path.is_file():
        return path
    raise PresetError(str(unknown)) from None
