"""A conversation with a model: history in, streamed answers out, and nothing read twice.

>>> conversation = Conversation(from_preset("hf://Qwen/Qwen3-0.6B"), system="Be brief.")
>>> reply = conversation.say("What is a ferrule?")
>>> for piece in reply:
...     print(piece, end="", flush=True)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..agents.dialects import get_dialect
from ..models import ContextLengthError, LanguageModel, make_sampler
from ..models.chat_template import ChatTemplate
from ..models.tokenizer import Tokenizer


@dataclass(frozen=True)
class Turn:
    """What was said and answered.

    Attributes:
        ids: tokens of the answer; the last one is the model's end of turn, where it came to one.
        system: instructions that the model had then.
    """

    said: str
    answer: str
    ids: tuple[int, ...]
    system: str = ""


class Prompts(Protocol):
    """How a conversation becomes ids.

    Attributes:
        stop_ids: end an answer.
    """

    stop_ids: frozenset[int]

    def prompt(self, system: str, turns: Sequence[Turn], said: str) -> tuple[list[int], int]:
        """Ids of everything before the answer, and how many of the first are worth keeping for later prompts."""
        ...

    def answered(self, turn: Turn) -> None:
        """The prompt of before was answered."""
        ...


class Conversation:
    """A model and what was said so far.

    Args:
        model: with a chat template, or else a dialect.
        system: system text; may be changed between turns.
        max_tokens: most tokens of one answer.
        temperature: 0 takes the likeliest token each time.
        sampling: top_k, top_p, min_p, seed; see `RandomSampler`.

    Attributes:
        turns: all of them, also those that the model's context has no room for any more.
        dropped: how many of the first the model does not get to see any more.
    """

    def __init__(
        self, model: LanguageModel, system: str = "", *, max_tokens: int = 512, temperature: float = 0.0, **sampling: Any
    ):
        self.model, self.system, self.max_tokens = model, system, max_tokens
        self._sampling = {"temperature": temperature, **sampling}
        template = model.chat_template
        self._prompts: Prompts = _Written(model) if template is None else _Templated(template, model.tokenizer)
        self.reset()

    def reset(self) -> None:
        """Forget what was said."""
        self.turns: list[Turn] = []
        self.dropped = 0
        self._sampler = make_sampler(**self._sampling)

    @property
    def messages(self) -> list[dict[str, str]]:
        """Everything that was said. A system text stands where it began to hold; an empty one ends another."""
        found, system = [], ""
        for turn in self.turns:
            found += _instructions(system, turn.system) + _messages(turn.said, turn.answer)
            system = turn.system
        return found + _instructions(system, self.system)

    def say(self, text: str) -> Reply:
        """The model's answer, which is written while the reply is iterated over; the turn counts once that has ended.

        Where the context gets too full for an answer, the oldest turns are dropped, until half of it is free.

        Raises:
            ContextLengthError: system text and this text alone do not fit the model's context.
            ChatTemplateError: the model's chat template does not take them.
        """
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # half characters have no UTF-8 form
        context = self.model.context_length
        kept = self.turns[self.dropped :]
        ids, pin = self._prompts.prompt(self.system, kept, text)
        if context - len(ids) < min(self.max_tokens, context // 4):
            while kept and len(ids) > context // 2:
                kept = kept[1:]
                ids, pin = self._prompts.prompt(self.system, kept, text)
        if len(ids) >= context:
            raise ContextLengthError(f"{len(ids)} tokens do not fit the model's context of {context}; say it in fewer words")
        dropped = len(self.turns) - len(kept) - self.dropped
        return Reply(self, text, ids, pin, dropped)


class Reply:
    """An answer on its way: iterate over it for its text, piece by piece, never half a character.

    Attributes:
        text: so far.
        ids: so far.
        stop_reason: "stop" (the model came to its end), "length" (max_tokens or the context), "interrupted"; None before.
        dropped: how many of the oldest turns had to be dropped for it.
        prompt_tokens: of everything before it.
        reused_tokens: of these, how many were not read again.
        seconds: of wall clock.
    """

    def __init__(self, conversation: Conversation, said: str, ids: list[int], pin: int, dropped: int):
        self.text = ""
        self.ids: list[int] = []
        self.stop_reason: str | None = None
        self.dropped = dropped
        self.prompt_tokens, self.reused_tokens, self.seconds = len(ids), 0, 0.0
        self._system = conversation.system
        self._interrupted = threading.Event()
        self._pieces = self._write(conversation, said, ids, pin)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._pieces)

    def interrupt(self) -> None:
        """End the answer after its next token; what was written stands. May be called from anywhere, a signal handler too."""
        self._interrupted.set()

    def _write(self, conversation: Conversation, said: str, ids: list[int], pin: int) -> Iterator[str]:
        began = time.perf_counter()
        model, prompts = conversation.model, conversation._prompts
        stream = model.stream_tokens(
            ids, max_tokens=conversation.max_tokens, sampler=conversation._sampler, stop_ids=tuple(prompts.stop_ids), pin=pin
        )
        self.reused_tokens = stream.usage.reused_tokens
        while not self._interrupted.is_set():
            token = next(stream, None)
            if token is None:
                break
            self.ids.append(token.id)
            self.seconds = time.perf_counter() - began
            text = token.text
            if token.id in prompts.stop_ids:  # an end of turn that has a text is none of the answer
                text = text.removesuffix(model.tokenizer.token_bytes(token.id).decode("utf-8", "replace"))
            self.text += text
            if text:
                yield text
        self.stop_reason = stream.stop_reason or "interrupted"
        if stream.state.logits is not None:
            model.loop.keep(stream.state)
        turn = Turn(said, self.text, tuple(self.ids), self._system)
        conversation.dropped += self.dropped
        conversation.turns.append(turn)
        prompts.answered(turn)
        self.seconds = time.perf_counter() - began


class _Templated:
    """Prompts by the model's chat template.

    A template writes the whole conversation anew for every turn. Where it writes what was read and answered before as it was,
    the tokens of before stand, those of the answer above all: its text might be cut into others.
    """

    def __init__(self, template: ChatTemplate, tokenizer: Tokenizer):
        self._template, self._tokenizer = template, tokenizer
        end = template.end_of_turn(tokenizer)
        self.stop_ids = frozenset(tokenizer.eos_ids) | (frozenset() if end is None else {end})
        self._text, self._ids = "", []
        self._known: tuple[str, list[int]] = ("", [])

    def prompt(self, system: str, turns: Sequence[Turn], said: str) -> tuple[list[int], int]:
        messages = [{"role": "system", "content": system}] if system else []
        for turn in turns:
            messages += _messages(turn.said, turn.answer)
        messages.append({"role": "user", "content": said})
        text, closed = (self._template.render_marked(messages, add_generation_prompt=opens) for opens in (True, False))
        known, ids = self._known
        if not (text.startswith(known) and closed.startswith(known)):
            known, ids = "", []
        new, head = (self._template.encode_marked(self._tokenizer, part[len(known) :]) for part in (text, closed))
        self._text, self._ids = text, ids + new
        # The beginning of an answer is not always written the same once there is one: what stands before it is kept
        return self._ids, len(ids) + (len(head) if new[: len(head)] == head else len(new))

    def answered(self, turn: Turn) -> None:
        ids = list(turn.ids)
        if ids and ids[-1] in self.stop_ids:
            ids.pop()  # the template writes it
        self._known = self._text + self._template.mark(turn.answer, is_answer=True), self._ids + ids


class _Written:
    """Prompts of a model without a chat template, by its dialect, without tools."""

    def __init__(self, model: LanguageModel):
        self._tokenizer = model.tokenizer
        self._dialect = get_dialect(model.dialect, model.tokenizer)
        end = self._dialect.closing(())
        self.stop_ids = frozenset(model.tokenizer.eos_ids) | frozenset(end if len(end) == 1 else ())

    def prompt(self, system: str, turns: Sequence[Turn], said: str) -> tuple[list[int], int]:
        bos = self._tokenizer.bos_id
        ids = ([] if bos is None else [bos]) + self._tokenizer.encode(self._dialect.render_prefix(system or None, ()))
        pin = len(ids)
        for number, turn in enumerate(turns):
            ids += self._user(turn.said, first=number == 0)
            ids += (*turn.ids, *self._dialect.closing(turn.ids))
        return ids + self._user(said, first=not turns), pin

    def answered(self, turn: Turn) -> None:
        pass  # the ids of the turn say it all

    def _user(self, said: str, *, first: bool) -> list[int]:
        return self._tokenizer.encode(self._dialect.render_user(said, first=first))


def _instructions(before: str, now: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": now}] if now != before else []


def _messages(said: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": said}, {"role": "assistant", "content": answer}]
