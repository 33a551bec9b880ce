"""The generator takes the option groups that fairseq's own programs pass."""

from __future__ import annotations

from argparse import Namespace

import pytest

from biomedgpt_fairseq.decoding.fairseq_generator import build_generator
from biomedgpt_fairseq.decoding.settings import GenerationSettings
from biomedgpt_fairseq.text.vocab import Vocabulary

configs = pytest.importorskip("fairseq.dataclass.configs")
omegaconf = pytest.importorskip("omegaconf")
VOCAB = Vocabulary(["5", "6"], 0, 0)


def test_structured_group_of_fairseq_generate() -> None:
    group = omegaconf.OmegaConf.structured(configs.GenerationConfig(beam=3, lenpen=2, min_len=2))

    settings = build_generator(VOCAB, group).settings

    assert settings == GenerationSettings(beam=3, lenpen=2.0, min_len=2)


def test_group_as_a_namespace() -> None:
    settings = build_generator(VOCAB, Namespace(**vars(configs.GenerationConfig()))).settings

    assert settings == GenerationSettings()


def test_lexical_constraints_of_the_command_line_are_refused() -> None:
    group = omegaconf.OmegaConf.structured(configs.GenerationConfig(constraints="ordered"))
    with pytest.raises(ValueError, match="'constraints' is not supported"):
        build_generator(VOCAB, group)
