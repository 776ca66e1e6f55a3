"""What a tool may see and do: the document, the view's geometry, previews, and a way to issue commands."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor, QPainterPath

from app.canvas.hits import Hit, HitTester
from app.canvas.live_shapes import LiveShapes, Shift
from app.canvas.outlines import Box
from app.canvas.overlay import Region
from app.canvas.pixels import PixelReader
from app.canvas.shape_index import ShapeIndex
from app.canvas.snapper import Snapper
from app.canvas.style import FRESH_COLOR, PICK_RADIUS, SNAP_RADIUS, visible_line
from app.canvas.vertex_sets import movable_together
from app.canvas.waiting import WaitingShapes
from app.workers.tasks import TaskRunner
from core.annotation.commands import XY, Command, Overlap, ShapeEdit, covering, drawing_as, extending_as
from core.annotation.document import AnnotationDocument
from core.annotation.model import BACKGROUND_LABEL, LabelClass, Points, Shape, spoken_label
from core.interactive.window import PixelBox, overlap
from core.polygons.snapping import Snap

if TYPE_CHECKING:
    from app.canvas.view import CanvasView

_BRUSH_STEP: Final = 1.2
_SMALLEST_BRUSH: Final = 0.5
_LARGEST_BRUSH: Final = 2000.0


class BrushSize:
    """The radius that brush and eraser share, image pixels."""

    def __init__(self) -> None:
        self._radius = 10.0

    @property
    def radius(self) -> float:
        """Image pixels."""
        return self._radius

    @radius.setter
    def radius(self, value: float) -> None:
        self._radius = min(_LARGEST_BRUSH, max(_SMALLEST_BRUSH, value))

    def step(self, steps: int) -> None:
        """So many steps up or down: a fifth each, half a pixel at least."""
        for _ in range(abs(steps)):
            if steps > 0:
                self.radius = max(round(2 * self._radius * _BRUSH_STEP) / 2, self._radius + 0.5)
            else:
                self.radius = min(round(2 * self._radius / _BRUSH_STEP) / 2, self._radius - 0.5)


class ToolContext:
    """The canvas as tools know it. There is one for all tools of a view."""

    def __init__(self, view: CanvasView, index: ShapeIndex, live: LiveShapes) -> None:
        self._view = view
        self._index = index
        self._live = live
        self.hits = HitTester(index)
        self.snapper = Snapper(lambda: index.hidden)
        self.waiting = WaitingShapes(self)
        self._document: AnnotationDocument | None = None
        self.active_class: LabelClass | None = None
        self.overlap = Overlap.STACK
        """What new shapes do to those they overlap."""
        self.brush = BrushSize()
        self.pixels: PixelReader | None = None
        """Cuts windows out of the shown image; None without one."""
        self.runner = TaskRunner(1, view)
        """Where tools compute (`pixels.Latest`)."""

    # --- geometry -----------------------------------------------------------------------------------------

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of the image, pixels; 0, 0 without one."""
        size = self._view.content_size
        return size.width(), size.height()

    @property
    def visible_box(self) -> PixelBox:
        """The part of the image in sight, whole pixels; empty without an image."""
        rect = self._view.viewport().rect()
        first = self._view.to_image(QPointF(rect.topLeft()))
        last = self._view.to_image(QPointF(rect.bottomRight()))
        seen = math.floor(first.x()), math.floor(first.y()), math.ceil(last.x()), math.ceil(last.y())
        return overlap(seen, (0, 0, *self.image_size))

    @property
    def scale(self) -> float:
        """Logical screen pixels per image pixel."""
        return self._view.zoom

    @property
    def reach(self) -> float:
        """How far from a vertex or edge a click may be, image pixels."""
        return PICK_RADIUS / self.scale

    def to_screen(self, xy: XY) -> QPointF:
        """A point of the image in viewport coordinates."""
        return self._view.to_viewport(QPointF(*xy))

    def points_to_screen(self, points: Points) -> Points:
        """Points (N, 2) of the image in viewport coordinates."""
        origin = self.to_screen((0.0, 0.0))
        return np.asarray(points) * self.scale + (origin.x(), origin.y())

    def to_viewport_path(self, path: QPainterPath) -> QPainterPath:
        """A path in image coordinates, in viewport coordinates."""
        return self._view.viewportTransform().map(path)

    def clamp(self, xy: XY) -> XY:
        """The nearest point of the image, its border included."""
        width, height = self.image_size
        return min(max(xy[0], 0.0), float(width)), min(max(xy[1], 0.0), float(height))

    def bounded(self, box: Box, dx: float, dy: float) -> XY:
        """How far what is in a box can go: it stays inside the image, or as far outside as it was."""
        width, height = self.image_size
        x0, y0, x1, y1 = box
        across = min(max(dx, min(0.0, -x0)), max(0.0, width - x1))
        return across, min(max(dy, min(0.0, -y0)), max(0.0, height - y1))

    def close_on_screen(self, a: XY, b: XY, pixels: float = PICK_RADIUS) -> bool:
        """Are two points of the image within so many screen pixels?"""
        return float(np.hypot(a[0] - b[0], a[1] - b[1])) * self.scale <= pixels

    # --- the document -------------------------------------------------------------------------------------

    @property
    def document(self) -> AnnotationDocument | None:
        """The shapes on show; None without an image."""
        return self._document

    @document.setter
    def document(self, document: AnnotationDocument | None) -> None:
        self._document = document
        self.snapper.set_document(document)

    @property
    def index(self) -> ShapeIndex:
        """Outlines and boxes of the shapes."""
        return self._index

    def issue(self, command: Command) -> None:
        """Hand a command to whoever executes them."""
        self._view.command_issued.emit(command)

    def end_drag(self) -> None:
        """Say that what follows is a step of its own in the history."""
        self._view.drag_ended.emit()

    def drawing(self, shapes: Iterable[Shape]) -> Command:
        """The command that adds labelled shapes in the way chosen for overlaps.

        Raises:
            ValueError: nothing is left to add, or there is no document.
        """
        if self.document is None:
            raise ValueError("there is no image to draw on")
        return drawing_as(self.document, shapes, self.overlap, spare=self.spare)

    def extend(self, target: Shape, pieces: tuple[Shape, ...], *, title: str) -> None:
        """Add areas to a shape in the way chosen for overlaps; say where part of them is hidden."""
        document = self.document
        if document is None:
            return
        try:
            command = extending_as(document, target, pieces, self.overlap, title=title, spare=self.spare)
        except ValueError as error:
            self.say(f"Nothing was added: {error}.")
            return
        if command is None:
            return
        self.issue(command)
        self.end_drag()
        if target.uid in document and (above := covering(document, target.uid, pieces)):
            names = " and ".join(sorted({spoken_label(shape.label) for shape in above}))
            self.say(f"Part of it lies below {names}: Shape > Bring to front raises the whole shape.")

    @property
    def spare(self) -> set[str]:
        """Labels of what is ground to draw on: finished areas and the background. Nothing gives way to it."""
        background = self._view.classes.by_name(BACKGROUND_LABEL)
        return {BACKGROUND_LABEL} if background is None else {BACKGROUND_LABEL, background.name}

    def add_drawn(self, *shapes: Shape, label_class: LabelClass | None = None, kept: bool = False) -> bool:
        """Shapes are finished in one go: add them with a class, or ask for a label.

        Until there is one they wait on the canvas, unless the tool itself keeps them in sight (`kept`).

        Args:
            shapes: without labels.
            label_class: theirs; None for the active one.
            kept: the tool goes on showing them.

        Returns:
            False where they were refused, and why has been told.
        """
        document = self.document
        if document is None or not shapes:
            return False
        label_class = label_class or self.active_class
        if label_class is None:
            if not kept:
                self.waiting.add(shapes)
            self._view.label_needed.emit(shapes)
            return True
        try:
            command = self.drawing([shape.with_(label=label_class.name) for shape in shapes])
        except ValueError as error:
            self.say(f"Nothing was added: {error}.")
            return False
        revision = document.revision
        self.issue(command)
        self.end_drag()
        added = document.revision != revision
        if added and not self.shapes_visible:
            self.say("It was added, but all shapes are hidden: View > Show labels shows them.")
        return added

    # --- neighbours ---------------------------------------------------------------------------------------

    def snap(self, xy: XY, *, leave_out: Collection[int] = ()) -> Snap | None:
        """The vertex or edge of a shown shape that a point snaps to, inside the image; else None."""
        if not self.shapes_visible:
            return None
        snap = self.snapper.nearest(xy, SNAP_RADIUS / self.scale, leave_out=leave_out)
        return snap if snap is not None and self.clamp(snap.xy) == snap.xy else None

    # --- selection ----------------------------------------------------------------------------------------

    @property
    def selection(self) -> frozenset[int]:
        """Selected shapes that can be seen."""
        return self._index.shown_among(self._live.selection) if self._live.visible else frozenset()

    def select(self, uids: Iterable[int]) -> None:
        """Ask for a selection; whoever owns it answers by setting it."""
        wanted = frozenset(uids)
        if wanted != self._live.selection:
            self._view.selection_requested.emit(wanted)

    def editable(self) -> list[int]:
        """Shapes that can be seen and are not locked, bottom to top."""
        return self._index.editable() if self._live.visible else []

    @property
    def shapes_visible(self) -> bool:
        """Are shapes shown at all? What cannot be seen cannot be hit."""
        return self._live.visible

    def can_be_seen(self, uid: int) -> bool:
        """Is this shape shown?"""
        return self._live.visible and self._index.is_shown(uid)

    # --- what is shown before it is so --------------------------------------------------------------------

    def preview(self, edit: ShapeEdit) -> bool:
        """Show shapes as an edit would make them. False (and no change) when the edit is not allowed."""
        try:
            pairs = edit.pairs()
        except ValueError as error:
            self.say(f"Not possible here: {error}.")
            return False
        self._view.change_live(previews={after.uid: after for _, after in pairs})
        self.say_hint()
        return True

    def preview_shift(self, uids: frozenset[int], dx: float, dy: float, *, copies: bool = False) -> None:
        """Show shapes moved, or copies of them beside them."""
        self._view.change_live(shift=Shift(uids, dx, dy, copies))

    def clear_preview(self) -> None:
        """Show the document as it is."""
        self._view.change_live(previews={}, shift=None)

    def hover(self, hit: Hit | None) -> None:
        """Highlight what is under the mouse."""
        if hit != self._live.hover:
            self._view.change_live(hover=hit)

    @property
    def hovered(self) -> Hit | None:
        """What is highlighted under the mouse."""
        return self._live.hover

    def select_vertices(self, hits: Iterable[Hit]) -> None:
        """Mark these vertices as those that keys and drags act on; of several those that move freely."""
        wanted = frozenset(hits)
        if self.document is not None:
            wanted = movable_together(self.document, wanted)
        if wanted != self._live.vertices:
            self._view.change_live(vertices=wanted)

    def select_vertex(self, hit: Hit | None) -> None:
        """Mark one vertex, or none."""
        self.select_vertices(() if hit is None else (hit,))

    @property
    def selected_vertices(self) -> frozenset[Hit]:
        """The marked vertices that can be seen."""
        return frozenset(hit for hit in self._live.vertices if self._index.is_shown(hit.uid))

    # --- prediction ---------------------------------------------------------------------------------------

    def region_at(self, xy: XY) -> Region | None:
        """The predicted region under a point, while predictions are shown."""
        return self._view.region_at(*xy)

    @property
    def prediction(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None] | None:
        """Predicted classes and their confidence, both (H, W) uint8, while they are shown."""
        return self._view.prediction

    @property
    def has_prediction(self) -> bool:
        """Is a prediction shown?"""
        return self._view.has_prediction

    def class_name(self, index: int) -> str:
        """Name of the class with this mask value."""
        found = self._view.classes.by_index(index)
        return str(index) if found is None else found.name

    def click_region(self, xy: XY) -> None:
        """Tell that the predicted region under a point was clicked."""
        self._view.region_clicked.emit(int(xy[0]), int(xy[1]))

    # --- words and menus ----------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Show a note where hints are shown, until the next press or key."""
        self._view.show_note(text)

    def say_hint(self) -> None:
        """Take a note back: show the tool's own hint again."""
        self._view.show_note(None)

    def refresh(self) -> None:
        """Tell the view that the tool's overlay, cursor or hint changed outside of an event."""
        self._view.refresh_tool()

    def request_menu(self, global_pos: QPointF) -> None:
        """Ask for the context menu of the selection."""
        self._view.context_menu_requested.emit(global_pos.toPoint())

    def color_of(self, label: str) -> QColor:
        """The colour shapes of a label are drawn in."""
        return self._view.color_of(label)

    @property
    def drawing_color(self) -> QColor:
        """The colour of what is being drawn: the active class's, else a neutral one."""
        return FRESH_COLOR if self.active_class is None else visible_line(QColor(self.active_class.color))

    @property
    def view(self) -> CanvasView:
        """The widget, as a parent for menus."""
        return self._view
