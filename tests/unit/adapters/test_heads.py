import torch

from biomedgpt_fairseq.adapters.heads import ClassificationHead, HeadOptions, last_features


def test_mlp_head_has_the_names_of_checkpoints() -> None:
    head = ClassificationHead(8, HeadOptions(classes=3, inner_dim=5))
    assert {k: tuple(v.shape) for k, v in head.state_dict().items()} == {
        "dense.weight": (5, 8),
        "dense.bias": (5,),
        "out_proj.weight": (3, 5),
        "out_proj.bias": (3,),
    }
    assert head(torch.randn(4, 8)).shape == (4, 3)


def test_linear_head_has_no_hidden_layer() -> None:
    head = ClassificationHead(8, HeadOptions(classes=3, classifier="linear"))
    assert list(head.state_dict()) == ["out_proj.weight", "out_proj.bias"]
    x = torch.randn(2, 8)
    assert torch.equal(head(x), head.out_proj(x))


def test_last_features_are_those_of_the_last_token_before_padding() -> None:
    features = torch.arange(8.0).view(2, 4, 1)
    tokens = torch.tensor([[0, 5, 2, 1], [0, 5, 6, 2]])
    assert last_features(features, tokens, pad=1).flatten().tolist() == [2, 7]
