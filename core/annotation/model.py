"""What a person draws: shapes on one image, and the classes their labels name.

Everything here is immutable. The live, observed state of an image being edited is
`core.annotation.document.AnnotationDocument`.

Coordinates are image pixels after EXIF rotation, float64, x to the right, y down; (0, 0) is the
top-left corner of the top-left pixel in the file format and its centre in Pillow's drawing, which
the rasteriser follows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
Points: TypeAlias = NDArray[np.float64]
"""Points (N, 2), float64, read-only: x, y in image pixels."""

UNLABELLED: Final = 255
"""Mask value where nothing is known. Never ground truth, never in a metric."""
MAX_CLASSES: Final = 255
"""Class indices are 0..254: a mask is uint8 and 255 is taken."""
BACKGROUND_LABEL: Final = "_background_"
"""labelme's customary name for class 0; here it means the project's background, whatever its name."""
IGNORE_LABEL: Final = "__ignore__"
"""labelme's customary name for pixels nobody should learn from; drawn as UNLABELLED."""

_SPOKEN: Final = {IGNORE_LABEL: "ignored area", BACKGROUND_LABEL: "background"}
"""What shapes with these labels are called wherever a person reads it."""

_uids = itertools.count(1)


def frozen_points(points: ArrayLike) -> Points:
    """Copy to a read-only (N, 2) float64 array. Raises ValueError on another shape."""
    array = np.array(points, dtype=np.float64)
    if array.size == 0:
        array = array.reshape(0, 2)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"points must be pairs (x, y), got an array of shape {array.shape}")
    array.flags.writeable = False
    return array


class ShapeType(StrEnum):
    """labelme's shape types, by their names in the file."""

    POLYGON = "polygon"
    RECTANGLE = "rectangle"
    ORIENTED_RECTANGLE = "oriented_rectangle"
    CIRCLE = "circle"
    LINE = "line"
    LINESTRIP = "linestrip"
    POINT = "point"
    POINTS = "points"
    MASK = "mask"


class AnnotationState(StrEnum):
    """How much of an image its shapes tell.

    UNLABELLED: nothing. IN_PROGRESS: only what is drawn counts. DONE: what is not drawn is background
    (where the project has one).
    """

    UNLABELLED = "unlabelled"
    IN_PROGRESS = "in_progress"
    DONE = "done"


@dataclass(frozen=True, eq=False, slots=True)
class Shape:
    """One region, line or point with its label.

    Attributes:
        label: the class name.
        shape_type: how `points` are meant: polygon 3+ vertices; rectangle 2 corners in any order;
            oriented_rectangle 4 corners; circle centre and a rim point; line 2; linestrip 2+; point 1;
            points 1+; mask the two inclusive corners of `mask`.
        points: (N, 2) float64, read-only; for a polygon its outer ring, not closed.
        holes: inner rings of a polygon, each (M, 2), not closed.
        mask: for shape_type MASK a read-only bool array (h, w) cropped to the box; else None.
        extra: keys of the file this program does not know; written back unchanged.
        uid: identity within this process: kept by `with_`, never saved, not compared.
    """

    label: str
    shape_type: ShapeType
    points: Points
    holes: tuple[Points, ...] = ()
    group_id: int | None = None
    description: str = ""
    flags: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    mask: NDArray[np.bool_] | None = None
    extra: Mapping[str, JsonValue] = field(default_factory=lambda: MappingProxyType({}))
    uid: int = field(default_factory=lambda: next(_uids))

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", _as_frozen(self.points))
        object.__setattr__(self, "holes", tuple(_as_frozen(hole) for hole in self.holes))
        if self.mask is not None and self.mask.flags.writeable:
            mask = np.array(self.mask, dtype=np.bool_)
            mask.flags.writeable = False
            object.__setattr__(self, "mask", mask)

    def with_(self, **changes: Any) -> Self:
        """The same shape (same `uid`) with some fields replaced."""
        return replace(self, **changes)

    def copy(self) -> Self:
        """The same content as a new shape with a `uid` of its own."""
        return replace(self, uid=next(_uids))

    def __eq__(self, other: object) -> bool:
        """Equal content; `uid` does not count."""
        if not isinstance(other, Shape):
            return NotImplemented
        return (
            self.label == other.label
            and self.shape_type == other.shape_type
            and np.array_equal(self.points, other.points)
            and len(self.holes) == len(other.holes)
            and all(np.array_equal(a, b) for a, b in zip(self.holes, other.holes, strict=True))
            and self.group_id == other.group_id
            and self.description == other.description
            and dict(self.flags) == dict(other.flags)
            and dict(self.extra) == dict(other.extra)
            and (self.mask is None) == (other.mask is None)
            and (self.mask is None or other.mask is None or np.array_equal(self.mask, other.mask))
        )

    __hash__ = None  # type: ignore[assignment]  # equal content, many identities: key by uid instead


