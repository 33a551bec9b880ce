import pytest
import torch
from torch import nn

from biomedgpt_fairseq.models.drop_path import DropPath
from biomedgpt_fairseq.models.resnet import TRUNKS, ResNet, Trunk, get_trunk

SMALL = Trunk((2, 1, 3), (4, 4, 8), 4)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("resnet50", 8_543_296), ("resnet101", 27_535_424), ("resnet152", 43_179_072)],
)
def test_trunks_have_the_known_number_of_parameters(name: str, parameters: int) -> None:
    with torch.device("meta"):
        trunk = ResNet(TRUNKS[name])
    assert sum(p.numel() for p in trunk.parameters()) == parameters
    assert trunk.out_channels == 1024


def test_output_has_one_vector_per_16_by_16_pixels() -> None:
    assert ResNet(SMALL).eval()(torch.randn(2, 3, 64, 32)).shape == (2, 32, 4, 2)


def test_unknown_trunk_lists_the_known() -> None:
    with pytest.raises(ValueError, match="resnet_micro, resnet50"):
        get_trunk("resnet51")


def test_frozen_norm_keeps_its_values_in_training() -> None:
    trunk = ResNet(SMALL, "frozen").train()
    before = {k: v.clone() for k, v in trunk.state_dict().items()}
    out = trunk(torch.randn(2, 3, 32, 32))
    assert torch.equal(out, trunk.eval()(torch.zeros(2, 3, 32, 32))) is False
    assert all(torch.equal(before[k], v) for k, v in trunk.state_dict().items())
    assert not any("num_batches" in k for k in before)
    assert {n.split(".")[-2][:4] for n, _ in trunk.named_parameters()} == {"conv", "0"}


def test_batch_norm_learns_statistics_unless_the_trunk_is_frozen() -> None:
    trunk = ResNet(SMALL).train()
    trunk(torch.randn(2, 3, 32, 32))
    assert trunk.bn1.num_batches_tracked == 1
    trunk.frozen = True
    trunk.train()(torch.randn(2, 3, 32, 32))
    assert trunk.bn1.num_batches_tracked == 1


def test_synchronised_norm_has_the_eps_of_its_checkpoints() -> None:
    norms = [m for m in ResNet(SMALL, "sync").modules() if isinstance(m, nn.SyncBatchNorm)]
    assert len(norms) == 1 + 3 * 6 + 3
    assert {norm.eps for norm in norms} == {1e-3}


def test_drop_path_grows_within_each_stage() -> None:
    trunk = ResNet(SMALL, drop_path=0.2)
    rates = [m.rate for m in trunk.modules() if isinstance(m, DropPath)]
    assert rates == [0.0, 0.2, 0.0, 0.0, 0.1, 0.2]


@pytest.mark.parametrize("norm", ["batch", "frozen", "sync"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_norms_folded_into_weights_give_the_same(norm: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    trunk = ResNet(Trunk((1, 2, 1), (4, 8, 8), 8), norm).to(dtype).eval()
    for name, value in trunk.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.3, 3.0)
        elif ("bn" in name or "downsample.1" in name) and value.is_floating_point():
            value.normal_()
    images = torch.randn(2, 3, 48, 32, dtype=dtype)

    expected = trunk(images)
    with torch.no_grad():
        found = trunk(images)

    assert found.dtype == dtype and expected.requires_grad and not found.requires_grad
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    assert torch.allclose(found, expected, rtol=tolerance, atol=tolerance)
