"""TREC clinical trials track, 2021 or 2022 -> does a trial fit a patient.

Source: a folder with the topics (topics*.xml, <topic number> with the case description), the
judgements (qrels*.txt: topic, 0, trial, relevance 0, 1 or 2) and the trials of ClinicalTrials.gov,
NCT*.xml in any folder inside it. Text 1 is the patient, text 2 the trial. Trials that were not
judged are not used. Splits are drawn by patient.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from data_utils.converter import Converter, Items
from data_utils.layouts import TEXT_CLASSIFY, classified_text
from data_utils.tables import find_file, open_text, read_xml
from data_utils.writer import RejectedItem

CLASSES = {"0": "not relevant", "1": "excluded", "2": "eligible"}
TRIAL_PARTS = ("brief_title", "brief_summary/textblock", "eligibility/criteria/textblock")


def read(args: argparse.Namespace) -> Items:
    """Judged pairs of patient and trial."""
    topics = {
        topic.get("number", ""): topic.text or ""
        for topic in read_xml(find_file(args.source, "topics*.xml")).iter("topic")
    }
    trials = {path.stem: path for path in args.source.rglob("NCT*.xml")}
    for topic, trial, relevance in _judgements(find_file(args.source, "qrels*.txt")):
        item = f"{topic}_{trial}"
        if relevance not in CLASSES or topic not in topics:
            yield RejectedItem(item, "unknown topic or relevance")
        elif trial not in trials:
            yield RejectedItem(item, "no such trial")
        else:
            texts = topics[topic], trial_text(trials[trial])
            yield classified_text(item, texts, CLASSES[relevance], group=topic)


def trial_text(path: Path) -> str:
    """Title, summary and criteria of a trial."""
    root = read_xml(path)
    parts = [root.findtext(part, "").strip() for part in TRIAL_PARTS]
    return " ".join(part for part in parts if part)


def _judgements(path: Path) -> Iterator[tuple[str, str, str]]:
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            words = line.split()
            if len(words) != 4:
                raise ValueError(f"{path}:{number}: expected topic, 0, trial, relevance: {line!r}")
            yield words[0], words[2], words[3]


CONVERTER = Converter("trec_trials", __doc__, TEXT_CLASSIFY, read)

if __name__ == "__main__":
    sys.exit(CONVERTER.main())
