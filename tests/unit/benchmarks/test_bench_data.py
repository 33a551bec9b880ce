from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.baselines.picture_decoding import decode_and_resize, decode_and_resize_rgb
from benchmarks.bench_data import main
from benchmarks.bench_loader import write_images
from biomedgpt_fairseq.data.image import ImageTransform, decode_base64, load_image
from biomedgpt_fairseq.data.tsv import TsvReader

SMALL = "--rows 2000 --images 8 --side 32 --size 16 --batch-size 4 --workers 1 --repeats 1"


def test_baselines_decode_what_the_loader_decodes(tmp_path: Path) -> None:
    cell = TsvReader(str(write_images(tmp_path, 1, 48, "JPEG")))[0][1]
    expected: Image.Image = ImageTransform(20).resize(load_image(cell))
    for plain in (decode_and_resize, decode_and_resize_rgb):
        np.testing.assert_array_equal(plain(decode_base64(cell), 20), expected)


def test_benchmark_reports_ratios_and_costs(tmp_path: Path) -> None:
    assert main([*SMALL.split(), "--json", str(tmp_path / "figures.json")]) == 0
    figures = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert figures["index"]["rows"] == 2000
    loader = figures["loader"]
    assert 0 < loader["loader_parent_cpu_ms"] < loader["loader_cpu_ms"]
    assert 0 < loader["cpu_ratio_to_plain"] <= loader["cpu_ratio_to_plain_max"]
    steps = {key for key in loader if key.startswith("step_")}
    assert steps == {
        f"step_{step}_cpu_ms"
        for step in ("read", "decode", "resize", "pixels", "collate", "normalise")
    }
    assert all(loader[step] > 0 for step in steps)
