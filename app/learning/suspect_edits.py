"""What becomes of a suspected label: where it is now, and the edit that follows the network. No Qt."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from app.learning.prediction_shapes import TOLERANCE_PX
from core.annotation.areas import pixels
from core.annotation.commands import AddShapes, Command, Composite, Relabel, RemoveShapes
from core.annotation.document import AnnotationDocument
from core.annotation.model import AnnotationState, ClassList, Shape
from core.annotation.rasterize import touching
from core.annotation.shape_edits import translated
from core.annotation.vectorize import region_shapes
from core.errors import MaskloopError
from core.learning.labels.suspects import Suspect, fingerprint


class SuspectGoneError(MaskloopError):
    """What was suspected is not there any more; the message says so."""


class Fingerprints:
    """Fingerprints of shapes, made once each: shapes never change, others take their places."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Shape, str]] = {}

    def of(self, shape: Shape) -> str:
        """Names the shape as it is."""
        known = self._known.get(shape.uid)
        if known is None or known[0] is not shape:
            known = self._known[shape.uid] = shape, fingerprint(shape)
        return known[1]

    def clear(self) -> None:
        """Another image."""
        self._known.clear()


def suspected_shape(shapes: Iterable[Shape], suspect: Suspect, names: Fingerprints) -> Shape | None:
    """The shape that is suspected, if it is there and as it was."""
    if suspect.kind == "missing":
        return None
    return next((shape for shape in shapes if names.of(shape) == suspect.fingerprint), None)


def still_stands(
    document: AnnotationDocument, suspect: Suspect, classes: ClassList, names: Fingerprints
) -> bool:
    """Whether the document is as it was where a label is suspected; undone, an edit lets it stand again."""
    if suspect.kind == "label":
        return suspected_shape(document.shapes, suspect, names) is not None
    if classes.background is None or document.state is AnnotationState.UNLABELLED:
        return False
    value = classes.background if document.state is AnnotationState.DONE else None
    x, y = innermost(suspect)
    pixel = x, y, x + 1, y + 1
    for shape in touching(document.shapes, pixel):
        if pixels(shape, pixel).any():
            found = classes.mask_value(shape.label)
            value = value if found is None else found
    return value == classes.background


def innermost(suspect: Suspect) -> tuple[int, int]:
    """The pixel (x, y) of a missing object that is farthest from its border."""
    assert suspect.region is not None
    padded = np.pad(suspect.region.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return suspect.box[0] + int(column), suspect.box[1] + int(row)


def fixing(
    document: AnnotationDocument, suspect: Suspect, classes: ClassList, names: Fingerprints
) -> Command:
    """The one undoable command after which the label is what the network sees.

    Raises:
        SuspectGoneError: the shape, or the class, is not there any more.
    """
    seen = classes.by_index(suspect.seen)
    if seen is None:
        raise SuspectGoneError("The class that the network saw is not in the project any more; audit again.")
    if not still_stands(document, suspect, classes, names):
        raise SuspectGoneError("This label was changed since the audit; audit again.")
    if suspect.kind == "missing":
        return _drawing_missing(document, suspect, seen.name, classes)
    shape = suspected_shape(document.shapes, suspect, names)
    assert shape is not None
    if seen.index == classes.background:
        return RemoveShapes.of(document, [shape.uid])
    return Relabel.of(document, [shape.uid], seen.name)


def _drawing_missing(
    document: AnnotationDocument, suspect: Suspect, label: str, classes: ClassList
) -> Command:
    """Draw a missing object right above the background that is seen there, and so below other objects."""
    assert suspect.region is not None
    corner = np.array(suspect.box[:2], np.float64)
    shapes = tuple(translated(shape, corner) for shape in region_shapes(suspect.region, label, TOLERANCE_PX))
    background = [
        document.index_of(shape.uid)
        for shape in touching(document.shapes, suspect.box)
        if classes.mask_value(shape.label) == classes.background
        and (pixels(shape, suspect.box) & suspect.region).any()
    ]
    place = max(background, default=-1) + 1
    return Composite("Draw missing object", (AddShapes(shapes, place),))
