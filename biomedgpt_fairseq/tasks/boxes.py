"""Tasks whose answers are boxes: the objects of a picture, and the region of a text."""

import logging
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from fairseq.tasks import register_task

from biomedgpt_fairseq.data.box_examples import (
    DETECTION_COLUMNS,
    BoxPictures,
    BoxTools,
    make_detection_example,
    make_grounding_example,
    named_boxes,
    split_answer,
)
from biomedgpt_fairseq.data.boxes import BoxScale
from biomedgpt_fairseq.data.errors import BadRow
from biomedgpt_fairseq.data.image import ImageLoader
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.decoding.box_grammar import BoxRules
from biomedgpt_fairseq.metrics.detection import HALF
from biomedgpt_fairseq.report.box_scoring import object_f1, region_overlap
from biomedgpt_fairseq.tasks.answer_set import load_answers
from biomedgpt_fairseq.tasks.base import BiomedTask, parse_generation_args
from biomedgpt_fairseq.tasks.closed_set import log_ratio
from biomedgpt_fairseq.tasks.input_form import InputForm
from biomedgpt_fairseq.tasks.options import BoxOptions, DetectionOptions, GroundingOptions
from biomedgpt_fairseq.tasks.rows import TRAIN
from biomedgpt_fairseq.text.box_text import (
    NamedBox,
    format_corners,
    format_named_boxes,
    parse_named_boxes,
)
from biomedgpt_fairseq.text.tokenizer import Tokenizer
from biomedgpt_fairseq.text.trie import build_answer_trie

logger = logging.getLogger(__name__)

NAMES = "object_names"


class BoxTask(BiomedTask):
    """Answers are location bins: boxes of the whole picture, which is stretched to a square."""

    def __init__(self, cfg: BoxOptions, tokenizer: Tokenizer) -> None:
        super().__init__(cfg, tokenizer)
        if cfg.patch_image_size > cfg.max_image_size:
            raise ValueError(
                f"--max-image-size {cfg.max_image_size} must not be less than --patch-image-size "
                f"{cfg.patch_image_size}: location bins reach no further"
            )
        bins = tokenizer.vocab.num_bins
        if bins < 2:
            raise ValueError("boxes need location bins; give --num-bins (released: 1000)")
        self.scale = BoxScale(cfg.patch_image_size, cfg.max_image_size, bins)

    def row_tools(self, split: str, folder: Optional[Path] = None) -> BoxTools:
        tools = super().row_tools(split, folder)
        loader = self.image_loader(split, folder)
        pictures = self.pictures(split, loader)
        return BoxTools(tools.tokenizer, tools.instruction, tools.image, tools.trie, pictures)

    def pictures(self, split: str, loader: ImageLoader) -> BoxPictures:
        """Hook: how pictures and their boxes are read."""
        return BoxPictures(loader, self.scale)

    def names(self) -> Optional[Any]:
        """Hook: the trie of the names that may stand behind a box."""
        return None

    def box_rules(self) -> BoxRules:
        first = self.tokenizer.vocab.first_bin
        return BoxRules((first, first + self.scale.last_bin), self.names())

    def search_texts(
        self, models: Sequence[Any], sample: Dict[str, Any], top_k: int = 1
    ) -> List[List[tuple[str, float]]]:
        """The best answers of each row, in pixels of its picture, with their scores."""
        generator = self.build_generator(models, parse_generation_args(self.cfg.eval_args))
        hypotheses = self.inference_step(generator, models, sample)
        return [
            [
                (self.box_text(found, (size[0], size[1])), float(found["score"]))
                for found in ranked[:top_k]
            ]
            for ranked, size in zip(hypotheses, sample["image_sizes"].tolist(), strict=True)
        ]

    def box_text(self, found: Dict[str, Any], size: Tuple[int, int]) -> str:
        """A hypothesis as text; size: width and height of the picture."""
        return format_named_boxes(self.read_boxes(found, size))

    def read_boxes(self, found: Dict[str, Any], size: Tuple[int, int]) -> List[NamedBox]:
        """The boxes of a hypothesis in pixels of a picture of (width, height)."""
        lprobs = found["positional_scores"].tolist()
        objects = split_answer(found["tokens"].tolist(), lprobs, self.tokenizer.vocab)
        names = [self.tokenizer.decode(one.name).strip() for one in objects]
        return named_boxes(objects, names, self.scale, size)

    def answer_score(self, answer: str, gold: str) -> float:
        """Hook: what validation averages under `metric_name`."""
        raise NotImplementedError(f"{type(self).__name__} must define answer_score")

    def validation_scores(self, model: Any, sample: Dict[str, Any]) -> Dict[str, Any]:
        """Sum and count of the answers' scores."""
        found = self.predict([model], sample)
        total = sum(self.answer_score(one.answer, one.gold) for one in found)
        return {"_box_sum": float(total), "_box_cnt": len(found)}

    def reduce_metrics(self, logging_outputs: List[Dict[str, Any]], criterion: Any) -> None:
        super().reduce_metrics(logging_outputs, criterion)
        log_ratio(self.metric_name, logging_outputs, "_box_sum", "_box_cnt", 4)


