"""Shapes that are being looked at or edited: selected, under the mouse, half-way through a drag.

They are drawn anew at every paint, on top of the layer of all others, which therefore need not be drawn
again while a vertex moves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPainterPath, QTransform

from app.canvas.handles import handle_rings, rotation_grip
from app.canvas.hits import Hit
from app.canvas.layer_cache import Frame
from app.canvas.outlines import Box, Outline, outline_of
from app.canvas.painting import draw_handle, draw_handles, draw_line, path_of
from app.canvas.shape_index import ShapeIndex, union
from app.canvas.shape_layer import paint_outline
from app.canvas.style import (
    HANDLE_FILL,
    HANDLE_HOT,
    HANDLE_RADIUS,
    SELECTED_FILL_ALPHA,
    visible_line,
)
from app.canvas.vertex_sets import movable_together
from core.annotation.document import AnnotationDocument, Change
from core.annotation.model import Points, Shape

FEW: Final = 64
"""More selected shapes than this are drawn by the layer: drawing them anew at every paint would be felt."""
LIVE_MARGIN: Final = 32.0
"""How far pens and handles reach past the shapes' boxes, screen pixels."""
LARGE: Final = 1000
"""Outlines of more vertices than this are painted by OpenCV, with those left out that nobody sees."""
_MAX_HANDLES: Final = 4000
_HOVER_FILL_ALPHA: Final = 40


@dataclass(frozen=True, slots=True)
class Shift:
    """Shapes shown away from where they are: `copies` says that the originals stay."""

    uids: frozenset[int]
    dx: float
    dy: float
    copies: bool = False


