"""Shell scripts in benchmarks/: the commands that they would run."""

from __future__ import annotations

from script_commands import ROOT, dry_run, start_script

REAL = ROOT / "benchmarks" / "pretraining_real.sh"
ZERO_SHOT = ROOT / "benchmarks" / "zero_shot.sh"
VARIANTS = ROOT / "benchmarks" / "instruction_variants.sh"
FRACTIONS = ROOT / "benchmarks" / "label_fractions.sh"


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
    settings = {"SHARES": "0 0.25", "SEEDS": "3 4", "RUN_DIR": str(tmp_path)}
    lines = dry_run(VARIANTS, RESTORE="start.pt", BPE_DIR="words", **settings)
    trained = [line for line in lines if "fairseq-train" in line]
    for seed, without, mixed in zip("34", trained[::2], trained[1::2], strict=True):
        assert " --instruction-variants 0.25 " in mixed and f" --seed {seed} " in mixed
        assert " --restore-file start.pt " in mixed and " --bpe-dir words " in mixed
        assert mixed.replace("0.25", "0") == without
    evaluated = [line for line in lines if "biomedgpt evaluate" in line]
    assert len(evaluated) == len({line.split()[5] for line in evaluated}) == len(trained) == 4
    assert all(" --paraphrases " in line for line in evaluated)


def test_arms_of_the_label_fractions_differ_in_their_start_alone(tmp_path) -> None:
    settings = {"SHARES": "10", "SEEDS": "1 2", "RATES": "1e-3", "RUN_DIR": str(tmp_path)}
    lines = [line for line in dry_run(FRACTIONS, **settings) if "fairseq-train" in line]
    tuned = [line for line in lines if "--task vqa_gen" in line]
    pretrained = [line for line in tuned if "/fine_tuned/all/" in line]
    scratch = [line for line in tuned if "/fine_tuned/scratch/" in line]
    assert len(pretrained) == len(scratch) > 0
    resets = "".join(f" --reset-{part}" for part in ("optimizer", "dataloader", "meters"))
    restore = f" --restore-file {tmp_path}/all/checkpoint_last.pt{resets}"
    for ours, theirs in zip(pretrained, scratch, strict=True):
        assert restore in ours
        assert ours.replace(restore, "").replace("/all/", "/scratch/") == theirs


def test_label_fractions_leave_out_one_kind_at_a_time(tmp_path) -> None:
    lines = dry_run(FRACTIONS, SHARES="1", RUN_DIR=str(tmp_path))
    full, *without = [line for line in lines if "--task unify_task" in line]
    assert len(without) == 4
    for line, kind in zip(without, ("train", "text", "image", "detection"), strict=True):
        name = f"/without_{kind} "
        assert name in line and f'"{kind}": 0' in line and f'"{kind}": 0' not in full
        restored = [other for other in lines if f" --restore-file {tmp_path}{name[:-1]}/" in other]
        assert len(restored) == 3


def test_unseen_wordings_are_asked_after_others_were_learnt(tmp_path) -> None:
    lines = dry_run(ZERO_SHOT, RUN_DIR=str(tmp_path), GPUS="0")
    drawn = [line for line in lines if "biomedgpt phantoms" in line]
    assert ["--wordings held-out" in line for line in drawn] == [False, False, True]
    assert "--train 0 " in drawn[-1]
    (trained,) = (line for line in lines if "fairseq-train" in line)
    assert f" {tmp_path}/data/train.tsv" in trained and "--unconstrained-training" in trained
    assert " --zero-shot " in lines[-1] and f" {tmp_path}/data/test.tsv " in lines[-1]
