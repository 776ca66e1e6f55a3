"""A view that hands mouse and keys to tools: everything between Qt's events and `Tool`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

from app.canvas.keys_elsewhere import KeysElsewhere
from app.canvas.navigation import NOTCH, PannableView
from app.canvas.outlines import Box
from app.canvas.shape_index import union
from app.canvas.tools.base import Pointer, Tool
from app.canvas.tools.registry import tool_class
from app.canvas.waiting import WaitingShapes


class ToolView(PannableView):
    """Has one active tool. Panning and zooming come first, then the tool, then the window.

    Subclasses call `set_tools` once and override `has_image` and `usable`.
    """

    cursor_moved = Signal(float, float)
    """The mouse, in image pixels; may lie outside the image."""
    cursor_left = Signal()
    tool_changed = Signal(str)
    hint_changed = Signal(str)
    """What can be done now, for the status bar."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setInteractive(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self._tools: dict[str, Tool] = {}
        self._tool: Tool
        self._waiting: WaitingShapes
        self._hint = ""
        self._note: str | None = None
        self._overlay_box: Box | None = None
        self._mouse: Pointer | None = None  # as it moved last, and where the image was then
        self._held: Pointer | None = None  # the mouse as last seen since a press that tools were told of
        self._keys_elsewhere = KeysElsewhere(self, self._drawing_wants, self.keyPressEvent)

    def set_tools(self, tools: Iterable[Tool], waiting: WaitingShapes) -> None:
        """Offer these tools; the first one is active. What they drew may wait for its label."""
        self._waiting = waiting
        self._tools = {tool.name: tool for tool in tools}
        self._tool = next(iter(self._tools.values()))

    @property
    def has_image(self) -> bool:
        """Is there anything to zoom, pan and point at?"""
        raise NotImplementedError

    @property
    def usable(self) -> bool:
        """Can tools work: is there a document as well?"""
        raise NotImplementedError

    # --- tools --------------------------------------------------------------------------------------------

    @property
    def tool(self) -> str:
        """Name of the active tool."""
        return self._tool.name

    @property
    def draws(self) -> bool:
        """Does the active tool make shapes?"""
        return self._tool.draws

    @property
    def busy(self) -> bool:
        """Is something half drawn or being dragged?"""
        return self._tool.busy

    @property
    def dragging(self) -> bool:
        """Is a button held that draws or drags something?"""
        return self._held is not None and self._tool.busy

    def set_tool(self, name: str) -> None:
        """Choose a tool by its name (`tools.registry`). What is half drawn is dropped.

        Raises:
            ValueError: there is no such tool.
        """
        tool = self._tools[tool_class(name).name]
        if tool is self._tool:
            return
        self._tool.cancel()
        self._note = None
        self._tool = tool
        tool.activate()
        self.refresh_tool()
        self.content_moved()
        self.tool_changed.emit(name)

    def refresh_tool(self) -> None:
        """Bring overlay, cursor and hint up to date with the tool."""
        box = self._tool.overlay_box()
        if box is not None or self._overlay_box is not None:
            dirty = union(each for each in (box, self._overlay_box) if each is not None)
            self.update_box(dirty, self._tool.overlay_margin)
        self._overlay_box = box
        self.update_cursor()
        self._tell_hint()

    def show_note(self, text: str | None) -> None:
        """Tell something instead of the tool's hint, until the next press or key; None: no longer."""
        self._note = text
        self._tell_hint()

    def _tell_hint(self) -> None:
        waiting = "" if self._tool.busy else self._waiting.hint
        text = self._note or waiting or (self._tool.hint if self.usable else "")
        if text != self._hint:
            self._hint = text
            self.hint_changed.emit(text)

    @property
    def hint(self) -> str:
        """The hint last told."""
        return self._hint

    def update_cursor(self) -> None:
        """Show the cursor that fits what a press would do."""
        shape = self.pan_cursor()
        if shape is None:
            shape = self._tool.cursor if self.usable else Qt.CursorShape.ArrowCursor
        if self.viewport().cursor().shape() != shape:
            self.viewport().setCursor(shape)

    def update_box(self, box: Box, margin: float) -> None:
        """Repaint a box of the image and so many screen pixels around it."""
        x0, y0, x1, y1 = box
        if not (x0 <= x1 and y0 <= y1):
            return
        rect = self.viewportTransform().mapRect(QRectF(x0, y0, x1 - x0, y1 - y0))
        rect = rect.adjusted(-margin, -margin, margin, margin).intersected(QRectF(self.viewport().rect()))
        if not rect.isEmpty():
            self.viewport().update(rect.toAlignedRect())

    def under_mouse(self) -> QPointF | None:
        """The image's point that the mouse is over now: zooming moves it under a resting mouse."""
        return None if self._mouse is None or not self.has_image else self.to_image(self._mouse.screen)

    def content_moved(self) -> None:
        """The tool goes with the mouse that rests over another point of the image, or over another image."""
        at = self.under_mouse()
        if self._mouse is not None and at is not None and self.usable and not self.panning:
            held = Qt.MouseButton.NoButton if self._held is None else self._held.buttons
            keys = QGuiApplication.queryKeyboardModifiers()  # another window may have got their events
            self._move_tool(replace(self._mouse, x=at.x(), y=at.y(), buttons=held, modifiers=keys))

    # --- events -------------------------------------------------------------------------------------------

    def _pointer(self, event: QMouseEvent) -> Pointer:
        at = self.to_image(event.position())
        return Pointer(
            x=at.x(),
            y=at.y(),
            screen=event.position(),
            button=event.button(),
            buttons=event.buttons(),
            modifiers=event.modifiers(),
            global_pos=event.globalPosition(),
        )

    def _to_tool(self, method: Callable[[Pointer], None], pointer: Pointer) -> None:
        tool = self._tool
        method(pointer)
        if tool is self._tool:
            self.refresh_tool()

    def _move_tool(self, pointer: Pointer) -> None:
        if self._held is not None:
            self._held = replace(pointer, button=self._held.button)
        self._to_tool(self._tool.move, pointer)

    def _press(self, event: QMouseEvent, *, double: bool = False) -> None:
        self._note = None
        self._make_up_for_release(event.buttons() & ~event.button())
        pointer = self._pointer(event)
        self._held = self._held or pointer
        self._to_tool(self._tool.double_click if double else self._tool.press, pointer)
        event.accept()

    def _make_up_for_release(self, buttons: Qt.MouseButton) -> None:
        """A dialog or another window may have got the release: the mouse let go where it was seen last."""
        held = self._held
        if held is not None and not buttons & held.button:
            self._held = None
            self._to_tool(self._tool.release, replace(held, buttons=buttons))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Pan, or hand it to the tool."""
        if self.has_image and not self.begins_pan(event) and _for_tools(event):
            self._press(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """As a press."""
        if self.has_image and not self.begins_pan(event) and _for_tools(event):
            self._press(event, double=True)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Pan, or hand it to the tool; tell where the mouse is."""
        self._mouse = pointer = self._pointer(event)
        if not self.has_image:
            return
        self.cursor_moved.emit(pointer.x, pointer.y)
        if not self.continues_pan(event) and not self.panning:
            self._make_up_for_release(event.buttons())
            self._move_tool(pointer)
            event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Stop panning, or hand it to the tool."""
        if self._held is not None and self._held.button == event.button():
            self._held = None
        # Panning may have begun over an image that is gone.
        if not self.ends_pan(event) and self.has_image and _for_tools(event):
            self._to_tool(self._tool.release, self._pointer(event))
            event.accept()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """With Alt, the tool's; else scrolls and zooms."""
        turned = event.angleDelta()
        notches = (turned.y() or turned.x()) / NOTCH  # window systems turn a wheel with Alt sideways
        alt = event.modifiers() == Qt.KeyboardModifier.AltModifier
        if alt and self.has_image and self._tool.alt_wheel(notches):
            self.refresh_tool()
            event.accept()
            return
        super().wheelEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is under the mouse any more."""
        self._mouse = None
        self._tool.leave()
        self.refresh_tool()
        self.cursor_left.emit()
        super().leaveEvent(event)

    def event(self, event: QEvent) -> bool:
        """Keys the tool needs come here even if the window has a shortcut on them."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and self.has_image
            and (self._tool.claims(event) or self._waiting.claims(event))
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Hand it to the tool; Space pans while nothing is drawn; the rest is the window's."""
        self._note = None
        if self.has_image and self._key_used(event):
            self.refresh_tool()
            event.accept()
        elif event.key() == Qt.Key.Key_Space and self.has_image:
            if not event.isAutoRepeat():
                self.hold_space(held=True)
            event.accept()
        else:
            super().keyPressEvent(event)

    def _drawing_wants(self, event: QKeyEvent) -> bool:
        """Does what is half drawn need this key, wherever the keyboard is?"""
        return self.has_image and self._tool.busy and self._tool.claims(event)

    def _key_used(self, event: QKeyEvent) -> bool:
        """What is half drawn comes first, then what waits for a label."""
        return (not self._tool.busy and self._waiting.key(event)) or self._tool.key(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """As above."""
        if self.has_image and self._tool.key_released(event):
            event.accept()
            return
        super().keyReleaseEvent(event)


def _for_tools(event: QMouseEvent) -> bool:
    return event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton)
