"""Whole searches over a decoder with fixed logits, against scores worked out one by one."""

from __future__ import annotations

import math
import runpy
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from biomedgpt_fairseq.decoding.fairseq_generator import BeamGenerator, build_generator
from biomedgpt_fairseq.text.trie import AnswerTrie

stub = runpy.run_path(str(Path(__file__).with_name("stub_decoder.py")))
StubDecoder, net_input, score_sequence = (
    stub["StubDecoder"],
    stub["net_input"],
    stub["score_sequence"],
)
make_vocab = stub["make_vocab"]

VOCAB = make_vocab(num_words=4, num_codes=2, num_bins=2)  # 4 specials, 4 words, mask, 2, 2: 13 ids
SOURCES = ([0, 4, 2], [0, 5, 6, 7, 2], [0, 6, 2])
ANSWERS = [[4, 2], [5, 4, 2], [5, 6, 7, 2], [4, 4, 2]]


def generate(
    decoder: Any, prefix: list[list[int]] | None = None, sources: Any = SOURCES, **options: Any
) -> list[list[dict[str, Any]]]:
    extra = {k: options.pop(k) for k in ("trie", "constraint_range") if k in options}
    zero_shot = options.pop("zero_shot", False)
    generator = build_generator(VOCAB, Namespace(**options), **extra)
    generator.zero_shot = zero_shot
    tokens = None if prefix is None else torch.tensor(prefix)
    models = decoder if isinstance(decoder, list) else [decoder]
    return generator.generate(models, {"net_input": net_input(*sources)}, prefix_tokens=tokens)


def tokens_of(hypotheses: list[dict[str, Any]]) -> list[list[int]]:
    return [h["tokens"].tolist() for h in hypotheses]


def test_scores_are_log_probabilities_of_the_tokens() -> None:
    decoder = StubDecoder(len(VOCAB))

    found = generate(decoder, beam=3, max_len_b=5, unnormalized=True)

    assert [len(hypotheses) for hypotheses in found] == [3, 3, 3]
    for source, hypotheses in zip(SOURCES, found, strict=True):
        for h in hypotheses:
            expected = score_sequence(decoder, source, h["tokens"].tolist())
            if len(expected) == 6:  # the last step is forced, but still scored by the model
                assert h["tokens"][-1] == 2
            assert h["positional_scores"].tolist() == pytest.approx(expected, abs=1e-5)
            assert float(h["score"]) == pytest.approx(sum(expected), abs=1e-5)
        scores = [float(h["score"]) for h in hypotheses]
        assert scores == sorted(scores, reverse=True)


def test_fields_are_those_fairseq_reads() -> None:
    hypothesis = generate(StubDecoder(len(VOCAB)), beam=1, max_len_b=2)[0][0]

    assert set(hypothesis) == {"tokens", "score", "attention", "alignment", "positional_scores"}
    assert hypothesis["attention"].numel() == hypothesis["alignment"].numel() == 0
    hypothesis["positional_scores"].div_(math.log(2))  # as fairseq-generate does


@pytest.mark.parametrize(("lenpen", "power"), [(1.0, 1.0), (0.5, 0.5), (2.0, 2.0)])
def test_score_is_divided_by_a_power_of_the_length_with_eos(lenpen: float, power: float) -> None:
    for h in generate(StubDecoder(len(VOCAB)), beam=3, max_len_b=4, lenpen=lenpen)[1]:
        expected = float(h["positional_scores"].sum()) / len(h["tokens"]) ** power
        assert float(h["score"]) == pytest.approx(expected, abs=1e-5)


def test_temperature_divides_the_logits() -> None:
    decoder = StubDecoder(len(VOCAB))
    h = generate(decoder, beam=1, max_len_b=1, temperature=2.0, sources=[SOURCES[0]])[0][0]

    first = int(h["tokens"][0])
    expected = (decoder.logits(SOURCES[0], [0]) / 2).log_softmax(0)[first]
    assert float(h["positional_scores"][0]) == pytest.approx(float(expected), abs=1e-6)


def test_longest_hypothesis_grows_with_the_padded_source() -> None:
    decoder = StubDecoder(len(VOCAB))
    found = generate(decoder, beam=4, max_len_a=0.5, max_len_b=1, min_len=3)  # 0.5 * 5 + 1 = 3

    assert {len(t) for hypotheses in found for t in tokens_of(hypotheses)} == {4}


def test_length_is_capped_by_the_position_table() -> None:
    decoder = StubDecoder(len(VOCAB), max_target_positions=4)  # bos and three tokens
    found = generate(decoder, beam=2, max_len_b=200, min_len=3)

    assert {len(t) for hypotheses in found for t in tokens_of(hypotheses)} == {4}


