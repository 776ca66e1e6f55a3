"""Picking superpixels: the image is cut into segments, and a drag paints whole ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QImage, QKeyEvent, QPainter, QPainterPath

from app.canvas.context import ToolContext
from app.canvas.outlines import Box
from app.canvas.painting import draw_line
from app.canvas.pixels import Latest, PixelReader
from app.canvas.shape_index import union
from app.canvas.tools.base import Pointer
from app.canvas.tools.found import FoundRegionTool, found, preview_path
from core.annotation.commands import XY
from core.interactive.superpixels import MIN_SIZE, superpixels
from core.interactive.window import Patch, PixelBox, overlap, window_around

_WINDOW_PIXELS: Final = 2_000_000
"""Pixels cut into segments at once, around the mouse: some 0.7 s in the worker."""
_FIRST_SIZE: Final = 16.0
_LARGEST_SIZE: Final = 200.0
_STEP: Final = 1.25
_LINE: Final = (255, 255, 255, 70)
"""Borders of segments: white, hardly to be seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A window of the image, cut into segments.

    Attributes:
        labels: (h, w) int32.
        places: (n, 4): x0, y0, x1, y1 of each segment in the window.
        box: the window.
        size: of the segments, pixels.
        borders: a picture of the segments' borders, one pixel a pixel.
    """

    labels: NDArray[np.int32]
    places: NDArray[np.int64]
    box: PixelBox
    size: float
    borders: QImage

    def label_at(self, xy: XY) -> int | None:
        """The segment under a point."""
        column, row = int(xy[0] // 1) - self.box[0], int(xy[1] // 1) - self.box[1]
        height, width = self.labels.shape
        return int(self.labels[row, column]) if 0 <= row < height and 0 <= column < width else None

    def labels_between(self, start: XY, end: XY) -> list[int]:
        """The segments on the way from one point to another, in order: a fast mouse passes several."""
        steps = max(1, int(np.hypot(end[0] - start[0], end[1] - start[1]) / (self.size / 4)))
        way = [
            (start[0] + (end[0] - start[0]) * k / steps, start[1] + (end[1] - start[1]) * k / steps)
            for k in range(steps + 1)
        ]
        passed = dict.fromkeys(self.label_at(point) for point in way)
        return [label for label in passed if label is not None]

    def segment(self, label: int) -> Patch:
        """The pixels of a segment."""
        x0, y0, x1, y1 = self.places[label].tolist()
        mask = self.labels[y0:y1, x0:x1] == label
        return Patch(mask, self.box[0] + x0, self.box[1] + y0)


def cut_window(reader: PixelReader, box: PixelBox, size: float) -> Cut:
    """Worker: cut a window of the image into segments."""
    labels = superpixels(reader.window(box), size)
    edges = np.zeros((*labels.shape, 4), dtype=np.uint8)
    differs = np.zeros(labels.shape, dtype=np.bool_)
    differs[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    differs[1:] |= labels[1:] != labels[:-1]
    edges[differs] = _LINE
    height, width = labels.shape
    borders = QImage(edges.data, width, height, 4 * width, QImage.Format.Format_RGBA8888)
    return Cut(
        labels, _places(labels), box, size, borders.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
    )


def _places(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """The box of each label (n, 4): looking for one segment in the whole window would slow the mouse down."""
    height, width = labels.shape
    flat = labels.ravel()
    rows = np.repeat(np.arange(height), width)
    places = np.zeros((int(flat.max()) + 1, 4), dtype=np.int64)
    # Columns and rows in falling order: the last one written, which stays, is the least; and the reverse.
    places[flat[::-1], 1] = rows[::-1]
    places[flat, 3] = rows + 1
    by_column = labels.T.ravel()
    columns = np.repeat(np.arange(width), height)
    places[by_column[::-1], 0] = columns[::-1]
    places[by_column, 2] = columns + 1
    return places


class SuperpixelTool(FoundRegionTool):
    """The segment under the mouse is highlighted; a click or drag paints segments in, with Alt out.

    The bracket keys change the size of segments; what is painted already stays. Enter makes it a polygon.
    """

    name = "superpixel"
    title = "Superpixels"

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self.size = _FIRST_SIZE
        """Of segments, image pixels."""
        self._cutting = Latest(context.runner, context.view)
        self._cutting.failed.connect(self._on_not_cut)
        self._cutting.changed.connect(context.refresh)
        self._cut: Cut | None = None
        self._wanted: tuple[PixelBox, float] | None = None
        self._painted: Patch | None = None
        self._hovered: int | None = None
        self._hover_path = QPainterPath()
        self._painting = False  # the button is held
        self._removing = False
        self._way: list[XY] = []  # of the mouse since the last segment painted
        self._passed: set[int] = set()  # segments of the cut that the stroke has painted
        self._at: XY | None = None

    def activate(self) -> None:
        """Cut what is in sight."""
        x0, y0, x1, y1 = self.context.visible_box
        if x0 < x1 and y0 < y1:
            self._want_cut(((x0 + x1) / 2, (y0 + y1) / 2))

    def cancel(self) -> None:
        """Drop what is painted, and the segments: another image or tool may come."""
        super().cancel()
        self._drop_cutting()
        self._cut = None
        self._hover(None)

    def forget(self) -> None:
        """What is painted, too; the segments stay for the next ones."""
        super().forget()
        self._painted = None
        self._painting = False
        self._way = []

    @property
    def busy(self) -> bool:
        """Is something painted?"""
        return self._painted is not None or super().busy

    # --- segments -----------------------------------------------------------------------------------------

    def _want_cut(self, xy: XY) -> None:
        """Have segments around a point, of the size chosen."""
        reader = self.context.pixels
        if reader is None or self.context.document is None:
            return
        if self._wanted is not None and self._wanted[1] == self.size and _inside(self._wanted[0], xy):
            return
        box = window_around(xy, (reader.height, reader.width), _WINDOW_PIXELS)
        box = overlap(box, _grown(self.context.visible_box, 2 * self.size))
        if box[0] >= box[2] or box[1] >= box[3] or not _inside(box, xy):
            return
        self._wanted = box, self.size
        self._cutting.run(
            cut_window, reader, box, self.size, doing="cutting the image into segments", then=self._on_cut
        )

    def _drop_cutting(self) -> None:
        """No segments are wanted any more."""
        self._cutting.drop()
        self._wanted = None

    def _on_cut(self, cut: Cut) -> None:
        self._cut = cut
        self._passed = set()
        self._hover(None)
        if self._at is not None:
            self._hover(cut.label_at(self._at))
        self._paint_way()

    def _on_not_cut(self, sentence: str) -> None:
        """Segments may be asked for again: the image may be readable soon."""
        self._wanted = None
        self._way = []
        self.context.say(sentence)

    def _hover(self, label: int | None) -> None:
        if label == self._hovered:
            return
        self._hovered = label
        self._hover_path = QPainterPath()
        if label is not None and self._cut is not None:
            self._hover_path = preview_path(self._cut.segment(label).shapes(""))

    # --- mouse --------------------------------------------------------------------------------------------

    def press(self, pointer: Pointer) -> None:
        """Begin painting segments, or with Alt taking them out."""
        if not pointer.left or self.context.document is None:
            return
        self.let_accepted_go()
        self._painting, self._removing = True, pointer.alt
        self._way, self._passed = [pointer.xy], set()
        self.move(pointer)

    def move(self, pointer: Pointer) -> None:
        """Highlight the segment under the mouse; while painting, take it along."""
        self._at = pointer.xy
        self._want_cut(pointer.xy)
        self._hover(None if self._cut is None else self._cut.label_at(pointer.xy))
        if self._painting:
            self._way.append(pointer.xy)
            self._paint_way()

    def _paint_way(self) -> None:
        """Take the segments along that the mouse has passed; those past this cut wait for the next one."""
        cut = self._cut
        reached = [] if cut is None else [k for k, xy in enumerate(self._way) if _inside(cut.box, xy)]
        if cut is not None and reached:
            labels = chain.from_iterable(cut.labels_between(*step) for step in pairwise(self._way))
            fresh = [label for label in dict.fromkeys(labels) if label not in self._passed]
            self._passed.update(fresh)
            del self._way[: reached[-1]]
            if fresh:
                self._paint([cut.segment(label) for label in fresh])
        if not (self._painting or self._cutting.busy):
            self._way = []

    def _paint(self, segments: Iterable[Patch]) -> None:
        for segment in segments:
            if self._removing:
                left = None if self._painted is None else self._painted.minus(segment)
                self._painted = left if left is not None and left.area else None
            else:
                self._painted = segment if self._painted is None else self._painted.plus(segment)
        if self._painted is None:
            self.work.drop()
            self.show(None)
        else:
            self.work.run(found, self._painted, doing="outlining segments", then=self._on_found)

    def release(self, pointer: Pointer) -> None:
        """End of painting."""
        if pointer.right and not self.busy:
            self.context.request_menu(pointer.global_pos)
        if pointer.left:
            self._painting = False
            self._paint_way()

    def double_click(self, pointer: Pointer) -> None:
        """Accept, with the segment of the first press."""
        if pointer.left and self.busy:
            self.accept()

    def leave(self) -> None:
        """Highlight nothing."""
        self._at = None
        self._hover(None)

    # --- keys ---------------------------------------------------------------------------------------------

    def claims(self, event: QKeyEvent) -> bool:
        """Also the bracket keys."""
        return super().claims(event) or event.key() in (Qt.Key.Key_BracketLeft, Qt.Key.Key_BracketRight)

    def key(self, event: QKeyEvent) -> bool:
        """Smaller or larger segments; accept, drop."""
        if event.key() in (Qt.Key.Key_BracketLeft, Qt.Key.Key_BracketRight):
            larger = event.key() == Qt.Key.Key_BracketRight
            size = round(self.size * (_STEP if larger else 1 / _STEP))
            self._set_size(float(min(_LARGEST_SIZE, max(MIN_SIZE, size))))
            return True
        return super().key(event)

    def _set_size(self, size: float) -> None:
        if size == self.size:
            return
        self.size = size
        self._drop_cutting()
        if self._at is not None:
            self._want_cut(self._at)
        else:
            self.activate()

    # --- looks --------------------------------------------------------------------------------------------

    def overlay_box(self) -> Box | None:
        """Around the window with its segments, and what is painted."""
        boxes = [] if (box := super().overlay_box()) is None else [box]
        if self._cut is not None:
            x0, y0, x1, y1 = self._cut.box
            boxes.append((float(x0), float(y0), float(x1), float(y1)))
        return union(boxes) if boxes else None

    def paint_overlay(self, painter: QPainter) -> None:
        """Borders of the segments, what is painted, the segment under the mouse."""
        if self._cut is not None:
            x0, y0, x1, y1 = self._cut.box
            where = QRectF(self.context.to_screen((x0, y0)), self.context.to_screen((x1, y1)))
            # Borders are a pixel of the image wide: magnified they are paler, so that the image is seen.
            painter.setOpacity(max(0.3, min(1.0, 1 / self.context.scale)))
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self.context.scale < 1)
            painter.drawImage(where, self._cut.borders)
            painter.setOpacity(1.0)
        super().paint_overlay(painter)
        if not self._hover_path.isEmpty():
            path = self.context.to_viewport_path(self._hover_path)
            painter.fillPath(path, QColor(255, 255, 255, 40))
            draw_line(painter, path, QColor(255, 255, 255), 1.5)

    @property
    def hint(self) -> str:
        """What to do next."""
        if self._cutting.busy:
            return f"Cutting the image into segments of {self.size:.0f} px …"
        if self._painted is not None:
            return "Enter accepts; drag paints more segments, Alt+drag takes out, [ and ] size, Esc drops"
        return f"Click or drag to pick segments of {self.size:.0f} px; [ and ] change their size"


def _inside(box: PixelBox, xy: XY) -> bool:
    return box[0] <= xy[0] < box[2] and box[1] <= xy[1] < box[3]


def _grown(box: PixelBox, by: float) -> PixelBox:
    rim = int(by)
    return max(0, box[0] - rim), max(0, box[1] - rim), box[2] + rim, box[3] + rim
