"""Tools files: what loads, and one clear line for everything that does not."""

import json
import os
import sys
import textwrap

import pytest
from ferrule.tools import ToolCall, ToolDefinitionError, load_tools

TYPED = "def add(a: int, b: int = 2) -> int:\n    '''Adds.'''\n    return a + b\n"


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


def test_decorated_functions(write):
    path = write(
        "my tools.py",
        """
        from __future__ import annotations
        from dataclasses import dataclass
        import ferrule.tools as t

        @dataclass
        class Point:
            x: int

        @t.tool
        def first(p: Point) -> int:
            return p.x

        def helper(untyped):
            return untyped

        @t.tool(permission="write")
        def second() -> str:
            return helper("2")

        alias = first
        """,
    )
    before, modules = list(sys.path), set(sys.modules)
    tools = load_tools(str(path))
    assert tools.names == ("first", "second")
    assert tools.execute(ToolCall("first", {"p": {"x": 3}})).value == 3
    assert tools.execute(ToolCall("second", {})).value == "2"
    assert sys.path == [*before, str(path.parent)]
    added = sys.modules.keys() - modules
    assert all(name.startswith("_ferrule_tools_") for name in added)
    # Nothing is left beside the user's file, and it can be loaded again.
    assert os.listdir(path.parent) == [path.name]
    assert load_tools(path).names == ("first", "second")


def test_plain_functions_and_neighbours(write):
    write("neighbour_of_tools.py", "def imported(x): return x\nVALUE = 5\n")
    path = write(
        "tools.py",
        "from neighbour_of_tools import imported, VALUE\nfrom json import dumps\nclass C: ...\n"
        "def _private(x): ...\nsquare = lambda x: x\n" + TYPED + "def five() -> int:\n    return VALUE\n",
    )
    # A lambda is no public function: its name is "<lambda>".
    with pytest.raises(ToolDefinitionError, match="lambda"):
        load_tools(path)
    path.write_text(path.read_text().replace("square = lambda x: x\n", ""))
    tools = load_tools(path)
    assert tools.names == ("add", "five")
    assert tools.execute(ToolCall("five", {})).value == 5
    assert tools["add"].description == "Adds."


SCHEMA = {"name": "f", "description": "d", "parameters": {"type": "dict", "properties": {"a": {"type": "int"}}}}


@pytest.mark.parametrize(
    "document", [SCHEMA, [SCHEMA], {"type": "function", "function": SCHEMA}], ids=["one", "list", "wrapped"]
)
def test_json_files(write, document):
    tools = load_tools(write("tools.json", json.dumps(document)))
    assert tools.names == ("f",)
    assert tools["f"].parameters["properties"]["a"] == {"type": "integer"}
    assert "only its schema" in tools.execute(ToolCall("f", {"a": 1})).error


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("t.py", "def f(:\n", ["line 1", "syntax error"]),
        ("t.py", "\n\nimport no_such_module_at_all\n", ["line 3", "no_such_module_at_all", "install"]),
        ("t.py", "from ferrule.tools import nothing\n", ["line 1", "nothing"]),
        ("t.py", "x = 1\nx = 1 / 0\n", ["line 2", "ZeroDivisionError"]),
        ("t.py", "raise ValueError('two\\nlines')\n", ["two lines"]),
        ("t.py", "import sys\nsys.exit(2)\n", ["line 2", "SystemExit", "__main__"]),
        ("t.py", "", ["no tools"]),
        ("t.py", "def _private(a: int): ...\n", ["no tools"]),
        ("t.py", "def f(city): ...\n", ["'f'", "'city'", "no type annotation"]),
        ("t.py", "from ferrule.tools import tool\n\n@tool\ndef f(city): ...\n", ["line 3", "'f'", "'city'"]),
        (
            "t.py",
            "from ferrule.tools import tool\na = tool(name='x')(lambda: 1)\nb = tool(name='x')(lambda: 2)\n",
            ["two tools", "'x'"],
        ),
        ("t.py", b"\x00\x01", ["t.py"]),
        ("t.py", b"# \xff\xfe\n", ["t.py"]),
        ("t.py", b"# coding: nonsense\n", ["t.py", "nonsense"]),
        ("t.py", "(" * 5000, ["t.py"]),
        ("t.json", "{", ["line 1", "not JSON"]),
        ("t.json", '{"name": "f",\n "description": d}', ["line 2", "column 17"]),
        ("t.json", b"\xff\xfe{", ["not a JSON file"]),
        ("t.json", '{"name": "f", "x": NaN}', ["NaN"]),
        ("t.json", "[" * 100_000, ["nested too deeply"]),
        ("t.json", '{"tools": [{"name": "f"}]}', ["stand under 'tools'", "that list itself"]),
        ("t.json", "[]", ["no tools"]),
        ("t.json", "3", ["must be a JSON object", "3"]),
        ("t.json", '[{"name": "f"}, {"description": "g"}]', ["entry 2", "name"]),
        ("t.json", '[{"name": "f"}, {"name": "f"}]', ["two tools", "'f'"]),
        ("t.json", '{"name": "f", "parameters": {"type": "strin"}}', ["'f'", "strin"]),
        ("t.json", '{"openapi": "3.1.0", "paths": {}}', ["no tools", "no operations"]),
        ("t.json", '{"swagger": "2.0", "paths": {}}', ["Swagger 2.0", "convert"]),
        ("t.yaml", "name: f", ["t.yaml", "not an OpenAPI document"]),
        ("t", "x", [".py", ".json"]),
    ],
)
def test_files_that_do_not_load(write, name, text, words):
    path = write(name, text)
    before, modules = list(sys.path), set(sys.modules)
    with pytest.raises(ToolDefinitionError) as caught:
        load_tools(path)
    for word in [*words, name]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sys.path == before
    assert not [added for added in sys.modules.keys() - modules if added.startswith("_ferrule_tools_")]
    assert os.listdir(path.parent) == [name]


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("file:///tmp/tools.py", "address"),
        ("HF://org/tools", "address"),
        ("no/such/file.py", "there is no file"),
        ("no/such/file.json", "there is no file"),
        ("no_such_tools", ".py"),
        ("", ".json"),
        ("a\0b.py", "cannot read"),
        (".", "folder"),
    ],
)
def test_sources_that_are_not_files(source, word):
    with pytest.raises(ToolDefinitionError, match=word) as caught:
        load_tools(source)
    assert "\n" not in str(caught.value)
    assert ".py" in str(caught.value)


def test_what_a_function_imports_when_it_is_called(write):
    write("beside_the_tools.py", "ANSWER = 42")
    path = write("late.py", "def late() -> int:\n    import beside_the_tools\n    return beside_the_tools.ANSWER\n")
    assert load_tools(path).execute(ToolCall("late", {})).value == 42


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/openapi.json", "HTTP://localhost:1/tools.py"])
def test_addresses_are_openapi_documents(address):
    with pytest.raises(ToolDefinitionError, match="no public address") as caught:
        load_tools(address)
    assert address in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_are_for_openapi_documents(write):
    document = {"openapi": "3.1.0", "paths": {"/x": {"get": {"operationId": "x", "responses": {}}}}}
    path = write("api.json", json.dumps(document))
    assert load_tools(path, servers=["https://example.com"], operations=["x"]).names == ("x",)
    with pytest.raises(ToolDefinitionError, match="is a plain file, so servers means nothing"):
        load_tools(write("tools.py", TYPED), servers=["https://example.com"])
