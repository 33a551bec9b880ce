from dataclasses import replace

import pytest
import torch

from biomedgpt_fairseq.models.encoder import draw_patches

TEXT = torch.tensor([[0, 5, 6, 7, 2], [0, 8, 2, 1, 1]])


def images(batch: int = 2, side: int = 64) -> torch.Tensor:
    torch.manual_seed(3)
    return torch.randn(batch, 3, side, side)


def test_output_is_patches_then_text(config, build) -> None:
    out = build(config).encoder.encode(TEXT, images(), return_all_hiddens=True)
    assert out["encoder_out"].shape == (2, 16 + 5, 16)
    assert out["padding_mask"].sum(1).tolist() == [0, 2]
    assert out["positions"].shape == (1, 21, 16)
    assert len(out["states"]) == 3


@pytest.mark.parametrize("grad", [True, False])
def test_sample_alone_equals_its_row_in_a_padded_batch(config, build, grad: bool) -> None:
    encoder, pictures = build(config).encoder, images()
    with torch.set_grad_enabled(grad):
        batch = encoder.encode(TEXT, pictures)["encoder_out"]
        alone = encoder.encode(TEXT[1:, :3], pictures[1:])["encoder_out"]
    assert torch.allclose(batch[1:, :19], alone, atol=1e-5)


def test_stand_in_picture_is_invisible_to_the_text(config, build) -> None:
    encoder = build(config).encoder
    out = encoder.encode(TEXT, images(), torch.tensor([False, True]))
    text = encoder.encode(TEXT[:1])["encoder_out"]
    assert out["padding_mask"][0, :16].all() and not out["padding_mask"][1, :16].any()
    assert torch.allclose(out["encoder_out"][:1, 16:], text, atol=1e-5)


def test_position_vectors_matter_only_through_biases_unless_entangled(config, build) -> None:
    plain = build(config)
    mixed = build(config, entangle_encoder=True)
    mixed.load_state_dict(plain.state_dict())
    first = plain.encoder.encode(TEXT, images(), return_all_hiddens=True)
    second = mixed.encoder.encode(TEXT, images(), return_all_hiddens=True)
    assert torch.equal(first["positions"], second["positions"])
    assert not torch.allclose(first["states"][0], second["states"][0])


def test_source_beyond_the_positions_raises(config, build) -> None:
    with pytest.raises(ValueError, match="31 tokens exceeds the 30"):
        build(config).encoder.encode(torch.full((1, 31), 5))


def test_drawing_all_patches_changes_only_their_order(config, build) -> None:
    encoder = build(config).encoder
    everything = encoder.encode(TEXT, images())
    drawn = encoder.encode(TEXT, images(), sample_patch_num=16)
    a, b = everything["encoder_out"], drawn["encoder_out"]
    assert torch.allclose(a[:, 16:], b[:, 16:], atol=1e-5)
    distance = torch.cdist(a[0, :16], b[0, :16])
    assert sorted(distance.argmin(1).tolist()) == list(range(16))
    assert distance.amin(1).max() < 1e-4


def test_drawn_patches_are_distinct_and_follow_the_torch_seed() -> None:
    torch.manual_seed(5)
    first = draw_patches(3, 16, 7, torch.device("cpu"))
    torch.manual_seed(5)
    assert torch.equal(first, draw_patches(3, 16, 7, torch.device("cpu")))
    assert all(len(set(row)) == 7 for row in first.tolist())
    assert len({tuple(row) for row in first.tolist()}) == 3


def test_drawing_more_patches_than_there_are_raises(config, build) -> None:
    with pytest.raises(ValueError, match="17 exceeds the 16"):
        build(config).encoder.encode(TEXT, images(), sample_patch_num=17)


def test_sampling_after_interpolation_keeps_the_resized_vectors(config, build) -> None:
    encoder = build(config, interpolate_position=True, orig_patch_image_size=32).encoder
    resized = encoder.encode(TEXT, images())["positions"][0, :16]
    plain = build(config).encoder.encode(TEXT, images())["positions"][0, :16]
    assert not torch.allclose(resized, plain)
    drawn = encoder.encode(TEXT, images(), sample_patch_num=9)["positions"]
    assert drawn.shape == (2, 9 + 5, 16)
    assert torch.cdist(drawn[:, :9], resized.expand(2, -1, -1)).amin(2).max() < 1e-4


def test_pictures_up_to_the_original_size_are_not_interpolated(config, build) -> None:
    resizing = build(config, interpolate_position=True, orig_patch_image_size=64).encoder
    plain = build(config).encoder
    a, b = (e.encode(TEXT, images())["positions"] for e in (resizing, plain))
    assert torch.equal(a, b)


def test_recomputed_layers_give_the_same_gradients(config, build) -> None:
    def gradients(recompute: bool) -> list[torch.Tensor]:
        model = build(replace(config, dropout=0.1), checkpoint_activations=recompute).train()
        torch.manual_seed(9)
        model(TEXT, None, TEXT, patch_images=images())[0].sum().backward()
        return [p.grad for p in model.parameters() if p.grad is not None]

    kept, recomputed = gradients(False), gradients(True)
    assert len(kept) == len(recomputed) > 0
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(kept, recomputed, strict=True))
