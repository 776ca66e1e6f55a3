"""Labels that are probably wrong: shapes a network calls something else, objects nobody has drawn.

Pure and torch-free: here probabilities meet what is drawn; whose probabilities they are `audit.py` decides.
What a border looks like is never certain, so a shape is judged by its inside, and what lies along a drawn
shape is no missing object.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.annotation.model import Annotation, ClassList, Shape
from core.annotation.rasterize import PixelBox, draw_shape, painted_box
from core.files import digest

SuspectKind: TypeAlias = Literal["label", "missing"]

RIM_PX: Final = 2
"""Pixels so near to a shape's border do not count, where the shape has others."""
SMALLEST_PX: Final = 9
"""Shapes of which fewer pixels are seen are not judged."""
DISAGREEMENT: Final = 0.5
"""A shape is suspected when more of it than this is taken for something else."""
SURE_MISSING: Final = 0.8
"""Mean probability from which an object that nobody has drawn is told."""
SMALLEST_MISSING_PX: Final = 36
SMALLEST_MISSING_SHARE: Final = 0.25
"""Of the median area of that class' shapes: smaller regions are crumbs."""
LARGEST_MISSING_SHARE: Final = 8.0
"""Of the same: larger ones are a picture the network cannot read, not an object somebody overlooked."""
BESIDE_DRAWN_PX: Final = 5
"""What lies so near to a drawn shape of its class is an opinion about that shape's outline."""
PICTURE_SIDE: Final = 112
ROOM: Final = 0.35
"""Of a box's larger side, what its picture shows around it, and at least LEAST_ROOM_PX."""
LEAST_ROOM_PX: Final = 6
_FLOOR: Final = 1e-3
"""Of a probability: one pixel of which a network is wrongly certain must not outweigh all others."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Suspect:
    """One label that is probably wrong.

    Attributes:
        key: the image.
        kind: "label": a drawn shape is taken for something else; "missing": an object where the labels say
            background.
        fingerprint: of the shape (see `fingerprint`); "" of a missing object.
        drawn: class index as labelled. seen: what the network says instead.
        loss: mean cross-entropy of the label over the region, nats: what suspects are ordered by.
        sure: mean probability of `seen`, 0..1.
        box: (x0, y0, x1, y1) in image pixels, the last two outside.
        region: bool (y1 - y0, x1 - x0): the pixels of a missing object; None for a shape.
        picture: RGB (h, w, 3), uint8: the region and what is around it, at most PICTURE_SIDE large.
        outline: bool (h, w): the region in the picture.
    """

    key: str
    kind: SuspectKind
    fingerprint: str
    drawn: int
    seen: int
    loss: float
    sure: float
    box: PixelBox
    region: NDArray[np.bool_] | None
    picture: NDArray[np.uint8]
    outline: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judged:
    """Of one image: what is suspected, how many shapes were looked at, and how many could not be judged."""

    suspects: tuple[Suspect, ...]
    shapes: int
    left_out: int


def fingerprint(shape: Shape) -> str:
    """Names a shape by what it says and where: another after any change of label or outline."""
    parts = [shape.label.encode(), shape.shape_type.encode()]
    # A label file holds decimals: what comes back from one must be the same shape.
    parts += [np.round(ring, 3).tobytes() for ring in (shape.points, *shape.holes)]
    if shape.mask is not None:
        parts.append(np.packbits(shape.mask).tobytes())
    return digest(b"\0".join(parts))[:24]


def owners(annotation: Annotation, size_hw: tuple[int, int]) -> NDArray[np.int32]:
    """Which shape is seen at each pixel (H, W): its place in the stack, counted from 1; 0 for none."""
    canvas = Image.new("I", (size_hw[1], size_hw[0]), 0)
    for place, shape in enumerate(annotation.shapes, start=1):
        draw_shape(canvas, shape, place)
    return np.array(canvas, dtype=np.int32)


def judge(
    key: str,
    image: NDArray[np.uint8],
    annotation: Annotation,
    mask: NDArray[np.uint8],
    probabilities: NDArray[np.floating],
    classes: ClassList,
    known: Collection[int],
) -> Judged:
    """Compare what is drawn on an image with what a network thinks of it.

    Args:
        key: of the image.
        image: RGB (H, W, 3), uint8.
        annotation: its shapes; shapes of the background are judged by what is missing in them.
        mask: class indices (H, W), uint8, 255 unlabelled.
        probabilities: (C, H, W), in the order of `classes`.
        classes: the project's.
        known: class indices the network has seen examples of: it cannot judge shapes of others.
    """
    owner = owners(annotation, (mask.shape[0], mask.shape[1]))
    doubted, shapes, left_out = _doubted_shapes(annotation, owner, probabilities, classes, known)
    found = [
        _suspect(key, image, region, "label", fingerprint(shape), drawn, seen, *how)
        for shape, region, drawn, seen, how in doubted
    ]
    if classes.background is not None:
        for region, seen, how in _missing(mask, probabilities, classes, known, _areas(mask, owner)):
            found.append(_suspect(key, image, region, "missing", "", classes.background, seen, *how))
    return Judged(tuple(found), shapes, left_out)


_How: TypeAlias = tuple[float, float]
"""Loss, and how sure the network is."""


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    """Some pixels of an image: an image has hundreds of regions, each as small as its box.

    Attributes:
        corner: the first row and column of the box.
        inside: bool (h, w): those pixels of the box.
    """

    corner: tuple[int, int]
    inside: NDArray[np.bool_]

    @classmethod
    def where(cls, marked: NDArray[np.integer], value: int, box: PixelBox) -> _Region:
        """The pixels of a box where an image (H, W) is marked with this value; there must be some."""
        left, top, right, bottom = box
        inside = marked[top:bottom, left:right] == value
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        trimmed = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return cls((top + int(rows[0]), left + int(columns[0])), trimmed)

    @property
    def box(self) -> PixelBox:
        """Where it lies."""
        (top, left), (height, width) = self.corner, self.inside.shape
        return left, top, left + width, top + height

    def of(self, plane: NDArray[np.floating]) -> NDArray[np.floating]:
        """What a plane (H, W) has at its pixels, row by row (N,)."""
        x0, y0, x1, y1 = self.box
        return plane[y0:y1, x0:x1][self.inside]


# --- shapes -----------------------------------------------------------------------------------------------


def _doubted_shapes(
    annotation: Annotation,
    owner: NDArray[np.int32],
    probabilities: NDArray[np.floating],
    classes: ClassList,
    known: Collection[int],
) -> tuple[list[tuple[Shape, _Region, int, int, _How]], int, int]:
    """Shape, region, drawn and seen class index of suspected ones; how many were judged, or could not be."""
    indices = classes.indices
    values = [classes.mask_value(shape.label) for shape in annotation.shapes]
    judged = [value in indices and value != classes.background for value in values]
    unknown = sum(ours and value not in known for ours, value in zip(judged, values, strict=True))
    places = [
        place
        for place, (ours, value) in enumerate(zip(judged, values, strict=True), start=1)
        if ours and value in known
    ]
    if not places:
        return [], 0, unknown
    count = len(values) + 1
    visible = np.bincount(owner.ravel(), minlength=count)
    inside = np.where(_inner(owner), owner, 0)
    use_inside = np.bincount(inside.ravel(), minlength=count) >= SMALLEST_PX
    counted = np.where(use_inside[owner], inside, owner)
    flat = counted.ravel()
    pixels = np.bincount(flat, minlength=count)
    mean = np.stack(
        [np.bincount(flat, plane.ravel().astype(np.float32), minlength=count) for plane in probabilities]
    ) / np.maximum(pixels, 1)  # (C, shapes + 1)
    best = probabilities.argmax(axis=0).ravel()
    votes = np.bincount(flat * len(indices) + best, minlength=count * len(indices))
    votes = votes.reshape(count, len(indices))
    found: list[tuple[Shape, _Region, int, int, _How]] = []
    shapes = 0
    for place in places:
        if visible[place] < SMALLEST_PX:
            continue
        shapes += 1
        drawn = values[place - 1]
        assert drawn is not None
        channel = indices.index(drawn)
        others = votes[place].copy()
        others[channel] = 0
        if others.sum() <= DISAGREEMENT * votes[place].sum():
            continue
        seen = int(others.argmax())
        shape = annotation.shapes[place - 1]
        box = painted_box(shape, (owner.shape[0], owner.shape[1]))
        assert box is not None
        loss = _loss(_Region.where(counted, place, box).of(probabilities[channel]))
        region = _Region.where(owner, place, box)
        found.append((shape, region, drawn, indices[seen], (loss, float(mean[seen, place]))))
    return found, shapes, unknown


def _inner(owner: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Pixels (H, W) that have no other shape, and no bare pixel, within RIM_PX beside, above or below."""
    height, width = owner.shape
    padded = np.pad(owner, RIM_PX, mode="edge")
    same = np.ones(owner.shape, np.bool_)
    for down, across in ((0, RIM_PX), (2 * RIM_PX, RIM_PX), (RIM_PX, 0), (RIM_PX, 2 * RIM_PX)):
        same &= padded[down : down + height, across : across + width] == owner
    return same


