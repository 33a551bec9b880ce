"""Row -> example: pure functions, one per kind of task.

All row builders are called as `make_...(row, index, tools, options, rng)`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from biomedgpt_fairseq.data.answers import best_answer, parse_references
from biomedgpt_fairseq.data.composition import Example as Example
from biomedgpt_fairseq.data.composition import RowOptions as RowOptions
from biomedgpt_fairseq.data.composition import RowTools as RowTools
from biomedgpt_fairseq.data.composition import compose_decoder as compose_decoder
from biomedgpt_fairseq.data.composition import compose_example
from biomedgpt_fairseq.data.errors import BadRow, check_texts
from biomedgpt_fairseq.text.instructions import get_instruction
from biomedgpt_fairseq.text.normalize import pre_caption, pre_question, remove_punctuation
from biomedgpt_fairseq.text.vocab import Vocabulary

VQA_COLUMNS = ("uniq_id", "image", "question", "answers", "objects")
CLASSIFY_COLUMNS = ("image", "label")
CAPTION_COLUMNS = ("uniq_id", "image", "caption")
NLI_COLUMNS = ("sentence1", "sentence2", "label")
TEXT_CLASSIFY_COLUMNS = ("text1", "text2", "label")
SUMMARY_COLUMNS = ("source", "target")


def make_vqa_example(
    row: Sequence[str], index: int, tools: RowTools, options: RowOptions, rng: np.random.Generator
) -> Example:
    """Question about an image.  row: VQA_COLUMNS."""
    # Original: an empty question is asked as "?".
    row_id, image, question, answers, objects = take_columns(
        row, VQA_COLUMNS, ("question", "objects")
    )
    references = parse_references(answers)
    answer = best_answer(references)
    text = pre_question(question, options.max_src_length)
    source = tools.tokenizer.encode(tools.instruction.fill(_with_question_mark(text)))
    if options.add_object:
        listed = " ".join(objects.split("&&")[: options.max_object_length])
        source += tools.tokenizer.encode(get_instruction("objects").fill(listed))
    tokens = tools.tokenizer.encode(" " + answer)
    if tools.trie is None:
        tokens = tokens[: options.max_tgt_length]
    example = compose_example(row_id, source, [*tokens, Vocabulary.eos], answer, tools, options)
    add_image(example, image, tools, rng)
    example.conf = references[answer]
    example.references = references
    return example


def make_classify_example(
    row: Sequence[str], index: int, tools: RowTools, options: RowOptions, rng: np.random.Generator
) -> Example:
    """Image with a label.  row: CLASSIFY_COLUMNS.  The id is the row's index."""
    image, label = take_columns(row, CLASSIFY_COLUMNS)
    example = make_labelled_example(str(index), tools.instruction.fill(), label, tools, options)
    add_image(example, image, tools, rng)
    return example


def make_caption_example(
    row: Sequence[str], index: int, tools: RowTools, options: RowOptions, rng: np.random.Generator
) -> Example:
    """Image with a caption, or several joined by `&&`.  row: CAPTION_COLUMNS."""
    row_id, image, caption = take_columns(row, CAPTION_COLUMNS)
    if options.all_references:
        listed = caption_references(caption)
        text = "&&".join(listed)
    else:
        text = " ".join(_spoken(caption).split()[: options.max_tgt_length])
        listed = [text]
    source = tools.tokenizer.encode(tools.instruction.fill())
    tokens = [*tools.tokenizer.encode(" " + text), Vocabulary.eos]
    example = compose_example(row_id, source, tokens, text, tools, options)
    add_image(example, image, tools, rng)
    example.references = dict.fromkeys(listed, 1.0)
    return example


def caption_references(caption: str) -> list[str]:
    """References of a caption cell, which joins them by `&&`; without punctuation.

    Raises BadRow when one of them is empty.
    """
    return [_spoken(text) for text in " ".join(caption.split()).split("&&")]


def _spoken(caption: str) -> str:
    text = remove_punctuation(caption)
    if not text.strip():
        raise BadRow(f"expected words in each caption, joined by &&, found {caption[:80]!r}")
    return text


