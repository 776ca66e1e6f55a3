"""All shapes that are not being edited, drawn in one go.

OpenCV draws 10,000 polygons of 20 vertices (fill and smooth outline) in about 30 ms; a `QPainterPath` each
takes 45 to 110, and one path of all of them over a second. Fills replace one another as the classes of a
mask do (later shapes on top); outlines come after all fills, so that a covered shape still shows.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from PySide6.QtCore import QRect
from PySide6.QtGui import QColor, QImage

from app.canvas.layer_cache import Frame, image_pixels
from app.canvas.outlines import Outline
from app.canvas.shape_index import ShapeIndex
from app.canvas.style import FILL_ALPHA, HALO, SELECTED_FILL_ALPHA, visible_line
from core.annotation.model import Points

_SHIFT: Final = 4
"""Fraction bits of the coordinates OpenCV is given: a sixteenth of a pixel."""
_RICH_VERTICES: Final = 6000
"""With fewer vertices in view lines get a dark halo, which costs three times the line."""
_FAR: Final = 8192.0
"""Rings that reach further out of the view (device pixels) are cut first: OpenCV walks every scan line."""
_FEW_VERTICES: Final = 8
_MANY_VERTICES: Final = 2000
_MOST_VERTICES: Final = 12_000
"""More of one ring are not drawn: OpenCV smooths about 3,000 short edges in a millisecond."""
_MANY_FILLS: Final = 256
_MOST_LAYERS: Final = 4.0
"""Where shapes lie thicker than this on one another, looking for those that do not meet takes longer."""
_MOST_LEVELS: Final = 32
_DOT_RADIUS: Final = 4.0

_WHITE: Final = (255, 255, 255, 255)

_Ints = NDArray[np.int32]
_Color = tuple[int, int, int, int]
"""Blue, green, red, alpha, the colours multiplied by alpha, as `image_pixels` stores them."""


@dataclass(slots=True)
class _Drawn:
    """One shape in OpenCV's fixed-point coordinates.

    `floats` holds the same in device pixels for shapes that reach far out of the view; else None.
    """

    outline: Outline
    fixed: list[_Ints]
    floats: list[Points] | None
    color: QColor
    selected: bool


class ShapeLayer:
    """Draws a `ShapeIndex`.

    Args:
        index: outlines and order.
        color_of: colour of a shape by uid.
    """

    margin = 10.0

    def __init__(self, index: ShapeIndex, color_of: Callable[[int], QColor]) -> None:
        self._index = index
        self._color_of = color_of
        self.only: frozenset[int] | None = None
        """The shapes to draw; None for all."""
        self.live: Collection[int] = frozenset()
        """Shapes left out because they are drawn live on top."""
        self.selected: Collection[int] = frozenset()
        """Selected shapes that are too many to be drawn live."""
        self._rich = True  # as the last whole picture was drawn, so that a redrawn part does not stand out

    def render(self, target: QImage, rect: QRect, frame: Frame) -> None:
        """Draw what meets `rect`; see `layer_cache.Layer`."""
        if (draw := self._drawing(rect, frame, whole=rect.size() == target.size())) is not None:
            draw(target)

    def prepared(self, rect: QRect, frame: Frame) -> Callable[[QImage], None]:
        """See `layer_cache.WorkerLayer`: outlines and colours are looked up now, the rest is the worker's."""
        return self._drawing(rect, frame, whole=True) or (lambda _target: None)

    def _drawing(self, rect: QRect, frame: Frame, *, whole: bool) -> Callable[[QImage], None] | None:
        grow = round(self.margin * frame.ratio)
        found = self._index.near(frame.to_image(rect.adjusted(-grow, -grow, grow, grow)))
        uids = [uid for uid in found if uid not in self.live and (self.only is None or uid in self.only)]
        if not uids:
            return None
        looks = [(self._index[uid], self._color_of(uid), uid in self.selected) for uid in uids]

        def draw(target: QImage) -> None:
            pixels = image_pixels(target)
            pixels = pixels[rect.y() : rect.y() + rect.height(), rect.x() : rect.x() + rect.width()]
            drawn = _place(looks, rect, frame)
            if whole:
                self._rich = sum(len(ring) for shape in drawn for ring in shape.fixed) <= _RICH_VERTICES
            _fill_all(pixels, drawn)
            _stroke_all(pixels, drawn, frame.ratio, rich=self._rich)

        return draw


def paint_outline(
    target: QImage, outline: Outline, color: QColor, frame: Frame, *, fill_alpha: int, width: float
) -> None:
    """Paint one outline of any number of vertices as live shapes are painted.

    Args:
        target: a picture of the frame's size, transparent where nothing is painted yet.
        outline: closed or open, no dots.
        color: of its line.
        frame: where the image stands in the picture.
        fill_alpha: 0..255, of a closed outline's inside.
        width: of the line, device pixels.
    """
    pixels = image_pixels(target)
    drawn = _place([(outline, color, False)], target.rect(), frame)
    _fill_all(pixels, drawn, fill_alpha)
    height, across = pixels.shape[:2]
    (shape,) = drawn
    lines, closed = shape.fixed, outline.closed
    if shape.floats is not None:
        cut = (cut_line(ring, across, height, closed=closed) for ring in shape.floats)
        lines, closed = [_fixed(piece) for pieces in cut for piece in pieces], False
    halo = _premultiplied(HALO, HALO.alpha())
    for line_color, thickness in ((halo, width + 2), (_line_color(color.rgb()), width)):
        cv2.polylines(pixels, lines, closed, line_color, round(thickness), cv2.LINE_AA, _SHIFT)


