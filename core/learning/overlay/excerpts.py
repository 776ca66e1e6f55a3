"""What is on the screen of a huge image, read for a prediction: never the image, at most some megapixels.

The pixels come from the tiles that the window has laid out in the project's cache (`core.images.pyramid`), at
the scale that suits the view: near, the image's own pixels; far out, a level of the pyramid.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.images.pages import stamp
from core.images.pyramid import Pyramid, open_pyramid
from core.images.upright import Box
from core.learning.overlay.schedule import Target
from core.learning.overlay.view_parts import clipped

MOST_PIXELS: Final = 1 << 21
"""Of an excerpt: a full screen in its own pixels, and three seconds of a U-Net on a CPU."""
_MARGIN: Final = 1 / 16
"""Of a view's sides: so much more is predicted around it, for what lies at its edge and for small moves."""


@dataclass(frozen=True, slots=True, eq=False)
class Excerpt:
    """A part of a huge image.

    Attributes:
        pixels: RGB (h, w, 3), uint8.
        region: x0, y0, x1, y1: what of the image they show; perhaps a pixel or two beyond its edge.
        shrink: pixels of the excerpt per pixel of the image, at most 1.
        name: of exactly these pixels.
    """

    pixels: NDArray[np.uint8]
    region: Box
    shrink: float
    name: object

    def scale_for(self, scale: float) -> float:
        """What to resize it by for a network that sees images resized by `scale`.

        Seen from farther than the network is used to, it is shown as it is: blown up, it would cost as much
        as its own pixels and show no more.
        """
        return scale if self.shrink >= 1.0 else min(1.0, scale / self.shrink)

    def suits(self, view: Box) -> bool:
        """Whether a view lies inside it, and would not be seen in finer pixels."""
        x0, y0, x1, y1 = self.region
        inside = x0 <= view[0] and y0 <= view[1] and view[2] <= x1 and view[3] <= y1
        return inside and self.shrink >= 0.99 / (1 << _halvings(view))


class Excerpts:
    """Reads excerpts of one huge image after the other."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._pyramid: Pyramid | None = None
        self._of: tuple[str, str] | None = None
        self._latest: Excerpt | None = None

    def follow(self, pyramids: Path | None) -> None:
        """Read from the pyramids in this folder from now on; None: no project is open."""
        self.close()
        self._folder = pyramids

    def close(self) -> None:
        """Give files and memory back."""
        if self._pyramid is not None:
            self._pyramid.close()
        self._pyramid = self._of = self._latest = None

    def suit(self, view: Box) -> bool:
        """Whether what was read last will do for this view; also while nothing was read."""
        return self._latest is None or self._latest.suits(view)

    def read(self, target: Target) -> Excerpt | None:
        """What its view shows of a huge image, and some more; None while the image is not laid out there.

        Raises:
            ImageFileError: it cannot be read.
        """
        pyramid = self._opened(target)
        if pyramid is None:
            return None
        view = clipped(target.view or _whole(pyramid), pyramid.size_hw) or _whole(pyramid)
        if self._latest is None or not self._latest.suits(view):
            self._latest = _excerpt(pyramid, view, self._of)
        if self._latest is None and not pyramid.ready:
            self.close()  # what is laid out meanwhile is seen by opening it again
        return self._latest

    def _opened(self, target: Target) -> Pyramid | None:
        path = Path(target.image_path)
        of = target.key, stamp(path)
        if self._of != of:
            self.close()
            if self._folder is not None:
                self._pyramid, self._of = open_pyramid(path, self._folder), of
        return self._pyramid


def _excerpt(pyramid: Pyramid, view: Box, of: object) -> Excerpt | None:
    x0, y0, x1, y1 = _widened(view)
    level = min(_halvings(view), len(pyramid.levels) - 1)
    (height, width), (left, top) = pyramid.levels[level], pyramid.origin(level)
    box = clipped(
        (
            (x0 - left) >> level,
            (y0 - top) >> level,
            -(-(x1 - left) >> level),
            -(-(y1 - top) >> level),
        ),
        (height, width),
    )
    pixels = None if box is None else pyramid.region(*box, level=level)
    if box is None or pixels is None:
        return None
    pixels = _reduced(pixels)
    a, b, c, d = (edge << level for edge in box)
    region = a + left, b + top, c + left, d + top
    return Excerpt(pixels, region, pixels.shape[1] / (region[2] - region[0]), (of, region, pixels.shape))


def _halvings(view: Box) -> int:
    """How often an image is to be halved for a view of it to be an excerpt."""
    x0, y0, x1, y1 = _widened(view)
    count = 0
    while (x1 - x0) * (y1 - y0) > MOST_PIXELS << (2 * count):
        count += 1
    return count


def _reduced(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At most MOST_PIXELS: no level of a very large image is that small."""
    factor = (MOST_PIXELS / (pixels.shape[0] * pixels.shape[1])) ** 0.5
    if factor >= 1.0:
        return pixels
    size = max(1, int(pixels.shape[1] * factor)), max(1, int(pixels.shape[0] * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _widened(view: Box) -> Box:
    x0, y0, x1, y1 = view
    across, down = int((x1 - x0) * _MARGIN) + 1, int((y1 - y0) * _MARGIN) + 1
    return x0 - across, y0 - down, x1 + across, y1 + down


def _whole(pyramid: Pyramid) -> Box:
    return 0, 0, pyramid.size_hw[1], pyramid.size_hw[0]
