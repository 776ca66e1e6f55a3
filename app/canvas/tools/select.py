"""Selecting and editing: labelme's edit mode."""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter

from app.canvas.context import ToolContext
from app.canvas.handles import takes_vertices
from app.canvas.hits import Hit
from app.canvas.live_shapes import FEW
from app.canvas.outlines import Box
from app.canvas.tools.base import Pointer
from app.canvas.tools.drags import BandDrag, CopyOrMoveDrag, Drag, MoveDrag
from app.canvas.tools.edit_keys import EditKeys
from app.canvas.tools.oriented import RotateDrag
from app.canvas.tools.vertex_drags import InsertDrag, VertexDrag, sharing_places
from app.canvas.tools.vertices import VerticesDrag
from core.annotation.document import Change


class SelectTool(EditKeys):
    """Click selects, Ctrl+click adds or takes away, drag moves a vertex or the selected shapes.

    - A click on a grouped shape selects its group. A click where the last one was picks that shape alone, or
      the next one below.
    - A dragged vertex snaps to those and to edges of other shapes (Alt suspends that). Where several shapes
      share it, all of them follow, unless Ctrl is held.
    - Alt+press on an edge adds a vertex and drags it, Alt+Shift+click on a vertex removes it: in all shapes
      that share it, with Ctrl in this one alone.
    - A drag from empty ground selects what it encloses: shapes, or of selected shapes the vertices, which
      then move together; Shift+click adds a vertex to them or takes it away. A right-drag copies or moves.
    - Arrows nudge the selected vertices or shapes by a pixel (Shift: ten), Backspace removes the vertices,
      Delete several vertices or the shapes, Ctrl+A selects all, Esc cancels a drag (so does Ctrl+Z) or clears
      the selection.
    """

    name: ClassVar[str] = "select"
    title: ClassVar[str] = "Select and edit"
    draws = False
    uses_selection = True

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self._drag: Drag | None = None
        self._last_click: Pointer | None = None
        self._picks_next = False
        self._group_taken = False

    # --- state --------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Is something being dragged?"""
        return self._drag is not None

    def cancel(self) -> None:
        """End a drag without effect; forget hover and vertex."""
        self._cancel_drag()
        self._last_click = None
        self._picks_next = self._group_taken = False
        self.context.hover(None)
        self.context.select_vertex(None)

    def visibility_changed(self) -> None:
        """What cannot be seen is neither dragged nor marked."""
        self.cancel()

    def document_changed(self, change: Change) -> None:
        """A drag of a shape that changed under it (undo by a menu, say) ends."""
        if self._drag is not None:
            self._cancel_drag()

    def _cancel_drag(self) -> None:
        if self._drag is not None:
            drag, self._drag = self._drag, None
            drag.cancel()

    # --- mouse --------------------------------------------------------------------------------------------

    def press(self, pointer: Pointer) -> None:
        """Select, and get ready to drag."""
        if self.context.document is None or self._drag is not None:
            return
        if pointer.right:
            self._press_right(pointer)
        elif pointer.left:
            self._press_left(pointer)

    def _press_left(self, pointer: Pointer) -> None:
        self._picks_next = self._group_taken = False
        if pointer.alt and self._press_alt(pointer):
            return
        if pointer.ctrl:
            self._toggle(pointer)
            return
        grip = self._grip_at(pointer)
        if grip is not None:
            self._drag = RotateDrag(self.context, pointer, grip.uid)
            return
        vertex = self._vertex_at(pointer)
        if vertex is not None:
            self._press_vertex(pointer, vertex)
            return
        self.context.select_vertex(None)
        below = self._bodies(pointer)
        if not below:
            self._drag = BandDrag(self.context, pointer)
            return
        selected = self.context.selection
        if self._is_repeated(pointer) and selected.intersection(below):
            self._picks_next = True  # decided at the release: a drag moves what is selected
        elif below[0] not in selected:
            selected = self._group_of(below[0])
            self._group_taken = len(selected) > 1
            self.context.select(selected)
        self._drag = MoveDrag(self.context, pointer, selected - self.context.index.locked)

    def _press_vertex(self, pointer: Pointer, vertex: Hit) -> None:
        context = self.context
        assert context.document is not None
        marked = context.selected_vertices
        if vertex.uid not in context.selection:
            context.select([vertex.uid])
        elif pointer.shift and marked and takes_vertices(context.document.get(vertex.uid)):
            context.select_vertices(marked ^ {vertex})
            return
        elif vertex in marked and len(marked) > 1:
            self._drag = VerticesDrag(context, pointer, marked)
            return
        context.select_vertex(vertex)
        self._drag = VertexDrag(context, pointer, vertex)

    def _press_alt(self, pointer: Pointer) -> bool:
        """Add or remove a vertex. False when there is none to be had here."""
        if pointer.shift:
            vertex = self._vertex_at(pointer)
            if vertex is None:
                return False
            self._remove_vertices(frozenset([vertex]), alone=pointer.ctrl)
            return True
        edge = self._edge_at(pointer)
        if edge is None or self._vertex_at(pointer, share=0.4) is not None:
            return False
        if edge.uid not in self.context.selection:
            self.context.select([edge.uid])
        self._drag = InsertDrag(self.context, pointer, edge)
        return True

    def _toggle(self, pointer: Pointer) -> None:
        vertex = self._vertex_at(pointer)
        below = self._bodies(pointer) or ([] if vertex is None else [vertex.uid])
        if below:
            self.context.select(self.context.selection ^ {below[0]})
        else:
            self._drag = BandDrag(self.context, pointer)

    def _press_right(self, pointer: Pointer) -> None:
        below = self._bodies(pointer)
        selected = self.context.selection
        if below and not selected.intersection(below):
            self.context.select([below[0]])
            selected = frozenset([below[0]])
        if selected.intersection(below):
            self._drag = CopyOrMoveDrag(self.context, pointer, selected)

    def move(self, pointer: Pointer) -> None:
        """Drag, or highlight what a press would take."""
        if self._drag is not None:
            self._drag.move(pointer)
            return
        if pointer.buttons == Qt.MouseButton.NoButton:
            self._hover(pointer)

    def release(self, pointer: Pointer) -> None:
        """Finish a drag; without one it was a click."""
        if self._drag is not None and self._drag.start.button != pointer.button:
            return
        drag, self._drag = self._drag, None
        if drag is not None and drag.started:
            drag.finish(pointer)
            if not isinstance(drag, CopyOrMoveDrag):
                drag.cancel()  # the document has it now
                self.context.end_drag()
            self._last_click = None
        elif pointer.right:
            self.context.request_menu(pointer.global_pos)
        elif pointer.left:
            self._click(pointer, drag)
        self._hover(pointer)

    def _click(self, pointer: Pointer, drag: Drag | None) -> None:
        if isinstance(drag, BandDrag):
            if not pointer.ctrl:
                self.context.select(())
        elif isinstance(drag, MoveDrag):
            below = self._bodies(pointer)
            selected = self.context.selection
            if self._picks_next and below:
                place = max((below.index(uid) for uid in selected if uid in below), default=-1)
                self.context.select([below[(place + 1) % len(below)]])
            elif len(selected) > 1 and below and not self._group_taken:
                self.context.select([below[0]])
        self._last_click = pointer

    def double_click(self, pointer: Pointer) -> None:
        """Counts as another click."""
        self.press(pointer)

    def leave(self) -> None:
        """Nothing is under the mouse."""
        if self._drag is None:
            self.context.hover(None)

    # --- what is under the mouse --------------------------------------------------------------------------

    def _vertex_at(self, pointer: Pointer, share: float = 1.0) -> Hit | None:
        document = self.context.document
        if document is None or not self.context.shapes_visible:
            return None
        reach = self.context.reach * share
        return self.context.hits.vertex(document, *pointer.xy, reach, self.context.selection)

    def _grip_at(self, pointer: Pointer) -> Hit | None:
        context = self.context
        if context.document is None or not context.shapes_visible or len(context.selection) > FEW:
            return None  # of very many shapes no handles are shown
        reach = 0.8 * context.reach
        return context.hits.grip(context.document, *pointer.xy, context.scale, context.selection, reach)

    def _edge_at(self, pointer: Pointer) -> Hit | None:
        document = self.context.document
        if document is None or not self.context.shapes_visible:
            return None
        return self.context.hits.edge(document, *pointer.xy, self.context.reach, self.context.selection)

    def _bodies(self, pointer: Pointer) -> list[int]:
        if not self.context.shapes_visible:
            return []
        return self.context.hits.bodies(*pointer.xy, self.context.reach / 2)

    def _group_of(self, uid: int) -> frozenset[int]:
        """The shape, and those grouped with it that are shown and not locked."""
        document, index = self.context.document, self.context.index
        group = None if document is None else document.get(uid).group_id
        if document is None or group is None:
            return frozenset([uid])
        members = {shape.uid for shape in document.shapes if shape.group_id == group}
        return frozenset(member for member in members - index.locked if index.is_shown(member))

    def _is_repeated(self, pointer: Pointer) -> bool:
        if self._last_click is None:
            return False
        return not pointer.dragged_from(self._last_click)

    def _hover(self, pointer: Pointer) -> None:
        adding = pointer.alt and not pointer.shift
        hit = self._edge_at(pointer) if adding else self._grip_at(pointer) or self._vertex_at(pointer)
        if hit is None:
            below = self._bodies(pointer)
            hit = Hit(below[0], "body") if below else None
        self.context.hover(hit)

    # --- looks --------------------------------------------------------------------------------------------

    @property
    def cursor(self) -> Qt.CursorShape:
        """A hand over a vertex, arrows over a shape."""
        if isinstance(self._drag, MoveDrag) and self._drag.started:
            return Qt.CursorShape.ClosedHandCursor
        hovered = self.context.hovered
        if hovered is None:
            return Qt.CursorShape.ArrowCursor
        match hovered.kind:
            case "vertex" | "grip":
                return Qt.CursorShape.PointingHandCursor
            case "edge":
                return Qt.CursorShape.CrossCursor
            case "body":
                return (
                    Qt.CursorShape.SizeAllCursor
                    if hovered.uid in self.context.selection
                    else Qt.CursorShape.ArrowCursor
                )

    @property
    def hint(self) -> str:
        """What a press here would do."""
        if self._drag is not None and self._drag.started:
            return self._drag.hint
        hovered = self.context.hovered
        if hovered is None and not self.context.document:
            return "Nothing is drawn here yet: choose the polygon tool and click around an object"
        if hovered is None and self.context.selection:
            return "Drag over empty ground to select vertices of what is selected; click it to select nothing"
        if hovered is None:
            return "Click a shape to select it; drag over empty ground to select several"
        match hovered.kind:
            case "vertex":
                if len(self.context.selected_vertices) > 1:
                    return "Drag to move the selected vertices; Shift+click adds one, Backspace removes them"
                if len(sharing_places(self.context, hovered)) > 1:
                    return (
                        "Shared vertex: drag moves and Backspace removes it in all its shapes, with Ctrl here"
                    )
                return "Drag to move the vertex; Alt+Shift+click or Backspace removes it"
            case "grip":
                return "Drag to turn the rectangle; Shift turns in steps of 15°"
            case "edge":
                return "Press to add a vertex here and drag it"
            case "body":
                return "Click to select, Ctrl+click to add, drag to move; Alt+click on an edge adds a vertex"

    def overlay_box(self) -> Box | None:
        """That of the rubber band."""
        return None if self._drag is None else self._drag.overlay_box()

    def paint_overlay(self, painter: QPainter) -> None:
        """The rubber band."""
        if self._drag is not None:
            self._drag.paint(painter)
