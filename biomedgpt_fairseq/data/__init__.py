"""Rows, images, examples and batches."""
