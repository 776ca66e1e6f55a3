"""A network's start: before it has learned anything it says how frequent each class is.

Scores then begin at the logarithm of the classes' shares of the labelled pixels, as for rare objects in Lin
et al. 2017 (arXiv:1708.02002, 4.1), so that the first steps are not spent on learning that most of a picture
is background: docs/decisions/0010 has the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch

from core.learning.data import LabelStore
from core.models.network import SegmentationNetwork

LEAST_SHARE: Final = 0.01
"""Rarer classes count as this frequent: they must stay within reach of some hundred steps."""


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
