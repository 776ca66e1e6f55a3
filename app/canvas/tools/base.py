"""What a tool is. One small class a tool, one line in `registry.py`.

The view translates Qt's events and calls the active tool; the tool answers with commands and previews through
its `ToolContext`. A tool keeps only what is unfinished (a half-drawn polygon, a drag): everything else is in
the document.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QKeyEvent, QPainter

from app.canvas.outlines import Box
from app.canvas.style import DRAG_START
from core.annotation.document import Change

if TYPE_CHECKING:
    from app.canvas.context import ToolContext


@dataclass(frozen=True, slots=True)
class Pointer:
    """A mouse event in both frames.

    Attributes:
        x, y: image pixels; may lie outside the image.
        screen: position in the viewport, logical pixels.
        button: the button that changed; NoButton for a move.
        buttons: those held.
        modifiers: the keys held.
        global_pos: position on the desktop, for menus.
    """

    x: float
    y: float
    screen: QPointF
    button: Qt.MouseButton
    buttons: Qt.MouseButton
    modifiers: Qt.KeyboardModifier
    global_pos: QPointF

    @property
    def xy(self) -> tuple[float, float]:
        """Image pixels."""
        return self.x, self.y

    @property
    def ctrl(self) -> bool:
        """Is Ctrl held (Command on a Mac)?"""
        return bool(self.modifiers & Qt.KeyboardModifier.ControlModifier)

    @property
    def shift(self) -> bool:
        """Is Shift held?"""
        return bool(self.modifiers & Qt.KeyboardModifier.ShiftModifier)

    @property
    def alt(self) -> bool:
        """Is Alt held?"""
        return bool(self.modifiers & Qt.KeyboardModifier.AltModifier)

    @property
    def left(self) -> bool:
        """Is it the left button that changed?"""
        return self.button == Qt.MouseButton.LeftButton

    @property
    def right(self) -> bool:
        """Is it the right button that changed?"""
        return self.button == Qt.MouseButton.RightButton

    def dragged_from(self, press: Pointer) -> bool:
        """Has the mouse gone far enough since a press to mean a drag and no click?"""
        gone = self.screen - press.screen
        return abs(gone.x()) + abs(gone.y()) >= DRAG_START


class Tool:
    """Base of all tools: does nothing, politely.

    Mouse methods get every event of the left and right button and every move, whether a button is held or
    not; wheel, middle button and Space-drag belong to the view.
    """

    name: ClassVar[str]
    """What `CanvasView.set_tool` is given."""
    title: ClassVar[str]
    """What menus call it."""
    draws: ClassVar[bool] = True
    """Does it make shapes? Choosing a class then says what the next one is, and relabels none."""
    uses_selection: ClassVar[bool] = False
    """Does it work on the selected shapes? Else nothing is selected once it is chosen."""
    overlay_margin: ClassVar[float] = 24.0
    """How far `paint_overlay` reaches past `overlay_box`, screen pixels."""

    def __init__(self, context: ToolContext) -> None:
        self.context = context

    # --- coming and going ---------------------------------------------------------------------------------

    def activate(self) -> None:
        """The tool was chosen, or there is another image to use it on."""

    def image_readable(self) -> None:
        """All of a huge image can be read now, no longer only what has been laid out of it."""

    def cancel(self) -> None:
        """Forget what is unfinished: another tool was chosen, or another image opened."""

    @property
    def busy(self) -> bool:
        """Is something unfinished (half drawn, being dragged)?"""
        return False

    def visibility_changed(self) -> None:
        """All shapes are hidden, or shown again; drop what refers to them. What is half drawn stays."""

    def document_changed(self, change: Change) -> None:
        """The document changed; drop what refers to shapes that are gone."""

    # --- mouse --------------------------------------------------------------------------------------------

    def press(self, pointer: Pointer) -> None:
        """A button went down."""

    def move(self, pointer: Pointer) -> None:
        """The mouse moved, with or without a button held."""

    def release(self, pointer: Pointer) -> None:
        """A button went up."""

    def double_click(self, pointer: Pointer) -> None:
        """A second press soon after the first; `press` was called for the first one only."""
        self.press(pointer)

    def leave(self) -> None:
        """The mouse left the canvas."""

    def alt_wheel(self, notches: float) -> bool:
        """The wheel turned while Alt is held, up is above 0. True when the tool used it."""
        return False

    # --- keys ---------------------------------------------------------------------------------------------

    def claims(self, event: QKeyEvent) -> bool:
        """Must this key come here even if it is a shortcut of the window (Ctrl+Z while drawing)?"""
        return False

    def key(self, event: QKeyEvent) -> bool:
        """A key went down. True when the tool used it."""
        return False

    def key_released(self, event: QKeyEvent) -> bool:
        """A key went up. True when the tool used it."""
        return False

    # --- looks --------------------------------------------------------------------------------------------

    @property
    def cursor(self) -> Qt.CursorShape:
        """What the mouse looks like over the canvas: a cross, as most tools aim at a point."""
        return Qt.CursorShape.CrossCursor

    @property
    def hint(self) -> str:
        """What can be done now, for the status bar."""
        return ""

    def overlay_box(self) -> Box | None:
        """The part of the image `paint_overlay` draws on; None when it draws nothing.

        The view asks after every event and repaints the old and the new one.
        """
        return None

    def paint_overlay(self, painter: QPainter) -> None:
        """Draw what is unfinished, on top of everything, in viewport coordinates (`context.to_screen`)."""
