"""Shell scripts in benchmarks/: the commands that they would run."""

from __future__ import annotations

from script_commands import ROOT, dry_run, start_script

REAL = ROOT / "benchmarks" / "pretraining_real.sh"
VARIANTS = ROOT / "benchmarks" / "instruction_variants.sh"


def test_pretraining_on_real_data_has_all_corpora_and_kinds(tmp_path) -> None:
    settings = {"CORPORA": "corpora", "RUN_DIR": str(tmp_path), "GPUS": "0"}
    lines = dry_run(REAL, "--clip-norm", "2", **settings)
    for corpus in ("vqa-rad", "covid_chestxray", "medquad", "indiana_reports", "bccd"):
        assert any(f" corpora/{corpus}" in line for line in lines)
    whole, killed = (line for line in lines if "fairseq-train" in line)
    assert f"--save-dir {tmp_path}/whole/" in whole
    assert whole.replace("/whole/", "/killed/") == killed
    for option in ("--text-data", "--image-data", "--detection-data", "--clip-norm 2 "):
        assert option in whole
    assert "benchmarks.loss_curves" in lines[-1]


def test_pretraining_on_real_data_needs_the_corpora() -> None:
    done = start_script(REAL, DRY_RUN="1")
    assert done.returncode != 0 and "CORPORA=FOLDER" in done.stderr


def test_paraphrases_are_all_that_differs_between_the_models(tmp_path) -> None:
    lines = dry_run(VARIANTS, SHARES="0 0.25", RUN_DIR=str(tmp_path))
    without, mixed = (line for line in lines if "fairseq-train" in line)
    assert " --instruction-variants 0.25 " in mixed
    assert mixed.replace("0.25", "0") == without
    evaluated = [line for line in lines if "biomedgpt evaluate" in line]
    assert len(evaluated) == 2 and all(" --paraphrases " in line for line in evaluated)
