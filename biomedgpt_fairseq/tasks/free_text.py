"""Tasks whose answer is free text."""

import logging
from typing import Any, Dict, List

from biomedgpt_fairseq.tasks.base import BiomedTask, Prediction

logger = logging.getLogger(__name__)


class FreeTextTask(BiomedTask):
    """Validates by generating."""

    def generate_texts(self, model: Any, sample: Dict[str, Any]) -> List[Prediction]:
        """Texts of a validation batch; the first one is logged with --eval-print-samples."""
        found = self.predict([model], sample)
        if self.cfg.eval_print_samples:
            logger.info("hypothesis %s: %s", found[0].row_id, found[0].answer)
            logger.info("reference %s: %s", found[0].row_id, found[0].gold)
        return found
