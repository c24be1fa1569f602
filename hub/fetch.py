"""Repositories of the Hugging Face hub: what a preset needs of one is fetched, checked and kept.

The cache is ``hub/`` in the folder ``FERRULE_CACHE``, by default ``~/.cache/ferrule``. It holds for each repository::

    blobs/<digest>              a file, checked; <digest>.partial is one on its way
    snapshots/<commit>/<name>   links to blobs; the folder appears when all of them are there
    refs/<revision>             the commit that a branch or tag named when the hub was last asked

The API, tokens and proxies are huggingface_hub's. The transfer is not: huggingface_hub begins a file again after a broken
download, and checks its size, but not its content.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..models.safetensors import INDEX
from .checkpoints import TOKENIZER_FILES
from .errors import FetchError
from .sources import hub_endpoint

logger = logging.getLogger(__name__)

LISTING_SECONDS = 10.0  # within which the hub has to answer what a repository holds
ATTEMPTS = 5  # that may fail one after the other without a new byte
PAUSE_SECONDS = 1.0  # before the second attempt; doubled before each further one
LONG_DOWNLOAD = 20_000_000  # bytes from which on a bar shows how far it is

_LICENCES = "https://huggingface.co"  # of a mirror, too: accounts are kept in one place
_SMALL_FILES = ("config.json", "ferrule.json", INDEX, *TOKENIZER_FILES)
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class _File:
    """A file as the hub lists it.

    Attributes:
        digest: SHA-256 (64 digits) of what lies in large-file storage, git's name for the blob (40 digits) of all else.
    """

    name: str
    size: int
    digest: str


class _InterruptedError(Exception):
    """A transfer that may be tried again."""


def fetch(repo: str, revision: str | None = None, check: Callable[[Path], object] | None = None) -> Path:
    """Folder with what a preset needs of a repository: configuration, tokenizer, chat template, safetensors; no pickles.

    Every file is checked when it arrives, by size and by SHA-256 or git's SHA-1, whichever the hub lists. A commit that is in
    the cache is taken without asking the hub; a branch or tag is looked up, and taken from the cache where the hub cannot be
    asked. Copies in huggingface_hub's own cache are used.

    Args:
        repo: ``org/name``.
        revision: branch, tag or commit; the main branch without.
        check: called with a folder that holds all but the weights, before these are fetched; what it raises ends the fetch.

    Raises:
        FetchError: there is no such repository or revision, it may not be read, it holds no model of a kind that can be read,
            its files could not be fetched or are not what the hub lists, or the cache cannot be written.
    """
    revision = revision or "main"
    shelf = _Shelf(repo)
    if _COMMIT.fullmatch(revision) and (kept := shelf.snapshot(revision)):
        return kept
    try:
        commit, files = _list_files(repo, revision)
    except FetchError as error:
        kept = shelf.find(revision) or _library_snapshot(repo, revision)
        if kept is None:
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


class _Shelf:
    """The part of the cache that belongs to one repository."""

    def __init__(self, repo: str):
        root = os.environ.get("FERRULE_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "ferrule")
        self.folder = Path(root).absolute() / "hub" / repo.replace("/", "--")
        self.blobs, self.snapshots, self.refs = (self.folder / name for name in ("blobs", "snapshots", "refs"))

    def snapshot(self, commit: str) -> Path | None:
        folder = self.snapshots / commit
        try:
            names = os.listdir(folder)
        except OSError:
            return None
        return folder if names and all((folder / name).is_file() for name in names) else None  # a blob may have been removed

    def find(self, revision: str) -> Path | None:
        """The snapshot that a revision meant when the hub was last asked."""
        if _COMMIT.fullmatch(revision):
            return self.snapshot(revision)
        with contextlib.suppress(OSError, UnicodeError):
            commit = self._ref(revision).read_text("ascii").strip()
            if _COMMIT.fullmatch(commit):
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

    def __init__(self, repo: str, commit: str, files: dict[str, _File], shelf: _Shelf):
        self.repo, self.commit, self.files, self.shelf = repo, commit, files, shelf
        self.address = f"hf://{repo}"

    def run(self, check: Callable[[Path], object] | None) -> Path:
        small = [self.files[name] for name in _SMALL_FILES if name in self.files]
        if "config.json" not in self.files:
            raise FetchError(f"{self.address} holds no config.json, so it is no Hugging Face model folder")
        weights = self._weights()
        target = self.shelf.snapshots / self.commit
        for left in self.shelf.snapshots.glob(".new.*"):  # by a process that was killed: this one alone holds the lock
            shutil.rmtree(left, ignore_errors=True)
        staged = Path(tempfile.mkdtemp(dir=self.shelf.snapshots, prefix=".new."))
        try:
            self._bring(small, staged)
            if check is not None:
                check(staged)
            if INDEX in self.files:
                weights = self._indexed(staged / INDEX)
            self._bring(weights, staged)
            staged.chmod(0o755)
            shutil.rmtree(target, ignore_errors=True)  # a snapshot with holes
            os.replace(staged, target)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        return target

    def _weights(self) -> list[_File]:
        """Without an index: repositories that have one often hold the same weights in a second format."""
        found = sorted(name for name in self.files if name.endswith(".safetensors"))
        if not found:
            pickle = next((name for name in sorted(self.files) if name.endswith(_PICKLES)), None)
            if pickle is None:
                raise FetchError(f"{self.address} holds no .safetensors file")
            raise FetchError(
                f"{self.address} holds no .safetensors file; {pickle} is a pickle, which can run any code when it is read; "
                "convert it to safetensors where you trust it"
            )
        return [self.files[name] for name in (["model.safetensors"] if "model.safetensors" in found else found)]

    def _indexed(self, index: Path) -> list[_File]:
        try:
            names = sorted({str(name) for name in json.loads(index.read_bytes())["weight_map"].values()})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise FetchError(
                f"{self.address}: {INDEX} is no index of safetensors files; it needs an object weight_map"
            ) from None
        lacking = [name for name in names if name not in self.files or not name.endswith(".safetensors")]
        if lacking:
            raise FetchError(f"{self.address}: {INDEX} names {lacking[0]!r}, which is no safetensors file of the repository")
        return [self.files[name] for name in names]

    def _bring(self, files: Iterable[_File], staged: Path) -> None:
        """Fetch the files that are not there yet, then link all of them."""
        files = list(files)
        missing = list({file.digest: file for file in files if not self._there(file)}.values())
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
            (staged / file.name).symlink_to(Path("..") / ".." / "blobs" / file.digest)

    def _bring_one(self, file: _File, advance: Callable[[int], None]) -> None:
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
        os.replace(partial, self.shelf.blobs / file.digest)

    def _download(self, file: _File, partial: Path, advance: Callable[[int], None]) -> bool:
        """Append to the partial file until it has its size; whether it was put together from more than one answer."""
        url = f"{hub_endpoint()}/{self.repo}/resolve/{self.commit}/{urllib.parse.quote(file.name)}"
        if _size(partial) > file.size:
            partial.unlink()
        partial.touch()
        resumed, failures = _size(partial) > 0, 0
        advance(_size(partial))
        while (start := _size(partial)) < file.size:
            try:
                self._append(url, file, partial, start, advance)
                if _size(partial) < file.size:
                    raise _InterruptedError(f"the answer ended after {_size(partial)} of {file.size} bytes")
            except _InterruptedError as error:
                failures = 1 if _size(partial) > start else failures + 1
                if failures == ATTEMPTS:
                    raise FetchError(
                        f"{self.address}: {file.name} cannot be fetched ({_one_line(error)}); what is there of it is kept: "
                        "fetch again to go on"
                    ) from None
                logger.info("%s: %s: %s; trying again", self.address, file.name, error)
                time.sleep(PAUSE_SECONDS * 2 ** (failures - 1))
                resumed = True
        return resumed

    def _append(self, url: str, file: _File, partial: Path, start: int, advance: Callable[[int], None]) -> None:
        with partial.open("ab", buffering=0) as out, contextlib.closing(self._body(url, start)) as body:
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

    def _body(self, url: str, start: int) -> Iterator[tuple[int, bytes]]:
        """Pieces of a file from byte `start` on, or from 0 on where the server does not resume, each with its place."""
        from huggingface_hub import constants
        from huggingface_hub.errors import HfHubHTTPError
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        headers = build_hf_headers() | {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        try:
            # The client leaves the token behind when it is sent on to another host
            with get_session().stream("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as response:
                hf_raise_for_status(response)
                place = start if response.status_code == 206 else 0
                if place and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                    raise _InterruptedError(f"asked for bytes from {start} on, the server sent others")
                for data in response.iter_bytes():
                    yield place, data
                    place += len(data)
        except _InterruptedError:
            raise
        except HfHubHTTPError as error:
            if error.response.status_code in (408, 429) or error.response.status_code >= 500:
                raise _InterruptedError(f"the hub answers {error.response.status_code}") from None
            raise _refusal(self.repo, self.commit, error) from None
        except Exception as error:  # the network raises dozens of kinds
            raise _InterruptedError(f"{type(error).__name__}: {error}") from None

    def _from_library(self, file: _File, partial: Path) -> bool:
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

    def _there(self, file: _File) -> bool:
        return _size(self.shelf.blobs / file.digest) == file.size

    def _partial(self, file: _File) -> Path:
        return self.shelf.blobs / f"{file.digest}.partial"


def _list_files(repo: str, revision: str) -> tuple[str, dict[str, _File]]:
    """Commit of a revision, and the files at the top of the repository."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(endpoint=hub_endpoint())
    try:
        commit = str(api.model_info(repo, revision=revision, timeout=LISTING_SECONDS).sha)
        entries = [entry for entry in api.list_repo_tree(repo, revision=commit) if hasattr(entry, "blob_id")]
        files = {entry.path: _listed(entry) for entry in entries if "/" not in entry.path}
    except HfHubHTTPError as error:
        raise _refusal(repo, revision, error) from None
    except Exception as error:  # the library and the network below it raise dozens of kinds
        raise FetchError(f"hf://{repo}: the hub cannot be asked ({type(error).__name__}: {_one_line(error)})") from None
    # These become names of files here
    damaged = [name for name, file in files.items() if not _DIGEST.fullmatch(file.digest) or file.size < 0]
    if not _COMMIT.fullmatch(commit) or damaged:
        raise FetchError(f"hf://{repo}: the hub's listing is damaged: no checksum of {damaged[0] if damaged else 'the commit'}")
    return commit, files


