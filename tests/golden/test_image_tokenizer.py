"""The image tokenizer against recordings of the published network's structure and scripts."""

from __future__ import annotations

import importlib.util
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from biomedgpt_fairseq.data.image import load_image
from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.image_tokenizer.config import TokenizerConfig
from biomedgpt_fairseq.image_tokenizer.extraction import ExtractionOptions, extract
from biomedgpt_fairseq.image_tokenizer.network import VqNetwork
from biomedgpt_fairseq.image_tokenizer.pictures import (
    bytes_to_pixels,
    middle_box,
    picture_to_pixels,
    pixels_to_bytes,
    resized,
)
from biomedgpt_fairseq.image_tokenizer.sources import open_pictures
from biomedgpt_fairseq.image_tokenizer.tokenizer import ImageTokenizer
from data_utils.pretraining.stored import crop_dark_border

pytestmark = pytest.mark.shared

_SPEC = importlib.util.spec_from_file_location(
    "recording", Path(__file__).with_name("recording.py")
)
recording = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(recording)

SAFE_MARGIN = 4e-4
"""Lead of the best code from which on float32 must choose it, too."""
EXACT = {"features": 2e-6, "picture": 2e-6, "kl": 2e-7}
SINGLE = {"features": 2e-4, "picture": 1e-4, "kl": 1e-5}
TOLERANCES = {torch.float64: EXACT, torch.float32: SINGLE}


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    path = shared_dir / "golden" / "vqgan"
    if not path.is_dir():
        pytest.skip("no ../shared/golden/vqgan: recordings of the image tokenizer")
    return path


