"""The tokenizer: shapes, determinism, what it refuses, and its files."""

from __future__ import annotations

import json
import logging
import sys
import types

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from biomedgpt_fairseq.data.pixels import to_pixels
from biomedgpt_fairseq.image_tokenizer.config import config_path, read_config
from biomedgpt_fairseq.image_tokenizer.tokenizer import (
    EMBEDDED_FILE,
    ImageTokenizer,
    load_image_tokenizer,
)
from biomedgpt_fairseq.image_tokenizer.training import measure_quality
from biomedgpt_fairseq.image_tokenizer.weights import save_network
from biomedgpt_fairseq.phantoms.case import make_case


@pytest.fixture(params=["gumbel", "plain"])
def tokenizer(request, make_network):
    return ImageTokenizer(make_network(request.param))


def pixels(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(5)) * 2 - 1


def test_codes_and_pixels_have_the_promised_shapes(tokenizer):
    codes = tokenizer.encode(pixels(2, 3, 32, 48))
    assert codes.shape == (2, 4, 6) and codes.dtype == torch.int64
    assert codes.min() >= 0 and codes.max() < tokenizer.num_codes == 20
    decoded = tokenizer.decode(codes)
    assert decoded.shape == (2, 3, 32, 48)
    assert decoded.abs().max() <= 1
    assert tokenizer.factor == 8


def test_codes_are_the_same_each_time_and_for_each_batch(tokenizer):
    images = pixels(3, 3, 32, 32)
    codes = tokenizer.encode(images)
    assert torch.equal(codes, tokenizer.encode(images))
    assert torch.equal(codes[1:2], tokenizer.encode(images[1:2]))


def test_plain_code_is_the_nearest_row(make_network):
    network = make_network("plain")
    with torch.no_grad():
        vectors = network.vectors(torch.arange(20).view(1, 4, 5))
        assert network.codes(vectors + 1e-4).flatten().tolist() == list(range(20))


def test_largest_code_is_decoded_and_the_next_is_refused(tokenizer):
    assert tokenizer.decode(torch.full((1, 2, 2), 19)).shape == (1, 3, 16, 16)
    with pytest.raises(ValueError, match="codes from 0 to 19, found 0 to 20"):
        tokenizer.decode(torch.tensor([[[0, 20]]]))
    with pytest.raises(ValueError, match="found -1 to 3"):
        tokenizer.decode(torch.tensor([[[-1, 3]]]))


@pytest.mark.parametrize("shape", [(256,), (1, 256), (1, 1, 4, 4), (1, 0, 4)])
def test_codes_that_are_no_grid_are_refused(tokenizer, shape):
    with pytest.raises(ValueError, match=r"expected a grid of codes \(B, h, w\)"):
        tokenizer.decode(torch.zeros(shape, dtype=torch.int64))


def test_codes_of_another_type_are_refused(tokenizer):
    with pytest.raises(ValueError, match="as integers, found torch.float32"):
        tokenizer.decode(torch.zeros(1, 2, 2))


@pytest.mark.parametrize("shape", [(1, 1, 32, 32), (1, 4, 32, 32), (3, 32, 32), (0, 3, 32, 32)])
def test_pixels_that_are_not_rgb_are_refused(tokenizer, shape):
    with pytest.raises(ValueError, match=r"expected pixels \(B, 3, H, W\).*convert"):
        tokenizer.encode(torch.zeros(shape))


def test_bytes_are_refused(tokenizer):
    with pytest.raises(ValueError, match=r"in \[-1, 1\] as floats, found torch.uint8"):
        tokenizer.encode(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))


def test_sides_that_are_no_multiples_need_partial(tokenizer):
    images = pixels(1, 3, 37, 58)
    with pytest.raises(ValueError, match="multiples of 8 pixels, found 58 x 37"):
        tokenizer.encode(images)
    assert tokenizer.encode(images, partial=True).shape == (1, 4, 7)
    with pytest.raises(ValueError, match="found 58 x 7"):
        tokenizer.encode(images[:, :, :7], partial=True)


@pytest.mark.parametrize("quantizer", ["gumbel", "plain"])
def test_saved_network_gives_the_same_codes(tmp_path, make_network, quantizer):
    network = make_network(quantizer).half().float()
    path = tmp_path / "new" / "tokenizer.safetensors"
    save_network(path, network, {"seed": 3})
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "tokenizer.json",
        "tokenizer.safetensors",
    ]
    images = pixels(1, 3, 32, 32)
    loaded = load_image_tokenizer(path)
    assert loaded.config == network.config
    assert torch.equal(loaded.encode(images), ImageTokenizer(network).encode(images))
    assert json.loads(config_path(path).read_text())["notes"] == {"seed": 3}