def test_minimum_length_keeps_eos_away() -> None:
    found = generate(StubDecoder(len(VOCAB)), beam=3, max_len_b=5, min_len=3)

    assert all(len(t) >= 4 for hypotheses in found for t in tokens_of(hypotheses))


def test_minimum_above_maximum_is_explained() -> None:
    with pytest.raises(ValueError, match=r"at most 2 tokens.*lower min_len"):
        generate(StubDecoder(len(VOCAB)), beam=2, max_len_b=2, min_len=4)


def test_unknown_token_costs_its_penalty() -> None:
    decoder = StubDecoder(len(VOCAB))
    decoder.table[(0,)] = [0.0, 0.0, 0.0, 9.0, *[0.0] * 9]

    cheap = generate(decoder, beam=1, max_len_b=1, unnormalized=True)[0][0]
    dear = generate(decoder, beam=1, max_len_b=1, unkpen=50.0)[0][0]

    assert int(cheap["tokens"][0]) == 3
    assert int(dear["tokens"][0]) != 3


def test_pad_is_never_generated_and_nan_never_chosen() -> None:
    decoder = StubDecoder(len(VOCAB))
    decoder.table[(0,)] = [0.0, 99.0, 0.0, 0.0, 1.0, *[0.0] * 8]
    found = generate(decoder, beam=4, max_len_b=3)
    assert all(1 not in t for hypotheses in found for t in tokens_of(hypotheses))

    decoder.table[(0,)] = [math.nan] * 13
    with pytest.raises(ValueError, match=r"sentences \[0, 1, 2\].*logits that are not finite"):
        generate(decoder, beam=2, max_len_b=3)


@pytest.mark.parametrize("beam", [1, 2, 4, 9])
def test_trie_gives_each_answer_once_even_with_more_beams_than_answers(beam: int) -> None:
    decoder = StubDecoder(len(VOCAB))
    trie = AnswerTrie(ANSWERS)

    found = generate(decoder, beam=beam, unnormalized=True, trie=trie)

    for source, hypotheses in zip(SOURCES, found, strict=True):
        assert 1 <= len(hypotheses) <= min(beam, len(ANSWERS))
        got = tokens_of(hypotheses)
        assert all(t in ANSWERS for t in got)
        assert len({tuple(t) for t in got}) == len(got)
        for h in hypotheses:
            expected = score_sequence(
                decoder, source, h["tokens"].tolist(), lambda t: trie.children(trie.walk(t))
            )
            assert h["positional_scores"].tolist() == pytest.approx(expected, abs=1e-5)
    if beam == 9:
        assert [len(hypotheses) for hypotheses in found] == [4, 4, 4]


def test_trie_search_stops_with_its_longest_answer() -> None:
    decoder = StubDecoder(len(VOCAB))
    generate(decoder, beam=4, max_len_b=60, trie=AnswerTrie(ANSWERS))

    assert decoder.rows_decoded <= 4 * 3 * 4


def test_only_logits_of_tokens_that_the_trie_allows_are_computed() -> None:
    decoder = StubDecoder(len(VOCAB))
    generate(decoder, beam=4, trie=AnswerTrie(ANSWERS))
    # Four specials each time; words: at first 4 and 5, then 4 and 6.  Behind that all is decided.
    assert decoder.widths == [6, 6]
    assert decoder.rows_decoded == len(SOURCES) * (1 + 4)

    decoder = StubDecoder(len(VOCAB))
    generate(decoder, beam=4, trie=AnswerTrie(ANSWERS), prefix=[[7], [1], [7]])
    # Behind the prompts words 4 and 5 begin the answers of two samples, 4 and 6 continue the other.
    assert decoder.widths[:2] == [13, 7]

    decoder = StubDecoder(len(VOCAB))
    generate(decoder, beam=4, trie=AnswerTrie(ANSWERS), no_repeat_ngram_size=2)
    generate(decoder, beam=4, trie=AnswerTrie(ANSWERS), zero_shot=True)
    assert set(decoder.widths) == {13}


@pytest.mark.parametrize("prefix", [[[7, 8], [7, 1], [1, 1]], [[7, 2], [8, 2], [2, 1]]])
def test_prompt_is_forced_then_the_answer_follows(prefix: list[list[int]]) -> None:
    decoder = StubDecoder(len(VOCAB))
    trie = AnswerTrie(ANSWERS)

    found = generate(decoder, prefix=prefix, beam=5, unnormalized=True, trie=trie)

    for source, row, hypotheses in zip(SOURCES, prefix, found, strict=True):
        prompt = [t for t in row if t not in (1, 2)]
        n = len(prompt)
        assert len(hypotheses) == 4
        for h in hypotheses:
            tokens = h["tokens"].tolist()
            assert tokens[:n] == prompt
            assert tokens[n:] in ANSWERS

            def allowed(t: list[int], n: int = n) -> Any:
                return range(13) if len(t) < n else trie.children(trie.walk(t[n:]))

            expected = score_sequence(decoder, source, tokens, allowed)
            assert h["positional_scores"].tolist() == pytest.approx(expected, abs=1e-5)


