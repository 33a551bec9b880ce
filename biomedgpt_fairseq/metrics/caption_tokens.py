"""Captions as the tokens that the COCO caption metrics count."""

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

logger = logging.getLogger(__name__)

PTB = "PTBTokenizer"
FALLBACK = "13a tokens without punctuation"


@dataclass(frozen=True)
class TokenizedCaptions:
    """Tokens joined by single spaces, in lower case and without punctuation."""

    hyps: Sequence[str]
    refs: Sequence[Sequence[str]]
    tokenizer: str
    problem: str = ""
    """Why the tokenizer is not the Penn Treebank one of the COCO evaluation."""


def tokenize_captions(hyps: Sequence[str], refs: Sequence[Sequence[str]]) -> TokenizedCaptions:
    """Tokens by the java program that pycocoevalcap ships or, where that cannot run, by sacrebleu.

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
    """Tokens of mteval's 13a rules (sacrebleu) in lower case, without the punctuation of COCO."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS

    words = _thirteen_a()(text.lower()).split()
    return " ".join(word for word in words if word not in PUNCTUATIONS)


@lru_cache(maxsize=1)
def _thirteen_a() -> Callable[[str], str]:
    from sacrebleu.tokenizers import tokenizer_13a

    tokenizer: Callable[[str], str] = tokenizer_13a.Tokenizer13a()  # type: ignore[no-untyped-call]
    return tokenizer


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
