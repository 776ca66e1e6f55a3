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
from app.canvas.outlines import mask_rings
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

    A new map costs three passes over bytes, whatever is shown; a new opacity or class colour costs 256 table
    entries.
    """

    margin = 0.0

    def __init__(self) -> None:
        self._classes: NDArray[np.uint8] | None = None
        self._codes: NDArray[np.uint8] | None = None
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

    def set_prediction(
        self, classes: NDArray[np.uint8] | None, confidence: NDArray[np.uint8] | None = None
    ) -> None:
        """Show a class map (H, W), uint8 mask values, tinted by confidence (H, W), uint8 0..255, if known."""
        if classes is not None and confidence is not None and classes.shape != confidence.shape:
            raise ValueError(f"classes are {classes.shape} and their confidence is {confidence.shape}")
        self._classes = None if classes is None else np.array(classes, np.uint8, order="C")
        self._confidence = confidence
        self._region = None
        self._encode()

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
        ranks = np.zeros(256, np.uint8)
        for rank, label_class in enumerate(self._class_list.classes):
            ranks[label_class.index] = (rank + 1 if self._by_confidence() else rank) & 255
        if self._by_confidence():
            codes = cv2.LUT(self._classes, ranks * _LEVELS)
            if self._confidence is not None:
                steps = (np.arange(256) * _LEVELS // 256).astype(np.uint8)
                codes = cv2.add(codes, cv2.LUT(np.ascontiguousarray(self._confidence), steps))
            else:
                codes = codes + np.uint8(_LEVELS - 1)
            self._codes = np.asarray(codes, np.uint8)
        else:
            self._codes = self._classes

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
            paint_sampled(target, rect, frame, self._codes, self._table)

    # --- regions ------------------------------------------------------------------------------------------

    def region_at(self, x: float, y: float) -> Region | None:
        """The area of one class under a point; None on background, unlabelled and outside.

        Diagonal neighbours are connected, as in `core.annotation.vectorize.connected_region`. The last
        region is remembered: moving within it costs nothing.
        """
        if self._classes is None:
            return None
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


def paint_sampled(
    target: QImage, rect: QRect, frame: Frame, codes: NDArray[np.uint8], table: Sequence[int]
) -> None:
    """Draw the part of a map inside `rect`, in the colours of a table.

    The map is sampled at the centres of the viewport's pixels, so that the cost follows the window and not
    the image.

    Args:
        target: transparent there.
        rect: device pixels.
        frame: where the image stands.
        codes: (H, W) uint8, at the image's size.
        table: of every code 0xAARRGGBB.
    """
    height, width = codes.shape
    columns = np.floor((np.arange(rect.width()) + rect.x() + 0.5 - frame.dx) / frame.scale).astype(np.intp)
    rows = np.floor((np.arange(rect.height()) + rect.y() + 0.5 - frame.dy) / frame.scale).astype(np.intp)
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
