"""Targets: command lines, and options that hold JSON, lists or commands."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fairseq_compat import quoting

from biomedgpt_fairseq.cli.evaluate import group_request, parse_overrides
from biomedgpt_fairseq.cli.main import SUBCOMMANDS, build_parser
from biomedgpt_fairseq.cluster.line import parse_line, parse_variation, vary
from biomedgpt_fairseq.cluster.slurm import parse_minutes
from biomedgpt_fairseq.criterions.label_smoothed import parse_range
from biomedgpt_fairseq.decoding.settings import parse_settings
from biomedgpt_fairseq.tasks.answer_set import load_answers
from biomedgpt_fairseq.tasks.base import parse_generation_args
from biomedgpt_fairseq.tasks.mnli import label_words
from biomedgpt_fairseq.tasks.pretrain_sources import mixture_shares
from data_utils.converter import parse_splits
from data_utils.partition import parse_fractions
from tests.fuzz.harness import Parse, Target, Wrong, text_target

EVALUATE = (
    "evaluate a.tsv --path a.pt:b.pt --results-path out --gen-subset test --batch-size 8 "
    "--eval-args '{\"beam\": 5}' --model-overrides \"{'data': 'x'}\" "
    "--metadata m.csv --group-by site"
)
COMMANDS = (
    *(EVALUATE, "checkpoint convert a.pt b --to safetensors --weights-only", "doctor"),
    *("checkpoint diff a b --top 3", "submit --nodes 2 --time 1:00:00 -- bash run.sh --lr 0.1"),
    *("phantoms --task vqa --output d --train 8 --size 32 --seed 1", "vocab info folder"),
    *("image-codes extract --input a.tsv --output b.tsv --size 128", "predict --help"),
)
REFERENCE = quoting._REFERENCE


class _Ended(ValueError):
    """The parser ended the program, as it does with wrong options."""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Help and usage go nowhere; an exit is a refusal if its status says so."""
    silence = io.StringIO()
    try:
        with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
            yield
    except SystemExit as end:
        if end.code not in (0, 2):
            raise Wrong(f"exit status {end.code}") from end
        if end.code == 2:
            raise _Ended(silence.getvalue()[-300:]) from None


def _command(text: str) -> None:
    """Words as a shell makes them; nothing is run."""
    words = shlex.split(text)
    chosen = words[0] if words and words[0] in SUBCOMMANDS else None
    with _quiet():  # which --help leaves at once
        args = build_parser(chosen).parse_args(words)
        if chosen == "evaluate":
            parse_overrides(args.model_overrides)
            group_request(args)


def _open_training(_: Path) -> Parse:
    """A line of fairseq-train, up to its configuration."""
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    from biomedgpt_fairseq import fairseq_register as fairseq_register

    def parse(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        words = ["data.tsv", "--task", "vqa_gen", "--arch", "ofa_micro", "--lr", "0.1"]
        words += ["--ans2label-dict", text]
        with _quiet():
            args = options.parse_args_and_arch(options.get_training_parser(), words)
        found = convert_namespace_to_omegaconf(args).task.ans2label_dict
        if found != text and quoting.encode(text) != text:
            raise Wrong(f"the option arrived as {found!r:.300}")

    return parse


def _quoted(text: str) -> None:
    """What an option says arrives unchanged."""
    for value in (text, [text, {"key": text}]):
        if quoting.decode(quoting.encode(value, {"task"})) != value:
            raise Wrong("another text")
    quoting.literal(text)


def _submitted(text: str) -> None:
    words = shlex.split(text)
    variations = [parse_variation(word[7:]) for word in words if word.startswith("--vary=")]
    for line in vary(parse_line([w for w in words if not w.startswith("--vary=")]), variations):
        str(line)


def _mixture(text: str) -> None:
    cfg: Any = Namespace(mixture_weights=text, mixture_temperature=None, mixture_cap=None)
    sources: Any = [Namespace(name=name, rows=9) for name in ("pubmed", "notes")]
    mixture_shares(cfg, sources)


def _option(name: str, parse: Callable[[str], object], *samples: str, **options: Any) -> Target:
    return text_target(f"option/{name}", parse, *samples, **{"share": 40, **options})


GENERATION = '{"beam": 5, "max_len_b": 16, "no_repeat_ngram_size": 3, "unnormalized": false}'
SAMPLING = '{"sampling": true, "sampling_topp": 0.9, "temperature": 0.7, "sampling_seed": 3}'
LABELS = '{"maybe": 0, "yes": 1, "no": 2}'
NAMES = tuple(
    f'"{name}"'.encode() for name in ("lenpen", "sampling_topk", "gen_box", "prefix_size")
)
WORDS = (
    b" --",
    b" -- ",
    b"'",
    b'"',
    b"=",
    b" --limit ",
    b" --vary=A=1..3",
    b"..",
    b" LR=0.1 ",
    b"{A}",
)

TARGETS = [
    text_target("command/biomedgpt", _command, *COMMANDS, share=4, tokens=WORDS),
    Target("command/train", _open_training,
           [json.dumps({"yes": 0, "no": 1}).encode(), b"it's \\ ${task.data}"], share=1),
    text_target("command/submit", _submitted, "LR=1 bash a.sh --lr {LR} x", "p --vary=A=1,2 {A}",
                "p --vary=A=1..3 --vary=B=x,y {A} {B}", share=30, tokens=WORDS),
    text_target("command/quoting", _quoted, "it's", "${task.data}", "a\\'b", LABELS, share=60),
    _option("eval-args", lambda text: parse_settings(vars(parse_generation_args(text))),
            GENERATION, SAMPLING, tokens=NAMES),
    _option("model-overrides", parse_overrides, '{"data": "x"}', "{'a': [1, None], 'b': (2.5,)}",
            tokens=(b"(", b"lambda: 0", b"__import__('os')", b"1+1j", b"-" * 500, b"(" * 500)),
    _option("answers", lambda text: load_answers(text, None), LABELS, '["a", "b"]'),
    _option("labels", lambda text: label_words(["maybe", "yes", "no"], text), LABELS),
    _option("mixture", _mixture, '{"pubmed": 2, "notes": 1}'),
    _option("time", parse_minutes, "90", "1:00:00", "2-12", "1-02:03:04"),
    _option("range", parse_range, "4,100"),
    _option("fractions", parse_fractions, "0.8,0.1,0.1"),
    _option("splits", parse_splits, "train,valid"),
]  # fmt: skip
