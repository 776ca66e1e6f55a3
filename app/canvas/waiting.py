"""Shapes that are drawn and have no label yet: on show until they get one, or are dropped on purpose."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeAlias

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPainterPath

from app.canvas.outlines import outline_of
from app.canvas.painting import draw_line, path_of
from app.canvas.style import FRESH_COLOR
from core.annotation.document import Change
from core.annotation.model import LabelClass, Shape

if TYPE_CHECKING:
    from app.canvas.context import ToolContext

_Batches: TypeAlias = tuple[tuple[Shape, ...], ...]
"""What was drawn in one go each time, the latest last."""
_POINT_RADIUS: Final = 4.0
_ASK_KEYS: Final = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_DROP_KEYS: Final = (Qt.Key.Key_Escape, Qt.Key.Key_Backspace)


class WaitingShapes:
    """What tools that draw in one go have handed over while no class is active.

    The question for their label may be cancelled: nothing is lost by that. Choosing a class labels them,
    Enter asks again, Backspace or Ctrl+Z drops the last one, Esc all. What is drawn meanwhile waits with
    them. Each image has its own, which wait on when another image is shown, or another project is open.
    """

    def __init__(self, context: ToolContext) -> None:
        self._context = context
        self._image_key = ""
        self._of_images: dict[str, _Batches] = {}

    @property
    def _batches(self) -> _Batches:
        return () if self._context.document is None else self._of_images.get(self._image_key, ())

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """In the order in which they were drawn."""
        return tuple(chain.from_iterable(self._batches))

    def add(self, shapes: tuple[Shape, ...]) -> None:
        """Let these wait, drawn in one go."""
        self._keep((*self._batches, shapes))

    def take(self, label_class: LabelClass) -> None:
        """A class was chosen: all that waits on this image gets it."""
        self._context.add_drawn(*self.shapes, label_class=label_class)
        self._context.view.refresh_tool()

    def image_changed(self, key: str) -> None:
        """The document of the image of this key, which no image of another project has, is on show."""
        self._image_key = key

    def document_changed(self, change: Change) -> None:
        """See `labelled`."""
        if change.kind == "inserted" and change.uid is not None:
            self.labelled((change.uid,))

    def labelled(self, uids: Collection[int]) -> None:
        """What was drawn in one go, on any image, waits no longer when some of it is in the document.

        Not all of it has to come there: where only free pixels are taken, little may be left.
        """
        for key, batches in self._of_images.items():
            left = tuple(batch for batch in batches if all(shape.uid not in uids for shape in batch))
            if left != batches:
                self._of_images[key] = left
                self._context.view.viewport().update()

    @property
    def count(self) -> int:
        """So many shapes wait, on all images."""
        return sum(len(batch) for batches in self._of_images.values() for batch in batches)

    def _keep(self, batches: _Batches) -> None:
        if self._context.document is not None:
            self._of_images[self._image_key] = batches
        self._context.view.viewport().update()

    # --- keys ---------------------------------------------------------------------------------------------

    def claims(self, event: QKeyEvent) -> bool:
        """While some wait: what asks again and what drops them."""
        if not self._batches:
            return False
        if event.modifiers() == Qt.KeyboardModifier.ControlModifier:
            return event.key() == Qt.Key.Key_Z
        return event.key() in (*_ASK_KEYS, *_DROP_KEYS)

    def key(self, event: QKeyEvent) -> bool:
        """See `claims`."""
        if not self.claims(event):
            return False
        if event.key() in _ASK_KEYS:
            if not event.isAutoRepeat():
                self._context.view.label_asked_again.emit(self.shapes)
        else:
            self._keep(() if event.key() == Qt.Key.Key_Escape else self._batches[:-1])
        return True

    # --- looks --------------------------------------------------------------------------------------------

    @property
    def hint(self) -> str:
        """What becomes of them; "" while none wait."""
        match len(self.shapes):
            case 0:
                return ""
            case 1:
                return "This shape waits for its label: choose a class, or press Enter; Esc drops it"
            case count:
                return f"{count} shapes wait for their label: choose a class, or press Enter; Esc drops them"

    def paint(self, painter: QPainter) -> None:
        """Their outlines, tinted, in viewport coordinates."""
        for shape in self.shapes:
            outline = outline_of(shape)
            path = self._context.to_viewport_path(path_of(outline))
            if outline.closed:
                tint = QColor(FRESH_COLOR)
                tint.setAlpha(40)
                painter.fillPath(path, tint)
            elif len(shape.points) == 1:
                path = QPainterPath()
                path.addEllipse(self._context.to_screen(shape.points[0]), _POINT_RADIUS, _POINT_RADIUS)
            draw_line(painter, path, FRESH_COLOR, 2.0)
