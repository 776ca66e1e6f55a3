"""A class mask to shapes: polygons with holes that draw exactly the pixels they came from.

One polygon stands for one connected region (diagonal neighbours are connected). Its outline is tried twice:

1. through the centres of the boundary pixels, x + 0.5, y + 0.5: few vertices, straight diagonals. Details one
   pixel wide have no area there, and the polygon would not be valid;
2. around the boundary pixels, a quarter of a pixel inside their edges: any detail keeps an area, and because
   drawing cuts coordinates down to whole pixels it paints the same pixels.

Each polygon is drawn again and compared. What no valid polygon reproduces, or what would need hundreds of
holes, becomes a labelme `mask` shape. So mask -> shapes -> mask is exact, and no geometry is ever invalid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from shapely.geometry import Polygon

from core.annotation.model import (
    BACKGROUND_LABEL,
    IGNORE_LABEL,
    UNLABELLED,
    Annotation,
    AnnotationState,
    ClassList,
    Shape,
    ShapeType,
    frozen_points,
)
from core.annotation.rasterize import draw_shape, rasterize
from core.geometry import Ring, polygons_of, rings_are_valid

MOST_HOLES: Final = 250
"""A region with more holes than this is kept as a mask: nobody edits them one by one."""

_SCALE: Final = 3  # subpixels a side: boundary, middle, boundary


def vectorize(
    mask: NDArray[np.uint8], classes: ClassList, tolerance: float = 0.0, *, ignore: bool = False
) -> tuple[Shape, ...]:
    """Shapes that draw a class mask, large ones first.

    Args:
        mask: (H, W) uint8, class indices and UNLABELLED.
        classes: names of the indices. The background is labelled `_background_`.
        tolerance: how far, in pixels, outlines may be simplified; 0 keeps every pixel.
        ignore: the shapes are for a DONE image: UNLABELLED pixels become `__ignore__` shapes, and the
            background is left undrawn if there is one. Otherwise they are for an image IN_PROGRESS:
            UNLABELLED pixels are left undrawn.

    Returns:
        Shapes for which `rasterize`, in that state, gives `mask` again if `tolerance` is 0.

    Raises:
        ValueError: not a (H, W) uint8 mask, or it has an index that no class has.
    """
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise ValueError(f"a class mask is (H, W) uint8, not {mask.shape} {mask.dtype}")
    labels = _labels(mask, classes, ignore=ignore)
    found = [piece for value, label in labels.items() for piece in _pieces(mask == value, label, tolerance)]
    found.sort(key=lambda piece: -piece.pixels)
    shapes = tuple(piece.shape for piece in found)
    if tolerance > 0:
        return shapes
    return shapes + _corrections(mask, shapes, classes, labels, ignore=ignore)


def region_shapes(region: NDArray[np.bool_], label: str, tolerance: float = 0.0) -> tuple[Shape, ...]:
    """Shapes that draw one region (H, W), usually a single polygon with its holes; large ones first.

    With a `tolerance` above 0 (pixels) outlines are simplified, and stay valid.
    """
    if region.ndim != 2:
        raise ValueError(f"a region is (H, W), not {region.shape}")
    found = sorted(_pieces(region.astype(np.bool_), label, tolerance), key=lambda piece: -piece.pixels)
    return tuple(piece.shape for piece in found)


def connected_region(class_map: NDArray[np.uint8], x: int, y: int) -> NDArray[np.bool_]:
    """The pixels (H, W) connected to (x, y) that have its class; diagonal neighbours are connected.

    Raises:
        ValueError: (x, y) is outside the map.
    """
    height, width = class_map.shape
    if not (0 <= x < width and 0 <= y < height):
        raise ValueError(f"({x}, {y}) is outside the image of {width} x {height} pixels")
    filled = np.zeros((height + 2, width + 2), dtype=np.uint8)
    flags = 8 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (1 << 8)
    # OpenCV takes no read-only array, although it only writes the mask.
    writable = np.require(class_map, np.uint8, ["C_CONTIGUOUS", "WRITEABLE"])
    cv2.floodFill(writable, filled, (int(x), int(y)), 0, 0, 0, flags)
    return np.asarray(filled[1:-1, 1:-1] != 0)


# --- regions of one class ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Piece:
    """A shape and how many pixels it stands for."""

    shape: Shape
    pixels: int


@dataclass(frozen=True, slots=True)
class _Component:
    """One connected region: its pixels (h, w), cut out at `x`, `y`, and its traced rings there."""

    pixels: NDArray[np.bool_]
    x: int
    y: int
    rings: tuple[Ring, tuple[Ring, ...]]


def _labels(mask: NDArray[np.uint8], classes: ClassList, *, ignore: bool) -> dict[int, str]:
    """The label that each value of the mask is drawn with."""
    labels: dict[int, str] = {}
    for value in np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist():
        if value == UNLABELLED:
            if ignore:
                labels[value] = IGNORE_LABEL
        elif value == classes.background:
            if not ignore:
                labels[value] = BACKGROUND_LABEL
        elif (label_class := classes.by_index(value)) is not None:
            labels[value] = label_class.name
        else:
            y, x = np.argwhere(mask == value)[0]
            raise ValueError(f"the mask has the value {value} at x {x}, y {y}, and no class has this index")
    return labels


def _pieces(region: NDArray[np.bool_], label: str, tolerance: float) -> Iterator[_Piece]:
    for component in _components(region):
        yield _Piece(_shape_of(component, label, tolerance), int(np.count_nonzero(component.pixels)))


def _components(region: NDArray[np.bool_]) -> Iterator[_Component]:
    """The connected regions of a (H, W) mask with their outer rings and holes, through pixel centres."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    if len(rows) == 0:
        return
    top, left = int(rows[0]), int(columns[0])
    crop = np.ascontiguousarray(region[top : rows[-1] + 1, left : columns[-1] + 1], dtype=np.uint8)
    _, names, boxes, _ = cv2.connectedComponentsWithStats(crop, connectivity=8, ltype=cv2.CV_32S)
    for outer, holes in _traced(crop):
        x, y = outer[0]
        name = names[int(y), int(x)]
        x0, y0, width, height = boxes[name, :4].tolist()
        origin = np.array([x0, y0])
        yield _Component(
            pixels=names[y0 : y0 + height, x0 : x0 + width] == name,
            x=left + x0,
            y=top + y0,
            rings=(outer - origin, tuple(hole - origin for hole in holes)),
        )