@pytest.fixture
def saved(tmp_path, make_network):
    """Function (state) -> a file laid out as the published ones, with small sizes beside it."""

    def save(state, wrap=True, **others):
        path = tmp_path / "last.ckpt"
        save_network(path.with_suffix(".safetensors"), make_network("gumbel"), {})
        torch.save({"state_dict": state, "epoch": 7, **others} if wrap else state, path)
        return path

    return save


@pytest.mark.parametrize("wrap", [True, False])
def test_weights_of_the_training_loss_are_dropped_and_logged(make_network, saved, caplog, wrap):
    extra = {"loss.discriminator.main.0.weight": torch.zeros(2), "loss.logvar": torch.zeros(1)}
    state = {**make_network("gumbel").state_dict(), **extra}
    with caplog.at_level(logging.INFO):
        loaded = load_image_tokenizer(saved(state, wrap))
    assert loaded.num_codes == 20
    assert "2 tensors of the training loss (loss.*) are not used" in caplog.text


def test_every_key_that_does_not_fit_is_listed(make_network, saved):
    state = make_network("gumbel").state_dict()
    state["quantize.extra"] = state.pop("quantize.proj.bias")
    state["encoder.lossy"] = state.pop("quant_conv.bias")
    state["decoder.conv_out.bias"] = torch.zeros(5)
    with pytest.raises(ValueError) as caught:
        load_image_tokenizer(saved(state))
    for name in (
        "last.ckpt",
        "quantize.extra",
        "quantize.proj.bias",
        "encoder.lossy",
        "quant_conv.bias",
        "decoder.conv_out.bias",
    ):
        assert name in str(caught.value)


def test_truncated_checkpoints_are_refused(make_network, saved):
    path = saved(make_network("gumbel").state_dict())
    for file in (path, path.with_suffix(".safetensors")):
        file.write_bytes(file.read_bytes()[:-5000])
        with pytest.raises(ValueError, match=f"{file.name}: not a complete weights file"):
            load_image_tokenizer(file)


def test_states_of_the_trainers_callbacks_are_passed_over(make_network, saved, monkeypatch):
    """Files of the trainer's first versions name the classes of its callbacks."""
    module = types.ModuleType("pytorch_lightning.callbacks.early")
    callback = type("Early", (), {"__module__": module.__name__})
    module.Early = callback
    for name in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        state = make_network("gumbel").state_dict()
        path = saved(state, callbacks={callback: {"best": 0.5}})
    assert load_image_tokenizer(path).num_codes == 20


class Ran:
    def __reduce__(self):
        return (pytest.fail, ("code of the file was run",))


def test_code_in_a_checkpoint_is_not_run(saved):
    path = saved({"encoder.conv_in.weight": Ran()})
    with pytest.raises(ValueError, match="more than weights and was not read"):
        load_image_tokenizer(path)


def test_file_without_tensors_is_refused(saved):
    with pytest.raises(ValueError, match="expected tensors by name"):
        load_image_tokenizer(saved({"epoch": 3}))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.ckpt: no such file"):
        load_image_tokenizer(tmp_path / "absent.ckpt")


def test_file_without_sizes_is_taken_for_a_published_one(tmp_path, make_network):
    path = tmp_path / "weights.safetensors"
    save_file(make_network("gumbel").state_dict(), path)
    with pytest.raises(ValueError, match="not an image tokenizer of 8192 codes"):
        load_image_tokenizer(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 6}, "6 channels cannot be split into 4 groups"),
        ({"num_codes": 0}, "num_codes must be from 1 to"),
        ({"multipliers": ()}, "multipliers must be positive"),
        ({"quantizer": "other"}, "gumbel or plain, found 'other'"),
        ({"deeper": 1}, "expected the sizes of an image tokenizer"),
    ],
)
def test_bad_sizes_are_refused_with_the_file(tmp_path, make_network, change, message):
    path = tmp_path / "tokenizer.safetensors"
    save_network(path, make_network(), {})
    sizes = config_path(path)
    sizes.write_text(json.dumps({**json.loads(sizes.read_text()), **change}))
    with pytest.raises(ValueError, match=f"tokenizer.json: .*{message}"):
        read_config(sizes)


def test_embedded_tokenizer_is_small_and_beats_its_baselines_on_new_phantoms():
    tokenizer = load_image_tokenizer()
    assert (tokenizer.num_codes, tokenizer.factor) == (256, 8)
    assert EMBEDDED_FILE.stat().st_size < 300_000
    pictures = [Image.fromarray(make_case(9, row, 128).image) for row in range(8)]
    pixels = torch.stack([to_pixels(picture.convert("RGB")) for picture in pictures])
    quality = measure_quality(tokenizer, pixels)
    assert quality.error < quality.block_error < quality.constant_error
    assert quality.used_codes > 100
