"""Presets of KerasHub: folders of `config.json`, Keras weights, `tokenizer.json` and `assets/tokenizer`.

Configuration and tokenizer are written anew as Hugging Face's files and read as those are, so a model that came from KerasHub
is saved as a Hugging Face folder like any other. Which class a `config.json` is of stands in it under `registered_name`.

KerasHub 0.32 means to cut a text into words before it merges bytes, by Llama 3's expression, but hands that over as a text to
look for (outside TensorFlow graphs). Here texts are cut, as the published models learnt them.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..agents.dialects import dialect_of
from ..core import Backend
from ..models.errors import TokenizerError
from ..models.families import build
from ..models.families.keras_hub import load_keras_weights, translated
from ..models.hugging_face_tokenizer import read_tokenizer
from ..models.keras_weights import KerasWeights
from ..models.language_model import LanguageModel
from .checkpoints import Source, check_element_type, read_config

PIECES, VOCABULARY, MERGES = "vocabulary.spm", "vocabulary.json", "merges.txt"
ASSETS = tuple(f"assets/tokenizer/{name}" for name in (PIECES, VOCABULARY, MERGES))


def is_keras_preset(folder: Path) -> bool:
    """Whether a folder's `config.json` is one of Keras."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(config, dict) and "registered_name" in config


def load_keras_preset(
    folder: Path, backend: Backend, title: str | None = None, dtype: str = "float32", dialect: str | None = None
) -> LanguageModel:
    """The model of a KerasHub preset, with weights and caches in that element type: "float32", "bfloat16" or "float16".

    Raises:
        ElementTypeError: the backend does not compute in it.
        ConfigError, WeightsError, TokenizerError: that part of it is missing, damaged or not supported.
    """
    check_element_type(dtype)
    found, source = read_config(folder), str(folder / "config.json")
    build(translated(found, source), source)  # what cannot be run is said before its weights are opened
    with KerasWeights(folder) as weights:
        config = translated(found, source, weights)
        module = load_keras_weights(build(config, source), weights, backend, dtype, f"the weights of {folder}")
    files = tokenizer_files(folder, module.config.vocab)
    tokenizer = read_tokenizer(files, folder, module.config.vocab)
    module.source = Source(folder, MappingProxyType(config), files)
    dialect = dialect or dialect_of(tokenizer, type(module).dialect)
    return LanguageModel(title or folder.name, module, tokenizer, backend, module.config.max_positions, dialect)


@dataclass(frozen=True)
class _Kind:
    """A tokenizer class of KerasHub.

    Attributes:
        bos: what a text begins with; None where it begins with nothing.
        ends: what a text or a turn ends with, of which the first must be there.
        library: the class that `transformers` reads its files with.
        pad: None where it has none of its own.
    """

    bos: str | None
    ends: tuple[str, ...]
    library: str
    pad: str | None = None


_PIECES = {
    "GemmaTokenizer": _Kind("<bos>", ("<eos>", "<end_of_turn>"), "GemmaTokenizer", "<pad>"),
    "Gemma3Tokenizer": _Kind("<bos>", ("<eos>", "<end_of_turn>"), "GemmaTokenizer", "<pad>"),
    "LlamaTokenizer": _Kind("<s>", ("</s>",), "LlamaTokenizer"),
    "MistralTokenizer": _Kind("<s>", ("</s>",), "LlamaTokenizer"),
}
_PAIRS = {
    "Llama3Tokenizer": _Kind("<|begin_of_text|>", ("<|end_of_text|>", "<|eot_id|>", "<|eom_id|>"), "PreTrainedTokenizerFast"),
    "MistralTekkenTokenizer": _Kind("<s>", ("</s>",), "PreTrainedTokenizerFast"),
    "QwenTokenizer": _Kind(None, ("<|endoftext|>", "<|im_end|>"), "PreTrainedTokenizerFast", "<|endoftext|>"),
    "Qwen3Tokenizer": _Kind(None, ("<|im_end|>", "<|endoftext|>"), "PreTrainedTokenizerFast", "<|endoftext|>"),
}
# Of the tokens that are found in a text as a whole, those that stand for no text: <|eot_id|>, <start_of_turn>, [INST]
_MARKER = re.compile(r"<\|.+\|>|<(start|end)_[a-z_]+>|<escape>|\[/?[A-Z_]+\]")
# How Llama 3 cuts a text into words (https://github.com/meta-llama/llama3, tokenizer.py); Qwen differs in digits alone
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def tokenizer_files(folder: Path, rows: int) -> dict[str, bytes]:
    """The tokenizer of a KerasHub preset as the files of a Hugging Face folder.

    Args:
        rows: of the model's embedding.

    Raises:
        TokenizerError: it is missing, damaged, not supported, or does not belong to the model.
    """
    path = folder / "tokenizer.json"
    settings = _read_object(path)
    name, config = settings.get("class_name"), settings.get("config")
    known = {**_PIECES, **_PAIRS}
    if name not in known or not isinstance(config, dict):
        near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5) or list(known)
        raise TokenizerError(f"{path}: KerasHub's {name} is not supported; the nearest supported ones are {', '.join(near)}")
    kind = known[name]
    if name in _PIECES:
        main, data, ids, special = _of_pieces(folder / "assets" / "tokenizer" / PIECES)
    else:
        main, data, ids, special = _of_pairs(folder / "assets" / "tokenizer", config, kind, rows)
    lacking = [text for text in (kind.bos, kind.ends[0]) if text is not None and text not in ids]
    if lacking:
        raise TokenizerError(f"{folder}: the vocabulary lacks {lacking[0]!r}, which a {name} needs")
    named = {"bos_token": kind.bos, "eos_token": kind.ends[0], "pad_token": kind.pad}
    begins = kind.bos is not None and _adds_start(folder)
    tokens = {
        **{field: text for field, text in named.items() if text in ids},
        "added_tokens_decoder": {str(ids[text]): _added(text, special[text]) for text in sorted(special, key=ids.get)},
        "add_bos_token": begins,
        "tokenizer_class": kind.library,
    }
    ends = {"eos_token_id": [ids[text] for text in kind.ends if text in ids]}
    ends |= {"bos_token_id": ids[kind.bos]} if begins else {}
    return {main: data, "tokenizer_config.json": _json(tokens), "generation_config.json": _json(ends)}


