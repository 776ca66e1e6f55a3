"""Zooming, scrolling and panning: a graphics view that knows the size of its content and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QResizeEvent,
    QTransform,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QGraphicsScene, QGraphicsView, QWidget

from app.canvas.style import MARGIN
from app.whole_errors import WholeErrors

MIN_ZOOM: Final = 0.02
MAX_ZOOM: Final = 64.0
REVEAL_ZOOM: Final = 4.0
"""How near `reveal` goes by itself: nearer, a few blurred pixels fill the view."""
_STEP: Final = 1.25
_WHEEL_STEP: Final = 1.2
_SCROLL_PER_NOTCH: Final = 60
NOTCH: Final = 120
"""Units of `QWheelEvent.angleDelta` for one notch of an ordinary wheel."""


class PannableView(WholeErrors, QGraphicsView):
    """Scrolls and zooms content of a given size, 2 % (or what shows all of it) to 6400 %.

    - Wheel scrolls, Shift+wheel sideways, Ctrl+wheel (or a pinch) zooms at the cursor.
    - The middle button drags the content; so does the left one while Space is held.
    - After `zoom_fit` and `zoom_fit_width` the content goes on fitting when the window is resized, until the
      person zooms.
    """

    zoom_changed = Signal(float)
    """The zoom: 1.0 is one logical screen pixel for an image pixel."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._moves = 0  # of the content, under way
        self.setScene(QGraphicsScene(self))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setResizeAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.MinimalViewportUpdate)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setMouseTracking(True)
        self._content = QSize(0, 0)
        self._zoom = 1.0
        self._fitting: Literal["page", "width"] | None = "page"
        self._pan_from: QPoint | None = None
        self._pan_button = Qt.MouseButton.NoButton
        self._space_held = False

    # --- content and zoom ---------------------------------------------------------------------------------

    @property
    def content_size(self) -> QSize:
        """Width and height of what is shown, image pixels."""
        return self._content

    @property
    def zoom(self) -> float:
        """Logical screen pixels per image pixel."""
        return self._zoom

    def set_content_size(self, size: QSize) -> None:
        """Say how large the content is; content of another size than before is fitted to the window."""
        if size == self._content:
            return
        self._content = QSize(size)
        self._fitting = "page"
        self._fit()

    @property
    def view_box(self) -> tuple[int, int, int, int] | None:
        """What of the content is on the screen, x0, y0, x1, y1 in its whole pixels; None: nothing."""
        seen = self.mapToScene(self.viewport().rect()).boundingRect()
        inside = seen.intersected(QRectF(0, 0, self._content.width(), self._content.height()))
        if inside.isEmpty():
            return None
        left, top = math.floor(inside.left()), math.floor(inside.top())
        return left, top, math.ceil(inside.right()), math.ceil(inside.bottom())

    def zoom_in(self) -> None:
        """One step nearer, at the centre of the view."""
        self.set_zoom(self._zoom * _STEP)

    def zoom_out(self) -> None:
        """One step back, at the centre of the view."""
        self.set_zoom(self._zoom / _STEP)

    def zoom_actual(self) -> None:
        """One screen pixel for an image pixel."""
        self.set_zoom(1.0)

    def zoom_fit(self) -> None:
        """Show all of the content, now and when the window is resized."""
        self._fitting = "page"
        self._fit()

    def zoom_fit_width(self) -> None:
        """Fill the window's width, now and when the window is resized."""
        self._fitting = "width"
        self._fit()

    def reveal(self, box: tuple[float, float, float, float], share: float = 0.4) -> None:
        """Show a box of the content, x0, y0, x1, y1, in the middle of the view, with what surrounds it.

        Args:
            box: content pixels.
            share: of the view's sides that it may take; it is enlarged to REVEAL_ZOOM at most for that.
        """
        x0, y0, x1, y1 = box
        if self._content.isEmpty():
            return
        room = self.maximumViewportSize()
        whole = min(room.width() / self._content.width(), room.height() / self._content.height())
        near = share * min(room.width() / max(x1 - x0, 1.0), room.height() / max(y1 - y0, 1.0))
        with self._moving():
            self.set_zoom(max(whole, min(near, max(REVEAL_ZOOM, self._zoom))))
            self.centerOn((x0 + x1) / 2, (y0 + y1) / 2)

    def set_zoom(self, zoom: float, anchor: QPointF | None = None) -> None:
        """Zoom so that what is under `anchor` (viewport pixels; default: the centre) stays there."""
        self._fitting = None
        self._apply_zoom(zoom, QPointF(self.viewport().rect().center()) if anchor is None else anchor)

    def to_image(self, position: QPointF) -> QPointF:
        """A viewport position in image pixels."""
        inverted, _ = self.viewportTransform().inverted()
        return inverted.map(position)

    def to_viewport(self, point: QPointF) -> QPointF:
        """A point of the image as a viewport position."""
        return self.viewportTransform().map(point)

    def content_moved(self) -> None:
        """Something else is under the mouse now."""

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """Whatever is scrolled and zoomed inside: the content moves once."""
        self._moves += 1
        try:
            yield
        finally:
            self._moves -= 1
        if self._moves == 0:
            self.content_moved()

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        """What is under the mouse moves away from it."""
        with self._moving():
            super().scrollContentsBy(dx, dy)

    def _fit(self) -> None:
        if self._content.isEmpty():
            return
        across, down = self._fitting_zooms()
        if self._fitting == "width":
            if across > down:
                across -= self.verticalScrollBar().sizeHint().width() / self._content.width()
            self._apply_zoom(across, QPointF(self.viewport().rect().center()))
            return
        with self._moving():
            self._apply_zoom(min(across, down), QPointF(self.viewport().rect().center()))
            self.centerOn(self._content.width() / 2, self._content.height() / 2)

    def _fitting_zooms(self) -> tuple[float, float]:
        """At which zooms the content is as wide and as high as the view has room for."""
        room = self.maximumViewportSize()
        across = (room.width() - 2 * MARGIN) / self._content.width()
        return across, (room.height() - 2 * MARGIN) / self._content.height()

    def _least_zoom(self) -> float:
        """All of the content can be seen, however large it is, where the view has room for anything."""
        fitting = () if self._content.isEmpty() else self._fitting_zooms()
        return min([MIN_ZOOM, *(zoom for zoom in fitting if zoom > 0)])

    def _apply_zoom(self, zoom: float, anchor: QPointF) -> None:
        zoom = min(MAX_ZOOM, max(self._least_zoom(), zoom))
        if self._fitting is None and abs(zoom - 1.0) < min(0.01, abs(self._zoom - 1.0)):
            # Repeated steps in and out must not miss the exact pixels by rounding. Only on the way there: a
            # pinch goes on in steps that are smaller still.
            zoom = 1.0
        held = self.to_image(anchor)
        changed = zoom != self._zoom
        self._zoom = zoom
        margin = MARGIN / zoom
        room = QRectF(0, 0, self._content.width(), self._content.height())
        with self._moving():
            # The rectangle first: scroll bars that come and go with it would move what was just anchored.
            self.setSceneRect(room.adjusted(-margin, -margin, margin, margin))
            self.setTransform(QTransform.fromScale(zoom, zoom))
            drift = self.to_viewport(held) - anchor
            self._scroll_by(round(drift.x()), round(drift.y()))
        self.viewport().update()
        if changed:
            self.zoom_changed.emit(zoom)

    def _scroll_by(self, dx: int, dy: int) -> None:
        across, down = self.horizontalScrollBar(), self.verticalScrollBar()
        with self._moving():
            across.setValue(across.value() + dx)
            down.setValue(down.value() + dy)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Go on fitting, if that was asked for last."""
        super().resizeEvent(event)
        if self._fitting is not None:
            self._fit()

    # --- wheel and pinch ----------------------------------------------------------------------------------

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll, scroll sideways with Shift, zoom at the cursor with Ctrl."""
        turned = event.angleDelta()
        modifiers = event.modifiers()
        if modifiers & Qt.KeyboardModifier.ControlModifier:
            notches = (turned.y() or turned.x()) / NOTCH
            if notches:
                self.set_zoom(self._zoom * _WHEEL_STEP**notches, event.position())
        else:
            pixels = event.pixelDelta()
            if pixels.isNull():
                pixels = QPoint(
                    round(turned.x() * _SCROLL_PER_NOTCH / NOTCH),
                    round(turned.y() * _SCROLL_PER_NOTCH / NOTCH),
                )
            if modifiers & Qt.KeyboardModifier.ShiftModifier and pixels.x() == 0:
                pixels = QPoint(pixels.y(), 0)
            self._scroll_by(-pixels.x(), -pixels.y())
        event.accept()

    def viewportEvent(self, event: QEvent) -> bool:
        """Zoom with a trackpad's pinch."""
        if (
            isinstance(event, QNativeGestureEvent)
            and event.gestureType() == Qt.NativeGestureType.ZoomNativeGesture
        ):
            self.set_zoom(self._zoom * math.exp(event.value()), event.position())
            return True
        return super().viewportEvent(event)

    # --- panning ------------------------------------------------------------------------------------------

    @property
    def panning(self) -> bool:
        """Is the content being dragged, or would the left button drag it?"""
        return self._pan_from is not None or self._space_held

    def begins_pan(self, event: QMouseEvent) -> bool:
        """Start dragging the content if this press asks for it. While it is dragged no press means more."""
        self._notice_release(event.buttons() & ~event.button())
        if self._pan_from is not None:
            return True
        wanted = event.button() == Qt.MouseButton.MiddleButton or (
            self._space_held and event.button() == Qt.MouseButton.LeftButton
        )
        if wanted:
            self._pan_from, self._pan_button = event.position().toPoint(), event.button()
            self.update_cursor()
        return wanted

    def continues_pan(self, event: QMouseEvent) -> bool:
        """Follow the mouse if the content is being dragged."""
        self._notice_release(event.buttons())
        if self._pan_from is None:
            return False
        here = event.position().toPoint()
        self._scroll_by(self._pan_from.x() - here.x(), self._pan_from.y() - here.y())
        self._pan_from = here
        return True

    def ends_pan(self, event: QMouseEvent) -> bool:
        """Let the content go if this is the button that drags it."""
        if self._pan_from is None or event.button() != self._pan_button:
            return False
        self._let_go()
        return True

    def _notice_release(self, held: Qt.MouseButton) -> None:
        """Let go if the button is not held any more: a dialog or another window has got the release."""
        if self._pan_from is not None and not held & self._pan_button:
            self._let_go()

    def _let_go(self) -> None:
        self._pan_from = None
        self.update_cursor()
        self.content_moved()

    def hold_space(self, *, held: bool) -> None:
        """Space goes down or up: the left button pans meanwhile."""
        self._space_held = held
        self.update_cursor()
        self.content_moved()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Stop panning when Space is let go."""
        if event.key() == Qt.Key.Key_Space and self._space_held and not event.isAutoRepeat():
            self.hold_space(held=False)
            event.accept()
            return
        super().keyReleaseEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """A Space released elsewhere is never reported here."""
        self._space_held = False
        self.update_cursor()
        super().focusOutEvent(event)

    def pan_cursor(self) -> Qt.CursorShape | None:
        """The hand to show while panning."""
        if self._pan_from is not None:
            return Qt.CursorShape.ClosedHandCursor
        return Qt.CursorShape.OpenHandCursor if self._space_held else None

    def update_cursor(self) -> None:
        """Show the cursor that fits what a press would do."""
        shape = self.pan_cursor()
        self.viewport().setCursor(Qt.CursorShape.ArrowCursor if shape is None else shape)
