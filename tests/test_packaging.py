"""What setuptools is told matches what is on disk."""

from __future__ import annotations

import importlib
import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
ROOMS = ["agents", "core", "hub", "models", "presets", "tools"]


def folders() -> list[Path]:
    """Every folder of the rooms that holds Python files."""
    found = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    return sorted(path.relative_to(ROOT) for path in found)


def modules() -> list[str]:
    files = (path.relative_to(ROOT).with_suffix("") for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))
    return [".".join(["ferrule", *path.parts]).removesuffix(".__init__") for path in files]


def test_packages_match_the_folders() -> None:
    assert sorted(SETUPTOOLS["packages"]) == [".".join(["ferrule", *path.parts]) for path in folders()]
    assert SETUPTOOLS["packages"] == sorted(SETUPTOOLS["packages"])


def test_package_dir_maps_every_room() -> None:
    assert SETUPTOOLS["package-dir"] == {f"ferrule.{room}": room for room in ROOMS}


def test_every_package_has_an_init_and_the_root_has_none() -> None:
    assert not [str(path) for path in folders() if not (ROOT / path / "__init__.py").is_file()]
    assert not (ROOT / "__init__.py").exists(), "ferrule is a namespace: an __init__.py at the root would hide the rooms"


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_are_typed(room: str) -> None:
    assert (ROOT / room / "py.typed").is_file()


def test_data_files_are_shipped() -> None:
    """Every file of a room is Python or of a kind that `package-data` names."""
    shipped = SETUPTOOLS["package-data"]["*"]
    for room in ROOMS:
        for path in (ROOT / room).rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc", ".nbc", ".nbi") and "__pycache__" not in path.parts:
                assert any(path.match(pattern) for pattern in shipped), (
                    f"{path.relative_to(ROOT)} would be left out of the wheel"
                )


@pytest.mark.parametrize("module", modules())
def test_every_module_imports(module: str) -> None:
    for optional, needs in (("jax", "jax"), ("torch", "torch"), ("tensorflow", "tensorflow"), ("numpy_compiled.", "numba")):
        if module.startswith(f"ferrule.core.backends.{optional}") and importlib.util.find_spec(needs) is None:
            pytest.skip(f"{needs} is not installed")
    importlib.import_module(module)


def test_the_script_exists() -> None:
    module, _, function = PROJECT["project"]["scripts"]["ferrule"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_extra_all_holds_every_other() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    named = re.fullmatch(r"ferrule\[(.*)\]", extras["all"][0])
    assert named, "the first entry of `all` is ferrule[…]"
    assert set(named[1].split(",")) == set(extras) - {"all", "test"}


def test_the_base_is_light() -> None:
    """No framework in the base install: NumPy is the default backend."""
    names = {re.split(r"[<>=!~\[; ]", requirement)[0].lower() for requirement in PROJECT["project"]["dependencies"]}
    assert not names & {"jax", "jaxlib", "torch", "tensorflow", "tensorflow-cpu", "transformers", "openvino", "scipy", "pandas"}