def _place(looks: Sequence[tuple[Outline, QColor, bool]], rect: QRect, frame: Frame) -> list[_Drawn]:
    """Outlines in coordinates of `rect`; all their points are transformed together."""
    outlines = [outline for outline, _, _ in looks]
    rings = [_thinned(ring, outline, frame.scale) for outline in outlines for ring in outline.rings]
    # OpenCV's coordinates name pixel centres.
    offset = np.array([frame.dx - rect.x() - 0.5, frame.dy - rect.y() - 0.5])
    placed = np.concatenate(rings)
    placed *= frame.scale
    placed += offset
    any_far = placed.min() < -_FAR or placed.max() > _FAR
    if any_far:
        np.clip(placed, -_FAR - 1, _FAR + 1, out=placed)
    fixed = _fixed(placed)
    ends = itertools.accumulate(map(len, rings))
    pieces = iter([fixed[end - len(ring) : end] for ring, end in zip(rings, ends, strict=True)])
    result = []
    for outline, color, selected in looks:
        mine = [next(pieces) for _ in outline.rings]
        floats = None
        if any_far and any(np.abs(piece).max() > _FAR * (1 << _SHIFT) for piece in mine):
            floats = [ring * frame.scale + offset for ring in outline.rings]
        result.append(_Drawn(outline, mine, floats, color, selected))
    return result


