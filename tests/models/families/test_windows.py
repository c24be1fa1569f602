"""Windows that configurations ask for in ways that no row of the harness does, beside transformers."""

from __future__ import annotations

import pytest
from ferrule.core.backends.numpy import REFERENCE

from .rows import FAMILIES, IDS, SMALL, Family, close, randomised, torch, transformers

MIXTURE = {**FAMILIES["qwen3-moe"][1]}
WINDOW = {"use_sliding_window": True, "sliding_window": 9}


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Qwen3Moe", {**MIXTURE, **WINDOW, "max_window_layers": 1}),
        ("SmolLM3", WINDOW),
        ("SmolLM3", {**WINDOW, "layer_types": ["full_attention", "sliding_attention"] * 2}),
        ("Qwen3", {**WINDOW, "max_window_layers": 1}),
        ("Phi3", {"sliding_window": 9, "head_dim": 16, "hidden_size": 96}),
    ],
)
def test_windows_are_where_transformers_has_them(kind, changes, tmp_path):
    class Windowed(Family):
        def __init__(self):
            config = getattr(transformers, f"{kind}Config")(**{**SMALL, **changes})
            self.oracle = randomised(transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval())
            self.oracle.save_pretrained(tmp_path)
            self.read(tmp_path)

    found = Windowed()
    found.config.pop("layer_types", None) if "layer_types" not in changes else None  # as older configurations are
    with torch.no_grad():
        expected = found.oracle(torch.tensor(IDS.astype("int64"))).logits.numpy()
    close(found.loop(REFERENCE).score(IDS), expected)