def test_score_and_length_include_the_prompt() -> None:
    h = generate(StubDecoder(len(VOCAB)), prefix=[[7, 8, 4]] * 3, beam=2, max_len_b=8)[0][0]

    expected = float(h["positional_scores"].sum()) / len(h["tokens"])
    assert len(h["positional_scores"]) == len(h["tokens"]) > 3
    assert float(h["score"]) == pytest.approx(expected, abs=1e-5)


def test_prompt_longer_than_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"longest prompt \(3 tokens\), found 2"):
        generate(StubDecoder(len(VOCAB)), prefix=[[7, 8, 4]] * 3, beam=2, max_len_b=2)


def test_range_renormalises_over_its_ids_and_the_specials() -> None:
    decoder = StubDecoder(len(VOCAB))
    allowed = [0, 1, 2, 3, 9, 10]

    found = generate(decoder, beam=3, max_len_b=4, constraint_range=(9, 11), unnormalized=True)

    for source, hypotheses in zip(SOURCES, found, strict=True):
        for h in hypotheses:
            tokens = h["tokens"].tolist()
            assert set(tokens) <= set(allowed)
            expected = score_sequence(decoder, source, tokens, lambda t: allowed)
            assert h["positional_scores"].tolist() == pytest.approx(expected, abs=1e-5)


def test_forced_token_outside_the_range_does_not_end_the_search() -> None:
    decoder = StubDecoder(len(VOCAB))
    found = generate(decoder, prefix=[[5, 6]] * 3, beam=3, max_len_b=4, constraint_range=(9, 11))

    for hypotheses in found:
        assert len(hypotheses) == 3
        for h in hypotheses:
            assert h["tokens"][:2].tolist() == [5, 6]
            assert set(h["tokens"][2:].tolist()) <= {0, 2, 3, 9, 10}
            assert math.isfinite(h["score"])


def test_trie_and_range_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        build_generator(VOCAB, Namespace(), trie=AnswerTrie(ANSWERS), constraint_range=(4, 8))


@pytest.mark.parametrize("constraint", ["trie", "range"])
def test_zero_shot_scores_are_those_of_free_text(constraint: str) -> None:
    decoder = StubDecoder(len(VOCAB))
    extra: dict[str, Any] = {"constraint_range": (4, 8)}
    if constraint == "trie":
        extra = {"trie": AnswerTrie(ANSWERS)}

    found = generate(decoder, beam=3, max_len_b=3, zero_shot=True, **extra)

    for source, hypotheses in zip(SOURCES, found, strict=True):
        for h in hypotheses:
            tokens = h["tokens"].tolist()
            assert constraint == "range" or tokens in ANSWERS
            expected = score_sequence(decoder, source, tokens)
            assert h["positional_scores"].tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_ngram_occurs_twice(size: int) -> None:
    decoder = StubDecoder(len(VOCAB))
    for prefix in ([], [4, 5, 4]):
        for tokens in ([0, *prefix], [0, *prefix, 4], [0, *prefix, 4, 5]):
            decoder.table[tuple(tokens)] = [0.0] * 4 + [9.0, 8.0] + [0.0] * 7

    found = generate(decoder, beam=3, max_len_b=6, no_repeat_ngram_size=size)

    for hypotheses in found:
        for tokens in tokens_of(hypotheses):
            whole = [0, *tokens]
            ngrams = [tuple(whole[i : i + size]) for i in range(len(whole) - size + 1)]
            assert len(set(ngrams)) == len(ngrams)


def test_ngrams_of_the_prompt_count_but_forced_repeats_do_not_end_the_search() -> None:
    found = generate(
        StubDecoder(len(VOCAB)), prefix=[[7, 7]] * 3, beam=2, max_len_b=6, no_repeat_ngram_size=1
    )

    for hypotheses in found:
        for tokens in tokens_of(hypotheses):
            assert tokens[:2] == [7, 7]
            assert 7 not in tokens[2:]
            assert len(set(tokens[2:])) == len(tokens) - 2


def test_codes_have_no_specials_before_the_last_step() -> None:
    decoder = StubDecoder(len(VOCAB))
    found = generate(decoder, beam=2, max_len_b=4, gen_code=True, constraint_range=(9, 11))

    assert decoder.code_mask
    for hypotheses in found:
        for tokens in tokens_of(hypotheses):
            assert len(tokens) == 5
            assert set(tokens[:4]) <= {9, 10}


