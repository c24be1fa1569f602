from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from ferrule.tools import ArgumentError, RetryCall, ToolDefinitionError, ToolFailed, Toolset
from ferrule.tools.library import make_tools
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of notes, beside a file that nothing may reach."""
    (tmp_path / "secret.txt").write_text("secret\n")
    (tmp_path / "root/notes").mkdir(parents=True)
    (tmp_path / "root/notes/todo.txt").write_text("call Bob\nbuy stamps\n")
    (tmp_path / "root/report.md").write_text("# Report")
    return tmp_path / "root"


@pytest.fixture
def files(root: Path) -> Toolset:
    return make_tools("files", folder=root)


def test_look_and_read(files):
    assert [f["path"] for f in files["list_files"].call({})["files"]] == ["notes", "report.md"]
    assert [f["path"] for f in files["find_files"].call({"name": "TODO"})["files"]] == ["notes/todo.txt"]
    assert [f["path"] for f in files["find_files"].call({"name": "*.md"})["files"]] == ["report.md"]
    found = {"path": "notes/todo.txt", "line": 2, "text": "buy stamps"}
    assert files["search_text"].call({"text": "STAMPS"}) == {"matches": [found]}
    assert files["read_file"].call({"path": "notes/todo.txt", "first_line": 2})["text"] == "buy stamps\n"


def test_write(files, root):
    files["write_file"].call({"path": "a.txt", "text": "one"})
    files["add_to_file"].call({"path": "a.txt", "text": "two"})
    assert (root / "a.txt").read_text() == "one\ntwo\n"
    assert files["add_to_file"].call({"path": "b.txt", "text": "new"})["created"]
    with pytest.raises(RetryCall, match=r"there is already a 'a\.txt'"):
        files["write_file"].call({"path": "a.txt", "text": ""})
    (root / "a.txt").chmod(0o640)
    files["overwrite_file"].call({"path": "a.txt", "text": "three"})
    assert (root / "a.txt").read_text() == "three"
    assert (root / "a.txt").stat().st_mode & 0o777 == 0o640
    files["make_folder"].call({"path": "x/y"})
    assert files["move_file"].call({"path": "a.txt", "new_path": "x/y"})["new_path"] == "x/y/a.txt"
    assert files["copy_file"].call({"path": "x/y/a.txt", "new_path": "c.txt"})["bytes"] == 5
    files["move_file"].call({"path": "x", "new_path": "z"})
    assert (root / "z/y/a.txt").read_text() == (root / "c.txt").read_text() == "three"
    with pytest.raises(ToolFailed, match="not empty"):
        files["delete_file"].call({"path": "z"})
    files["delete_file"].call({"path": "z/y/a.txt"})
    files["delete_file"].call({"path": "z/y"})
    assert not (root / "z/y").exists()


def test_nothing_is_taken_the_place_of(files, root):
    for name in ("move_file", "copy_file"):
        with pytest.raises(RetryCall, match="already"):
            files[name].call({"path": "report.md", "new_path": "notes/todo.txt"})
    with pytest.raises(RetryCall, match="into itself"):
        files["move_file"].call({"path": "notes", "new_path": "notes/inside"})
    assert (root / "notes/todo.txt").read_text() == "call Bob\nbuy stamps\n"


@pytest.mark.parametrize("path", ["../secret.txt", "/etc/passwd", "notes/../../secret.txt", "~/x", "a\0b", "./../secret.txt"])
def test_paths_do_not_lead_out(files, root, path):
    for name, arguments in (
        ("read_file", {}),
        ("write_file", {"text": "x"}),
        ("add_to_file", {"text": "x"}),
        ("overwrite_file", {"text": "x"}),
        ("delete_file", {}),
        ("make_folder", {}),
        ("copy_file", {"new_path": "copy"}),
        ("move_file", {"new_path": "moved"}),
    ):
        with pytest.raises(RetryCall):
            files[name].call({"path": path, **arguments})
    for name in ("copy_file", "move_file"):
        with pytest.raises(RetryCall):
            files[name].call({"path": "report.md", "new_path": path})
    assert (root.parent / "secret.txt").read_text() == "secret\n"
    assert sorted(os.listdir(root)) == ["notes", "report.md"]


def test_links_are_not_followed(files, root):
    (root / "file").symlink_to(root.parent / "secret.txt")
    (root / "folder").symlink_to(root.parent)
    (root / "loop").symlink_to(root)
    for name, arguments in (
        ("read_file", {"path": "file"}),
        ("read_file", {"path": "folder/secret.txt"}),
        ("add_to_file", {"path": "file", "text": "x"}),
        ("overwrite_file", {"path": "file", "text": "x"}),
        ("write_file", {"path": "folder/new.txt", "text": "x"}),
        ("copy_file", {"path": "file", "new_path": "copy"}),
        ("move_file", {"path": "file", "new_path": "copy"}),
        ("move_file", {"path": "report.md", "new_path": "folder/report.md"}),
        ("delete_file", {"path": "folder/secret.txt"}),
        ("make_folder", {"path": "folder/new"}),
        ("list_files", {"folder": "folder"}),
    ):
        with pytest.raises(ToolFailed, match="link"):
            files[name].call(arguments)
    assert [m["path"] for m in files["search_text"].call({"text": "secret"})["matches"]] == []
    assert (root.parent / "secret.txt").read_text() == "secret\n"
    assert (root / "report.md").exists()


def test_a_link_that_comes_between_check_and_use_is_refused(files, root, monkeypatch):
    """The folder is swapped for a link to the outside just before it is opened."""
    real = os.open

    def swapped(path, flags, *rest, dir_fd=None):
        if path == "notes":
            (root / "notes").rename(root / "old")
            (root / "notes").symlink_to(root.parent)
        return real(path, flags, *rest, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swapped)
    with pytest.raises(ToolFailed, match="link"):
        files["read_file"].call({"path": "notes/secret.txt"})


def test_a_hard_link_is_never_written_through(files, root):
    os.link(root.parent / "secret.txt", root / "linked.txt")
    files["add_to_file"].call({"path": "linked.txt", "text": "more"})
    assert (root / "linked.txt").read_text() == "secret\nmore\n"
    assert (root.parent / "secret.txt").read_text() == "secret\n"


def test_what_is_no_text_or_too_large(root):
    files = make_tools("files", folder=root, max_bytes=100, max_read=10)
    (root / "binary").write_bytes(b"\xff\xfe\x00")
    (root / "large").write_text("x" * 101)
    (root / "long").write_text("y" * 50)
    os.mkfifo(root / "pipe")
    with pytest.raises(ToolFailed, match="no text in UTF-8"):
        files["read_file"].call({"path": "binary"})
    with pytest.raises(ToolFailed, match="at most 100"):
        files["read_file"].call({"path": "large"})
    with pytest.raises(ToolFailed, match="too large"):
        files["add_to_file"].call({"path": "long", "text": "z" * 60})
    with pytest.raises(RetryCall, match="special file, and no file"):
        files["read_file"].call({"path": "pipe"})
    assert files["read_file"].call({"path": "long"})["text"] == "y" * 10
    assert "left out: 2" in files["search_text"].call({"text": "q"})["note"]
    (root / b"\xff.txt".decode("utf-8", "surrogateescape")).write_text("")
    assert "\\xff.txt" in [f["path"] for f in files["list_files"].call({})["files"]]


def test_a_write_that_fails_leaves_the_old_file(files, root, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ToolFailed, match="No space left"):
        files["overwrite_file"].call({"path": "report.md", "text": "new"})
    assert (root / "report.md").read_text() == "# Report"
    assert sorted(os.listdir(root)) == ["notes", "report.md"]


def test_near_names_are_told(files):
    with pytest.raises(RetryCall, match=r"did you mean 'report\.md'"):
        files["read_file"].call({"path": "report"})
    with pytest.raises(RetryCall, match="there is no folder 'archive'"):
        files["write_file"].call({"path": "archive/x", "text": ""})
    with pytest.raises(RetryCall, match="is a folder, and no file"):
        files["read_file"].call({"path": "notes"})


def test_marks(files):
    assert {t.name for t in files if t.permission == "destructive"} == {"overwrite_file", "delete_file"}
    assert not any(t.trusted for t in files)
    assert files["write_file"].is_sensitive("path")
    assert not files["write_file"].is_sensitive("text")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ToolDefinitionError, match="does not exist"):
        make_tools("files", folder=tmp_path / "nope")
    with pytest.raises(ToolDefinitionError, match="max_bytes is a whole number"):
        make_tools("files", folder=tmp_path, max_bytes=0)


_NAMES = st.lists(st.sampled_from(["a", "b", "..", ".", "", "out", "/", "~"]), min_size=1, max_size=5).map("/".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=_NAMES, new=_NAMES, name=st.sampled_from(["write_file", "add_to_file", "copy_file", "move_file", "make_folder"]))
def test_whatever_the_paths_nothing_outside_changes(tmp_path_factory, path, new, name):
    outside = tmp_path_factory.mktemp("outside")
    root = outside / "root"
    (root / "a").mkdir(parents=True)
    (root / "a/b").write_text("inside")
    (outside / "b").write_text("outside")
    (root / "out").symlink_to(outside)
    known = {"path": path, "new_path": new, "text": "new"}
    tool = make_tools("files", folder=root)[name]
    with contextlib.suppress(ToolFailed, RetryCall, ArgumentError):
        tool.call({key: known[key] for key in tool.parameters["properties"]})
    assert sorted(os.listdir(outside)) == ["b", "root"]
    assert (outside / "b").read_text() == "outside"
