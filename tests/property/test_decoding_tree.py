"""A tree decoded in one pass equals each of its paths decoded alone."""

from dataclasses import replace
from functools import lru_cache

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from biomedgpt_fairseq.adapters.attach import AdapterOptions, PromptOptions, attach
from biomedgpt_fairseq.config import ModelConfig
from biomedgpt_fairseq.decoding.all_candidates import score_candidates
from biomedgpt_fairseq.models.transformer import UnifiedTransformer, build_transformer
from biomedgpt_fairseq.text.trie import AnswerTrie

CONFIG = ModelConfig(16, 32, 2, 1, 2, "resnet_micro", vocab_size=30, code_image_size=16)


@lru_cache(maxsize=4)
def network(prompted: bool, entangled: bool) -> UnifiedTransformer:
    torch.manual_seed(0)
    model = build_transformer(replace(CONFIG, entangle_decoder=entangled))
    if prompted:
        attach(model, AdapterOptions(4, PromptOptions(3, 8), PromptOptions(2)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model.eval()


@settings(max_examples=30, deadline=None)
@given(
    st.booleans(),
    st.booleans(),
    st.lists(st.lists(st.integers(3, 29), max_size=4), min_size=1, max_size=3),
    st.lists(
        st.lists(st.integers(3, 7), min_size=1, max_size=4), min_size=1, max_size=8, unique_by=tuple
    ),
    st.integers(0, 2**31),
)
def test_scores_equal_teacher_forcing_of_each_answer(
    prompted: bool, entangled: bool, prompts: list[list[int]], words: list[list[int]], seed: int
) -> None:
    model = network(prompted, entangled)
    torch.manual_seed(seed)
    source = torch.randint(2, 30, (len(prompts), 6))
    source[0, 4:] = 1
    net_input = {"src_tokens": source, "patch_images": torch.randn(len(prompts), 3, 32, 16)}
    answers = [[*tokens, 2] for tokens in words]
    trie = AnswerTrie(answers)
    starts = [[0, *prompt] for prompt in prompts]

    scores = score_candidates([model], net_input, starts, trie, chunk=20)

    for b, start in enumerate(starts):
        encoder_out = model.encode({k: v[b : b + 1] for k, v in net_input.items()})
        for k, answer in enumerate(answers):
            inputs = torch.tensor([[*start, *answer[:-1]]])
            logits = model.forward_decoder(inputs, encoder_out)[0, len(start) - 1 :]
            allowed = torch.full_like(logits, -torch.inf)
            for t, ids in enumerate(trie.allowed_per_step(answer)):
                allowed[t, ids] = logits[t, ids]
            expected = allowed.log_softmax(1)[range(len(answer)), answer].sum()
            torch.testing.assert_close(scores[b, k], expected, atol=2e-4, rtol=1e-4)