def test_boxes_are_four_bins_and_a_class() -> None:
    decoder = StubDecoder(len(VOCAB) + 3)  # classes 13, 14; the last id is never used
    found = generate(decoder, beam=2, max_len_b=10, gen_box=True, constraint_range=(11, 16))

    for hypotheses in found:
        for tokens in tokens_of(hypotheses):
            for i, token in enumerate(tokens[:10]):
                assert token in ({13, 14} if i % 5 == 4 else {11, 12})


def test_boxes_need_a_range() -> None:
    with pytest.raises(ValueError, match="gen_box needs a constraint range"):
        generate(StubDecoder(len(VOCAB)), beam=2, max_len_b=5, gen_box=True)


def test_ignored_eos_adds_one_in_the_last_step() -> None:
    found = generate(
        StubDecoder(len(VOCAB)), beam=2, max_len_b=2, min_len=2, ignore_eos=True, unnormalized=True
    )

    assert all(float(h["positional_scores"][-1]) == pytest.approx(1.0) for h in found[0])


def test_matching_the_source_length_counts_its_tokens_and_bos() -> None:
    found = generate(StubDecoder(len(VOCAB)), beam=2, match_source_len=True)

    assert [{len(t) - 1 for t in tokens_of(h)} for h in found] == [{2}, {4}, {2}]
    assert all(float(h["positional_scores"][-1]) == 0.0 for ranked in found for h in ranked)


def test_allowed_tokens_function_sees_sample_and_prefix() -> None:
    def allowed(sample: int, tokens: torch.Tensor) -> list[int]:
        return [4 + sample] if len(tokens) < 3 else [2]

    found = generate(StubDecoder(len(VOCAB)), beam=1, prefix_allowed_tokens_fn=allowed)

    assert [tokens_of(h) for h in found] == [[[4, 4, 2]], [[5, 5, 2]], [[6, 6, 2]]]


def test_finished_samples_leave_the_batch() -> None:
    def allowed(sample: int, tokens: torch.Tensor) -> list[int]:
        return [2] if sample != 1 or len(tokens) == 5 else [4]

    decoder = StubDecoder(len(VOCAB))
    found = generate(decoder, beam=1, min_len=0, prefix_allowed_tokens_fn=allowed)

    assert [tokens_of(h) for h in found] == [[[2]], [[4, 4, 4, 4, 2]], [[2]]]
    assert decoder.rows_decoded == 3 + 4


def test_ensemble_averages_probabilities() -> None:
    decoders = [StubDecoder(len(VOCAB), seed) for seed in (1, 2, 3)]

    found = generate(decoders, beam=2, max_len_b=3)

    for source, hypotheses in zip(SOURCES, found, strict=True):
        for h in hypotheses:
            tokens = h["tokens"].tolist()
            each = torch.tensor([score_sequence(d, source, tokens) for d in decoders])
            expected = each.logsumexp(0) - math.log(3)
            torch.testing.assert_close(h["positional_scores"], expected, atol=1e-5, rtol=0)


def test_no_model_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one model"):
        generate([], beam=2, max_len_b=3)


def test_encoder_runs_once() -> None:
    decoder = StubDecoder(len(VOCAB))
    generate(decoder, beam=3, max_len_b=5)
    assert decoder.encoder_runs == 1


def test_lexical_constraints_are_refused() -> None:
    generator = build_generator(VOCAB, Namespace())
    sample = {"net_input": net_input(*SOURCES)}
    with pytest.raises(ValueError, match="lexically constrained"):
        generator.generate([StubDecoder(len(VOCAB))], sample, constraints=torch.tensor([[1]]))


def test_training_mode_is_left_as_found() -> None:
    class Model(nn.Module, StubDecoder):
        def __init__(self) -> None:
            nn.Module.__init__(self)
            StubDecoder.__init__(self, len(VOCAB))
            self.dropout, self.frozen = nn.Dropout(), nn.BatchNorm2d(1).eval()
            self.seen: set[bool] = set()

        def decode_step(self, tokens: Any, state: Any, columns: Any = None) -> Any:
            self.seen.add(self.dropout.training)
            return super().decode_step(tokens, state, columns)

    model = Model()
    generate(model, beam=2, max_len_b=3)

    assert model.seen == {False}
    assert model.training and model.dropout.training and not model.frozen.training


def test_trie_can_be_set_and_cleared() -> None:
    generator = build_generator(VOCAB, Namespace(beam=2, max_len_b=3))
    sample = {"net_input": net_input(*SOURCES)}
    generator.trie = AnswerTrie([[8, 8, 8, 2]])

    assert tokens_of(generator.generate([StubDecoder(len(VOCAB))], sample)[0]) == [[8, 8, 8, 2]]
    generator.trie = None
    assert len(generator.generate([StubDecoder(len(VOCAB))], sample)[0]) == 2
    assert isinstance(generator, BeamGenerator)
    assert generator.symbols_to_strip_from_output == {0, 2}
