"""Awkward texts on their way through hydra and omegaconf."""

import pytest
from fairseq_compat.quoting import decode, encode, literal, literal_decoded
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

GROUPS = {"optimization", "task"}
AWKWARD = st.text(alphabet=st.sampled_from("\\$${}'\"ab. \n\t:,=[]é%#\x00"), max_size=12)


@pytest.mark.parametrize(
    "text", ["", "plain", 'a "b": {c}', "1e-3", "null", "a=b,c", "/data/x.tsv", "{'a': 1}"[:0]]
)
def test_ordinary_text_is_left_alone(text):
    assert encode(text, GROUPS) == text


@pytest.mark.parametrize(
    "text", ["it's", "a\\'b", "\\", "${x}", "a ${x.y} b", "a\nb", " a", "${x.y}"]
)
def test_awkward_text_is_encoded_without_quotes_and_backslashes(text):
    encoded = encode(text, GROUPS)
    assert not set(encoded) & set("'\\$\n")
    assert decode(encoded) == text


def test_reference_to_an_option_group_stays_a_reference():
    assert encode("${optimization.lr}", GROUPS) == "${optimization.lr}"
    assert literal(decode(encode("${optimization.lr} ", GROUPS))) == "\\${optimization.lr} "


def test_lists_tuples_and_dictionaries_are_entered():
    value = {"a'": ["${b}", ("c\\",), 1, None, True]}
    encoded = encode(value, GROUPS)
    assert "'" not in "".join(encoded)
    assert decode(encoded) == value


@given(AWKWARD)
def test_decode_inverts_encode(text):
    assert decode(encode(text, GROUPS)) == text


@given(st.text(max_size=30))
def test_encoded_text_passes_hydras_grammar(text):
    encoded = encode(text, set())
    if encoded == "" or encoded == text:
        return
    override = OverridesParser.create().parse_override(f"task.note='{encoded}'")
    assert literal_decoded(override.value()) == literal(text)


@given(AWKWARD)
def test_omegaconf_reads_a_literal_as_the_text(text):
    config = OmegaConf.create({"note": literal(text)})
    assert config.note == text
    assert OmegaConf.to_container(config, resolve=True) == {"note": text}


def test_literal_leaves_other_objects_alone():
    config = OmegaConf.create({"a": "${b}", "b": 1})
    assert literal(config) is config
    assert literal(None) is None and literal(1.5) == 1.5
