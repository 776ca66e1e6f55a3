"""FC-DenseNet has the layers, maps and sizes of the paper's tables."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from core.models.densenet import DenseBlock
from core.models.network import SegmentationNetwork
from core.models.registry import build

Narrow = Callable[..., SegmentationNetwork]


def on_paper(layers: int) -> SegmentationNetwork:
    with torch.device("meta"):
        return build(f"fcdensenet{layers}", classes=11)


@pytest.mark.parametrize("layers", [56, 67, 103])
def test_it_has_as_many_layers_as_its_name_says(layers: int):
    """Counted as in the paper: all convolutions, those of transitions and the classifier's among them."""
    convolutions = [m for m in on_paper(layers).modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(convolutions) == layers
    assert sum(isinstance(m, nn.ConvTranspose2d) for m in convolutions) == 5
    assert sum(m.kernel_size == (1, 1) for m in convolutions) == 5 + 1


def test_103_has_the_maps_of_the_papers_table():
    network = build("fcdensenet103", classes=11).eval()
    given: list[tuple[int, int]] = []
    for block in network.blocks:  # type: ignore[union-attr]
        block.register_forward_hook(  # type: ignore[union-attr]
            lambda _m, x, y: given.append((x[0].shape[1] + y.shape[1], y.shape[-1]))
        )
    x = torch.zeros(1, 3, 32, 32)
    with torch.inference_mode():
        maps = network.encoder(x)
        assert network(x).shape == (1, 11, 32, 32)
    assert [(m.shape[1], m.shape[-1]) for m in maps] == [
        (112, 32),
        (192, 16),
        (304, 8),
        (464, 4),
        (656, 2),
        (656, 1),
    ]
    assert maps[-1].shape[1] + network.bottleneck.channels == 896  # type: ignore[union-attr, operator]
    # The table says 578 of the third, which its own layers do not come to: 10 x 16 + 304 + 7 x 16.
    assert given == [(1088, 2), (816, 4), (576, 8), (384, 16), (256, 32)]


def test_103_has_the_papers_size():
    """9.4 M, which counts the running statistics; its other numbers are in the shared battery."""
    assert round(sum(numbers_of(on_paper(103))) / 1e6, 1) == 9.4


def test_103_has_as_many_numbers_as_somebody_else_has_counted():
    """9,270,812 of 12 classes, convolutions with offsets and batch norms that learn no factor.

    https://github.com/SimJeg/FC-DenseNet/issues/31, where another counts 1.4 M of the one with 56 layers too.
    """
    with torch.device("meta"):
        network = build("fcdensenet103", classes=12)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    offsets = sum(m.out_channels for m in convolutions if m.bias is None)
    factors = sum(m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    assert sum(p.numel() for p in network.parameters()) + offsets - factors == 9_270_812


def test_56_comes_to_14_tenths_of_a_million_by_any_count():
    """The paper says 1.5 M; see docs/models.md."""
    learned, statistics = numbers_of(on_paper(56))
    assert (learned, statistics) == (1_375_259, 21_168)


def numbers_of(network: SegmentationNetwork) -> tuple[int, int]:
    """What it learns, and the running statistics of its batch norms."""
    statistics = sum(buffer.numel() for buffer in network.buffers() if buffer.ndim == 1)
    return sum(p.numel() for p in network.parameters()), statistics


def test_blocks_can_be_made_shallower():
    with torch.device("meta"):
        network = build("fcdensenet103", classes=2, depth=3)
    blocks = [m for m in network.modules() if isinstance(m, DenseBlock)]
    assert [len(block.layers) for block in blocks] == [3] * 11


def test_only_the_new_maps_of_a_block_are_raised(narrow: Narrow):
    network = narrow("fcdensenet67", growth=3, depth=0)
    assert [up.in_channels for up in network.ups] == [5 * 3] * 5  # type: ignore[union-attr, operator]


def test_every_layer_sees_all_maps_before_it():
    block = DenseBlock(5, 4, growth=3, dropout=0.0)
    assert [layer[2].in_channels for layer in block.layers] == [5, 8, 11, 14]  # type: ignore[index, union-attr]
    assert block(torch.randn(2, 5, 8, 8)).shape == (2, 12, 8, 8)


def test_weights_are_drawn_uniformly_as_by_he(narrow: Narrow):
    network = narrow("fcdensenet56", growth=12, stem=48)
    layer = network.encoder.blocks[0].layers[0][2]  # type: ignore[index, union-attr]
    bound = (6 / (9 * 48)) ** 0.5
    assert layer.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
    dropouts = {m.p for m in network.modules() if isinstance(m, nn.Dropout)}
    assert dropouts == {0.2}
