"""Documents that load, and one clear line for each that does not."""

import json
import time

import pytest
from ferrule.tools import ToolDefinitionError
from ferrule.tools.openapi.document import Document, parse


def never(address):
    raise AssertionError(f"nothing is fetched, not even {address}")


@pytest.fixture
def write(tmp_path):
    folder = tmp_path / "api"
    folder.mkdir()

    def write(name, content):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write


OPENAPI = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {}}


@pytest.mark.parametrize(("text", "version"), [("3.0.0", "3.0"), ("3.0.4", "3.0"), ("3.1.0", "3.1"), ("3.1.1", "3.1")])
def test_versions(write, text, version):
    assert Document(str(write("a.json", {**OPENAPI, "openapi": text})), never).version == version


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", {"swagger": "2.0"}, ["Swagger 2.0", "3.0 and 3.1", "convert"]),
        ("a.json", {"openapi": "3.2.0"}, ["3.2.0", "3.0 and 3.1"]),
        ("a.json", {"openapi": "4.0.0"}, ["4.0.0"]),
        ("a.json", {"openapi": 3.1, "paths": []}, ["paths", "object"]),
        ("a.json", {"info": {}}, ["not an OpenAPI document", '"openapi"']),
        ("a.json", [], ["not an OpenAPI document"]),
        ("a.json", "{", ["line 1", "not JSON"]),
        ("a.json", '{"openapi": "3.1.0",\n "paths": {}, "paths": {}}', ["'paths'", "twice"]),
        ("a.json", '{"openapi": NaN}', ["NaN"]),
        ("a.json", "[" * 100_000, ["nested too deeply"]),
        ("a.json", "<!doctype html><html></html>", ["not an OpenAPI document"]),
        ("a.yaml", "just a text", ["not an OpenAPI document"]),
        ("a.yaml", "", ["not an OpenAPI document"]),
        ("a.yaml", "openapi: 3.1.0\npaths: [", ["line 3", "not YAML"]),
        ("a.yaml", "openapi: 3.1.0\nopenapi: 3.0.0", ["twice", "line 2"]),
        ("a.yaml", "openapi: !!python/object/apply:os.getcwd []", ["not YAML", "python"]),
        ("a.yaml", "openapi: 3.1.0\n? [a, b]\n: c", ["not YAML", "key"]),
        ("a.yaml", "a: &a [*a]", ["not YAML", "recursive"]),
    ],
)
def test_what_is_no_document(write, name, content, words):
    path = write(name, content)
    with pytest.raises(ToolDefinitionError) as caught:
        Document(str(path), never)
    for word in [*words, path.name]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_aliases_that_multiply_without_end(write, monkeypatch):
    monkeypatch.setattr("ferrule.tools.openapi.document.MAX_NODES", 10_000)
    lines = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    path = write("a.yaml", "\n".join(["a0: &a0 [x, x]", *lines]))
    with pytest.raises(ToolDefinitionError, match=r"a\.yaml: more than 10000 values"):
        Document(str(path), never)


def test_bytes_that_are_no_text(write):
    path = write("a.json", "")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ToolDefinitionError, match="not UTF-8"):
        Document(str(path), never)
    with pytest.raises(ToolDefinitionError, match=r"cannot read .*nowhere\.json"):
        Document(str(path.parent / "nowhere.json"), never)


def test_yaml_is_read_as_json_would_be():
    text = """
    on: yes
    200: ok
    1.5: half
    true: t
    date: 2024-01-01
    time: 12:30
    version: 1_000
    octal: 0o17
    old: 0777
    hex: 0x1F
    float: 1e3
    nothing:
    also: ~
    text: "null"
    flag: False
    base: &base {a: 1}
    more: {<<: *base, b: 2}
    """
    assert parse(text.encode(), "x.yaml") == {
        "on": "yes",
        "200": "ok",
        "1.5": "half",
        "true": "t",
        "date": "2024-01-01",
        "time": "12:30",
        "version": "1_000",
        "octal": 15,
        "old": 777,
        "hex": 31,
        "float": 1000.0,
        "nothing": None,
        "also": None,
        "text": "null",
        "flag": False,
        "base": {"a": 1},
        "more": {"a": 1, "b": 2},
    }


