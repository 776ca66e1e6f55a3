"""Dragging several vertices at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.canvas.hits import Hit
from app.canvas.tools.drags import EditDrag
from app.canvas.tools.vertex_drags import with_sharing
from app.canvas.vertex_sets import moved_vertices, points_of
from core.annotation.commands import XY

if TYPE_CHECKING:
    from app.canvas.context import ToolContext
    from app.canvas.tools.base import Pointer


class VerticesDrag(EditDrag):
    """The selected vertices follow the mouse together, as far as the image reaches.

    Vertices that other shapes share with them come along.
    """

    def __init__(self, context: ToolContext, start: Pointer, hits: frozenset[Hit]) -> None:
        super().__init__(context, start)
        assert context.document is not None
        self._hits = with_sharing(context, hits)
        points = points_of(context.document, self._hits)
        self._low, self._high = points.min(axis=0), points.max(axis=0)

    def _offset(self, pointer: Pointer) -> XY:
        width, height = self.context.image_size
        (x0, y0), (x1, y1) = self._low.tolist(), self._high.tolist()
        dx = min(max(pointer.x - self.start.x, min(0.0, -x0)), max(0.0, width - x1))
        dy = min(max(pointer.y - self.start.y, min(0.0, -y0)), max(0.0, height - y1))
        return dx, dy

    def follow(self, pointer: Pointer) -> None:
        """Show the shapes so, unless one of them would become invalid."""
        if self.context.document is None:
            return
        self.show(moved_vertices(self.context.document, self._hits, *self._offset(pointer)))
