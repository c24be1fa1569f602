"""Repositories of the Hugging Face hub: what a preset needs of one is fetched, checked and kept.

The cache is ``hub/`` in the folder ``FERRULE_CACHE``, by default ``~/.cache/ferrule``. It holds for each repository::

    blobs/<digest>              a file, checked; <digest>.partial is one on its way
    snapshots/<commit>/<name>   links to blobs; the folder appears when all of them are there
    refs/<revision>             the commit that a branch or tag named when the hub was last asked

`remote.py` asks the hub.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..models.chat_template import FOLDER as TEMPLATE_FOLDER
from ..models.errors import ModelError
from ..models.keras_weights import INDEX as KERAS_INDEX
from ..models.keras_weights import SINGLE as KERAS_WEIGHTS
from ..models.keras_weights import indexed
from ..models.safetensors import INDEX, WHOLE
from ..models.sentence_modules import LIST, module_folders
from .checkpoints import ENCODER_FILES, TOKENIZER_FILES
from .errors import FetchError
from .keras_presets import ASSETS
from .remote import COMMIT, HubFile, InterruptedTransferError, UnreachableError, list_files, one_line, read_file

logger = logging.getLogger(__name__)

ATTEMPTS = 5  # that may fail one after the other without a new byte
PAUSE_SECONDS = 1.0  # before the second attempt; doubled before each further one
LONG_DOWNLOAD = 20_000_000  # bytes from which on a bar shows how far it is

_KERAS_FILES = (KERAS_INDEX, "metadata.json", "preprocessor.json", "task.json", *ASSETS)
_SMALL_FILES = ("config.json", "ferrule.json", INDEX, *TOKENIZER_FILES, *ENCODER_FILES, *_KERAS_FILES)
_TEMPLATE = re.compile(rf"{TEMPLATE_FOLDER}/[^/]+\.jinja")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


def fetch(repo: str, revision: str | None = None, check: Callable[[Path], object] | None = None) -> Path:
    """Folder with what a preset needs of a repository: configuration, tokenizer, chat template, weights; no pickles.

    Weights are safetensors, or those of a KerasHub preset. Of subfolders, those that a `modules.json` names are fetched.

    Every file is checked when it arrives, and again when another commit has it, by size and by SHA-256 or git's SHA-1,
    whichever the hub lists. A commit that is in the cache is taken without asking the hub; a branch or tag is looked up, and
    taken from the cache where the hub cannot be asked. Copies in huggingface_hub's own cache are used.

    Args:
        repo: ``org/name``.
        revision: branch, tag or commit; the main branch without.
        check: called with a folder that holds all but the weights, before these are fetched; what it raises ends the fetch.

    Raises:
        FetchError: there is no such repository or revision, it may not be read, it holds no model of a kind that can be read,
            its files could not be fetched or are not what the hub lists, or the cache cannot be written.
    """
    revision = revision or "main"
    shelf = Shelf(repo)
    if COMMIT.fullmatch(revision) and (kept := shelf.snapshot(revision)):
        return kept
    try:
        commit, files = list_files(repo, revision)
    except FetchError as error:
        kept = shelf.find(revision) or library_snapshot(repo, revision)
        if kept is None:
            if isinstance(error, UnreachableError):
                raise FetchError(
                    f"{error}; without a network name a local folder, or fill the cache {shelf.folder} from another machine's"
                ) from None
            raise
        logger.warning("%s; taken from the cache: %s", error, kept)
        return kept
    folder = shelf.snapshot(commit)
    if folder is None:
        with _writing(shelf.folder), shelf.locked():
            # Another process may have fetched it meanwhile
            folder = shelf.snapshot(commit) or _Fetch(repo, commit, files, shelf).run(check)
    shelf.remember(revision, commit)
    return folder


class Shelf:
    """The part of the cache that belongs to one repository."""

    def __init__(self, repo: str):
        root = os.environ.get("FERRULE_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "ferrule")
        self.folder = Path(root).absolute() / "hub" / repo.replace("/", "--")
        self.blobs, self.snapshots, self.refs = (self.folder / name for name in ("blobs", "snapshots", "refs"))

    def snapshot(self, commit: str) -> Path | None:
        folder = self.snapshots / commit
        files = [path for path in folder.rglob("*") if not path.is_dir()]
        return folder if files and all(path.is_file() for path in files) else None  # a blob may have been removed

    def find(self, revision: str) -> Path | None:
        """The snapshot that a revision meant when the hub was last asked."""
        if COMMIT.fullmatch(revision):
            return self.snapshot(revision)
        with contextlib.suppress(OSError, UnicodeError):
            commit = self._ref(revision).read_text("ascii").strip()
            if COMMIT.fullmatch(commit):
                return self.snapshot(commit)
        return None

    def remember(self, revision: str, commit: str) -> None:
        path = self._ref(revision)
        with contextlib.suppress(OSError):  # a cache that is only read serves the commits that it has
            if not path.is_file() or path.read_text("ascii", "replace") != commit:
                path.parent.mkdir(exist_ok=True)
                temporary = path.with_name(f".{os.getpid()}")
                temporary.write_text(commit, "ascii")
                os.replace(temporary, path)

    def _ref(self, revision: str) -> Path:
        return self.refs / urllib.parse.quote(revision, safe="")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time; the others wait."""
        self.blobs.mkdir(parents=True, exist_ok=True)
        self.snapshots.mkdir(exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file is closed
            yield


class _Fetch:
    """One commit on its way into the cache."""

    def __init__(self, repo: str, commit: str, files: dict[str, HubFile], shelf: Shelf):
        self.repo, self.commit, self.files, self.shelf = repo, commit, files, shelf
        self.address = f"hf://{repo}"

    def run(self, check: Callable[[Path], object] | None) -> Path:
        small = [self.files[name] for name in self.files if name in _SMALL_FILES or _TEMPLATE.fullmatch(name)]
        if "config.json" not in self.files:
            raise FetchError(f"{self.address} holds no config.json, so it is no Hugging Face model folder; name another")
        weights = self._weights()
        is_keras = not weights and (KERAS_WEIGHTS in self.files or KERAS_INDEX in self.files)
        if not weights and not is_keras:
            raise FetchError(f"{self.address} holds no .safetensors file; name a repository that has the weights as such files")
        target = self.shelf.snapshots / self.commit
        for left in self.shelf.snapshots.glob(".new.*"):  # by a process that was killed: this one alone holds the lock
            shutil.rmtree(left, ignore_errors=True)
        staged = Path(tempfile.mkdtemp(dir=self.shelf.snapshots, prefix=".new."))
        try:
            self._bring(small, staged)
            try:
                places = self._bring_modules(staged)
                if check is not None:
                    check(staged)
                if is_keras:
                    weights = self._keras_weights(staged)
            except ModelError as error:  # the folder goes away; its name says nothing
                raise type(error)(str(error).replace(str(staged), self.address)) from None
            if INDEX in self.files and WHOLE not in self.files:
                weights = self._indexed(staged / INDEX)
            weights += [file for place in places for file in self._weights(f"{place}/")]
            self._bring(weights, staged)
            staged.chmod(0o755)
            shutil.rmtree(target, ignore_errors=True)  # a snapshot with holes
            os.replace(staged, target)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        return target

    def _bring_modules(self, staged: Path) -> list[str]:
        """The subfolders that `modules.json` names, each with its configuration."""
        places = [place for _, place in module_folders(staged) if place] if LIST in self.files else []
        self._bring([self.files[name] for place in places if (name := f"{place}/config.json") in self.files], staged)
        return places

    def _weights(self, place: str = "") -> list[HubFile]:
        """Of one folder, without an index: repositories that have one often hold the same weights in a second format."""
        inside = sorted(name for name in self.files if name.startswith(place) and "/" not in name[len(place) :])
        found = [name for name in inside if name.endswith(".safetensors")]
        pickle = next((name for name in inside if name.endswith(_PICKLES)), None)
        if not found and pickle is not None:
            raise FetchError(
                f"{self.address} holds no .safetensors file{f' in {place}' if place else ''}; {pickle} is a pickle, which can "
                "run any code when it is read; convert it to safetensors where you trust it"
            )
        whole = f"{place}{WHOLE}"
        return [self.files[name] for name in ([whole] if whole in found else found)]

    def _keras_weights(self, staged: Path) -> list[HubFile]:
        if KERAS_WEIGHTS in self.files:
            return [self.files[KERAS_WEIGHTS]]
        names = indexed(staged / KERAS_INDEX)
        if lacking := [name for name in names if name not in self.files]:
            raise FetchError(f"{self.address}: {KERAS_INDEX} names {lacking[0]!r}, which the repository has not")
        return [self.files[name] for name in names]

    def _indexed(self, index: Path) -> list[HubFile]:
        try:
            names = sorted({str(name) for name in json.loads(index.read_bytes())["weight_map"].values()})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise FetchError(
                f"{self.address}: {INDEX} is no index of safetensors files; it needs an object weight_map"
            ) from None
        lacking = [name for name in names if name not in self.files or "/" in name or not name.endswith(".safetensors")]
        if lacking:
            raise FetchError(f"{self.address}: {INDEX} names {lacking[0]!r}, which is no safetensors file of the repository")
        return [self.files[name] for name in names]

    def _bring(self, files: Iterable[HubFile], staged: Path) -> None:
        """Fetch the files that are not there yet, then link all of them."""
        files = list(files)
        # A blob may have been damaged since it arrived
        missing = [file for file in {file.digest: file for file in files}.values() if not _is(self._blob(file), file)]
        begun = sum(min(_size(self._partial(file)), file.size) for file in missing)
        total = sum(file.size for file in missing)
        free = shutil.disk_usage(self.shelf.folder).free
        if total - begun > free:
            raise FetchError(
                f"{self.address} needs {_readable(total - begun)} in {self.shelf.folder}, which has {_readable(free)} free; "
                "make room, or set FERRULE_CACHE to a folder on a larger disk"
            )
        with _progress(self.repo, total) as advance:
            for file in missing:
                self._bring_one(file, advance)
        for file in files:
            link = staged / file.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(self._blob(file), link.parent))

    def _bring_one(self, file: HubFile, advance: Callable[[int], None]) -> None:
        partial = self._partial(file)
        if self._from_library(file, partial):
            advance(file.size)
        else:
            resumed = self._download(file, partial, advance)
            if not _is(partial, file) and resumed:
                # What was there before may have been the damaged part
                partial.unlink()
                advance(-file.size)
                self._download(file, partial, advance)
        if not _is(partial, file):
            partial.unlink()
            kind = "SHA-256" if len(file.digest) == 64 else "git SHA-1"
            raise FetchError(
                f"{self.address}: {file.name} was fetched, but is not the file that the hub lists ({file.size} bytes, "
                f"{kind} {file.digest}); it was thrown away"
            )
        with partial.open("rb") as done:
            os.fsync(done.fileno())
        os.replace(partial, self._blob(file))

    def _download(self, file: HubFile, partial: Path, advance: Callable[[int], None]) -> bool:
        """Append to the partial file until it has its size; whether it was put together from more than one answer."""
        if _size(partial) > file.size:
            partial.unlink()
        partial.touch()
        resumed, failures = _size(partial) > 0, 0
        advance(_size(partial))
        while (start := _size(partial)) < file.size:
            try:
                self._append(file, partial, start, advance)
                if _size(partial) < file.size:
                    raise InterruptedTransferError(f"the answer ended after {_size(partial)} of {file.size} bytes")
            except InterruptedTransferError as error:
                failures = 1 if _size(partial) > start else failures + 1
                if failures == ATTEMPTS:
                    raise FetchError(
                        f"{self.address}: {file.name} cannot be fetched ({one_line(error)}); what is there of it is kept: "
                        "fetch again to go on"
                    ) from None
                logger.info("%s: %s: %s; trying again", self.address, file.name, error)
                time.sleep(PAUSE_SECONDS * 2 ** (failures - 1))
                resumed = True
        return resumed

    def _append(self, file: HubFile, partial: Path, start: int, advance: Callable[[int], None]) -> None:
        body = read_file(self.repo, self.commit, file, start)
        with partial.open("ab", buffering=0) as out, contextlib.closing(body):
            for place, data in body:
                if place == 0 and start:  # the server does not resume
                    out.truncate(0)
                    advance(-start)
                    start = 0
                if place + len(data) > file.size:
                    out.truncate(0)
                    raise FetchError(f"{self.address}: {file.name} is longer than the {file.size} bytes that the hub lists")
                out.write(data)
                advance(len(data))

    def _from_library(self, file: HubFile, partial: Path) -> bool:
        """Whether huggingface_hub's cache has the very file; it is linked, or copied from another disk."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self.repo, file.name, revision=self.commit)
        if not isinstance(found, str) or not _is(Path(found), file):
            return False
        partial.unlink(missing_ok=True)
        try:
            os.link(os.path.realpath(found), partial)
        except OSError:
            shutil.copyfile(found, partial)
        return True

    def _blob(self, file: HubFile) -> Path:
        return self.shelf.blobs / file.digest

    def _partial(self, file: HubFile) -> Path:
        return self.shelf.blobs / f"{file.digest}.partial"


def library_snapshot(repo: str, revision: str) -> Path | None:
    """The folder that huggingface_hub's own cache has of a revision: `hf download` may have filled it."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, "config.json", revision=revision)
    if not isinstance(found, str) or not any(Path(found).parent.glob("*.safetensors")):
        return None
    return Path(found).parent


def _is(path: Path, file: HubFile) -> bool:
    """Whether a file is the one that the hub lists."""
    if _size(path) != file.size:
        return False
    with path.open("rb") as opened:
        if len(file.digest) == 64:
            return hashlib.file_digest(opened, "sha256").hexdigest() == file.digest
        # Git hashes a header before the content (https://git-scm.com/book/en/v2/Git-Internals-Git-Objects)
        return hashlib.sha1(b"blob %d\0" % file.size + opened.read(), usedforsecurity=False).hexdigest() == file.digest


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _readable(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FetchError(
            f"the cache {folder} cannot be written: {error.strerror or error}; "
            "set FERRULE_CACHE to a folder that can be, with room in it"
        ) from None


@contextlib.contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function that is told how many more bytes there are; for long downloads to a terminal, a bar on standard error."""
    from huggingface_hub.utils import are_progress_bars_disabled
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    if total < LONG_DOWNLOAD or not console.is_terminal or are_progress_bars_disabled():
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda size: bar.advance(task, size)
