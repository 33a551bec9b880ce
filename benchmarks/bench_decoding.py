"""Decoding over a closed answer set against stock fairseq and against a pass per candidate.

    python -m benchmarks.bench_decoding --size tiny --batch 16 --image 256 --answers 5000

Weights and answers are random, outputs of both sides are compared, and each repetition times both
sides one after the other, on one thread, in seconds of the processor.  --json FILE keeps all.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from fairseq.data import Dictionary
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.baselines.candidate_chunks import score_chunks
from benchmarks.baselines.stock_search import BOS, stock_generator
from benchmarks.ratios import Ratio, matmul_rate, seconds_of, show, side_by_side
from biomedgpt_fairseq.config import SIZES
from biomedgpt_fairseq.decoding.all_candidates import score_candidates
from biomedgpt_fairseq.decoding.fairseq_generator import build_generator
from biomedgpt_fairseq.models.transformer import UnifiedTransformer, build_transformer
from biomedgpt_fairseq.text.trie import AnswerTrie
from biomedgpt_fairseq.text.vocab import Vocabulary

WORDS, EOS, FIRST_WORD = 50_260, 2, 4
MAX_PLAIN = 1000
"""Candidates that are scored plainly; 5,000 take a minute."""
CANDIDATE_GOALS = {517: 20.0, 5000: 50.0}


def make_answers(count: int, seed: int = 0) -> list[list[int]]:
    """Different answers of one to four words out of 300, a word being one or two tokens."""
    draw = random.Random(seed)
    words = [draw.sample(range(FIRST_WORD, WORDS), draw.choice([1, 1, 2])) for _ in range(300)]
    found: dict[tuple[int, ...], None] = {}
    while len(found) < count:
        chosen = draw.choices(words, k=draw.randint(1, 4))
        found[(*(token for word in chosen for token in word), EOS)] = None
    return [list(answer) for answer in found]


class GivenOutput(UnifiedTransformer):
    """The network with an encoder output computed before."""

    given: Any = None

    def encode(self, net_input: Any) -> Any:
        return self.given if self.given is not None else super().encode(net_input)


@dataclass(frozen=True)
class Setting:
    """A network, a batch, and how often everything is timed."""

    model: GivenOutput
    net_input: dict[str, Tensor]
    dictionary: Dictionary
    vocab: Vocabulary
    repeats: int


def build_setting(size: str, batch: int, image: int, repeats: int) -> Setting:
    """Random weights and inputs: 20 words and a square image per sample."""
    torch.manual_seed(0)
    vocab = Vocabulary([str(i) for i in range(WORDS)])
    built = build_transformer(replace(SIZES[size], vocab_size=len(vocab)))
    model = GivenOutput(built.encoder, built.decoder).eval()
    source = torch.randint(FIRST_WORD, WORDS, (batch, 20))
    source[:, 0], source[:, -1] = BOS, EOS
    net_input = {
        "src_tokens": source,
        "patch_images": torch.randn(batch, 3, image, image),
        "patch_masks": torch.ones(batch, dtype=torch.bool),
    }
    dictionary = Dictionary()
    for number in range(len(vocab) - len(dictionary)):
        dictionary.add_symbol(f"word{number}")
    return Setting(model, net_input, dictionary, vocab, repeats)


def bench_search(setting: Setting, trie: AnswerTrie, beam: int) -> list[Ratio]:
    """Trunk, encoder stack, decoding against stock fairseq, and a sample as a whole."""
    model, net_input = setting.model, setting.net_input
    ours = build_generator(setting.vocab, {"beam": beam, "unnormalized": True}, trie=trie)
    encoder_out = model.encode(net_input)
    stock = stock_generator(model, setting.dictionary, encoder_out, trie.sequences, beam)
    text_only = {"src_tokens": net_input["src_tokens"]}

    def decode() -> Any:
        model.given = encoder_out
        found = ours.generate([model], {"net_input": net_input})
        model.given = None
        return found

    def decode_stock() -> Any:
        return stock.generate([stock.model], {"net_input": text_only}, bos_token=BOS)

    check_hypotheses(decode(), decode_stock())

    def encode() -> Any:
        return model.encode(net_input)

    def trunk() -> Any:
        return model.encoder.embed_images(net_input["patch_images"])

    def whole() -> Any:
        return ours.generate([model], {"net_input": net_input})

    def runs(name: str, work: Any, compared: Any, goal: float | None = None) -> Ratio:
        return side_by_side(name, work, compared, setting.repeats, goal)

    searched = f"beam {beam}, {trie.num_answers:,} answers"
    return [
        runs(f"{searched}, behind the encoder; stock fairseq", decode, decode_stock, 10.0),
        runs(f"{searched}, whole; trunk and encoder", whole, encode, 1 / 1.3),
        runs("trunk and encoder; trunk", encode, trunk),
        Ratio("trunk; its products at full rate", *_at_full_rate(trunk, setting.repeats)),
    ]


def _at_full_rate(work: Callable[[], Any], repeats: int) -> tuple[list[float], list[float]]:
    """Seconds of some work, and of as many operations in a bare product of matrices."""
    with FlopCounterMode(display=False) as counter:
        work()
    operations = counter.get_total_flops()
    pairs = [(seconds_of(work), operations / matmul_rate(1)) for _ in range(repeats)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def bench_candidates(setting: Setting, trie: AnswerTrie, goal: float | None = None) -> Ratio:
    """All answers scored, against a pass per twenty of them.

    The other side scores a thousand of them at most, evenly spaced, and is taken to need as much
    for each of the others: no pass profits from another.
    """
    model, net_input = setting.model, setting.net_input
    model.given = encoder_out = model.encode(net_input)
    prompt = [BOS]
    prompts = [prompt] * len(net_input["src_tokens"])
    sampled = range(0, trie.num_answers, -(-trie.num_answers // MAX_PLAIN))
    answers = [trie.sequences[i] for i in sampled]

    def score() -> Tensor:
        return score_candidates([model], net_input, prompts, trie, 20)

    def score_plainly() -> Tensor:
        return score_chunks(model, encoder_out, prompt, trie.sequences, answers)

    expected = score_plainly()
    torch.testing.assert_close(score()[:, list(sampled)], expected, rtol=1e-5, atol=1e-5)
    scored = f"{trie.num_answers:,} candidates scored; a pass per twenty"
    found = side_by_side(scored, score, score_plainly, setting.repeats, goal)
    model.given = None
    whole = trie.num_answers / len(answers)
    return replace(found, compared=[seconds * whole for seconds in found.compared])


def check_hypotheses(ours: Any, baseline: Any) -> None:
    """Raises AssertionError unless both found the same answers with the same scores."""
    for found, expected in zip(ours, baseline, strict=True):
        assert [h["tokens"].tolist() for h in found] == [h["tokens"].tolist() for h in expected]
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(float(a["score"]), float(b["score"]), rtol=1e-4, atol=1e-4)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the program."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_decoding", description=__doc__)
    parser.add_argument("--size", choices=list(SIZES), default="tiny")
    parser.add_argument("--batch", type=int, default=16, help="samples")
    parser.add_argument("--image", type=int, default=256, help="pixels a side")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--answers", type=int, default=5000, help="of the beam search")
    parser.add_argument(
        "--candidates", type=int, nargs="*", default=[517, 5000], help="answers scored"
    )
    parser.add_argument("--candidate-batch", type=int, default=1, help="samples scored at once")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for all figures")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with torch.inference_mode():
        setting = build_setting(args.size, args.batch, args.image, args.repeats)
        found = bench_search(setting, AnswerTrie(make_answers(args.answers)), args.beam)
        setting = build_setting(args.size, args.candidate_batch, args.image, args.repeats)
        for count in args.candidates:
            goal = CANDIDATE_GOALS.get(count)
            found.append(bench_candidates(setting, AnswerTrie(make_answers(count)), goal))
    show(found, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
