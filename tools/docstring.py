"""Reads descriptions from docstrings in the Google, NumPy and Sphinx styles."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

_PARAMETER_SECTIONS = {"args", "arguments", "parameters", "params", "keyword args", "keyword arguments"}
_PARAMETER_SECTIONS |= {"other parameters", "attributes"}
_OTHER_SECTIONS = {"returns", "return", "raises", "yields", "yield", "receives", "warns", "warnings", "example"}
_OTHER_SECTIONS |= {"examples", "note", "notes", "see also", "references", "todo", "warning", "methods", "tip"}
_SECTIONS = _PARAMETER_SECTIONS | _OTHER_SECTIONS

_GOOGLE_ITEM = re.compile(r"\*{0,2}(\w+)\s*(?:\(.*?\))?\s*:(?:\s+|$)(.*)")
_NUMPY_ITEM = re.compile(r"(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?$")
_SPHINX_FIELD = re.compile(r":(\w+)((?:\s+[^:]+)?):(?:\s+|$)(.*)")
_SPHINX_PARAMETERS = {"param", "parameter", "arg", "argument", "key", "keyword", "ivar", "var"}


@dataclass(frozen=True)
class Docstring:
    """The text before the first section, on one line, and one description per parameter."""

    description: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


def parse_docstring(text: str | None) -> Docstring:
    """Description and parameter descriptions of a docstring; everything else in it is left out."""
    lines = inspect.cleandoc(text or "").split("\n")
    summary: list[str] = []
    parameters: dict[str, str] = {}
    index = 0
    while index < len(lines):
        line = lines[index]
        body = index + 1
        section = _google_section(line)
        underlined = section is None and _numpy_section(lines, index)
        if section or underlined:
            body += 1 if underlined else 0
            end = _section_end(lines, body, indented=not underlined)
            if (section or line.strip().lower()) in _PARAMETER_SECTIONS:
                read = _numpy_items if underlined else _google_items
                parameters.update(read(lines[body:end]))
            index = end
        elif match := _SPHINX_FIELD.match(line):
            end = body
            while end < len(lines) and (lines[end].startswith((" ", "\t")) or not lines[end].strip()):
                end += 1
            kind, names, rest = match.groups()
            if kind in _SPHINX_PARAMETERS and names.split():
                # ":param int minutes:" carries the type before the name.
                parameters[names.split()[-1].lstrip("*")] = _join([rest, *lines[body:end]])
            index = end
        else:
            if not parameters:
                summary.append(line)
            index = body
    return Docstring(_join(_without_examples(summary)), {name: text for name, text in parameters.items() if text})


def _join(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def _without_examples(lines: list[str]) -> list[str]:
    kept: list[str] = []
    in_example = False
    for line in lines:
        # A doctest ends at the next empty line.
        in_example = line.lstrip().startswith(">>>") or (in_example and bool(line.strip()))
        if not in_example:
            kept.append(line)
    return kept


def _google_section(line: str) -> str | None:
    name = line.rstrip()
    if name.endswith(":") and not name.startswith((" ", "\t")) and name[:-1].lower() in _SECTIONS:
        return name[:-1].lower()
    return None


def _numpy_section(lines: list[str], index: int) -> bool:
    if index + 1 >= len(lines) or lines[index].strip().lower() not in _SECTIONS:
        return False
    return bool(re.fullmatch(r"\s*-{3,}\s*", lines[index + 1]))


def _section_end(lines: list[str], start: int, indented: bool) -> int:
    for index in range(start, len(lines)):
        if _google_section(lines[index]) or _numpy_section(lines, index):
            return index
        # A Google section is what is indented under its title.
        if indented and lines[index].strip() and not lines[index].startswith((" ", "\t")):
            return index
    return len(lines)


def _google_items(lines: list[str]) -> dict[str, str]:
    return _items(inspect.cleandoc("\n" + "\n".join(lines)).split("\n"), _GOOGLE_ITEM)


def _numpy_items(lines: list[str]) -> dict[str, str]:
    return _items(lines, _NUMPY_ITEM)


def _items(lines: list[str], pattern: re.Pattern[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        match = None if line.startswith((" ", "\t")) else pattern.match(line)
        if match:
            current = [match.group(2)] if pattern.groups > 1 else []
            for name in match.group(1).split(","):
                found[name.strip().lstrip("*")] = current
        else:
            current.append(line)
    return {name: _join(text) for name, text in found.items()}
