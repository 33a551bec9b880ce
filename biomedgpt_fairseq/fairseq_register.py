"""Imports every module that registers something with fairseq, each exactly once."""

from biomedgpt_fairseq import fairseq_checkpoint, fairseq_data_paths
from biomedgpt_fairseq.criterions import encouraging as encouraging
from biomedgpt_fairseq.criterions import label_smoothed as label_smoothed
from biomedgpt_fairseq.criterions import scst as scst
from biomedgpt_fairseq.models import fairseq_model as fairseq_model
from biomedgpt_fairseq.optim import adamw_fused as adamw_fused
from biomedgpt_fairseq.optim import warmup_ratio as warmup_ratio
from biomedgpt_fairseq.tasks import boxes as boxes
from biomedgpt_fairseq.tasks import caption as caption
from biomedgpt_fairseq.tasks import gigaword as gigaword
from biomedgpt_fairseq.tasks import image_classify as image_classify
from biomedgpt_fairseq.tasks import mnli as mnli
from biomedgpt_fairseq.tasks import text_classify as text_classify
from biomedgpt_fairseq.tasks import unify_task as unify_task
from biomedgpt_fairseq.tasks import vqa_gen as vqa_gen

fairseq_checkpoint.install()
fairseq_data_paths.install()
