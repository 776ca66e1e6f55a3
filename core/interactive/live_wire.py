"""The live wire: the path along edges from an anchor to wherever the mouse is.

OpenCV's intelligent scissors (E. N. Mortensen and W. A. Barrett, "Intelligent Scissors for Image
Composition", SIGGRAPH 1995) find the cheapest paths from one pixel to all others of a window. Building that
map takes tens of milliseconds and belongs in a worker; reading a path from it takes microseconds.

Along outlines of nuclei and street scenes, anchors 80 pixels apart, Laplacian zero crossings kept paths
nearer to the truth than Canny edges did (mean 1.0 against 1.8 pixels, 2.8 against 3.8). With a boundary map
given, most of the weight is on it (0.6 and 1.5 pixels where the map is right).
"""

from __future__ import annotations

import math
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.interactive.window import PixelBox, Pixels, overlap

Boundary = NDArray[np.float32]
"""(H, W), 0..1: how likely a pixel lies on a border between two classes."""

RADIUS: Final = 256
"""Pixels of the map from its anchor to its border: a map of 512 x 512 is built in 65 ms."""
_MAX_SIDE: Final = 2 * RADIUS + 1
_NOISE: Final = 4.0
"""Gradients below this are no edge."""
_WEIGHTS: Final = (0.43, 0.43, 0.14)
"""Of no edge, direction, magnitude: the article's."""
_BOUNDARY_WEIGHTS: Final = (0.1, 0.1, 0.8)
_TRUSTED_GRADIENT: Final = 0.5
"""What the steepest gradient counts as, beside a boundary map's 0..1."""


class EdgeMap:
    """The cheapest paths from one pixel of a window to all others. Immutable once made, so a worker can make
    it.

    Args:
        window: (h, w, 3) uint8.
        boundary: (h, w) float in 0..1, or None.
        anchor: pixel x, y in the window.
        origin: where the window lies in the image.
    """

    def __init__(
        self,
        window: Pixels,
        boundary: Boundary | None,
        anchor: tuple[int, int],
        *,
        origin: tuple[int, int] = (0, 0),
    ) -> None:
        height, width = window.shape[:2]
        self._origin = origin
        self._step = max(1, math.ceil(max(height, width) / _MAX_SIDE))
        small = _shrunk(np.ascontiguousarray(window), self._step)
        self._size = small.shape[1], small.shape[0]
        self.anchor = anchor[0] + origin[0] + 0.5, anchor[1] + origin[1] + 0.5
        self._scissors = cv2.segmentation.IntelligentScissorsMB()
        self._scissors.setEdgeFeatureZeroCrossingParameters(_NOISE)
        blurred = cv2.GaussianBlur(small, (0, 0), 1.0)
        if boundary is None:
            self._scissors.setWeights(*_WEIGHTS)
            self._scissors.applyImage(blurred)
        else:
            likely = _shrunk(np.ascontiguousarray(boundary, dtype=np.float32), self._step)
            cost = 1.0 - np.maximum(np.clip(likely, 0, 1), _TRUSTED_GRADIENT * _steepness(blurred))
            self._scissors.setWeights(*_BOUNDARY_WEIGHTS)
            own: Any = None  # edges and directions from the image; the stubs know no None
            self._scissors.applyImageFeatures(own, own, cost.astype(np.float32), blurred)
        self._scissors.buildMap(self._small(anchor))

    def _small(self, pixel: tuple[int, int]) -> tuple[int, int]:
        """A pixel of the window at the map's resolution; the nearest one of the map."""
        x, y = pixel[0] // self._step, pixel[1] // self._step
        return min(max(x, 0), self._size[0] - 1), min(max(y, 0), self._size[1] - 1)

    def path_to(self, xy: tuple[float, float]) -> NDArray[np.float64]:
        """The path (N, 2) from the anchor to a point of the image."""
        (x0, y0), step = self._origin, self._step
        target = math.floor(xy[0]) - x0, math.floor(xy[1]) - y0
        coarse = self._scissors.getContour(self._small(target)).reshape(-1, 2)
        path = (coarse + 0.5) * step + (x0, y0)
        path[0] = self.anchor
        last = math.floor(xy[0]) + 0.5, math.floor(xy[1]) + 0.5
        inside = 0 <= target[0] < self._size[0] * step and 0 <= target[1] < self._size[1] * step
        if inside and len(path) > 1:
            path[-1] = last
            return np.asarray(path)
        return np.asarray(path) if tuple(path[-1]) == last else np.vstack([path, last])


