"""Chat templates: how a model wants its conversations written, as a Jinja template that comes with it.

A template is foreign code and is rendered in a sandbox (`template_sandbox.py`). What is said in a conversation is foreign text:
`ChatTemplate.encode` gives ids in which the markers that the template writes are marker tokens, and those that stand in what
somebody said are ordinary text.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .errors import ChatTemplateError
from .tokenizer import Tokenizer

FILES = ("chat_template.jinja", "chat_template.json")
FOLDER = "additional_chat_templates"
_CONFIG = "tokenizer_config.json"
_NAMED = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_LONGEST = 1 << 17
MARKS = "\ufdd0\ufdd1"  # noncharacters (Unicode, section 23.7): they stand in no text
_OPEN, _CLOSE = MARKS
_REASONING = ("reasoning_content", "thinking", "reasoning")


class ChatTemplate:
    """The templates of a model, by name: `default`, and perhaps `tool_use` for conversations with tools.

    Args:
        source: the template, or several by name.
        special: what a template may call its special tokens, such as ``{"bos_token": "<s>"}``.
        markers: texts that the tokenizer takes for one token wherever they stand, and whether each is special. Those that are,
            and those that a template spells, are kept out of what is said; others, such as runs of spaces, are not.
        where: the folder that they come from, for messages.
    """

    def __init__(
        self,
        source: str | Mapping[str, str],
        special: Mapping[str, str] | None = None,
        markers: Mapping[str, bool] | None = None,
        where: Path | None = None,
    ):
        self._where = where
        self.sources = {"default": source} if isinstance(source, str) else dict(source)
        self.special = dict(special or {})
        written, found = "\0".join(self.sources.values()), markers or {}
        of_tokenizer = [text for text, is_special in found.items() if is_special]
        of_template = [text for text, is_special in found.items() if not is_special and text.strip() and text in written]
        self.markers = _longest_first([*of_tokenizer, *of_template])
        self._marker, self._special = _any_of(self.markers), _any_of(_longest_first(of_tokenizer))
        self._marked = re.compile(f"{_OPEN}({self._marker.pattern}){_CLOSE}|[{_OPEN}{_CLOSE}]")
        self._beginnings = {text[:end] for text in self.markers for end in range(1, len(text))}
        self._loaded: dict[str, Callable[[Mapping[str, Any]], str]] = {}
        self._turn = threading.Lock()

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **variables: Any,
    ) -> str:
        """A conversation as text, as `apply_chat_template` of `transformers` has it.

        The text is for reading: a marker that somebody said stands in it like those of the template. A model reads `encode`.

        Args:
            messages: each with a `role`, mostly a `content`, and whatever else the template knows; plain JSON data.
            tools: JSON schemas of functions, as the template wants them.
            add_generation_prompt: whether the beginning of the answer follows.
            variables: what else the template knows.

        Raises:
            ChatTemplateError: the template cannot be read, does more than it may, reaches for what is not offered, or refuses
                the messages.
        """
        return self._render(messages, tools, add_generation_prompt, variables, lambda value, is_answer=False: value)

    def render_marked(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **variables: Any,
    ) -> str:
        """As `render`, with what `encode_marked` needs to know about markers that somebody said."""
        return self._render(messages, tools, add_generation_prompt, variables, self.mark)

    def encode(
        self,
        tokenizer: Tokenizer,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **variables: Any,
    ) -> list[int]:
        """A conversation as ids; BOS is in them where the template writes it.

        Markers in contents, tools and variables are spelt out as ordinary text; in answers, those that are special. Roles are
        structure, and are the caller's.

        Raises:
            ChatTemplateError: as `render`; or a text holds what the tokenizer takes for a marker, however it is spelt.
        """
        return self.encode_marked(tokenizer, self.render_marked(messages, tools, add_generation_prompt, **variables))

    def mark(self, value: Any, *, is_answer: bool = False) -> Any:
        """A text, or plain data with texts in it, with every marker in it fenced off by two characters that no text has.

        In what a model answered, only special tokens are: templates look there for others, such as `</think>`.
        """
        if isinstance(value, str):
            marker = self._special if is_answer else self._marker
            value = marker.sub(f"{_OPEN}\\g<0>{_CLOSE}", _unicode(value).replace(_OPEN, "").replace(_CLOSE, ""))
            # The beginning of a marker must not be completed by the text that comes next
            longest = min(len(value), len(self.markers[0]) - 1 if self.markers else 0)
            return value + _OPEN if any(value[-n:] in self._beginnings for n in range(1, longest + 1)) else value
        if isinstance(value, Mapping):
            mark = partial(self.mark, is_answer=is_answer)
            return {mark(key): mark(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            found = [self.mark(item, is_answer=is_answer) for item in value]
            return found if isinstance(value, list) else tuple(found)
        return value

    def encode_marked(self, tokenizer: Tokenizer, text: str) -> list[int]:
        """Ids of a text, or of a part, of `render_marked`; ChatTemplateError as `encode`."""
        ids: list[int] = []
        expected = 0
        for number, piece in enumerate(self._marked.split(text)):
            if piece:
                is_said = number % 2 == 1
                ids += tokenizer.encode(piece, markers=not is_said)
                expected += 0 if is_said else len(self._marker.findall(piece))
        special = {number for marker in self.markers if (number := _id(tokenizer, marker)) is not None}
        if sum(number in special for number in ids) > expected:
            raise ChatTemplateError("the messages hold a text that the tokenizer takes for a marker; leave it out")
        return ids

    def end_of_turn(self, tokenizer: Tokenizer) -> int | None:
        """The marker that the template writes behind an answer; None where it writes none."""
        said = "What is said."
        messages = [{"role": "user", "content": said}, {"role": "assistant", "content": said}]
        try:
            text = self.render(messages, add_generation_prompt=False)
        except ChatTemplateError:
            return None
        _, found, behind = text.rpartition(said)
        marker = self._marker.match(behind.lstrip()) if found else None
        return None if marker is None else _id(tokenizer, marker[0])

    def _render(
        self,
        messages: Any,
        tools: Any,
        add_generation_prompt: bool,
        variables: Mapping[str, Any],
        mark: Callable[..., Any],
    ) -> str:
        if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
            raise ChatTemplateError("a conversation is a list of at least one message, received " + repr(messages)[:80])
        said = []
        for message in map(_plain, messages):
            if not isinstance(message, dict):
                raise ChatTemplateError(f"a message is an object with a role and a content, received {message!r:.80}")
            mark_it = partial(mark, is_answer=message.get("role") == "assistant")
            kept = {key: value for key, value in message.items() if value is not None}
            said.append(_with_reasoning({key: value if key == "role" else mark_it(value) for key, value in kept.items()}))
        given = {
            "documents": None,
            **self.special,
            **mark(_plain(variables)),
            "messages": said,
            "tools": mark(_plain(tools)),
            "add_generation_prompt": bool(add_generation_prompt),
        }
        name = "tool_use" if tools is not None and "tool_use" in self.sources else "default"
        if name not in self.sources:
            raise ChatTemplateError(f"there is no default chat template; there are: {', '.join(self.sources) or 'none'}")
        with self._turn:  # a template counts one rendering at a time
            try:
                if name not in self._loaded:
                    self._loaded[name] = _load(self.sources[name])
                return self._loaded[name](given)
            except ChatTemplateError as error:
                if self._where is None:
                    raise
                remedy = f"mend the template, or put one of your own there, as {FILES[0]}"
                raise ChatTemplateError(f"{self._where}: {error}; {remedy}") from None


def read_chat_template(folder: Path) -> ChatTemplate | None:
    """The chat template of a Hugging Face folder; None where it has none.

    `chat_template.jinja` and the files of `additional_chat_templates` go before `chat_template.json`, and that before
    `chat_template` in `tokenizer_config.json`: a text, or a list of objects with `name` and `template`.

    Raises:
        ChatTemplateError: a file cannot be read, or holds something else.
    """
    sources: dict[str, str] = {}
    paths = {"default": folder / FILES[0]} if (folder / FILES[0]).is_file() else {}
    paths |= {path.stem: path for path in sorted((folder / FOLDER).glob("*.jinja"))}
    for name, path in paths.items():
        try:
            sources[name] = path.read_bytes().decode("utf-8")
        except (OSError, ValueError) as error:
            raise ChatTemplateError(f"{path}: no text: {error}") from None
    for name in (FILES[1], _CONFIG):
        sources = sources or _named(_read_object(folder / name).get("chat_template"), folder / name)
    if not sources:
        return None
    config = _read_object(folder / _CONFIG)
    named = {f"{which}_token": _content(config.get(f"{which}_token")) for which in _NAMED}
    special = {name: text for name, text in named.items() if text}
    decoder = config.get("added_tokens_decoder")
    # tokenizer.json, which may have tens of megabytes, is only read where the config does not say it
    found = (
        decoder.values()
        if isinstance(decoder, dict) and decoder
        else _read_object(folder / "tokenizer.json").get("added_tokens")
    )
    added = list(found) if isinstance(found, Iterable) else []
    markers = {text: bool(entry.get("special")) for entry in added if isinstance(entry, dict) and (text := _content(entry))}
    return ChatTemplate(sources, special, {**markers, **dict.fromkeys(special.values(), True)}, folder)


def _named(found: Any, path: Path) -> dict[str, str]:
    if found is None:
        return {}
    if isinstance(found, str):
        return {"default": found}
    entries = found if isinstance(found, list) else []
    templates = {entry.get("name"): entry.get("template") for entry in entries if isinstance(entry, dict)}
    if not templates or not all(isinstance(text, str) for pair in templates.items() for text in pair):
        raise ChatTemplateError(f"{path}: chat_template must be a text, or a list of objects with name and template")
    return templates


def _read_object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ChatTemplateError(f"{path}: no JSON: {error}") from None
    return found if isinstance(found, dict) else {}


def _content(token: Any) -> str | None:
    """A special token is named by its text, or by an object that holds it."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None


def _longest_first(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({text for text in texts if text}, key=lambda text: (-len(text), text)))


def _any_of(texts: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, texts)) or "(?!)")


def _load(source: str) -> Callable[[Mapping[str, Any]], str]:
    if len(source) > _LONGEST:
        raise ChatTemplateError(f"the chat template has {len(source)} characters; {_LONGEST} are allowed")
    from .template_sandbox import Sandbox  # Jinja is imported when the first template is rendered

    return Sandbox().load(source)


def _plain(value: Any) -> Any:
    """A copy of plain data; a template gets to see nothing else."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [*map(_plain, value)] if isinstance(value, list) else tuple(map(_plain, value))
    raise ChatTemplateError(f"messages, tools and variables are plain JSON data, received a {type(value).__name__}")


def _with_reasoning(message: dict[str, Any]) -> dict[str, Any]:
    """Reasoning goes by several names; templates look for the first two."""
    found = next((message[name] for name in _REASONING if message.get(name) is not None), None)
    return message if found is None else {"thinking": found, **message, _REASONING[0]: found}


def _unicode(text: str) -> str:
    """Half characters become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _id(tokenizer: Tokenizer, marker: str) -> int | None:
    try:
        return tokenizer.id_of(marker)
    except KeyError:
        return None
