"""Classification of a text, or of a pair of texts, with any label set."""

from dataclasses import dataclass

from fairseq.tasks import register_task

from biomedgpt_fairseq.data.examples import TEXT_CLASSIFY_COLUMNS, make_text_classify_example
from biomedgpt_fairseq.tasks.classify import ClassifyTask
from biomedgpt_fairseq.tasks.input_form import InputForm
from biomedgpt_fairseq.tasks.options import ClosedSetOptions


@dataclass
class TextClassifyOptions(ClosedSetOptions):
    """Text classification; the labels come by --ans2label-file or --ans2label-dict."""


@register_task("text_classify", dataclass=TextClassifyOptions)
class TextClassifyTask(ClassifyTask):
    instruction = "text_classify"
    input_form = InputForm(("text", "second text"))
    make_example = staticmethod(make_text_classify_example)
    answer_column = TEXT_CLASSIFY_COLUMNS.index("label")
