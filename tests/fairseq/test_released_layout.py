"""Files as the original wrote them: options as a pickled namespace or omegaconf config, or none;
half-precision tensors, averaged weights, bucket tables and old layer names."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("fairseq")

from omegaconf import OmegaConf  # noqa: E402

from biomedgpt_fairseq.config import SIZES  # noqa: E402
from biomedgpt_fairseq.fairseq_loading import Loaded, LoadRequest, load  # noqa: E402
from biomedgpt_fairseq.models.fairseq_model import OfaModel  # noqa: E402
from biomedgpt_fairseq.text.compact import train_compact_vocabulary  # noqa: E402

ARCHS = [f"ofa_{size}" for size in SIZES]
# One layer each and a narrow network: the form of the file is what counts here.
REDUCED = {
    "encoder_embed_dim": 32,
    "decoder_embed_dim": 32,
    "encoder_ffn_embed_dim": 48,
    "decoder_ffn_embed_dim": 48,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "resnet_type": "resnet_micro",
    "max_source_positions": 64,
    "max_target_positions": 64,
    "scale_attn": True,
    "scale_fc": True,
    "scale_heads": True,
    "disable_entangle": True,
    "image_bucket_size": 6,
}
RELEASED_TASK = {
    "data": "train.tsv,test.tsv",
    "selected_cols": "0,5,2,3,4",
    "prompt_type": "prev_output",
    "patch_image_size": 32,
    "code_dict_size": 8,
    "num_bins": 8,
    "max_source_positions": 64,
    "max_target_positions": 64,
    "ans2label_dict": '{"no": 0, "yes": 1}',
    "ans2label_file": None,
    "uses_ema": True,
}
# Options that only the original had.
FOREIGN = {"quant_noise_pq": 0, "encoder_layerdrop": 0.0, "bpe": "gpt2", "heartbeat_timeout": -1}


@pytest.fixture(scope="module")
def bpe_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("vocabulary")
    train_compact_vocabulary(["is there a mass in the left lung?", "no", "yes"], 320, folder)
    return str(folder)


def make_source(arch: str, vocab_size: int, seed: int) -> OfaModel:
    """A network whose weights are half-precision numbers, so that saving loses nothing."""
    torch.manual_seed(seed)
    model = OfaModel.from_options({"arch": arch, **REDUCED}, vocab_size)
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_((value + 0.05 * torch.randn_like(value)).abs().half().float())
    return model.eval()


def released_state(model: OfaModel, old_names: bool) -> dict[str, Tensor]:
    """Half-precision tensors and the integer tables; optionally layer names of older files."""
    state = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    for stack in ("encoder", "decoder"):
        state[f"{stack}.token_rp_bucket"] = torch.zeros(64, 64, dtype=torch.int64)
        state[f"{stack}.image_rp_bucket"] = torch.zeros(37, 37, dtype=torch.int64)
    state["decoder.image_position_idx"] = torch.zeros(1026, dtype=torch.int64)
    state["encoder.version"] = torch.tensor([3.0])
    return renamed(state) if old_names else state


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    norms = {
        "encoder": {"self_attn_layer_norm": 0, "final_layer_norm": 1},
        "decoder": {"self_attn_layer_norm": 0, "encoder_attn_layer_norm": 1, "final_layer_norm": 2},
    }
    result = {}
    for name, value in state.items():
        for old, number in norms.get(name.split(".")[0], {}).items():
            name = name.replace(f".{old}.", f".layer_norms.{number}.")
        result[name] = value
    for prefix in {n.rpartition("q_proj.")[0] for n in state if ".self_attn.q_proj." in n}:
        for kind in ("weight", "bias"):
            parts = [result.pop(f"{prefix}{part}_proj.{kind}") for part in "qkv"]
            result[f"{prefix}in_proj_{kind}"] = torch.cat(parts)
    return result


def options_of(form: str, arch: str, bpe_dir: str) -> dict[str, Any]:
    """The parts of a file that hold options."""
    task = {**RELEASED_TASK, "bpe_dir": bpe_dir}
    if form == "namespace":
        flat = {**task, **REDUCED, **FOREIGN, "task": "vqa_gen", "arch": arch}
        return {"args": Namespace(**flat), "cfg": None}
    if form == "omegaconf":
        model = {**REDUCED, **FOREIGN, "_name": arch}
        model["max_source_positions"] = "${task.max_source_positions}"
        cfg = {"common": {"seed": 7}, "task": {**task, "_name": "vqa_gen"}, "model": model}
        return {"args": None, "cfg": OmegaConf.create(cfg)}
    if form == "namespace in omegaconf":
        # The model's part of a legacy model, which the original kept as it was.
        legacy = Namespace(**{**task, **REDUCED, **FOREIGN}, arch=arch)
        cfg = {"task": {**task, "_name": "vqa_gen"}, "model": legacy}
        return {"args": None, "cfg": OmegaConf.create(cfg, flags={"allow_objects": True})}
    return {}


def logits(model: Any, vocab_size: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(4, vocab_size, (2, 9), generator=generator)
    tokens[1, -3:] = 1
    with torch.no_grad():
        output: Tensor = model(
            src_tokens=tokens,
            src_lengths=tokens.ne(1).sum(1),
            prev_output_tokens=tokens[:, :5],
            patch_images=torch.randn(2, 3, 32, 32, generator=generator),
            patch_masks=torch.tensor([True, False]),
        )[0]
    return output


def load_one(path: Path, **changes: Any) -> Loaded:
    return load(LoadRequest(paths=[str(path)], **changes))


FORMS = [
    *((arch, "namespace", True) for arch in ARCHS),
    *((arch, "omegaconf", False) for arch in ARCHS),
    ("ofa_base", "namespace in omegaconf", False),
    ("ofa_base", "none", False),
    ("ofa_base", "none", True),
]


@pytest.mark.parametrize(("arch", "form", "old_names"), FORMS)
def test_released_file_gives_the_logits_of_its_model(
    arch: str, form: str, old_names: bool, bpe_dir: str, tmp_path: Path
) -> None:
    vocab_size = vocabulary_size(bpe_dir)
    source, averaged = (make_source(arch, vocab_size, seed) for seed in (1, 2))
    path = tmp_path / "released.pt"
    content = {
        "model": released_state(source, old_names),
        "extra_state": {"ema": released_state(averaged, old_names)},
        "optimizer_history": [{"num_updates": 10}],
        **options_of(form, arch, bpe_dir),
    }
    torch.save(content, path)
    # A file without options says nothing about its task either.
    changes: dict[str, Any] = {}
    if form == "none":
        changes = {"task_name": "vqa_gen", "overrides": {**RELEASED_TASK, "bpe_dir": bpe_dir}}
    expected = logits(source, vocab_size)
    loaded = load_one(path, **changes)
    assert {p.dtype for p in loaded.models[0].parameters()} == {torch.float32}
    torch.testing.assert_close(logits(loaded.models[0], vocab_size), expected)
    ema = logits(load_one(path, ema=True, **changes).models[0], vocab_size)
    torch.testing.assert_close(ema, logits(averaged, vocab_size))
    assert not torch.allclose(ema, expected, atol=1e-3)
    assert loaded.task_options.prompt_type == "prev_output"
    assert loaded.task_options.selected_cols == "0,5,2,3,4"


@pytest.mark.parametrize("size", list(SIZES))
def test_every_architecture_is_built_by_its_name(size: str) -> None:
    with torch.device("meta"):
        model = OfaModel.from_options({"arch": f"ofa_{size}"}, 59457)
    config = SIZES[size]
    assert len(model.encoder.layers) == config.encoder_layers
    assert len(model.decoder.layers) == config.decoder_layers
    assert model.encoder.embed_tokens.weight.shape == (59457, config.dim)


def test_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"model": {}, "args": RunsCode(tmp_path / "proof")}, path)
    with pytest.raises(ValueError, match="evil.pt"):
        load_one(path)
    assert not (tmp_path / "proof").exists()


class RunsCode:
    """Unpickled without care it makes a folder."""

    def __init__(self, proof: Path) -> None:
        self.proof = str(proof)

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.mkdir, (self.proof,)


def test_file_without_averaged_weights_is_refused_for_them(bpe_dir: str, tmp_path: Path) -> None:
    path = tmp_path / "plain.pt"
    source = make_source("ofa_tiny", vocabulary_size(bpe_dir), 1)
    state = released_state(source, False)
    torch.save({"model": state, **options_of("namespace", "ofa_tiny", bpe_dir)}, path)
    with pytest.raises(ValueError, match="no averaged weights.*--store-ema"):
        load_one(path, ema=True)


def test_another_vocabulary_is_refused(bpe_dir: str, tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    source = make_source("ofa_tiny", vocabulary_size(bpe_dir) + 5, 1)
    torch.save({"model": released_state(source, False)}, path)
    overrides = {**RELEASED_TASK, "bpe_dir": bpe_dir}
    with pytest.raises(ValueError, match="symbols"):
        load_one(path, task_name="vqa_gen", overrides=overrides)


def test_file_without_options_needs_a_task(tmp_path: Path) -> None:
    torch.save({"model": {}}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="--task"):
        load_one(tmp_path / "a.pt")


def test_missing_file_and_foreign_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent.pt"):
        load_one(tmp_path / "absent.pt")
    torch.save([1], tmp_path / "list.pt")
    with pytest.raises(ValueError, match="list.pt"):
        load_one(tmp_path / "list.pt")


def vocabulary_size(bpe_dir: str) -> int:
    from biomedgpt_fairseq.text.tokenizer import load_tokenizer

    return len(load_tokenizer(bpe_dir, 8, 8).vocab)
