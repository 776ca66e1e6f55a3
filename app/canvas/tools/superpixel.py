"""Picking superpixels: the image is cut into segments, and a drag paints whole ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
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
from app.canvas.tools.found import Found, FoundRegionTool, found, preview_path
from core.annotation.commands import XY
from core.interactive.superpixels import MIN_SIZE, superpixels
from core.interactive.window import EMPTY, Patch, PixelBox, overlap, window_around

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


@dataclass(slots=True, eq=False)
class _Stroke:
    """What one press paints in, or takes out.

    Attributes:
        removing: it takes out.
        way: of the mouse since the last segment painted, image pixels.
        cut: the one it was painted on last.
        passed: segments of that cut that it has painted.
    """

    removing: bool
    way: list[XY]
    cut: Cut | None = None
    passed: set[int] = field(default_factory=set)

    @property
    def waits(self) -> bool:
        """Is there some way past the segments there are?"""
        return len(self.way) > 1

    def paint(self, painted: Patch, cut: Cut) -> Patch:
        """A region with, or without, the segments of a cut that lie on the way; it goes on from the last."""
        if cut is not self.cut:
            self.cut, self.passed = cut, set()
        reached = [k for k, xy in enumerate(self.way) if _inside(cut.box, xy)]
        if not reached:
            return painted
        labels = chain.from_iterable(cut.labels_between(*step) for step in pairwise(self.way))
        fresh = [label for label in dict.fromkeys(labels) if label not in self.passed]
        self.passed.update(fresh)
        del self.way[: reached[-1]]
        for segment in map(cut.segment, fresh):
            painted = painted.minus(segment) if self.removing else painted.plus(segment)
        return painted


def _cut_and_paint(
    reader: PixelReader, box: PixelBox, size: float, strokes: Iterable[_Stroke], painted: Patch
) -> Found:
    """Worker: a region with strokes whose segments are not there yet."""
    cut = cut_window(reader, box, size)
    for stroke in strokes:
        painted = stroke.paint(painted, cut)
    return found(painted)


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
        self._painted = EMPTY
        self._hovered: int | None = None
        self._hover_path = QPainterPath()
        self._painting = False  # the button is held
        self._strokes: list[_Stroke] = []  # those that wait for segments, and the one being drawn
        self._at: XY | None = None

    def activate(self) -> None:
        """Cut what is in sight."""
        x0, y0, x1, y1 = self.context.visible_box
        if x0 < x1 and y0 < y1:
            self._want_cut(((x0 + x1) / 2, (y0 + y1) / 2))

    def image_readable(self) -> None:
        """Cut what is in sight, if nothing could be cut."""
        if self._wanted is None:
            self.activate()

    def cancel(self) -> None:
        """Drop what is painted, and the segments: another image or tool may come."""
        super().cancel()
        self._drop_cutting()
        self._cut = None
        self._hover(None)

    def forget(self) -> None:
        """What is painted, too; the segments stay for the next ones."""
        super().forget()
        self._painted = EMPTY
        self._painting = False
        self._strokes = []

    @property
    def busy(self) -> bool:
        """Is something painted, or does it wait for segments?"""
        return bool(self._painted.mask.size) or super().busy

    @property
    def searching(self) -> bool:
        """Also while strokes wait for segments."""
        return super().searching or self._waiting

    @property
    def _waiting(self) -> bool:
        return any(stroke.waits for stroke in self._strokes)

    def let_accepted_go(self) -> None:
        """Also what waits for segments: they are cut for it alone, those under way are the next region's."""
        reader = self.context.pixels
        if self._accepting and self._waiting and self._wanted is not None and reader is not None:
            args = reader, *self._wanted, self._strokes, self._painted
            self.work.run(_cut_and_paint, *args, doing="outlining segments", then=self._on_found)
        super().let_accepted_go()

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
        self._hover(None)
        if self._at is not None:
            self._hover(cut.label_at(self._at))
        self._paint()

    def _on_not_cut(self, sentence: str) -> None:
        """Segments may be asked for again: the image may be readable soon."""
        self._wanted = None
        for stroke in self._strokes:
            stroke.way = []
        self._on_failed(sentence)

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
        self._painting = True
        self._strokes.append(_Stroke(pointer.alt, [pointer.xy]))
        self.move(pointer)

    def move(self, pointer: Pointer) -> None:
        """Highlight the segment under the mouse; while painting, take it along."""
        self._at = pointer.xy
        self._want_cut(pointer.xy)
        self._hover(None if self._cut is None else self._cut.label_at(pointer.xy))
        if self._painting:
            self._strokes[-1].way.append(pointer.xy)
            self._paint()

    def _paint(self) -> None:
        """Take the segments along that strokes have passed; those past this cut wait for the next one."""
        before = self._painted
        if self._cut is not None:
            for stroke in self._strokes:
                self._painted = stroke.paint(self._painted, self._cut)
        if self._painted is not before:
            self._outline()
        if not self._cutting.busy:
            self._strokes = self._strokes[-1:] if self._painting else []
        if self._accepting and not self.searching:
            self.accept()

    def _outline(self) -> None:
        if self._painted.mask.size:
            self.work.run(found, self._painted, doing="outlining segments", then=self._on_found)
        else:
            self.work.drop()
            self.show(None)

    def release(self, pointer: Pointer) -> None:
        """End of painting."""
        if pointer.right and not self.busy:
            self.context.request_menu(pointer.global_pos)
        if pointer.left:
            self._painting = False
            self._paint()

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
        if self._painted.mask.size:
            return "Enter accepts; drag paints more segments, Alt+drag takes out, [ and ] size, Esc drops"
        return f"Click or drag to pick segments of {self.size:.0f} px; [ and ] change their size"


def _inside(box: PixelBox, xy: XY) -> bool:
    return box[0] <= xy[0] < box[2] and box[1] <= xy[1] < box[3]


def _grown(box: PixelBox, by: float) -> PixelBox:
    rim = int(by)
    return max(0, box[0] - rim), max(0, box[1] - rim), box[2] + rim, box[3] + rim
