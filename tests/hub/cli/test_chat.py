"""`ferrule chat`, piped and in a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time

import pytest
from ferrule.hub import from_preset
from ferrule.hub.chat import Conversation
from ferrule.hub.cli.app import app
from typer.testing import CliRunner

COMMAND = [sys.executable, "-c", "from ferrule.hub.cli import main; main()", "chat"]


@pytest.fixture
def chat(chat_folder, folder):
    """``chat("hi\\n", "--json")``: what comes of lines that are piped in."""

    def call(lines: str | bytes, *options: object):
        arguments = ["chat", str(chat_folder), "--max-tokens", "8", *map(str, options)]
        return CliRunner().invoke(app, arguments, input=lines, catch_exceptions=False)

    return call


def test_one_line_is_one_turn(chat, chat_folder):
    result = chat("hi\n\nand then?\n", "--system", "Be brief.")
    talk = Conversation(from_preset(chat_folder), "Be brief.", max_tokens=8)
    answers = ["".join(talk.say(text)) for text in ("hi", "and then?")]
    assert (result.exit_code, result.stderr) == (0, "")
    shown = "".join(f"{answer}\n" for answer in answers)
    assert result.stdout == "".join(c if c == "\n" or c.isprintable() or ord(c) > 0x9F else f"\\u{ord(c):04x}" for c in shown)


def test_one_document_for_each_answer(chat):
    result = chat("hi\nand then?\n", "--json")
    first, second = map(json.loads, result.stdout.splitlines())
    assert result.stdout.isascii()
    assert (first["role"], first["tokens"], first["stop_reason"]) == ("assistant", 8, "length")
    assert first["content"]
    assert first["seconds"] > 0
    # The last token of an answer is read with the next turn
    assert second["reused_tokens"] == first["prompt_tokens"] + 7


def test_sampling(chat):
    hot = ["--temperature", "1.5", "--top-k", "50", "--top-p", "0.9", "--min-p", "0.01"]
    outputs = [chat("hi\n", *hot, "--seed", seed).stdout for seed in (1, 1, 2)]
    assert outputs[0] == outputs[1] != outputs[2]


def test_commands(chat, folder):
    lines = "/system Be brief.\nhi\n/save talk.json\n/reset\n/help\n//x\n/save talk.json\n/exit\nnever said\n"
    result = chat(lines, "--json")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 2
    assert "/save FILE" in result.stderr
    saved = json.loads((folder / "talk.json").read_text())
    assert [(message["role"], message["content"]) for message in saved["messages"]][:2] == [
        ("system", "Be brief."),
        ("user", "/x"),
    ]
    assert [path.name for path in folder.iterdir() if "talk" in path.name] == ["talk.json"]


def test_commands_and_what_follows_them_may_be_apart_by_any_space(chat, folder):
    assert chat("/system\tBe brief.\n/save\ttalk.json\n/save \t other.json\n").exit_code == 0
    for name in ("talk.json", "other.json"):
        assert json.loads((folder / name).read_text())["messages"] == [{"role": "system", "content": "Be brief."}]


def test_a_saved_conversation_has_instructions_where_they_were_given(chat, folder):
    lines = "/system A\nhi\n/system B\n/save one.json\nand then?\n/system\nwell\n/save two.json\n"
    assert chat(lines).exit_code == 0
    one, two = (json.loads((folder / name).read_text())["messages"] for name in ("one.json", "two.json"))
    said = [(m["role"], m["content"]) for m in two if m["role"] != "assistant"]
    assert said == [
        *(("system", "A"), ("user", "hi"), ("system", "B"), ("user", "and then?")),
        *(("system", ""), ("user", "well")),
    ]
    assert one == two[:4]


def test_a_full_context(chat, chat_folder, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    for path in chat_folder.iterdir():
        (small / path.name).write_bytes(path.read_bytes())
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 96}))
    runner = CliRunner()
    result = runner.invoke(app, ["chat", str(small), "--max-tokens", "8", "--json"], input="hello\n" * 4)
    assert result.exit_code == 0
    assert sum(json.loads(line)["dropped_turns"] for line in result.stdout.splitlines()) > 0
    assert "not fit the model's context any more and left it" in result.stderr
    result = runner.invoke(app, ["chat", str(small)], input="hello" * 40 + "\nhi\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.endswith("do not fit the model's context of 96; say it in fewer words\n")


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        ("/nope\nhi\n", "there is no command /nope; there are /system, /reset, /save, /help and /exit"),
        ("/save\n", "/save needs a file: /save talk.json"),
        ("/save tools.py\n", "tools.py exists already; name another file"),
        ("/save no/such/folder.json\n", "no/such/folder.json cannot be written: No such file or directory"),
        ("/save ~nobody-at-all/x\n", "~nobody-at-all/x cannot be written: Could not determine home directory."),
        ("/save a\0b\n", "a\\u0000b cannot be written: embedded null byte"),
        (f"/save {'x' * 300}\n", f"{'x' * 300} cannot be written: File name too long"),
    ],
)
def test_a_line_that_cannot_be_carried_out_ends_a_pipe(chat, lines, line):
    result = chat(lines)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.endswith(f"{line}\n")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["nope"], 1, "nope"),
        (["--temperature", "-1"], 2, "a number from 0 is expected, received '-1'"),
        (["--top-p", "0"], 2, "a number above 0, up to 1, is expected, received '0'"),
        (["--top-k", "0"], 2, "a whole number from 1 is expected, received '0'"),
        (["--max-tokens", "x"], 2, "a whole number from 1 is expected, received 'x'"),
        (["--seed", "-1"], 2, "a whole number from 0 is expected, received '-1'"),
        (["--backend", "abacus"], 1, "abacus"),
    ],
)
def test_bad_options(refused, arguments, status, line):
    assert line in refused("chat", *arguments, status=status)


def test_an_embedding_model_answers_nothing(refused, embedding_folder):
    assert "is an embedding model, which answers nothing" in refused("chat", embedding_folder)


def test_a_template_that_harms(chat_folder, tmp_path, refused):
    for path in chat_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "chat_template.jinja").write_text(
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"
    )
    result = CliRunner().invoke(app, ["chat", str(tmp_path)], input="hi\n")
    assert (result.exit_code, result.stdout) == (1, "")
    line = " ".join(result.stderr.split())
    assert line.startswith(f"error: {tmp_path}: the chat template takes")
    assert line.endswith("does it loop for ever?; mend the template, or put one of your own there, as chat_template.jinja")


def piped(lines: bytes, *arguments: str) -> tuple[int, bytes, bytes]:
    done = subprocess.run([*COMMAND, *arguments], input=lines, capture_output=True, check=False, timeout=120)
    return done.returncode, done.stdout, done.stderr


def test_a_process(chat_folder):
    status, output, errors = piped(b"caf\xe9\nhi\n", str(chat_folder), "--json", "--max-tokens", "4")
    assert (status, errors) == (0, b"")
    assert len(output.splitlines()) == 2


def _at_a_terminal() -> None:
    """Standard input becomes the terminal that Ctrl-C is typed at, also where the tests run in the background."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A process at the other end of a terminal."""

    def __init__(self, *arguments: str):
        import pty

        self.master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "dumb"}
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
            preexec_fn=_at_a_terminal,
        )
        os.close(slave)
        self.seen = ""

    def until(self, text: str, seconds: float = 180) -> str:
        """What is shown up to a text, from where the last one ended."""
        ends = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0, ends - time.monotonic()))
            assert ready, f"no {text!r} in {self.seen!r}"
            try:
                self.seen += os.read(self.master, 4096).decode(errors="replace")
            except OSError:  # the other end has gone
                assert text in self.seen, f"no {text!r} in {self.seen!r}"
        found, _, self.seen = self.seen.partition(text)
        return found + text

    def press(self, key: str, text: str) -> None:
        """A key until a text is shown: Python loses a Ctrl-C that comes just before it begins to wait for a line."""
        for _ in range(12):
            self.type(key)
            with contextlib.suppress(AssertionError):
                self.until(text, 15)
                return
        pytest.fail(f"no {text!r} in {self.seen!r}")

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_in_a_terminal(chat_folder):
    terminal = Terminal(str(chat_folder), "--max-tokens", "1500")
    terminal.until("/exit or Ctrl-D leaves")
    terminal.until("> ")
    terminal.press("\x03", "/exit or Ctrl-D leaves")
    terminal.until("> ")
    terminal.type("hi\n")
    terminal.until("hi\r\n")
    while len(terminal.seen) < 20:  # the answer has begun
        terminal.seen += os.read(terminal.master, 4096).decode(errors="replace")
    terminal.type("\x03")
    terminal.until("(interrupted)")
    terminal.until("> ")
    terminal.type("/nope\n")
    terminal.until("error: there is no command /nope")
    terminal.until("> ")
    terminal.type("\x04")
    assert terminal.process.wait(30) == 0
    os.close(terminal.master)
