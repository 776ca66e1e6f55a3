"""Splitting shapes by a line drawn across them."""

from __future__ import annotations

from itertools import islice
from typing import ClassVar

from app.canvas.context import ToolContext
from app.canvas.tools.base import Pointer
from app.canvas.tools.paths import PathTool
from core.annotation.commands import divided_by, splitting
from core.annotation.model import ShapeType


class SplitTool(PathTool):
    """Drag a line across a shape to split along it, or click its points: Enter, a double-click or Ctrl+click
    ends it.

    With shapes selected these are split, else the topmost one the line divides.
    """

    name = "split"
    title = "Split"
    draws = False
    uses_selection = True
    shape_type: ClassVar[ShapeType] = ShapeType.LINESTRIP
    fewest = 2

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self._pressed: Pointer | None = None

    def press(self, pointer: Pointer) -> None:
        """Add a point; the first may be where a drag begins."""
        self._pressed = None if self.busy else pointer
        super().press(pointer)

    def release(self, pointer: Pointer) -> None:
        """The end of a drag from the first point is the other end of the line."""
        super().release(pointer)
        pressed, self._pressed = self._pressed, None
        if pressed is None or not pointer.left or len(self.points) != 1:
            return
        if pointer.dragged_from(pressed):
            super().press(pointer)
            self.finish()

    def ends_at(self, pointer: Pointer) -> bool:
        """With Ctrl."""
        return pointer.ctrl

    def finish(self) -> None:
        """Split, and begin anew."""
        document = self.context.document
        if document is None or len(self.points) < self.fewest:
            return
        line = self.points
        self.cancel()  # a line that divides nothing can be brought back and bent
        seen = (uid for uid in divided_by(document, line) if self.context.can_be_seen(uid))
        uids = list(self.context.selection) or list(islice(seen, 1))
        if not uids:
            self.context.say("The line divides no shape: draw it from outside to outside.")
            return
        try:
            command = splitting(document, uids, line)
        except ValueError as error:
            self.context.say(f"Nothing was split: {error}.")
            return
        self._dropped.take()
        self.context.issue(command)
        self.context.end_drag()

    @property
    def hint(self) -> str:
        """What to do next."""
        if not self.points:
            return "Drag a line across a shape to split it, or click its points"
        return "Ctrl+click, Enter or a double-click splits along the line; more clicks bend it"
