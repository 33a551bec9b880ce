"""The model through fairseq's own doors: command line, hydra configuration, checkpoints."""

import logging
from argparse import Namespace
from types import SimpleNamespace

import pytest
import torch

fairseq = pytest.importorskip("fairseq")

from fairseq import models, options, utils  # noqa: E402
from fairseq.dataclass.initialize import add_defaults, hydra_init  # noqa: E402
from fairseq.dataclass.utils import convert_namespace_to_omegaconf  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402

import biomedgpt_fairseq.fairseq_register  # noqa: E402, F401
from biomedgpt_fairseq.config import SIZES  # noqa: E402
from biomedgpt_fairseq.models.fairseq_model import (  # noqa: E402
    OfaModel,
    adapter_options,
    freeze_options,
)

SCALES = ["--scale-attn", "--scale-fc", "--scale-heads", "--disable-entangle"]
SMALL = ["--encoder-embed-dim=16", "--decoder-embed-dim=16", "--encoder-layers=1",
         "--encoder-ffn-embed-dim=32", "--decoder-ffn-embed-dim=32"]  # fmt: skip


class Dictionary:
    def __len__(self) -> int:
        return 50

    def pad(self) -> int:
        return 1


TASK = SimpleNamespace(source_dictionary=Dictionary())


def command_line(*flags: str):
    arguments = ["data", "--task=vqa_gen", "--criterion=adjust_label_smoothed_cross_entropy",
                 "--optimizer=adam", "--lr-scheduler=polynomial_decay", *flags]  # fmt: skip
    parsed = options.parse_args_and_arch(options.get_training_parser(), arguments)
    return convert_namespace_to_omegaconf(parsed)


def build(*flags: str) -> OfaModel:
    return models.build_model(command_line("--arch=ofa_micro", *SMALL, *flags).model, TASK)


@pytest.mark.parametrize("size", SIZES)
def test_architecture_gives_its_sizes(size: str) -> None:
    chosen, row = Namespace(), SIZES[size]
    models.ARCH_CONFIG_REGISTRY[f"ofa_{size}"](chosen)
    assert chosen.encoder_embed_dim == chosen.decoder_embed_dim == row.dim
    assert chosen.encoder_ffn_embed_dim == chosen.decoder_ffn_embed_dim == row.ffn_dim
    assert chosen.encoder_attention_heads == chosen.decoder_attention_heads == row.heads
    assert chosen.encoder_layers == row.encoder_layers
    assert chosen.decoder_layers == row.decoder_layers
    assert chosen.resnet_type == row.resnet


def test_given_sizes_stay() -> None:
    model = command_line("--arch=ofa_tiny", "--encoder-layers=2", "--resnet-type=resnet101").model
    assert (model.encoder_layers, model.decoder_layers) == (2, 4)
    assert (model._name, model.resnet_type) == ("ofa_tiny", "resnet101")


def test_positions_come_from_the_task() -> None:
    cfg = command_line("--arch=ofa_tiny", "--max-source-positions=77", "--patch-image-size=384")
    assert cfg.model.max_source_positions == 77
    assert cfg.model.max_target_positions == 1024


def test_every_recipe_flag_parses() -> None:
    flags = """--encoder-normalize-before --decoder-normalize-before --share-all-embeddings
      --share-decoder-input-output-embed --layernorm-embedding --patch-layernorm-embedding
      --code-layernorm-embedding --add-type-embedding --resnet-drop-path-rate=0.1
      --encoder-drop-path-rate=0.2 --decoder-drop-path-rate=0.3 --dropout=0.1
      --attention-dropout=0.0 --freeze-encoder-embedding --freeze-decoder-embedding
      --relu-dropout=0.4 --num-bins=1000 --code-image-size=64"""
    model = build(*flags.split(), *SCALES)
    config = model.config
    assert (config.encoder_drop_path, config.decoder_drop_path) == (0.2, 0.3)
    assert (config.resnet_drop_path, config.dropout, config.activation_dropout) == (0.1, 0.1, 0.4)
    assert config.code_image_size == 64
    assert not model.encoder.embed_tokens.weight.requires_grad


