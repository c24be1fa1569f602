"""What the Hugging Face hub lists, sends and refuses.

The API, tokens and proxies are huggingface_hub's. The transfer is not: huggingface_hub begins a file again after a broken
download, and checks its size, but not its content.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..models.chat_template import FOLDER as TEMPLATE_FOLDER
from ..models.keras_weights import INDEX, SINGLE
from ..models.sentence_modules import LIST
from .errors import FetchError
from .sources import hub_endpoint

LISTING_SECONDS = 10.0  # within which the hub has to answer what a repository holds
COMMIT = re.compile(r"[0-9a-f]{40}")

_LICENCES = "https://huggingface.co"  # of a mirror, too: accounts are kept in one place
_WITH_SUBFOLDERS = (LIST, INDEX, SINGLE, TEMPLATE_FOLDER)  # sentence-transformers and KerasHub keep files in some
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class HubFile:
    """A file as the hub lists it.

    Attributes:
        digest: SHA-256 (64 digits) of what lies in large-file storage, git's name for the blob (40 digits) of all else.
    """

    name: str
    size: int
    digest: str


class UnreachableError(FetchError):
    """The hub cannot be asked: there is no network, or offline mode is on."""


class InterruptedTransferError(Exception):
    """A transfer that may be tried again."""


def list_files(repo: str, revision: str) -> tuple[str, dict[str, HubFile]]:
    """Commit of a revision, and the files at the top of the repository; all of them where subfolders may count.

    Raises:
        UnreachableError: the hub cannot be asked.
        FetchError: it refuses, or its listing is damaged.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(endpoint=hub_endpoint())
    try:
        commit = str(api.model_info(repo, revision=revision, timeout=LISTING_SECONDS).sha)
        entries = list(api.list_repo_tree(repo, revision=commit))
        if any(entry.path in _WITH_SUBFOLDERS for entry in entries):
            entries = list(api.list_repo_tree(repo, revision=commit, recursive=True))
        files = {entry.path: _listed(entry) for entry in entries if hasattr(entry, "blob_id")}
    except HfHubHTTPError as error:
        raise refusal(repo, revision, error) from None
    except Exception as error:  # the library and the network below it raise dozens of kinds
        raise UnreachableError(f"hf://{repo}: the hub cannot be asked ({type(error).__name__}: {one_line(error)})") from None
    # Digests become names of files here
    damaged = [name for name, file in files.items() if not _DIGEST.fullmatch(file.digest) or file.size < 0]
    if not COMMIT.fullmatch(commit) or damaged:
        raise FetchError(f"hf://{repo}: the hub's listing is damaged: no checksum of {damaged[0] if damaged else 'the commit'}")
    return commit, files


def _listed(entry: Any) -> HubFile:
    if entry.lfs is not None:
        return HubFile(entry.path, entry.lfs.size, entry.lfs.sha256)
    return HubFile(entry.path, entry.size, entry.blob_id)


def read_file(repo: str, commit: str, file: HubFile, start: int) -> Iterator[tuple[int, bytes]]:
    """Pieces of a file from byte `start` on, or from 0 on where the server does not resume, each with its place.

    Raises:
        InterruptedTransferError: the connection broke, or the hub is busy.
        FetchError: the hub refuses.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    url = f"{hub_endpoint()}/{repo}/resolve/{commit}/{urllib.parse.quote(file.name)}"
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        # The client leaves the token behind when it is sent on to another host
        with get_session().stream("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as response:
            hf_raise_for_status(response)
            place = start if response.status_code == 206 else 0
            if place and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                raise InterruptedTransferError(f"asked for bytes from {start} on, the server sent others")
            for data in response.iter_bytes():
                yield place, data
                place += len(data)
    except InterruptedTransferError:
        raise
    except HfHubHTTPError as error:
        if error.response.status_code in (408, 429) or error.response.status_code >= 500:
            raise InterruptedTransferError(f"the hub answers {error.response.status_code}") from None
        raise refusal(repo, commit, error) from None
    except Exception as error:  # the network raises dozens of kinds
        raise InterruptedTransferError(f"{type(error).__name__}: {error}") from None


def refusal(repo: str, revision: str, error: Any) -> FetchError:
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


def one_line(error: Exception) -> str:
    """The first line of what an error says."""
    return str(error).strip().split("\n")[0]
