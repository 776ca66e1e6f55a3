"""What the select tool's mouse can be in the middle of. Each drag shows a preview and issues one command.

Nothing is in the document before the button is released: Esc costs nothing, and neither the history, the
autosaver nor the learner sees a shape that is still moving.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QMenu

from app.canvas.handles import moves_by_pixels
from app.canvas.live_shapes import FEW
from app.canvas.outlines import Box
from app.canvas.style import HALO
from app.canvas.tools.base import Pointer
from app.canvas.vertex_sets import vertices_in
from core.annotation.commands import (
    XY,
    ShapeEdit,
    TranslateShapes,
    pasting,
)
from core.annotation.model import Shape

if TYPE_CHECKING:
    from app.canvas.context import ToolContext


class Drag:
    """Base: from a press on, `move` follows the mouse, then `finish` or `cancel`."""

    hint: str = "Release to drop, Esc to cancel"

    def __init__(self, context: ToolContext, start: Pointer) -> None:
        self.context = context
        self.start = start
        self.started = False

    def move(self, pointer: Pointer) -> None:
        """Follow the mouse once it has gone far enough to mean a drag."""
        if not self.started:
            if not pointer.dragged_from(self.start):
                return
            self.started = True
        self.follow(pointer)

    def follow(self, pointer: Pointer) -> None:
        """Show what releasing here would do."""

    def finish(self, pointer: Pointer) -> None:
        """The button went up after a real drag."""

    def cancel(self) -> None:
        """Put back what was shown."""
        self.context.clear_preview()

    def overlay_box(self) -> Box | None:
        """As `Tool.overlay_box`."""
        return None

    def paint(self, painter: QPainter) -> None:
        """As `Tool.paint_overlay`."""


class EditDrag(Drag):
    """A drag that shows one edit of shapes: what is not possible keeps the last one that was."""

    def __init__(self, context: ToolContext, start: Pointer) -> None:
        super().__init__(context, start)
        self._edit: ShapeEdit | None = None

    def show(self, edit: ShapeEdit) -> None:
        """Preview an edit, if it can be done."""
        if self.context.preview(edit):
            self._edit = edit

    def finish(self, pointer: Pointer) -> None:
        """Do what was possible last, unless all is where it was."""
        self.follow(pointer)
        if self._edit is not None and not all(_in_place(*pair) for pair in self._edit.pairs()):
            self.context.issue(self._edit)


class MoveDrag(Drag):
    """The selected shapes follow the mouse, as far as the image reaches."""

    def __init__(self, context: ToolContext, start: Pointer, uids: frozenset[int]) -> None:
        super().__init__(context, start)
        self.uids = uids
        self._box = context.index.box_of(uids)
        document = context.document
        self._whole_pixels = document is not None and moves_by_pixels(map(document.get, uids))

    def offset(self, pointer: Pointer) -> XY:
        """How far the shapes go: they stay inside the image, or as far outside as they were."""
        dx, dy = self.context.bounded(self._box, pointer.x - self.start.x, pointer.y - self.start.y)
        return (float(round(dx)), float(round(dy))) if self._whole_pixels else (dx, dy)

    def follow(self, pointer: Pointer) -> None:
        """Show them there."""
        self.context.preview_shift(self.uids, *self.offset(pointer))

    def finish(self, pointer: Pointer) -> None:
        """Move them."""
        self.move_by(self.offset(pointer))

    def move_by(self, offset: XY) -> None:
        """Move them, if that changes anything."""
        document = self.context.document
        if document is None or offset == (0.0, 0.0) or not all(uid in document for uid in self.uids):
            return
        self.context.issue(TranslateShapes.of(document, self.uids, *offset))
        self.context.end_drag()


class CopyOrMoveDrag(MoveDrag):
    """The right button: shows copies, and asks at the release whether to copy or to move."""

    hint = "Release to copy or move here, Esc to cancel"

    def follow(self, pointer: Pointer) -> None:
        """Show the copies there, the originals where they are."""
        self.context.preview_shift(self.uids, *self.offset(pointer), copies=True)

    def finish(self, pointer: Pointer) -> None:
        """Ask; the preview stays until the answer."""
        offset = self.offset(pointer)
        menu = QMenu(self.context.view)
        menu.setObjectName("copy_or_move_menu")
        menu.addAction("Copy here").triggered.connect(lambda: self._copy(offset))
        menu.addAction("Move here").triggered.connect(lambda: self.move_by(offset))
        menu.addSeparator()
        menu.addAction("Cancel")
        menu.aboutToHide.connect(self.context.clear_preview)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(QPoint(round(pointer.global_pos.x()), round(pointer.global_pos.y())))

    def _copy(self, offset: XY) -> None:
        document = self.context.document
        if document is None:
            return
        order = sorted((uid for uid in self.uids if uid in document), key=document.index_of)
        shapes = [document.get(uid) for uid in order]
        command, copies = pasting(document, shapes, offset=offset, title="Copy here")
        self.context.issue(command)
        self.context.end_drag()
        self.context.select(shape.uid for shape in copies)


class BandDrag(Drag):
    """A rectangle drawn from empty ground selects what is inside; Ctrl keeps what was selected.

    With shapes selected, these are their vertices; else, or where there are none, the shapes it encloses.
    """

    hint = "Release to select what is inside"

    def __init__(self, context: ToolContext, start: Pointer) -> None:
        super().__init__(context, start)
        self._end: XY = start.xy

    def overlay_box(self) -> Box | None:
        """The rectangle."""
        if not self.started:
            return None
        (x0, x1), (y0, y1) = (sorted(pair) for pair in zip(self.start.xy, self._end, strict=True))
        return x0, y0, x1, y1

    def follow(self, pointer: Pointer) -> None:
        """Draw the rectangle to here."""
        self._end = pointer.xy

    def finish(self, pointer: Pointer) -> None:
        """Select."""
        self._end = pointer.xy
        box = self.overlay_box()
        if box is None:
            return
        context, index = self.context, self.context.index
        selected = context.selection
        shapes_wanted = pointer.ctrl and not context.selected_vertices
        if context.document is not None and 0 < len(selected) <= FEW and not shapes_wanted:
            vertices = vertices_in(context.document, selected - index.locked, box)
            if vertices:
                context.select_vertices(vertices | context.selected_vertices if pointer.ctrl else vertices)
                return
        inside = {uid for uid in index.within_reach(box) if _encloses(box, index[uid].box)}
        context.select(inside | selected if pointer.ctrl else inside)

    def paint(self, painter: QPainter) -> None:
        """A dashed rectangle, visible on light and dark."""
        box = self.overlay_box()
        if box is None:
            return
        rect = QRectF(self.context.to_screen(box[:2]), self.context.to_screen(box[2:]))
        painter.setBrush(QColor(255, 255, 255, 28))
        painter.setPen(QPen(HALO, 1))
        painter.drawRect(rect)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(255, 255, 255), 1, Qt.PenStyle.DashLine))
        painter.drawRect(rect)


def _in_place(before: Shape, after: Shape) -> bool:
    """Has no point moved? Adding up offsets leaves a trace of rounding."""
    rings = zip((before.points, *before.holes), (after.points, *after.holes), strict=True)
    return all(old.shape == new.shape and np.allclose(old, new, rtol=0, atol=1e-6) for old, new in rings)


def _encloses(outer: Box, inner: Box) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]
