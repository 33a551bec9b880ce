from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from benchmarks.baselines.mixed_pictures import decode_and_augment, pictures_of
from benchmarks.bench_mixed import main, make_task
from biomedgpt_fairseq.data.infill_rows import without_middle
from biomedgpt_fairseq.data.pair_images import PairImages
from biomedgpt_fairseq.data.pixels import ImageScale, to_pixels


def test_baseline_makes_the_pictures_of_the_loader(tmp_path: Path) -> None:
    task = make_task(tmp_path, rows=12, side=48)
    task.load_dataset("train")
    dataset = task.dataset("train")
    pictures = iter(pictures_of(dataset, epoch=1))
    form, pairs = task.pretrain_options(training=True), PairImages(48, training=True)
    scale = ImageScale(tuple(task.image_mean), tuple(task.image_std))
    compared = set()
    for slot in range(len(dataset)):
        seen = None
        for kind, example in dataset[dataset.key(1, slot)]:
            if kind == "text" or example.image is seen:
                continue
            seen = example.image  # which the examples of a row share
            picture = next(pictures)
            assert picture.kind == kind
            expected = to_pixels(decode_and_augment(picture, pairs, form))
            if kind == "image":
                expected = without_middle(scale(expected))
            torch.testing.assert_close(seen, expected, rtol=0, atol=0)
            compared.add((kind, bool(picture.boxes)))
    assert next(pictures, None) is None
    pairs_with_and_without = {("image_text", True), ("image_text", False)}
    assert compared == {*pairs_with_and_without, ("image", False), ("detection", True)}


def test_benchmark_prints_a_ratio(tmp_path: Path) -> None:
    options = "--rows 8 --side 48 --batch-size 4 --workers 1 --repeats 1"
    assert main([*options.split(), "--json", str(tmp_path / "figures.json")]) == 0
    [(ours, compared)] = json.loads((tmp_path / "figures.json").read_text("utf-8")).values()
    assert np.all(np.array([*ours, *compared]) > 0)
