"""The criterion with a bonus: its options, and its loss on a stand-in network."""

from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("fairseq")

from biomedgpt_fairseq.criterions.encouraging import EncouragingCriterion, EncouragingOptions
from biomedgpt_fairseq.losses.encouraging import bonus_of

PAD, EOS, VOCABULARY = 1, 2, 12
SAMPLE = {
    "ntokens": 5,
    "nsentences": 2,
    "net_input": {"prev_output_tokens": torch.tensor([[0, 5, 6], [0, 7, 8]])},
    "target": torch.tensor([[5, 6, EOS], [7, EOS, PAD]]),
}


class Network(torch.nn.Module):
    """Logits from a table by decoder input."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.table = torch.nn.Parameter(3 * torch.randn(12, VOCABULARY, generator=generator))

    def forward(self, prev_output_tokens: torch.Tensor) -> tuple[torch.Tensor, dict]:
        return self.table[prev_output_tokens], {}


def make_criterion(**options) -> EncouragingCriterion:
    dictionary = SimpleNamespace(pad=lambda: PAD, eos=lambda: EOS)
    task = SimpleNamespace(target_dictionary=dictionary, cfg=SimpleNamespace())
    return EncouragingCriterion(EncouragingOptions(sentence_avg=False, **options), task)


def test_loss_adds_the_bonus_to_cross_entropy() -> None:
    model = Network()
    loss, size, log = make_criterion(label_smoothing=0.1, log_end=0.6)(model, SAMPLE)
    target = SAMPLE["target"].flatten()
    counts = target != PAD
    lprobs = torch.log_softmax(model.table[SAMPLE["net_input"]["prev_output_tokens"]], -1)
    lprobs, target = lprobs.flatten(0, 1)[counts], target[counts]
    nll, every = -lprobs.gather(1, target[:, None]).sum(), bonus_of(lprobs.exp(), 0.6)
    share = 0.1 / (VOCABULARY - 1 + 1e-6)
    wanted = (1 - 0.1 - share) * nll - share * lprobs.sum()
    wanted = wanted + 0.9 * every.gather(1, target[:, None]).sum() + 0.1 / VOCABULARY * every.sum()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert size == 5 and float(log["nll_loss"]) == pytest.approx(nll.item(), rel=1e-5)


def test_rdrop_goes_with_the_bonus() -> None:
    model = Network()
    criterion = make_criterion(use_rdrop=True)
    loss, size, _ = criterion(model.train(), SAMPLE)
    alone, _, _ = make_criterion()(model, SAMPLE)
    # Without dropout both passes agree: twice the loss and no divergence.
    assert loss.item() == pytest.approx(2 * alone.item(), rel=1e-5) and size == 10


@pytest.mark.parametrize("name", ["drop_best_ratio", "drop_best_after"])
def test_dropping_the_best_tokens_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="--drop-best-ratio and --drop-best-after are not supp"):
        make_criterion(**{name: 1})


def test_log_end_must_be_a_probability() -> None:
    with pytest.raises(ValueError, match="--log-end 1.5 must lie in"):
        make_criterion(log_end=1.5)