class LiveShapes:
    """What is drawn live, and how.

    Args:
        index: outlines of the document.
        color_of: colour of a label.
    """

    def __init__(self, index: ShapeIndex, color_of: Callable[[str], QColor]) -> None:
        self._index = index
        self._color_of = color_of
        self._paths: dict[int, tuple[Outline, QPainterPath]] = {}
        self._swarm_box: tuple[frozenset[int], Box] | None = None
        self.document: AnnotationDocument | None = None
        self.selection: frozenset[int] = frozenset()
        self.previews: dict[int, Shape] = {}
        """Shapes shown differently from the document, by uid."""
        self.shift: Shift | None = None
        self.hover: Hit | None = None
        self.vertices: frozenset[Hit] = frozenset()
        """The selected vertices."""
        self.visible = True

    # --- who is live --------------------------------------------------------------------------------------

    def uids(self) -> frozenset[int]:
        """Shapes the layer leaves out."""
        live = frozenset(self.previews)
        if len(self.selection) <= FEW:
            live |= self.selection
        if self.shift is not None and not self.shift.copies:
            live |= self.shift.uids
        return live

    def crowd(self) -> frozenset[int]:
        """Selected shapes the layer draws, highlighted."""
        return self.selection - self.uids()

    @property
    def swarm(self) -> Shift | None:
        """The shift of so many shapes that a picture of them is moved instead."""
        shift = self.shift
        return shift if shift is not None and len(shift.uids) > FEW else None

    def reset(self) -> None:
        """Forget previews, hover and the selected vertex, and how other documents' shapes are painted."""
        self._paths = {}
        self._swarm_box = None
        self.previews = {}
        self.shift = None
        self.hover = None
        self.vertices = frozenset()

    def follow(self, change: Change) -> None:
        """Drop what refers to shapes that the document no longer has, or vertices that are gone."""
        if change.uid is None:
            if change.kind == "reset":
                self.reset()
            return
        if change.after is None:
            self._paths.pop(change.uid, None)
            self.previews.pop(change.uid, None)
        self._follow_hits()

    def follow_many(self) -> None:
        """As `follow`, after very many changes."""
        document = self.document
        if document is not None:
            self._paths = {uid: known for uid, known in self._paths.items() if uid in document}
            self.previews = {uid: shape for uid, shape in self.previews.items() if uid in document}
        self._swarm_box = None
        self._follow_hits()

    def _follow_hits(self) -> None:
        self.hover = self._still_there(self.hover)
        vertices = frozenset(hit for hit in self.vertices if self._still_there(hit) is not None)
        self.vertices = vertices if self.document is None else movable_together(self.document, vertices)

    def _still_there(self, hit: Hit | None) -> Hit | None:
        if hit is None or self.document is None or hit.uid not in self._index:
            return None
        if hit.kind in ("body", "grip"):
            return hit
        rings = handle_rings(self.document.get(hit.uid))
        there = hit.ring < len(rings) and hit.index < len(rings[hit.ring]) + (hit.kind == "edge")
        return hit if there else None

    def box(self) -> Box:
        """The part of the image drawn on; empty (corners crossed) when nothing is live."""
        boxes = [_moved(outline.box, dx, dy) for _, outline, dx, dy in self._drawn()]
        swarm = self.swarm
        if swarm is not None and self.visible:
            if self._swarm_box is None or self._swarm_box[0] is not swarm.uids:
                self._swarm_box = swarm.uids, self._index.box_of(swarm.uids)
            boxes.append(_moved(self._swarm_box[1], swarm.dx, swarm.dy))
        return union(boxes)

    def _drawn(self) -> Iterable[tuple[int, Outline, float, float]]:
        """Live shapes, the outlines they have now, and how far away they are shown."""
        if not self.visible or self.document is None:
            return
        shift, swarm = self.shift, self.swarm
        uids = frozenset(self.previews) if swarm is not None else self.uids()
        if shift is not None and swarm is None:
            uids |= shift.uids
        if self.hover is not None:
            uids |= {self.hover.uid}
        for uid in uids:
            if not self._index.is_shown(uid):
                continue
            outline = self._outline(uid)
            if shift is not None and uid in shift.uids:
                if shift.copies:
                    yield uid, outline, 0.0, 0.0
                yield uid, outline, shift.dx, shift.dy
            else:
                yield uid, outline, 0.0, 0.0

    # --- drawing ------------------------------------------------------------------------------------------

    def paint(self, painter: QPainter, to_viewport: QTransform, exposed: QRectF) -> None:
        """Draw in viewport coordinates; `exposed` is the part of the viewport that is wanted."""
        if not self.visible or self.document is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        inverted, _ = to_viewport.inverted()
        # Pens and handles reach past the geometry.
        seen = inverted.mapRect(exposed.adjusted(-LIVE_MARGIN, -LIVE_MARGIN, LIVE_MARGIN, LIVE_MARGIN))
        self._paint_bodies(painter, to_viewport, seen, exposed)
        self._paint_handles(painter, to_viewport, seen)
        painter.restore()

    def _paint_bodies(
        self, painter: QPainter, to_viewport: QTransform, seen: QRectF, exposed: QRectF
    ) -> None:
        live = self.uids()
        for uid, outline, dx, dy in sorted(self._drawn(), key=lambda drawn: drawn[0] in self.selection):
            if not _meets(outline.box, seen.translated(-dx, -dy)):
                continue
            placing = QTransform.fromTranslate(dx, dy) * to_viewport
            color = self._color_of(self._shape(uid).label)
            strong = uid in live or uid in self.selection
            if outline.dots:
                for point in outline.rings[0]:
                    center = placing.map(QPointF(*point))
                    if strong:
                        draw_handle(painter, center, HANDLE_FILL, 7.5)
                    draw_handle(painter, center, visible_line(color), 5.0)
                continue
            alpha, width = (SELECTED_FILL_ALPHA, 2.5) if strong else (_HOVER_FILL_ALPHA, 2.0)
            if sum(map(len, outline.rings)) > LARGE:
                paint_large(painter, outline, color, placing, exposed, alpha, width)
                continue
            path = placing.map(self._path(uid, outline))
            if outline.closed:
                fill = QColor(color)
                fill.setAlpha(alpha)
                painter.fillPath(path, fill)
            draw_line(painter, path, visible_line(color), width)

    def _paint_handles(self, painter: QPainter, to_viewport: QTransform, seen: QRectF) -> None:
        if self.shift is None:
            shown = [uid for uid in self.uids() if self._index.is_shown(uid)]
            if (
                self.hover is not None
                and self.hover.uid not in shown
                and self._index.is_shown(self.hover.uid)
            ):
                shown.append(self.hover.uid)
            for uid in shown:
                if _meets(self._outline(uid).box, seen):
                    self._paint_handles_of(painter, to_viewport, uid)
        if self.vertices and self.shift is None:
            places = [place for hit in self.vertices if (place := self._vertex(hit)) is not None]
            placed = [to_viewport.map(QPointF(*place)).toTuple() for place in places]
            draw_handles(painter, np.array(placed).reshape(-1, 2), HANDLE_RADIUS + 0.5, HANDLE_HOT)
        if self.hover is not None and self.hover.kind == "vertex":
            place = self._vertex(self.hover)
            if place is not None:
                draw_handle(painter, to_viewport.map(QPointF(*place)), HANDLE_HOT, HANDLE_RADIUS + 2)

    def _paint_handles_of(self, painter: QPainter, to_viewport: QTransform, uid: int) -> None:
        shape = self._shape(uid)
        rings = handle_rings(shape)
        count = sum(len(ring) for ring in rings)
        if count == 0 or count > _MAX_HANDLES or self._outline(uid).dots:
            return
        matrix = np.array([[to_viewport.m11(), to_viewport.m12()], [to_viewport.m21(), to_viewport.m22()]])
        offset = (to_viewport.dx(), to_viewport.dy())
        by_radius: dict[float, list[Points]] = {}  # drawn together: there may be a thousand holes
        for ring in rings:
            placed = ring @ matrix + offset
            # Handles that would touch each other shrink, then vanish: the outline says more.
            radius = min(HANDLE_RADIUS, round(0.9 * _spacing(placed)) / 2)
            if radius >= 1.5:
                by_radius.setdefault(radius, []).append(placed)
        for radius, alike in by_radius.items():
            draw_handles(painter, np.concatenate(alike), radius)
        if uid in self.selection:
            self._paint_grip(painter, to_viewport, shape)

    def _paint_grip(self, painter: QPainter, to_viewport: QTransform, shape: Shape) -> None:
        grip = rotation_grip(shape, to_viewport.m11())
        if grip is None:
            return
        stem = QPainterPath(to_viewport.map(QPointF(*shape.points[:2].mean(axis=0))))
        stem.lineTo(to_viewport.map(QPointF(*grip)))
        draw_line(painter, stem, HANDLE_FILL, 1.0)
        hot = self.hover is not None and self.hover.kind == "grip" and self.hover.uid == shape.uid
        draw_handle(painter, to_viewport.map(QPointF(*grip)), HANDLE_HOT if hot else HANDLE_FILL, 5.5)

    def _vertex(self, hit: Hit) -> tuple[float, float] | None:
        if not self._index.is_shown(hit.uid) or self.shift is not None:
            return None
        rings = handle_rings(self._shape(hit.uid))
        if hit.ring >= len(rings) or hit.index >= len(rings[hit.ring]):
            return None
        x, y = rings[hit.ring][hit.index].tolist()
        return x, y

    def _shape(self, uid: int) -> Shape:
        assert self.document is not None
        return self.previews.get(uid) or self.document.get(uid)

    def _outline(self, uid: int) -> Outline:
        return outline_of(self.previews[uid]) if uid in self.previews else self._index[uid]

    def _path(self, uid: int, outline: Outline) -> QPainterPath:
        known = self._paths.get(uid)
        if known is None or known[0] is not outline:
            known = self._paths[uid] = outline, path_of(outline)
        return known[1]


