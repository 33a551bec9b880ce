"""Each patch against the installed fairseq, and the guard against another fairseq."""

import ast
import importlib
import importlib.util
import logging
from argparse import Namespace
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

pytest.importorskip("fairseq")

from fairseq_compat.finder import PatchingLoader, patches_of
from fairseq_compat.registry import CAUSES

MODULES = sorted(CAUSES)


def source_of(module: str) -> str:
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).read_text()


@pytest.mark.parametrize("module", MODULES)
def test_patches_fit_and_change_the_source(module):
    tree = ast.parse(source_of(module))
    for patch in patches_of(module):
        before = ast.unparse(tree)
        patch.edit(tree)
        assert ast.unparse(tree) != before, patch.name


@pytest.mark.parametrize("module", [m for m in MODULES if m != "fairseq"])
def test_patches_refuse_another_fairseq(module):
    for patch in patches_of(module):
        with pytest.raises(ImportError, match="0.12.2"):
            patch.edit(ast.parse("import torch\n"))


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_loaded_by_the_adapter(module):
    spec = importlib.import_module(module).__spec__
    assert spec is not None and type(spec.loader).__name__ == PatchingLoader.__name__


def test_version_is_the_stock_one():
    import fairseq

    assert fairseq.__version__ == "0.12.2"


def test_dataclass_may_hold_dataclass_defaults():
    from fairseq.dataclass import FairseqDataclass

    @dataclass
    class Inner(FairseqDataclass):
        depth: int = 2

    @dataclass
    class Outer(FairseqDataclass):
        inner: Inner = Inner()
        names: list = field(default_factory=list)

    assert Outer().inner.depth == 2
    assert Outer.__dataclass_fields__["inner"].default.depth == 2
    assert Outer() == Outer()


def test_bf16_does_not_imply_a_tpu():
    from fairseq import options

    parser = options.get_training_parser()
    args = options.parse_args_and_arch(
        parser, ["data", "--task", "language_modeling", "--arch", "transformer_lm", "--bf16"]
    )
    assert args.bf16 and not args.tpu


def test_huffman_coder_reads_what_it_wrote():
    from fairseq.data.huffman.huffman_coder import HuffmanCodeBuilder

    builder = HuffmanCodeBuilder()
    builder.add_symbols(*"abracadabra")
    coder = builder.build_code()
    assert [node.symbol for node in coder.decode(coder.encode(list("cab")))] == list("cab")


def test_encoder_layer_evaluates_left_padded_input():
    from fairseq.models.transformer import TransformerConfig
    from fairseq.modules.transformer_layer import TransformerEncoderLayerBase

    config = TransformerConfig()
    config.encoder.embed_dim, config.encoder.ffn_embed_dim, config.encoder.attention_heads = 8, 8, 2
    layer = TransformerEncoderLayerBase(config).eval()
    layer.ever_training = False
    padding = torch.tensor([[False, False, False], [True, False, False]])
    assert layer(torch.zeros(3, 2, 8), padding).shape == (3, 2, 8)


def test_averaging_copies_integer_buffers():
    from fairseq.dataclass.configs import EMAConfig
    from fairseq.models.ema.ema import EMA

    model = torch.nn.BatchNorm1d(2)
    ema = EMA(model, EMAConfig(store_ema=True, ema_decay=0.5, ema_fp32=True))
    model.num_batches_tracked += 3
    model.weight.data.fill_(3.0)
    ema.step(model, updates=1)
    assert ema.get_model().num_batches_tracked == 3
    assert ema.get_model().weight.tolist() == [2.0, 2.0]


def test_metrics_of_an_update_leave_nothing_behind():
    from fairseq.logging import metrics

    before = dict(metrics._active_aggregators_cnt)
    with metrics.aggregate("train"):
        for root in (False, True):
            with metrics.aggregate(new_root=root) as outer, metrics.aggregate("train"):
                metrics.log_scalar("loss", 2.0)
            assert outer.get_smoothed_value("loss") == 2
            # The name is still in use further out.
            assert metrics._active_aggregators_cnt["train"] == 1
    assert metrics._active_aggregators_cnt == before
    assert "train" not in metrics._active_aggregators
    assert metrics.get_smoothed_value("train", "loss") == 2
    metrics.reset_meters("train")


def test_checkpoints_with_code_are_refused_by_fairseq_too(tmp_path):
    from fairseq import checkpoint_utils

    class Evil:
        def __reduce__(self):
            return eval, (f"open({str(tmp_path / 'run')!r}, 'w')",)

    path = tmp_path / "evil.pt"
    torch.save({"args": Namespace(evil=Evil()), "model": {}}, path)
    with pytest.raises(ValueError, match=r"evil\.pt.*builtins\.eval.*BIOMEDGPT_TRUST_CHECKPOINTS"):
        checkpoint_utils.load_checkpoint_to_cpu(str(path))
    assert not (tmp_path / "run").exists()


def test_atomic_functions_are_in_place(tmp_path, monkeypatch):
    from fairseq import checkpoint_utils
    from fairseq.file_io import PathManager

    path = str(tmp_path / "checkpoint_last.pt")
    checkpoint_utils.torch_persistent_save({"n": 1}, path)

    def full_disk(obj, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", full_disk)
        with pytest.raises(OSError, match=r"No space left on device.*checkpoint_last\.pt"):
            checkpoint_utils.torch_persistent_save({"n": 2}, path)
    assert torch.load(path) == {"n": 1}
    assert PathManager.copy(path, str(tmp_path / "b.pt"), overwrite=True)
    files = ["b.pt", "b.pt.sha256", "checkpoint_last.pt", "checkpoint_last.pt.sha256"]
    assert sorted(p.name for p in tmp_path.iterdir()) == files


def test_speech_hint_is_not_logged(caplog):
    logging.getLogger("fairseq.tasks.text_to_speech").warning("Please install tensorboardX: ...")
    assert not caplog.records
