"""What a hand can draw over a region: its outline as a polygon, or a brush stroke along its middle.

Both are drawn as the program draws them, so that what they cover is what a person would get.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.model import Shape, ShapeType, frozen_points
from core.annotation.rasterize import shape_mask
from core.interactive.strokes import stroke_region

Mask = NDArray[np.bool_]

OUTLINE_TOLERANCE_PX: Final = 1.5
"""Of Douglas-Peucker: how far the outline a hand clicks lies from the region's."""
HOLE_PX: Final = 10
"""Smaller patches of another class inside a region are drawn over."""
WIDEST_BRUSH_PX: Final = 50.0
THINNEST_BRUSH_PX: Final = 1.5
BRUSHES: Final = (0.25, 0.5, 0.75, 0.95)
"""Radii that are tried: quantiles of the room there is along the middle line."""
GRID_CELLS: Final = 2000
"""The middle line is looked for on a grid of about so many cells."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """One polygon or one stroke.

    Attributes:
        covers: pixels (H, W).
        vertices: clicks of a polygon; 0 for a stroke.
        length_px: way of the brush; 0 for a polygon or a single dab.
        start_xy, end_xy: where the mouse begins and ends.
    """

    kind: Literal["polygon", "stroke"]
    covers: Mask
    vertices: int
    length_px: float
    start_xy: tuple[float, float]
    end_xy: tuple[float, float]


def outline(region: Mask, own: Mask) -> Drawing | None:
    """The region's outline, click by click.

    Args:
        region: one connected region (H, W).
        own: where its class is right; holes in the region that are of this class need not be left out.

    Returns:
        None where the region is too thin for a polygon.
    """
    contours, tree = cv2.findContours(region.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outer: NDArray[np.float64] | None = None
    holes = []
    for contour, (_, _, _, parent) in zip(contours, tree[0], strict=True):
        ring = cv2.approxPolyDP(contour, OUTLINE_TOLERANCE_PX, closed=True)[:, 0].astype(np.float64)
        if parent < 0:
            if outer is None or len(ring) > len(outer):
                outer = ring
        elif len(ring) > 2 and _foreign_inside(contour, region, own) >= HOLE_PX:
            holes.append(ring)
    if outer is None or len(outer) < 3:
        return None
    shape = Shape("", ShapeType.POLYGON, frozen_points(outer), tuple(frozen_points(hole) for hole in holes))
    x, y = outer[0].tolist()
    return Drawing(
        "polygon",
        shape_mask(shape, region.shape),
        len(outer) + sum(len(hole) for hole in holes),
        0.0,
        (x, y),
        (x, y),
    )


def _foreign_inside(contour: NDArray[np.int32], region: Mask, own: Mask) -> int:
    x, y, width, height = cv2.boundingRect(contour)
    inside = np.zeros((height, width), np.uint8)
    cv2.drawContours(inside, [contour - (x, y)], 0, 1, -1)
    part = slice(y, y + height), slice(x, x + width)
    return int((inside.astype(np.bool_) & ~region[part] & ~own[part]).sum())


def strokes(region: Mask, own: Mask) -> Iterator[Drawing]:
    """Strokes along the middle of the region, with brushes that stay where its class is right.

    Args:
        region: one connected region (H, W).
        own: where its class is right: a brush may paint beyond the region there.
    """
    way = middle_line(region)
    room = cv2.distanceTransform(own.astype(np.uint8), cv2.DIST_L2, 5)
    height, width = region.shape
    columns, rows = way[:, 0].astype(int), way[:, 1].astype(int)
    free = np.minimum(room[rows, columns] - 0.5, WIDEST_BRUSH_PX)
    tried = set()
    for quantile in BRUSHES:
        radius = float(np.floor(2 * np.quantile(free, quantile)) / 2)
        if radius < THINNEST_BRUSH_PX or radius in tried:
            continue
        tried.add(radius)
        part = way[_longest_run(free >= radius)]
        covers = np.zeros(region.shape, np.bool_)
        for ring, holes in stroke_region(part, radius, size_wh=(width, height)):
            shape = Shape(
                "", ShapeType.POLYGON, frozen_points(ring), tuple(frozen_points(hole) for hole in holes)
            )
            covers |= shape_mask(shape, region.shape)
        length = float(np.hypot(*np.diff(part, axis=0).T).sum())
        start, end = part[0].tolist(), part[-1].tolist()
        yield Drawing("stroke", covers, 0, length, (start[0], start[1]), (end[0], end[1]))


def _longest_run(flags: NDArray[np.bool_]) -> slice:
    """The longest stretch that is True throughout."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]
    longest = int((ends - starts).argmax())
    return slice(int(starts[longest]), int(ends[longest]))


def middle_line(region: Mask) -> NDArray[np.float64]:
    """The longest way through a region that keeps to its middle: points (N, 2), x and y.

    From the region's innermost point the farthest one is looked for, and from there the farthest again; steps
    near the border count as long.
    """
    x0, y0, width, height = cv2.boundingRect(region.astype(np.uint8))
    inner = region[y0 : y0 + height, x0 : x0 + width]
    framed = np.pad(inner, 1).astype(np.uint8)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    step = max(1, int(np.ceil(np.sqrt(inner.sum() / GRID_CELLS))))
    # Of every cell its innermost pixel: thin parts are not lost.
    cells: dict[tuple[int, int], tuple[float, int, int]] = {}
    for y, x in np.argwhere(inner).tolist():
        cell, found = (y // step, x // step), (float(depth[y, x]), y, x)
        if cell not in cells or found[0] > cells[cell][0]:
            cells[cell] = found
    start = max(cells, key=lambda cell: cells[cell][0])
    one_end, _ = _farthest(cells, start)
    other_end, came_from = _farthest(cells, one_end)
    way = [other_end]
    while way[-1] != one_end:
        way.append(came_from[way[-1]])
    return np.array([(x0 + cells[cell][2], y0 + cells[cell][1]) for cell in way], np.float64)


def _farthest(
    cells: dict[tuple[int, int], tuple[float, int, int]], start: tuple[int, int]
) -> tuple[tuple[int, int], dict[tuple[int, int], tuple[int, int]]]:
    """Dijkstra over neighbouring cells: the one that is farthest in pixels, and how each was reached."""
    deepest = max(depth for depth, _, _ in cells.values())
    costs, lengths = {start: 0.0}, {start: 0.0}
    came_from: dict[tuple[int, int], tuple[int, int]] = {}
    queue = [(0.0, start)]
    while queue:
        cost, cell = heapq.heappop(queue)
        if cost > costs[cell]:
            continue
        _, y, x = cells[cell]
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                beside = cell[0] + dy, cell[1] + dx
                if beside == cell or beside not in cells:
                    continue
                depth, to_y, to_x = cells[beside]
                length = float(np.hypot(to_y - y, to_x - x))
                new = cost + length * (deepest / max(depth, 0.5)) ** 2
                if new < costs.get(beside, float("inf")):
                    costs[beside], lengths[beside] = new, lengths[cell] + length
                    came_from[beside] = cell
                    heapq.heappush(queue, (new, beside))
    return max(lengths, key=lambda cell: lengths[cell]), came_from