def paint_large(
    painter: QPainter,
    outline: Outline,
    color: QColor,
    placing: QTransform,
    exposed: QRectF,
    alpha: int,
    width: float,
) -> None:
    """Paint an outline of very many vertices by way of a picture: a path of them takes most of a second.

    Args:
        painter: draws in viewport coordinates.
        outline: closed or open, no dots.
        color: of its line.
        placing: from the image to the viewport.
        exposed: the part of the viewport that is wanted.
        alpha: 0..255, of a closed outline's inside.
        width: of the line, screen pixels.
    """
    device = painter.device()
    ratio = 1.0 if device is None else device.devicePixelRatioF()
    room = exposed.toAlignedRect()
    size = room.size() * ratio
    picture = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
    picture.fill(Qt.GlobalColor.transparent)
    frame = Frame(
        scale=placing.m11() * ratio,
        dx=(placing.dx() - room.x()) * ratio,
        dy=(placing.dy() - room.y()) * ratio,
        width=size.width(),
        height=size.height(),
        ratio=ratio,
    )
    paint_outline(picture, outline, color, frame, fill_alpha=alpha, width=width * ratio)
    picture.setDevicePixelRatio(ratio)
    painter.drawImage(room.topLeft(), picture)


def _moved(box: Box, dx: float, dy: float) -> Box:
    x0, y0, x1, y1 = box
    return x0 + dx, y0 + dy, x1 + dx, y1 + dy


def _meets(box: Box, rect: QRectF) -> bool:
    x0, y0, x1, y1 = box
    return x0 <= rect.right() and x1 >= rect.left() and y0 <= rect.bottom() and y1 >= rect.top()


def _spacing(points: np.ndarray) -> float:
    """Typical distance from one point to the next, viewport pixels."""
    if len(points) < 2:
        return math.inf
    middle = (len(points) - 1) // 2
    return float(np.partition(np.hypot(*(points[1:] - points[:-1]).T), middle)[middle])
