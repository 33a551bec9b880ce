"""From options to the list of processors, in the order that fixes what wins over what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from biomedgpt_fairseq.decoding.box_grammar import BoxGrammar, BoxRules
from biomedgpt_fairseq.decoding.processors import (
    BoxSequence,
    ExactLength,
    ForcedPrompt,
    LastStep,
    MinimumLength,
    NgramBlock,
    NoSpecials,
    PrefixAllowedTokens,
    RangeConstraint,
    TokenPenalties,
    TrieConstraint,
)
from biomedgpt_fairseq.decoding.rows import Processor, Prompt, Space
from biomedgpt_fairseq.decoding.settings import GenerationSettings
from biomedgpt_fairseq.text.trie import AnswerTrie
from biomedgpt_fairseq.text.vocab import Vocabulary

AllowedTokens = Callable[[int, Tensor], Sequence[int] | Tensor]


@dataclass(frozen=True)
class Constraints:
    """What may be generated at all.

    trie: a closed answer set.  bounds: ids start .. end-1.  boxes: answers are boxes.  One of them
    at most.  allowed_tokens: function(sample, tokens with bos) -> allowed ids.
    """

    trie: AnswerTrie | None = None
    bounds: tuple[int, int] | None = None
    allowed_tokens: AllowedTokens | None = None
    boxes: BoxRules | None = None

    def __post_init__(self) -> None:
        if sum(rule is not None for rule in (self.trie, self.bounds, self.boxes)) > 1:
            raise ValueError(
                "an answer trie, a constraint range and the rules of boxes exclude each other"
            )
        if self.bounds is not None and not 0 <= self.bounds[0] < self.bounds[1]:
            raise ValueError(f"constraint range must be start < end, found {self.bounds}")


@dataclass(frozen=True)
class BatchFacts:
    """What a search knows of its batch: forced prompts, length limit, lengths to match (B,)."""

    prompt: Prompt | None
    max_len: int
    source_lengths: Tensor


def build_processors(
    settings: GenerationSettings,
    vocab: Vocabulary,
    constraints: Constraints,
    facts: BatchFacts,
    zero_shot: bool = False,
) -> list[Processor]:
    """Processors of one search, for one batch.

    zero_shot: trie and range act on log-probabilities, so that scores stay those of free text.
    """
    prompt, max_len = facts.prompt, facts.max_len
    num_specials = vocab.unk + 1
    space: Space = "lprobs" if zero_shot else "logits"
    processors = _answer_rules(constraints, len(vocab), num_specials, facts, space)
    if prompt is not None:
        processors.append(ForcedPrompt(prompt))
    # A batch with prompts has no minimum before its longest prompt ends, as in the original.
    after = prompt.width if prompt is not None else 0
    if after < settings.min_len:
        processors.append(MinimumLength(settings.min_len, vocab.eos, after))
    processors.append(TokenPenalties(vocab.pad, vocab.unk, settings.unkpen))
    if settings.gen_code or settings.gen_box:
        processors.append(NoSpecials(num_specials, max_len))
    if settings.gen_box:
        processors.append(_box_sequence(vocab, constraints.bounds))
    processors.append(LastStep(max_len, vocab.eos, 1.0 if settings.ignore_eos else None))
    if settings.no_repeat_ngram_size > 0:
        processors.append(NgramBlock(settings.no_repeat_ngram_size, prompt))
    if settings.match_source_len:
        processors.append(ExactLength(facts.source_lengths, vocab.eos))
    if constraints.allowed_tokens is not None:
        processors.append(PrefixAllowedTokens(constraints.allowed_tokens))
    return processors


def _answer_rules(
    constraints: Constraints, vocab_size: int, num_specials: int, facts: BatchFacts, space: Space
) -> list[Processor]:
    """The one processor that says what an answer is, or none."""
    prompt = facts.prompt
    if constraints.trie is not None:
        constraints.trie.check_vocabulary(vocab_size)
        return [TrieConstraint(constraints.trie, num_specials, prompt, space)]
    if constraints.bounds is not None:
        return [RangeConstraint(constraints.bounds, num_specials, prompt, space)]
    if constraints.boxes is not None:
        if prompt is not None:
            raise ValueError("answers that are boxes take no decoder prompt")
        return [BoxGrammar(constraints.boxes, num_specials, facts.max_len)]
    return []


def _box_sequence(vocab: Vocabulary, bounds: tuple[int, int] | None) -> BoxSequence:
    if bounds is None:
        raise ValueError(
            "gen_box needs a constraint range that begins with the bins and ends behind the class "
            "words appended to the vocabulary"
        )
    return BoxSequence(bounds[0], vocab.first_bin + vocab.num_bins)
