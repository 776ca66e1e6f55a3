"""Undrawn pixels that stand in for background while too little of it is drawn.

A person draws three of forty nuclei. A network that takes all the rest for background learns that nuclei are
background, and forgets it only when images are done. So what looks like something drawn stands in for
nothing: the colour, the texture and the edges around a pixel, at three sizes, decide (`likeness`). They need
no network, and are the same in a run that was resumed.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED
from core.learning.labels.likeness import unlike

MARGIN: Final = 0.02
"""Undrawn pixels nearer to a shape than this share of the image's diagonal may belong to it."""
NEIGHBOURHOOD: Final = 5.0
"""So many margins around it are a shape's neighbourhood."""
SIGMAS: Final = (1.0, 2.0, 4.0)
"""Of the surroundings that are looked at, in pixels of the reduced image."""
LONGEST_SIDE: Final = 768
"""Larger images are reduced for a look at them: the answer is as coarse as a shape's border is unsure."""
POINTS: Final = 2048
"""Drawn, and undrawn, that the classifier is fitted to."""


def undrawn(targets: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Unlabelled pixels well away from labelled ones, (H, W), bool; none where nothing is labelled."""
    return surroundings(targets)[0]


def surroundings(targets: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """`undrawn`, and of these the pixels that are still in the neighbourhood of labelled ones."""
    unlabelled = targets == UNLABELLED
    if unlabelled.all():
        nothing = np.zeros(targets.shape, np.bool_)
        return nothing, nothing
    distance = cv2.distanceTransform(unlabelled.astype(np.uint8), cv2.DIST_L2, 3)
    margin = max(3.0, MARGIN * float(np.hypot(*targets.shape)))
    away = distance > margin
    return away, away & (distance < NEIGHBOURHOOD * margin)


def stand_ins(pixels: NDArray[np.uint8], targets: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Undrawn pixels that look like nothing that is drawn, (H, W), bool.

    Args:
        pixels: RGB (H, W, 3), uint8.
        targets: channels (H, W), uint8, 255 where nothing is drawn.
    """
    away = undrawn(targets)
    factor = min(1.0, LONGEST_SIDE / max(targets.shape))
    size_wh = tuple(max(1, round(side * factor)) for side in targets.shape[::-1])
    looks = _looks(np.asarray(cv2.resize(pixels, size_wh, interpolation=cv2.INTER_AREA), np.uint8))
    drawn = cv2.resize(targets, size_wh, interpolation=cv2.INTER_NEAREST).ravel()
    free = cv2.resize(away.view(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST).ravel()
    members, others = _some(drawn != UNLABELLED), _some(free == 1)
    if not len(members) or not len(others):
        return away
    features = torch.from_numpy(looks)
    different = unlike(
        features[members], torch.from_numpy(drawn[members].astype(np.int64)), features[others], features
    )
    small = different.numpy().reshape(size_wh[::-1]).view(np.uint8)
    large = cv2.resize(small, targets.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(away & (large == 1))


def _looks(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Colour, slope, curvature and unrest around every pixel, (H * W, 18), float32."""
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).astype(np.float32)
    light = lab[..., 0]
    planes = []
    for sigma in SIGMAS:
        smooth = cv2.GaussianBlur(lab, (0, 0), sigma)
        slope_x = cv2.Sobel(smooth[..., 0], cv2.CV_32F, 1, 0)
        slope_y = cv2.Sobel(smooth[..., 0], cv2.CV_32F, 0, 1)
        mean = cv2.GaussianBlur(light, (0, 0), 2 * sigma)
        variance = cv2.GaussianBlur(light * light, (0, 0), 2 * sigma) - mean * mean
        planes += [
            *np.moveaxis(smooth, -1, 0),
            np.hypot(slope_x, slope_y),
            cv2.Laplacian(smooth[..., 0], cv2.CV_32F),
            np.sqrt(np.maximum(variance, 0.0)),
        ]
    return np.stack(planes, axis=-1).reshape(-1, len(planes)).astype(np.float32, copy=False)


def _some(wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """At most POINTS positions of a flat map, evenly: a function of the labels alone."""
    positions = np.flatnonzero(wanted)
    if len(positions) <= POINTS:
        return positions
    return positions[np.linspace(0, len(positions) - 1, POINTS).astype(np.int64)]