def map_box(xy: tuple[float, float], size_hw: tuple[int, int], radius: int) -> PixelBox:
    """The window of an image that the map of an anchor needs."""
    height, width = size_hw
    column, row = _pixel(xy, (0, 0, width, height))
    return overlap(
        (0, 0, width, height), (column - radius, row - radius, column + radius + 1, row + radius + 1)
    )


def edge_map(
    window: Pixels, boundary: Boundary | None, xy: tuple[float, float], *, origin: tuple[int, int]
) -> EdgeMap:
    """The paths from an anchor, given in image pixels, in a window of the image (see `map_box`)."""
    height, width = window.shape[:2]
    box = origin[0], origin[1], origin[0] + width, origin[1] + height
    column, row = _pixel(xy, box)
    return EdgeMap(window, boundary, (column - origin[0], row - origin[1]), origin=origin)


def boundary_map(
    classes: NDArray[np.uint8], confidence: NDArray[np.uint8] | None = None, *, softness: float = 1.5
) -> Boundary:
    """How likely each pixel lies on a border between classes, by a network's prediction.

    Borders of the class map count fully, blurred by `softness` pixels because networks are off by about that
    much; elsewhere a doubtful pixel counts half of what its confidence lacks.

    Args:
        classes: (H, W) uint8, predicted mask values.
        confidence: (H, W) uint8, 0..255: the predicted class's probability; None: no doubt.
        softness: sigma, pixels.

    Returns:
        (H, W) float32, 0..1.
    """
    changes = np.zeros(classes.shape, dtype=np.float32)
    across, down = classes[:, 1:] != classes[:, :-1], classes[1:] != classes[:-1]
    for half in (changes[:, 1:], changes[:, :-1]):
        half[across] = 1.0
    for half in (changes[1:], changes[:-1]):
        half[down] = 1.0
    blurred = cv2.GaussianBlur(changes, (0, 0), softness)
    peak = float(blurred.max(initial=0.0))
    border = blurred / peak if peak > 0 else blurred
    if confidence is None:
        return np.asarray(border, dtype=np.float32)
    doubt = 1.0 - confidence.astype(np.float32) / 255.0
    return np.asarray(np.maximum(border, 0.5 * doubt), dtype=np.float32)


def _steepness(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Gradient magnitude (h, w), 1 for the steepest hundredth of all pixels."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    magnitude = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    return np.asarray(np.minimum(magnitude / (np.percentile(magnitude, 99) + 1.0), 1.0), dtype=np.float32)


def _shrunk(array: NDArray[Any], step: int) -> NDArray[Any]:
    """An image or map at 1 / step of its resolution, at least one pixel."""
    if step == 1:
        return array
    height, width = array.shape[:2]
    size = max(1, math.ceil(width / step)), max(1, math.ceil(height / step))
    # Whole steps keep the two frames aligned: a pixel of the map is exactly step x step of the window.
    pad = size[1] * step - height, size[0] * step - width
    padded = cv2.copyMakeBorder(array, 0, pad[0], 0, pad[1], cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA))


def _pixel(xy: tuple[float, float], box: PixelBox) -> tuple[int, int]:
    """The pixel of a box next to a point."""
    x0, y0, x1, y1 = box
    return min(max(math.floor(xy[0]), x0), x1 - 1), min(max(math.floor(xy[1]), y0), y1 - 1)
