import pytest
import torch

SOURCE = torch.tensor([[0, 5, 6, 7, 2], [0, 8, 2, 1, 1]])
TARGET = torch.tensor([[0, 9, 10, 11], [0, 12, 13, 14]])


def test_later_tokens_do_not_change_earlier_logits(config, build) -> None:
    model = build(config)
    changed = TARGET.clone()
    changed[:, 2:] = 20
    a, b = model(SOURCE, None, TARGET)[0], model(SOURCE, None, changed)[0]
    assert torch.allclose(a[:, :2], b[:, :2], atol=1e-5)
    assert not torch.allclose(a[:, 2], b[:, 2])


def test_mixed_batch_treats_each_row_as_its_kind(config, build) -> None:
    model = build(config)
    mixed = model(SOURCE, None, TARGET, code_masks=torch.tensor([True, False]))[0]
    codes = model(SOURCE, None, TARGET, code_masks=torch.tensor([True, True]))[0]
    text = model(SOURCE, None, TARGET)[0]
    assert torch.allclose(mixed[0], codes[0], atol=1e-5)
    assert torch.allclose(mixed[1], text[1], atol=1e-5)
    assert not torch.allclose(codes[1], text[1], atol=1e-2)


def test_codes_beyond_the_picture_have_a_position(config, build) -> None:
    long = torch.full((1, 262), 5)
    logits = build(config)(SOURCE[:1], None, long, code_masks=torch.tensor([True]))[0]
    assert logits.isfinite().all()


def test_entangled_positions_join_the_content(config, build) -> None:
    plain, mixed = build(config), build(config, entangle_decoder=True)
    mixed.load_state_dict(plain.state_dict())
    states = [m(SOURCE, None, TARGET)[1]["inner_states"][0] for m in (plain, mixed)]
    assert not torch.allclose(*states)


def test_target_beyond_the_positions_raises(config, build) -> None:
    with pytest.raises(ValueError, match="281 tokens exceeds the 280"):
        build(config)(SOURCE, None, torch.full((2, 281), 5))


def test_rows_of_a_sample_share_the_encoder_output(config, build) -> None:
    model = build(config)
    encoder_out = model.encode({"src_tokens": SOURCE})
    rows = TARGET.repeat_interleave(3, dim=0)
    rows[1, 1] = rows[5, 2] = 30
    shared = model.forward_decoder(rows, model.expand(encoder_out, 3))
    each = model(SOURCE.repeat_interleave(3, dim=0), None, rows)[0]
    assert torch.allclose(shared, each, atol=1e-5)
