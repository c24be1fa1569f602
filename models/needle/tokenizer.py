"""Needle's tokenizer: a SentencePiece-style BPE kept as a blob in the container (spec §1.8 and §2).

Encoding runs on Hugging Face `tokenizers`, rebuilt from the pieces. Decoding goes through the bytes of the pieces:
the library's own decoder differs from the reference on byte runs that are not UTF-8.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ..errors import TokenizerError
from ..tokenizer import BytesStreamDecoder

if TYPE_CHECKING:
    import tokenizers

_HEAD = struct.Struct("<5IBBH")
_PIECE = struct.Struct("<fBH")
_NORMAL, _UNKNOWN, _CONTROL, _MARKER, _BYTE = range(5)
_SPACE = "▁"


class NeedleTokenizer:
    """The tokenizer of a Needle container.

    Args:
        blob: The container's tokenizer payload.

    Raises:
        TokenizerError: The blob is truncated or damaged.
    """

    def __init__(self, blob: bytes) -> None:
        pieces, types, ids = _parse(blob)
        self.pieces: tuple[str, ...] = tuple(pieces)
        self._types = types
        self.vocab_size = len(pieces)
        self.pad_id, self.eos_id, self.bos_id, self.unk_id = ids
        self.eos_ids: tuple[int, ...] = (self.eos_id,)
        self.special_ids = frozenset(i for i, t in enumerate(types) if t in (_UNKNOWN, _CONTROL, _MARKER))
        self._bytes = [_piece_bytes(piece, t) for piece, t in zip(pieces, types)]
        self._markers = {piece: i for i, (piece, t) in enumerate(zip(pieces, types)) if t in (_CONTROL, _MARKER)}

    @cached_property
    def _bpe(self) -> tokenizers.Tokenizer:
        from tokenizers import AddedToken, Tokenizer, models, normalizers

        vocab = {piece: i for i, piece in enumerate(self.pieces)}
        model = models.BPE(vocab=vocab, merges=_merges(self.pieces, self._types), byte_fallback=True, fuse_unk=False)
        bpe = Tokenizer(model)
        bpe.normalizer = normalizers.Replace(" ", _SPACE)
        bpe.add_tokens(
            [
                AddedToken(piece, normalized=False, special=False)
                for piece, kind in zip(self.pieces, self._types)
                if kind == _MARKER
            ]
        )
        return bpe

    @cached_property
    def _plain(self) -> tokenizers.Tokenizer:
        """The same model without the markers."""
        from tokenizers import Tokenizer

        plain = Tokenizer(self._bpe.model)
        plain.normalizer = self._bpe.normalizer
        return plain

    def encode(self, text: str, *, markers: bool = True) -> list[int]:
        """Ids of `text`, without BOS.

        Args:
            text: Any text that has a UTF-8 form.
            markers: Whether markers such as `<tool_call>` are recognised, anywhere in the text. Without, they are
                spelt out in ordinary pieces, which decode to the same text.

        Raises:
            TokenizerError: The text holds a lone surrogate, which has no UTF-8 form.
        """
        if not text:
            return []
        try:
            return (self._bpe if markers else self._plain).encode(text, add_special_tokens=False).ids
        except (UnicodeEncodeError, TypeError) as error:
            raise TokenizerError(f"cannot encode the text: {error}; replace what is not valid Unicode") from error

    def decode(self, ids: Sequence[int]) -> str:
        """Text of any list of ids; invalid UTF-8 becomes U+FFFD, control ids become nothing."""
        data = b"".join([self._bytes[i] for i in ids])
        return _finish(data.decode("utf-8", errors="replace"))

    def token_bytes(self, token: int) -> bytes:
        """Bytes of one token's text (▁ as space); `b""` for control and unknown."""
        return self._bytes[token]

    def id_of(self, piece: str) -> int:
        """Id of a marker or control piece; KeyError when there is none of that name."""
        return self._markers[piece]

    def stream_decoder(self) -> BytesStreamDecoder:
        """A fresh decoder for one stream of ids."""
        return BytesStreamDecoder(self._bytes.__getitem__, _finish)


def _finish(text: str) -> str:
    # ▁ spelt in byte pieces is a space too
    return text.replace(_SPACE, " ")


def _piece_bytes(piece: str, kind: int) -> bytes:
    if kind == _BYTE:
        return bytes([int(piece[3:-1], 16)])
    return b"" if kind in (_UNKNOWN, _CONTROL) else piece.replace(_SPACE, " ").encode()


def _parse(blob: bytes) -> tuple[list[str], list[int], tuple[int, int, int, int]]:
    """Pieces, their types and the ids (pad, eos, bos, unk)."""
    damaged = "the tokenizer data is damaged ({}); fetch the weights again"
    try:
        count, pad, eos, bos, unk, dummy_prefix, byte_fallback, _ = _HEAD.unpack_from(blob)
        pieces, types, at = [], [], _HEAD.size
        unpack = _PIECE.unpack_from
        for _ in range(count):
            _, kind, size = unpack(blob, at)
            at += 7
            pieces.append(blob[at : at + size].decode())
            types.append(kind)
            at += size
    except (struct.error, UnicodeDecodeError) as error:
        raise TokenizerError(damaged.format(f"{type(error).__name__}: {error}")) from error
    if at != len(blob) or max(pad, eos, bos, unk) >= count or len(set(pieces)) != count or set(types) - set(range(5)):
        raise TokenizerError(damaged.format("sizes, ids or pieces are inconsistent"))
    if dummy_prefix or not byte_fallback:
        raise TokenizerError("tokenizers with a dummy prefix or without byte fallback are not supported")
    if sorted(piece for piece, kind in zip(pieces, types) if kind == _BYTE) != [f"<0x{i:02X}>" for i in range(256)]:
        raise TokenizerError(damaged.format("the 256 byte pieces are incomplete"))
    return pieces, types, (pad, eos, bos, unk)


def _merges(pieces: Sequence[str], types: Sequence[int]) -> list[tuple[str, str]]:
    """Merge list that reproduces "join the pair whose concatenation has the smallest id".

    For each piece in id order, every split into two pieces, ordered by the ids of the halves.
    """
    ids = {piece: i for i, (piece, kind) in enumerate(zip(pieces, types)) if kind == _NORMAL}
    merges = []
    for piece in ids:
        splits = [
            (left, right) for cut in range(1, len(piece)) if (left := piece[:cut]) in ids and (right := piece[cut:]) in ids
        ]
        if len(splits) > 1:
            splits.sort(key=lambda split: (ids[split[0]], ids[split[1]]))
        merges += splits
    return merges
