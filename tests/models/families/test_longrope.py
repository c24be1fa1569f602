"""Texts on both sides of the length beyond which "longrope" turns at another pace, beside transformers."""

from __future__ import annotations

import numpy as np
import pytest
from ferrule.core import backend_names, get_backend
from ferrule.core.backends.numpy import REFERENCE

from .rows import LONGROPE, SMALL, Family, close, randomised, torch, transformers

BORDER = 300  # above the chunk of every backend
TEXT = np.random.default_rng(1).integers(3, 97, 400).tolist()


class Long(Family):
    def __init__(self, folder):
        changes = {
            "head_dim": 16,
            "hidden_size": 96,
            "max_position_embeddings": 1024,
            "original_max_position_embeddings": BORDER,
        }
        rope = {**LONGROPE, "original_max_position_embeddings": BORDER, "long_factor": [2.0, 2.5, 3.0, 4.0, 5.0, 6.0]}
        config = transformers.Phi3Config(
            **{**SMALL, **changes, "rope_parameters": rope, "original_max_position_embeddings": BORDER}
        )
        self.oracle = randomised(transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval())
        self.oracle.save_pretrained(folder)
        self.read(folder)

    def expected(self, count):
        with torch.no_grad():
            return self.oracle(torch.tensor([TEXT[:count]])).logits[0].numpy()


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    return Long(tmp_path_factory.mktemp("longrope"))


@pytest.mark.parametrize("count", [BORDER - 1, BORDER, BORDER + 1, len(TEXT)])
def test_every_position_of_a_text(long, count):
    close(long.loop(REFERENCE).score(np.array([TEXT[:count]]))[0], long.expected(count))


@pytest.mark.parametrize("backend", list(backend_names()))
def test_every_backend_reads_a_long_text_as_one_from_its_beginning(long, backend):
    pytest.importorskip(backend)
    loop = long.loop(backend)
    for count in (BORDER, BORDER + 1, len(TEXT)):
        close(loop.read(TEXT[:count]).logits, long.expected(count)[-1])


def test_a_text_that_grows_over_the_border(long):
    """As in transformers, what was read before keeps its pace; to read it again from its beginning is another matter."""
    loop, begun = long.loop(get_backend("numpy")), BORDER - 3
    state = loop.read(TEXT[:begun])
    with torch.no_grad():
        found = long.oracle(torch.tensor([TEXT[:begun]]), use_cache=True)
        for token in TEXT[begun : BORDER + 3]:
            found = long.oracle(torch.tensor([[token]]), past_key_values=found.past_key_values, use_cache=True)
            state.pending.append(token)
            close(loop.feed(state), found.logits[0, -1].numpy())
    loop.keep(state)
    close(loop.read(TEXT).logits, long.expected(len(TEXT))[-1])


@pytest.mark.parametrize("order", [(BORDER - 50, len(TEXT), BORDER - 20), (len(TEXT), BORDER - 50, BORDER + 20)])
@pytest.mark.parametrize("pin", [0, 200])
def test_beginnings_that_were_kept_are_used_for_texts_of_their_kind_only(long, order, pin):
    loop = long.loop(get_backend("numpy"))
    reused = []
    for count in order:
        state = loop._begin(list(TEXT[:count]), pin)
        close(loop.feed(state), long.expected(count)[-1])
        reused.append(state.usage.reused_tokens > 0)
        loop.keep(state)
    assert reused == [False, False, (order[2] > BORDER and pin > 0) or order[2] <= BORDER]
