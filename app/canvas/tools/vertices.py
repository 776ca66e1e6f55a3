"""Dragging several vertices at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.canvas.hits import Hit
from app.canvas.tools.drags import EditDrag
from app.canvas.tools.vertex_drags import with_sharing
from app.canvas.vertex_sets import box_of, moved_vertices

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
        self._box = box_of(context.document, self._hits)

    def follow(self, pointer: Pointer) -> None:
        """Show the shapes so, unless one of them would become invalid."""
        if self.context.document is None:
            return
        offset = self.context.bounded(self._box, pointer.x - self.start.x, pointer.y - self.start.y)
        self.show(moved_vertices(self.context.document, self._hits, *offset))
