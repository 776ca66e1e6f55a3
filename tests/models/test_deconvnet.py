"""DeconvNet: VGG16 with its classifier, and the whole of it backwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from core.models.deconvnet import FEWEST, SteadyBatchNorm
from core.models.network import SegmentationNetwork
from core.models.registry import build

Narrow = Callable[..., SegmentationNetwork]


@pytest.fixture
def paper() -> SegmentationNetwork:
    with torch.device("meta"):
        return build("deconvnet", classes=21, fc=4096)


def test_a_tile_of_224_becomes_one_vector_and_grows_back(paper: SegmentationNetwork):
    shapes: list[tuple[int, ...]] = []
    for layer in (paper.fc6, paper.fc7, paper.deconv_fc6, *paper.units):  # type: ignore[misc, union-attr]
        layer.register_forward_hook(lambda _m, _x, y: shapes.append(tuple(y.shape[1:])))  # type: ignore[union-attr]
    with torch.no_grad():
        scores = paper.eval()(torch.empty(1, 3, 224, 224, device="meta"))
    assert scores.shape == (1, 21, 224, 224)
    assert shapes == [
        (4096, 1, 1),
        (4096, 1, 1),
        (512, 7, 7),
        (512, 14, 14),
        (256, 28, 28),
        (128, 56, 56),
        (64, 112, 112),
        (64, 224, 224),
    ]


def test_every_layer_but_the_classifier_is_normalised(paper: SegmentationNetwork):
    deconvolutions = [m for m in paper.modules() if isinstance(m, nn.ConvTranspose2d)]
    norms = [m for m in paper.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(deconvolutions) == 1 + 3 + 3 + 3 + 2 + 2
    assert len(norms) == 13 + 2 + len(deconvolutions)


def test_vectors_of_few_crops_are_not_normalised_by_their_own_statistics(narrow: Narrow):
    network = narrow("deconvnet", encoder_width=2, fc=16, window=2)
    norms = [*network.classifier_norms, network.deconv_fc6[1]]  # type: ignore[misc, index, union-attr]
    for crops, taken in ((2, False), (FEWEST, True)):
        network(torch.randn(crops, 3, 64, 64))  # one vector each
        assert [bool(norm.running_mean.any()) for norm in norms] == [taken] * 3  # type: ignore[union-attr, operator]


def test_of_a_batch_in_two_parts_the_whole_decides_whether_it_is_normalised(narrow: Narrow):
    network = narrow("deconvnet", encoder_width=2, fc=16, window=2)
    norms = [*network.classifier_norms, network.deconv_fc6[1]]  # type: ignore[misc, index, union-attr]
    network.share_batches(2)
    for crops, taken in ((FEWEST // 2 - 1, False), (FEWEST // 2, True)):
        network(torch.randn(crops, 3, 64, 64))  # one vector each
        assert [bool(norm.running_mean.any()) for norm in norms] == [taken] * 3  # type: ignore[union-attr, operator]


def test_a_steady_batch_norm_is_an_ordinary_one_of_many_values_and_in_evaluation():
    steady, ordinary = SteadyBatchNorm(4, fewest=6), nn.BatchNorm2d(4)
    few, many = (3 + 5 * torch.randn(count, 4, 1, 3) for count in (1, 2))
    torch.testing.assert_close(steady(few), few, rtol=1e-4, atol=1e-4)  # of mean 0 and variance 1 so far
    torch.testing.assert_close(steady(many), ordinary(many))
    torch.testing.assert_close(steady.state_dict(), ordinary.state_dict())
    ordinary.eval()
    torch.testing.assert_close(steady(few), ordinary(few))
    torch.testing.assert_close(steady.eval()(many), ordinary(many))


@pytest.mark.parametrize("size_hw", [(20, 300), (224, 224), (257, 230)])
def test_images_smaller_and_larger_than_its_window_get_scores_of_their_size(
    size_hw: tuple[int, int], narrow: Narrow
):
    network = narrow("deconvnet", window=7, encoder_width=2, fc=16).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 3, *size_hw)).shape == (1, 3, *size_hw)


def vgg_of(network: SegmentationNetwork, *, fc: int, window: int) -> dict[str, Tensor]:
    """Random weights of a VGG as narrow as the network's encoder, under torchvision's names."""
    deepest = network.encoder.channels[-1]
    shapes = {name: value.shape for name, value in network.encoder.published.state_dict().items()}
    shapes |= {
        "classifier.0.weight": torch.Size((fc, deepest * window**2)),
        "classifier.0.bias": torch.Size((fc,)),
        "classifier.3.weight": torch.Size((fc, fc)),
        "classifier.3.bias": torch.Size((fc,)),
    }
    return {name: torch.randn(shape) for name, shape in shapes.items()}


def test_it_takes_over_vggs_classifier_where_it_is_as_wide(narrow: Narrow, tmp_path: Path):
    network = narrow("deconvnet", encoder_width=2, fc=24, window=3)
    weights = vgg_of(network, fc=24, window=3)
    assert {"features.0.weight", "features.28.bias"} <= weights.keys()
    save_file(weights, tmp_path / "vgg.safetensors")
    network.load_encoder_weights(str(tmp_path / "vgg.safetensors"))
    assert torch.equal(network.encoder.features[0].weight, weights["features.0.weight"])  # type: ignore[index, union-attr]
    for layer, name in ((network.fc6, "classifier.0"), (network.fc7, "classifier.3")):
        assert torch.equal(layer.weight.flatten(1), weights[f"{name}.weight"])  # type: ignore[union-attr, operator]
        assert torch.equal(layer.bias, weights[f"{name}.bias"])  # type: ignore[union-attr, arg-type]
    # A vector of 3 x 3 places, as torchvision flattens them, gives fc6 what it gives the classifier.
    pooled = torch.randn(1, 16, 3, 3)
    expected = F.linear(pooled.flatten(1), weights["classifier.0.weight"], weights["classifier.0.bias"])
    torch.testing.assert_close(network.fc6(pooled).flatten(1), expected)  # type: ignore[operator]


def test_a_classifier_of_another_width_is_left_out(narrow: Narrow, tmp_path: Path):
    network = narrow("deconvnet", encoder_width=2, fc=16, window=3)
    before = network.fc6.weight.clone()  # type: ignore[union-attr, operator]
    save_file(vgg_of(network, fc=24, window=3), tmp_path / "vgg.safetensors")
    network.load_encoder_weights(str(tmp_path / "vgg.safetensors"))
    assert network.pretrained
    assert torch.equal(network.fc6.weight, before)  # type: ignore[union-attr, arg-type]


def test_the_papers_classifier_is_vggs():
    with torch.device("meta"):
        network = build("deconvnet", classes=2, fc=4096)
    shapes = [network.fc6.weight.numel(), network.fc7.weight.numel()]  # type: ignore[union-attr, operator]
    assert shapes == [4096 * 25088, 4096 * 4096]  # torchvision's classifier.0 and classifier.3
