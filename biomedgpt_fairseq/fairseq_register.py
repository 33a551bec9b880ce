"""Imports every module that registers something with fairseq, each exactly once."""
