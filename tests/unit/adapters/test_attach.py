import torch

from biomedgpt_fairseq.adapters.attach import AdapterOptions, PromptOptions, attach

TEXT = torch.tensor([[0, 5, 6, 2], [0, 7, 2, 1]])


def added(model, options: AdapterOptions) -> dict[str, tuple[int, ...]]:
    before = set(model.state_dict())
    attach(model, options)
    return {k: tuple(v.shape) for k, v in model.state_dict().items() if k not in before}


def test_nothing_is_attached_by_default(model) -> None:
    assert added(model, AdapterOptions()) == {}
    assert not AdapterOptions().any


def test_every_layer_gets_an_adapter(model) -> None:
    shapes = added(model, AdapterOptions(adapter_dim=4))
    assert len(shapes) == 4 * 5
    assert shapes["encoder.layers.1.adapter.down_proj.weight"] == (4, 16)
    assert shapes["decoder.layers.2.adapter.up_proj.bias"] == (16,)


def test_prompts_have_the_shapes_of_checkpoints(model) -> None:
    shapes = added(
        model,
        AdapterOptions(encoder_prompt=PromptOptions(5), decoder_prompt=PromptOptions(6, 7)),
    )
    assert shapes == {
        "encoder.encoder_prompt_encoder.embedding.weight": (5, 2 * 2 * 16),
        "decoder.decoder_prompt_encoder.embedding.weight": (6, 16),
        "decoder.decoder_prompt_encoder.trans.0.weight": (7, 16),
        "decoder.decoder_prompt_encoder.trans.0.bias": (7,),
        "decoder.decoder_prompt_encoder.trans.2.weight": (3 * 2 * 16, 7),
        "decoder.decoder_prompt_encoder.trans.2.bias": (3 * 2 * 16,),
    }


def test_output_length_is_that_of_the_text_with_prompts(model) -> None:
    plain = model(TEXT, None, TEXT)[0]
    attach(model, AdapterOptions(2, PromptOptions(5), PromptOptions(6, 7)))
    prompted = model.eval()(TEXT, None, TEXT)[0]
    assert prompted.shape == plain.shape
    assert not torch.equal(prompted, plain)


def test_adapter_with_a_zero_output_changes_nothing(model) -> None:
    plain = model(TEXT, None, TEXT)[0]
    attach(model, AdapterOptions(adapter_dim=4))
    for layer in [*model.encoder.layers, *model.decoder.layers]:
        torch.nn.init.zeros_(layer.adapter.up_proj.weight)
    assert torch.equal(model(TEXT, None, TEXT)[0], plain)


def test_prompt_dropout_differs_between_samples_in_training(model) -> None:
    attach(model, AdapterOptions(encoder_prompt=PromptOptions(8)))
    first, second = model.encoder.encoder_prompt_encoder.train()(2)[0].keys
    assert not torch.equal(first, second)
