"""What tests of several rooms share: the published weights, and one loaded model for each backend."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ferrule.core import BackendNotInstalledError, get_backend
from ferrule.hub import HubError, from_preset
from ferrule.hub.sources import locate
from ferrule.models import LanguageModel
from ferrule.models.needle.container import read_container
from ferrule.models.needle.tokenizer import NeedleTokenizer
from ferrule.presets import get_preset


@pytest.fixture(scope="session")
def needle_weights() -> Path:
    """The published Needle 3 container; tests that need it are skipped where it is not installed."""
    try:
        return locate(get_preset("needle_3"))
    except HubError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def tokenizer(needle_weights: Path) -> NeedleTokenizer:
    """The tokenizer of the published Needle 3."""
    return NeedleTokenizer(read_container(needle_weights).tokenizer)


@pytest.fixture(scope="session")
def needle(needle_weights: Path) -> Callable[[str], LanguageModel]:
    """The published Needle 3 on a backend, loaded once for all tests."""
    loaded: dict[str, LanguageModel] = {}

    def load(backend: str) -> LanguageModel:
        try:
            get_backend(backend)
        except BackendNotInstalledError as error:
            pytest.skip(str(error))
        if backend not in loaded:
            loaded[backend] = from_preset("needle_3", backend)
        return loaded[backend]

    return load


@pytest.fixture(scope="session")
def golden() -> dict[str, np.ndarray]:
    """Vectors of the published reference implementation; `data/needle/golden.json` says what they are."""
    with np.load(Path(__file__).parent / "data/needle/golden.npz") as file:
        return dict(file)


@pytest.fixture(scope="session")
def embedding_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small EmbeddingGemma of random weights, as sentence-transformers writes it; windows are shorter than its texts."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    pytest.importorskip("sentence_transformers")
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules as parts
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import Gemma3TextConfig, Gemma3TextModel, PreTrainedTokenizerFast

    root = tmp_path_factory.mktemp("embedding")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet, special = pre_tokenizers.ByteLevel.alphabet(), ["<pad>", "<eos>", "<bos>"]
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(["task: search result | query: set a timer", "title: none | text: the kitchen"] * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 2), ("<eos>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", model_max_length=160
    ).save_pretrained(root / "transformer")
    torch.manual_seed(0)
    transformer = Gemma3TextModel(
        Gemma3TextConfig(
            vocab_size=304,
            hidden_size=48,
            intermediate_size=80,
            num_hidden_layers=4,
            num_attention_heads=6,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=200,
            sliding_window=12,
            query_pre_attn_scalar=24,
            layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
            use_bidirectional_attention=True,
        )
    )
    with torch.no_grad():
        for name, weight in transformer.named_parameters():
            if "norm" in name:
                weight.add_(torch.randn_like(weight) * 0.1)
            else:
                weight.copy_(torch.randn_like(weight) * (0.5 if "embed" in name else 1.2 * weight.shape[-1] ** -0.5))
    transformer.save_pretrained(root / "transformer")
    identity = torch.nn.Identity()
    model = SentenceTransformer(
        modules=[
            parts.Transformer(str(root / "transformer")),
            parts.Pooling(48, pooling_mode="mean"),
            parts.Dense(48, 96, bias=False, activation_function=identity),
            parts.Dense(96, 48, bias=False, activation_function=identity),
            parts.Normalize(),
        ],
        prompts={"query": "task: search result | query: ", "document": "title: none | text: "},
        device="cpu",
    )
    model.save(str(root / "model"), create_model_card=False)
    shutil.rmtree(root / "transformer")
    return root / "model"
