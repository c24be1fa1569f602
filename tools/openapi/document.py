"""An OpenAPI document: read from a path or an address, with its references."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from ..errors import ToolDefinitionError, describe, one_line

MAX_DOCUMENT_BYTES = 64 << 20
MAX_FILES = 500
MAX_NODES = 2_000_000
"""Values of one YAML file, with those that aliases repeat counted each time."""

_VALUES = frozenset({"example", "examples", "default", "enum", "const"})

Read = Callable[[str], bytes]


class Document:
    """A document and the files that it refers to.

    References are followed within the document's own folder, never above it nor to another host.

    Args:
        address: Path or http(s) address.
        read: Returns the bytes of an address; not used for paths.

    Attributes:
        address: The absolute path or address.
        version: "3.0" or "3.1".
        root: The OpenAPI object.

    Raises:
        ToolDefinitionError: If it cannot be read, is no OpenAPI document, or of a version other than 3.0 and 3.1.
    """

    def __init__(self, address: str, read: Read) -> None:
        self._read = read
        self.is_remote = address.lower().startswith(("http://", "https://"))
        self.address = urldefrag(address).url if self.is_remote else str(Path(address).expanduser().resolve())
        self._files: dict[str, Any] = {}
        self._resolved: dict[tuple[str, str], tuple[Any, str, str]] = {}
        self._checked: set[tuple[str, str]] = set()
        root = self._file(self.address)
        self.version = _version(root, self.address)
        self.root: dict[str, Any] = root

    def _file(self, address: str) -> Any:
        if address not in self._files:
            if len(self._files) >= MAX_FILES:
                raise ToolDefinitionError(f"{self.address} refers to more than {MAX_FILES} files")
            try:
                if self.is_remote:
                    data = self._read(address)
                elif (size := Path(address).stat().st_size) > MAX_DOCUMENT_BYTES:
                    raise ToolDefinitionError(f"{address} has {size} bytes; at most {MAX_DOCUMENT_BYTES} are read")
                else:
                    data = Path(address).read_bytes()
            except OSError as error:
                raise ToolDefinitionError(f"cannot read {address}: {describe(error)}") from None
            self._files[address] = parse(data, address)
        return self._files[address]

    def _neighbour(self, reference: str, file: str) -> str:
        """Address of the file that a reference names."""
        refused = ToolDefinitionError(
            f"{file}: $ref {one_line(reference, 120)!r} leads out of the document's folder; only files in it are read"
        )
        if self.is_remote:
            target, folder = urljoin(file, reference), urljoin(self.address, ".")
            # A server may read %2e%2e as it reads "..".
            if not target.startswith(folder) or ".." in unquote(urlsplit(target).path).split("/"):
                raise refused
            return target
        if urlsplit(reference).scheme or reference.startswith("//"):
            raise refused
        try:
            path = (Path(file).parent / unquote(reference)).resolve()
            if not path.is_relative_to(Path(self.address).parent):
                raise refused
            is_file = path.is_file()
        except (ValueError, OSError) as error:
            raise ToolDefinitionError(f"{file}: $ref {one_line(reference, 120)!r}: {describe(error)}") from None
        if not is_file:
            raise ToolDefinitionError(f"{file}: $ref {one_line(reference, 120)!r}: there is no file {path}")
        return str(path)

    def resolve(self, reference: Any, file: str) -> tuple[Any, str, str]:
        """What a `$ref` in `file` leads to, the file it is in, and the JSON pointer to it.

        Raises:
            ToolDefinitionError: If it leads nowhere, or outside.
        """
        if not isinstance(reference, str):
            raise ToolDefinitionError(f"{file}: a $ref must be text, received {one_line(repr(reference), 80)}")
        key = (file, reference)
        if key not in self._resolved:
            address, fragment = urldefrag(reference)
            target = self._neighbour(address, file) if address else file
            self._resolved[key] = (self._point(fragment, target, reference, file), target, unquote(fragment))
        return self._resolved[key]

    def _point(self, fragment: str, target: str, reference: str, file: str) -> Any:
        node = self._file(target)
        if fragment and not fragment.startswith("/"):
            raise ToolDefinitionError(f"{file}: $ref {one_line(reference, 120)!r}: only JSON pointers (#/…) are followed")
        for step in fragment.split("/")[1:]:
            step = unquote(step).replace("~1", "/").replace("~0", "~")
            try:
                node = node[int(step)] if isinstance(node, list) else node[step]
            except (KeyError, IndexError, ValueError, TypeError):
                raise ToolDefinitionError(f"{file}: $ref {one_line(reference, 120)!r} leads nowhere") from None
        return node

    def follow(self, node: Any, file: str, what: str) -> tuple[dict[str, Any], str]:
        """An object, and the file it is in, behind any chain of references.

        Args:
            node: The object, or a reference to it.
            file: Where it stands.
            what: What it should be, for messages.
        """
        seen: set[tuple[str, str]] = set()
        while isinstance(node, dict) and "$ref" in node:
            reference = node["$ref"]
            node, file, pointer = self.resolve(reference, file)
            if (file, pointer) in seen:
                raise ToolDefinitionError(f"{file}: $ref {one_line(reference, 120)!r} leads back to itself")
            seen.add((file, pointer))
        if not isinstance(node, dict):
            raise ToolDefinitionError(f"{file}: {what} must be an object, received {one_line(repr(node), 80)}")
        return node, file

    def check_references(self, node: Any, file: str) -> None:
        """Follows every reference below `node`; what was followed once is not followed again.

        Raises:
            ToolDefinitionError: If one leads nowhere, or outside.
        """
        pending = [(node, file)]
        while pending:
            node, file = pending.pop()
            for reference in _references(node):
                target, where, pointer = self.resolve(reference, file)
                if (where, pointer) not in self._checked:
                    self._checked.add((where, pointer))
                    pending.append((target, where))


def _references(node: Any) -> Iterator[str]:
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            for key, value in node.items():
                if key == "$ref" and isinstance(value, str):
                    yield value
                # Data, which may have a "$ref" of its own; a property may be called so, too, and has a schema then.
                elif key not in _VALUES or (isinstance(value, dict) and "type" in value):
                    pending.append(value)


def _version(root: Any, address: str) -> str:
    if not isinstance(root, dict) or not ("openapi" in root or "swagger" in root):
        raise ToolDefinitionError(f'{address} is not an OpenAPI document: it has no "openapi" version at its top level')
    if "openapi" not in root:
        version = one_line(root["swagger"], 40)
        raise ToolDefinitionError(f"{address} is Swagger {version}; OpenAPI 3.0 and 3.1 are read: convert the document")
    version = str(root["openapi"])
    if ".".join(version.split(".")[:2]) not in ("3.0", "3.1"):
        raise ToolDefinitionError(f"{address} is OpenAPI {one_line(version, 40)}; 3.0 and 3.1 are read")
    if not isinstance(root.get("paths", {}), dict):
        raise ToolDefinitionError(f'{address}: "paths" must be an object, received {one_line(repr(root["paths"]), 80)}')
    return version[:3]


def parse(data: bytes, address: str) -> Any:
    """The JSON value in a JSON or YAML file.

    YAML is read by the rules of JSON (YAML 1.2): `on`, `2024-01-01` and `12:30` are text.

    Raises:
        ToolDefinitionError: If it is neither.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ToolDefinitionError(f"{address} is not an OpenAPI document: not UTF-8 text ({describe(error)})") from None
    is_yaml = urlsplit(address).path.lower().endswith((".yaml", ".yml"))
    try:
        if not is_yaml and text.lstrip()[:1] in ("{", "["):
            return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        return _yaml(text, address)
    except json.JSONDecodeError as error:
        raise ToolDefinitionError(f"{address}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise ToolDefinitionError(f"{address} is nested too deeply") from None
    except ValueError as error:
        raise ToolDefinitionError(f"{address}: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {one_line(twice, 80)!r} stands twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _yaml(text: str, address: str) -> Any:
    try:
        import yaml

        from .yaml_loader import Loader
    except ImportError:
        raise ToolDefinitionError(f"{address}: YAML is read with PyYAML: pip install 'ferrule[openapi]'") from None
    loader = Loader(text)
    try:
        return _plain(loader.get_single_data(), [0])
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise ToolDefinitionError(f"{address}{at}: not YAML: {one_line(problem, 200)}") from None
    finally:
        loader.dispose()


def _plain(value: Any, nodes: list[int]) -> Any:
    """A copy with text for keys, as in JSON; aliases that repeat themselves without end are stopped."""
    nodes[0] += 1
    if nodes[0] > MAX_NODES:
        raise ValueError(f"more than {MAX_NODES} values, with those behind its aliases")
    if isinstance(value, Mapping):
        return _unique([(_key(key), _plain(item, nodes)) for key, item in value.items()])
    if isinstance(value, list):
        return [_plain(item, nodes) for item in value]
    return value


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, bool | int | float):
        return json.dumps(key)
    raise ValueError(f"the key {one_line(repr(key), 80)} is not text")