def _traced(region: NDArray[np.uint8]) -> list[tuple[Ring, tuple[Ring, ...]]]:
    """Outer ring and holes of every connected region, vertices at whole numbers (OpenCV's border following).

    A hole's ring runs over the pixels around it, which belong to the region.
    """
    contours, hierarchy = cv2.findContours(region, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    rings = [contour.reshape(-1, 2).astype(np.float64) for contour in contours]
    holes: dict[int, list[Ring]] = {}
    parents = hierarchy[0, :, 3].tolist()
    for ring, parent in zip(rings, parents, strict=True):
        if parent >= 0:
            holes.setdefault(parent, []).append(ring)
    return [
        (ring, tuple(holes.get(index, ())))
        for index, (ring, parent) in enumerate(zip(rings, parents, strict=True))
        if parent < 0
    ]


# --- one region to one shape ------------------------------------------------------------------------------


def _shape_of(component: _Component, label: str, tolerance: float) -> Shape:
    """The simplest shape that draws the region's pixels."""
    if len(component.rings[1]) <= MOST_HOLES:
        for outer, holes in _outlines(component):
            shape = _polygon(outer, holes, label)
            if not rings_are_valid(outer, holes) or not _draws(shape, component.pixels):
                continue
            outer, holes = _simplified(outer, holes, tolerance)
            origin = (component.x, component.y)
            return _polygon(outer + origin, tuple(hole + origin for hole in holes), label)
    return _mask_shape(component.pixels, component.x, component.y, label)


def _outlines(component: _Component) -> Iterator[tuple[Ring, tuple[Ring, ...]]]:
    """The two outlines to try, in the component's own frame."""
    outer, holes = component.rings
    yield outer + 0.5, tuple(hole + 0.5 for hole in holes)
    around = _traced(_bridged(component.pixels))
    if len(around) == 1:
        outer, holes = around[0]
        yield _from_subpixels(outer), tuple(_from_subpixels(hole) for hole in holes)


def _bridged(pixels: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The pixels threefold enlarged (3 h, 3 w), with a neck where two of them touch at a corner only."""
    large = np.repeat(np.repeat(pixels, _SCALE, axis=0), _SCALE, axis=1).astype(np.uint8)
    nw, ne, sw, se = pixels[:-1, :-1], pixels[:-1, 1:], pixels[1:, :-1], pixels[1:, 1:]
    for y, x in np.argwhere((nw & se & ~ne & ~sw) | (ne & sw & ~nw & ~se)).tolist():
        corner_x, corner_y = _SCALE * (x + 1), _SCALE * (y + 1)
        large[corner_y - 1 : corner_y + 1, corner_x - 1 : corner_x + 1] = 1
    return large


def _from_subpixels(ring: Ring) -> Ring:
    """Subpixels 0, 1, 2 of a pixel to 0.25, 0.5, 0.75: exact in binary, short in the file."""
    pixel, part = np.divmod(ring, _SCALE)
    return np.asarray(pixel + (part + 1) / (_SCALE + 1))


def _simplified(outer: Ring, holes: tuple[Ring, ...], tolerance: float) -> tuple[Ring, tuple[Ring, ...]]:
    """Fewer vertices within `tolerance` pixels, rings kept apart; unchanged where that is not possible."""
    if tolerance <= 0:
        return outer, holes
    parts = polygons_of(Polygon(outer, holes).simplify(tolerance, preserve_topology=True))
    if len(parts) != 1 or not rings_are_valid(*parts[0]):
        return outer, holes
    return parts[0]


def _polygon(outer: Ring, holes: tuple[Ring, ...], label: str) -> Shape:
    return Shape(label, ShapeType.POLYGON, frozen_points(outer), tuple(frozen_points(hole) for hole in holes))


def _mask_shape(pixels: NDArray[np.bool_], x: int, y: int, label: str) -> Shape:
    height, width = pixels.shape
    corners = frozen_points([(x, y), (x + width - 1, y + height - 1)])
    return Shape(label, ShapeType.MASK, corners, mask=pixels)


def _draws(shape: Shape, pixels: NDArray[np.bool_]) -> bool:
    """Whether a shape, in the frame of `pixels`, paints exactly these."""
    height, width = pixels.shape
    canvas = Image.new("L", (width, height), 0)
    draw_shape(canvas, shape, 1)
    return bool(np.array_equal(np.asarray(canvas) != 0, pixels))


def _corrections(
    mask: NDArray[np.uint8],
    shapes: tuple[Shape, ...],
    classes: ClassList,
    labels: dict[int, str],
    *,
    ignore: bool,
) -> tuple[Shape, ...]:
    """Masks of the pixels that the shapes together draw wrong. There are none; this is the guarantee."""
    state = AnnotationState.DONE if ignore else AnnotationState.IN_PROGRESS
    size: tuple[int, int] = (mask.shape[0], mask.shape[1])
    wrong = rasterize(Annotation("", size, shapes, state), classes) != mask
    return tuple(
        _mask_shape(component.pixels, component.x, component.y, label)
        for value, label in labels.items()
        for component in _components(wrong & (mask == value))
    )
