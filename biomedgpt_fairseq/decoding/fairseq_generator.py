"""Adapter: the search behind the interface of fairseq's sequence generators."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from biomedgpt_fairseq.decoding.beam_search import Found, Hypothesis, SearchPlan, search
from biomedgpt_fairseq.decoding.box_grammar import BoxRules
from biomedgpt_fairseq.decoding.constraints import BatchFacts, Constraints, build_processors
from biomedgpt_fairseq.decoding.ensemble import Ensemble, start_states
from biomedgpt_fairseq.decoding.protocol import NetInput
from biomedgpt_fairseq.decoding.rows import Prompt
from biomedgpt_fairseq.decoding.settings import GenerationSettings, parse_settings
from biomedgpt_fairseq.decoding.steps import (
    DiverseGroupsStep,
    DiverseSiblingsStep,
    SamplingStep,
    Step,
    beam_step,
)
from biomedgpt_fairseq.text.trie import AnswerTrie
from biomedgpt_fairseq.text.vocab import Vocabulary


class FairseqHypothesis(TypedDict):
    """A hypothesis as fairseq's programs read it; attention and alignment are empty."""

    tokens: Tensor
    score: Tensor
    attention: Tensor
    alignment: Tensor
    positional_scores: Tensor


class BeamGenerator:
    """Generates with whatever models it is given.

    Hypotheses start from bos, and `symbols_to_strip_from_output` are not text.
    zero_shot: trie and range mask after the softmax, so that scores are those of free text.
    trie: may be set and cleared between calls.
    """

    def __init__(
        self, vocab: Vocabulary, settings: GenerationSettings, constraints: Constraints
    ) -> None:
        self.vocab = vocab
        self.settings = settings
        self.constraints = constraints
        self.zero_shot = settings.zero_shot
        self.beam_size = min(settings.beam, len(vocab) - 1)
        self.symbols_to_strip_from_output = {vocab.bos, vocab.eos}
        self._random: torch.Generator | None = None

    @property
    def trie(self) -> AnswerTrie | None:
        """The closed answer set."""
        return self.constraints.trie

    @trie.setter
    def trie(self, trie: AnswerTrie | None) -> None:
        self.constraints = replace(self.constraints, trie=trie)

    def generate(
        self,
        models: Sequence[Any],
        sample: Mapping[str, Any],
        prefix_tokens: Tensor | None = None,
        constraints: Tensor | None = None,
        bos_token: int | None = None,
    ) -> list[list[FairseqHypothesis]]:
        """Per sentence its hypotheses, best first.

        models: `Decodable` ones; their training mode is left as found.
        prefix_tokens: (B, p) forced start without bos, pad: free; an eos in it is not forced.
        bos_token is accepted and ignored, as in the original.
        Raises ValueError when nothing of the allowed length can be generated for a sentence.
        """
        if constraints is not None:
            raise ValueError("lexically constrained decoding is not supported, found constraints")
        with _evaluating(models):
            found = self._search(models, sample["net_input"], prefix_tokens)
        return [[_to_fairseq(hypothesis) for hypothesis in ranked] for ranked in found]

    @torch.inference_mode()
    def _search(
        self, models: Sequence[Any], net_input: NetInput, prefix_tokens: Tensor | None
    ) -> Found:
        source = net_input["src_tokens"]
        facts = self._facts(models, source, prefix_tokens)
        settings = self.settings
        constraints = self._constraints_on(source.device)
        processors = build_processors(settings, self.vocab, constraints, facts, self.zero_shot)
        # The last step feeds bos and max_len tokens.
        room = facts.max_len + 1
        states = start_states(models, net_input, room, settings.gen_code)
        # Behind forced tokens alone, and in the first step, all hypotheses of a sample are one.
        shared = 1 + (facts.prompt.shortest if facts.prompt is not None else 0)
        ensemble = Ensemble(
            models, states, processors, settings.temperature, self.beam_size, shared
        )
        found = search(
            ensemble, source.size(0), self._plan(facts.max_len, source.device), source.device
        )
        empty = [i for i, ranked in enumerate(found) if not ranked]
        if empty:
            raise ValueError(
                f"no hypothesis of at most {facts.max_len} tokens is possible for sentences "
                f"{empty} of the batch; raise max_len_b, lower min_len, or look for logits that "
                "are not finite"
            )
        return found

    def _facts(
        self, models: Sequence[Any], source: Tensor, prefix_tokens: Tensor | None
    ) -> BatchFacts:
        vocab, settings = self.vocab, self.settings
        lengths = (source.ne(vocab.pad) & source.ne(vocab.eos)).sum(1)  # (B,)
        prompt = None
        if prefix_tokens is not None and prefix_tokens.size(1) > 0:
            prompt = Prompt(prefix_tokens.to(source), vocab.pad, vocab.eos)
        if settings.match_source_len:
            max_len = int(lengths.max())
        else:
            max_len = int(settings.max_len_a * source.size(1) + settings.max_len_b)
        # Original: no cap, an index error behind the position table; here: the table's length.
        max_len = min([max_len, *(m.max_target_positions - 1 for m in models)])
        if prompt is not None and max_len < prompt.longest:
            raise ValueError(
                f"max_len_b must leave room for the longest prompt ({prompt.longest} tokens), "
                f"found {max_len} tokens in all"
            )
        return BatchFacts(prompt, self._bound_by_trie(max_len, prompt), lengths)

    def _bound_by_trie(self, max_len: int, prompt: Prompt | None) -> int:
        """Answers of a closed set are over by then: a smaller cache, the same hypotheses."""
        if self.trie is None or self.settings.ignore_eos:
            return max_len
        longest_answer = int(self.trie.depth.max()) - 1
        return min(max_len, longest_answer + (prompt.longest if prompt is not None else 0))

    def _constraints_on(self, device: torch.device) -> Constraints:
        """The constraints, with their tries on the device, where they stay for the next batch."""
        if self.trie is not None and self.trie.depth.device != device:
            self.trie = self.trie.to(device)
        if self.constraints.boxes is not None:
            boxes = self.constraints.boxes.to(device)
            self.constraints = replace(self.constraints, boxes=boxes)
        return self.constraints

    def _plan(self, max_len: int, device: torch.device) -> SearchPlan:
        settings, vocab = self.settings, self.vocab
        step: Step = beam_step
        groups = 1
        if settings.sampling:
            step = SamplingStep(
                settings.sampling_topk, settings.sampling_topp, self._generator(device)
            )
            groups = self.beam_size
        elif settings.diverse_beam_groups > 0:
            step, groups = (
                DiverseGroupsStep(settings.diverse_beam_strength),
                settings.diverse_beam_groups,
            )
        elif settings.diversity_rate > 0:
            step = DiverseSiblingsStep(settings.diversity_rate)
        penalty = None if settings.unnormalized else settings.lenpen
        return SearchPlan(
            step, self.beam_size, max_len, vocab.bos, vocab.pad, vocab.eos, groups, penalty
        )

    def _generator(self, device: torch.device) -> torch.Generator | None:
        """Seeded once, so that batches of a run differ and runs do not."""
        if self.settings.sampling_seed is None:
            return None
        if self._random is None or self._random.device != device:
            self._random = torch.Generator(device).manual_seed(self.settings.sampling_seed)
        return self._random


