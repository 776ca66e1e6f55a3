"""Base of tools that find a region by its pixels: computed in a worker, shown, accepted or dropped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPainterPath

from app.canvas.context import ToolContext
from app.canvas.outlines import Box, outline_of
from app.canvas.painting import draw_line, path_of, path_of_rings
from app.canvas.pixels import Latest
from app.canvas.style import line_pen
from app.canvas.tools.base import Tool
from app.canvas.tools.half_drawn import FINISH_KEYS
from core.annotation.document import AnnotationDocument, Change
from core.annotation.model import LabelClass, Shape, ShapeType
from core.interactive.window import Patch

TOLERANCE: Final = 0.7
"""How far outlines are simplified, pixels: few enough vertices to edit, true to the pixels."""
SMALLEST: Final = 4
"""Parts and holes of fewer pixels are noise."""
_MANY: Final = 4000
"""Wide pens on a coastline of so many corners take seconds; hairlines are a fast path."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A region and the shapes it would become."""

    patch: Patch
    shapes: tuple[Shape, ...]


def found(patch: Patch) -> Found:
    """Worker: outline a region."""
    return Found(patch, patch.shapes("", TOLERANCE, smallest=SMALLEST))


def outlined(function: Callable[..., Patch], *args: Any) -> Found:
    """Worker: find a region, and outline it."""
    return found(function(*args))


def preview_path(shapes: tuple[Shape, ...]) -> QPainterPath:
    """Outlines in image coordinates."""
    path = QPainterPath()
    path.setFillRule(Qt.FillRule.OddEvenFill)
    for shape in shapes:
        if shape.shape_type is ShapeType.POLYGON:
            path.addPath(path_of_rings((shape.points, *shape.holes)))
        else:
            path.addPath(path_of(outline_of(shape)))
    return path


def paint_region(painter: QPainter, path: QPainterPath, color: QColor, *, alpha: int = 72) -> None:
    """Tint a region and draw its outline; a path in viewport coordinates."""
    tint = QColor(color)
    tint.setAlpha(alpha)
    painter.fillPath(path, tint)
    if path.elementCount() <= _MANY:
        draw_line(painter, path, color, 2.0)
    else:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(line_pen(color, 1))
        painter.drawPath(path)


class FoundRegionTool(Tool):
    """Shows what was found. Enter, Space or a double-click makes it shapes, Esc drops it."""

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self.work = Latest(context.runner, context.view)
        self.work.failed.connect(self._on_failed)
        self.work.changed.connect(context.refresh)
        self.found: Found | None = None
        self._path = QPainterPath()
        self._accepting = False  # as soon as it is found
        self._accepted_as: LabelClass | None = None  # the active class then
        self._handed_over: frozenset[int] = frozenset()  # uids of what was accepted

    @property
    def busy(self) -> bool:
        """Is something found, or being looked for?"""
        return self.found is not None or self.searching

    @property
    def searching(self) -> bool:
        """Is there more to come than what is found already?"""
        return self.work.busy

    def cancel(self) -> None:
        """Drop what was found; what was accepted is added as soon as it is."""
        self.let_accepted_go()
        self.forget()

    def forget(self) -> None:
        """Begin anew: it was dropped, or is in the document."""
        self.work.drop()
        self.show(None)
        self._accepting = False
        self._handed_over = frozenset()

    def document_changed(self, change: Change) -> None:
        """What was accepted is in the document, once its label has been asked for."""
        if change.kind == "inserted" and change.uid in self._handed_over:
            self.forget()

    # --- finding ------------------------------------------------------------------------------------------

    def let_accepted_go(self) -> None:
        """The tool goes on to something else: what was accepted before it was found is added when it is."""
        if self._accepting:
            document = self.context.document
            self.work.let_go(
                partial(self._add, document, self._accepted_as), partial(self._on_not_added, document)
            )
            self.forget()

    def _add(
        self, document: AnnotationDocument | None, label_class: LabelClass | None, result: Found
    ) -> None:
        if self._is_shown(document):
            self.context.add_drawn(*result.shapes, label_class=label_class)

    def _on_not_added(self, document: AnnotationDocument | None, sentence: str) -> None:
        if self._is_shown(document):
            self.context.say(sentence)

    def _is_shown(self, document: AnnotationDocument | None) -> bool:
        """Can it still be drawn on? Else that is what is told."""
        shown = document is self.context.document
        if not shown:
            self.context.say("A region you accepted was not added: its image was left before it was found.")
        return shown

    def look(self, function: Callable[..., Patch], *args: Any, doing: str = "finding a region") -> None:
        """Compute a region in the worker and show it; only the newest request counts."""
        self.work.run(outlined, function, *args, doing=doing, then=self._on_found)

    def _on_found(self, result: Found) -> None:
        self.show(result)
        if self._accepting and not self.searching:
            self.accept()

    def _on_failed(self, sentence: str) -> None:
        """What was not found is not accepted, nor is what is looked for next."""
        self._accepting = False
        self.context.say(sentence)

    def show(self, result: Found | None) -> None:
        """Show a region, or none."""
        self.found = result
        self._path = QPainterPath() if result is None else preview_path(result.shapes)

    def accept(self) -> None:
        """Make it shapes of the class active now; as soon as it is found. It stays in sight until it is."""
        if self.searching:
            self._accepting, self._accepted_as = True, self.context.active_class
            return
        label_class = (self._accepted_as if self._accepting else None) or self.context.active_class
        self._accepting = False
        if self.found is None:
            return
        shapes = self.found.shapes
        if not shapes:
            self.forget()
            self.context.say("Nothing was found here, so there is nothing to add.")
            return
        self._handed_over = frozenset(shape.uid for shape in shapes)
        if self.context.add_drawn(*shapes, label_class=label_class, kept=True) and label_class is not None:
            self.forget()

    # --- keys ---------------------------------------------------------------------------------------------

    def claims(self, event: QKeyEvent) -> bool:
        """What accepts and drops."""
        return self.busy and (event.key() in FINISH_KEYS or event.key() == Qt.Key.Key_Escape)

    def key(self, event: QKeyEvent) -> bool:
        """Accept or drop."""
        if not self.claims(event):
            return False
        if event.key() == Qt.Key.Key_Escape:
            self.forget()
        elif event.key() in FINISH_KEYS and not event.isAutoRepeat():
            self.accept()
        return True

    # --- looks --------------------------------------------------------------------------------------------

    def overlay_box(self) -> Box | None:
        """Around what was found."""
        if self._path.isEmpty():
            return None
        rect = self._path.boundingRect()
        return rect.left(), rect.top(), rect.right(), rect.bottom()

    def paint_overlay(self, painter: QPainter) -> None:
        """What was found."""
        if not self._path.isEmpty():
            paint_region(painter, self.context.to_viewport_path(self._path), self.context.drawing_color)
