"""Tokenizers of Hugging Face folders: `tokenizer.json`, or a SentencePiece `tokenizer.model`.

Encoding runs on the libraries that define these formats. Decoding goes through the bytes of the tokens, which grammars and
streams need exactly; for whole texts it gives what the libraries give.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

from .errors import TokenizerError
from .tokenizer import BytesStreamDecoder

_LOG = logging.getLogger(__name__)
_SPACE = "▁"
_FEWEST = 0.75  # of a model's rows that its own tokenizer has tokens for; rows are padded, but not by so much
_MOST_UNUSED = 1 << 16  # ids between those of a tokenizer's tokens, where no model says how many there are


class HuggingFaceTokenizer:
    """The tokenizer of a folder; see `load_tokenizer`.

    Args:
        encoder: gives the ids of a text, with or without the markers in it.
        bytes_of: bytes of each token, by id.
        special: markers and control tokens, text to id.
        control: ids that have no text.
        bos_id: what model input begins with, where it begins with anything.
        eos_ids: after which nothing more is generated.
        strips: a text's first space was put there by the tokenizer, and goes when it is decoded.
    """

    def __init__(
        self,
        encoder: Any,
        bytes_of: Sequence[bytes],
        special: Mapping[str, int],
        control: frozenset[int],
        bos_id: int | None,
        eos_ids: Sequence[int],
        strips: bool = False,
    ):
        self._encoder = encoder
        self._bytes = list(bytes_of)
        self._markers = dict(special)
        self.vocab_size = len(self._bytes)
        self.special_ids = frozenset(self._markers.values()) | control
        self._control = control
        self.bos_id = bos_id
        self.eos_ids = tuple(eos_ids)
        self._strips = strips

    def encode(self, text: str, *, markers: bool = True) -> list[int]:
        """Ids of `text`, without BOS.

        Args:
            text: any text that has a UTF-8 form.
            markers: whether markers such as ``<start_of_turn>`` are recognised in the text; without, they are spelt out.

        Raises:
            TokenizerError: the text holds a lone surrogate, which has no UTF-8 form.
        """
        if not text:
            return []
        try:
            return self._encoder.encode(text, markers)
        except (UnicodeEncodeError, TypeError) as error:
            raise TokenizerError(f"cannot encode the text: {error}; replace what is not valid Unicode") from error

    def decode(self, ids: Sequence[int]) -> str:
        """Text of any list of ids; bytes that are not UTF-8 become U+FFFD, control tokens become nothing."""
        text = b"".join([self.token_bytes(i) for i in ids]).decode("utf-8", errors="replace")
        return text[1:] if self._strips and text.startswith(" ") else text

    def token_bytes(self, token: int) -> bytes:
        """Bytes of one token's text; ``b""`` for control tokens."""
        return b"" if token in self._control else self._bytes[token]

    def id_of(self, piece: str) -> int:
        """Id of a marker or control token; KeyError when there is none of that name."""
        return self._markers[piece]

    def stream_decoder(self) -> BytesStreamDecoder:
        """A fresh decoder for one stream of ids."""
        return BytesStreamDecoder(self.token_bytes)


