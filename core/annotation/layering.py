"""New shapes and those that are there: who gives way.

By itself a shape lies on top and hides what is below. Drawn *under*, it takes only the pixels no other shape
has; drawn *over*, it takes its pixels from the others, which end at its border.

Locked shapes never give way. Shapes of the labels in `spare` (finished areas, the background) count as free
ground: nothing gives way to them, and they stay whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Final

from core.annotation.areas import AREAL, geometry, less, pixel_box, united
from core.annotation.combining import Exchange, exchanging
from core.annotation.command import Command, Composite
from core.annotation.document import AnnotationDocument, by_index
from core.annotation.locking import is_locked
from core.annotation.model import BACKGROUND_LABEL, Shape
from core.annotation.rasterize import Touching
from core.annotation.shape_edits import mended
from core.annotation.stack_edits import AddShapes, drawing, in_progress

BACKDROP: Final = frozenset((BACKGROUND_LABEL,))
"""Labels of shapes that are ground to draw on."""


class Overlap(StrEnum):
    """What becomes of new shapes and those they overlap.

    STACK: nothing, the new ones lie on top. UNDER: the new ones take only free pixels. OVER: the others give
    way.
    """

    STACK = "stack"
    UNDER = "under"
    OVER = "over"


def drawing_as(
    document: AnnotationDocument,
    shapes: Iterable[Shape],
    overlap: Overlap,
    *,
    spare: Collection[str] = BACKDROP,
) -> Command:
    """The command for shapes just drawn, in the way the person has chosen. Raises ValueError as those do."""
    new = tuple(shapes)
    if overlap is Overlap.STACK or all(shape.label in spare for shape in new):
        return drawing(document, new)
    draw = drawing_under if overlap is Overlap.UNDER else drawing_over
    return draw(document, new, spare=spare)


def drawing_under(
    document: AnnotationDocument, shapes: Iterable[Shape], *, spare: Collection[str] = BACKDROP
) -> Command:
    """Add shapes where nothing is drawn yet, below what they would overlap, above the ground they meet.

    Below, because where outlines touch, the boundary's pixels belong to the upper shape; but the ground would
    hide them, wherever it lies in the stack.

    Raises:
        ValueError: no pixel is free there.
    """
    new = [part for shape in shapes for part in mended(shape)]
    taken = _Areas(shape for shape in document.shapes if shape.label not in spare)
    free: list[Shape] = []
    place = len(document)
    for shape in new:
        if shape.shape_type not in AREAL:
            free.append(shape)
            continue
        others = taken.near(shape)
        free.extend(less(shape, others))
        place = min([place, *(document.index_of(other.uid) for other in others)])
    if not free:
        raise ValueError("everything here belongs to other shapes already")
    hiding = _Areas(shape for shape in document.shapes[place:] if shape.label in spare)
    for part in (part for part in free if part.shape_type in AREAL):
        area = geometry(part)
        met = (ground for ground in hiding.near(part) if area.intersects(geometry(ground)))
        place = max([place, *(document.index_of(ground.uid) + 1 for ground in met)])
    return Composite("Draw under", (AddShapes(tuple(free), place), *in_progress(document)))


def drawing_over(
    document: AnnotationDocument, shapes: Iterable[Shape], *, spare: Collection[str] = BACKDROP
) -> Command:
    """Add shapes on top, and cut them out of the others.

    Raises:
        ValueError: everything there is locked.
    """
    new: list[Shape] = []
    fixed = _Areas(shape for shape in document.shapes if is_locked(shape))
    for shape in (part for drawn in shapes for part in mended(drawn)):
        locked = fixed.near(shape)
        new.extend(less(shape, locked) if locked and shape.shape_type in AREAL else (shape,))
    if not new:
        raise ValueError("everything here belongs to locked shapes")
    cut = exchanging(document, "Draw over", _giving_way(document, new, spare, keep=()))
    return Composite("Draw over", (cut, AddShapes(tuple(new)), *in_progress(document)))


def extending_as(
    document: AnnotationDocument,
    target: Shape,
    pieces: Iterable[Shape],
    overlap: Overlap,
    *,
    title: str,
    spare: Collection[str] = BACKDROP,
) -> Command | None:
    """The command that adds areas to a shape of the document, in the way chosen for what they overlap.

    None when nothing would change.

    Raises:
        ValueError: every pixel they could add belongs to others (to locked ones, when drawing over).
    """
    new, exchanges = tuple(pieces), list[Exchange]()
    if overlap is not Overlap.STACK and target.label not in spare:
        others = [shape for shape in document.shapes if shape.uid != target.uid and shape.label not in spare]
        if overlap is Overlap.OVER:
            others = [shape for shape in others if is_locked(shape)]
        taken = _Areas(others)
        new = tuple(part for piece in new for part in less(piece, taken.near(piece)))
        if not new:
            raise ValueError("everything here belongs to other shapes already")
        if overlap is Overlap.OVER:
            exchanges = _giving_way(document, list(new), spare, keep=(target.uid,))
    covered = geometry(target)
    if not all(covered.covers(geometry(piece)) for piece in new):
        exchanges.append((target, united([target, *new])))
    return exchanging(document, title, exchanges) if exchanges else None


def covering(document: AnnotationDocument, uid: int, pieces: Iterable[Shape]) -> list[Shape]:
    """Shapes of other labels that hide part of the pieces, a pixel at the least, were these the shape's."""
    place, label = document.index_of(uid), document.get(uid).label
    above = _Areas(shape for shape in document.shapes[place + 1 :] if shape.label != label)
    found: dict[int, Shape] = {}
    for piece in pieces:
        area = geometry(piece)
        for shape in above.near(piece):
            if geometry(shape).intersection(area).area >= 1.0:
                found[shape.uid] = shape
    return list(found.values())


