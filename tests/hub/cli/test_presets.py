from __future__ import annotations

import dataclasses
import json

import pytest
from ferrule.hub import loading
from ferrule.presets import HubSource, catalogue, get_preset, list_presets

NEEDLE = get_preset("needle_3")


def names(result) -> list[str]:
    """The first column of the table."""
    assert result.exit_code == 0
    return [line.split()[0] for line in result.stdout.splitlines()[1:]]


def rows(result) -> dict[str, str]:
    """What stands behind each title of a preset that is shown in full."""
    assert result.exit_code == 0
    return {line[:15].strip(): line[16:] for line in result.stdout.splitlines() if line[:15].strip()}


def test_all_for_people(ferrule):
    result = ferrule("presets")
    header, *lines = result.stdout.splitlines()
    assert header.split() == ["name", "family", "parameters", "size", "context", "dialect", "licence"]
    assert sorted(names(result)) == [preset.name for preset in list_presets()]
    cells = {line.split()[0]: line.split() for line in lines}
    assert cells["needle_3"][1:] == ["needle", "121M", "35", "MB", "8192", "needle", "apache-2.0"]
    assert cells["llama_3.2_1b_instruct"][1:] == ["llama", "1.24B", "2.5", "GB", "131072", "llama3", "llama3.2", "(gated)"]
    assert cells["granite_3.3_2b_instruct"][1:5] == ["granite", "—", "—", "131072"]
    assert cells["embeddinggemma_300m"][5:7] == ["2048", "—"]


def test_they_are_sorted_by_family_and_size(ferrule):
    found = [get_preset(name) for name in names(ferrule("presets"))]
    order = [(preset.family, preset.parameters or 1e15) for preset in found]
    assert order == sorted(order)


def test_all_for_machines(ferrule):
    documents = json.loads(ferrule("presets", "--json").stdout)
    assert sorted(document["name"] for document in documents) == [preset.name for preset in list_presets()]
    assert len({tuple(document) for document in documents}) == 1, "each says the same things"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["qwen", "0.6b"], ["qwen_3_0.6b", "qwen_3_0.6b_base"]),
        (["QWEN3 0.6B"], ["qwen_3_0.6b", "qwen_3_0.6b_base"]),
        (["needle"], ["needle_3"]),
        (["gemma", "--max-parameters", "300M", "--dialect", "plain"], ["gemma_3_270m"]),
        (["--family", "Needle"], ["needle_3"]),
        (
            ["--family", "smollm", "--dialect", "hermes", "--max-parameters", "0.4b"],
            ["smollm_2_135m_instruct", "smollm_2_360m_instruct"],
        ),
        (["granite_3.3", "--max-parameters", "1t"], []),
    ],
)
def test_search(ferrule, arguments, found):
    documents = json.loads(ferrule("presets", *arguments, "--json").stdout)
    assert [document["name"] for document in documents] == found
    if found:
        assert names(ferrule("presets", *arguments)) == found


def test_one_file(ferrule, needle_weights):
    (document,) = json.loads(ferrule("presets", "needle_3", "--json").stdout)
    assert (document["sha256"], document["size"], document["license"]) == (NEEDLE.file.sha256, NEEDLE.file.size, "apache-2.0")
    assert [set(source) for source in document["sources"]] == [{"package", "version", "path", "extra"}, {"repo", "path"}]
    assert (document["architecture"], document["repository"], document["kept"]) == (None, None, str(needle_weights))
    shown = rows(ferrule("presets", "needle_3"))
    assert shown["sha256"] == NEEDLE.file.sha256
    assert shown["size"] == "35 MB (needle3.cact)"
    assert shown["on this machine"] == str(needle_weights)
    assert shown["in Python"] == 'ferrule.hub.from_preset("needle_3")'