def load_tokenizer(folder: str | os.PathLike[str], vocab: int | None = None) -> HuggingFaceTokenizer:
    """The tokenizer of a folder: `tokenizer.json`, else `tokenizer.model`.

    Args:
        folder: also holds `tokenizer_config.json`, `generation_config.json` or `config.json`, which name the special tokens.
        vocab: rows of the model's embedding; ids beyond the tokenizer's own stand for nothing. A marker beyond the rows is text
            like any other: Gemma 3's text models come with the tokenizer of those that see, which has one for images.

    Raises:
        TokenizerError: there is no tokenizer, it is damaged, or it has more tokens than the model has rows.
    """
    folder = Path(folder)
    names = ("config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json", "tokenizer.model")
    files = {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
    return read_tokenizer(files, folder, vocab)


def read_tokenizer(files: Mapping[str, bytes], folder: Path, vocab: int | None = None) -> HuggingFaceTokenizer:
    """As `load_tokenizer`, of files that were read already; `folder` is where messages say that they are."""
    settings = {
        name: _read_json(files.get(f"{name}.json"), folder / f"{name}.json")
        for name in ("config", "generation_config", "tokenizer_config")
    }
    path = folder / ("tokenizer.json" if "tokenizer.json" in files else "tokenizer.model")
    if "tokenizer.json" in files:
        read = _fast(files["tokenizer.json"], path, vocab)
    elif "tokenizer.model" in files:
        read = _sentencepiece(files["tokenizer.model"], path, settings["tokenizer_config"], vocab)
    else:
        raise TokenizerError(f"{folder}: holds neither tokenizer.json nor tokenizer.model")
    spelt, control = read.spelt, read.control
    if vocab is not None:
        if len(read.pieces) < _FEWEST * vocab:
            _LOG.warning(
                "%s: the tokenizer has %d tokens and the model %d rows; if they do not belong together, fetch the files again",
                *(path, len(read.pieces), vocab),
            )
        control |= frozenset(range(len(spelt), vocab))
        spelt = spelt + [b""] * (vocab - len(spelt))
    named = {which: _text(settings["tokenizer_config"].get(f"{which}_token")) for which in ("bos", "eos")}
    for which, text in named.items():
        if text is not None and not (isinstance(text, str) and text in read.pieces):
            where = folder / "tokenizer_config.json"
            raise TokenizerError(f"{where}: {which}_token is {text!r:.80}, which is no token of the tokenizer")
    ids = {which: read.pieces[text] for which, text in named.items() if text is not None}
    for name in ("generation_config", "config"):
        source = settings[name]
        for which in ("bos", "eos"):
            number = source.get(f"{which}_token_id")
            if number is not None:
                _check_ids(number, len(spelt) if which == "eos" else None, f"{folder / name}.json: {which}_token_id")
                ids.setdefault(f"{which}_ids", number)
    stops = ids.get("eos_ids", ids.get("eos", []))
    stops = list(stops) if isinstance(stops, list | tuple) else [stops]
    if "eos" in ids and ids["eos"] not in stops:
        stops.append(ids["eos"])
    begins = _begins(settings["tokenizer_config"], read, ids.get("bos"))
    bos = ids.get("bos", ids.get("bos_ids")) if begins is not False else None
    outside = [i for i in (*stops, *([] if bos is None else [bos])) if not 0 <= i < len(spelt)]
    if outside:
        raise TokenizerError(f"{folder}: token {outside[0]} is named as special, but there are {len(spelt)} tokens")
    return HuggingFaceTokenizer(read.encoder, spelt, read.special, control, bos, stops, read.strips)


def _check_ids(found: Any, count: int | None, name: str) -> None:
    """TokenizerError where one of these is no token of so many; `name` is the file's and the field's."""
    for number in found if isinstance(found, list) else [found]:
        if isinstance(number, bool) or not isinstance(number, int):
            raise TokenizerError(f"{name} must be a whole number, or a list of them, received {found!r:.80}")
        if count is not None and not 0 <= number < count:
            raise TokenizerError(f"{name} is {number}, but the tokens are 0 to {count - 1}")


def _begins(settings: dict[str, Any], read: _Read, bos: int | None) -> bool:
    """Whether texts begin with BOS, as in transformers: by the settings, the post-processor, or the tokenizer's class."""
    told = settings.get("add_bos_token")
    if told is not None:
        return told is not False
    if read.begins is not None:
        return read.begins == bos
    plain = str(settings.get("tokenizer_class", "")).startswith(_WITHOUT_BOS)
    return bos is not None and not plain


def _read_json(data: bytes | None, path: Path) -> dict[str, Any]:
    if data is None:
        return {}
    try:
        found = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise TokenizerError(f"{path}: no JSON: {error}") from None
    if not isinstance(found, dict):
        raise TokenizerError(f"{path}: no JSON object, received {found!r:.80}")
    return found


def _text(token: Any) -> Any:
    """A special token is named by its text, or by an object that holds it."""
    return token.get("content") if isinstance(token, dict) else token


class _FastEncoder:
    """`tokenizers`, with and without the markers of the text."""

    def __init__(self, tokenizer: Any, plain: Any):
        self._tokenizer, self._plain = tokenizer, plain

    def encode(self, text: str, markers: bool) -> list[int]:
        return (self._tokenizer if markers else self._plain).encode(text, add_special_tokens=False).ids


_WITHOUT_BOS = ("PreTrainedTokenizerFast", "Qwen2", "GPT2", "GPTNeoX")
"""Beginnings of the names of tokenizer classes that put nothing first unless a post-processor does."""


class _Read(NamedTuple):
    """What a file says: see the arguments of `HuggingFaceTokenizer`; and the ids of all its tokens by text."""

    encoder: Any
    spelt: list[bytes]
    special: dict[str, int]
    control: frozenset[int]
    strips: bool
    pieces: Mapping[str, int]
    begins: int | None = None  # the id that the post-processor puts first; -1 where it puts none


def _fast(file: bytes, path: Path, vocab: int | None) -> _Read:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(file)
        tokens, plain = tokenizer.get_added_tokens_decoder(), _without_markers(tokenizer)
        if vocab is not None and max(tokens, default=0) >= vocab:
            tokens = {number: token for number, token in tokens.items() if number < vocab}
            tokenizer = _without_markers(tokenizer)
            tokenizer.add_tokens([tokens[number] for number in sorted(tokens)])
        pieces = tokenizer.get_vocab(with_added_tokens=True)
        decoder = {} if tokenizer.decoder is None else json.loads(tokenizer.decoder.__getstate__())
    except Exception as error:  # the library raises plain Exception for what it cannot read
        raise TokenizerError(f"{path}: no tokenizer: {error}") from None
    added = {token.content: number for number, token in tokens.items()}
    if any(pieces.get(text) != number for text, number in added.items()):
        raise TokenizerError(f"{path}: its markers beyond the model's {vocab} rows cannot be left out; fetch the files again")
    control = frozenset(number for number, token in tokens.items() if token.special)
    for each in (tokenizer, plain):
        each.no_truncation()
        each.no_padding()
    kinds = _decoders(decoder)
    highest = max(pieces.values(), default=-1)
    _check_range(path, highest, len(pieces), vocab)
    spelt = [b""] * (highest + 1)
    of_bytes = _byte_alphabet() if "ByteLevel" in kinds else None
    for piece, number in pieces.items():
        spelt[number] = piece.encode() if piece in added else _piece_bytes(piece, of_bytes, "ByteFallback" in kinds)
    begins = None
    if tokenizer.post_processor is not None:
        ids = tokenizer.encode("a", add_special_tokens=True).ids
        begins = ids[0] if ids[:1] != tokenizer.encode("a", add_special_tokens=False).ids[:1] else -1
    return _Read(_FastEncoder(tokenizer, plain), spelt, added, control, "Strip" in kinds, pieces, begins)


def _check_range(path: Path, highest: int, count: int, vocab: int | None) -> None:
    """Before a place is made for every id."""
    if vocab is not None and highest >= vocab:
        raise TokenizerError(
            f"{path}: the tokenizer has ids up to {highest} and the model {vocab} rows; they do not belong together"
        )
    if highest >= 2 * count + _MOST_UNUSED:
        raise TokenizerError(f"{path}: the tokenizer has {count} tokens and ids up to {highest}; it is damaged")


def _without_markers(tokenizer: Any) -> Any:
    """One with the same vocabulary, which is not read again (that takes seconds where it is large), and no added tokens."""
    plain = type(tokenizer)(tokenizer.model)
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        if getattr(tokenizer, part) is not None:
            setattr(plain, part, getattr(tokenizer, part))
    return plain


def _decoders(decoder: Any) -> set[str]:
    """Kinds of a decoder and of those inside it."""
    if not isinstance(decoder, dict):
        return set()
    inside = [_decoders(part) for part in decoder.get("decoders", [])]
    return {str(decoder.get("type"))}.union(*inside)


def _byte_alphabet() -> dict[str, int]:
    """The characters that byte-level BPE writes bytes as (Radford et al. 2019): printable ones as themselves."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def _piece_bytes(piece: str, of_bytes: Mapping[str, int] | None, falls_back: bool) -> bytes:
    if of_bytes is not None:
        return bytes(of_bytes[c] for c in piece) if all(c in of_bytes for c in piece) else piece.encode()
    if falls_back and len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        return bytes([int(piece[3:5], 16)])
    return piece.replace(_SPACE, " ").encode()


class _PieceEncoder:
    """SentencePiece, with markers cut out of the text before it sees it; `plain` knows no markers."""

    def __init__(self, processor: Any, plain: Any, markers: Mapping[str, int]):
        import re

        self._processor, self._plain, self._markers = processor, plain, markers
        longest_first = sorted(markers, key=len, reverse=True)
        self._cut = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")") if markers else None

    def encode(self, text: str, markers: bool) -> list[int]:
        text.encode()  # SentencePiece would drop a lone surrogate in silence
        if not markers:
            return list(self._plain.encode(text))
        if self._cut is None:
            return list(self._processor.encode(text))
        ids: list[int] = []
        for part in self._cut.split(text):
            if part in self._markers:
                ids.append(self._markers[part])
            elif part:
                ids += self._processor.encode(part)
        return ids


def _without_symbols(model: bytes, symbols: Set[str]) -> bytes:
    """A SentencePiece model that spells these pieces out, even where they are symbols which it takes whole.

    The file is a protocol buffer whose field 1 is one piece after the other: text (field 1), score and type (field 3, of which
    the last one counts). Pieces of the type CONTROL are never found in a text.
    """
    parts, position = [], 0
    while position < len(model):
        start = position
        tag, position = _varint(model, position)
        if tag & 7 == 2:
            length, position = _varint(model, position)
            body, position = model[position : position + length], position + length
            if tag >> 3 == 1 and body[:1] == b"\n":
                size, text = _varint(body, 1)
                if body[text : text + size].decode("utf-8", "replace") in symbols:
                    body += b"\x18\x03"
                    parts.append(b"\n" + _as_varint(len(body)) + body)
                    continue
        else:
            position = _varint(model, position)[1] if tag & 7 == 0 else position + (8 if tag & 7 == 1 else 4)
        parts.append(model[start:position])
    return b"".join(parts)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """The number that begins there, and where it ends."""
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position


def _as_varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _added(settings: Mapping[str, Any], path: Path) -> tuple[dict[str, int], set[int]]:
    """Ids of the tokens that `tokenizer_config.json` adds, by text, and which of them have no text."""
    try:
        found = {int(number): dict(entry) for number, entry in (settings.get("added_tokens_decoder") or {}).items()}
        markers = {str(entry["content"]): number for number, entry in found.items()}
        if min(found, default=0) < 0:
            raise ValueError
    except (AttributeError, KeyError, TypeError, ValueError):
        raise TokenizerError(f"{path}: added_tokens_decoder must hold an object with content for each id") from None
    return markers, {number for number, entry in found.items() if entry.get("special")}


def _sentencepiece(model: bytes, path: Path, settings: Mapping[str, Any], vocab: int | None) -> _Read:
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError:
        raise TokenizerError(f"{path}: needs sentencepiece, which is not installed: pip install sentencepiece") from None
    try:
        if not model:
            raise OSError("the file is empty")
        processor = SentencePieceProcessor(model_proto=model)
    except (RuntimeError, OSError) as error:
        raise TokenizerError(f"{path}: no SentencePiece model: {str(error).splitlines()[0]}") from None
    count = processor.get_piece_size()
    spelt, special, control, found = [], {}, set(), {}
    for number in range(count):
        piece = processor.id_to_piece(number)
        found[piece] = number
        spelt.append(_piece_bytes(piece, None, processor.is_byte(number)))
        if processor.is_control(number) or processor.is_unknown(number):
            special[piece] = number
            control.add(number)
    markers, hidden = _added(settings, path.with_name("tokenizer_config.json"))
    _check_range(path, max([count - 1, *markers.values()]), count + len(markers), vocab)
    for text, number in markers.items():
        spelt += [b""] * (number + 1 - len(spelt))
        spelt[number] = text.encode()
        special[text] = number
    control |= hidden
    # A dummy prefix is put before every text, so that a word at its beginning is the word that it is elsewhere
    first = processor.encode("a")
    strips = bool(first) and processor.id_to_piece(first[0]).startswith(_SPACE)
    symbols = {text for text, number in markers.items() if number < count}
    try:
        plain = SentencePieceProcessor(model_proto=_without_symbols(model, symbols)) if symbols else processor
    except (RuntimeError, IndexError):
        raise TokenizerError(f"{path}: no SentencePiece model: its pieces cannot be told apart") from None
    encoder = _PieceEncoder(processor, plain, {t: n for t, n in special.items() if t in markers})
    return _Read(encoder, spelt, special, frozenset(control), strips, {**found, **special})