def _listed(entry: Any) -> _File:
    if entry.lfs is not None:
        return _File(entry.path, entry.lfs.size, entry.lfs.sha256)
    return _File(entry.path, entry.size, entry.blob_id)


def _library_snapshot(repo: str, revision: str) -> Path | None:
    """The folder that huggingface_hub's own cache has of a revision: `hf download` may have filled it."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, "config.json", revision=revision)
    if not isinstance(found, str) or not any(Path(found).parent.glob("*.safetensors")):
        return None
    return Path(found).parent


def _refusal(repo: str, revision: str, error: Any) -> FetchError:
    """What an answer of the hub other than success means, and what to do about it."""
    from huggingface_hub import get_token
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    status, page = error.response.status_code, f"{_LICENCES}/{repo}"
    token = "the account of the token in use" if get_token() else "your account, and set HF_TOKEN or run `hf auth login`"
    if isinstance(error, GatedRepoError):
        return FetchError(f"hf://{repo} is gated ({status}): accept its licence at {page} with {token}")
    if isinstance(error, RevisionNotFoundError):
        return FetchError(f"hf://{repo} has no revision {revision!r}; {page}/tree/main lists branches and tags")
    if status in (401, 403):
        return FetchError(
            f"hf://{repo} does not exist, or may not be read ({status}): if it is private or gated, ask for access or accept "
            f"its licence at {page} with {token}"
        )
    if isinstance(error, RepositoryNotFoundError) or status == 404:
        return FetchError(f"hf://{repo} was not found ({status}); if it is private, open {page} with {token}")
    return FetchError(f"hf://{repo}: the hub answers {status}; try again later")


def _is(path: Path, file: _File) -> bool:
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


def _one_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


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
