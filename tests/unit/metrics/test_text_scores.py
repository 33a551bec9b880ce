"""ROUGE, BLEU and CIDEr-D on small texts with known scores."""

import math

import numpy as np
import pytest

from biomedgpt_fairseq.metrics import bleu, cider_d, rouge
from biomedgpt_fairseq.metrics.bleu import bleu_metric
from biomedgpt_fairseq.metrics.cider import document_frequencies

REFS = [["the heart is enlarged"], ["no acute disease", "lungs are clear"]]


def test_rouge_counts_stemmed_overlap():
    score = rouge("enlarged hearts", "the enlarged heart")
    assert score["rouge1"] == pytest.approx((1.0, 2 / 3, 0.8))
    assert score["rouge2"].f == pytest.approx(0.8 * 0 + 2 * (1 * 0.5) / 1.5)


def test_equal_texts_get_the_highest_scores():
    hyps = ["the heart is enlarged today", "no acute disease is seen"]
    refs = [[text] for text in hyps]
    assert bleu(hyps, refs) == pytest.approx(100)
    assert cider_d(hyps, refs) == pytest.approx([10, 10])


def test_bleu_accepts_different_numbers_of_references():
    hyps = ["the heart is enlarged", "lungs are clear"]
    assert bleu(hyps, REFS) == pytest.approx(100)


def test_bleu_of_picked_rows_is_that_of_the_corpus_they_make():
    hyps = ["the heart is large", "lungs are clear today", "no mass", "the heart is big"]
    refs = [["the heart is enlarged"], REFS[1], ["no mass is seen"], ["heart is big", "big"]]
    metric, picked = bleu_metric(hyps, refs), [3, 0, 3, 1]
    counts = np.bincount(picked, minlength=4)[None].astype(float)
    wanted = bleu([hyps[i] for i in picked], [refs[i] for i in picked])
    assert metric.of_counts(counts) == pytest.approx([wanted])
    assert wanted > 0


def test_cider_d_is_zero_without_common_words():
    assert cider_d(["a b c d", "no acute disease"], REFS)[0] == 0


def test_cider_d_counts_a_document_once_per_reference_set():
    frequency = document_frequencies([["a a", "a b"], ["a"]])
    assert frequency[("a",)] == 2 and frequency[("a", "a")] == 1 and frequency[("b",)] == 1


def test_cider_d_of_one_hypothesis_does_not_depend_on_the_others_when_frequencies_are_given():
    frequency = document_frequencies(REFS)
    hyps = ["the heart is large", "lungs are clear"]
    both = cider_d(hyps, REFS, frequency, 2)
    alone = [cider_d([hyp], [refs], frequency, 2)[0] for hyp, refs in zip(hyps, REFS, strict=True)]
    assert both.tolist() == alone


def test_cider_d_clips_repeated_words_and_punishes_length():
    frequency, refs = {("clear",): 1.0}, [["lungs clear"]]
    once = cider_d(["lungs clear"], refs, frequency, 10)[0]
    thrice = cider_d(["lungs clear clear clear"], refs, frequency, 10)[0]
    assert 0 < thrice < once


def test_cider_d_needs_the_number_of_sets_with_given_frequencies():
    with pytest.raises(ValueError, match="need ref_len"):
        cider_d(["a"], [["a"]], {})


@pytest.mark.parametrize(
    ("hyps", "refs", "message"),
    [(["a"], [], "found 0, 1"), ([], [], "found 0, 0"), (["a"], [[]], "no reference")],
)
def test_unpaired_texts_raise(hyps, refs, message):
    for score in (bleu, cider_d):
        with pytest.raises(ValueError, match=message):
            score(hyps, refs)


def test_empty_hypothesis_scores_zero_everywhere():
    assert rouge("", "no acute disease")["rougeL"].f == 0
    assert not math.isnan(cider_d(["", "lungs"], REFS)[0])
    assert bleu(["", ""], REFS) == 0