def _loss(probabilities: NDArray[np.floating]) -> float:
    """Mean cross-entropy of labels of these probabilities, nats."""
    return float(-np.log(np.maximum(probabilities.astype(np.float32), _FLOOR)).mean())


# --- missing objects --------------------------------------------------------------------------------------


def _areas(mask: NDArray[np.uint8], owner: NDArray[np.int32]) -> dict[int, float]:
    """Median visible area of the shapes of each class index, pixels."""
    pixels = np.bincount(owner.ravel())
    places, first = np.unique(owner, return_index=True)
    drawn = mask.ravel()[first]
    of_class: dict[int, list[int]] = {}
    for place, value in zip(places.tolist(), drawn.tolist(), strict=True):
        if place:
            of_class.setdefault(value, []).append(int(pixels[place]))
    return {value: float(np.median(areas)) for value, areas in of_class.items()}


def _missing(
    mask: NDArray[np.uint8],
    probabilities: NDArray[np.floating],
    classes: ClassList,
    known: Collection[int],
    areas: dict[int, float],
) -> list[tuple[_Region, int, _How]]:
    """Regions that are labelled background and taken for an object: region, class index, how."""
    background = classes.background
    if background is None or background not in known:
        return []
    bare = mask == background
    best = np.array(classes.indices, np.uint8)[probabilities.argmax(axis=0)]
    from_background = probabilities[classes.indices.index(background)]
    around = np.ones((2 * BESIDE_DRAWN_PX + 1,) * 2, np.uint8)
    found: list[tuple[_Region, int, _How]] = []
    for channel, index in enumerate(classes.indices):
        if index == background or index not in known:
            continue
        taken = bare & (best == index)
        if not taken.any():
            continue
        beside = cv2.dilate((mask == index).astype(np.uint8), around) != 0
        count, parts, figures, _ = cv2.connectedComponentsWithStats((taken & ~beside).astype(np.uint8))
        least = max(SMALLEST_MISSING_PX, SMALLEST_MISSING_SHARE * areas.get(index, 0.0))
        most = LARGEST_MISSING_SHARE * areas.get(index, np.inf)
        for number in range(1, count):
            if not least <= figures[number, cv2.CC_STAT_AREA] <= most:
                continue
            left, top, width, height = figures[number, : cv2.CC_STAT_AREA].tolist()
            region = _Region.where(parts, number, (left, top, left + width, top + height))
            sure = float(region.of(probabilities[channel]).astype(np.float32).mean())
            if sure >= SURE_MISSING:
                found.append((region, index, (_loss(region.of(from_background)), sure)))
    return found


