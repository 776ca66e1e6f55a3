"""What becomes of a suspected label: where it is now, and the edit that follows the network. No Qt."""

from __future__ import annotations

import cv2
import numpy as np

from app.learning.prediction_shapes import TOLERANCE_PX
from core.annotation.areas import pixels
from core.annotation.commands import AddShapes, Command, Composite, Relabel, RemoveShapes
from core.annotation.document import AnnotationDocument
from core.annotation.model import AnnotationState, ClassList, Shape
from core.annotation.rasterize import Touching
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


class Recheck:
    """Compares what was suspected of an image with what is drawn now.

    Args:
        document: of the suspects' image; another one is to be made once it has changed.
        classes: the project's.
        names: of its shapes, as far as they are known.
    """

    def __init__(self, document: AnnotationDocument, classes: ClassList, names: Fingerprints) -> None:
        self.document = document
        self.classes = classes
        self._names = names
        self.touching = Touching(document.shapes)

    def shape(self, suspect: Suspect) -> Shape | None:
        """The shape that is suspected, if it is there and as it was."""
        if suspect.kind == "missing":
            return None
        near = self.touching(suspect.box)
        return next((shape for shape in near if self._names.of(shape) == suspect.fingerprint), None)

    def stands(self, suspect: Suspect) -> bool:
        """Whether it is drawn as it was where a label is suspected; undone, an edit lets it stand again."""
        if suspect.kind == "label":
            return self.shape(suspect) is not None
        background, state = self.classes.background, self.document.state
        if background is None or state is AnnotationState.UNLABELLED:
            return False
        value = background if state is AnnotationState.DONE else None
        x, y = innermost(suspect)
        pixel = x, y, x + 1, y + 1
        for shape in self.touching(pixel):
            if pixels(shape, pixel).any():
                found = self.classes.mask_value(shape.label)
                value = value if found is None else found
        return value == background


def innermost(suspect: Suspect) -> tuple[int, int]:
    """The pixel (x, y) of a missing object that is farthest from its border."""
    assert suspect.region is not None
    padded = np.pad(suspect.region.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return suspect.box[0] + int(column), suspect.box[1] + int(row)


def fixing(now: Recheck, suspect: Suspect) -> Command:
    """The one undoable command after which the label is what the network sees.

    Raises:
        SuspectGoneError: the shape, or the class, is not there any more.
    """
    seen = now.classes.by_index(suspect.seen)
    if seen is None:
        raise SuspectGoneError("The class that the network saw is not in the project any more; audit again.")
    if not now.stands(suspect):
        raise SuspectGoneError("This label was changed since the audit; audit again.")
    if suspect.kind == "missing":
        return _drawing_missing(now, suspect, seen.name)
    shape = now.shape(suspect)
    assert shape is not None
    if seen.index == now.classes.background:
        return RemoveShapes.of(now.document, [shape.uid])
    return Relabel.of(now.document, [shape.uid], seen.name)


def _drawing_missing(now: Recheck, suspect: Suspect, label: str) -> Command:
    """Draw a missing object right above the background that is seen there, and so below other objects."""
    assert suspect.region is not None
    corner = np.array(suspect.box[:2], np.float64)
    shapes = tuple(translated(shape, corner) for shape in region_shapes(suspect.region, label, TOLERANCE_PX))
    background = [
        now.document.index_of(shape.uid)
        for shape in now.touching(suspect.box)
        if now.classes.mask_value(shape.label) == now.classes.background
        and (pixels(shape, suspect.box) & suspect.region).any()
    ]
    place = max(background, default=-1) + 1
    return Composite("Draw missing object", (AddShapes(shapes, place),))