def test_json_and_yaml_are_the_same(write):
    assert parse(json.dumps(OPENAPI).encode(), "x.yaml") == parse(json.dumps(OPENAPI).encode(), "x.json") == OPENAPI
    assert parse(b"\xef\xbb\xbf" + json.dumps(OPENAPI).encode(), "noname") == OPENAPI


def test_references(write):
    write("parts/pet.yaml", "Pet:\n  type: object\n  properties: {owner: {$ref: '../people/owner.json'}}\n")
    write("people/owner.json", {"type": "object", "properties": {"pet": {"$ref": "../parts/pet.yaml#/Pet"}}})
    path = write("a.json", {**OPENAPI, "a/b~c": [{"x y": 7}], "r": {"$ref": "parts/pet.yaml#/Pet"}})
    document = Document(str(path), never)
    assert document.resolve("#/a~1b~0c/0/x%20y", document.address)[0] == 7
    pet, file, pointer = document.resolve("parts/pet.yaml#/Pet", document.address)
    assert pet["type"] == "object"
    assert (file, pointer) == (str(path.parent / "parts/pet.yaml"), "/Pet")
    owner, _, _ = document.resolve(pet["properties"]["owner"]["$ref"], file)
    assert owner["properties"]["pet"]["$ref"] == "../parts/pet.yaml#/Pet"
    document.check_references(document.root, document.address)  # in a circle over three files, and to an end


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("#/nowhere", ["#/nowhere", "leads nowhere"]),
        ("#/info/title/x", ["leads nowhere"]),
        ("#/list/7", ["leads nowhere"]),
        ("#anchor", ["only JSON pointers"]),
        ("../outside.json", ["leads out", "folder"]),
        ("../api-other/outside.json", ["leads out"]),
        ("/etc/passwd", ["leads out"]),
        ("%2e%2e/outside.json", ["leads out"]),
        ("link.json", ["leads out"]),
        ("file:///etc/passwd", ["leads out"]),
        ("http://example.com/x.json", ["leads out"]),
        ("//example.com/x.json", ["leads out"]),
        ("missing.json", ["no file", "missing.json"]),
        ("a\0b.json", ["a"]),
        ("bad.json#/x", ["bad.json", "not JSON"]),
        (7, ["must be text", "7"]),
    ],
)
def test_references_that_are_refused(write, reference, words):
    path = write("a.json", {**OPENAPI, "list": []})
    write("bad.json", "{")
    write("../outside.json", {})
    write("../api-other/outside.json", {})
    (path.parent / "link.json").symlink_to(path.parent.parent / "outside.json")
    document = Document(str(path), never)
    with pytest.raises(ToolDefinitionError) as caught:
        document.resolve(reference, document.address)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


def test_references_in_a_circle_of_nothing(write):
    document = Document(str(write("a.json", {**OPENAPI, "a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}})), never)
    with pytest.raises(ToolDefinitionError, match="leads back to itself"):
        document.follow({"$ref": "#/a"}, document.address, "a parameter")


def test_a_remote_document_and_its_neighbours():
    files = {
        "https://example.com/api/v1/openapi.json": {**OPENAPI, "x": {"$ref": "parts/a.json"}},
        "https://example.com/api/v1/parts/a.json": {"a": 1},
    }
    fetched = []

    def read(address):
        fetched.append(address)
        return json.dumps(files[address]).encode()

    document = Document("https://example.com/api/v1/openapi.json#/paths", read)
    assert document.resolve("parts/a.json#/a", document.address)[0] == 1
    for outside in (
        "../v2/a.json",
        "/other.json",
        "https://evil.example/a.json",
        "//evil.example/a",
        "parts/%2e%2e/%2e%2e/a.json",
    ):
        with pytest.raises(ToolDefinitionError, match="leads out"):
            document.resolve(outside, document.address)
    assert fetched == list(files)


def test_data_is_no_reference(write):
    content = {**OPENAPI, "a": {"example": {"$ref": "#/nowhere"}, "enum": [{"$ref": "#/nowhere"}]}}
    document = Document(str(write("a.json", content)), never)
    document.check_references(document.root, document.address)


def test_many_references_take_no_time(write):
    content = {
        **OPENAPI,
        "s": {f"n{i}": {"a": [{"$ref": f"#/s/n{(i * 7 + k) % 2000}"} for k in range(5)]} for i in range(2000)},
    }
    document = Document(str(write("a.json", content)), never)
    start = time.perf_counter()
    document.check_references(document.root, document.address)
    assert time.perf_counter() - start < 5
