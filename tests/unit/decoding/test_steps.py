"""Search steps on small tables of log-probabilities."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from biomedgpt_fairseq.decoding.steps import (
    DiverseGroupsStep,
    DiverseSiblingsStep,
    SamplingStep,
    beam_step,
)

DEAD = -math.inf


def table(*rows: list[float]) -> Tensor:
    """Log-probabilities of one sample, (1, 1, w, V), from probabilities."""
    return torch.tensor(rows).log()[None, None]


def test_beam_step_ranks_all_continuations_by_their_sum() -> None:
    lprobs = table([0.5, 0.3, 0.2], [0.1, 0.8, 0.1])
    scores = torch.tensor([0.6, 0.4]).log()[None, None]

    found = beam_step(lprobs, scores)

    # 0.6 * (.5 .3 .2) and 0.4 * (.1 .8 .1): .32 and .30 lead, then .18, .12
    assert found.beam.flatten().tolist() == [1, 0, 0, 0]
    assert found.token.flatten().tolist() == [1, 0, 1, 2]
    assert found.score.exp().flatten().tolist() == pytest.approx([0.32, 0.30, 0.18, 0.12])


def test_beam_step_lets_dead_hypotheses_come_last() -> None:
    found = beam_step(table([0.5, 0.3, 0.2], [0.1, 0.8, 0.1]), torch.tensor([[[0.0, DEAD]]]))

    assert found.beam.flatten().tolist()[:3] == [0, 0, 0]
    assert found.score.flatten()[3] == DEAD


def test_beam_step_keeps_groups_apart() -> None:
    lprobs = table([0.9, 0.1], [0.8, 0.2]).view(1, 2, 1, 2)
    found = beam_step(lprobs, torch.zeros(1, 2, 1))

    assert found.token.tolist() == [[[0, 1], [0, 1]]]
    assert found.beam.tolist() == [[[0, 0], [0, 0]]]


def test_diverse_groups_avoid_tokens_of_earlier_groups() -> None:
    lprobs = table([0.4, 0.35, 0.15, 0.1]).expand(1, 2, 1, 4)
    scores = torch.zeros(1, 2, 1)

    found = DiverseGroupsStep(strength=5.0)(lprobs, scores)
    same = DiverseGroupsStep(strength=0.0)(lprobs, scores)

    assert found.token[0].tolist() == [[0, 1], [2, 3]]
    assert same.token[0].tolist() == [[0, 1], [0, 1]]


def test_diverse_groups_pay_nothing_for_dead_groups() -> None:
    lprobs = table([0.4, 0.35, 0.15, 0.1]).expand(1, 2, 1, 4)

    found = DiverseGroupsStep(strength=5.0)(lprobs, torch.tensor([[[DEAD], [0.0]]]))

    assert found.token[0, 1].tolist() == [0, 1]


def test_diverse_siblings_pay_for_their_rank() -> None:
    lprobs = table([0.5, 0.4, 0.1], [0.4, 0.3, 0.3])
    scores = torch.tensor([0.7, 0.3]).log()[None, None]

    found = DiverseSiblingsStep(rate=10.0)(lprobs, scores)

    assert found.beam.flatten().tolist() == [0, 1, 0, 1]
    assert found.token.flatten().tolist()[:3] == [0, 0, 1]
    assert float(found.score[0, 0, 0]) == pytest.approx(math.log(0.35) - 10)


def test_diverse_siblings_pay_nothing_without_others() -> None:
    lprobs = table([0.5, 0.4, 0.1], [0.4, 0.3, 0.3])
    scores = torch.tensor([[[0.0, DEAD]]])

    found = DiverseSiblingsStep(rate=10.0)(lprobs, scores)

    assert torch.equal(found.score, beam_step(lprobs, scores).score)


def draw(step: SamplingStep, probs: list[float], times: int = 400) -> list[int]:
    lprobs = torch.tensor(probs).log().expand(1, times, 1, len(probs))
    found = step(lprobs, torch.zeros(1, times, 1))
    expected = lprobs.squeeze(2).gather(2, found.token)
    assert torch.equal(found.score, expected), "scores are the model's own"
    return found.token.flatten().tolist()


def test_sampling_follows_the_probabilities() -> None:
    tokens = draw(SamplingStep(generator=torch.Generator().manual_seed(1)), [0.7, 0.3, 0.0])

    assert set(tokens) == {0, 1}
    assert 0.6 < tokens.count(0) / len(tokens) < 0.8


def test_sampling_is_repeated_by_its_seed() -> None:
    first = draw(SamplingStep(generator=torch.Generator().manual_seed(1)), [0.4, 0.3, 0.3])
    again = draw(SamplingStep(generator=torch.Generator().manual_seed(1)), [0.4, 0.3, 0.3])
    other = draw(SamplingStep(generator=torch.Generator().manual_seed(2)), [0.4, 0.3, 0.3])

    assert first == again != other


def test_top_k_leaves_the_k_likeliest() -> None:
    assert set(draw(SamplingStep(top_k=2), [0.1, 0.4, 0.2, 0.3])) == {1, 3}


@pytest.mark.parametrize(
    ("p", "kept"), [(0.05, {1}), (0.5, {1, 3}), (0.75, {1, 2, 3}), (1.0, {0, 1, 2, 3})]
)
def test_top_p_leaves_the_smallest_set_above_p(p: float, kept: set[int]) -> None:
    assert set(draw(SamplingStep(top_p=p), [0.1, 0.4, 0.2, 0.3])) == kept


def test_sampling_survives_a_row_without_possible_tokens() -> None:
    found = SamplingStep()(torch.full((1, 1, 1, 4), DEAD), torch.zeros(1, 1, 1))

    assert float(found.score) == DEAD
