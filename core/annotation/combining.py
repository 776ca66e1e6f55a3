"""Edits in which shapes make, cut or become other shapes.

Each function looks at the document and gives the command; it raises ValueError, with a sentence for the
person, where there is nothing to do. The first of several shapes is the lowest one of the stack: what comes
out has its label, its place and its identity.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

import numpy as np
import shapely
from numpy.typing import ArrayLike

from core.annotation.areas import (
    AREAL,
    as_mask,
    as_polygons,
    common,
    geometry,
    has_outline,
    less,
    outline,
    pixel_box,
    pixels,
    united,
)
from core.annotation.command import Command, Composite
from core.annotation.content_edits import ReplaceShapes
from core.annotation.document import AnnotationDocument, by_index
from core.annotation.locking import is_locked, refuse_locked
from core.annotation.model import Points, Shape, ShapeType, frozen_points
from core.annotation.rasterize import painted_box
from core.annotation.region_edits import CutHole
from core.annotation.stack_edits import AddShapes, RemoveShapes
from core.annotation.vectorize import region_shapes
from core.geometry import bounding_box
from core.polygons.boolean import regions_of, split

Exchange: TypeAlias = tuple[Shape, tuple[Shape, ...]]
"""A shape, and what takes its place: the first of them has its uid; nothing removes it."""

_NO_AREA: Final = "has no area; choose polygons, boxes, circles or masks"


def exchanging(document: AnnotationDocument, title: str, exchanges: Iterable[Exchange]) -> Command:
    """The command that puts other shapes in the places of shapes."""
    changed = [(old, new) for old, new in exchanges if new != (old,)]
    gone = {old.uid for old, new in changed if not new}
    commands: list[Command] = []
    if gone:
        commands.append(RemoveShapes.of(document, gone))
    if kept := [(old, new[0]) for old, new in changed if new]:
        before, after = zip(*kept, strict=True)
        commands.append(ReplaceShapes(before, after, title))
    order = [shape.uid for shape in document.shapes if shape.uid not in gone]
    for old, new in changed:
        if len(new) > 1:
            place = order.index(old.uid) + 1
            commands.append(AddShapes(new[1:], place))
            order[place:place] = [shape.uid for shape in new[1:]]
    return Composite(title, tuple(commands))


# --- several shapes become one ----------------------------------------------------------------------------


def uniting(document: AnnotationDocument, uids: Collection[int]) -> Command:
    """Make one shape of what several cover."""
    shapes = _several(document, uids)
    result = united(shapes)
    if len(result) == len(shapes) and shapes[0].shape_type is not ShapeType.MASK:
        raise ValueError("these shapes do not touch each other; group them to keep them together")
    return _instead_of_all(document, "Unite shapes", shapes, result)


def subtracting(document: AnnotationDocument, uids: Collection[int]) -> Command:
    """Cut the upper shapes out of the lowest; they are gone then."""
    shapes = _several(document, uids)
    result = less(shapes[0], shapes[1:])
    if result == (shapes[0],):
        raise ValueError("the upper shapes do not overlap the lowest one; there is nothing to subtract")
    if not result:
        raise ValueError("the upper shapes cover the lowest one wholly; nothing would be left of it")
    return _instead_of_all(document, "Subtract shapes", shapes, result)


def intersecting(document: AnnotationDocument, uids: Collection[int]) -> Command:
    """Keep only what all the shapes have in common."""
    shapes = _several(document, uids)
    result = common(shapes)
    if not result:
        raise ValueError("these shapes have nothing in common; nothing would be left")
    return _instead_of_all(document, "Intersect shapes", shapes, result)


def _several(document: AnnotationDocument, uids: Collection[int]) -> list[Shape]:
    shapes = _with_area(document, uids)
    if len(shapes) < 2:
        raise ValueError("choose two or more shapes for this")
    refuse_locked(shapes)
    return shapes


def _instead_of_all(
    document: AnnotationDocument, title: str, shapes: Sequence[Shape], result: tuple[Shape, ...]
) -> Command:
    return exchanging(document, title, [(shapes[0], result), *((shape, ()) for shape in shapes[1:])])


def making_hole(document: AnnotationDocument, uid: int) -> Command:
    """The command that cuts a shape out of the uppermost other one around it, a polygon from then on."""
    inner = document.get(uid)
    if not has_outline(inner):
        raise ValueError(
            "only a polygon, a box or a circle can become a hole; convert a mask to a polygon first"
        )
    ring = outline(inner)
    for outer in reversed(document.shapes):
        if outer.uid == uid:
            continue
        cut = CutHole.of(document, outer.uid, ring)
        try:
            cut.pairs()
        except ValueError:
            continue  # it does not lie inside this one, or this one is locked
        return Composite("Make hole", (RemoveShapes.of(document, [uid]), cut))
    raise ValueError(
        "no shape lies around the selected one; draw the hole inside another shape and select it"
    )


# --- one shape becomes several ----------------------------------------------------------------------------


def splitting(document: AnnotationDocument, uids: Collection[int], line: ArrayLike) -> Command:
    """Split shapes along a line (N, 2) that is straight or bent; shapes it does not divide stay whole."""
    exchanges: list[Exchange] = []
    for shape in _with_area(document, uids):
        if shape.shape_type is ShapeType.MASK:
            raise ValueError("a mask cannot be split by a line; convert it to a polygon first")
        pieces = split((outline(shape), shape.holes), line)
        if len(pieces) > 1:
            exchanges.append((shape, as_polygons(shape, pieces)))
    if not exchanges:
        raise ValueError("the line does not divide the shape; draw it from outside to outside")
    refuse_locked(old for old, _ in exchanges)
    return exchanging(document, "Split shape" if len(exchanges) == 1 else "Split shapes", exchanges)


def divided_by(document: AnnotationDocument, line: ArrayLike) -> Iterator[int]:
    """The uids of the shapes a line divides, topmost first; locked ones and masks are left out."""
    knife = frozen_points(line)
    low, high = knife.min(axis=0), knife.max(axis=0)
    for shape in reversed(document.shapes):
        if not has_outline(shape) or is_locked(shape):
            continue
        x0, y0, x1, y1 = bounding_box(shape)
        apart = x0 > high[0] or x1 < low[0] or y0 > high[1] or y1 < low[1]
        if not apart and len(split((outline(shape), shape.holes), knife)) > 1:
            yield shape.uid


def clipping(document: AnnotationDocument, uids: Collection[int], size_wh: tuple[int, int]) -> Command:
    """Cut off what lies outside an image of this width and height; shapes wholly outside go."""
    shapes = [shape for _, shape in by_index(document, set(uids))]
    exchanges = [(shape, _clipped(shape, *size_wh)) for shape in shapes if not _inside(shape, *size_wh)]
    if not exchanges:
        raise ValueError("all of it lies inside the image; there is nothing to clip")
    refuse_locked(old for old, _ in exchanges)
    return exchanging(document, "Clip to image", exchanges)


def _inside(shape: Shape, width: int, height: int) -> bool:
    x0, y0, x1, y1 = bounding_box(shape)
    return x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height


def _clipped(shape: Shape, width: int, height: int) -> tuple[Shape, ...]:
    match shape.shape_type:
        case ShapeType.POINT | ShapeType.POINTS:
            inside = ((shape.points >= 0) & (shape.points <= (width, height))).all(axis=1)
            return (shape.with_(points=frozen_points(shape.points[inside])),) if inside.any() else ()
        case ShapeType.LINE | ShapeType.LINESTRIP:
            cut = [
                shape.with_(points=frozen_points(run)) for run in _runs_inside(shape.points, width, height)
            ]
            return (*cut[:1], *(part.copy() for part in cut[1:]))
        case ShapeType.MASK:
            x0, y0, x1, y1 = pixel_box([shape])
            box = max(0, x0), max(0, y0), min(width, x1), min(height, y1)
            if box[0] >= box[2] or box[1] >= box[3]:
                return ()
            return as_mask(shape, pixels(shape, box), box[:2])
        case ShapeType.RECTANGLE:
            corners = frozen_points(np.clip(shape.points, 0, (width, height)))
            return (shape.with_(points=corners),) if (np.ptp(corners, axis=0) > 0).all() else ()
        case _:
            inside_area = geometry(shape).intersection(shapely.box(0, 0, width, height))
            return as_polygons(shape, regions_of(inside_area))


def _runs_inside(line: Points, width: int, height: int) -> list[list[tuple[float, ...]]]:
    """The runs of a line (N, 2) inside an image, in its direction.

    Segment by segment, for of a whole line that crosses itself shapely makes a piece for each crossing.
    """
    image = shapely.box(0, 0, width, height)
    runs: list[list[tuple[float, ...]]] = []
    for start, end in itertools.pairwise(line):
        part = shapely.LineString([start, end]).intersection(image)
        if part.length == 0:  # outside, or it touches the border in a point
            continue
        first, last = sorted(part.coords, key=lambda xy: float((xy - start) @ (end - start)))
        if runs and runs[-1][-1] == first:
            runs[-1].append(last)
        else:
            runs.append([first, last])
    return runs


# --- polygon and mask -------------------------------------------------------------------------------------


def to_polygons(document: AnnotationDocument, uids: Collection[int]) -> Command:
    """Turn boxes, circles and masks into polygons that cover the same; a mask draws exactly the same."""
    shapes = [shape for shape in _with_area(document, uids) if shape.shape_type is not ShapeType.POLYGON]
    if not shapes:
        raise ValueError("these are polygons already")
    refuse_locked(shapes)
    return exchanging(document, "Convert to polygon", [(shape, _traced(shape)) for shape in shapes])


def _traced(shape: Shape) -> tuple[Shape, ...]:
    if shape.shape_type is not ShapeType.MASK:
        return as_polygons(shape, regions_of(geometry(shape)))
    assert shape.mask is not None, "a mask shape has its mask"
    corner = np.floor(shape.points.min(axis=0))
    found = [
        shape.with_(
            shape_type=part.shape_type,
            points=frozen_points(part.points + corner),
            holes=tuple(frozen_points(hole + corner) for hole in part.holes),
            mask=part.mask,
        )
        for part in region_shapes(shape.mask, shape.label)
    ]
    if all(part.shape_type is ShapeType.MASK for part in found):
        raise ValueError("no polygon can draw this mask exactly; it stays a mask")
    return (*found[:1], *(part.copy() for part in found[1:]))


def to_masks(document: AnnotationDocument, uids: Collection[int], size_wh: tuple[int, int]) -> Command:
    """Turn shapes into masks of the pixels they draw on an image of this width and height."""
    shapes = [s for _, s in by_index(document, set(uids)) if s.shape_type is not ShapeType.MASK]
    if not shapes:
        raise ValueError("these are masks already")
    refuse_locked(shapes)
    exchanges = []
    for shape in shapes:
        # Within its own box: a shape of a huge image costs what it covers.
        box = painted_box(shape, (size_wh[1], size_wh[0]))
        drawn = () if box is None else as_mask(shape, pixels(shape, box), box[:2])
        if not drawn:
            raise ValueError(f"this shape ({shape.label}) lies outside the image; it has no pixels")
        exchanges.append((shape, drawn))
    return exchanging(document, "Convert to mask", exchanges)


def _with_area(document: AnnotationDocument, uids: Collection[int]) -> list[Shape]:
    """The shapes, bottom to top. Raises ValueError for one without an area."""
    shapes = [shape for _, shape in by_index(document, set(uids))]
    for shape in shapes:
        if shape.shape_type not in AREAL:
            raise ValueError(f"a {shape.shape_type.replace('_', ' ')} {_NO_AREA}")
    if not shapes:
        raise ValueError("choose a shape for this")
    return shapes
