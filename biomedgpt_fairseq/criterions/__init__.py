"""Criterions: fairseq shells over the losses."""
