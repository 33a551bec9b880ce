"""The whole path from rows to answers against numbers recorded once; needs nothing but this tree.

The recording was made when the comparison with the original system's numbers had passed.
"""

import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("fairseq")

_SPEC = importlib.util.spec_from_file_location(
    "recording", Path(__file__).with_name("recording.py")
)
recording = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(recording)

EXACT = ("src_tokens", "target", "sample_size", "answers")
CLOSE = ("pixels", "logits", "logsumexp", "loss", "candidate_scores", "beam_scores")


@pytest.fixture(scope="module")
def measured():
    return recording.measure()


@pytest.fixture(scope="module")
def recorded():
    return json.loads(recording.RECORDED.read_text("utf-8"))


@pytest.mark.parametrize("name", EXACT)
def test_tokens_and_answers_are_those_recorded(name, measured, recorded):
    assert measured[name] == recorded[name]


@pytest.mark.parametrize("name", CLOSE)
def test_numbers_are_those_recorded(name, measured, recorded):
    if isinstance(recorded[name], list) and isinstance(recorded[name][0], list):
        for found, wanted in zip(measured[name], recorded[name], strict=True):
            assert found == pytest.approx(wanted, rel=1e-5, abs=1e-5)
    else:
        assert measured[name] == pytest.approx(recorded[name], rel=1e-5, abs=1e-5)
