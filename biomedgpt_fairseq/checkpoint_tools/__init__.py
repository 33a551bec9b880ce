"""Checkpoints as files: other layouts, comparison, averaging; plain torch, no fairseq."""