# --- how it is shown --------------------------------------------------------------------------------------


def _suspect(
    key: str,
    image: NDArray[np.uint8],
    region: _Region,
    kind: SuspectKind,
    name: str,
    drawn: int,
    seen: int,
    loss: float,
    sure: float,
) -> Suspect:
    box = region.box
    x0, y0, x1, y1 = view_around(box, (image.shape[0], image.shape[1]))
    scale = min(1.0, PICTURE_SIDE / max(x1 - x0, y1 - y0))
    small = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    picture = cv2.resize(image[y0:y1, x0:x1], small, interpolation=cv2.INTER_AREA)
    around = (box[1] - y0, y1 - box[3]), (box[0] - x0, x1 - box[2])
    viewed = np.pad(region.inside, around).astype(np.uint8)
    outline = cv2.resize(viewed, small, interpolation=cv2.INTER_NEAREST)
    return Suspect(
        key=key,
        kind=kind,
        fingerprint=name,
        drawn=drawn,
        seen=seen,
        loss=loss,
        sure=sure,
        box=box,
        region=region.inside.copy() if kind == "missing" else None,
        picture=np.ascontiguousarray(picture, np.uint8),
        outline=outline.astype(np.bool_),
    )


def view_around(box: PixelBox, size_hw: tuple[int, int]) -> PixelBox:
    """A square view of a region, with room around it, as far as the image goes."""
    x0, y0, x1, y1 = box
    longer = max(x1 - x0, y1 - y0)
    half = longer / 2 + max(LEAST_ROOM_PX, ROOM * longer)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    height, width = size_hw
    return (
        max(0, int(x - half)),
        max(0, int(y - half)),
        min(width, int(np.ceil(x + half))),
        min(height, int(np.ceil(y + half))),
    )
