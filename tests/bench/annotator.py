"""A scripted annotator: labels and corrects images as a person would, and takes as long as a person would.

On two images it draws the largest region of each class. Then, on one image after the other, it looks at
what is shown (the labels, and the prediction where there are none), goes to the nearest error and corrects
it, by a polygon or by a brush stroke, whichever takes fewer seconds for each pixel that it puts right.
Errors of fewer than 10 pixels, and those within 2 pixels of a border between classes, are left as they are,
as people leave them. Images that nobody gave it are never looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED
from tests.bench.hand_drawing import Drawing, Mask, outline, strokes

SMALLEST_ERROR_PX: Final = 10
BORDER_PX: Final = 2
REACH_PX: Final = 3
"""An error is corrected to the border: what is wrong this near to the part that was seen belongs to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long things take.

    Attributes:
        search_s: to find the next error.
        move_px_s: the mouse's way there.
        click_s: a vertex of a polygon, and the press that begins a stroke.
        paint_px_s: a stroke.
        switch_s: another class than before.
    """

    search_s: float
    click_s: float
    paint_px_s: float
    move_px_s: float = 800.0
    switch_s: float = 0.3


PACES: Final[Mapping[str, Pace]] = {
    "fast": Pace(search_s=0.2, click_s=0.4, paint_px_s=400.0),
    "careful": Pace(search_s=1.5, click_s=0.8, paint_px_s=150.0),
}


@dataclass(frozen=True, slots=True)
class Correction:
    """One shape that was drawn.

    Attributes:
        label: the class's index.
        covers: pixels (H, W) that have this label from now on.
        right: of them, those that were shown wrongly before and are right now.
        seconds: what it took, with the search for it and the way to it.
    """

    label: int
    kind: Literal["polygon", "stroke"]
    covers: Mask
    right: int
    vertices: int
    seconds: float


class Annotator:
    """Labels images whose truth it knows.

    Args:
        truths: class indices by image, (H, W), uint8, 255 where nobody knows.
        pace: how fast it is.
        seed: of the order of the images.

    Attributes:
        order: the images in the order in which it gets to them.
        labels: what it has drawn so far, as masks (H, W) with 255 where nothing is.
    """

    def __init__(self, truths: Mapping[str, NDArray[np.uint8]], pace: Pace, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        keys = sorted(truths)
        self.order = tuple(keys[position] for position in rng.permutation(len(keys)))
        self.labels = {key: np.full_like(truths[key], UNLABELLED) for key in keys}
        self._truths = truths
        self._pace = pace
        self._active: int | None = None
        self._mouse_xy = (0.0, 0.0)
        self._left_alone: Mask | None = None

    def open(self, key: str) -> None:
        """Look at this image: the mouse is in its middle."""
        height, width = self._truths[key].shape
        self._mouse_xy = width / 2, height / 2
        self._left_alone = np.zeros((height, width), np.bool_)

    def largest_regions(self, key: str) -> Iterator[Correction]:
        """Draw the largest region of each class in this image."""
        truth = self._truths[key]
        for label in np.unique(truth[truth != UNLABELLED]).tolist():
            count, numbers, sizes, _ = cv2.connectedComponentsWithStats((truth == label).astype(np.uint8))
            if count > 1:
                region = numbers == 1 + int(sizes[1:, cv2.CC_STAT_AREA].argmax())
                correction = self._correct(key, label, region, region)
                if correction is not None:
                    yield correction

    def shown(self, key: str, prediction: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What the person sees: labels over the prediction, (H, W)."""
        labels = self.labels[key]
        return np.where(labels != UNLABELLED, labels, prediction)

    def errors(self, key: str, prediction: NDArray[np.uint8]) -> Mask:
        """What is wrong and worth a correction, (H, W)."""
        truth = self._truths[key]
        return (self.shown(key, prediction) != truth) & (truth != UNLABELLED) & ~border_band(truth)

    def correct_nearest(self, key: str, prediction: NDArray[np.uint8]) -> Correction | None:
        """Correct the error that is nearest to the mouse; None where the image needs nothing (more)."""
        truth = self._truths[key]
        wrong = (self.shown(key, prediction) != truth) & (truth != UNLABELLED)
        assert self._left_alone is not None, "open the image first"
        while True:
            found = self._nearest(self.errors(key, prediction) & ~self._left_alone, truth)
            if found is None:
                return None
            label, seen = found
            own = truth == label
            near = cv2.dilate(seen.astype(np.uint8), _square(REACH_PX)).astype(np.bool_)
            correction = self._correct(key, label, _around(near & wrong & own, seen), own)
            if correction is not None:
                return correction
            self._left_alone |= seen

    def _nearest(self, errors: Mask, truth: NDArray[np.uint8]) -> tuple[int, Mask] | None:
        """Class and pixels of the error nearest to the mouse."""
        best: tuple[float, int, Mask] | None = None
        for label in np.unique(truth[errors]).tolist():
            of_class = (errors & (truth == label)).astype(np.uint8)
            count, numbers, sizes, _ = cv2.connectedComponentsWithStats(of_class)
            large = [n for n in range(1, count) if sizes[n, cv2.CC_STAT_AREA] >= SMALLEST_ERROR_PX]
            if not large:
                continue
            y, x = np.nonzero(numbers)
            distances = np.full(count, np.inf)
            np.minimum.at(distances, numbers[y, x], np.hypot(x - self._mouse_xy[0], y - self._mouse_xy[1]))
            number = min(large, key=lambda n: distances[n])
            if best is None or distances[number] < best[0]:
                best = float(distances[number]), label, numbers == number
        return None if best is None else best[1:]

    def _correct(self, key: str, label: int, region: Mask, own: Mask) -> Correction | None:
        """Draw over a region what costs fewer seconds a pixel; None where nothing fits."""
        drawings = [*strokes(region, own)]
        polygon = outline(region, own)
        if polygon is not None:
            drawings.append(polygon)
        options = []
        for drawing in drawings:
            right = int((drawing.covers & region).sum())
            if right:
                options.append((self._seconds(drawing, label) / right, right, drawing))
        if not options:
            return None
        _, right, drawing = min(options, key=lambda option: option[0])
        seconds = self._seconds(drawing, label)
        self._active, self._mouse_xy = label, drawing.end_xy
        self.labels[key][drawing.covers] = label
        return Correction(label, drawing.kind, drawing.covers, right, drawing.vertices, seconds)

    def _seconds(self, drawing: Drawing, label: int) -> float:
        pace = self._pace
        way = np.hypot(drawing.start_xy[0] - self._mouse_xy[0], drawing.start_xy[1] - self._mouse_xy[1])
        switch_s = 0.0 if self._active in (None, label) else pace.switch_s
        # A stroke has one press of the button, a polygon a click for every vertex.
        clicks = max(drawing.vertices, 1)
        drawing_s = clicks * pace.click_s + drawing.length_px / pace.paint_px_s
        return float(pace.search_s + way / pace.move_px_s + switch_s + drawing_s)


def border_band(truth: NDArray[np.uint8]) -> Mask:
    """Pixels within BORDER_PX of one of another class, (H, W)."""
    kernel = _square(BORDER_PX)
    band: Mask = cv2.dilate(truth, kernel) != cv2.erode(truth, kernel)
    return band


def _square(reach: int) -> NDArray[np.uint8]:
    return np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)


def _around(region: Mask, seen: Mask) -> Mask:
    """The connected part of `region` that has most of what was seen."""
    _, numbers = cv2.connectedComponents(region.astype(np.uint8))
    return np.asarray(numbers == int(np.bincount(numbers[seen & region]).argmax()))
