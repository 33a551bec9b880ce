"""BiomedGPT as a plugin of stock fairseq."""

from importlib.util import find_spec

if find_spec("fairseq") is not None:
    from biomedgpt_fairseq import fairseq_register as fairseq_register