def _thinned(ring: Points, outline: Outline, scale: float) -> Points:
    """Leave out vertices closer than a pixel or two to the next: nobody sees them, all cost the same."""
    if len(ring) <= _FEW_VERTICES or outline.dots:
        return ring
    if len(ring) > _MANY_VERTICES:
        # A long coastline has bays that every so-manieth vertex would miss: one a pixel it passes is kept.
        pixels = np.rint(ring * scale)
        moved = np.empty(len(ring), np.bool_)
        moved[0] = True
        np.any(pixels[1:] != pixels[:-1], axis=1, out=moved[1:])
        kept = ring[moved]
        return kept[:: 1 + len(kept) // _MOST_VERTICES] if len(kept) > _FEW_VERTICES else ring[:_FEW_VERTICES]
    x0, y0, x1, y1 = outline.box
    stride = len(ring) // max(_FEW_VERTICES, int(1.5 * scale * max(x1 - x0, y1 - y0)))
    return ring[::stride] if stride > 1 else ring


def _fill_all(pixels: NDArray[np.uint8], drawn: Iterable[_Drawn], fill_alpha: int = FILL_ALPHA) -> None:
    height, width = pixels.shape[:2]
    fills: list[tuple[list[_Ints], _Color]] = []
    for shape in drawn:
        if not shape.outline.closed:
            continue
        rings = shape.fixed
        if shape.floats is not None:
            cut = (cut_ring(ring, width, height) for ring in shape.floats)
            rings = [_fixed(ring) for ring in cut if len(ring) >= 3]
        if rings:
            alpha = SELECTED_FILL_ALPHA if shape.selected else fill_alpha
            fills.append((rings, _premultiplied(shape.color, alpha)))
    for rings, color in _together(fills):
        cv2.fillPoly(pixels, rings, color, cv2.LINE_8, _SHIFT)


def _together(fills: list[tuple[list[_Ints], _Color]]) -> list[tuple[list[_Ints], _Color]]:
    """Fills of one colour that cannot meet made one, in an order that gives the same picture.

    Each call of OpenCV gives the interpreter away. While a worker computes, ten thousand calls take seconds;
    these are some fifty. A fill comes after all those below it whose boxes it meets.
    """
    if len(fills) < _MANY_FILLS:
        return fills
    first = np.cumsum([0, *(sum(map(len, rings)) for rings, _ in fills[:-1])])
    points = np.concatenate([ring for rings, _ in fills for ring in rings])
    gap = 2 << _SHIFT  # neighbours within a pixel would cancel each other out along their border
    x0, y0 = (np.minimum.reduceat(points, first) - gap).T.astype(np.float64)
    x1, y1 = (np.maximum.reduceat(points, first) + gap).T.astype(np.float64)
    area = (x1.max() - x0.min()) * (y1.max() - y0.min())
    if ((x1 - x0) * (y1 - y0)).sum() > _MOST_LAYERS * area:
        return fills
    boxes = shapely.box(x0, y0, x1, y1)
    below, above = shapely.STRtree(boxes).query(boxes)
    below, above = below[below < above], above[below < above]
    levels = np.zeros(len(fills), np.int64)
    for _ in range(_MOST_LEVELS):
        raised = levels.copy()
        np.maximum.at(raised, above, levels[below] + 1)
        if (raised == levels).all():
            break
        levels = raised
    else:
        return fills  # a stack so high that there would be a call for nearly each
    batches: dict[tuple[int, _Color], list[_Ints]] = {}
    for level, (rings, color) in zip(levels.tolist(), fills, strict=True):
        batches.setdefault((level, color), []).extend(rings)
    return [(rings, color) for (_, color), rings in sorted(batches.items())]


def _stroke_all(pixels: NDArray[np.uint8], drawn: Sequence[_Drawn], ratio: float, *, rich: bool) -> None:
    height, width = pixels.shape[:2]
    batches: dict[tuple[_Color, bool, bool], list[_Ints]] = {}
    for shape in drawn:
        # A crowd of selected shapes has no room for handles: white outlines tell it apart.
        color = _WHITE if shape.selected else _line_color(shape.color.rgb())
        closed = shape.outline.closed
        if shape.outline.dots:
            _draw_dots(pixels, shape, color, ratio)
        elif shape.floats is not None:
            pieces = [
                piece for ring in shape.floats for piece in cut_line(ring, width, height, closed=closed)
            ]
            batches.setdefault((color, False, shape.selected), []).extend(map(_fixed, pieces))
        else:
            batches.setdefault((color, closed, shape.selected), []).extend(shape.fixed)
    # By colour, not by what came first: a part drawn anew must look like the whole.
    batches = dict(sorted(batches.items()))
    if rich:
        halo = _premultiplied(HALO, HALO.alpha())
        for (_, closed, _), lines in batches.items():
            cv2.polylines(pixels, lines, closed, halo, round(2 * ratio), cv2.LINE_AA, _SHIFT)
    for (color, closed, selected), lines in batches.items():
        thickness = max(1, round(ratio * (2 if selected and rich else 1)))
        cv2.polylines(pixels, lines, closed, color, thickness, cv2.LINE_AA, _SHIFT)


def _draw_dots(pixels: NDArray[np.uint8], shape: _Drawn, color: _Color, ratio: float) -> None:
    rim = _premultiplied(HALO, 200)
    one = 1 << _SHIFT
    height, width = pixels.shape[:2]
    for fixed in shape.fixed:
        inside = ((fixed > -64 * one) & (fixed < ((width + 64) * one, (height + 64) * one))).all(axis=1)
        for x, y in fixed[inside].tolist():
            cv2.circle(pixels, (x, y), int((_DOT_RADIUS + 1.2) * ratio * one), rim, -1, cv2.LINE_AA, _SHIFT)
            cv2.circle(pixels, (x, y), int(_DOT_RADIUS * ratio * one), color, -1, cv2.LINE_AA, _SHIFT)


def _fixed(points: Points) -> _Ints:
    return np.rint(points * (1 << _SHIFT)).astype(np.int32)


@functools.lru_cache(maxsize=4096)
def _multiplied(rgb: int, alpha: int) -> _Color:
    return (
        (rgb & 255) * alpha // 255,
        (rgb >> 8 & 255) * alpha // 255,
        (rgb >> 16 & 255) * alpha // 255,
        alpha,
    )


@functools.lru_cache(maxsize=1024)
def _line_color(rgb: int) -> _Color:
    return _premultiplied(visible_line(QColor.fromRgb(rgb)), 255)


def _premultiplied(color: QColor, alpha: int) -> _Color:
    return _multiplied(color.rgb(), alpha)


# --- cutting what reaches far out of the view -------------------------------------------------------------


def cut_ring(ring: Points, width: int, height: int) -> Points:
    """Cut a ring to the view and a rim around it (Sutherland-Hodgman).

    Inside the view the filled area stays the same; the edges along the cut lie outside it.
    """
    low, high = -64.0, (width + 64.0, height + 64.0)
    for axis in (0, 1):
        ring = _cut_half(ring, axis, low, keep_above=True)
        ring = _cut_half(ring, axis, high[axis], keep_above=False)
    return ring


def _cut_half(ring: Points, axis: int, bound: float, *, keep_above: bool) -> Points:
    if len(ring) == 0:
        return ring
    inside = ring[:, axis] >= bound if keep_above else ring[:, axis] <= bound
    following = np.roll(ring, -1, axis=0)
    crosses = inside != np.roll(inside, -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (bound - ring[:, axis]) / (following[:, axis] - ring[:, axis])
        crossing = ring + share[:, None] * (following - ring)
    pairs = np.stack([ring, crossing], axis=1).reshape(-1, 2)
    kept: Points = pairs[np.stack([inside, crosses], axis=1).reshape(-1)]
    return kept


def cut_line(ring: Points, width: int, height: int, *, closed: bool) -> list[Points]:
    """The pieces of an outline inside the view and a rim around it, as open lines."""
    path = np.concatenate([ring, ring[:1]]) if closed else ring
    if len(path) < 2:
        return []
    pieces = shapely.clip_by_rect(shapely.LineString(path), -64.0, -64.0, width + 64.0, height + 64.0)
    return [shapely.get_coordinates(part) for part in shapely.get_parts(pieces)]
