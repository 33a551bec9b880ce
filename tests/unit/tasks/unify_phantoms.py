"""A small pretraining task on phantoms, for tests of it."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from PIL import Image

from biomedgpt_fairseq.cli.main import main as biomedgpt
from biomedgpt_fairseq.tasks.pretrain_options import UnifyOptions
from biomedgpt_fairseq.tasks.unify_task import UnifyTask
from biomedgpt_fairseq.text.compact import train_compact_vocabulary

SIDE = 64  # pictures of texts, infilling and detection; 16 codes


def make_folder(root: Path) -> Path:
    """Phantoms: 20 pairs, 5 texts, 3 images with codes, 3 with boxes."""
    sizes = ["--train", "20", "--valid", "6", "--test", "0", "--size", "40", "--num-codes", "64"]
    assert biomedgpt(["phantoms", "--task", "pretrain", "--output", str(root), *sizes]) == 0
    codes = " ".join(str(i) for i in range(16))
    rows = [f"i{i}\t{png(SIDE, i)}\t{codes}\n" for i in range(3)]
    (root / "image.tsv").write_text("".join(rows), "utf-8")
    (root / "more_text.tsv").write_text("n1\ta note\nn2\tanother note\n", "utf-8")
    train_compact_vocabulary(
        (root / "corpus.txt").read_text("utf-8").split("\n"), 400, root / "bpe"
    )
    return root


def png(side: int, shade: int) -> str:
    file = io.BytesIO()
    Image.new("RGB", (side, side), (shade, 99, 0)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def make_task(folder: Path, **options: Any) -> UnifyTask:
    files = {
        "data": f"{folder / 'train.tsv'},{folder / 'valid.tsv'}",
        "text_data": str(folder / "text.tsv"),
        "image_data": str(folder / "image.tsv"),
        "detection_data": str(folder / "detection.tsv"),
        "neg_sample_dir": str(folder / "negatives"),
        "bpe_dir": str(folder / "bpe"),
    }
    small = {"code_dict_size": 64, "patch_image_size": 32, "code_image_size": 32, "seed": 1}
    return UnifyTask.setup_task(UnifyOptions(**{**files, **small, **options}))


def free(folder: Path, **options: Any) -> UnifyTask:
    texts = f"{folder / 'text.tsv'},{folder / 'more_text.tsv'}"
    return make_task(folder, text_data=texts, **options)


def train_batches(task: UnifyTask, epoch: int = 1, **options: Any) -> list[Any]:
    if "train" not in task.datasets:
        task.load_dataset("train", epoch=epoch)
    arguments = {"max_sentences": 8, "epoch": epoch, **options}
    return list(task.get_batch_iterator(task.dataset("train"), **arguments).next_epoch_itr())
