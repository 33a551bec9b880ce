import logging
from argparse import Namespace

import pytest

pytest.importorskip("fairseq")

from omegaconf import OmegaConf  # noqa: E402

from biomedgpt_fairseq.fairseq_saved_options import (  # noqa: E402
    log_ignored,
    saved_options,
    task_options,
)


def test_namespace_holds_all_options_in_one() -> None:
    args = Namespace(task="vqa_gen", arch="ofa_base", patch_image_size=384, log_file="a.log")
    saved = saved_options({"args": args, "cfg": None})
    assert saved.task_name == "vqa_gen"
    assert saved.task["patch_image_size"] == 384
    assert saved.model["arch"] == "ofa_base"
    assert saved.log_file == "a.log"


@pytest.mark.parametrize("form", ["omegaconf", "containers"])
def test_sections_of_a_config(form: str) -> None:
    content = {
        "common": {"log_file": "a.log", "seed": 5},
        "task": {"_name": "caption", "patch_image_size": 480},
        "model": {"_name": "ofa_tiny", "encoder_layers": 4},
    }
    cfg = OmegaConf.create(content) if form == "omegaconf" else content
    saved = saved_options({"args": None, "cfg": cfg})
    assert saved.task_name == "caption"
    assert saved.task["patch_image_size"] == 480
    assert saved.model == {"_name": "ofa_tiny", "encoder_layers": 4}
    assert saved.log_file == "a.log"


def test_model_saved_as_a_namespace_in_a_config() -> None:
    cfg = {"model": Namespace(arch="ofa_base", task="mnli"), "task": {}}
    saved = saved_options({"cfg": cfg})
    assert saved.task_name == "mnli"
    assert saved.model["arch"] == "ofa_base"


def test_references_between_options_are_followed() -> None:
    cfg = OmegaConf.create(
        {
            "task": {"_name": "caption", "num_bins": 1000, "data": "${nowhere.x}"},
            "model": {"_name": "ofa", "num_bins": "${task.num_bins}"},
        }
    )
    saved = saved_options({"cfg": cfg})
    assert saved.model["num_bins"] == 1000
    assert "data" not in saved.task


def test_resolvers_of_a_config_are_never_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "leak")
    cfg = OmegaConf.create({"task": {"_name": "caption", "data": "${oc.env:SECRET}"}})
    assert "leak" not in str(saved_options({"cfg": cfg}))


def test_file_without_options() -> None:
    saved = saved_options({"model": {}})
    assert saved.task_name is None and saved.task == {} and saved.model == {}


def test_overrides_win_over_saved_values_over_defaults() -> None:
    options = task_options(
        "vqa_gen", {"max_src_length": 80, "prompt_type": "prev_output"}, {"max_src_length": 9}
    )
    assert options.max_src_length == 9
    assert options.prompt_type == "prev_output"
    assert options.max_tgt_length == 30


def test_answer_map_may_be_an_object() -> None:
    options = task_options("vqa_gen", {}, {"ans2label_dict": {"b": 0, "a": 1}})
    assert options.ans2label_dict == '{"b": 0, "a": 1}'


def test_seed_of_the_run_replaces_the_reference() -> None:
    assert task_options("gigaword", {}, {"seed": 3}).seed == 3


def test_unknown_options_are_ignored_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    args = Namespace(task="gigaword", arch="ofa_tiny", num_bins=9, bpe="gpt2", quant_noise_pq=0)
    saved = saved_options({"args": args})
    with caplog.at_level(logging.INFO):
        log_ignored(saved, task_options("gigaword", saved.task, {}))
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["saved options without effect: bpe, quant_noise_pq, task"]


def test_unknown_task_lists_the_known() -> None:
    with pytest.raises(ValueError, match="vqa_gen"):
        task_options("vqa", {}, {})
