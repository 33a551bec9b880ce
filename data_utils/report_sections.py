"""Sections of a radiology report in free text."""

from __future__ import annotations

import re

from data_utils.layouts import Record, summary
from data_utils.writer import RejectedItem

# A heading is in capitals, at the start of a line, and ends with a colon.
_HEADING = re.compile(r"^[ \t]*(?:FINAL[ \t]+)?([A-Z][A-Z &/,()'-]{2,60}?)[ \t]*:", re.MULTILINE)
_REMOVED = re.compile(r"\[\*\*.*?\*\*\]", re.DOTALL)
_MASK = "___"
FINDINGS = ("FINDINGS", "FINDING")
IMPRESSION = ("IMPRESSION", "IMPRESSIONS", "CONCLUSION", "CONCLUSIONS")


def split_sections(report: str) -> dict[str, str]:
    """Heading -> text; of a heading that comes twice, the last one that has a text."""
    text = _REMOVED.sub(_MASK, report)
    found = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in found[1:]] + [len(text)]
    sections: dict[str, str] = {}
    for heading, end in zip(found, ends, strict=True):
        body = text[heading.end() : end].strip()
        if body:
            sections[heading.group(1)] = body
    return sections


def report_summary(
    item: str, report: str, split: str = "", group: str = ""
) -> Record | RejectedItem:
    """The impression as summary of the findings."""
    sections = split_sections(report)
    findings = next((sections[name] for name in FINDINGS if name in sections), "")
    impression = next((sections[name] for name in IMPRESSION if name in sections), "")
    if not findings or not impression:
        missing = "findings" if not findings else "impression"
        return RejectedItem(item, f"no section of {missing}")
    return summary(item, findings, impression, split, group)
