"""Labels that a person has looked at and called right, so that no audit asks again.

Kept beside the project, not in the annotations: whether somebody was asked is nothing that other readers of
the label files should see change. A shape is known by its fingerprint and so is asked about again once its
label or outline is another; a place where nothing is to be drawn is known by class and box.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from core.files import write_atomic

Box: TypeAlias = tuple[int, int, int, int]

SAME_PLACE: Final = 0.5
"""Boxes that share so much of their union are about one place."""

_log = logging.getLogger(__name__)


class _Image(msgspec.Struct, frozen=True, omit_defaults=True):
    shapes: tuple[str, ...] = ()
    absent: tuple[tuple[int, Box], ...] = ()


class _File(msgspec.Struct, frozen=True):
    schema: int = 1
    images: dict[str, _Image] = {}


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What is confirmed, by image key. Immutable: `with_shape` and `with_absence` give another one."""

    images: Mapping[str, _Image] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Confirmed:
        """What the file says; nothing where there is none, or where it is damaged: then some ask again."""
        try:
            return cls(msgspec.json.decode(path.read_bytes(), type=_File).images)
        except FileNotFoundError:
            return cls()
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning("%s: what was confirmed is forgotten (%s)", path, error)
            return cls()

    def write(self, path: Path) -> None:
        """Raises StorageError."""
        write_atomic(path, msgspec.json.format(msgspec.json.encode(_File(images=dict(self.images)))))

    def has_shape(self, key: str, fingerprint: str) -> bool:
        """Whether this shape, as it is, was called right."""
        return key in self.images and fingerprint in self.images[key].shapes

    def has_absence(self, key: str, class_index: int, box: Box) -> bool:
        """Whether somebody said that there is nothing of this class in this place."""
        known = self.images[key].absent if key in self.images else ()
        return any(index == class_index and _overlap(box, other) >= SAME_PLACE for index, other in known)

    def with_shape(self, key: str, fingerprint: str) -> Confirmed:
        """This shape is right as well."""
        image = self.images.get(key, _Image())
        return self._with(key, _Image((*image.shapes, fingerprint), image.absent))

    def with_absence(self, key: str, class_index: int, box: Box) -> Confirmed:
        """There is nothing of this class in this place."""
        image = self.images.get(key, _Image())
        return self._with(key, _Image(image.shapes, (*image.absent, (class_index, box))))

    def _with(self, key: str, image: _Image) -> Confirmed:
        return Confirmed({**self.images, key: image})


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / (_area(a) + _area(b) - common)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
