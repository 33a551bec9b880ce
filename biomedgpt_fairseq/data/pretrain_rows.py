"""Rows of the main pretraining file -> examples: captions, questions and regions of pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from biomedgpt_fairseq.data.answers import best_answer, parse_references
from biomedgpt_fairseq.data.boxes import boxes_to_bins, checked_boxes, parse_box
from biomedgpt_fairseq.data.composition import Example
from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.image import load_image
from biomedgpt_fairseq.data.negatives import Negatives
from biomedgpt_fairseq.data.pretrain_parts import (
    Composer,
    Examples,
    PretrainOptions,
    PretrainTools,
    Wording,
    columns,
)
from biomedgpt_fairseq.text.normalize import pre_caption, pre_question
from biomedgpt_fairseq.text.vocab import Vocabulary

MAIN_COLUMNS = ("id", "image", "caption", "question", "references", "objects", "dataset", "type")

# Captions of this set begin with boilerplate, which the released models were not trained on.
_SKIPPED_HEADS = {"cc12m": 2}


def make_pair_examples(
    row: Sequence[str], tools: PretrainTools, options: PretrainOptions, rng: np.random.Generator
) -> Examples:
    """A row of MAIN_COLUMNS: the example of its type and, in training, a second one that asks
    whether a text belongs to the picture.  Regions always give two: where, and what is there.
    """
    cells = dict(zip(MAIN_COLUMNS, columns(row, MAIN_COLUMNS, "--selected-cols"), strict=True))
    makers = {
        "caption": _caption_examples,
        "qa": _question_examples,
        "visual_grounding": _region_examples,
    }
    if cells["type"] not in makers:
        raise BadRow(f"expected type {', '.join(makers)}, found {cells['type'][:40]!r}")
    composer = Composer(cells["id"], tools, options, rng)
    return makers[cells["type"]](cells, composer, tools, options, rng)


def _caption_examples(
    cells: dict[str, str],
    composer: Composer,
    tools: PretrainTools,
    options: PretrainOptions,
    rng: np.random.Generator,
) -> Examples:
    limits = options.rows
    text = _not_empty(pre_caption(cells["caption"], limits.max_tgt_length), "caption")
    picture = tools.pairs.plain(load_image(cells["image"], tools.source), rng)
    wording = Wording(composer.fill("caption"), composer.encode(" " + text), text)
    example = composer.example(wording)
    example.target[: _SKIPPED_HEADS.get(cells["dataset"], 0)] = Vocabulary.pad
    made = [example]
    if options.training:
        shown, is_right = pre_caption(cells["caption"], limits.max_src_length), rng.random() < 0.5
        if not is_right:
            objects = [name for name in cells["objects"].split("&&") if name]
            shown = _pools(tools).caption(cells["caption"], objects, limits.max_src_length, rng)
        made.append(_verdict(composer, composer.fill("matching", shown), is_right, 1.0))
    return composer.with_picture(picture, *made)


def _question_examples(
    cells: dict[str, str],
    composer: Composer,
    tools: PretrainTools,
    options: PretrainOptions,
    rng: np.random.Generator,
) -> Examples:
    question = pre_question(cells["question"], options.rows.max_src_length)
    _not_empty(question, "question")
    references = parse_references(cells["references"])
    answer = best_answer(references)
    conf = references[answer]
    picture = tools.pairs.plain(load_image(cells["image"], tools.source), rng)
    wording = Wording(composer.fill("qa", question), composer.encode(" " + answer), answer)
    made = [composer.example(wording, conf)]
    if options.training:
        shown, is_right = answer, rng.random() < 0.5
        if not is_right:
            shown = _pools(tools).answer([answer, *references], conf, rng)
        source = composer.fill("verification", question, shown)
        made.append(_verdict(composer, source, is_right, conf))
    return composer.with_picture(picture, *made)


def _region_examples(
    cells: dict[str, str],
    composer: Composer,
    tools: PretrainTools,
    options: PretrainOptions,
    rng: np.random.Generator,
) -> Examples:
    limits = options.rows
    asked = _not_empty(pre_caption(cells["caption"], limits.max_src_length), "caption")
    told = pre_caption(cells["caption"], limits.max_tgt_length)
    image = load_image(cells["image"], tools.source)
    box = checked_boxes(parse_box(cells["references"]), image.size)
    picture, box = tools.pairs.with_box(image, box, rng)
    bins = boxes_to_bins(box, options.max_image_size, composer.vocab.num_bins)
    tokens = composer.bins(bins)
    shown = " ".join(composer.vocab[token] for token in tokens)
    where = Wording(composer.fill("grounding", asked), tokens, shown)
    source = [*composer.fill("grounded_caption"), *tokens]
    what = Wording(source, composer.encode(" " + told), told)
    return composer.with_picture(picture, composer.example(where), composer.example(what))


def _verdict(composer: Composer, source: list[int], is_right: bool, conf: float) -> Example:
    word = "yes" if is_right else "no"
    return composer.example(Wording(source, composer.encode(" " + word), word), conf)


def _pools(tools: PretrainTools) -> Negatives:
    if tools.negatives is None:
        raise ValueError("pretraining on pairs needs wrong captions and answers: --neg-sample-dir")
    return tools.negatives


def _not_empty(text: str, what: str) -> str:
    if not text.strip():
        raise BadRow(f"the {what} is empty")
    return text
