"""A server on this machine that answers as the Hugging Face hub does, and misbehaves where a test asks for it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import huggingface_hub.constants
import pytest
from ferrule.core import initialize
from ferrule.hub import fetch
from ferrule.models.families import build
from ferrule.models.families.weights import saved_weights
from ferrule.models.safetensors import write_safetensors
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

REPO = "org/tiny"
Fault = Callable[["Handler", bytes], None]


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def is_large(name: str) -> bool:
    return name.endswith(".safetensors")


@dataclass
class Hub:
    """What the server has, how it misbehaves, and what it was asked.

    Attributes:
        commits: commit -> files by name.
        refs: branch or tag -> commit.
        faults: file name -> what is done instead of sending the body, one for each answer; then it behaves.
        token: without which a private or gated repository is closed.
        listed: file name -> what the listing says of it, where that is not the truth.
        log: (method, path, headers by name in lower case) of each request.
    """

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    listed: dict[str, dict] = field(default_factory=dict)
    private: bool = False
    gated: bool = False
    token: str = "hf_right"
    resumes: bool = True
    status: int | None = None
    cdn: str | None = None
    log: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    server: ThreadingHTTPServer | None = None

    def publish(self, files: dict[str, bytes], branch: str = "main") -> str:
        commit = hashlib.sha1(json.dumps({n: git_sha1(c) for n, c in files.items()}, sort_keys=True).encode()).hexdigest()
        self.commits[commit] = files
        self.refs[branch] = commit
        return commit

    def asked(self, part: str) -> list[tuple[str, str, dict[str, str]]]:
        return [entry for entry in self.log if part in entry[1]]

    def ranges(self, name: str) -> list[str | None]:
        """The Range header of each request for a file."""
        return [headers.get("range") for method, path, headers in self.log if method == "GET" and path.endswith(f"/{name}")]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_):
        pass

    def answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def json(self, value: object) -> None:
        self.answer(200, json.dumps(value).encode(), Content_Type="application/json")

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        hub.log.append((self.command, path, {name.lower(): value for name, value in self.headers.items()}))
        allowed = self.headers.get("Authorization") == f"Bearer {hub.token}"
        if hub.status is not None:
            return self.answer(hub.status)
        if cdn := re.fullmatch(r"/cdn/(\w+)/(.+)", path):
            return self.send_file(cdn[2], hub.commits[cdn[1]][cdn[2]])
        everything = "recursive=true" in urlsplit(self.path).query.lower()
        api = re.fullmatch(rf"/api/models/{REPO}/(revision|tree)/(.+)", path)
        file = re.fullmatch(rf"/{REPO}/resolve/([^/]+)/(.+)", path)
        if (not api and not file) or (hub.private and not allowed):
            return self.answer(404 if allowed else 401, X_Error_Code="RepoNotFound")
        if file and hub.gated and not allowed:
            code = 403 if self.headers.get("Authorization") else 401
            return self.answer(code, X_Error_Code="GatedRepo", X_Error_Message="Access to model org/tiny is restricted.")
        revision = api[2] if api else file[1]
        commit = hub.refs.get(revision, revision)
        if commit not in hub.commits:
            return self.answer(404, X_Error_Code="RevisionNotFound")
        files = hub.commits[commit]
        if api:
            about = {"id": REPO, "sha": commit, "siblings": []}
            self.json(about if api[1] == "revision" else self.listing(files, everything))
        elif file[2] not in files:
            self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
        elif hub.cdn and is_large(file[2]):
            self.answer(302, Location=f"{hub.cdn}/cdn/{commit}/{file[2]}", X_Repo_Commit=commit)
        else:
            self.send_file(file[2], files[file[2]], commit)

    def listing(self, files: dict[str, bytes], everything: bool) -> list[dict]:
        entries = []
        for name, content in files.items():
            if "/" in name and not everything:
                continue
            entry = {"type": "file", "path": name, "size": len(content), "oid": git_sha1(content)}
            if is_large(name):
                entry["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 134}
            entries.append({**entry, **self.hub.listed.get(name, {})})
        folders = sorted({name.partition("/")[0] for name in files if "/" in name} | {"onnx"})
        return [*entries, *({"type": "directory", "path": folder, "oid": "0" * 40} for folder in folders)]

    def send_file(self, name: str, content: bytes, commit: str = "") -> None:
        start, status = 0, 200
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.hub.resumes:
            start, status = int(asked[1]), 206
        digest = sha256(content) if is_large(name) else git_sha1(content)
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", f'"{digest}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("X-Linked-ETag", f'"{digest}"')
        faults = self.hub.faults.get(name, [])
        fault = faults.pop(0) if faults and self.command == "GET" else whole
        fault(self, content[start:])

    def do_POST(self):
        hub, path = self.hub, urlsplit(self.path).path
        body = self.rfile.read(int(self.headers["Content-Length"]))
        hub.log.append(("POST", path, {name.lower(): value for name, value in self.headers.items()}))
        if path == "/api/validate-yaml":
            return self.json({"errors": [], "warnings": []})
        if self.headers.get("Authorization") != f"Bearer {hub.token}":
            return self.answer(403, X_Error_Message="you may not")
        if path == "/api/repos/create":
            if "main" not in hub.refs:
                hub.publish({})
            return self.json({"url": f"https://huggingface.co/{REPO}", "name": REPO})
        if path == f"/api/models/{REPO}/preupload/main":
            files = [f["path"] for f in json.loads(body)["files"]]
            return self.json({"files": [{"path": f, "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        assert path == f"/api/models/{REPO}/commit/main"
        files = dict(hub.commits[hub.refs["main"]])
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                files.pop(value["path"])
        commit = hub.publish(files)
        self.json({"commitUrl": f"https://huggingface.co/{REPO}/commit/{commit}", "commitOid": commit})


def whole(handler: Handler, body: bytes) -> None:
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


def dropped(after: float) -> Fault:
    """The connection ends after that part of the promised body."""

    def send(handler: Handler, body: bytes) -> None:
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: int(len(body) * after)])
        handler.wfile.flush()
        handler.close_connection = True

    return send


def truncated(handler: Handler, body: bytes) -> None:
    """A body that is too short, and whose header says that this is all."""
    whole(handler, body[: len(body) // 2])


def prolonged(handler: Handler, body: bytes) -> None:
    whole(handler, body + b"more")


def tampered(handler: Handler, body: bytes) -> None:
    whole(handler, bytes([body[0] ^ 1]) + body[1:])


def slow(pause: float, pieces: int) -> Fault:
    def send(handler: Handler, body: bytes) -> None:
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        step = -(-len(body) // pieces)
        for start in range(0, len(body), step):
            time.sleep(pause)
            try:
                handler.wfile.write(body[start : start + step])
            except OSError:  # the other side has given up
                handler.close_connection = True
                return

    return send


def failing(status: int) -> Fault:
    def send(handler: Handler, body: bytes) -> None:
        # Headers of a good answer are waiting to be sent
        handler._headers_buffer.clear()
        handler.answer(status)

    return send


def serve(hub: Hub) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHubsHandler", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


@pytest.fixture
def faults() -> SimpleNamespace:
    """What a server may do instead of sending a file; see `Hub.faults`."""
    return SimpleNamespace(
        whole=whole, dropped=dropped, truncated=truncated, prolonged=prolonged, tampered=tampered, slow=slow, failing=failing
    )


@pytest.fixture
def second_server(hub: Hub) -> Iterator[str]:
    """The address of another host, to which the hub may send those who ask for large files."""
    server = serve(hub)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of a Llama of random weights, by name."""
    folder = tmp_path_factory.mktemp("tiny_llama")
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": 256,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "tokenizer_config.json").write_text("{}")
    vocabulary = {text: i for i, text in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    write_safetensors(folder / "model.safetensors", list(saved_weights(initialize(build(config), seed=0))), {"format": "pt"})
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """The server; caches are empty, nobody is logged in, and a second attempt comes at once."""
    with contextlib.suppress(ImportError):  # compiled kernels stay where they are: this looks for them once
        importlib.import_module("ferrule.core.backends.numpy_compiled.jit")
    hub = Hub()
    hub.server = serve(hub)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{hub.server.server_port}")
    monkeypatch.setenv("FERRULE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "library"))
    monkeypatch.setattr(fetch, "PAUSE_SECONDS", 0.0)
    yield hub
    hub.server.shutdown()
    hub.server.server_close()


CHAT_TEMPLATE = """{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


@pytest.fixture(scope="session")
def chat_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama of random weights with a chat template, as transformers saves them; its turns end with `<|im_end|>`."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("chat") / "tiny"
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({text: i for i, text in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    library = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")
    library.chat_template = CHAT_TEMPLATE
    library.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(library),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        bos_token_id=None,
        eos_token_id=library.eos_token_id,
    )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder
