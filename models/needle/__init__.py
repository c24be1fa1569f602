"""Needle 3 (Cactus Compute): its container, tokenizer, forward pass and heads, from the published specification."""
