"""Painting and erasing regions with a round brush."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

import numpy as np
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPainterPath

from app.canvas.context import ToolContext
from app.canvas.outlines import Box
from app.canvas.overlay import Region as PredictedRegion
from app.canvas.painting import path_of_rings
from app.canvas.shape_index import union as union_box
from app.canvas.tools.base import Pointer, Tool
from app.canvas.tools.found import paint_region
from app.canvas.tools.half_drawn import drops
from app.canvas.tools.kept_picture import KeptPicture
from app.canvas.tools.stroke_preview import StrokePreview
from core.annotation.areas import AREAL, as_polygons, geometry, less, united
from core.annotation.combining import exchanging
from core.annotation.command import Command, Composite
from core.annotation.commands import XY, drawing
from core.annotation.locking import is_locked
from core.annotation.model import Shape, ShapeType, frozen_points
from core.annotation.shape_edits import translated
from core.annotation.vectorize import region_shapes
from core.interactive.strokes import stroke_region

_STEP: Final = 0.5
"""Moves of less than this many screen pixels add nothing."""
_TOLERANCE: Final = 0.7
"""How far the outline of an accepted region may leave the predicted one, pixels; as when it is clicked."""
_FRESH: Final = Shape("", ShapeType.POLYGON, frozen_points([]))
"""What the first polygon of a stroke is made like; its identity is given anew at every stroke."""


class StrokeTool(Tool):
    """Base of brush and eraser: a drag is a stroke, its release one command.

    - The bracket keys, Alt+drag sideways and Alt+wheel change the size, which a ring around the mouse shows.
    - Shift+press draws straight from where the last stroke ended. Esc or Ctrl+Z drops the stroke.
    """

    overlay_margin = 8.0
    title: ClassVar[str]
    uses_selection = True

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self._points: list[XY] = []
        self._at: XY | None = None
        self._last_end: XY | None = None
        self._base: PredictedRegion | None = None
        self._base_path = QPainterPath()
        self._base_picture = KeptPicture()
        self._resizing: tuple[Pointer, float] | None = None
        self._turned = 0.0  # the part of a notch that a fine wheel or a trackpad has turned
        self._preview = StrokePreview()

    @property
    def busy(self) -> bool:
        """Is a stroke being drawn?"""
        return bool(self._points)

    def activate(self) -> None:
        """Strokes of another image are no beginning for a line."""
        self._last_end = None

    def cancel(self) -> None:
        """Drop the stroke."""
        self._points = []
        self._base = None
        self._base_picture.clear()
        self._resizing = None
        self._preview.clear()

    # --- mouse --------------------------------------------------------------------------------------------

    def press(self, pointer: Pointer) -> None:
        """Begin a stroke, or with Alt change the size."""
        if not pointer.left or self.context.document is None:
            return
        if pointer.alt:
            self._resizing = pointer, self.context.brush.radius
            return
        self._base = self.base_at(pointer)
        self._base_path = path_of_rings(() if self._base is None else self._base.rings)
        start = [self._last_end] if pointer.shift and self._last_end is not None else []
        self._points = [*start, pointer.xy]
        self._at = pointer.xy
        self._preview.begin(self._points)

    def move(self, pointer: Pointer) -> None:
        """Draw to here, or take the size from here."""
        if self._resizing is not None:
            start, radius = self._resizing
            self.context.brush.radius = radius + (pointer.x - start.x)
            return
        self._at = pointer.xy
        if self._points and not self.context.close_on_screen(pointer.xy, self._points[-1], _STEP):
            self._points.append(pointer.xy)
            self._preview.extend(pointer.xy)

    def release(self, pointer: Pointer) -> None:
        """End the stroke: what it covers becomes one command."""
        if pointer.right and not self.busy:
            self.context.request_menu(pointer.global_pos)
        if not pointer.left:
            return
        if self._resizing is not None:
            self._resizing = None
            self._at = pointer.xy
        elif self._points:
            self.move(pointer)
            points, base, self._last_end = self._points, self._base, self._points[-1]
            self.cancel()
            covered = stroke_region(points, self.context.brush.radius, size_wh=self.context.image_size)
            if covered:
                stroke = as_polygons(_FRESH.copy(), covered)
                self.finish(stroke, points[0], base, new=pointer.ctrl)

    def leave(self) -> None:
        """The ring goes with the mouse."""
        self._at = None

    def alt_wheel(self, notches: float) -> bool:
        """Change the size, a step a notch."""
        self._turned += notches
        steps = int(round(self._turned, 3))
        self._turned -= steps
        self.context.brush.step(steps)
        return True

    def finish(
        self, stroke: tuple[Shape, ...], start: XY, base: PredictedRegion | None, *, new: bool
    ) -> None:
        """The stroke is drawn: issue its command.

        Args:
            stroke: what it covers, inside the image.
            start: where it began.
            base: the predicted region it began on, if any.
            new: the person wants a region of its own (Ctrl).
        """
        raise NotImplementedError

    def issue(self, command: Command) -> None:
        """Hand a stroke's command over, as a step of its own."""
        self.context.issue(command)
        self.context.end_drag()

    # --- what a stroke meets ------------------------------------------------------------------------------

    def base_at(self, pointer: Pointer) -> PredictedRegion | None:
        """The predicted region a stroke from here works on."""
        raise NotImplementedError

    def region_below(self, xy: XY) -> PredictedRegion | None:
        """The predicted region under a point that no label covers."""
        if self.context.shapes_visible and self.context.index.under(*xy, 0.0):
            return None
        return self.context.region_at(xy)

    def paintable(self, uids: Iterable[int]) -> list[Shape]:
        """Those of the shapes that cover an area and are not locked, in the same order."""
        document = self.context.document
        shapes = [] if document is None else [document.get(uid) for uid in uids]
        return [shape for shape in shapes if shape.shape_type in AREAL and not is_locked(shape)]

    def selected(self) -> list[Shape]:
        """Selected shapes that a stroke can change, topmost first."""
        document = self.context.document
        if document is None:
            return []
        return self.paintable(sorted(self.context.selection, key=document.index_of, reverse=True))

    def near(self, shapes: Iterable[Shape]) -> list[Shape]:
        """Shown shapes of the document whose boxes meet that of polygons."""
        document = self.context.document
        if document is None or not self.context.shapes_visible:
            return []
        corners = np.concatenate([shape.points for shape in shapes])
        (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return [document.get(uid) for uid in self.context.index.near((x0, y0, x1, y1))]

    def accepted(self, base: PredictedRegion) -> list[Shape]:
        """A predicted region as shapes with its label, without what is drawn already."""
        offset = np.array(base.box[:2], dtype=np.float64)
        label = self.label_of(base)
        shapes = [translated(shape, offset) for shape in region_shapes(base.mask, label, _TOLERANCE)]
        drawn = [shape for shape in self.near(shapes) if shape.shape_type in AREAL]
        return [part for shape in shapes for part in less(shape, drawn)] if drawn else shapes

    def label_of(self, region: PredictedRegion) -> str:
        """Name of the predicted class."""
        return self.context.class_name(region.label_index)

    # --- keys ---------------------------------------------------------------------------------------------

    def claims(self, event: QKeyEvent) -> bool:
        """Esc or Ctrl+Z during a stroke."""
        return self.busy and drops(event)

    def key(self, event: QKeyEvent) -> bool:
        """Drop the stroke; change the size."""
        if self.claims(event):
            self.cancel()
            return True
        if event.key() in (Qt.Key.Key_BracketLeft, Qt.Key.Key_BracketRight):
            self.context.brush.step(1 if event.key() == Qt.Key.Key_BracketRight else -1)
            return True
        return False

    # --- looks --------------------------------------------------------------------------------------------

    @property
    def ink(self) -> QColor:
        """The colour of the stroke while it is drawn."""
        raise NotImplementedError

    @property
    def cursor(self) -> Qt.CursorShape:
        """The ring alone, or a cross where it would be too small to see."""
        radius = self.context.brush.radius * self.context.scale
        return Qt.CursorShape.CrossCursor if self._at is None or radius < 3 else Qt.CursorShape.BlankCursor

    def overlay_box(self) -> Box | None:
        """Around the stroke, the ring and the predicted region."""
        radius = self.context.brush.radius
        points: list[XY] = [] if self._ring_at is None else [self._ring_at]
        if self._points:
            points += self._preview.corners
        boxes: list[Box] = [(x - radius, y - radius, x + radius, y + radius) for x, y in points]
        if self._base is not None:
            x0, y0, x1, y1 = self._base.box
            boxes.append((float(x0), float(y0), float(x1), float(y1)))
        return union_box(boxes) if boxes else None

    @property
    def _ring_at(self) -> XY | None:
        return self._at if self._resizing is None else self._resizing[0].xy

    def paint_overlay(self, painter: QPainter) -> None:
        """The predicted region worked on, the stroke so far, and the ring."""
        if self._base is not None:
            self._base_picture.paint(painter, self.context.view, self._base, self._paint_base)
        if self._points:
            self._preview.paint(painter, self.context.view, self._points, self.context.brush.radius, self.ink)
        if self._ring_at is not None:
            self._paint_ring(painter, self.context.to_screen(self._ring_at))

    def _paint_base(self, painter: QPainter) -> None:
        path = self.context.to_viewport_path(self._base_path)
        paint_region(painter, path, QColor(255, 255, 255), alpha=40)

    def _paint_ring(self, painter: QPainter, center: QPointF) -> None:
        radius = self.context.brush.radius * self.context.scale
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for color, width in ((QColor(0, 0, 0, 150), 3.0), (QColor(255, 255, 255), 1.2)):
            pen = painter.pen()
            pen.setColor(color)
            pen.setWidthF(width)
            pen.setStyle(Qt.PenStyle.SolidLine)
            painter.setPen(pen)
            painter.drawEllipse(center, radius, radius)
            if radius >= 12:
                painter.drawPoint(center)


class BrushTool(StrokeTool):
    """A stroke becomes a region of the active class, or adds to one.

    It adds to the selected shape; else to the topmost shape of the active class that it begins on; else,
    where nothing is labelled, to the predicted region of the active class that it begins on. Ctrl always
    makes a new region. Another class under the stroke is painted over, not extended.
    """

    name = "brush"
    title = "Brush"

    def base_at(self, pointer: Pointer) -> PredictedRegion | None:
        """The predicted region of the active class (of any, without one), unless something is selected."""
        if pointer.ctrl or self.selected():
            return None
        region = self.region_below(pointer.xy)
        return region if region is not None and self._is_active(self.label_of(region)) else None

    def finish(
        self, stroke: tuple[Shape, ...], start: XY, base: PredictedRegion | None, *, new: bool
    ) -> None:
        """Add to what it began on, or make a new region."""
        target = None if new else self._target(stroke, start)
        if target is not None:
            self.context.extend(target, stroke, title="Brush")
        elif base is None:
            self.context.add_drawn(*stroke)
        else:
            try:
                whole = united([*self.accepted(base), *stroke])
                drawn = self.context.drawing([shape.with_(label=self.label_of(base)) for shape in whole])
            except ValueError as error:
                self.context.say(f"Nothing was added: {error}.")
                return
            self.issue(Composite("Brush", (drawn,)))

    def _target(self, stroke: tuple[Shape, ...], start: XY) -> Shape | None:
        selected = self.selected()
        met = next((shape for shape in selected if _meet(shape, stroke)), None)
        if met is not None or len(selected) == 1:
            return met or selected[0]
        if not self.context.shapes_visible:
            return None
        below = self.paintable(self.context.index.under(*start, 0.0))
        return next((shape for shape in below if self._is_active(shape.label)), None)

    def _is_active(self, label: str) -> bool:
        active = self.context.active_class
        return active is None or active.name == label

    @property
    def ink(self) -> QColor:
        """The active class's colour."""
        return self.context.drawing_color

    @property
    def hint(self) -> str:
        """What a stroke would do."""
        if self.busy:
            return "Release to add the stroke; Esc drops it"
        radius = self.context.brush.radius
        return f"Drag to paint, {2 * radius:.0f} px wide; [ and ] change the size, Ctrl makes a new region"


class EraserTool(StrokeTool):
    """A stroke is taken from the selected shapes; without any, from all it crosses that are not locked.

    Begun on a predicted region that nothing labels, it accepts the region without the stroke. Finished areas
    are erased only when selected, or when there is nothing else: what is erased inside them is background.
    """

    name = "eraser"
    title = "Eraser"
    draws = False

    def base_at(self, pointer: Pointer) -> PredictedRegion | None:
        """The predicted region, unless something is selected."""
        return None if self.context.selection else self.region_below(pointer.xy)

    def finish(
        self, stroke: tuple[Shape, ...], start: XY, base: PredictedRegion | None, *, new: bool
    ) -> None:
        """Take the stroke away."""
        document = self.context.document
        if document is None:
            return
        selected = bool(self.context.selection)
        found = self.selected() if selected else self.paintable(shape.uid for shape in self.near(stroke))
        left = [(shape, less(shape, stroke)) for shape in found if _meet(shape, stroke)]
        drawn = [(shape, rest) for shape, rest in left if shape.label not in self.context.spare]
        changed = [(shape, rest) for shape, rest in drawn or left if rest != (shape,)]
        commands: list[Command] = [exchanging(document, "Erase", changed)] if changed else []
        if base is not None:
            rest = [part for shape in self.accepted(base) for part in less(shape, stroke)]
            commands += [drawing(document, rest)] if rest else []
        if not commands:
            which = "selected shape" if selected else "shape"
            self.context.say(f"Nothing was erased: no {which} that can be changed lies under the stroke.")
            return
        self.issue(Composite("Erase", tuple(commands)))

    @property
    def ink(self) -> QColor:
        """White: it lightens what goes."""
        return QColor(255, 255, 255)

    @property
    def hint(self) -> str:
        """What a stroke would do."""
        if self.busy:
            return "Release to erase; Esc drops the stroke"
        what = "the selected shape" if self.context.selection else "shapes"
        radius = self.context.brush.radius
        return f"Drag to erase from {what}, {2 * radius:.0f} px wide; [ and ] change the size"


def _meet(shape: Shape, stroke: Iterable[Shape]) -> bool:
    covered = geometry(shape)
    return any(covered.intersects(geometry(piece)) for piece in stroke)