def spoken_label(label: str) -> str:
    """A label as people read it in lists, menus and on the canvas: labelme's customary names in words."""
    return _SPOKEN.get(label, label)


def _as_frozen(points: Points) -> Points:
    if isinstance(points, np.ndarray) and points.dtype == np.float64 and not points.flags.writeable:
        return points
    return frozen_points(points)


@dataclass(frozen=True, slots=True)
class Annotation:
    """All that is drawn on one image.

    Attributes:
        image_path: as the file has it: relative to the JSON's folder, `/` between parts.
        size_hw: height and width of the image after EXIF rotation, pixels; None if the file has none.
        shapes: bottom to top: later ones paint over earlier ones.
        state: see `AnnotationState`.
        flags: labelme's image flags.
        image_data: labelme's embedded image (base64), kept as found; None is usual.
        version: the `version` of the file it was read from.
        extra: unknown top-level keys, written back unchanged and in order.
    """

    image_path: str
    size_hw: tuple[int, int] | None = None
    shapes: tuple[Shape, ...] = ()
    state: AnnotationState = AnnotationState.UNLABELLED
    flags: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    image_data: str | None = None
    version: str = "5.5.0"
    extra: Mapping[str, JsonValue] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class LabelClass:
    """A class a pixel can have.

    Attributes:
        index: value in masks, 0..254; given once and never reused.
        name: the label of its shapes.
        color: "#rrggbb".
    """

    index: int
    name: str
    color: str

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green, blue, 0..255."""
        value = int(self.color[1:], 16)
        return value >> 16, value >> 8 & 0xFF, value & 0xFF


@dataclass(frozen=True, slots=True)
class ClassList(Sequence[LabelClass]):
    """The classes of a project in display order, and which of them is the background.

    Indices are explicit and can have gaps (deleted classes); a network's channel k stands for
    `classes[k]`, whose mask value is `classes[k].index`.
    """

    classes: tuple[LabelClass, ...] = ()
    background: int | None = None

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, position: Any) -> Any:
        return self.classes[position]

    def __iter__(self) -> Iterator[LabelClass]:
        return iter(self.classes)

    @property
    def indices(self) -> tuple[int, ...]:
        """Mask values in display order."""
        return tuple(label_class.index for label_class in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in display order."""
        return tuple(label_class.name for label_class in self.classes)

    def by_name(self, name: str) -> LabelClass | None:
        """The class of this name; `_background_` finds the background whatever its name."""
        if name == BACKGROUND_LABEL and self.background is not None:
            return self.by_index(self.background)
        return next((c for c in self.classes if c.name == name), None)

    def by_index(self, index: int) -> LabelClass | None:
        """The class with this mask value."""
        return next((c for c in self.classes if c.index == index), None)

    def mask_value(self, label: str) -> int | None:
        """Value a shape of this label paints: an index, UNLABELLED for `__ignore__`, None if unknown."""
        if label == IGNORE_LABEL:
            return UNLABELLED
        found = self.by_name(label)
        return None if found is None else found.index
