"""Image codes against numbers recorded once; needs nothing but this tree.

The recording was made when the comparison with the original's numbers had passed.
"""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

_SPEC = importlib.util.spec_from_file_location(
    "recording_codes", Path(__file__).with_name("recording_codes.py")
)
recording_codes = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(recording_codes)

SURE = 1e-4
"""Lead of a code over the next one from which on rounding does not choose between them."""


@pytest.fixture(scope="module")
def measured():
    return recording_codes.measure()


@pytest.fixture(scope="module")
def recorded():
    return json.loads(recording_codes.RECORDED.read_text("utf-8"))


@pytest.mark.parametrize("name", ["gumbel", "plain", "embedded"])
def test_codes_are_those_recorded_where_they_lead(name, measured, recorded):
    sure = np.array(recorded[name]["lead"]) > SURE
    assert sure.mean() > 0.9 and len(set(recorded[name]["codes"])) > 10
    found, expected = (np.array(source[name]["codes"]) for source in (measured, recorded))
    assert np.array_equal(found[sure], expected[sure])


@pytest.mark.parametrize("name", ["gumbel", "plain", "embedded"])
def test_pixels_are_those_recorded(name, measured, recorded):
    if measured[name]["codes"] != recorded[name]["codes"]:
        pytest.skip("another code where two are as good: another picture")
    found, expected = (source[name]["pixels"] for source in (measured, recorded))
    assert found == pytest.approx(expected, abs=1e-4)
