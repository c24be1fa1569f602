"""KerasHub in a process of its own: it chooses a backend when it is imported, and takes long to do so.

``python keras_hub_oracle.py FOLDER`` writes one preset for each row of `ROWS` into the folder, beside it what KerasHub computes
with it, and says ``ready``. Then each line of its input, ``[name of a preset, [text, …], mended]``, is answered by ids and the
texts of these ids; see `cut_into_words` for what may be mended.
"""

from __future__ import annotations

import functools
import io
import json
import os
import sys
from pathlib import Path

import numpy as np

VOCAB, LENGTH, PROMPT, NEW = 460, 40, 9, 8
COMMON = {"vocabulary_size": VOCAB, "num_layers": 2, "num_query_heads": 6, "num_key_value_heads": 2}
SIZES = {**COMMON, "hidden_dim": 48, "intermediate_dim": 72}
CAPS = {"attention_logit_soft_cap": 5.0, "final_logit_soft_cap": 3.0}
POST_NORMS = {"use_post_ffw_norm": True, "use_post_attention_norm": True}
WINDOW = {"use_sliding_window_attention": True, "sliding_window_size": 7}
BANDS = {
    "rope_max_wavelength": 500000.0,
    "rope_frequency_adjustment_factor": 8.0,
    "rope_low_freq_factor": 1.0,
    "rope_high_freq_factor": 4.0,
    "rope_pretraining_sequence_length": 32,
}
GEMMA2 = {**SIZES, "head_dim": 12, **POST_NORMS, **CAPS, **WINDOW}
GEMMA3 = {**SIZES, "head_dim": 12, **POST_NORMS, "image_size": None}

ROWS: dict[str, tuple[str, dict]] = {
    "gemma": ("Gemma", {**SIZES, "hidden_dim": 44, "num_key_value_heads": 1, "head_dim": 16}),
    "gemma2": ("Gemma", GEMMA2),
    "gemma2-27b": ("Gemma", {**GEMMA2, "query_head_dim_normalize": False}),
    "gemma3": (
        "Gemma3",
        {**GEMMA3, **WINDOW, "num_layers": 7, "global_rope_scaling_factor": 8.0, "local_rope_scaling_factor": 2.0},
    ),
    "gemma3-no-window": ("Gemma3", {**GEMMA3, "dtype": "bfloat16"}),
    "llama2": ("Llama", {**SIZES, "hidden_dim": 50, "layer_norm_epsilon": 1e-5}),
    "llama3": ("Llama3", {**SIZES, **BANDS}),
    "llama3-tied": ("Llama3", {**SIZES, "tie_word_embeddings": True, "dtype": "bfloat16"}),
    "mistral": ("Mistral", {**SIZES, "head_dim": 12, "sliding_window": 9, "rope_scaling_factor": 2.0, "dropout": 0.1}),
    "mistral-tekken": ("Mistral", {**SIZES, "sliding_window": None, "dtype": "float16"}),
    "qwen2": ("Qwen", {**SIZES, "tie_word_embeddings": False, **WINDOW}),
    "qwen3": ("Qwen3", {**SIZES, "head_dim": 12, "sliding_window_size": None, "rope_max_wavelength": 1e6}),
    "qwen3-window": ("Qwen3", {**SIZES, "head_dim": 12, "sliding_window_size": 7, "tie_word_embeddings": False}),
}
SHARDED = "llama3"

TEXT = [
    "Set a timer for nine minutes, please. It's 12345 or 3.14159; they've said so!",
    "def f(x):\n    return x * 2  # doubles\n\n\nprint(f(1234567890))",
    "Straße, naïve café, 東京 🙂 \t tabs\u00a0and don't ...com",
    "the the the theatre there then thesis   spaces  everywhere ",
] * 6
LLAMA3 = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|python_tag|>"]
QWEN = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"]
TURNS = ["<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<img>", "<b>", "<pad2>"]


@functools.cache
def pieces(gemma: bool) -> bytes:
    """A SentencePiece model as Gemma's, or as Llama 2's."""
    import sentencepiece as spm

    found = io.BytesIO()
    kind = {
        True: {
            "pad_id": 0,
            "eos_id": 1,
            "bos_id": 2,
            "unk_id": 3,
            "bos_piece": "<bos>",
            "eos_piece": "<eos>",
            "user_defined_symbols": TURNS,
            "add_dummy_prefix": False,
        },
        False: {"unk_id": 0, "bos_id": 1, "eos_id": 2, "control_symbols": ["[INST]", "[/INST]"]},
    }[gemma]
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter([line for text in TEXT for line in text.split("\n")]),
        model_writer=found,
        vocab_size=440,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
        **kind,
    )
    return found.getvalue()


def pairs(markers: list[str], first: bool = False) -> tuple[dict[str, int], list[str]]:
    """Tokens and merges of byte-level BPE that was trained on words; that of Qwen has no two digits in one."""
    from keras_hub.src.tokenizers.byte_pair_tokenizer import SPLIT_PATTERN_TOKENIZERS
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    found = Tokenizer(models.BPE())
    expression = SPLIT_PATTERN_TOKENIZERS.replace("{1,3}", "") if markers == QWEN else SPLIT_PATTERN_TOKENIZERS
    words = pre_tokenizers.Split(Regex(expression), behavior="isolated")
    found.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    found.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, show_progress=False))
    model = json.loads(found.to_str())["model"]
    ordered = sorted(model["vocab"], key=model["vocab"].get)
    ordered = [*markers, *ordered] if first else [*ordered, *markers]
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]]
    return {token: i for i, token in enumerate(ordered)}, merges


