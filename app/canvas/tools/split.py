"""Splitting shapes by a line drawn across them."""

from __future__ import annotations

from itertools import islice
from typing import ClassVar

from app.canvas.tools.base import Pointer
from app.canvas.tools.paths import PathTool
from core.annotation.commands import divided_by, splitting
from core.annotation.model import ShapeType


class SplitTool(PathTool):
    """Draw a line across a shape: Enter, a double-click or Ctrl+click splits along it.

    With shapes selected these are split, else the topmost one the line divides.
    """

    name = "split"
    title = "Split"
    shape_type: ClassVar[ShapeType] = ShapeType.LINESTRIP
    fewest = 2

    def ends_at(self, pointer: Pointer) -> bool:
        """With Ctrl."""
        return pointer.ctrl

    def finish(self) -> None:
        """Split, and begin anew."""
        document = self.context.document
        if document is None or len(self.points) < self.fewest:
            return
        line = self.points
        self.cancel()
        uids = list(self.context.selection) or list(islice(divided_by(document, line), 1))
        if not uids:
            self.context.say("The line divides no shape: draw it from outside to outside.")
            return
        try:
            command = splitting(document, uids, line)
        except ValueError as error:
            self.context.say(f"Nothing was split: {error}.")
            return
        self.context.issue(command)
        self.context.end_drag()

    @property
    def hint(self) -> str:
        """What to do next."""
        if not self.points:
            return "Click beside a shape, then on its other side, to split it"
        return "Ctrl+click, Enter or a double-click splits along the line; more clicks bend it"
