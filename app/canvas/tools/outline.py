"""The base of tools that lead an outline from click to click: polygon, line strip, live wire.

What is clicked is in `points`. Subclasses say what else of an outline is to be kept when it is dropped
(`_unfinished`), and how it is taken up again (`_resume`).
"""

from __future__ import annotations

from typing import Generic, TypeVar

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QKeyEvent, QPainter

from app.canvas.context import ToolContext
from app.canvas.painting import draw_handle
from app.canvas.style import DRAG_START, HANDLE_HOT, HANDLE_RADIUS
from app.canvas.tools.base import Pointer, Tool
from app.canvas.tools.half_drawn import DroppedOutlines, brings_back, steers, takes_back
from app.canvas.tools.snap_mark import paint_snap
from core.annotation.commands import XY
from core.annotation.document import Change
from core.annotation.model import Shape
from core.polygons.snapping import Snap

T = TypeVar("T")


class OutlineTool(Tool, Generic[T]):
    """Enter, Space or a double-click finishes; Backspace or Ctrl+Z takes the last point back.

    Points snap to vertices and edges of other shapes; Alt suspends that.

    Where a label has to be asked for, the finished outline stays in sight until the shape is in the document.
    When the question is cancelled it is half drawn again. An outline that Esc, another tool or another image
    ended is brought back by Backspace: sixty points are not lost by one key.
    """

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self.points: list[XY] = []
        self._at: XY | None = None  # where a press would put the next point
        self._snap: Snap | None = None
        self._closing = False
        self._asking = False  # finished, and waiting for its label
        self._finished_uid: int | None = None  # of the shape last handed over
        self._dropped: DroppedOutlines[T] = DroppedOutlines(context)

    # --- what subclasses say ------------------------------------------------------------------------------

    def _unfinished(self) -> T:
        """All that is needed to draw on from here."""
        raise NotImplementedError

    def _resume(self, unfinished: T) -> None:
        """Draw on."""
        raise NotImplementedError

    def _take_back(self) -> None:
        """Undo the last press."""
        raise NotImplementedError

    def finish(self) -> None:
        """Make the shape, if it has enough points."""
        raise NotImplementedError

    def snaps_to_start(self, pointer: Pointer) -> bool:
        """Would a press here close the shape?"""
        return False

    # --- coming and going ---------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Is a shape half drawn?"""
        return bool(self.points)

    def cancel(self) -> None:
        """Drop the half-drawn shape; Backspace brings it back."""
        if len(self.points) > 1:
            self._dropped.keep(self._unfinished())
        self._begin()

    def _begin(self) -> None:
        """Nothing is drawn."""
        self.points = []
        self._snap = None
        self._closing = self._asking = False

    def document_changed(self, change: Change) -> None:
        """What was finished is in the document, once its label has been asked for: the next one begins."""
        if self._asking and change.kind == "inserted" and change.uid == self._finished_uid:
            self._begin()

    def _hand_over(self, shape: Shape) -> None:
        """The shape is finished: the next one begins. Backspace brings one back that was refused."""
        drawn = self._unfinished()
        self._finished_uid = shape.uid
        if self.context.active_class is None:
            self._asking, self._closing, self._at = True, False, None
        else:
            self._begin()
        if not self.context.add_drawn(shape, kept=True):
            self._dropped.keep(drawn)

    # --- mouse --------------------------------------------------------------------------------------------

    def release(self, pointer: Pointer) -> None:
        """The context menu belongs to the right button while nothing is drawn."""
        if pointer.right and not self.busy:
            self.context.request_menu(pointer.global_pos)

    def double_click(self, pointer: Pointer) -> None:
        """Finish; the first press of a double-click on the last point has added nothing."""
        if not (pointer.left and self.busy):
            return
        last = self.points[-2:]
        if len(last) == 2 and self.context.close_on_screen(last[0], last[1], DRAG_START):
            self._take_back()
        self.finish()

    def leave(self) -> None:
        """Without the mouse the outline ends at its last point."""
        self._at = self._snap = None
        self._closing = False

    def _aim(self, pointer: Pointer) -> XY:
        """Find where a press would put the next point, and whether it would close the outline."""
        self._closing = self.snaps_to_start(pointer)
        self._snap = None if self._closing or pointer.alt else self.context.snap(pointer.xy)
        if self._closing:
            self._at = self.points[0]
        else:
            self._at = self.context.clamp(pointer.xy) if self._snap is None else self._snap.xy
        return self._at

    # --- keys ---------------------------------------------------------------------------------------------

    def claims(self, event: QKeyEvent) -> bool:
        """What finishes, drops and takes back while a shape is half drawn; then what brings it back."""
        return steers(event) if self.busy else brings_back(event) and bool(self._dropped)

    def key(self, event: QKeyEvent) -> bool:
        """Finish, cancel, take back, bring back."""
        if not self.claims(event):
            return False
        if not self.busy:
            dropped = self._dropped.take()
            if dropped is not None:
                self._resume(dropped)
        elif takes_back(event):
            self._take_back()
        elif event.key() == Qt.Key.Key_Escape:
            self.cancel()
        elif not event.isAutoRepeat():
            self.finish()
        return True

    # --- looks --------------------------------------------------------------------------------------------

    def paint_overlay(self, painter: QPainter) -> None:
        """The outline so far, and where a press would snap to."""
        if self.points:
            self._paint_outline(painter)
        if self._snap is not None:
            paint_snap(painter, self.context, self._snap)

    def _paint_outline(self, painter: QPainter) -> None:
        """Draw what is there, and the way to the mouse."""
        raise NotImplementedError

    def _paint_start(self, painter: QPainter, screen_xy: tuple[float, float]) -> None:
        """Mark the first point where a press would close the outline."""
        if self._closing:
            draw_handle(painter, QPointF(*screen_xy), HANDLE_HOT, HANDLE_RADIUS + 2.5)