def test_flags_that_change_the_structure_are_off_unless_passed() -> None:
    config = build().config
    assert not (config.scale_attn or config.scale_fc or config.scale_heads)
    assert config.entangle_decoder
    config = build(*SCALES).config
    assert config.scale_attn and config.scale_fc and config.scale_heads
    assert not config.entangle_decoder


def hydra_model(**given):
    model = {"_name": "ofa_micro", **given}
    root = OmegaConf.create({"task": {"_name": "vqa_gen"}, "model": model, "common": {"seed": 1}})
    hydra_init()
    add_defaults(root)
    return OmegaConf.create(OmegaConf.to_container(root, resolve=True, enum_to_str=True)).model


def test_hydra_configuration_names_an_architecture() -> None:
    cfg = hydra_model(encoder_layers=1, scale_attn=True)
    config = models.build_model(cfg, TASK).config
    assert (config.dim, config.encoder_layers, config.decoder_layers) == (64, 1, 2)
    assert config.scale_attn and config.max_source_positions == 1024
    # What the trainer saves holds the sizes too, so that later changes of a size do no harm.
    assert cfg.decoder_layers == 2


def test_namespace_of_a_released_file_builds_and_its_other_options_are_logged(caplog) -> None:
    saved = Namespace(arch="ofa_micro", scale_heads=True, wandb_entity=None, lr=[1.0])
    with caplog.at_level(logging.INFO):
        model = OfaModel.from_options(vars(saved), 50)
    assert model.config.dim == 64 and model.config.scale_heads
    assert "options without effect on the network: lr, wandb_entity" in caplog.text


@pytest.mark.parametrize("name", ["ofa", "unify_transformer"])
def test_model_names_are_registered_as_architectures_too(name: str) -> None:
    sizes = [*SMALL, "--decoder-layers=1", "--resnet-type=resnet_micro"]
    heads = ["--encoder-attention-heads=2", "--decoder-attention-heads=2"]
    cfg = command_line(f"--arch={name}", *sizes, *heads).model
    assert models.build_model(cfg, TASK).config.dim == 16


def test_adapter_and_prompt_options() -> None:
    model = build("--adapter", "--decoder-prompt", "--decoder-prompt-length=3",
                  "--decoder-prompt-projection")  # fmt: skip
    state = model.state_dict()
    assert state["encoder.layers.0.adapter.down_proj.weight"].shape == (200, 16)
    assert state["decoder.decoder_prompt_encoder.embedding.weight"].shape == (3, 16)
    assert state["decoder.decoder_prompt_encoder.trans.0.weight"].shape == (32, 16)
    assert not model.encoder.layers[0].fc1.weight.requires_grad
    assert adapter_options({"encoder_prompt": True}, 8).encoder_prompt.length == 100


def test_freeze_options_read_every_flag() -> None:
    options = freeze_options({"freeze_decoder_embedding": True, "freeze_encoder": True})
    assert options.token_embedding and options.encoder
    assert not (options.decoder or options.bitfit or options.attached_only)
    assert freeze_options({"bitfit": True}).bitfit
    assert freeze_options({"encoder_prompt": True}).attached_only


@pytest.fixture(scope="module")
def model() -> OfaModel:
    torch.manual_seed(0)
    return build(*SCALES).eval()


NET_INPUT = {
    "src_tokens": torch.tensor([[0, 5, 6, 2], [0, 7, 2, 1]]),
    "src_lengths": torch.tensor([4, 3]),
    "patch_images": torch.zeros(2, 3, 32, 32),
    "patch_masks": torch.tensor([True, False]),
}
PREV = torch.tensor([[0, 5, 6], [0, 7, 8]])


def test_encoder_call_has_fairseqs_shape(model: OfaModel) -> None:
    out = model.encoder(**NET_INPUT, return_all_hiddens=True)
    assert out["encoder_out"][0].shape == (8, 2, 16)
    assert out["encoder_padding_mask"][0].shape == (2, 8)
    assert out["position_embeddings"][0].shape == (2, 8, 16)
    assert [s.shape for s in out["encoder_states"]] == [(8, 2, 16)] * 2


