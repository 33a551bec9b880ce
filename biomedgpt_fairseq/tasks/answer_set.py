"""The closed set of answers of a task, from options or a file, and where it came from."""

import json
import logging
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from biomedgpt_fairseq.report.provenance import file_record

logger = logging.getLogger(__name__)

PICKLE_SUFFIXES = {".pkl", ".pickle"}
# The data card of a converter describes the answer file of this name in its folder.
DESCRIBED, CARD = "answers.json", "card.json"
LEAK = "The candidate answers were taken from test answers too, so the scores are too good."


def load_answers(
    inline: Optional[str], path: Optional[str], allow_test_answers: bool = False
) -> List[str]:
    """Answers in candidate order: those of the file if one is given, else the inline JSON.

    A JSON map counts by its key order, a JSON list by its own, a text file has an answer a line.
    Raises FileNotFoundError or ValueError that names the option at fault, also for a file whose
    data card says that it holds answers of the test split, unless they are allowed.
    """
    if path:
        answers = _read_answers(Path(path))
        if (read_card(Path(path)) or {}).get("uses_test_answers"):
            if not allow_test_answers:
                raise ValueError(
                    f"--ans2label-file {path} holds answers of the test split ({CARD} beside it "
                    "says uses_test_answers), which makes scores too good; convert the data with "
                    "--answers-from train, or give --allow-test-answers, which is recorded"
                )
            logger.warning("%s: %s", path, LEAK)
        return answers
    try:
        content = _parse(inline or "", "--ans2label-dict")
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
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"--ans2label-file {path}: expected UTF-8 text, found {error.reason} at byte "
            f"{error.start}; save the file as UTF-8"
        ) from error
    if path.suffix == ".json":
        try:
            return _as_list(_parse(text, str(path)), str(path))
        except json.JSONDecodeError as error:
            raise ValueError(f"--ans2label-file {path} is not valid JSON: {error}") from error
    # Answers keep their spaces; only the line end is not part of them.
    return _as_list([line for line in text.split("\n") if line], str(path))


def _parse(text: str, origin: str) -> object:
    """The JSON value.  Raises ValueError when a key comes twice, of which JSON keeps the last."""

    def refuse_twice(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"{origin}: the answer {twice!r} occurs twice")
        return found

    try:
        return json.loads(text, object_pairs_hook=refuse_twice)
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, deep nesting
        text = str(error)
        raise ValueError(text if text.startswith(origin) else f"{origin}: {text}") from error


def _as_list(content: object, origin: str) -> List[str]:
    answers = list(content) if isinstance(content, (dict, list)) else None
    if answers is None or not all(isinstance(answer, str) for answer in answers):
        raise ValueError(
            f"{origin} must hold a JSON map or list of answer texts, found {content!r:.80}"
        )
    if not answers:
        raise ValueError(f"{origin} holds no answers")
    return answers


def read_card(path: Path) -> Optional[Dict[str, Any]]:
    """What the data card beside an answer file says of it; None where there is no such card.

    Raises ValueError for a card that is not valid JSON.
    """
    card = path.with_name(CARD)
    if path.name != DESCRIBED or not card.is_file():
        return None
    try:
        content = json.loads(card.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{card}, the data card of {path}, is not valid JSON: {error}; convert the data again"
        ) from error
    facts = content.get("answers") if isinstance(content, dict) else None
    return facts if isinstance(facts, dict) else None


def describe_answers(
    path: Optional[str], answers: Sequence[str], only_evaluated: Optional[int]
) -> Dict[str, Any]:
    """Where the candidates of an evaluation came from, for its record.

    path: the answer file, None for --ans2label-dict.  only_evaluated: how many candidates are
    answers of the evaluated rows and of no training row, None where that is not known.
    """
    card = read_card(Path(path)) if path else None
    leaks = None if card is None else card.get("uses_test_answers")
    if leaks:
        statement = LEAK
    elif card is not None:
        listed = card.get("from")
        splits = ", ".join(map(str, listed)) if isinstance(listed, list) else str(listed)
        statement = f"Candidates from the splits {splits}, says the card."
    elif only_evaluated:
        statement = (
            "Candidates that are answers of evaluated rows and of no training row: "
            f"{only_evaluated} of {len(answers)}. Unless the set was fixed beforehand, it was made "
            "with test answers."
        )
    elif only_evaluated == 0:
        statement = "No data card; every candidate that the evaluated rows use is in training rows."
    else:
        statement = (
            "No data card, and training rows were not read: unknown whether test answers are in."
        )
    return {
        "source": file_record(path) if path else "--ans2label-dict",
        "count": len(answers),
        "card": card,
        "uses_test_answers": leaks,
        "only_in_evaluated_rows": only_evaluated,
        "statement": statement,
    }
