"""The house rules that an import or a file name can break (DESIGN.md §1), read from the source with `ast`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# room -> the rooms that it may import; hub may import every room, and nobody imports hub
ARROWS: dict[str, set[str]] = {
    "core": set(),
    "tools": set(),
    "presets": set(),
    "models": {"core"},
    "agents": {"tools"},
    "hub": {"core", "tools", "presets", "models", "agents"},
}
FRAMEWORKS = {"jax", "jaxlib", "torch", "tensorflow", "keras", "openvino", "flax"}
# The compiled form of the NumPy backend; imported by that backend when Numba is there, never before.
KERNELS = {"numba", "llvmlite"}
KERNEL_FILES = "core/backends/numpy_compiled/"
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def files() -> list[Path]:
    return sorted(path for room in ARROWS for path in (ROOT / room).rglob("*.py"))


SOURCES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files()}
each_file = pytest.mark.parametrize("name", SOURCES)


def imports(name: str, source: str, anywhere: bool = True) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything that a file imports; relative ones become ferrule.<room>.…

    Args:
        name: path of the file below the root.
        anywhere: also inside functions, and not only when the module is loaded.
    """
    tree = ast.parse(source)
    package = ["ferrule", *Path(name).with_suffix("").parts[:-1]]
    for node in ast.walk(tree) if anywhere else _at_load(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            yield from ((node.lineno, ".".join([*module, alias.name])) for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            names = [argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)]
            yield from ((node.lineno, name) for name in names)


def _at_load(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run when the module is loaded: not the bodies of functions, nor what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _at_load(child)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


# ---- the checks, as functions of a source, so that they can be checked themselves ------------------------------------


def wrong_arrows(name: str, source: str) -> list[str]:
    room = name.split("/")[0]
    wrong = []
    for line, imported in imports(name, source):
        parts = imported.split(".")
        target = parts[1] if parts[0] == "ferrule" and len(parts) > 1 else None
        if parts[0] in ARROWS:
            wrong.append(f"{name}:{line} imports {imported}: rooms are reached by relative imports")
        elif parts[0] == "ferrule" and target not in ARROWS:
            wrong.append(f"{name}:{line} imports {imported}, which is no room")
        elif target and target != room and target not in ARROWS[room]:
            wrong.append(f"{name}:{line}: {room} imports {imported}")
    return wrong


def early_frameworks(name: str, source: str) -> list[str]:
    wrong = []
    for line, imported in imports(name, source, anywhere=False):
        package = imported.split(".")[0]
        allowed = name.startswith(KERNEL_FILES) if package in KERNELS else name == f"core/backends/{package}.py"
        if package in FRAMEWORKS | KERNELS and not allowed:
            wrong.append(f"{name}:{line} imports {imported} when it is loaded")
    return wrong


def pickles(name: str, source: str) -> list[str]:
    wrong = [
        f"{name}:{line} imports {imported}" for line, imported in imports(name, source) if imported.split(".")[0] in PICKLES
    ]
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        unsafe = [k for k in node.keywords if k.arg == "allow_pickle" and getattr(k.value, "value", None) is not False]
        if called.endswith(("torch.load", "tf.saved_model.load", "read_pickle", "yaml.load")) or unsafe:
            wrong.append(f"{name}:{node.lineno} calls {called}, which runs code from a file")
    return wrong


def prints(name: str, source: str) -> list[str]:
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and _called(node) == "print")
    return [f"{name}:{node.lineno} prints" for node in calls if isinstance(node.func, ast.Name)]


# ---- every file of every room ----------------------------------------------------------------------------------------


@each_file
def test_imports_run_one_way(name: str) -> None:
    assert wrong_arrows(name, SOURCES[name]) == []


@each_file
def test_no_framework_is_imported_when_a_module_is_loaded(name: str) -> None:
    assert early_frameworks(name, SOURCES[name]) == []


@each_file
def test_no_pickle_is_read(name: str) -> None:
    assert pickles(name, SOURCES[name]) == []


@each_file
def test_only_the_cli_prints(name: str) -> None:
    assert name.startswith("hub/cli") or prints(name, SOURCES[name]) == []


@each_file
def test_every_module_says_what_it_is_for(name: str) -> None:
    assert ast.get_docstring(ast.parse(SOURCES[name])), f"{name} has no docstring"


def test_no_drawers_for_odds_and_ends() -> None:
    drawers = {"utils", "util", "common", "helpers", "helper", "misc"}
    paths = [Path(name) for name in SOURCES] + [path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py")]
    assert not [str(path) for path in paths if drawers & {part.removeprefix("test_") for part in path.with_suffix("").parts}]


def test_every_room_is_checked() -> None:
    assert {name.split("/")[0] for name in SOURCES} == set(ARROWS)


# ---- the checks find what they are there for -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("core/x.py", "from ..models import token_loop"),
        ("core/layers/x.py", "from ...models.errors import ModelError"),
        ("core/x.py", "from .. import hub"),
        ("tools/x.py", "def f():\n    from ..agents.agent import Agent"),
        ("models/needle/x.py", "import ferrule.tools.tool"),
        ("agents/x.py", "from ..models.language_model import LanguageModel"),
        ("agents/x.py", "import importlib\nimportlib.import_module('ferrule.hub')"),
        ("presets/x.py", "from ..hub.errors import HubError"),
        ("models/x.py", "from core import ops"),
        ("hub/x.py", "from ferrule.tests import x"),
    ],
)
def test_a_wrong_arrow_is_found(name: str, source: str) -> None:
    assert len(wrong_arrows(name, source)) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("core/layers/x.py", "from ..backend import Array\nfrom . import norm\nfrom ... import core"),
        ("models/needle/x.py", "from ...core import ops\nfrom ..errors import ModelError\nimport numpy as np"),
        ("agents/dialects/x.py", "from ...tools.tool import Tool\nfrom ..steps import Step"),
        ("hub/x.py", "from ..agents import Agent\nfrom ..models import Tokenizer\nfrom .errors import HubError"),
    ],
)
def test_a_right_arrow_is_let_through(name: str, source: str) -> None:
    assert wrong_arrows(name, source) == []


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (early_frameworks, "import torch.nn as nn"),
        (early_frameworks, "class A:\n    from jax import numpy"),
        (early_frameworks, "try:\n    import tensorflow\nexcept ImportError:\n    pass"),
        (early_frameworks, "import numba"),
        (pickles, "import pickle"),
        (pickles, "def f():\n    from joblib import load"),
        (pickles, "import torch\ntorch.load('x', weights_only=True)"),
        (pickles, "np.load(path, allow_pickle=True)"),
        (pickles, "np.load(path, allow_pickle=trusted)"),
        (prints, "print('x')"),
    ],
)
def test_a_fault_is_found(check: object, source: str) -> None:
    assert len(check("models/x.py", source)) == 1


@pytest.mark.parametrize(
    ("check", "name", "source"),
    [
        (early_frameworks, "core/backends/torch.py", "import torch"),
        (early_frameworks, "core/backends/numpy_compiled/products.py", "import numba"),
        (early_frameworks, "hub/x.py", "def f():\n    import torch"),
        (early_frameworks, "hub/x.py", "if TYPE_CHECKING:\n    import torch"),
        (pickles, "hub/x.py", "np.load(path, allow_pickle=False)\njson.load(file)"),
        (prints, "hub/x.py", "console.print('x')"),
    ],
)
def test_no_fault_is_invented(check: object, name: str, source: str) -> None:
    assert check(name, source) == []
