"""The prediction over the image: tinted classes, fainter where the network doubts; and its regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect
from PySide6.QtGui import QImage, QPainter

from app.canvas.layer_cache import Frame
from app.canvas.outlines import Box, mask_rings
from core.annotation.model import UNLABELLED, ClassList, Points

_LEVELS: Final = 4
"""Steps of confidence an 8-bit code leaves room for beside 63 classes."""
_MAX_CLASSES: Final = 256 // _LEVELS - 1


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A connected area of one predicted class.

    Attributes:
        label_index: its class.
        box: in image pixels.
        mask: bool (h, w), cropped to the box.
        rings: its borders along pixel edges, image coordinates.
    """

    label_index: int
    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_]
    rings: tuple[Points, ...]

    def contains(self, x: int, y: int) -> bool:
        """Is this pixel of the image part of the region?"""
        x0, y0, x1, y1 = self.box
        return x0 <= x < x1 and y0 <= y < y1 and bool(self.mask[y - y0, x - x0])


class PredictionLayer:
    """Draws a class map as an indexed picture whose colour table carries colour and opacity.

    A new map costs three passes over bytes, whatever is shown; a new part of it, passes over that part; a new
    opacity or class colour costs 256 table entries. The map may be of a region of the image, and coarser.
    """

    margin = 0.0

    def __init__(self) -> None:
        self._classes: NDArray[np.uint8] | None = None
        self._codes: NDArray[np.uint8] | None = None
        self._region_box: Box | None = None
        self._class_list = ClassList()
        self._table: list[int] = [0] * 256
        self._confidence: NDArray[np.uint8] | None = None
        self._opacity = 0.5
        self._region: Region | None = None
        self._flood_marks: NDArray[np.uint8] | None = None
        self.visible = True

    # --- what is shown ------------------------------------------------------------------------------------

    @property
    def classes(self) -> NDArray[np.uint8] | None:
        """The class map (H, W), uint8 mask values; None without a prediction."""
        return self._classes

    @property
    def confidence(self) -> NDArray[np.uint8] | None:
        """The confidence (H, W), uint8 0..255; None where it is not known."""
        return self._confidence

    @property
    def opacity(self) -> float:
        """0 (invisible) to 1."""
        return self._opacity

    @property
    def region_box(self) -> Box | None:
        """x0, y0, x1, y1 of the image that the map is of; None: of all of it, pixel by pixel."""
        return self._region_box

    def set_prediction(
        self,
        classes: NDArray[np.uint8] | None,
        confidence: NDArray[np.uint8] | None = None,
        region: Box | None = None,
    ) -> None:
        """Show a class map (H, W), uint8 mask values, tinted by confidence (H, W), uint8 0..255, if known.

        With a region the map is stretched over that part of the image.
        """
        _check_shapes(classes, confidence)
        self._classes = None if classes is None else np.array(classes, np.uint8, order="C")
        self._confidence = confidence
        self._region_box = region
        self._region = None
        self._encode()

    def update(
        self, box: tuple[int, int, int, int], classes: NDArray[np.uint8], confidence: NDArray[np.uint8]
    ) -> None:
        """Show something else in a part x0, y0, x1, y1 of the map (H, W) that is shown, with a confidence."""
        _check_shapes(classes, confidence)
        assert self._classes is not None
        assert self._confidence is not None
        assert self._codes is not None
        x0, y0, x1, y1 = box
        part = slice(y0, y1), slice(x0, x1)
        if not self._confidence.flags.writeable:
            self._confidence = self._confidence.copy()
        self._classes[part] = classes
        self._confidence[part] = confidence
        self._codes[part] = self._coded(self._classes[part], self._confidence[part])
        self._region = None

    def set_classes(self, class_list: ClassList) -> None:
        """Use these classes' colours."""
        self._class_list = class_list
        self._encode()

    def set_opacity(self, opacity: float) -> None:
        """0 (invisible) to 1."""
        self._opacity = min(1.0, max(0.0, opacity))
        self._fill_table()

    def _encode(self) -> None:
        """Put display position and confidence step of every pixel into one byte."""
        self._fill_table()
        if self._classes is None:
            self._codes = None
            return
        self._codes = self._coded(self._classes, self._confidence)

    def _coded(self, classes: NDArray[np.uint8], confidence: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        if not self._by_confidence():
            return classes
        ranks = np.zeros(256, np.uint8)
        for rank, label_class in enumerate(self._class_list.classes):
            ranks[label_class.index] = (rank + 1) & 255
        codes = cv2.LUT(np.ascontiguousarray(classes), ranks * _LEVELS)
        if confidence is not None:
            steps = (np.arange(256) * _LEVELS // 256).astype(np.uint8)
            codes = cv2.add(codes, cv2.LUT(np.ascontiguousarray(confidence), steps))
        else:
            codes = codes + np.uint8(_LEVELS - 1)
        return np.asarray(codes, np.uint8)

    def _by_confidence(self) -> bool:
        return len(self._class_list) <= _MAX_CLASSES

    def _fill_table(self) -> None:
        table = [0] * 256
        for rank, label_class in enumerate(self._class_list.classes):
            if label_class.index == self._class_list.background:
                continue
            red, green, blue = label_class.rgb
            rgb = red << 16 | green << 8 | blue
            if self._by_confidence():
                for level in range(_LEVELS):
                    # The least sure quarter keeps 0.4 of the opacity: still seen, plainly weaker.
                    share = 0.4 + 0.6 * level / (_LEVELS - 1)
                    table[(rank + 1) * _LEVELS + level] = round(255 * self._opacity * share) << 24 | rgb
            else:
                table[label_class.index] = round(255 * self._opacity) << 24 | rgb
        self._table = table

    # --- drawing ------------------------------------------------------------------------------------------

    def render(self, target: QImage, rect: QRect, frame: Frame) -> None:
        """Draw the part inside `rect`; see `layer_cache.Layer`."""
        if self._codes is not None and self.visible and self._opacity > 0:
            paint_sampled(target, rect, frame, self._codes, self._table, self._region_box)

    # --- regions ------------------------------------------------------------------------------------------

    def region_at(self, x: float, y: float) -> Region | None:
        """The area of one class under a point; None on background, unlabelled and outside.

        Diagonal neighbours are connected, as in `core.annotation.vectorize.connected_region`. The last
        region is remembered: moving within it costs nothing.
        """
        if self._classes is None or self._region_box is not None:
            return None  # a region of a huge image that is cut off by the view is none
        column, row = int(np.floor(x)), int(np.floor(y))
        height, width = self._classes.shape
        if not (0 <= column < width and 0 <= row < height):
            return None
        if self._region is not None and self._region.contains(column, row):
            return self._region
        value = int(self._classes[row, column])
        if value in (UNLABELLED, self._class_list.background):
            return None
        self._region = self._flood(column, row, value)
        return self._region

    def _flood(self, x: int, y: int, value: int) -> Region:
        assert self._classes is not None
        height, width = self._classes.shape
        marks = self._flood_marks
        if marks is None or marks.shape != (height + 2, width + 2):
            marks = self._flood_marks = np.zeros((height + 2, width + 2), np.uint8)
        flags = 8 | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
        *_, (left, top, wide, high) = cv2.floodFill(self._classes, marks, (x, y), 0, 0, 0, flags)
        marked = marks[top + 1 : top + 1 + high, left + 1 : left + 1 + wide]
        mask = marked.astype(np.bool_)
        marked.fill(0)  # not a new buffer for every region: it is as large as the image
        corner = np.array([left, top])
        rings = tuple(ring + corner for ring in mask_rings(mask))
        return Region(value, (left, top, left + wide, top + high), mask, rings)


def _check_shapes(classes: NDArray[np.uint8] | None, confidence: NDArray[np.uint8] | None) -> None:
    if classes is not None and confidence is not None and classes.shape != confidence.shape:
        raise ValueError(f"classes are {classes.shape} and their confidence is {confidence.shape}")


def paint_sampled(
    target: QImage,
    rect: QRect,
    frame: Frame,
    codes: NDArray[np.uint8],
    table: Sequence[int],
    region: Box | None = None,
) -> None:
    """Draw the part of a map inside `rect`, in the colours of a table.

    The map is sampled at the centres of the viewport's pixels, so that the cost follows the window and not
    the image.

    Args:
        target: transparent there.
        rect: device pixels.
        frame: where the image stands.
        codes: (H, W) uint8.
        table: of every code 0xAARRGGBB.
        region: x0, y0, x1, y1: what of the image they are of, perhaps coarser; None: all, pixel by pixel.
    """
    height, width = codes.shape
    x0, y0, x1, y1 = (0, 0, width, height) if region is None else region
    across, down = width / (x1 - x0), height / (y1 - y0)
    x = (np.arange(rect.width()) + rect.x() + 0.5 - frame.dx) / frame.scale
    y = (np.arange(rect.height()) + rect.y() + 0.5 - frame.dy) / frame.scale
    columns = np.floor((x - x0) * across).astype(np.intp)
    rows = np.floor((y - y0) * down).astype(np.intp)
    in_columns = np.flatnonzero((columns >= 0) & (columns < width))
    in_rows = np.flatnonzero((rows >= 0) & (rows < height))
    if len(in_columns) == 0 or len(in_rows) == 0:
        return
    sampled = np.ascontiguousarray(codes[rows[in_rows]].take(columns[in_columns], axis=1))
    picture = QImage(
        sampled.data, sampled.shape[1], sampled.shape[0], sampled.shape[1], QImage.Format.Format_Indexed8
    )
    picture.setColorTable(table)
    painter = QPainter(target)
    painter.drawImage(rect.x() + int(in_columns[0]), rect.y() + int(in_rows[0]), picture)
    painter.end()
