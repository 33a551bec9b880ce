"""METEOR 1.5 (Denkowski and Lavie, 2014), by the java program that pycocoevalcap ships.

The program counts the matches of each row; the score is computed from sums of these counts, so that
thousands of resamples need no second call.  Equal to the program's own scores (tested).
"""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from biomedgpt_fairseq.metrics.bootstrap import Floats
from biomedgpt_fairseq.metrics.caption_tokens import require_java

# Parameters of English.
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
# Of equal words, stems, synonyms and paraphrases.
STAGE_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])
NUM_COUNTS = 23
# Places of the counts: words and function words of both sides, per stage the matched content and
# function words of both, then chunks and matched words of both.
HYP_WORDS, REF_WORDS, HYP_FUNCTION, REF_FUNCTION = range(4)
CHUNKS, HYP_MATCHED, REF_MATCHED = 20, 21, 22


def meteor_counts(hyps: Sequence[str], refs: Sequence[Sequence[str]]) -> Floats:
    """What METEOR is made of, for each row; adds up over rows.  (N, 23).

    Texts are tokens joined by spaces; of several references the best counts.
    Raises ModuleNotFoundError without pycocoevalcap, OSError if java cannot be started, ValueError
    for an answer that is no list of counts.
    """
    require_java()
    answers, complaint = _ask(hyps, refs)
    lines = [line.split() for line in answers]
    if len(lines) != len(hyps) or any(len(line) != NUM_COUNTS for line in lines):
        found = complaint or (answers or ["nothing"])[-1]
        raise ValueError(f"expected {NUM_COUNTS} counts per row, the program answered: {found}")
    counts = np.array(lines, dtype=np.float64)
    # A perfect row has one chunk, which counts as none.
    perfect = (counts[:, HYP_MATCHED] == counts[:, HYP_WORDS]) & (
        counts[:, REF_MATCHED] == counts[:, REF_WORDS]
    )
    counts[perfect & (counts[:, CHUNKS] == 1), CHUNKS] = 0
    return counts


def _ask(hyps: Sequence[str], refs: Sequence[Sequence[str]]) -> tuple[list[str], str]:
    """The program's line for each row, fewer if it stopped, and its first complaint."""
    from pycocoevalcap.meteor.meteor import Meteor

    program = Meteor()
    process, lines = program.meteor_p, []
    # A program that has ended breaks the pipe.
    with suppress(BrokenPipeError):
        for hyp, several in zip(hyps, refs, strict=True):
            # "|||" separates the texts of a line.
            lines.append(program._stat(hyp, [ref.replace("|||", "") for ref in several]))
    with suppress(BrokenPipeError):
        process.stdin.close()
    process.kill()
    complaint = process.stderr.readline().decode(errors="replace").strip()
    process.stdout.close()
    process.stderr.close()
    return lines, complaint


def meteor_of(sums: Floats) -> Floats:
    """METEOR in [0, 1] from sums of `meteor_counts`: (R, 23) -> (R,)."""
    matched = sums[:, 4:CHUNKS].reshape(-1, len(STAGE_WEIGHTS), 4)
    weighted = np.einsum(
        "rsk,s->rk", matched, STAGE_WEIGHTS
    )  # content, content, function, function
    precision = _ratio(
        _mix(weighted[:, 0], weighted[:, 2]),
        _mix(sums[:, HYP_WORDS] - sums[:, HYP_FUNCTION], sums[:, HYP_FUNCTION]),
    )
    recall = _ratio(
        _mix(weighted[:, 1], weighted[:, 3]),
        _mix(sums[:, REF_WORDS] - sums[:, REF_FUNCTION], sums[:, REF_FUNCTION]),
    )
    mean = _ratio(precision * recall, ALPHA * precision + (1 - ALPHA) * recall)
    fragmentation = _ratio(2 * sums[:, CHUNKS], sums[:, HYP_MATCHED] + sums[:, REF_MATCHED])
    return np.asarray(mean * (1 - GAMMA * fragmentation**BETA))


def _mix(content: Floats, function: Floats) -> Floats:
    return np.asarray(DELTA * content + (1 - DELTA) * function)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """0 where there is nothing to divide by."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