@register_task("detection", dataclass=DetectionOptions)
class DetectionTask(BoxTask):
    """All objects of a picture, by name."""

    instruction = "detection"
    metric_name = "f1_50"
    scored_as = "detection"
    input_form = InputForm(("id", "image"), ("0,0,1,1,0,{answer}",))
    make_example = staticmethod(make_detection_example)

    def __init__(self, cfg: DetectionOptions, tokenizer: Tokenizer) -> None:
        super().__init__(cfg, tokenizer)
        self._trie: Any = None

    def answer_score(self, answer: str, gold: str) -> float:
        """F1 of the boxes at IoU 0.5."""
        return object_f1(answer, gold)

    def pictures(self, split: str, loader: ImageLoader) -> BoxPictures:
        if split != TRAIN:
            return super().pictures(split, loader)
        return BoxPictures(loader, self.scale, self.cfg.random_views, self.cfg.detection_flip)

    def load_state_dict(self, state_dict: Dict[str, Any]) -> None:
        """Take over the names that the model was trained on."""
        super().load_state_dict(state_dict)
        self._trie = None

    def load_dataset(
        self, split: str, combine: bool = False, epoch: int = 1, **kwargs: Any
    ) -> None:
        """Open the rows of a split; the names of the training rows go into the checkpoint."""
        if split == TRAIN:
            found = self._training_names()
            if self.cfg.ans2label_file:
                self._check_names(found)
            else:
                known = self.state.state_dict.get(NAMES, [])
                names = list(dict.fromkeys([*known, *found]))
                self.state.merge_state_dict({NAMES: names})
                self._trie = None
                logger.info("%d names of objects", len(names))
        super().load_dataset(split, combine, epoch, **kwargs)

    def names(self) -> Any:
        """The trie of the file's names, or of those that the model was trained on."""
        if self._trie is None:
            path = self.cfg.ans2label_file
            names = load_answers(None, path) if path else self.state.state_dict.get(NAMES)
            if not names:
                raise ValueError(
                    "the names of the objects are not known: the checkpoint is of another task, so "
                    "name them in a file, --ans2label-file or in evaluation "
                    '--model-overrides \'{"ans2label_file": "names.json"}\''
                )
            self._trie = build_answer_trie(self.tokenizer, names)
        return self._trie

    def _training_names(self) -> Dict[str, str]:
        """Names of the training rows, each with the place of its first row."""
        paths = [path for path in (self.cfg.data or "").split(",") if path]
        names: Dict[str, str] = {}
        for path in paths[:-1] or paths:
            reader = TsvReader(path, self.cfg.selected_cols)
            cells = reader.column(DETECTION_COLUMNS.index("labels"))
            for row, cell in enumerate(cells, start=1):
                try:
                    found = parse_named_boxes(cell)
                except ValueError:
                    continue  # --on-bad-row says what becomes of the row
                for box in found:
                    names.setdefault(box.name.strip(), f"{path}:{row}")
        if not names:
            raise BadRow(f"{paths[0]}: no row has an object; check --selected-cols")
        return names

    def _check_names(self, found: Dict[str, str]) -> None:
        """Raise BadRow for a name that no answer could have."""
        path = self.cfg.ans2label_file
        known = {name.strip() for name in load_answers(None, path)}
        for name, place in found.items():
            if name not in known:
                raise BadRow(
                    f"{place}: the name {name!r} of an object is not in --ans2label-file {path}; "
                    "correct the row, or add the name to the file"
                )


@register_task("visual_grounding", dataclass=GroundingOptions)
class GroundingTask(BoxTask):
    """The region of a picture that a text describes."""

    instruction = "grounding"
    metric_name = "iou_50"
    scored_as = "visual_grounding"
    input_form = InputForm(("id", "image", "text"), ("0,0,1,1",))
    make_example = staticmethod(make_grounding_example)

    def box_text(self, found: Dict[str, Any], size: Tuple[int, int]) -> str:
        """The one box of a hypothesis."""
        return format_corners(self.read_boxes(found, size)[0].corners)

    def answer_score(self, answer: str, gold: str) -> float:
        """Whether the IoU is 0.5 at least."""
        return float(region_overlap(answer, gold) >= HALF)
