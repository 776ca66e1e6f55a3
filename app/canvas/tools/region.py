"""Taking over what the network found: click a predicted region to make it a shape."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath

from app.canvas.context import ToolContext
from app.canvas.outlines import Box
from app.canvas.overlay import Region
from app.canvas.painting import path_of_rings
from app.canvas.tools.base import Pointer, Tool
from app.canvas.tools.found import paint_region
from app.canvas.tools.kept_picture import KeptPicture


class RegionTool(Tool):
    """Highlights the predicted region under the mouse; a click tells which one was meant."""

    name = "region"
    title = "Accept predicted region"
    draws = False
    uses_selection = True

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self._region: Region | None = None
        self._path = QPainterPath()
        self._picture = KeptPicture()

    def cancel(self) -> None:
        """Highlight nothing."""
        self._show(None)

    def press(self, pointer: Pointer) -> None:
        """Tell which region was clicked."""
        if pointer.left and self.context.region_at(pointer.xy) is not None:
            self.context.click_region(pointer.xy)

    def double_click(self, pointer: Pointer) -> None:
        """A click too many; the first one counted."""

    def release(self, pointer: Pointer) -> None:
        """The context menu belongs to the right button."""
        if pointer.right:
            self.context.request_menu(pointer.global_pos)

    def move(self, pointer: Pointer) -> None:
        """Highlight what is under the mouse."""
        self._show(self.context.region_at(pointer.xy))

    def leave(self) -> None:
        """Highlight nothing."""
        self._show(None)

    def _show(self, region: Region | None) -> None:
        if region is self._region:
            return
        self._region = region
        self._path = QPainterPath() if region is None else path_of_rings(region.rings)
        self._picture.clear()

    @property
    def cursor(self) -> Qt.CursorShape:
        """A hand over a region."""
        return Qt.CursorShape.ArrowCursor if self._region is None else Qt.CursorShape.PointingHandCursor

    @property
    def hint(self) -> str:
        """What a click would do."""
        if self._region is not None:
            name = self.context.class_name(self._region.label_index)
            return f"Click to turn this region into a shape of {name}"
        if not self.context.has_prediction:
            return "There is no prediction for this image yet"
        return "Move over a predicted region and click to turn it into a shape"

    def overlay_box(self) -> Box | None:
        """Around the region."""
        if self._region is None:
            return None
        x0, y0, x1, y1 = self._region.box
        return float(x0), float(y0), float(x1), float(y1)

    def paint_overlay(self, painter: QPainter) -> None:
        """Its outline, white on dark, and a veil over its inside."""
        if self._region is None:
            return
        self._picture.paint(painter, self.context.view, self._region, self._paint_region)

    def _paint_region(self, painter: QPainter) -> None:
        path = self.context.to_viewport_path(self._path)
        paint_region(painter, path, QColor(255, 255, 255), alpha=48)
