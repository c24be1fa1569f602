"""The loopback server, and tools for its document in both versions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ferrule.tools import Toolset
from ferrule.tools.openapi import load_openapi

from .api import SECRETS, document
from .service import Service


@pytest.fixture(scope="session")
def running() -> Iterator[Service]:
    service = Service()
    yield service
    service.released.set()
    service.shutdown()
    service.server_close()


@pytest.fixture
def service(running: Service) -> Service:
    running.reset()
    return running


@pytest.fixture(scope="session")
def documents(running: Service) -> dict[str, dict[str, Any]]:
    return {version: document(version, running.base) for version in ("3.0", "3.1")}


@pytest.fixture(scope="session")
def toolsets(documents: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Toolset]:
    folder = tmp_path_factory.mktemp("documents")
    made = {}
    for version, content in documents.items():
        path = folder / f"api-{version}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        made[version] = load_openapi(path, allow_private=True)
    return made


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def load(service: Service, tmp_path: Path) -> Callable[..., Toolset]:
    """Tools for some paths served on loopback; other parts of the document by keyword, options after `options`."""

    def load(paths: dict[str, Any], options: dict[str, Any] | None = None, **parts: Any) -> Toolset:
        content = {
            "openapi": "3.1.0",
            "info": {"title": "Some", "version": "1"},
            "servers": [{"url": service.base}],
            "paths": paths,
        }
        path = tmp_path / "openapi.json"
        path.write_text(json.dumps({**content, **parts}), encoding="utf-8")
        return load_openapi(path, **{"allow_private": True, **(options or {})})

    return load
