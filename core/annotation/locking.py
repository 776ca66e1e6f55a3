"""Locked shapes: seen, drawn into masks and snapped to, but not edited.

The file says so in the shape's `locked` key, which is labelme's own: what is locked here is locked there.
Commands refuse to change, relabel or remove a locked shape; moving it within the stack and copying it are
allowed. A copy is not locked.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from core.annotation.labelme_keys import LOCKED_KEY, without
from core.annotation.model import Shape


def is_locked(shape: Shape) -> bool:
    """Whether a shape is protected from edits."""
    return shape.extra.get(LOCKED_KEY) is True


def with_lock(shape: Shape, *, locked: bool) -> Shape:
    """The shape locked or unlocked; the same object when it is so already."""
    if is_locked(shape) == locked:
        return shape
    extra = without(shape.extra, LOCKED_KEY)
    if locked:
        extra[LOCKED_KEY] = True
    return shape.with_(extra=MappingProxyType(extra))


def refuse_locked(shapes: Iterable[Shape]) -> None:
    """Raise ValueError, with a sentence for the person, when one of the shapes is locked."""
    locked = [shape.label for shape in shapes if is_locked(shape)]
    if len(locked) == 1:
        raise ValueError(f"this shape ({locked[0]}) is locked; unlock it to change it")
    if locked:
        raise ValueError(f"{len(locked)} of these shapes are locked; unlock them to change them")