def make_nli_example(
    row: Sequence[str], index: int, tools: RowTools, options: RowOptions, rng: np.random.Generator
) -> Example:
    """Does text 1 imply text 2?  row: NLI_COLUMNS.  The target is one word, without eos."""
    *texts, label = take_columns(row, NLI_COLUMNS)
    if label not in ("0", "1", "2"):
        raise BadRow(
            f"expected label 0, 1 or 2 (neutral, entailment, contradiction), found {label!r}"
        )
    word = options.nli_words[int(label)]
    first, second = (" ".join(t.lower().split()[: options.max_src_length]) for t in texts)
    source = tools.tokenizer.encode(tools.instruction.fill(first, second))
    tokens = tools.tokenizer.encode(" " + word)
    if len(tokens) != 1:
        raise ValueError(f"the answer word {word!r} must be one token, found {tokens}")
    example = compose_example(str(index), source, tokens, word, tools, options)
    example.references = {word: 1.0}
    return example


def make_text_classify_example(
    row: Sequence[str], index: int, tools: RowTools, options: RowOptions, rng: np.random.Generator
) -> Example:
    """Text or pair of texts with a label.  row: TEXT_CLASSIFY_COLUMNS; an empty text2 is left out.

    Texts are cut to max_src_length words each.
    """
    *texts, label = take_columns(row, TEXT_CLASSIFY_COLUMNS, ("text2",))
    words = [" ".join(text.lower().split()[: options.max_src_length]) for text in texts]
    # One field: the quotation marks between two texts go with them.
    filled = tools.instruction.fill(' " text2 " '.join(text for text in words if text))
    return make_labelled_example(str(index), filled, label, tools, options)


def make_labelled_example(
    row_id: str, text: str, label: str, tools: RowTools, options: RowOptions
) -> Example:
    """A filled instruction and the label that answers it."""
    tokens = [*tools.tokenizer.encode(" " + label), Vocabulary.eos]
    source = tools.tokenizer.encode(text)
    example = compose_example(row_id, source, tokens, label, tools, options)
    example.references = {label: 1.0}
    return example


def make_summary_example(
    row: Sequence[str], index: int, tools: RowTools, options: RowOptions, rng: np.random.Generator
) -> Example:
    """Text and its summary.  row: SUMMARY_COLUMNS.  The target has no leading space."""
    text, summary = take_columns(row, SUMMARY_COLUMNS, ("target",))
    filled = tools.instruction.fill(_known_text(text, options.max_src_length))
    source = tools.tokenizer.encode(filled)[: options.max_src_length]
    target = tools.tokenizer.encode(_known_text(summary, options.max_tgt_length))
    example = compose_example(
        str(index), source, [*target, Vocabulary.eos], summary.lower(), tools, options
    )
    if options.noise_ratio > 0:
        _add_noise(example.prev_output, options.noise_ratio, tools.tokenizer.vocab.text_end, rng)
    return example


def take_columns(
    row: Sequence[str], names: Sequence[str], optional: Sequence[str] = ()
) -> list[str]:
    """The cells of the named columns, which begin the row.

    Raises BadRow when there are too few, or when one is too long, or empty and not optional.
    """
    if len(row) < len(names):
        raise BadRow(
            f"expected {len(names)} columns ({', '.join(names)}), found {len(row)}; "
            "check --selected-cols"
        )
    for name, cell in zip(names, row, strict=False):
        if name not in optional and (not cell or cell.isspace()):
            raise BadRow(
                f"column {name!r} is empty; fill it, check --selected-cols, or pass over such "
                "rows by --on-bad-row skip"
            )
    check_texts(names, row)
    return list(row[: len(names)])


def add_image(example: Example, cell: str, tools: RowTools, rng: np.random.Generator) -> None:
    """Put the picture of a cell into the example.  Raises BadRow when there is none."""
    if tools.image is None:
        raise ValueError("this task reads images, but no image loader was given")
    example.image = tools.image(cell, rng)
    example.image_scale = tools.image.scale


def _with_question_mark(question: str) -> str:
    return question if question.endswith("?") else question + "?"


def _known_text(text: str, max_words: int) -> str:
    return pre_caption(text, max_words).replace("<unk>", "unk")


def _add_noise(prev_output: Tensor, ratio: float, text_end: int, rng: np.random.Generator) -> None:
    """Replace decoder inputs after bos, each with probability ratio, by random text tokens."""
    noisy = torch.from_numpy(rng.random(len(prev_output)) < ratio)  # (T,)
    noisy[0] = False
    random_ids = rng.integers(Vocabulary.unk + 1, text_end, size=int(noisy.sum()))
    prev_output[noisy] = torch.from_numpy(random_ids)
