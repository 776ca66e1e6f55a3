"""Keys of labelme's file, and our own one beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.annotation.model import JsonValue

OUR_KEY: Final = "maskloop"
SCHEMA: Final = 1
VERSION: Final = "5.5.0"
"""Of files that do not say."""

FILE_KEYS: Final = frozenset(
    ("version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth")
)
SHAPE_KEYS: Final = frozenset(("label", "points", "group_id", "description", "shape_type", "flags", "mask"))
LOCKED_KEY: Final = "locked"
"""Of a shape: true, false or left out; labelme refuses null."""
SEAM_KEYS: Final = ("ring_starts", "first_vertices")
"""Under our key of a polygon: how its holes were joined to its outline."""


def own(extra: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """What is under our key, besides what the model has fields for."""
    value = extra.get(OUR_KEY)
    return dict(value) if isinstance(value, dict) else {}


def without(mapping: Mapping[str, JsonValue], *keys: str) -> dict[str, JsonValue]:
    """The mapping less some keys."""
    return {key: value for key, value in mapping.items() if key not in keys}
