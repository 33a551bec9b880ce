"""The criterion on stand-in networks: samples in, sums and counts out."""

import math
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("fairseq")

from fairseq.logging import metrics

from biomedgpt_fairseq.criterions.label_smoothed import (
    LabelSmoothedCriterion,
    LabelSmoothedOptions,
    parse_range,
)
from biomedgpt_fairseq.criterions.reduction import perplexity

PAD, EOS, VOCABULARY = 1, 2, 12


class Network(torch.nn.Module):
    """Logits from a table by decoder input; records what it was given."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        table = torch.randn(VOCABULARY, VOCABULARY, generator=generator)
        self.table = torch.nn.Parameter(table)
        self.dropout = dropout
        self.seen: list[dict] = []

    def forward(self, prev_output_tokens, **others):
        self.seen.append({"prev_output_tokens": prev_output_tokens, **others})
        rows = torch.nn.functional.dropout(
            self.table[prev_output_tokens], self.dropout, self.training
        )
        return rows, {}


def make_task(**cfg):
    dictionary = SimpleNamespace(pad=lambda: PAD, eos=lambda: EOS)
    return SimpleNamespace(target_dictionary=dictionary, cfg=SimpleNamespace(**cfg))


def make_criterion(task=None, **options):
    options.setdefault("sentence_avg", False)
    return LabelSmoothedCriterion(LabelSmoothedOptions(**options), task or make_task())


def make_sample(conf=None):
    sample = {
        "id": ["a", "b"],
        "nsentences": 2,
        "ntokens": 5,
        "net_input": {
            "prev_output_tokens": torch.tensor([[0, 5, 6], [0, 7, 8]]),
            "patch_masks": torch.tensor([True, False]),
        },
        "target": torch.tensor([[5, 6, EOS], [7, EOS, PAD]]),
    }
    if conf is not None:
        sample["conf"] = torch.tensor(conf)
    return sample


def plain_loss(model, sample):
    lprobs = torch.log_softmax(model.table[sample["net_input"]["prev_output_tokens"]], -1)
    picked = lprobs.gather(-1, sample["target"][..., None]).squeeze(-1)
    return -(picked * (sample["target"] != PAD)).sum()


def test_plain_sample_gives_summed_loss_and_token_count():
    model, sample = Network(), make_sample()
    loss, size, log = make_criterion()(model, sample)
    torch.testing.assert_close(loss, plain_loss(model, sample))
    assert size == 5 and log["sample_size"] == 5 and log["nsentences"] == 2
    assert float(log["loss"]) == float(log["nll_loss"]) == float(loss.detach())


def test_conf_scales_each_sample():
    model, criterion = Network(), make_criterion(label_smoothing=0.1)
    first, size, _ = criterion(model, make_sample([1.0, 0.0]))
    second, _, _ = criterion(model, make_sample([0.0, 1.0]))
    mixed, _, _ = criterion(model, make_sample([2.0, 0.5]))
    torch.testing.assert_close(mixed, 2 * first + second / 2)
    assert size == 5


def test_sentence_avg_divides_by_samples():
    assert make_criterion(sentence_avg=True)(Network(), make_sample())[1] == 2


def test_ignore_options_leave_tokens_out():
    model = Network()
    assert make_criterion(ignore_eos=True)(model, make_sample())[1] == 3
    assert make_criterion(ignore_prefix_size=1)(model, make_sample())[1] == 3


@pytest.mark.parametrize(("update_num", "size"), [(0, 5), (600, 5), (601, 4)])
def test_drop_worst_starts_after_the_given_update(update_num, size):
    criterion = make_criterion(drop_worst_ratio=0.2, drop_worst_after=600)
    _, got, log = criterion(Network(), make_sample(), update_num=update_num)
    assert got == size and log["ntokens"] == 5


@pytest.mark.parametrize("kind", [list, tuple])
def test_two_batches_weigh_the_same_and_the_first_samples_patches(kind):
    model = Network()
    second = make_sample()
    second["target"] = torch.tensor([[5, PAD, PAD], [7, PAD, PAD]])
    pair = kind([make_sample(), second])
    loss, size, log = make_criterion(sample_patch_num=7)(model, pair, update_num=3)
    torch.testing.assert_close(loss, plain_loss(model, pair[0]) / 5 + plain_loss(model, second) / 2)
    assert size == 1 and log["sample_size"] == 1
    assert (log["sample_size_v1"], log["sample_size_v2"]) == (5, 2)
    assert float(log["loss_v2"]) == pytest.approx(plain_loss(model, second).item())
    assert [seen.get("sample_patch_num") for seen in model.seen] == [7, None]
    assert "sample_patch_num" not in pair[0]["net_input"]


def test_one_batch_in_a_list_is_normalised_like_a_pair():
    model, sample = Network(), make_sample()
    loss, size, log = make_criterion()(model, [sample])
    torch.testing.assert_close(loss, plain_loss(model, sample) / 5)
    assert size == 1 and log["sample_size_v2"] == 0


@pytest.mark.parametrize("place", [0, 1])
def test_group_without_rows_is_left_out_and_logged_as_nothing(place):
    model, criterion = Network(), make_criterion(sample_patch_num=3)
    pair = [make_sample(), make_sample()]
    pair[place] = {}
    loss, size, log = criterion(model, pair)
    torch.testing.assert_close(loss, plain_loss(model, make_sample()) / 5)
    assert size == log["sample_size"] == 1
    # Only pairs of image and text, which come first, are thinned out.
    assert ("sample_patch_num" in model.seen[0]) == (place == 1)
    missing, there = f"v{place + 1}", f"v{2 - place}"
    assert (float(log[f"loss_{missing}"]), log[f"sample_size_{missing}"]) == (0, 0)
    assert (float(log[f"loss_{there}"]), log[f"sample_size_{there}"]) == (5 * loss.item(), 5)


def test_sample_patch_num_zero_keeps_all_patches():
    model = Network()
    make_criterion(sample_patch_num=0)(model, [make_sample(), make_sample()])
    assert all("sample_patch_num" not in seen for seen in model.seen)


def test_rdrop_doubles_tensors_only_and_only_in_training():
    model, sample = Network(dropout=0.3), make_sample([1.0, 0.5])
    sample["net_input"]["sample_patch_num"] = 7
    sample["ref_dict"] = None
    criterion = make_criterion(use_rdrop=True, label_smoothing=0.1)
    _, size, _ = criterion(model, sample)
    assert size == 10
    assert model.seen[-1]["prev_output_tokens"].shape == (4, 3)
    assert model.seen[-1]["sample_patch_num"] == 7
    assert sample["target"].shape == (2, 3) and sample["conf"].shape == (2,)
    criterion.eval()
    assert criterion(model, sample)[1] == 5
    criterion.train()
    model.eval()
    assert criterion(model, sample)[1] == 5


def test_rdrop_of_equal_halves_is_twice_the_plain_loss():
    model, sample = Network(), make_sample()
    mask = torch.ones(2, 3, VOCABULARY, dtype=torch.bool)
    mask[..., 9:] = False
    sample["constraint_masks"] = mask
    plain = make_criterion(label_smoothing=0.1)(model, sample)[0]
    doubled, size, _ = make_criterion(label_smoothing=0.1, use_rdrop=True)(model, sample)
    torch.testing.assert_close(doubled, 2 * plain)
    assert size == 10


def test_sparse_constraints_equal_dense_ones():
    allowed = [[5, 7], [6, EOS], [EOS], [5, 7], [EOS, 8], []]
    dense, sparse = make_sample(), make_sample()
    mask = torch.zeros(6, VOCABULARY, dtype=torch.bool)
    for row, ids in enumerate(allowed):
        mask[row, ids] = True
    dense["constraint_masks"] = mask.view(2, 3, VOCABULARY)
    sparse["constraint_masks"] = {
        "row_offsets": torch.tensor([0, *torch.tensor([len(x) for x in allowed]).cumsum(0)]),
        "ids": torch.tensor([i for x in allowed for i in x]),
        "size": torch.tensor([2, 3]),
    }
    model, criterion = Network(), make_criterion(label_smoothing=0.1)
    torch.testing.assert_close(criterion(model, dense)[0], criterion(model, sparse)[0])


def test_range_equals_a_mask_of_the_window():
    model, sample = Network(), make_sample()
    by_range = make_criterion(label_smoothing=0.1, constraint_range="5,8")(model, sample)[0]
    mask = torch.zeros(2, 3, VOCABULARY, dtype=torch.bool)
    mask[..., :4] = mask[..., 5:8] = True
    sample["constraint_masks"] = mask
    by_mask = make_criterion(label_smoothing=0.1)(model, sample)[0]
    torch.testing.assert_close(by_range, by_mask)
    sample["constraint_masks"] = torch.ones_like(mask)
    both = make_criterion(label_smoothing=0.1, constraint_range="5,8")(model, sample)[0]
    torch.testing.assert_close(by_range, both)


def test_range_of_the_task_counts_when_the_criterion_has_none():
    assert make_criterion(make_task(constraint_range="5,8")).window == (5, 8)
    assert make_criterion(make_task(constraint_range="5,8"), constraint_range="4,9").window == (
        4,
        9,
    )
    assert make_criterion().window is None


@pytest.mark.parametrize("text", ["5", "a,b", "1,2,3", "-1,4"])
def test_bad_range_raises(text):
    with pytest.raises(ValueError, match="--constraint-range"):
        parse_range(text)


@pytest.mark.parametrize("options", [{"label_smoothing": 1.0}, {"drop_worst_ratio": -0.1}])
def test_options_outside_their_range_raise(options):
    with pytest.raises(ValueError, match="must lie in"):
        make_criterion(**options)


def test_report_accuracy_counts_tokens():
    model, sample = Network(), make_sample()
    _, size, log = make_criterion(report_accuracy=True)(model, sample)
    best = model.table[sample["net_input"]["prev_output_tokens"]].argmax(-1)
    correct = (best == sample["target"]) & (sample["target"] != PAD)
    assert int(log["n_correct"]) == int(correct.sum()) and log["total"] == size


def test_reduction_of_two_workers_is_the_mean_over_tokens():
    criterion = make_criterion(report_accuracy=True)
    logs = [criterion(Network(), make_sample())[2], criterion(Network(), make_sample())[2]]
    with metrics.aggregate(new_root=True) as log:
        criterion.reduce_metrics(logs)
        got = log.get_smoothed_values()
    assert got["loss"] == pytest.approx(float(logs[0]["loss"]) / 5, abs=6e-4)
    assert got["ppl"] == pytest.approx(math.exp(float(logs[0]["nll_loss"]) / 5), rel=1e-2)
    assert 0 <= got["accuracy"] <= 100 and "loss_v1" not in got
    assert criterion.logging_outputs_can_be_summed()


def test_reduction_of_pairs_logs_both_means():
    criterion = make_criterion()
    log = criterion(Network(), [make_sample(), make_sample()])[2]
    with metrics.aggregate(new_root=True) as meters:
        criterion.reduce_metrics([log, log])
        got = meters.get_smoothed_values()
    assert got["loss_v1"] == got["loss_v2"] == pytest.approx(float(log["loss_v1"]) / 5, abs=6e-4)
    assert got["loss"] == pytest.approx(float(log["loss"]), abs=6e-4)


def test_perplexity_uses_nats_and_does_not_overflow():
    assert perplexity(1.0) == 2.72
    assert perplexity(1e4) == math.inf
    assert math.isnan(perplexity(None)) and math.isnan(perplexity(math.nan))


class FeaturesNetwork(torch.nn.Module):
    """A network that can tell its output matrix."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(6)
        self.table = torch.nn.Parameter(torch.randn(VOCABULARY, 4, generator=generator))
        self.output_weight = torch.nn.Parameter(torch.randn(VOCABULARY, 4, generator=generator))
        self.asked: list[bool] = []

    def forward(self, prev_output_tokens, features_only=False, **others):
        self.asked.append(features_only)
        features = self.table[prev_output_tokens]
        return (features if features_only else features @ self.output_weight.t()), {}


def test_network_with_an_output_matrix_is_asked_for_features():
    model, criterion, sample = (
        FeaturesNetwork(),
        make_criterion(report_accuracy=True),
        make_sample(),
    )
    loss, _, log = criterion(model, sample)
    logits_only = torch.nn.Module()
    logits_only.forward = lambda **inputs: model(**inputs)
    want, _, expected = criterion(logits_only, sample)
    torch.testing.assert_close(loss, want)
    assert model.asked == [True, False] and log["n_correct"] == expected["n_correct"]


def test_autocast_makes_the_logits_in_its_type():
    model, criterion = FeaturesNetwork(), make_criterion()
    want = criterion(model, make_sample())[0]
    with torch.autocast("cpu", torch.bfloat16):
        loss = criterion(model, make_sample())[0]
    loss.backward()
    assert loss.dtype == torch.float32 and model.output_weight.grad.dtype == torch.float32
    torch.testing.assert_close(loss, want, rtol=0.05, atol=0.05)
