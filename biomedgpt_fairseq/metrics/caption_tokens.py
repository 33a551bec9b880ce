"""Captions as the tokens that the COCO caption metrics count."""

import logging
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

logger = logging.getLogger(__name__)

PTB = "PTBTokenizer"
FALLBACK = "PTB-like tokens (pure Python)"

_TOKEN = re.compile(
    r"""
      '(?:s|m|d|ll|re|ve)\b            # the patient 's
    | n't\b                            # do n't
    | (?:[^\W\d_]\.){2,}              # p.m.
    | [^\W_]+?(?=n't\b)
    | \d+(?:[.,:]\d+)+                # 3.5  1,000  2:50
    | [^\W_]+(?:[-/][^\W_]+)*         # x-ray  and/or
    | _+                              # a name that was taken out
    | [^\w\s]
    """,
    re.VERBOSE,
)
# The program writes these as words; COCO's list of punctuation has them in capitals only.
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
# The program turns these into marks of the list.
_TYPOGRAPHIC = '"\u201c\u201d\u2018\u2019\u2026\u2013\u2014'


@dataclass(frozen=True)
class TokenizedCaptions:
    """Tokens joined by single spaces, in lower case and without most punctuation."""

    hyps: Sequence[str]
    refs: Sequence[Sequence[str]]
    tokenizer: str
    problem: str = ""
    """Why the tokenizer is not the Penn Treebank one of the COCO evaluation."""


def tokenize_captions(hyps: Sequence[str], refs: Sequence[Sequence[str]]) -> TokenizedCaptions:
    """Tokens by the java program that pycocoevalcap ships or, where that cannot run, by rules.

    Raises ModuleNotFoundError without pycocoevalcap.
    """
    # A line break would shift all texts behind it: the java program answers line by line.
    clean_hyps = [" ".join(text.split()) for text in hyps]
    clean_refs = [[" ".join(text.split()) for text in several] for several in refs]
    texts = sorted({text for several in (clean_hyps, *clean_refs) for text in several if text})
    problem = ""
    try:
        tokens, tokenizer = _ptb(texts), PTB
    except (OSError, ValueError) as error:
        tokens, tokenizer, problem = [fallback_tokens(text) for text in texts], FALLBACK, str(error)
        logger.warning("captions: %s instead of %s: %s", FALLBACK, PTB, problem)
    known = {"": "", **dict(zip(texts, tokens, strict=True))}
    return TokenizedCaptions(
        [known[text] for text in clean_hyps],
        [[known[text] for text in several] for several in clean_refs],
        tokenizer,
        problem,
    )


def fallback_tokens(text: str) -> str:
    """The tokens of the Penn Treebank program, nearly, in lower case and without punctuation."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS

    words = _TOKEN.findall(text.lower().replace("cannot", "can not"))
    dropped = {*PUNCTUATIONS, *_TYPOGRAPHIC}
    return " ".join(_BRACKETS.get(word, word) for word in words if word not in dropped)


def require_java() -> None:
    """Raise FileNotFoundError, with what to do, if no java program is on the path."""
    if shutil.which("java") is None:
        raise FileNotFoundError("no java runtime (Debian: apt-get install default-jre-headless)")


def _ptb(texts: Sequence[str]) -> list[str]:
    """Raises OSError if the program cannot be started, ValueError if it did not do all texts."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    require_java()
    if not texts:
        return []
    found = PTBTokenizer().tokenize({i: [{"caption": text}] for i, text in enumerate(texts)})
    tokens = [" ".join(found.get(i, [])) for i in range(len(texts))]
    if len(found) != len(texts) or not any(tokens):
        raise ValueError(f"{PTB} answered {len(found)} of {len(texts)} texts; does java work?")
    return tokens
