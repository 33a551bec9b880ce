"""Image classification: the label is written as text, restricted to the label set."""

from typing import Optional

from fairseq.tasks import register_task

from biomedgpt_fairseq.data.augment import build_augmentation
from biomedgpt_fairseq.data.examples import CLASSIFY_COLUMNS, make_classify_example
from biomedgpt_fairseq.data.image import Augmentation
from biomedgpt_fairseq.tasks.classify import ClassifyTask
from biomedgpt_fairseq.tasks.input_form import InputForm
from biomedgpt_fairseq.tasks.options import ImageClassifyOptions
from biomedgpt_fairseq.tasks.rows import TRAIN


@register_task("image_classify", dataclass=ImageClassifyOptions)
class ImageClassifyTask(ClassifyTask):
    instruction = "image_classify"
    scored_as = "image_classify"
    input_form = InputForm(("image",))
    make_example = staticmethod(make_classify_example)
    answer_column = CLASSIFY_COLUMNS.index("label")

    def augmentation(self, split: str) -> Optional[Augmentation]:
        if split != TRAIN:
            return None
        return build_augmentation(str(self.cfg.augmentation), self.image_mean, self.image_std)