def _of_pieces(path: Path) -> tuple[str, bytes, dict[str, int], dict[str, bool]]:
    """A SentencePiece model; its ids by piece, and its markers with whether they stand for no text."""
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError:
        raise TokenizerError(f"{path}: needs sentencepiece, which is not installed: pip install sentencepiece") from None
    data = _read(path)
    try:
        pieces = SentencePieceProcessor(model_proto=data) if data else None
    except RuntimeError:
        pieces = None
    if pieces is None:
        raise TokenizerError(f"{path}: no SentencePiece model")
    ids = {pieces.id_to_piece(i): i for i in range(pieces.get_piece_size())}
    markers = {piece: True for piece, i in ids.items() if pieces.is_control(i) or _MARKER.fullmatch(piece)}
    return "tokenizer.model", data, ids, markers


def _of_pairs(
    folder: Path, config: Mapping[str, Any], kind: _Kind, rows: int
) -> tuple[str, bytes, dict[str, int], dict[str, bool]]:
    """Byte-level BPE (Radford et al. 2019), of which KerasHub keeps tokens and merges apart; as `_of_pieces`."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    ids = _read_object(folder / VOCABULARY)
    where = folder / VOCABULARY
    if not all(type(number) is int and 0 <= number < rows for number in ids.values()):
        wrong = next(text for text, number in ids.items() if type(number) is not int or not 0 <= number < rows)
        raise TokenizerError(f"{where}: token {wrong!r} is number {ids[wrong]!r}, and the model has {rows} rows")
    if len(set(ids.values())) != len(ids):
        raise TokenizerError(f"{where}: two tokens have the same number")
    try:
        lines = [line.rstrip() for line in _read(folder / MERGES).decode("utf-8").split("\n")]
        merges = [tuple(line.split(" ")) for line in lines if line and "#version:" not in line]
        words = config.get("split_pattern") or _WORDS
        found = Tokenizer(models.BPE(vocab=ids, merges=merges))
        found.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(words), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=bool(config.get("add_prefix_space")), use_regex=False),
            ]
        )
    except Exception as error:  # the library raises plain Exception for what it cannot build
        raise TokenizerError(f"{folder}: no byte-level BPE: {str(error).splitlines()[0]}") from None
    found.decoder = decoders.ByteLevel()
    whole = config.get("unsplittable_tokens") or []
    if not isinstance(whole, list) or not all(isinstance(text, str) and text in ids for text in whole):
        raise TokenizerError(f"{folder}: unsplittable_tokens must be a list of tokens of {VOCABULARY}, received {whole!r}")
    always = [text for text in (kind.bos, *kind.ends, kind.pad) if text in ids]
    markers = {text: text in always or bool(_MARKER.fullmatch(text)) for text in (*whole, *always)}
    ordered = sorted(markers, key=ids.__getitem__)
    found.add_tokens([AddedToken(text, special=markers[text], normalized=False) for text in ordered])
    return "tokenizer.json", found.to_str().encode(), ids, markers


def _adds_start(folder: Path) -> bool:
    """Whether `preprocessor.json`, where there is one, puts BOS before a text."""
    path = folder / "preprocessor.json"
    config = _read_object(path).get("config") if path.is_file() else None
    return not isinstance(config, dict) or config.get("add_start_token") is not False


def _added(text: str, special: bool) -> dict[str, Any]:
    return {"content": text, "special": special, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TokenizerError(f"{path}: cannot be read: {error.strerror or error}") from None


def _read_object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_read(path))
    except (ValueError, RecursionError):
        raise TokenizerError(f"{path}: no JSON") from None
    if not isinstance(found, dict):
        raise TokenizerError(f"{path}: no JSON object")
    return found


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