def test_one_repository(ferrule, hub):
    (document,) = json.loads(ferrule("presets", "gemma_3_270m_it", "--json").stdout)
    assert document["repository"] == "hf://google/gemma-3-270m-it"
    assert document["sources"] == [{"repo": "google/gemma-3-270m-it"}]
    assert (document["gated"], document["file"], document["sha256"], document["kept"]) == (True, None, None, None)
    shown = rows(ferrule("presets", "gemma_3_270m_it"))
    assert shown["licence"] == "gemma (gated: accept it at https://huggingface.co/google/gemma-3-270m-it)"
    assert shown["parameters"] == "268098176 (268M)"
    assert shown["size"] == "536 MB (in bfloat16)"
    assert shown["on this machine"] == "no: it is fetched when it is first used"
    assert shown["in a terminal"].endswith("--preset gemma_3_270m_it")
    assert shown["facts from"] == document["facts"][0]
    assert hub.log == [], "the hub was not asked"


def test_one_of_which_little_is_known(ferrule, hub):
    shown = rows(ferrule("presets", "embeddinggemma_300m"))
    assert shown["licence"] == "gemma (may have to be accepted at https://huggingface.co/google/embeddinggemma-300m)"
    assert shown["dialect"] == "—"
    assert "in a terminal" not in shown
    shown = rows(ferrule("presets", "granite_3.3_8b_base"))
    assert (shown["parameters"], shown["size"]) == ("—", "—")


def test_one_that_was_fetched(ferrule, hub, tiny_llama, monkeypatch):
    commit = hub.publish(tiny_llama)
    preset = dataclasses.replace(get_preset("llama_2_7b"), name="tiny", sources=(HubSource("org/tiny", None, commit),))
    monkeypatch.setattr(catalogue, "list_presets", lambda: (preset,))
    monkeypatch.setattr("ferrule.hub.cli.presets.list_presets", lambda: (preset,))
    folder = loading._resolve("tiny")[1]
    assert rows(ferrule("presets", "tiny"))["on this machine"] == str(folder)
    (document,) = json.loads(ferrule("presets", "tiny", "--json").stdout)
    assert (document["kept"], document["repository"]) == (str(folder), f"hf://org/tiny@{commit}")


@pytest.mark.parametrize(
    "name", ["Gemma_3_270M_IT", "google/gemma-3-270m-it", "hf://Google/Gemma-3-270m-it", " gemma_3_270m_it"]
)
def test_other_ways_of_naming_one(ferrule, name):
    assert ferrule("presets", name).stdout == ferrule("presets", "gemma_3_270m_it").stdout
    assert rows(ferrule("presets", name))["name"] == "gemma_3_270m_it"


def test_options_hold_for_one_that_is_named_too(ferrule, refused):
    shown = ferrule("presets", "needle_3", "--family", "needle").stdout
    assert shown == ferrule("presets", "needle_3").stdout
    line = "no preset found for 'needle_3' is like that; leave an option out"
    assert refused("presets", "needle_3", "--family", "gemma") == line
    assert refused("presets", "needle_3", "--max-parameters", "1M") == line
    assert json.loads(ferrule("presets", "needle_3", "--family", "gemma", "--json").stdout) == []


def test_what_is_not_found(refused):
    assert refused("presets", "Qwen3_0.6B") == "nothing was found for 'Qwen3_0.6B'; did you mean 'qwen_3_0.6b'?"
    assert refused("presets", "neddle", "3") == "nothing was found for 'neddle 3'; did you mean 'needle_3'?"
    line = "nothing was found for 'zzz qwen'; leave a word out, or use others"
    assert refused("presets", "zzz", "qwen") == refused("presets", "zzz", "qwen", "--json") == line
    line = "no preset found for 'qwen' is like that; leave an option out"
    assert refused("presets", "qwen", "--family", "gemma") == line
    assert refused("presets", "--max-parameters", "1k") == "no preset is like that; leave an option out"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([""], "a text is expected, received ''"),
        (["qwen", " "], "a text is expected, received ' '"),
        (["--family", "gpt"], "one of gemma, granite, llama, mistral, needle, phi, qwen, smollm is expected, received 'gpt'"),
        (["--dialect", ""], "is expected, received ''"),
        (["--max-parameters", "-1"], "a number such as 270M or 1.5B is expected, received '-1'"),
        (["--max-parameters", "B"], "a number such as 270M or 1.5B is expected, received 'B'"),
        (["--max-parameters", "nan"], "received 'nan'"),
    ],
)
def test_values_that_options_cannot_have(refused, arguments, line):
    assert line in refused("presets", *arguments, status=2)