def test_forward_gives_logits_and_inner_states(model: OfaModel) -> None:
    logits, extra = model(**NET_INPUT, prev_output_tokens=PREV)
    assert logits.shape == (2, 3, 50)
    assert [s.shape for s in extra["inner_states"]] == [(3, 2, 16)] * 3


def test_normalised_probabilities_are_in_float32(model: OfaModel) -> None:
    logits = torch.tensor([[[0.0, 60000.0]]], dtype=torch.float16)
    probabilities = model.get_normalized_probs((logits, {}), log_probs=True)
    assert probabilities.dtype == torch.float32
    assert probabilities.tolist() == [[[-60000.0, 0.0]]]
    assert model.get_normalized_probs((logits, {}), log_probs=False).sum() == 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_precisions_run(dtype: torch.dtype) -> None:
    changed = build(*SCALES).eval().to(dtype)
    images = NET_INPUT["patch_images"].to(dtype)
    logits, _ = changed(**NET_INPUT | {"patch_images": images}, prev_output_tokens=PREV)
    assert logits.dtype == dtype and logits.isfinite().all()


def test_limits_are_those_of_the_positions(model: OfaModel) -> None:
    assert model.max_positions() == (1024, 1024)
    assert model.max_decoder_positions() == model.max_target_positions == 1024


def test_loading_raises_with_the_names_of_what_does_not_fit(model: OfaModel) -> None:
    state = model.state_dict()
    assert not any(model.load_state_dict(state | {"decoder.token_rp_bucket": torch.zeros(9)}))
    with pytest.raises(ValueError, match="encoder.not_a_key"):
        model.load_state_dict(state | {"encoder.not_a_key": torch.zeros(1)}, strict=True)
    found = model.load_state_dict({"encoder.not_a_key": torch.zeros(1)}, strict=False)
    assert found.unexpected_keys == ["encoder.not_a_key"]


@pytest.mark.parametrize("strict", [True, False])  # averaged weights are restored loosely
def test_tables_grow_only_when_asked(strict: bool) -> None:
    grow = ("--grow-vocabulary", "--grow-positions", "--max-target-positions=1030")
    smaller = build()
    state = smaller.state_dict()
    for name in [key for key in state if "embed_tokens" in key or "output_projection" in key]:
        state[name] = state[name][:40]
    with pytest.raises(ValueError, match="--grow-vocabulary"):
        smaller.load_state_dict(state)
    larger = build(*grow)
    larger.load_state_dict(state, strict=strict)
    table = larger.state_dict()["encoder.embed_tokens.weight"]
    assert table.shape[0] == 50
    assert torch.equal(table[:40], state["encoder.embed_tokens.weight"])
    assert larger.state_dict()["decoder.embed_positions.weight"].shape[0] == 1032


def test_classification_head_sees_the_last_token() -> None:
    model = build(*SCALES, "--pooler-classifier=linear").eval()
    model.register_classification_head("grade", 4)
    logits, _ = model(**NET_INPUT, prev_output_tokens=PREV, classification_head_name="grade")
    assert logits.shape == (2, 4)
    assert "classification_heads.grade.out_proj.weight" in model.state_dict()
    with pytest.raises(ValueError, match="'stage'; known: grade"):
        model(**NET_INPUT, prev_output_tokens=PREV, classification_head_name="stage")
    with pytest.raises(ValueError, match="already"):
        model.register_classification_head("grade", 4)


def test_preparing_for_inference_keeps_the_output(model: OfaModel) -> None:
    before = model(**NET_INPUT, prev_output_tokens=PREV)[0]
    model.prepare_for_inference_(OmegaConf.create({"generation": {}}))
    assert torch.equal(model(**NET_INPUT, prev_output_tokens=PREV)[0], before)
    assert utils.has_parameters(model)
