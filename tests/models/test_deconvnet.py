"""DeconvNet: VGG16 with its classifier, and the whole of it backwards."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

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


@pytest.mark.parametrize("size_hw", [(20, 300), (224, 224), (257, 230)])
def test_images_smaller_and_larger_than_its_window_get_scores_of_their_size(
    size_hw: tuple[int, int], narrow: Narrow
):
    network = narrow("deconvnet", window=7, encoder_width=2, fc=16).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 3, *size_hw)).shape == (1, 3, *size_hw)


def test_it_takes_over_vggs_classifier_where_it_is_as_wide():
    with torch.device("meta"):
        network = build("deconvnet", classes=2, fc=4096)
    shapes = [network.fc6.weight.numel(), network.fc7.weight.numel()]  # type: ignore[union-attr, operator]
    assert shapes == [4096 * 25088, 4096 * 4096]  # torchvision's classifier.0 and classifier.3
