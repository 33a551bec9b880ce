"""Beam search, constraints and all-candidate scoring."""
