"""What every tokenizer offers to the token loop, the grammar and the dialects.

`BytesStreamDecoder` is the one incremental decoder: every tokenizer knows the bytes of its tokens, so text can be
given out as soon as its last byte has arrived and never in halves of a character.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable


class StreamDecoder(Protocol):
    """Turns a stream of token ids into a stream of text without ever giving out half a character."""

    def push(self, token: int) -> str:
        """The text that became complete with this token; often, but not always, the token's own text."""
        ...

    def flush(self) -> str:
        """The rest at the end of the stream: unfinished bytes become U+FFFD."""
        ...


@runtime_checkable
class Tokenizer(Protocol):
    """Text to token ids and back. Ids are 0 … vocab_size − 1."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def bos_id(self) -> int | None:
        """Id that model input begins with; `encode` does not add it."""
        ...

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Ids after which nothing more is generated."""
        ...

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids that are markers, control or unknown: structure, never the user's text."""
        ...

    def encode(self, text: str, *, markers: bool = True) -> list[int]:
        """Ids of `text`, without BOS. With `markers=False` a marker in the text is spelt out as ordinary text."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of any list of ids; bytes that are not UTF-8 become U+FFFD."""
        ...

    def token_bytes(self, token: int) -> bytes:
        """Byte-exact text of one token; `b""` for control tokens."""
        ...

    def id_of(self, piece: str) -> int:
        """Id of a marker such as `<tool_call>`; KeyError when there is none of that name."""
        ...

    def stream_decoder(self) -> StreamDecoder:
        """A fresh decoder for one stream of ids."""
        ...


class BytesStreamDecoder:
    """Stream decoder over the bytes of tokens.

    Args:
        token_bytes: Gives the bytes of a token.
        finish: Applied to every complete piece of text (a tokenizer's last replacement, such as ▁ to space).
    """

    def __init__(self, token_bytes: Callable[[int], bytes], finish: Callable[[str], str] | None = None) -> None:
        self._token_bytes = token_bytes
        self._finish = finish
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        return self._done(self._decoder.decode(self._token_bytes(token)))

    def flush(self) -> str:
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return self._done(text)

    def _done(self, text: str) -> str:
        return text if self._finish is None else self._finish(text)
