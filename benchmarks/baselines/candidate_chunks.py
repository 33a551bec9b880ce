"""All-candidate scoring as the original described it: a forward pass per chunk of candidates.

The encoder's output is repeated for the rows of a chunk, each row is the prompt and one whole
candidate, and logits are those of the whole vocabulary, masked by what the trie allows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.baselines.stock_search import DictionaryTrie
from biomedgpt_fairseq.models.encoder import EncoderOutput
from biomedgpt_fairseq.models.transformer import UnifiedTransformer

PAD = 1


@torch.inference_mode()
def score_chunks(
    model: UnifiedTransformer,
    encoder_out: EncoderOutput,
    prompt: Sequence[int],
    answers: Sequence[Sequence[int]],
    scored: Sequence[Sequence[int]],
    chunk: int = 20,
) -> Tensor:
    """Sum of the log-probabilities of each answer's tokens among the allowed ones: (B, K).

    prompt: decoder prompt of all B samples, bos first.  answers: lists that end in eos, all of
    which are allowed; scored: K of them.
    """
    trie = DictionaryTrie(answers)
    batch = encoder_out["encoder_out"].size(0)
    scores = []
    for start in range(0, len(scored), chunk):
        part = scored[start : start + chunk]
        longest = max(map(len, part))
        inputs = torch.full((len(part), len(prompt) + longest - 1), PAD)
        targets = torch.full((len(part), longest), PAD)
        allowed = torch.zeros(len(part), longest, model.config.vocab_size, dtype=torch.bool)
        for row, answer in enumerate(part):
            inputs[row, : len(prompt) + len(answer) - 1] = torch.tensor([*prompt, *answer[:-1]])
            targets[row, : len(answer)] = torch.tensor(answer)
            for place in range(len(answer)):
                allowed[row, place, trie.next_tokens(answer[:place])] = True
        states = model.expand(encoder_out, len(part))
        logits = model.forward_decoder(inputs.repeat(batch, 1), states)[:, len(prompt) - 1 :]
        targets, allowed = targets.repeat(batch, 1), allowed.repeat(batch, 1, 1)
        lprobs = logits.float().masked_fill(~allowed, -torch.inf).log_softmax(-1)
        lprobs = lprobs.gather(2, targets.unsqueeze(2)).squeeze(2)
        scores.append(lprobs.masked_fill(targets.eq(PAD), 0.0).sum(1).view(batch, len(part)))
    return torch.cat(scores, dim=1)
