"""Synthetic medical-like images with findings of known kind, place and size, made from a seed."""
