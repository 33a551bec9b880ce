"""The closed set of answers of a task, from options or a file."""

import json
import logging
from pathlib import Path
from typing import List, Optional

logger = logging.getLogger(__name__)

PICKLE_SUFFIXES = {".pkl", ".pickle"}


def load_answers(inline: Optional[str], path: Optional[str]) -> List[str]:
    """Answers in candidate order: those of the file if one is given, else the inline JSON.

    A JSON map counts by its key order, a JSON list by its own, a text file has an answer a line.
    Raises FileNotFoundError or ValueError that names the option at fault.
    """
    if path:
        return _read_answers(Path(path))
    try:
        content = json.loads(inline or "")
    except json.JSONDecodeError as error:
        raise ValueError(
            f"--ans2label-dict must be a JSON map or list of answers: {error}"
        ) from error
    return _as_list(content, "--ans2label-dict")


def _read_answers(path: Path) -> List[str]:
    if path.suffix in PICKLE_SUFFIXES:
        raise ValueError(
            f"--ans2label-file {path} is a pickle, which could run code; convert it once with "
            f"'python -m data_utils.answer_map pickle {path} --output answers.json'"
        )
    if not path.is_file():
        raise FileNotFoundError(f"--ans2label-file {path}: no such file")
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        try:
            return _as_list(json.loads(text), str(path))
        except json.JSONDecodeError as error:
            raise ValueError(f"--ans2label-file {path} is not valid JSON: {error}") from error
    # Answers keep their spaces; only the line end is not part of them.
    return _as_list([line for line in text.split("\n") if line], str(path))


def _as_list(content: object, origin: str) -> List[str]:
    answers = list(content) if isinstance(content, (dict, list)) else None
    if answers is None or not all(isinstance(answer, str) for answer in answers):
        raise ValueError(
            f"{origin} must hold a JSON map or list of answer texts, found {content!r:.80}"
        )
    if not answers:
        raise ValueError(f"{origin} holds no answers")
    return answers
