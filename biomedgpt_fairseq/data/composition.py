"""Example: its type, what row builders work with, and the parts that all tasks share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.pixels import ImageScale
from biomedgpt_fairseq.text.instructions import Instruction
from biomedgpt_fairseq.text.tokenizer import Tokenizer
from biomedgpt_fairseq.text.trie import AnswerTrie
from biomedgpt_fairseq.text.vocab import Vocabulary

PromptType = Literal["none", "src", "prev_output"]


class LoadImage(Protocol):
    """Cell of an image column -> tensor (3, R, R): bytes, which `scale` normalises, or float32."""

    scale: ImageScale

    def __call__(self, cell: str, rng: np.random.Generator) -> Tensor: ...


@dataclass
class Example:
    """One sample.  S source tokens, T target tokens.

    source: (S,) with bos and eos; prev_output: (T,) decoder input; target: (T,), pad at the
    positions that only prompt; prompt: forced decoder start, bos included.
    allowed: ids allowed at each target position, empty for prompts; None without a closed set.
    truncated: whether text was cut to fit the position tables.
    image: (3, R, R) float32, or uint8 with the `image_scale` that normalises it.
    image_size: width and height of the picture that was stretched to it, where answers are boxes.
    """

    row_id: str
    source: Tensor
    prev_output: Tensor
    target: Tensor
    image: Tensor | None
    image_is_real: bool = True
    is_code: bool | None = None
    conf: float | None = None
    references: dict[str, float] | None = None
    target_text: str | None = None
    prompt: list[int] | None = None
    allowed: list[list[int]] | None = None
    truncated: bool = False
    image_scale: ImageScale | None = None
    image_size: tuple[int, int] | None = None

    def normalized_image(self) -> Tensor | None:
        """The image (3, R, R) in float32."""
        if self.image is None or self.image_scale is None:
            return self.image
        return self.image_scale(self.image)


@dataclass(frozen=True)
class RowTools:
    """What row builders work with.

    instruction: the task's template, possibly a paraphrase; image: None for text-only tasks;
    trie: the closed answer set, None for free answers.
    """

    tokenizer: Tokenizer
    instruction: Instruction
    image: LoadImage | None = None
    trie: AnswerTrie | None = None


@dataclass(frozen=True)
class RowOptions:
    """Limits and forms of text; each builder uses those that its task has.

    max_src_length, max_tgt_length: words or tokens, per task; max_source_positions,
    max_target_positions: the model's position tables.
    require_known: an answer outside the closed set is an error; otherwise the row has no loss.
    all_references: caption targets keep every reference (validation, self-critical training).
    noise_ratio: share of decoder input replaced at random (summaries, training only).
    """

    max_src_length: int = 128
    max_tgt_length: int = 30
    max_source_positions: int = 1024
    max_target_positions: int = 1024
    prompt_type: PromptType = "none"
    add_object: bool = False
    max_object_length: int = 30
    require_known: bool = True
    all_references: bool = False
    noise_ratio: float = 0.0
    nli_words: tuple[str, str, str] = ("maybe", "yes", "no")


def compose_decoder(
    source: list[int], answer: list[int], prompt_type: PromptType
) -> tuple[list[int], list[int], list[int]]:
    """Decoder input (T,), target (T,) and prompt.

    source: with bos and eos.  answer: with eos when the model has to end the answer itself.
    The prompt is bos (none), the source (src) or the source without eos (prev_output).
    """
    prompts = {"none": [Vocabulary.bos], "src": source, "prev_output": source[:-1]}
    if prompt_type not in prompts:
        raise ValueError(f"--prompt-type must be one of {', '.join(prompts)}, found {prompt_type}")
    prompt = list(prompts[prompt_type])
    target = [Vocabulary.pad] * (len(prompt) - 1) + answer
    return prompt + answer[:-1], target, prompt


def compose_example(
    row_id: str,
    source: list[int],
    answer: list[int],
    text: str,
    tools: RowTools,
    options: RowOptions,
) -> Example:
    """Example without image, confidence and references.

    source: without bos and eos; answer: as in `compose_decoder`; text: the answer as text.
    Source and answer are cut to the position tables, never silently: `truncated` tells.
    """
    answer, answer_cut = _fit_answer(answer, options.max_target_positions)
    room = options.max_source_positions
    if options.prompt_type != "none":
        room = min(room, options.max_target_positions - len(answer) + 1)
    cut = source[: max(room - 2, 0)]
    wrapped = [Vocabulary.bos, *cut, Vocabulary.eos]
    prev_output, target, prompt = compose_decoder(wrapped, answer, options.prompt_type)
    allowed: list[list[int]] | None = None
    if tools.trie is not None:
        steps = _allowed_steps(answer, text, tools.trie, options.require_known)
        if not any(steps):
            target = [Vocabulary.pad] * len(target)
        allowed = [*([] for _ in prompt[1:]), *steps]
    return Example(
        row_id=row_id,
        source=_id_tensor(wrapped),
        prev_output=_id_tensor(prev_output),
        target=_id_tensor(target),
        image=None,
        target_text=text,
        prompt=prompt,
        allowed=allowed,
        truncated=answer_cut or len(cut) < len(source),
    )


def _id_tensor(ids: list[int]) -> Tensor:
    # A quarter of the time that torch takes to make a tensor of a list.
    return torch.from_numpy(np.array(ids, dtype=np.int64))


def _fit_answer(answer: list[int], max_positions: int) -> tuple[list[int], bool]:
    if len(answer) <= max_positions:
        return answer, False
    return [*answer[: max_positions - 1], answer[-1]], True


def _allowed_steps(
    answer: list[int], text: str, trie: AnswerTrie, require_known: bool
) -> list[list[int]]:
    """Allowed ids at each answer position; all empty for an answer outside the set."""
    steps = trie.allowed_per_step(answer)
    if all(token in allowed for token, allowed in zip(answer, steps, strict=True)):
        return steps
    if require_known:
        raise BadRow(f"answer {text!r} is not in the closed answer set; see --on-unknown-answer")
    return [[] for _ in answer]
