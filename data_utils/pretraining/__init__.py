"""Corpora for pretraining: read as streams, written in shards by any number of workers."""
