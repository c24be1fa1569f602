"""What becomes of a text before an encoder reads it: prompts in front, special tokens around it, the end cut off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ConfigError, TokenizerError
from .sentence_modules import LIMITS, SETTINGS, read_settings
from .tokenizer import Tokenizer


@dataclass(frozen=True)
class Framing:
    """How texts are read.

    Attributes:
        context_length: tokens of a text that are read, those around it included.
        before, behind: ids that stand around every text.
        prompts: texts that can be put in front, by name.
        default_prompt: the one that is taken where none is asked for; None for none.
        dimensions: to which vectors are cut where nothing else is asked for; None for all.
    """

    context_length: int
    before: Sequence[int] = ()
    behind: Sequence[int] = ()
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    dimensions: int | None = None

    def prompt(self, name: str | None) -> str:
        """The text of that name; of the default one for None, and none for ""."""
        name = self.default_prompt if name is None else name
        if not name:
            return ""
        if name not in self.prompts:
            raise ValueError(f"there is no prompt {name!r}; this model has: {', '.join(self.prompts) or 'none'}")
        return self.prompts[name]

    def ids(self, tokenizer: Tokenizer, text: str) -> list[int]:
        """What the model reads of a text: its beginning, where it is too long, as sentence-transformers has it."""
        room = self.context_length - len(self.before) - len(self.behind)
        return [*self.before, *tokenizer.encode(text)[:room], *self.behind]


def read_framing(folder: Path, longest: int, width: int) -> Framing:
    """The framing of a sentence-transformers folder.

    Args:
        longest: positions that the model has.
        width: of its vectors.

    Raises:
        ConfigError, TokenizerError: a file is damaged, or asks for what is not supported.
    """
    said, limits = read_settings(folder, SETTINGS), read_settings(folder, LIMITS)
    tokens = read_settings(folder, "tokenizer_config.json")
    if limits.get("do_lower_case"):
        raise ConfigError(f"{folder / LIMITS}: do_lower_case is not supported")
    if tokens.get("truncation_side", "right") != "right":
        raise ConfigError(f"{folder / 'tokenizer_config.json'}: truncation_side {tokens['truncation_side']!r} is not supported")
    before, behind = _around(folder)
    given = limits.get("max_seq_length") or tokens.get("model_max_length") or longest
    if isinstance(given, bool) or not isinstance(given, int | float) or given <= len(before) + len(behind):
        raise ConfigError(f"{folder}: texts of {given!r} tokens have no room for any text")
    prompts, default, dimensions = said.get("prompts") or {}, said.get("default_prompt_name"), said.get("truncate_dim")
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise ConfigError(f"{folder / SETTINGS}: prompts must be texts by name, received {prompts!r}")
    if default is not None and default not in prompts:
        raise ConfigError(f"{folder / SETTINGS}: default_prompt_name is {default!r}, which is none of {', '.join(prompts)}")
    if dimensions is not None and (not isinstance(dimensions, int) or not 1 <= dimensions <= width):
        raise ConfigError(f"{folder / SETTINGS}: truncate_dim must be a whole number up to {width}, received {dimensions!r}")
    return Framing(int(min(given, longest)), before, behind, prompts, default, dimensions)


def _around(folder: Path) -> tuple[list[int], list[int]]:
    """Ids that the template in `tokenizer.json` puts before and behind a text."""
    from tokenizers import Tokenizer as Library

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise TokenizerError(f"{folder}: holds no tokenizer.json, which says what an encoder reads around a text")
    found = Library.from_file(str(path)).encode("a")
    ordinary = [place for place, added in enumerate(found.special_tokens_mask) if not added]
    if not ordinary:
        raise TokenizerError(f"{path}: has no token for the letter a, so what it puts around a text cannot be told")
    return found.ids[: ordinary[0]], found.ids[ordinary[-1] + 1 :]