@pytest.fixture(scope="module")
def keys(folder):
    return json.loads((folder / "keys.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def index(folder):
    return json.loads((folder / "index.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def arrays(folder):
    return np.load(folder / "cases.npz")


def seeded_network(quantizer: str) -> VqNetwork:
    with torch.device("meta"):
        network = VqNetwork(TokenizerConfig(quantizer))
    state = {k: recording.weight(k, tuple(v.shape)) for k, v in network.state_dict().items()}
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def gumbel(folder):
    return seeded_network("gumbel")


@pytest.fixture
def exact(gumbel):
    """The network in float64, in which the outputs were recorded."""
    yield gumbel.double()
    gumbel.float()  # the values came from float32: nothing is lost


def pixels_of(arrays, case: str) -> torch.Tensor:
    return bytes_to_pixels(torch.from_numpy(arrays[f"{case}__u8"]).movedim(-1, 0)[None])


def close(found: torch.Tensor, expected: np.ndarray, tolerance: float) -> None:
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=tolerance)


@contextmanager
def stages(network: VqNetwork, names: list[str]) -> Iterator[dict[str, torch.Tensor]]:
    """Outputs (C, h, w) of the modules while the block runs."""
    found: dict[str, torch.Tensor] = {}
    handles = []
    for name in names:
        path = name.replace("enc.", "encoder.", 1).replace("dec.", "decoder.", 1)
        module = network.get_submodule(path)

        def keep(_module, _inputs, output, name=name):
            found[name] = output[0]

        handles.append(module.register_forward_hook(keep))
    yield found
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize("quantizer", ["gumbel", "plain"])
def test_names_order_and_shapes_of_the_weights(keys, quantizer):
    with torch.device("meta"):
        state = VqNetwork(TokenizerConfig(quantizer)).state_dict()
    expected = [(entry["key"], entry["shape"]) for entry in keys[quantizer]["keys"]]
    assert [(name, list(value.shape)) for name, value in state.items()] == expected
    assert sum(value.numel() for value in state.values()) == keys[quantizer]["n_parameters"]


def check_case(network: VqNetwork, arrays, index, case: str, dtype: torch.dtype) -> None:
    tolerance = TOLERANCES[dtype]
    recorded = {
        name.partition("__")[2]: arrays[name] for name in arrays.files if name.startswith(case)
    }
    names = [name for name in recorded if name.startswith(("enc.", "dec."))]
    with stages(network, [*names, "encoder"]) as outputs:
        latents = network.latents(pixels_of(arrays, case).to(dtype))
        logits = network.quantize.scores(latents)
        decoded = network.pixels(network.vectors(torch.from_numpy(recorded["codes"])[None].long()))
    for name in names:
        h, w = outputs[name].shape[1:]
        found = outputs[name][::29, :: max(1, h // 4), :: max(1, w // 4)]
        close(found, recorded[name], tolerance["features"])
    if "enc_out_sub" in recorded:
        close(outputs["encoder"][::7, ::3, ::3], recorded["enc_out_sub"], tolerance["features"])
    close(latents[0, ::7, ::3, ::3], recorded["prequant_sub"], tolerance["features"])
    close(logits[0, ::131, ::3, ::3], recorded["logits_sub"], tolerance["features"])
    close(decoded[0, :, ::4, ::4], recorded["recon_sub"], tolerance["picture"])
    bytes_found = pixels_to_bytes(decoded)[0].movedim(0, -1)[::4, ::4]
    close(bytes_found.int(), recorded["recon_u8_sub"].astype(int), 1)
    check_codes(network.codes(latents)[0], recorded["codes"], recorded["margin"], dtype)
    shares = logits.double().softmax(1)
    kl = (shares * (8192 * shares + 1e-10).log()).sum(1).mean()
    assert float(kl) == pytest.approx(index["cases"][case]["kl_unweighted"], rel=tolerance["kl"])


def check_codes(found, expected, margin, dtype=torch.float32) -> None:
    unequal = found.numpy() != expected
    assert not unequal.any() if dtype == torch.float64 else (margin[unequal] <= SAFE_MARGIN).all()


@pytest.mark.parametrize("case", ["wide_64x96", "odd_37x58"])
def test_outputs_in_double_precision(exact, arrays, index, case):
    check_case(exact, arrays, index, case, torch.float64)


@pytest.mark.parametrize("case", ["wide_64x96", "odd_37x58", "square_a"])
def test_outputs_in_single_precision(gumbel, arrays, index, case):
    check_case(gumbel, arrays, index, case, torch.float32)


@pytest.mark.parametrize("case", ["decode_random_a", "decode_random_b"])
def test_pictures_of_any_codes(gumbel, arrays, case):
    codes = torch.from_numpy(arrays[f"{case}__codes"])[None].long()
    assert codes.min() == 0 and codes.max() == 8191
    decoded = ImageTokenizer(gumbel).decode(codes)[0]
    close(decoded[:, ::3, ::3], arrays[f"{case}__recon_sub"].clip(-1, 1), SINGLE["picture"])
    bytes_found = pixels_to_bytes(decoded).movedim(0, -1)[::3, ::3]
    close(bytes_found.int(), arrays[f"{case}__recon_u8_sub"].astype(int), 1)


def test_plain_quantizer(folder, arrays):
    network = seeded_network("plain").double()
    latents = network.latents(pixels_of(arrays, "plain").double())
    close(latents[0, ::7, ::3, ::3], arrays["plain__prequant_sub"], EXACT["features"])
    distances = -network.quantize.scores(latents)[0, ::131]
    # Sums of 256 squares, up to 200, that were recorded in float32.
    close(distances, arrays["plain__distances_sub"], 1e-4)
    codes = network.codes(latents)
    assert np.array_equal(codes[0].numpy(), arrays["plain__codes"])
    close(
        network.pixels(network.vectors(codes))[0, :, ::3, ::3],
        arrays["plain__recon_sub"],
        EXACT["picture"],
    )


@pytest.mark.parametrize("name", ["both_sides_2col", "both_sides_4col", "shorter_side_2col"])
def test_files_of_the_extraction_scripts(gumbel, folder, arrays, index, name):
    rule, columns = name.rsplit("_", 1)
    file = folder / f"script_in_{columns}.tsv"
    facts = index["scripts"][f"script_out_{name}.tsv"]["rows"]
    reader = TsvReader(str(file))
    for cells, fact in zip(reader, facts, strict=True):
        pixels = picture_to_pixels(resized(load_image(cells[len(cells) // 2]), 128, rule))
        assert list(pixels.shape) == fact["input_tensor_shape"]
        assert zlib.crc32(pixels.numpy().tobytes()) == fact["tensor_crc32"]
    options = ExtractionOptions(128, rule, batch_size=2)
    rows = list(extract(open_pictures(str(file)), ImageTokenizer(gumbel), options))
    expected = (folder / f"script_out_{name}.tsv").read_bytes()
    found = "".join("\t".join(row) + "\n" for row in rows).encode()
    if found == expected:
        return
    for number, (row, line) in enumerate(zip(rows, expected.decode().splitlines(), strict=True)):
        cells = line.split("\t")
        assert row[:-1] == cells[:-1]
        codes, recorded = (np.array(text.split(), dtype=int) for text in (row[-1], cells[-1]))
        margin = arrays[f"script_{rule}_{number}__margin"].ravel()
        check_codes(torch.from_numpy(codes), recorded, margin)


def test_dark_border_of_a_chest_film_and_its_middle(arrays, index):
    facts = index["preparation"]
    picture = Image.fromarray(arrays["prep__u8"])
    left, top, width, height = facts["bounding_box_xywh"]
    expected = picture.crop((left, top, left + width, top + height))
    found = crop_dark_border(picture)
    assert found.size == (width, height) and found.tobytes() == expected.tobytes()
    for size, box in facts["middle_crop_boxes_wxh"].items():
        assert list(middle_box(*map(int, size.split("x")))) == box["rounded"]
