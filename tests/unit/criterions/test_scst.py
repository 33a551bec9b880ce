"""Self-critical training on a stand-in network with fixed samples."""

from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("fairseq")

from fairseq.logging import metrics

from biomedgpt_fairseq.criterions.scst import ClipScstCriterion, ScstCriterion, ScstOptions
from biomedgpt_fairseq.metrics import cider_d

BOS, PAD, EOS = 0, 1, 2
WORDS = {5: "heart", 6: "lung.", 7: "Big", 8: "clear"}
SAMPLED = [[[7, 5, EOS], [5, EOS]], [[8, 6, EOS], [7, 6, EOS], [8, EOS]]]
REFERENCES = [{"big heart": 1.0}, {"clear lung": 1.0, "lung clear": 1.0}]
TRAINING = [["big heart"], ["clear lung", "lung clear"], ["heart"]]


class Network(torch.nn.Module):
    """Logits from a table by decoder input; records what it was given."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.table = torch.nn.Parameter(torch.randn(12, 12, generator=generator))
        self.seen: dict = {}

    def forward(self, **net_input):
        self.seen = net_input
        return self.table[net_input["prev_output_tokens"]], {}


class Task:
    """Draws the same samples every time."""

    def __init__(self, scst: bool = True) -> None:
        self.cfg = SimpleNamespace(scst=scst, constraint_range=None)
        self.target_dictionary = SimpleNamespace(bos=lambda: BOS, pad=lambda: PAD, eos=lambda: EOS)
        self.tokenizer = self

    def decode(self, ids: torch.Tensor) -> str:
        return " ".join(WORDS[i] for i in ids.tolist() if i != EOS)

    def build_scst_generator(self, model):
        return None

    def inference_step(self, generator, models, sample):
        return [[{"tokens": torch.tensor(ids)} for ids in several] for several in SAMPLED]

    def training_paths(self):
        return ["train.tsv"]

    def references(self, paths):
        return TRAINING


def make_criterion(**options) -> ScstCriterion:
    options.setdefault("sentence_avg", False)
    return ScstCriterion(ScstOptions(**options), Task())


def make_sample():
    return {
        "net_input": {
            "src_tokens": torch.tensor([[3], [4]]),
            "prev_output_tokens": torch.tensor([[0, 5], [0, 6]]),
        },
        "ref_dict": REFERENCES,
    }


def sampled_scores() -> list[float]:
    hyps = ["big heart", "heart", "clear lung", "big lung", "clear"]
    refs = [[*REFERENCES[0]]] * 2 + [[*REFERENCES[1]]] * 3
    train = [[f"{text} <eos>" for text in several] for several in TRAINING]
    from biomedgpt_fairseq.metrics.cider import document_frequencies

    ended = [[f"{text} <eos>" for text in several] for several in refs]
    return list(
        cider_d([f"{h} <eos>" for h in hyps], ended, document_frequencies(train), len(train))
    )


def test_loss_is_the_rewarded_likelihood_of_the_samples() -> None:
    model = Network()
    loss, size, log = make_criterion()(model, make_sample())
    s = sampled_scores()
    rewards = [s[0] - s[1], s[1] - s[0]]
    rewards += [s[2] - (s[3] + s[4]) / 2, s[3] - (s[2] + s[4]) / 2, s[4] - (s[2] + s[3]) / 2]
    lprobs = torch.log_softmax(model.table, 1)
    texts = [ids for several in SAMPLED for ids in several]
    wanted = 0.0
    for ids, reward in zip(texts, rewards, strict=True):
        for before, token in zip([BOS, *ids], ids, strict=False):
            wanted -= reward * lprobs[before, token].item()
    assert loss.item() == pytest.approx(wanted, rel=1e-4)
    assert size == 13 and log["nsentences"] == 5
    assert float(log["score"]) == pytest.approx(sum(s), rel=1e-5)


def test_inputs_are_repeated_for_each_sample() -> None:
    model = Network()
    make_criterion()(model, make_sample())
    assert model.seen["src_tokens"].tolist() == [[3], [3], [4], [4], [4]]
    assert model.seen["prev_output_tokens"][:2].tolist() == [[BOS, 7, 5], [BOS, 5, EOS]]


def test_sentence_average_divides_by_samples() -> None:
    assert make_criterion(sentence_avg=True)(Network(), make_sample())[1] == 5


def test_prefix_can_be_left_out() -> None:
    assert make_criterion(ignore_prefix_size=1)(Network(), make_sample())[1] == 8


def test_probabilities_are_those_of_the_window() -> None:
    model = Network()
    loss, _, _ = make_criterion(constraint_range="5,9")(model, make_sample())
    with torch.no_grad():
        model.table[:, [4, 9, 10, 11]] = -torch.inf
    wanted, _, _ = make_criterion()(model, make_sample())
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_logged_score_is_a_mean_over_samples() -> None:
    logs = [
        {"loss": 4.0, "score": 3.0, "ntokens": 6, "nsentences": 2, "sample_size": 4},
        {"loss": 2.0, "score": 1.0, "ntokens": 3, "nsentences": 2, "sample_size": 2},
    ]
    with metrics.aggregate() as found:
        ScstCriterion.reduce_metrics(logs)
    assert found.get_smoothed_value("loss") == 1.0
    assert found.get_smoothed_value("score") == 1.0


def test_task_must_keep_all_references() -> None:
    with pytest.raises(ValueError, match="needs --task caption with --scst"):
        ScstCriterion(ScstOptions(sentence_avg=False), Task(scst=False))


def test_reward_by_clip_is_refused_with_a_reason() -> None:
    with pytest.raises(ValueError, match="no task here generates any"):
        ClipScstCriterion.build_criterion(None, None)
