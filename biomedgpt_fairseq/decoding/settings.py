"""Options of a search, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

UNSUPPORTED = {
    "constraints": "lexically constrained decoding is not built; use a closed answer set, "
    "constraint_range or a prefix_allowed_tokens_fn",
    "lm_path": "fusion with a language model is not built",
    "print_alignment": "alignments are not recorded by this search",
    "retain_dropout": "decoding always runs without dropout; ensembles of models are supported",
}
"""Options of fairseq that are refused, with the reason."""

_LARGEST = 1_000_000_000  # whole numbers of Python can be too large for a float

FAIRSEQ_MARKS = frozenset({"nbest", "prefix_size"})
"""Options that only fairseq's complete option group has."""


@dataclass(frozen=True)
class GenerationSettings:
    """Options of a search, spelled as fairseq spells them.

    Longest hypothesis, without eos: int(max_len_a * source width + max_len_b).
    sampling_topk / sampling_topp: sample among the k likeliest tokens / the smallest set of tokens
    whose probability exceeds p; off when not positive.  sampling_seed: None leaves the draw to
    torch's own generator.
    diverse_beam_groups: independent beams that avoid each other's tokens; off when not positive.
    diversity_rate: penalty per rank among the continuations of one hypothesis; off when not
    positive.
    gen_code, gen_box: the output is image codes, or boxes with a class word after four bins.
    ignore_eos: the last step gives eos the log-probability 1, so that lengths do not matter.
    Raises ValueError on values and combinations without a meaning.
    """

    beam: int = 5
    max_len_a: float = 0.0
    max_len_b: int = 200
    min_len: int = 1
    unnormalized: bool = False
    lenpen: float = 1.0
    unkpen: float = 0.0
    temperature: float = 1.0
    match_source_len: bool = False
    no_repeat_ngram_size: int = 0
    sampling: bool = False
    sampling_topk: int = -1
    sampling_topp: float = -1.0
    sampling_seed: int | None = None
    diverse_beam_groups: int = -1
    diverse_beam_strength: float = 0.5
    diversity_rate: float = -1.0
    gen_code: bool = False
    gen_box: bool = False
    ignore_eos: bool = False
    zero_shot: bool = False

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise ValueError(f"beam must be at least 1, found {self.beam}")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be greater than 0, found {self.temperature}")
        if self.no_repeat_ngram_size < 0:
            raise ValueError(
                f"no_repeat_ngram_size must not be negative, found {self.no_repeat_ngram_size}"
            )
        self._check_modes()
        self._check_sampling()
        if self.diverse_beam_groups > 0 and self.beam % self.diverse_beam_groups:
            raise ValueError(
                "beam must be a multiple of diverse_beam_groups, found "
                f"beam={self.beam}, diverse_beam_groups={self.diverse_beam_groups}"
            )

    def _check_modes(self) -> None:
        modes = {
            "sampling": self.sampling,
            "diverse_beam_groups": self.diverse_beam_groups > 0,
            "diversity_rate": self.diversity_rate > 0,
            "match_source_len": self.match_source_len,
        }
        chosen = [name for name, on in modes.items() if on]
        if len(chosen) > 1:
            raise ValueError(
                f"only one of {', '.join(modes)} may be chosen, found {' and '.join(chosen)}"
            )

    def _check_sampling(self) -> None:
        if (self.sampling_topk > 0 or self.sampling_topp > 0) and not self.sampling:
            raise ValueError("sampling_topk and sampling_topp need sampling to be true")
        if self.sampling_topk > 0 and self.sampling_topp > 0:
            raise ValueError("only one of sampling_topk and sampling_topp may be chosen")
        if self.sampling_topp > 1:
            raise ValueError(f"sampling_topp must not exceed 1, found {self.sampling_topp}")


def parse_settings(options: Mapping[str, Any]) -> GenerationSettings:
    """Settings from options given by name; those left out, or None, take their defaults.

    fairseq's complete option group is taken too: what concerns its programs is passed over.
    Raises ValueError on an option that is not known, not supported or of the wrong kind.
    """
    for name, reason in UNSUPPORTED.items():
        if options.get(name):
            raise ValueError(f"generation option {name!r} is not supported: {reason}")
    known = {field.name: field for field in fields(GenerationSettings)}
    unknown = [name for name in options if name not in known and name not in UNSUPPORTED]
    if unknown and not options.keys() >= FAIRSEQ_MARKS:
        raise ValueError(
            f"unknown generation options {', '.join(sorted(unknown))}; "
            f"known are {', '.join(sorted(known))}"
        )
    given: dict[str, Any] = {}
    for name, field in known.items():
        if options.get(name) is not None:
            given[name] = _check_kind(name, options[name], field.default)
    return GenerationSettings(**given)


def _check_kind(name: str, value: Any, default: Any) -> Any:
    """The value; an int may stand for a float, nothing else is converted."""
    expected: type = int if name == "sampling_seed" else type(default)
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > _LARGEST:
            raise ValueError(f"generation option {name!r} must not exceed {_LARGEST:,}")
        return float(value)
    if type(value) is not expected:
        raise ValueError(f"generation option {name!r} must be {expected.__name__}, found {value!r}")
    return value
