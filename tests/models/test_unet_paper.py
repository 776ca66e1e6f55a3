"""U-Net in paper mode has the paper's sizes, mirrors what lies beyond, and says which tiles it takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.annotation.model import ClassList
from core.errors import UsageError
from core.learning.prediction.predict import Predictor
from core.learning.runs.weights import header_for
from core.models.network import Normalize, SegmentationNetwork
from core.models.registry import build
from core.models.unet_paper import (
    PaperUNet,
    margin,
    mirrored_places,
    nearest_tile_side,
    scored_side,
    tile_side,
)

Narrow = Callable[..., SegmentationNetwork]


@pytest.fixture
def paper() -> PaperUNet:
    """As published, with no numbers in it."""
    with torch.device("meta"):
        network = build("unet_paper", classes=2)
    assert isinstance(network, PaperUNet)
    return network


def test_a_tile_of_572_gives_388_through_the_papers_maps(paper: PaperUNet):
    tile = torch.empty(1, 3, 572, 572, device="meta")
    assert paper.valid_logits(tile).shape == (1, 2, 388, 388)
    maps = paper.encoder(tile)
    assert [(m.shape[1], m.shape[2]) for m in maps] == [
        (64, 568),
        (128, 280),
        (256, 136),
        (512, 64),
        (1024, 28),
    ]
    # 23 convolutions in all (section 2): 18 of 3x3, 4 up-convolutions, 1 of 1x1.
    kinds = [m for m in paper.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(kinds) == 23
    assert sum(p.numel() for p in paper.parameters()) == pytest.approx(31.0e6, rel=0.002)


@pytest.mark.parametrize("depth", range(1, 7))
def test_valid_tiles_are_computed_for_any_depth(depth: int, narrow: Narrow):
    network = narrow("unet_paper", width=2, depth=depth)
    assert isinstance(network, PaperUNet)
    network.to("meta")
    sides = [tile_side(wanted, depth) for wanted in (1, 5, 100, 388)]
    for side, wanted in zip(sides, (1, 5, 100, 388), strict=True):
        assert scored_side(side, depth) >= wanted
        assert nearest_tile_side(side, depth) == side
        scores = network.valid_logits(torch.empty(1, 3, side, sides[0], device="meta"))
        assert scores.shape[-2:] == (scored_side(side, depth), scored_side(sides[0], depth))
    assert tile_side(388, depth) - 388 == 2 * margin(depth)


def test_another_tile_is_refused_with_the_nearest_that_fits(paper: PaperUNet):
    with pytest.raises(UsageError) as error:
        paper.valid_logits(torch.empty(1, 3, 100, 570, device="meta"))
    assert str(error.value) == (
        "a U-Net of depth 4 without padding cannot take a tile of 570 x 100 pixels; the nearest that it can"
        " take is 572 x 188, of which the middle 388 x 4 get scores"
    )
    assert [nearest_tile_side(side, 4) for side in (1, 563, 564, 565, 579, 581)] == [
        188,
        556,
        556,
        572,
        572,
        588,
    ]


def test_what_lies_beyond_the_image_is_its_mirror_image():
    for side in (1, 2, 5, 40):
        rows = mirrored_places(side, 2).numpy()
        mirrored = np.pad(np.arange(side), 60, mode="reflect")
        start = 60 - margin(2)
        assert rows.tolist() == mirrored[start : start + len(rows)].tolist()


def test_scores_near_the_middle_of_a_large_image_do_not_depend_on_tiling(narrow: Narrow):
    """Every score comes from pixels that were really seen: a tile says what the whole image says."""
    network = narrow("unet_paper", depth=2).eval()
    assert isinstance(network, PaperUNet)
    image = torch.randn(1, 3, 108, 140)
    with torch.inference_mode():
        whole = network.valid_logits(image)
        tile = network.valid_logits(image[..., 16:92, 32:140])
    torch.testing.assert_close(tile, whole[..., 16:52, 32:], atol=1e-5, rtol=1e-4)


def test_tiles_of_a_prediction_see_the_image_around_them(narrow: Narrow, classes: ClassList):
    """Nothing is mirrored but at the image's border: tiles say what one pass says."""
    network = narrow("unet_paper", depth=2).eval()
    with torch.no_grad():
        nn.init.normal_(network.score_layer.weight)  # type: ignore[union-attr]
    header = header_for(network, classes=classes, tile=64)
    image = np.random.default_rng(0).integers(0, 256, (160, 208, 3)).astype(np.uint8)
    # Their starts, 0, 48, 96 ..., are in step with the pools, as they are not for any size.
    tiled = Predictor(network, header, tile=64, overlap=16).predict(image, probabilities=True)
    whole = Predictor(network, header).predict(image, probabilities=True)
    assert tiled.probabilities is not None
    assert whole.probabilities is not None
    np.testing.assert_allclose(tiled.probabilities, whole.probabilities, atol=2e-3)
    pixels = Normalize(header.normalization)(torch.from_numpy(image).permute(2, 0, 1)[None])
    with torch.inference_mode():
        mirrored = network(pixels).softmax(dim=1)[0]
    np.testing.assert_allclose(whole.probabilities, mirrored.numpy(), atol=2e-3)


def test_what_comes_up_is_rectified_before_the_skip_joins_it(narrow: Narrow):
    network = narrow("unet_paper")
    joined: list[Tensor] = []
    for level in network.levels:  # type: ignore[union-attr]
        level.register_forward_pre_hook(lambda _, x: joined.append(x[0]))  # type: ignore[union-attr, arg-type]
    with torch.inference_mode():
        network(torch.randn(1, 3, 20, 20))
    for maps, width in zip(joined, (12, 6), strict=True):
        below = maps[:, width:]  # the skip comes first
        assert below.shape[1] == width
        assert below.min() == 0.0
        assert below.max() > 0.0


def test_weights_are_drawn_as_by_he(narrow: Narrow):
    network = narrow("unet_paper", width=32, depth=1)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    for layer in convolutions[1:]:
        spread = layer.weight.std().item()
        assert spread == pytest.approx((2 / (9 * layer.in_channels)) ** 0.5, rel=0.05)
