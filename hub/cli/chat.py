"""`ferrule chat`: a conversation with a model in the terminal."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ...models import LanguageModel
from ..chat import Conversation, Reply
from ..loading import from_preset
from .console import OUR_ERRORS, err, fail, one_line_errors, out, print_json, printable, say_error
from .options import given, number, whole_number

_HELP = """/system TEXT   give the model other instructions; without a text, none
/reset         forget what was said
/save FILE     write the conversation to a JSON file
/help          show this
/exit          leave, as Ctrl-D does
Ctrl-C ends an answer. A line that begins with // is said with one /."""


class CommandError(Exception):
    """A command of the conversation that cannot be carried out; the message is one line."""


def _share(text: str | float) -> float:
    try:
        value = number(0, 1)(text)
    except typer.BadParameter:
        value = 0.0
    if value == 0:
        raise typer.BadParameter(f"a number above 0, up to 1, is expected, received {text!r}")
    return value


def _seed(text: str | int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 64:
        raise typer.BadParameter(f"a whole number from 0 is expected, received {text!r}")
    return value


def chat(
    preset: Annotated[
        str, typer.Argument(help="A preset name (see `ferrule presets`) or a path.", callback=given)
    ] = "needle_3",
    backend: Annotated[str, typer.Option("--backend", "-b", help="numpy, jax, torch or tensorflow.", callback=given)] = "numpy",
    system: Annotated[str, typer.Option(help="Instructions for the model.")] = "",
    max_tokens: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Most tokens of one answer.")] = 512,
    temperature: Annotated[
        float, typer.Option(parser=number(0), metavar="X", help="0 takes the likeliest token each time.")
    ] = 0.0,
    top_k: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="Draw from the N likeliest tokens only.")
    ] = None,
    top_p: Annotated[
        float, typer.Option(parser=_share, metavar="X", help="Draw from the likeliest tokens that together are this likely.")
    ] = 1.0,
    min_p: Annotated[
        float, typer.Option(parser=number(0, 1), metavar="X", help="Draw from tokens this likely beside the likeliest.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(parser=_seed, metavar="N", help="The same seed draws the same tokens.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document for each answer instead.")] = False,
) -> None:
    """Talk with a model. Say /help for what can be said besides.

    What is piped in is one turn a line; the first line that cannot be answered ends it with status 1.
    """
    with one_line_errors():
        with err.status(f"loading {preset} on {backend}", spinner="dots") if err.is_terminal else contextlib.nullcontext():
            model = from_preset(preset, backend)
        if not isinstance(model, LanguageModel):
            fail(f"{preset} is an embedding model, which answers nothing; choose another preset")
        sampling = {"temperature": temperature, "top_k": top_k or 0, "top_p": top_p, "min_p": min_p, "seed": seed}
        talk = Conversation(model, system.strip(), max_tokens=max_tokens, **sampling)
        _Terminal(talk, preset, as_json).run()


class _Terminal:
    """The two ends of a conversation: lines in, answers out."""

    def __init__(self, talk: Conversation, preset: str, as_json: bool):
        self._talk, self._preset, self._as_json = talk, preset, as_json
        self._asks = sys.stdin is not None and sys.stdin.isatty()
        self._saved: set[Path] = set()
        self._commands: dict[str, Callable[[str], None]] = {
            "/system": self._system,
            "/reset": self._reset,
            "/save": self._save,
            "/help": self._help,
        }

    def run(self) -> None:
        if self._asks:
            with contextlib.suppress(ImportError):  # not built into every Python; lines are edited with it where it is
                import readline  # noqa: F401
            self._note(f"{self._preset}: /help shows what can be said besides, /exit or Ctrl-D leaves")
        for line in self._lines():
            line = line.strip()
            if line.split(maxsplit=1)[:1] == ["/exit"]:
                break
            try:
                if line.startswith("/") and not line.startswith("//"):
                    self._command(line)
                elif line:
                    self._say(line.removeprefix("/") if line.startswith("//") else line)
            except (CommandError, *OUR_ERRORS) as error:
                if not self._asks:
                    fail(str(error))
                say_error(str(error))
            except KeyboardInterrupt:
                if not self._asks:
                    raise
                self._note("\n(interrupted: what you said last does not count)")

    def _lines(self) -> Iterator[str]:
        if not self._asks:
            if hasattr(sys.stdin, "reconfigure"):
                sys.stdin.reconfigure(errors="replace")
            yield from sys.stdin or ()
            return
        while True:
            try:
                yield self._ask()
            except EOFError:
                self._note("")
                return
            except KeyboardInterrupt:
                self._note("\n/exit or Ctrl-D leaves")

    def _ask(self) -> str:
        if not self._as_json and sys.stdout.isatty():
            return input("> ")
        err.print("> ", end="")
        return input()

    def _say(self, text: str) -> None:
        reply = self._talk.say(text)
        if reply.dropped:
            turns = f"{reply.dropped} oldest turns do" if reply.dropped > 1 else "oldest turn does"
            self._note(f"the {turns} not fit the model's context any more and left it")
        with self._interruptible(reply):
            for piece in reply:
                if not self._as_json:
                    out.print(Text(printable(piece)), end="")
        if self._as_json:
            print_json(_document(reply))
            return
        out.print()
        if reply.stop_reason != "stop" and self._asks:
            why = "interrupted" if reply.stop_reason == "interrupted" else "cut off: --max-tokens, or the model's context"
            self._note(f"({why})")

    @contextlib.contextmanager
    def _interruptible(self, reply: Reply) -> Iterator[None]:
        """Ctrl-C ends the answer at its next token; once more, or where nobody is there, it ends at once."""

        def end(*_: object) -> None:
            signal.signal(signal.SIGINT, before)
            reply.interrupt()

        if not self._asks:
            yield
            return
        before = signal.signal(signal.SIGINT, end)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    # -- commands ------------------------------------------------------------------------------------------------------

    def _command(self, line: str) -> None:
        name, *rest = line.split(maxsplit=1)
        if name not in self._commands:
            raise CommandError(f"there is no command {name}; there are {', '.join(self._commands)} and /exit")
        self._commands[name](*rest or ("",))

    def _system(self, text: str) -> None:
        self._talk.system = text
        self._note("the model has other instructions" if text else "the model has no instructions")

    def _reset(self, _: str) -> None:
        self._talk.reset()
        self._note("what was said is forgotten")

    def _help(self, _: str) -> None:
        self._note(_HELP)

    def _save(self, name: str) -> None:
        if not name:
            raise CommandError("/save needs a file: /save talk.json")
        document = {"preset": self._preset, "messages": self._talk.messages}
        try:
            path = Path(name).expanduser().absolute()
            if path not in self._saved and path.exists():
                raise CommandError(f"{path} exists already; name another file")
            _write(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: ~nobody; ValueError: a zero byte
            raise CommandError(f"{name} cannot be written: {getattr(error, 'strerror', None) or error}") from None
        self._saved.add(path)
        self._note(f"saved to {path}")

    def _note(self, text: str) -> None:
        """What is no answer goes to standard error, so that answers can be piped on."""
        err.print(Text(printable(text), "dim"))


def _document(reply: Reply) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": reply.text,
        "tokens": len(reply.ids),
        "seconds": round(reply.seconds, 4),
        "stop_reason": reply.stop_reason,
        "prompt_tokens": reply.prompt_tokens,
        "reused_tokens": reply.reused_tokens,
        "dropped_turns": reply.dropped,
    }


def _write(path: Path, text: str) -> None:
    """The whole file or none of it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
