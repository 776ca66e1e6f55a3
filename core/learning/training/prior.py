"""A network's start: what it knows of images and labels before it has learned anything.

It has seen some of the images, so that its decoder gets what it can use, and it says how frequent each class
is: scores begin at the logarithm of the classes' shares of the labelled pixels, as for rare objects in Lin et
al. 2017 (arXiv:1708.02002, 4.1), so that the first steps are not spent on learning that most of a picture is
background. docs/decisions/0010 and 0017 have the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch

from core.errors import FileProblem
from core.learning.labels.data import LabelStore
from core.models.network import Normalize, SegmentationNetwork

LEAST_SHARE: Final = 0.01
"""Rarer classes count as this frequent: they must stay within reach of some hundred steps."""
LOOKED_AT: Final = 8
"""Images, evenly among those to learn from."""
PIECE_PX: Final = 384
"""Of each its middle, at most so large."""


def start_from_shares(network: SegmentationNetwork, store: LabelStore, keys: Sequence[str]) -> None:
    """Set the bias of the score layer from the labels of these images, channel by channel.

    Nothing is done for a network without such a layer, nor where a class has no labelled pixel yet: of the
    background that undrawn pixels stand in for, no share is known.
    """
    layer = network.score_layer
    pixels = store.counts(keys)[list(store.classes.indices)].astype(np.float64)
    if layer is None or layer.bias is None or not pixels.all():
        return
    scores = np.log(np.maximum(pixels / pixels.sum(), LEAST_SHARE))
    with torch.no_grad():
        layer.bias.copy_(torch.from_numpy(scores - scores.mean()))


def look_at_some(network: SegmentationNetwork, store: LabelStore, keys: Sequence[str], scale: float) -> None:
    """Show the network some of these images, at training scale; those that cannot be read are left out."""
    if not network.pretrained:
        return
    normalize = Normalize(network.normalization)
    images = []
    for key in keys[:: max(1, -(-len(keys) // LOOKED_AT))]:
        try:
            pixels = store.pixels(key, scale)
        except FileProblem:
            continue  # whoever draws from it finds the same, and says so
        top, left = (max(0, (side - PIECE_PX) // 2) for side in pixels.shape[:2])
        piece = np.array(pixels[top : top + PIECE_PX, left : left + PIECE_PX])
        images.append(normalize(torch.from_numpy(piece).permute(2, 0, 1)[None]))
    network.look_at(images)
