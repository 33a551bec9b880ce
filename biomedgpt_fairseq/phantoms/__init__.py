"""Synthetic medical-like images with known findings."""
