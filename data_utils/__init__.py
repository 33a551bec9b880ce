"""Preparation of corpora; each module is a program: `python -m data_utils.NAME` from a clone."""