@contextmanager
def _evaluating(models: Sequence[Any]) -> Iterator[None]:
    """Models without dropout; afterwards every module is in the mode it was in."""
    training = [
        module
        for model in models
        if isinstance(model, nn.Module)
        for module in model.modules()
        if module.training
    ]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _to_fairseq(hypothesis: Hypothesis) -> FairseqHypothesis:
    # Cloned outside inference mode: fairseq's programs change the scores in place.
    return {
        "tokens": hypothesis.tokens.clone(),
        "score": torch.tensor(hypothesis.score),
        "attention": torch.empty(0),
        "alignment": torch.empty(0),
        "positional_scores": hypothesis.positional_scores.clone(),
    }


def build_generator(
    vocab: Vocabulary,
    args: Namespace | Mapping[str, Any],
    *,
    trie: AnswerTrie | None = None,
    constraint_range: tuple[int, int] | None = None,
    boxes: BoxRules | None = None,
) -> BeamGenerator:
    """Generator of the given options, see `GenerationSettings`; absent ones take its defaults.

    args: the options of a recipe, or fairseq's complete option group.
    `prefix_allowed_tokens_fn` among them constrains the search, see `Constraints`.
    """
    options = dict(args) if isinstance(args, Mapping) else dict(vars(args))
    allowed_tokens = options.pop("prefix_allowed_tokens_fn", None)
    constraints = Constraints(trie, constraint_range, allowed_tokens, boxes)
    return BeamGenerator(vocab, parse_settings(options), constraints)
