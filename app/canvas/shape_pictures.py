"""The shapes of a view as cached pictures: as they lie, as many of them are dragged, and their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QRect
from PySide6.QtGui import QColor, QPainter

from app.canvas.aids.label_text import LabelTextLayer
from app.canvas.layer_cache import DrawLater, Frame, Layer, LayerCache
from app.canvas.live_shapes import FEW, LiveShapes, Shift
from app.canvas.outlines import Box
from app.canvas.shape_index import ShapeIndex
from app.canvas.shape_layer import ShapeLayer


class ShapePictures:
    """Draws all shapes that are not drawn live.

    Very many shapes that are dragged together are one more picture, which moves like a scrolled one: a step
    of the drag costs a shift and the strip that comes into view, whatever their number.

    Args:
        index: outlines and order.
        color_of: colour of a shape by uid.
        label_of: label of a shape by uid.
        on_stretched, draw_later: see `LayerCache`.
    """

    def __init__(
        self,
        index: ShapeIndex,
        color_of: Callable[[int], QColor],
        label_of: Callable[[int], str],
        on_stretched: Callable[[], None],
        draw_later: DrawLater | None = None,
    ) -> None:
        self._index = index
        self._lying = ShapeLayer(index, color_of)
        self._dragged = ShapeLayer(index, color_of)
        self._magnified = ShapeLayer(index, color_of)
        self._names = LabelTextLayer(index, label_of, color_of)
        self._lying_cache = LayerCache(self._lying, on_stretched, draw_later)
        self._dragged_cache = LayerCache(self._dragged, on_stretched)
        self._names_cache = LayerCache(self._names, on_stretched)
        self.names_visible = False

    def invalidate(self, box: Box | None = None) -> None:
        """Say that a box of the image (None: all of it) looks different now."""
        self._lying_cache.invalidate(box)
        # What is not painted for a while keeps no list of what was edited meanwhile.
        self._dragged_cache.invalidate(None if self._dragged.only is None else box)
        self._names_cache.invalidate(box if self.names_visible else None)

    def fade(self) -> None:
        """Say that all shapes look different now; until they are drawn they may be shown as they were."""
        self._lying_cache.fade()
        for cache in (self._dragged_cache, self._names_cache):
            cache.invalidate()

    def sharpen(self) -> None:
        """See `LayerCache`."""
        for cache in (self._lying_cache, self._dragged_cache, self._names_cache):
            cache.sharpen()

    def follow_live(self, live: LiveShapes) -> list[Box]:
        """Leave out what is drawn live now, take back what no longer is. Returns the boxes that changed."""
        uids, crowd, swarm = live.uids(), live.crowd(), live.swarm
        moving = frozenset(live.previews) | (live.shift.uids if live.shift is not None else frozenset())
        self._begin_drag(swarm, live.selection)
        appeared, highlighted = uids ^ frozenset(self._lying.live), crowd ^ frozenset(self._lying.selected)
        changed = appeared | highlighted
        self._lying.live, self._lying.selected = uids, crowd
        renamed = moving ^ frozenset(self._names.moving)
        self._names.moving = moving
        boxes = [self._index.box_of(changed)] if changed else []
        if len(highlighted) > FEW and not appeared:
            self._lying_cache.fade()  # they are all there, and look selected a moment later
        else:
            for box in boxes:
                self._lying_cache.invalidate(box)
        if renamed:
            self._names_cache.invalidate(self._index.box_of(renamed) if self.names_visible else None)
        return boxes

    def _begin_drag(self, swarm: Shift | None, selection: frozenset[int]) -> None:
        wanted = None if swarm is None else swarm.uids
        if wanted is self._dragged.only:
            return
        self._dragged.only = wanted
        self._dragged.selected = selection
        self._dragged_cache.invalidate()
        if wanted is not None and not wanted.isdisjoint(self._lying.selected):
            view = self._lying_cache.view_box
            if view is not None and wanted.issuperset(self._index.near(view)):
                self._dragged_cache.adopt(self._lying_cache)  # all there is: drawn already

    def paint(self, painter: QPainter, frame: Frame, exposed: QRect, live: LiveShapes) -> None:
        """Blit what `exposed` (device pixels) shows of all shapes."""
        if not live.visible or not len(self._index):
            return
        self._lying_cache.paint(painter, frame, exposed)
        if live.swarm is not None:
            dx, dy = (round(step * frame.scale) for step in (live.swarm.dx, live.swarm.dy))
            moved = replace(frame, dx=frame.dx + dx, dy=frame.dy + dy)
            self._dragged_cache.paint(painter, moved, exposed)

    def paint_names(self, painter: QPainter, frame: Frame, exposed: QRect, live: LiveShapes) -> None:
        """Blit the names, above what is live: a selected shape has its name, too."""
        if self.names_visible and live.visible and len(self._index):
            self._names_cache.paint(painter, frame, exposed)

    def magnified(self) -> list[Layer]:
        """The layers as a loupe draws them; what is live is left out here, too."""
        self._magnified.live, self._magnified.selected = self._lying.live, self._lying.selected
        return [self._magnified]
