"""What keys do with the selected shapes and vertices."""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent

from app.canvas.context import ToolContext
from app.canvas.handles import handle_rings, moved_handle, moves_by_pixels
from app.canvas.hits import Hit
from app.canvas.tools.base import Tool
from app.canvas.tools.half_drawn import drops
from app.canvas.tools.vertex_drags import sharing_places, with_sharing
from app.canvas.vertex_sets import box_of, moved_vertices, without_vertices
from core.annotation.commands import MoveSharedVertex, RemoveShapes, RemoveVertex, ShapeEdit, TranslateShapes

_ARROWS: Final = {
    Qt.Key.Key_Left: (-1.0, 0.0),
    Qt.Key.Key_Right: (1.0, 0.0),
    Qt.Key.Key_Up: (0.0, -1.0),
    Qt.Key.Key_Down: (0.0, 1.0),
}
_BIG_NUDGE: Final = 10.0
_KEYPAD: Final = Qt.KeyboardModifier.KeypadModifier
_NONE: Final = Qt.KeyboardModifier.NoModifier
_CTRL: Final = Qt.KeyboardModifier.ControlModifier
_SHIFT: Final = Qt.KeyboardModifier.ShiftModifier


class EditKeys(Tool):
    """A tool that edits by keys what is selected; the drags by mouse are its subclass's."""

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self._nudging = False

    def _cancel_drag(self) -> None:
        """End what the mouse is in the middle of."""

    def claims(self, event: QKeyEvent) -> bool:
        """Esc or Ctrl+Z while dragging, Backspace (with Ctrl, too) over a vertex, arrows with a selection."""
        key, modifiers = event.key(), event.modifiers() & ~_KEYPAD
        if drops(event):
            return self.busy
        if key == Qt.Key.Key_Backspace:
            return modifiers in (_NONE, _CTRL) and bool(self._vertices_for_keys())
        if key == Qt.Key.Key_Delete:  # of several vertices; that of shapes is the window's
            return modifiers == _NONE and len(self.context.selected_vertices) > 1
        return key in _ARROWS and modifiers in (_NONE, _SHIFT) and bool(self.context.selection)

    def key(self, event: QKeyEvent) -> bool:
        """Handle the keys named in the class's description."""
        key, modifiers = event.key(), event.modifiers() & ~_KEYPAD
        match key:
            case Qt.Key.Key_Z if self.claims(event):
                return self._escape()
            case Qt.Key.Key_Escape:
                return self._escape()
            case Qt.Key.Key_Backspace if modifiers in (_NONE, _CTRL):
                return self._remove_vertices(self._vertices_for_keys(), alone=modifiers == _CTRL)
            case Qt.Key.Key_Delete if self.claims(event):
                marked = self.context.selected_vertices
                whole = self._wholly_marked(marked)
                return self._delete(whole) if whole else self._remove_vertices(marked)
            case Qt.Key.Key_Delete if modifiers == _NONE:
                return self._delete(self.context.selection)
            case Qt.Key.Key_A if modifiers == _CTRL:
                self.context.select(self.context.editable())
                return True
            case _ if key in _ARROWS and modifiers in (_NONE, _SHIFT):
                dx, dy = _ARROWS[Qt.Key(key)]
                step = _BIG_NUDGE if modifiers == _SHIFT else 1.0
                return self._nudge(dx * step, dy * step)
            case _:
                return False

    def key_released(self, event: QKeyEvent) -> bool:
        """A held arrow is one step of the history."""
        if event.key() in _ARROWS and self._nudging and not event.isAutoRepeat():
            self._nudging = False
            self.context.end_drag()
            return True
        return False

    def _escape(self) -> bool:
        if self.busy:
            self._cancel_drag()
        elif self.context.selected_vertices:
            self.context.select_vertex(None)
        elif self.context.selection:
            self.context.select(())
        else:
            return False
        return True

    def _vertices_for_keys(self) -> frozenset[Hit]:
        """The selected vertices; the one under the mouse goes before a single other one."""
        marked, hovered = self.context.selected_vertices, self.context.hovered
        if hovered is not None and hovered.kind == "vertex" and len(marked) < 2:
            return frozenset([hovered])
        return marked

    def _remove_vertices(self, hits: frozenset[Hit], *, alone: bool = False) -> bool:
        """Take vertices out: of all shapes that share them, unless `alone`."""
        document = self.context.document
        if not hits or document is None or self.busy:
            return False
        places = hits if alone else with_sharing(self.context, hits)
        edit: ShapeEdit
        if len(places) == 1:
            (hit,) = places
            edit = RemoveVertex.of(document, hit.uid, hit.index, hit.ring)
        elif len(hits) == 1:
            edit = without_vertices(document, places, title="Remove shared vertex")
        else:
            edit = without_vertices(document, places)
        try:
            edit.pairs()
        except ValueError as error:
            stays = "The vertex stays" if len(hits) == 1 else "The vertices stay"
            way_out = " Ctrl removes it here alone." if len(places) > len(hits) else ""
            self.context.say(f"{stays}: {error}.{way_out}")
            return True
        self.context.hover(None)
        self.context.select_vertex(None)
        self.context.issue(edit)
        self.context.end_drag()
        return True

    def _wholly_marked(self, hits: frozenset[Hit]) -> frozenset[int]:
        """The shapes these vertices are of, when they are all the vertices those have; else none."""
        document = self.context.document
        if document is None:
            return frozenset()
        uids = frozenset(hit.uid for hit in hits)
        vertices = sum(len(ring) for uid in uids for ring in handle_rings(document.get(uid)))
        return uids if vertices == len(hits) else frozenset()

    def _delete(self, uids: frozenset[int]) -> bool:
        document = self.context.document
        if document is None or not uids or self.busy:
            return False
        self.context.select_vertex(None)
        self.context.issue(RemoveShapes.of(document, uids))
        self.context.end_drag()
        self.context.select(())
        return True

    def _nudge(self, dx: float, dy: float) -> bool:
        document, selected = self.context.document, self.context.selection
        if document is None or not selected or self.busy:
            return False
        marked = self.context.selected_vertices
        moved = with_sharing(self.context, marked)
        box = box_of(document, moved) if moved else self.context.index.box_of(selected)
        dx, dy = self.context.bounded(box, dx, dy)
        if not marked and moves_by_pixels(map(document.get, selected)):
            dx, dy = float(math.trunc(dx)), float(math.trunc(dy))
        if (dx, dy) == (0.0, 0.0):
            return True  # the image ends here
        if not marked:
            self.context.issue(TranslateShapes.of(document, selected, dx, dy))
        elif len(marked) > 1:
            self.context.issue(moved_vertices(document, moved, dx, dy, drag=True))
        else:
            (hit,) = marked
            x, y = handle_rings(document.get(hit.uid))[hit.ring][hit.index].tolist()
            places, to = sharing_places(self.context, hit), (x + dx, y + dy)
            if len(places) > 1:
                self.context.issue(MoveSharedVertex.of(document, places, to))
            else:
                self.context.issue(moved_handle(document, hit.uid, hit.ring, hit.index, to))
        self._nudging = True
        return True
