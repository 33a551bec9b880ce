import pytest
import torch

SOURCE = torch.tensor([[0, 5, 6, 7, 2], [0, 8, 2, 1, 1], [0, 9, 9, 2, 1]])


def rows(model, beam: int, length: int, code: bool = False):
    torch.manual_seed(2)
    tokens = torch.randint(4, 40, (3 * beam, length))
    net_input = {"src_tokens": SOURCE, "patch_images": torch.randn(3, 3, 32, 32)}
    masks = torch.ones(3 * beam, dtype=torch.bool) if code else None
    encoder_out = model.expand(model.encode(net_input), beam)
    return tokens, model.forward_decoder(tokens, encoder_out, masks), net_input


def test_reordered_rows_continue_what_they_were_told(config, build) -> None:
    model = build(config)
    tokens, _, net_input = rows(model, 2, 6)
    state = model.start_decoding(net_input, 6)
    model.reorder(state, torch.arange(6) // 2)
    model.decode_step(tokens[:, :4], state)
    order = torch.tensor([1, 1, 2, 3, 5, 4])
    model.reorder(state, order)
    tokens[:, :4] = tokens[order, :4]
    full = model.forward_decoder(tokens, model.expand(model.encode(net_input), 2))
    assert torch.allclose(model.decode_step(tokens[:, :5], state), full[:, 4], atol=1e-5)


def test_kept_samples_continue_without_the_others(config, build) -> None:
    model = build(config)
    tokens, full, net_input = rows(model, 2, 6)
    state = model.start_decoding(net_input, 6)
    model.reorder(state, torch.arange(6) // 2)
    model.decode_step(tokens[:, :3], state)
    model.keep_samples(state, torch.tensor([2, 0]))
    kept = torch.tensor([4, 5, 0, 1])
    assert torch.allclose(model.decode_step(tokens[kept, :4], state), full[kept, 3], atol=1e-5)
    model.keep_samples(state, torch.tensor([1]))
    assert torch.allclose(model.decode_step(tokens[:2, :5], state), full[:2, 4], atol=1e-5)


def test_kept_samples_with_drawn_patches_keep_their_own_positions(config, build) -> None:
    model = build(config)
    tokens, _, net_input = rows(model, 1, 4)
    net_input["sample_patch_num"] = 2
    torch.manual_seed(0)
    full = model.forward_decoder(tokens, model.encode(net_input))
    torch.manual_seed(0)
    state = model.start_decoding(net_input, 4)
    model.keep_samples(state, torch.tensor([1, 2]))
    assert torch.allclose(model.decode_step(tokens[1:, :3], state), full[1:, 2], atol=1e-5)


def test_storage_grows_with_the_prefix_only(config, build) -> None:
    model = build(config)
    tokens, full, net_input = rows(model, 1, 70)
    state = model.start_decoding(net_input, 256)
    sizes = []
    for length in (1, 32, 33, 65, 70):
        logits = model.decode_step(tokens[:, :length], state)
        assert torch.allclose(logits, full[:, length - 1], atol=1e-5)
        sizes.append(state.cache.size(4))
    assert sizes == [32, 32, 64, 128, 128]


def test_step_without_a_new_position_raises(config, build) -> None:
    model = build(config)
    tokens, _, net_input = rows(model, 1, 5)
    state = model.start_decoding(net_input, 4)
    model.decode_step(tokens[:, :2], state)
    with pytest.raises(ValueError, match="prefixes of 2 tokens, after a step with 2"):
        model.decode_step(tokens[:, :2], state)
    with pytest.raises(ValueError, match="at most 4"):
        model.decode_step(tokens, state)


def test_encoder_keys_are_projected_once_per_sample(config, build) -> None:
    model = build(config)
    _, _, net_input = rows(model, 4, 2)
    state = model.start_decoding(net_input, 2)
    model.reorder(state, torch.arange(12) // 4)
    assert {kv.keys.size(0) for kv in state.cross} == {3}
