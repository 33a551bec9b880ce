"""Scores of generated text and of predicted labels."""

from biomedgpt_fairseq.metrics.bleu import bleu as bleu
from biomedgpt_fairseq.metrics.cider import cider_d as cider_d
from biomedgpt_fairseq.metrics.rouge import rouge as rouge
