"""Pretraining on a mixture of image-text pairs, texts, images and boxes."""

import logging
from typing import Any, Dict, List, Mapping, Sequence, Tuple, get_args

import torch
from fairseq.logging import metrics
from fairseq.tasks import register_task
from torch import Tensor

from biomedgpt_fairseq.data.fairseq_pretrain import PretrainDataset
from biomedgpt_fairseq.data.mixture import (
    EvaluationPlan,
    Kind,
    Plan,
    ReleasedPlan,
    SharesPlan,
    Source,
)
from biomedgpt_fairseq.data.pixels import ImageScale
from biomedgpt_fairseq.data.pretrain_parts import PretrainOptions
from biomedgpt_fairseq.tasks.base import BiomedTask, Prediction
from biomedgpt_fairseq.tasks.pretrain_options import UnifyOptions
from biomedgpt_fairseq.tasks.pretrain_sources import (
    Files,
    SourceOpener,
    has_free_mixture,
    mixture_shares,
    noise_options,
    side_files,
    single_files,
)
from biomedgpt_fairseq.tasks.rows import TRAIN
from biomedgpt_fairseq.text.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

KINDS: Tuple[Kind, ...] = get_args(Kind)


@register_task("unify_task", dataclass=UnifyOptions)
class UnifyTask(BiomedTask):
    """Without mixture options, the ratios of the released models; --batch-size counts rows of the
    main file then, and rows of all sources otherwise.
    """

    metric_name = "loss"

    def __init__(self, cfg: UnifyOptions, tokenizer: Tokenizer) -> None:
        super().__init__(cfg, tokenizer)
        self.free_mixture = has_free_mixture(cfg)
        noise_options(cfg)
        self._names: List[str] = []
        options = self.pretrain_options(training=False)
        if max(cfg.patch_image_size, options.side) > cfg.max_image_size:
            raise ValueError(
                f"--max-image-size {cfg.max_image_size} must not be less than "
                f"--patch-image-size {cfg.patch_image_size} and twice --code-image-size: "
                "location bins reach no further"
            )

    def pretrain_options(self, training: bool) -> PretrainOptions:
        """Settings of the row builders."""
        return PretrainOptions(
            rows=self.row_options(TRAIN),
            training=training,
            max_image_size=self.cfg.max_image_size,
            code_image_size=self.cfg.code_image_size,
            variants=self.cfg.instruction_variants if training else 0.0,
            flip=self.cfg.detection_flip,
        )

    def main_paths(self) -> List[str]:
        """The main files of training; a single file is for all splits."""
        paths = [path for path in (self.cfg.data or "").split(",") if path]
        return paths[:-1] or paths

    def has_sharded_data(self, split: str) -> bool:
        """Whether each epoch reads another main file: a free mixture has all in every epoch."""
        return not self.free_mixture and super().has_sharded_data(split)

    def load_dataset(
        self, split: str, combine: bool = False, epoch: int = 1, **kwargs: Any
    ) -> None:
        """Open the sources of a split."""
        training = split == TRAIN
        main = Files("main", "image_text", self.data_path(split, epoch), self.cfg.selected_cols)
        files = [main, *side_files(self.cfg, training)]
        scale = ImageScale(tuple(self.image_mean), tuple(self.image_std))
        options = self.pretrain_options(training)
        opener = SourceOpener(self.cfg, self.tokenizer, scale, options)
        plan: Plan
        if training and self.free_mixture:
            files, plan = self._mix(files, opener.seeds)
            opened = [opener.open(one) for one in files]
        else:
            opened = [opener.open(one) for one in files]
            sources = [
                Source(one.name, one.kind, len(rows))
                for one, rows in zip(files, opened, strict=True)
            ]
            plan = self._released(sources, opener.seeds) if training else EvaluationPlan(sources)
        dataset = PretrainDataset(
            [(one.kind, rows) for one, rows in zip(files, opened, strict=True)],
            plan,
            pad=self.dictionary.pad(),
            training=training,
            epoch=epoch if training else 1,
        )
        self.datasets[split] = dataset
        if training:
            self._names = [one.name for one in files]
        for one, rows in zip(files, opened, strict=True):
            logger.info("%s: source %s (%s), %d rows", split, one.name, one.paths, len(rows))

    def _released(self, sources: Sequence[Source], seeds: Sequence[int]) -> ReleasedPlan:
        rows = [
            len(Files("main", "image_text", path, self.cfg.selected_cols).open())
            for path in self.main_paths()
        ]
        return ReleasedPlan(rows, sources[1:], seeds)

    def _mix(self, files: Sequence[Files], seeds: Sequence[int]) -> Tuple[List[Files], SharesPlan]:
        """All files as sources of their own, without those that have no share."""
        every = Files("main", "image_text", ",".join(self.main_paths()), self.cfg.selected_cols)
        single = single_files([every, *files[1:]])
        sources = [Source(one.name, one.kind, len(one.open())) for one in single]
        shares = mixture_shares(self.cfg, sources)
        used = [i for i, share in enumerate(shares) if share > 0]
        kept = [sources[i] for i in used]
        slots = self.cfg.mixture_epoch_rows or sum(source.rows for source in kept)
        plan = SharesPlan(kept, [shares[i] for i in used], slots, seeds)
        return [single[i] for i in used], plan

    def begin_epoch(self, epoch: int, model: Any) -> None:
        """Log how often each source will have been seen when the epoch ends."""
        super().begin_epoch(epoch, model)
        plan = self.dataset(TRAIN).plan
        for name, before, after in zip(
            self._names, plan.passes(epoch - 1), plan.passes(epoch), strict=True
        ):
            logger.info(
                "epoch %d: source %s is seen %.3f times, %.3f times since the start",
                *(epoch, name, after - before, after),
            )

    def valid_step(
        self, sample: Any, model: Any, criterion: Any, ema_model: Any = None, **extra: Any
    ) -> Tuple[Tensor, Any, Dict[str, Any]]:
        """Loss over all tokens of a batch, and that of each kind."""
        model.eval()
        batches = [sample] if isinstance(sample, Mapping) else sample
        total: Dict[str, Any] = {}
        # The same keys with the same types in every log: workers add theirs up.
        nothing = torch.zeros((), device=batches[0]["target"].device)
        for kind in KINDS:
            total |= {f"loss_{kind}": nothing, f"sample_size_{kind}": 0}
        with torch.no_grad():
            for batch in batches:
                _, size, log = criterion(model, batch)
                log |= {
                    f"loss_{batch['kind']}": log["loss"],
                    f"sample_size_{batch['kind']}": size,
                }
                total |= {key: total.get(key, 0) + value for key, value in log.items()}
        return total["loss"], total["sample_size"], total

    def reduce_metrics(self, logging_outputs: List[Dict[str, Any]], criterion: Any) -> None:
        super().reduce_metrics(logging_outputs, criterion)
        for kind in KINDS:
            size = sum(log.get(f"sample_size_{kind}", 0) for log in logging_outputs)
            if size > 0:
                loss = sum(log.get(f"loss_{kind}", 0) for log in logging_outputs)
                metrics.log_scalar(f"loss_{kind}", loss / size, size, round=3)

    def predict(self, models: Sequence[Any], sample: Dict[str, Any]) -> List[Prediction]:
        """Not for this task.  Raises ValueError."""
        raise ValueError(
            "unify_task only trains; evaluate its checkpoints with another task, as in "
            "--task vqa_gen --zero-shot or --task caption"
        )
