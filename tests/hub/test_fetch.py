"""`hf://` addresses against a server on this machine that behaves, or misbehaves, as the Hugging Face hub does."""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from ferrule.hub import FetchError, PresetError, from_preset
from ferrule.hub import fetch as fetching
from ferrule.hub.fetch import fetch
from ferrule.models.errors import ConfigError, WeightsError
from huggingface_hub import constants, snapshot_download
from rich.console import Console

REPO = "org/tiny"
WEIGHTS = "model.safetensors"
PARTS = {WEIGHTS: None, "model-1.safetensors": b"one"}


@pytest.fixture
def files(hub, tiny_llama):
    """The published files, and two kinds that are not fetched."""
    files = {**tiny_llama, "pytorch_model.bin": b"\x80\x04.", "README.md": b"# Tiny"}
    hub.publish(files)
    return files


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache/hub/org--tiny"


def refused(*args, **options) -> str:
    with pytest.raises(FetchError) as caught:
        fetch(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sharded(files: dict[str, bytes]) -> dict[str, bytes]:
    """The same repository with an index, and the weights a second time in a format of its own."""
    index = {"metadata": {}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    shards = {"model-1.safetensors": b"one", "model-2.safetensors": b"two", "consolidated.safetensors": b"both"}
    small = {name: content for name, content in files.items() if name != WEIGHTS}
    return {**small, **shards, "model.safetensors.index.json": json.dumps(index).encode()}


def test_a_repository_is_loaded(hub, files, tiny_llama, tmp_path):
    local = tmp_path / "local"
    local.mkdir()
    for name, content in tiny_llama.items():
        (local / name).write_bytes(content)
    model = from_preset("hf://org/tiny")
    assert model.name == "org/tiny"
    ids = np.array([[1, 2, 3]], np.int32)
    np.testing.assert_array_equal(model.logits(ids), from_preset(local).logits(ids))


def test_what_is_fetched(hub, files, tiny_llama, cache):
    folder = fetch(REPO)
    assert folder == cache / "snapshots" / hub.refs["main"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == tiny_llama
    assert not hub.asked("pytorch_model.bin")
    assert not hub.asked("README.md")
    assert len(list((cache / "blobs").iterdir())) == len({digest(content) for content in tiny_llama.values()})
    assert sorted(path.name for path in (cache / "snapshots").iterdir()) == [hub.refs["main"]]


def test_named_chat_templates(hub, tiny_llama, tmp_path):
    """They are fetched where the repository has them, and taken as transformers takes them."""
    transformers = pytest.importorskip("transformers")
    templates = {f"additional_chat_templates/{name}.jinja": f"{name}: {{{{ tools }}}}".encode() for name in ("tool_use", "rag")}
    others = {"additional_chat_templates/readme.md": b"x", "additional_chat_templates/old/a.jinja": b"x", "x/b.jinja": b"x"}
    hub.publish({**tiny_llama, "chat_template.jinja": b"default", **templates, **others})
    folder = fetch(REPO)
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {**tiny_llama, "chat_template.jinja": b"default", **templates}
    ours = from_preset("hf://org/tiny").chat_template
    library = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    assert ours.sources == library.chat_template
    messages, tool = [{"role": "user", "content": "hi"}], {"type": "function", "function": {"name": "f", "parameters": {}}}
    for tools in (None, [], [tool]):
        expected = library.apply_chat_template(messages, tools=tools, tokenize=False)
        assert ours.render(messages, tools=tools) == expected
        assert expected.startswith("default" if tools is None else "tool_use")


def test_shards_are_those_of_the_index(hub, tiny_llama):
    hub.publish(sharded(tiny_llama))
    names = {path.name for path in fetch(REPO).iterdir()}
    assert {"model-1.safetensors", "model-2.safetensors", "model.safetensors.index.json"} < names
    assert "consolidated.safetensors" not in names


def test_the_whole_file_goes_before_shards(hub, tiny_llama):
    """As in transformers."""
    hub.publish(sharded(tiny_llama) | {WEIGHTS: tiny_llama[WEIGHTS]})
    assert [path.name for path in fetch(REPO).glob("*.safetensors")] == [WEIGHTS]
    assert from_preset("hf://org/tiny").name == "org/tiny"


def test_revisions(hub, files, tiny_llama, cache):
    first = hub.refs["main"]
    second = hub.publish({**tiny_llama, "chat_template.jinja": b"new"})
    hub.refs["refs/pr/1"] = first
    assert fetch(REPO).name == second
    hub.log.clear()
    assert (fetch(REPO, first) / "chat_template.jinja").read_bytes() == tiny_llama["chat_template.jinja"]
    assert [path.rpartition("/")[2] for _, path, _ in hub.asked("/resolve/")] == ["chat_template.jinja"], "the rest is the same"
    assert fetch(REPO, "refs/pr/1").name == first
    assert "has no revision 'v9'; https://huggingface.co/org/tiny/tree/main lists" in refused(REPO, "v9")
    assert from_preset(f"hf://org/tiny@{first}").name == f"org/tiny@{first}"


def test_a_commit_in_the_cache_needs_no_hub(hub, files):
    commit = hub.refs["main"]
    fetch(REPO)
    hub.log.clear()
    assert fetch(REPO, commit).name == commit
    assert hub.log == []


def test_a_branch_is_looked_up_and_nothing_fetched_twice(hub, files):
    fetch(REPO)
    hub.log.clear()
    fetch(REPO)
    assert hub.asked("/api/")
    assert not hub.asked("/resolve/")


# Broken transfers


@pytest.mark.parametrize("times", [1, 4, 9])
def test_dropped_connections_are_resumed(hub, files, faults, times):
    """As long as something new arrives, the number of attempts does not matter."""
    hub.faults[WEIGHTS] = [faults.dropped(0.25)] * times
    assert (fetch(REPO) / WEIGHTS).read_bytes() == files[WEIGHTS]
    asked = hub.ranges(WEIGHTS)
    assert len(asked) == times + 1
    assert asked[:2] == [None, f"bytes={len(files[WEIGHTS]) // 4}-"]


@pytest.mark.parametrize("fault", ["truncated", "dropped_at_once"])
def test_bodies_that_end_too_soon(hub, files, faults, fault):
    hub.faults[WEIGHTS] = [faults.truncated if fault == "truncated" else faults.dropped(0)] * 3
    assert (fetch(REPO) / WEIGHTS).read_bytes() == files[WEIGHTS]


def test_it_gives_up_and_goes_on_in_the_next_run(hub, files, faults, cache):
    hub.faults[WEIGHTS] = [faults.dropped(0.5)] + [faults.dropped(0)] * 5
    message = refused(REPO)
    assert message.startswith("hf://org/tiny: model.safetensors cannot be fetched (RemoteProtocolError: ")
    assert message.endswith("fetch again to go on")
    assert list((cache / "snapshots").iterdir()) == []
    half = len(files[WEIGHTS]) // 2
    assert (cache / "blobs" / f"{digest(files[WEIGHTS])}.partial").stat().st_size == half
    hub.log.clear()
    hub.faults.clear()
    assert (fetch(REPO) / WEIGHTS).read_bytes() == files[WEIGHTS]
    assert hub.ranges(WEIGHTS) == [f"bytes={half}-"]
    assert not hub.asked("config.json")


def test_a_killed_process_is_resumed(hub, files, faults, cache):
    hub.faults[WEIGHTS] = [faults.slow(0.2, 50)]
    process = subprocess.Popen([sys.executable, "-c", f"from ferrule.hub.fetch import fetch; fetch({REPO!r})"])
    partial = cache / "blobs" / f"{digest(files[WEIGHTS])}.partial"
    while process.poll() is None and not (partial.exists() and partial.stat().st_size):
        threading.Event().wait(0.01)
    process.kill()
    process.wait()
    there = partial.stat().st_size
    assert 0 < there < len(files[WEIGHTS])
    hub.log.clear()
    assert (fetch(REPO) / WEIGHTS).read_bytes() == files[WEIGHTS]
    assert hub.ranges(WEIGHTS) == [f"bytes={there}-"]
    assert [path.name for path in (cache / "snapshots").iterdir()] == [hub.refs["main"]]


def test_a_server_that_does_not_resume(hub, files, faults):
    hub.resumes = False
    hub.faults[WEIGHTS] = [faults.dropped(0.5)]
    assert (fetch(REPO) / WEIGHTS).read_bytes() == files[WEIGHTS]
    assert len(hub.ranges(WEIGHTS)) == 2


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble(hub, files, faults, status):
    hub.faults[WEIGHTS] = [faults.failing(status)] * 4
    fetch(REPO)
    shutil.rmtree(os.environ["FERRULE_CACHE"])
    hub.faults[WEIGHTS] = [faults.failing(status)] * 5
    assert f"(the hub answers {status})" in refused(REPO)


def test_a_slow_link(hub, files, faults, monkeypatch):
    """Slow is not stalled: what counts is the time without a byte."""
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 2)
    hub.faults[WEIGHTS] = [faults.slow(0.25, 12)]
    fetch(REPO)
    assert hub.ranges(WEIGHTS) == [None]


def test_a_stalled_link(hub, files, faults, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    hub.faults[WEIGHTS] = [faults.slow(3, 2)]
    assert (fetch(REPO) / WEIGHTS).read_bytes() == files[WEIGHTS]
    assert len(hub.ranges(WEIGHTS)) == 2


# Wrong content


@pytest.mark.parametrize(("name", "kind"), [(WEIGHTS, "SHA-256"), ("config.json", "git SHA-1")])
def test_a_wrong_hash_is_refused(hub, files, faults, cache, name, kind):
    hub.faults[name] = [faults.tampered] * 9
    message = refused(REPO)
    assert f"{name} was fetched, but is not the file that the hub lists" in message
    assert kind in message
    assert hub.ranges(name) == [None]
    assert not [path for path in (cache / "blobs").iterdir() if path.name.endswith(".partial")]
    assert list((cache / "snapshots").iterdir()) == []


def test_a_damaged_beginning_is_fetched_again(hub, files, faults, cache):
    partial = cache / "blobs" / f"{digest(files[WEIGHTS])}.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"x" * 100)
    assert (fetch(REPO) / WEIGHTS).read_bytes() == files[WEIGHTS]
    assert hub.ranges(WEIGHTS) == ["bytes=100-", None]


def test_more_than_was_listed(hub, files, faults):
    hub.faults[WEIGHTS] = [faults.prolonged]
    assert f"model.safetensors is longer than the {len(files[WEIGHTS])} bytes that the hub lists" in refused(REPO)


def test_a_partial_file_that_is_too_long(hub, files, cache):
    partial = cache / "blobs" / f"{digest(files[WEIGHTS])}.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(files[WEIGHTS] + b"more")
    assert (fetch(REPO) / WEIGHTS).read_bytes() == files[WEIGHTS]


@pytest.mark.parametrize("oid", ["../../evil", "", "x" * 40])
def test_a_damaged_listing(hub, files, oid):
    hub.listed["config.json"] = {"oid": oid}
    assert "listing is damaged: no checksum of config.json" in refused(REPO)


# What there is to fetch


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config.json": None}, "so it is no Hugging Face model folder; name another"),
        ({WEIGHTS: None}, "holds no .safetensors file; pytorch_model.bin is a pickle, which can run any code"),
        ({WEIGHTS: None, "pytorch_model.bin": None}, "holds no .safetensors file; name a repository that has the weights as"),
        (PARTS | {"model.safetensors.index.json": b"[]"}, "is no index of safetensors files"),
        (
            PARTS | {"model.safetensors.index.json": b'{"weight_map": {"a": "../x.safetensors"}}'},
            "names '../x.safetensors', which is no safetensors file of the repository",
        ),
        (
            PARTS | {"model.safetensors.index.json": b'{"weight_map": {"a": "pytorch_model.bin"}}'},
            "names 'pytorch_model.bin', which",
        ),
    ],
)
def test_repositories_without_a_model(hub, files, change, message):
    hub.publish({name: content for name, content in {**files, **change}.items() if content is not None})
    assert message in refused(REPO)
    assert hub.ranges(WEIGHTS) == hub.ranges("pytorch_model.bin") == []


def test_what_cannot_be_run_is_refused_before_its_weights(hub, files):
    hub.publish({**files, "config.json": b'{"architectures": ["FooForCausalLM"]}'})
    with pytest.raises(ConfigError, match=r"config.json of hf://org/tiny: FooForCausalLM is not supported; the nearest"):
        from_preset("hf://org/tiny")
    assert hub.ranges(WEIGHTS) == []


# Subfolders


@pytest.fixture
def encoder(hub, embedding_folder):
    """An encoder's files, and some in subfolders that its `modules.json` does not name."""
    found = {str(path.relative_to(embedding_folder)): path for path in embedding_folder.rglob("*") if path.is_file()}
    files = {name: path.read_bytes() for name, path in found.items()}
    hub.publish(files | {"onnx/model.onnx": b"x", "onnx/config.json": b"{}", "2_Dense/pytorch_model.bin": b"\x80\x04."})
    return files


def changed_modules(files: dict[str, bytes], **changes: str) -> dict[str, bytes]:
    """The files with other paths in `modules.json`."""
    entries = [{**entry, "path": changes.get(entry["path"], entry["path"])} for entry in json.loads(files["modules.json"])]
    return {**files, "modules.json": json.dumps(entries).encode()}


def test_subfolders_that_modules_json_names(hub, encoder, embedding_folder):
    folder = fetch(REPO)
    fetched = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert fetched == encoder
    assert not hub.asked("onnx/")
    model = from_preset("hf://org/tiny")
    np.testing.assert_array_equal(model.embed(["set a timer"]), from_preset(embedding_folder).embed(["set a timer"]))


def test_a_cache_with_a_hole_in_a_subfolder_is_filled_again(hub, encoder):
    folder = fetch(REPO)
    (folder / "2_Dense" / WEIGHTS).resolve().unlink()
    hub.log.clear()
    assert (fetch(REPO, hub.refs["main"]) / "2_Dense" / WEIGHTS).read_bytes() == encoder[f"2_Dense/{WEIGHTS}"]
    assert [path.partition(hub.refs["main"])[2] for _, path, _ in hub.asked("/resolve/")] == [f"/2_Dense/{WEIGHTS}"]


@pytest.mark.parametrize("path", ["../../..", "..", ".", "/etc", "a/../..", "a/b", "C:", "a\\b", ".git"])
def test_subfolders_outside_of_the_repository(hub, encoder, cache, path):
    hub.publish(changed_modules(encoder, **{"2_Dense": path}) | {f"{path}/config.json": b"{}", f"{path}/{WEIGHTS}": b"evil"})
    with pytest.raises(ConfigError, match="is no subfolder of the model") as caught:
        fetch(REPO)
    assert str(caught.value).startswith("hf://org/tiny/modules.json: ")
    assert hub.ranges(WEIGHTS) == []
    assert list((cache / "snapshots").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modules.json": b"{"}, "hf://org/tiny/modules.json: no JSON"),
        ({"modules.json": None}, "hf://org/tiny: holds no modules.json"),
        ({"1_Pooling/config.json": None}, "hf://org/tiny/1_Pooling/config.json: cannot be read"),
        ({"2_Dense/config.json": b"{}"}, "hf://org/tiny/2_Dense/config.json: in_features must be a whole number"),
    ],
)
def test_an_encoder_that_cannot_be_run_is_refused_before_its_weights(hub, encoder, change, message):
    hub.publish({name: content for name, content in {**encoder, **change}.items() if content is not None})
    with pytest.raises(ConfigError) as caught:
        from_preset("hf://org/tiny")
    assert str(caught.value).startswith(message)
    assert hub.ranges(WEIGHTS) == []


def test_a_pickle_in_a_subfolder(hub, encoder):
    dense = f"2_Dense/{WEIGHTS}"
    hub.publish({name: content for name, content in encoder.items() if name != dense} | {"2_Dense/pytorch_model.bin": b"\x80"})
    assert "no .safetensors file in 2_Dense/; 2_Dense/pytorch_model.bin is a pickle" in refused(REPO)
    assert hub.ranges(WEIGHTS) == []


def test_options_of_another_family_are_refused_before_anything_is_fetched(hub, files):
    for options in ({"depth": 4}, {"kv_window": 256}):
        with pytest.raises(PresetError, match="depth and kv_window are options of Needle models; hf://org/tiny is a"):
            from_preset("hf://org/tiny", **options)
    assert hub.log == []


# Who may read


def test_a_gated_repository(hub, files, monkeypatch):
    hub.gated = True
    assert refused(REPO) == (
        "hf://org/tiny is gated (401): accept its licence at https://huggingface.co/org/tiny with your account, "
        "and set HF_TOKEN or run `hf auth login`"
    )
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    assert "is gated (403): accept its licence at https://huggingface.co/org/tiny with the account of the token" in refused(
        REPO
    )
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    fetch(REPO)


def test_a_private_repository(hub, files, tmp_path):
    hub.private = True
    message = refused(REPO)
    assert message.startswith("hf://org/tiny does not exist, or may not be read (401): ")
    assert "https://huggingface.co/org/tiny" in message
    (tmp_path / "token").write_text("hf_right")  # as `hf auth login` leaves it
    fetch(REPO)


def test_a_repository_that_there_is_not(hub, files, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert refused("org/other").startswith("hf://org/other was not found (404); ")


def test_the_token_does_not_go_to_another_host(hub, files, second_server, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    hub.gated, hub.cdn = True, second_server
    assert (fetch(REPO) / WEIGHTS).read_bytes() == files[WEIGHTS]
    assert [headers.get("authorization") for _, _, headers in hub.asked(f"resolve/{hub.refs['main']}/{WEIGHTS}")] == [
        "Bearer hf_right"
    ]
    assert [headers.get("authorization") for _, _, headers in hub.asked("/cdn/")] == [None]


def test_no_message_holds_the_token(hub, files, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    for trouble in ({"gated": True}, {"private": True}, {"status": 503}):
        for name, value in trouble.items():
            monkeypatch.setattr(hub, name, value)
        assert "hf_secret" not in refused(REPO)


# Without the hub


@pytest.mark.parametrize("how", ["down", "offline", "broken", "logged out"])
def test_a_filled_cache_is_enough(hub, files, monkeypatch, caplog, how):
    folder = fetch(REPO)
    if how == "down":
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    elif how == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    elif how == "broken":
        hub.status = 503
    else:
        hub.private = True
    hub.log.clear()
    assert fetch(REPO) == folder
    assert "taken from the cache" in caplog.text
    assert "without a network" not in caplog.text
    assert from_preset("hf://org/tiny").name == "org/tiny"
    assert not hub.asked("/resolve/")


@pytest.mark.parametrize("how", ["down", "offline"])
def test_an_empty_cache_is_not(hub, files, cache, monkeypatch, how):
    if how == "down":
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    else:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = refused(REPO)
    assert message.startswith("hf://org/tiny: the hub cannot be asked (")
    assert message.endswith(f"); without a network name a local folder, or fill the cache {cache} from another machine's")


def test_a_cache_with_a_hole_is_filled_again(hub, files, cache):
    folder = fetch(REPO)
    (folder / WEIGHTS).resolve().unlink()
    hub.log.clear()
    assert (fetch(REPO, hub.refs["main"]) / WEIGHTS).read_bytes() == files[WEIGHTS]
    assert hub.ranges(WEIGHTS) == [None]


def test_a_damaged_file_of_the_cache_is_fetched_again(hub, files):
    """When a new snapshot links to it; one that was linked before is taken as it is."""
    folder = fetch(REPO)
    for name in (WEIGHTS, "config.json"):
        (folder / name).resolve().write_bytes(b"x" + files[name][1:])
    hub.log.clear()
    assert fetch(REPO) == folder
    assert not hub.asked("/resolve/")
    shutil.rmtree(folder)
    assert fetch(REPO) == folder
    assert all((folder / name).read_bytes() == files[name] for name in (WEIGHTS, "config.json"))
    assert {path.rpartition("/")[2] for _, path, _ in hub.asked("/resolve/")} == {WEIGHTS, "config.json"}


@pytest.mark.parametrize("change", [lambda data: data[:4], lambda data: b"\xff" * 8 + data[8:], lambda data: data[:-8]])
def test_a_damaged_file_of_the_cache_is_named(hub, files, change):
    """And what is to be done helps."""
    blob = (fetch(REPO) / WEIGHTS).resolve()
    blob.write_bytes(change(files[WEIGHTS]))
    with pytest.raises(WeightsError) as caught:
        from_preset("hf://org/tiny")
    assert str(caught.value).endswith(f"; delete {blob} and fetch it again")
    blob.unlink()
    assert from_preset("hf://org/tiny").name == "org/tiny"


def test_the_cache_of_huggingface_hub_serves_too(hub, files, monkeypatch, tmp_path):
    """As `hf download` and transformers leave it: online its files are checked and not fetched again, offline they are used."""
    theirs = Path(
        snapshot_download(REPO, endpoint=os.environ["HF_ENDPOINT"], allow_patterns=["*.json", "*.jinja", "*.safetensors"])
    )
    hub.log.clear()
    assert fetch(REPO).name == theirs.name
    assert not hub.asked("/resolve/")
    shutil.rmtree(tmp_path / "cache")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert fetch(REPO) == theirs


def test_a_damaged_file_of_huggingface_hubs_cache_is_not_taken(hub, files):
    theirs = Path(snapshot_download(REPO, endpoint=os.environ["HF_ENDPOINT"]))
    blob = (theirs / WEIGHTS).resolve()
    blob.write_bytes(b"x" + files[WEIGHTS][1:])
    assert (fetch(REPO) / WEIGHTS).read_bytes() == files[WEIGHTS]


# The disk


def test_too_little_room_is_said_before_anything_is_fetched(hub, files, monkeypatch):
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 90, 10))
    message = refused(REPO)
    assert "org--tiny, which has 0.0 MB free; make room, or set FERRULE_CACHE to a folder on a larger disk" in message
    assert not hub.asked("/resolve/")


def test_a_disk_that_fills_up(hub, files, cache):
    partial = cache / "blobs" / f"{digest(files[WEIGHTS])}.partial"
    partial.parent.mkdir(parents=True)
    partial.symlink_to("/dev/full")
    message = refused(REPO)
    assert f"the cache {cache} cannot be written: No space left on device; set FERRULE_CACHE to" in message
    assert list((cache / "snapshots").iterdir()) == []


def test_a_file_size_limit(hub, files):
    """The operating system ends the write in the middle of a file; what was written is kept."""
    code = f"from ferrule.hub.fetch import fetch; fetch({REPO!r})"
    limit = len(files[WEIGHTS]) - 100

    def confine():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=confine, env=env)
    assert "cannot be written: File too large" in done.stderr.splitlines()[-1]
    hub.log.clear()
    assert (fetch(REPO) / WEIGHTS).read_bytes() == files[WEIGHTS]
    assert hub.ranges(WEIGHTS) == [f"bytes={limit}-"]


def test_a_cache_that_cannot_be_written(hub, files, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FERRULE_CACHE", str(tmp_path / "file"))
    assert "cannot be written: Not a directory; set FERRULE_CACHE to a folder that can be" in refused(REPO)


def test_a_read_only_cache_serves_what_it_has(hub, files, tiny_llama, monkeypatch):
    """Tests may run as root, to whom no folder is read-only: every way to change one fails instead."""
    folder = fetch(REPO)

    def fail(*args, **kwargs):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", fail)
    monkeypatch.setattr(Path, "write_text", fail)
    monkeypatch.setattr(os, "replace", fail)
    hub.refs["release"] = hub.refs["main"]
    assert fetch(REPO) == fetch(REPO, "release") == folder
    hub.publish({**tiny_llama, "chat_template.jinja": b"new"})
    assert "cannot be written: Read-only file system; set FERRULE_CACHE" in refused(REPO)


# Together


def test_two_at_once_fetch_once(hub, files, faults):
    hub.faults[WEIGHTS] = [faults.slow(0.05, 10)]
    found = []
    threads = [threading.Thread(target=lambda: found.append(fetch(REPO))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4
    assert len(set(found)) == 1
    assert hub.ranges(WEIGHTS) == [None]


@pytest.mark.parametrize(("terminal", "shown"), [(True, True), (False, False)])
def test_a_bar_on_long_downloads(hub, files, faults, monkeypatch, terminal, shown):
    out = io.StringIO()
    monkeypatch.setattr(fetching, "LONG_DOWNLOAD", 1000)
    monkeypatch.setattr("rich.console.Console", lambda stderr: Console(file=out, force_terminal=terminal, width=100))
    hub.faults[WEIGHTS] = [faults.slow(0.05, 10)]
    fetch(REPO)
    assert ("org/tiny" in out.getvalue()) == shown


def test_short_downloads_are_silent(hub, files, capfd):
    fetch(REPO)
    assert capfd.readouterr() == ("", "")
