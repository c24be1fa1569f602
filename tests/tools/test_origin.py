from __future__ import annotations

import dataclasses
import json

from ferrule.tools import Tool, load_tools, tool
from ferrule.tools.library import make_tools
from ferrule.tools.origin import Origin, origin_of

SOURCE = """
from ferrule.tools import tool

@tool
def add(a: int) -> int:
    return a

@tool
def double(a: int) -> int:
    return 2 * a
"""


@tool
def top(a: int) -> int:
    """At the top of this file."""
    return a


def test_files_are_named_by_their_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SOURCE)
    (tmp_path / "schemas.json").write_text(json.dumps({"name": "f"}))
    tools = load_tools("mine.py")
    assert origin_of(tools["add"]) == Origin(source=str(tmp_path / "mine.py"), names=("add", "double"))
    assert origin_of(load_tools("schemas.json")["f"]).source == str(tmp_path / "schemas.json")


def test_the_library_is_named_with_its_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    origin = origin_of(make_tools("files", folder=".", max_read=5)["read_file"])
    assert (origin.library, origin.options) == ("files", {"folder": str(tmp_path), "max_read": 5})


def test_functions_of_a_module_are_found_in_its_file():
    assert origin_of(top).source == __file__
    assert "top" in origin_of(top).names


def test_what_no_source_gives_has_no_origin():
    @tool
    def local(a: int) -> int:
        return a

    home = make_tools("home")
    assert origin_of(local) is None
    assert origin_of(tool(name="top")(lambda: 1)) is None
    assert origin_of(dataclasses.replace(home["lock_door"], timeout=1)) is None  # not what the library gives
    assert origin_of(dataclasses.replace(top, permission="write")) is None
    assert origin_of(Tool("bare")) is None
