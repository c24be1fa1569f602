"""Blocks that the open decoder families share, and the decoder that they make up. One file per family lies in `families`."""
