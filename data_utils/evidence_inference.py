"""Evidence Inference 2.0 -> what a trial found about an outcome: increase, decrease, no difference.

Source: the folder annotations with v2_annotations.csv (PromptID, PMCID, Label, Annotations),
prompts_merged.csv (PromptID, Outcome, Intervention, Comparator) and
splits/ev2_SPLIT_article_ids.txt. Text 1 is the evidence, text 2 the question, which
--evidence-only leaves out. Part of the source spells a label "significantly increase"; it becomes
"significantly increased".
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from data_utils.converter import Converter, Items
from data_utils.layouts import TEXT_CLASSIFY, classified_text
from data_utils.splits import split_name
from data_utils.tables import open_text, read_csv
from data_utils.writer import RejectedItem

ANNOTATIONS = ("PromptID", "PMCID", "Label", "Annotations")
PROMPTS = ("PromptID", "Outcome", "Intervention", "Comparator")
SPLITS = ("train", "validation", "test")
CLASSES = ("significantly increased", "significantly decreased", "no significant difference")
_SPELLINGS = {"significantly increase": CLASSES[0]}


def read(args: argparse.Namespace) -> Items:
    """Annotated pairs of evidence and question; the split and the group are the article's."""
    splits: dict[str, str] = {}
    for name in SPLITS:
        with open_text(args.source / "splits" / f"ev2_{name}_article_ids.txt") as stream:
            splits |= {line.strip(): split_name(name) for line in stream if line.strip()}
    prompts = {
        row["PromptID"]: row for row in read_csv(args.source / "prompts_merged.csv", PROMPTS)
    }
    for number, row in enumerate(read_csv(args.source / "v2_annotations.csv", ANNOTATIONS)):
        prompt, article = prompts.get(row["PromptID"]), row["PMCID"]
        item = f"{row['PromptID']}_{number}"
        label = _SPELLINGS.get(row["Label"], row["Label"])
        if prompt is None or article not in splits or label not in CLASSES:
            yield RejectedItem(item, "unknown prompt, article or label")
            continue
        texts = row["Annotations"], "" if args.evidence_only else question_of(prompt)
        yield classified_text(item, texts, label, splits[article], article)


def question_of(prompt: Mapping[str, str]) -> str:
    """What a prompt asks about."""
    outcome, intervention, comparator = (prompt[name].strip() for name in PROMPTS[1:])
    return f"{outcome}: {intervention} compared with {comparator}"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--evidence-only", action="store_true", help="leave the question out")


CONVERTER = Converter("evidence_inference", __doc__, TEXT_CLASSIFY, read, _add_arguments)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