def finished_area(document: AnnotationDocument, shapes: Iterable[Shape]) -> Command:
    """The command for areas in which everything that is not drawn is background."""
    add = AddShapes(tuple(shape.with_(label=BACKGROUND_LABEL) for shape in shapes), index=0)
    return Composite("Add finished area", (add, *in_progress(document)))


def giving_way(
    document: AnnotationDocument, uids: Collection[int], *, spare: Collection[str] = BACKDROP
) -> Command:
    """Leave to shapes only the pixels that no other shape has.

    Raises:
        ValueError: they overlap no other shape, or nothing would be left of one.
    """
    chosen = [shape for _, shape in by_index(document, set(uids)) if shape.shape_type in AREAL]
    others = _Areas(s for s in document.shapes if s.uid not in uids and s.label not in spare)
    exchanges = [(shape, less(shape, others.near(shape))) for shape in chosen]
    if any(not left for _, left in exchanges):
        raise ValueError("all pixels of this shape belong to others too; nothing would be left of it")
    return _changed(document, "Take only free pixels", exchanges)


def pushing_away(
    document: AnnotationDocument, uids: Collection[int], *, spare: Collection[str] = BACKDROP
) -> Command:
    """Cut shapes out of all others that overlap them.

    Raises:
        ValueError: they overlap no other shape that could give way.
    """
    chosen = [shape for _, shape in by_index(document, set(uids))]
    exchanges = _giving_way(document, chosen, spare, keep=uids)
    return _changed(document, "Take pixels from others", exchanges)


def _changed(document: AnnotationDocument, title: str, exchanges: list[Exchange]) -> Command:
    if all(new == (old,) for old, new in exchanges):
        raise ValueError("this overlaps no other shape that could give way")
    return exchanging(document, title, exchanges)


def _giving_way(
    document: AnnotationDocument, new: list[Shape], spare: Collection[str], *, keep: Collection[int]
) -> list[Exchange]:
    """Each shape that overlaps the new ones, with what they leave of it."""
    areal = [shape for shape in new if shape.shape_type in AREAL]
    those, others = _Areas(areal), _Areas(document.shapes)
    found: list[Exchange] = []
    candidates = {shape.uid: shape for each in areal for shape in others.near(each)}
    for uid, shape in candidates.items():
        if uid not in keep and shape.label not in spare and not is_locked(shape):
            found.append((shape, less(shape, those.near(shape))))
    return found


class _Areas:
    """The shapes with an area among some."""

    def __init__(self, shapes: Iterable[Shape]) -> None:
        self._touching = Touching([shape for shape in shapes if shape.shape_type in AREAL])

    def near(self, shape: Shape) -> list[Shape]:
        """Those whose boxes meet that of a shape."""
        return self._touching(pixel_box([shape]))
