"""Commands for strokes of brush and eraser: they add to regions and take from them. No Qt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import shapely

from core.annotation.command import Command
from core.annotation.commands import AddShapes, Composite, RemoveShapes, ReplaceShapes
from core.annotation.document import AnnotationDocument
from core.annotation.model import Points, Shape, ShapeType, frozen_points
from core.polygons.boolean import Region, geometry_of, regions_of, subtract, union

_UNCHANGED_PX: Final = 1e-6
"""Differences of area, square pixels, that are rounding."""


def shapes_of(regions: Iterable[Region], like: Shape) -> tuple[Shape, ...]:
    """Regions as polygons with the label and flags of `like`; the first keeps its uid.

    A mask or circle becomes a polygon by this: its old points mean nothing any more.
    """
    polygons = [
        like.with_(
            shape_type=ShapeType.POLYGON,
            points=frozen_points(outer),
            holes=tuple(frozen_points(hole) for hole in holes),
            mask=None,
        )
        for outer, holes in regions
    ]
    return tuple(shape if place == 0 else shape.copy() for place, shape in enumerate(polygons))


def touches(regions: Sequence[Region], stroke: Sequence[Region]) -> bool:
    """Have a shape's regions and a stroke anything in common?"""
    return any(geometry_of(a).intersects(geometry_of(b)) for a in regions for b in stroke)


def extended(
    document: AnnotationDocument, uid: int, regions: Sequence[Region], stroke: Sequence[Region]
) -> Command | None:
    """The command that adds a stroke to a shape; None when it covers nothing new.

    Args:
        document: where the shape is.
        uid: the shape.
        regions: what the shape covers now.
        stroke: what is added.
    """
    covered = union([*regions, *stroke])
    if abs(_area(covered) - _area(union(regions))) < _UNCHANGED_PX:
        return None
    return _replacing(document, {uid: covered}, "Brush")


def erased(
    document: AnnotationDocument, regions: Mapping[int, Sequence[Region]], stroke: Sequence[Region]
) -> Command | None:
    """The command that takes a stroke from shapes; None when it touches none of them.

    Args:
        document: where the shapes are.
        regions: what each shape covers now, by uid.
        stroke: what is taken away.
    """
    left: dict[int, list[Region]] = {}
    for uid, parts in regions.items():
        if touches(parts, stroke):
            rest = [piece for part in parts for piece in subtract(part, stroke)]
            if _area(parts) - _area(rest) > _UNCHANGED_PX:
                left[uid] = rest
    return _replacing(document, left, "Erase") if left else None


def _replacing(document: AnnotationDocument, covered: dict[int, list[Region]], title: str) -> Command:
    """Shapes cover other regions: none of them (they go), one, or several (the others follow on top)."""
    gone = [uid for uid, regions in covered.items() if not regions]
    commands: list[Command] = [RemoveShapes.of(document, gone)] if gone else []
    order = [shape.uid for shape in document.shapes if shape.uid not in set(gone)]
    replaced: list[Shape] = []
    # From the top down, so that what is put in does not move the places of those still to come.
    for place in range(len(order) - 1, -1, -1):
        regions = covered.get(order[place])
        if regions:
            first, *others = shapes_of(regions, document.get(order[place]))
            replaced.append(first)
            if others:
                commands.append(AddShapes(tuple(others), place + 1))
    if replaced:
        commands.append(ReplaceShapes.of(document, replaced, title=title))
    return commands[0] if len(commands) == 1 and replaced else Composite(title, tuple(commands))


def _area(regions: Iterable[Region]) -> float:
    return float(sum(geometry_of(region).area for region in regions))


def ring_regions(rings: Sequence[Points]) -> list[Region]:
    """Regions of any rings by the even-odd rule: the borders of a bitmap, or one ring."""
    lines = shapely.union_all([shapely.LinearRing(ring) for ring in rings if len(ring) >= 3])
    return regions_of(shapely.build_area(lines))