def tokenizer(name: str, kind: str):
    from keras_hub import tokenizers
    from keras_hub.src.tokenizers.byte_pair_tokenizer import SPLIT_PATTERN_TOKENIZERS

    if name == "mistral-tekken":
        vocabulary, merges = pairs(["<unk>", "<s>", "</s>", "[INST]", "[/INST]"], first=True)
        return tokenizers.MistralTekkenTokenizer(vocabulary, merges, split_pattern=SPLIT_PATTERN_TOKENIZERS)
    if kind in ("Gemma", "Gemma3", "Llama", "Mistral"):
        return getattr(tokenizers, f"{kind}Tokenizer")(pieces(kind.startswith("Gemma")))
    markers = LLAMA3 if kind == "Llama3" else QWEN
    vocabulary, merges = pairs(markers)
    return getattr(tokenizers, f"{kind}Tokenizer")(vocabulary, merges, unsplittable_tokens=markers)


def randomise(backbone) -> None:
    """Weights that make logits of some size."""
    import keras

    rng = np.random.default_rng(0)
    for weight in backbone.weights:
        if "seed" in weight.path:
            continue
        values = rng.standard_normal(weight.shape)
        if "norm" in weight.path:
            values = keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32")) + 0.1 * values
        else:
            values *= 0.5 if "embeddings" in weight.path else 1.2 * backbone.hidden_dim**-0.5
        weight.assign(values)


def follow(backbone) -> None:
    """Make the backbone do what its configuration says; KerasHub 0.32 leaves some of it out."""
    from keras_hub.src.models.qwen import qwen_attention
    from keras_hub.src.models.qwen3 import qwen3_attention

    qwen_attention.fused_attention_op_available = qwen3_attention.fused_attention_op_available = lambda: False
    if not getattr(backbone, "query_head_dim_normalize", True):
        for layer in backbone.transformer_layers:
            layer.attention.query_head_dim_normalize = False


def computed(model, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Logits and what follows greedily, with KerasHub's own cache."""
    import keras

    hidden = model.backbone({"token_ids": ids, "padding_mask": np.ones_like(ids)})
    logits = keras.ops.convert_to_numpy(model.backbone.token_embedding(hidden, reverse=True))
    model.compile(sampler="greedy")
    prompt = np.zeros((1, PROMPT + NEW), np.int32)
    prompt[:, :PROMPT] = ids[:1, :PROMPT]
    known = (np.arange(PROMPT + NEW) < PROMPT)[None].astype(np.int32)
    texts = {"token_ids": keras.ops.convert_to_tensor(prompt), "padding_mask": keras.ops.convert_to_tensor(known)}
    out = keras.ops.convert_to_numpy(model.make_generate_function()(texts, stop_token_ids=None)["token_ids"])
    return {"ids": ids, "logits": logits, "greedy": out[0, PROMPT:]}


def write(name: str, folder: Path):
    """A preset, and what KerasHub makes of it; its tokenizer."""
    from keras_hub import models

    kind, sizes = ROWS[name]
    backbone = getattr(models, f"{kind}Backbone")(**sizes)
    randomise(backbone)
    text = tokenizer(name, kind)
    preprocessor = getattr(models, f"{kind}CausalLMPreprocessor")(text, sequence_length=64)
    model = getattr(models, f"{kind}CausalLM")(backbone=backbone, preprocessor=preprocessor)
    model.save_to_preset(str(folder), **({"max_shard_size": 160e3 / 1024**3} if name == SHARDED else {}))
    if "dtype" in sizes:  # what a preset in 16 bits is computed with
        narrow, backbone = backbone, getattr(models, f"{kind}Backbone")(**{**sizes, "dtype": "float32"})
        backbone.set_weights(narrow.get_weights())
        model = getattr(models, f"{kind}CausalLM")(backbone=backbone, preprocessor=preprocessor)
    follow(backbone)
    ids = np.random.default_rng(1).integers(3, VOCAB, (2, LENGTH)).astype(np.int32)
    np.savez(folder.with_suffix(".npz"), **computed(model, ids))
    return text


def cut_into_words(text, mended: bool) -> None:
    """Byte-level BPE as KerasHub 0.32 runs it, or with the expression that it means to cut texts by.

    It hands the expression over as a text to look for, which is found nowhere.
    """
    from keras_hub.src.tokenizers.byte_pair_tokenizer import SPLIT_PATTERN_TOKENIZERS
    from tokenizers import Regex, pre_tokenizers

    pattern = Regex(SPLIT_PATTERN_TOKENIZERS) if mended else SPLIT_PATTERN_TOKENIZERS
    words = pre_tokenizers.Split(pattern, behavior="isolated")
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    text._tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, level])


def main(folder: Path) -> None:
    known = {name: write(name, folder / name) for name in ROWS}
    print("ready", flush=True)
    for line in sys.stdin:
        name, texts, mended = json.loads(line)
        if mended is not None:
            cut_into_words(known[name], mended)
        ids = known[name].tokenize(texts)
        answer = [[list(map(int, one)) for one in ids], [str(text) for text in known[name].detokenize(ids)]]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    os.environ.update(KERAS_BACKEND="torch", CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3")
    main(Path(sys.argv[1]))
