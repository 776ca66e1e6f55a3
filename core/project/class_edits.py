"""What a change of classes does to the class list and to the shapes that carry a label.

Pure: `Project` reads and writes the files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from core.annotation.model import (
    BACKGROUND_LABEL,
    IGNORE_LABEL,
    Annotation,
    ClassList,
    LabelClass,
)
from core.errors import UsageError

ShapesOfDeleted: TypeAlias = Literal["delete", "ignore"] | int
"""What happens to a deleted class's shapes: they go, become `__ignore__`, or get the class of this index."""


@dataclass(frozen=True, slots=True)
class ClassEdit:
    """A change of the classes.

    Attributes:
        classes: the classes afterwards.
        labels: labels of the shapes that change.
        becomes: the label of those shapes afterwards; None removes them.
        retired: indices that go.
    """

    classes: ClassList
    labels: frozenset[str] = frozenset()
    becomes: str | None = None
    retired: tuple[int, ...] = ()

    def applied(self, annotation: Annotation) -> Annotation:
        """The annotation with its shapes changed; its state stays."""
        shapes = tuple(
            shape if shape.label not in self.labels else shape.with_(label=self.becomes)
            for shape in annotation.shapes
            if shape.label not in self.labels or self.becomes is not None
        )
        return replace(annotation, shapes=shapes)


def checked_name(classes: ClassList, name: str, *, as_is: bool = False) -> str:
    """The name for a class, stripped but for `as_is`. Raises UsageError if it cannot be one."""
    name = name if as_is else name.strip()
    if not name.strip():
        raise UsageError("a class needs a name")
    if name == IGNORE_LABEL:
        raise UsageError(f"{IGNORE_LABEL!r} means pixels that nobody should learn from; choose another name")
    if name in classes.names:
        raise UsageError(f"there is a class {name!r} already; merge the two if they are one")
    if name == BACKGROUND_LABEL and classes.background is not None:
        raise UsageError(f"{BACKGROUND_LABEL!r} means the background class; choose another name")
    return name


def checked_color(color: str) -> str:
    """The colour in lower case. Raises UsageError if it is none."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        raise UsageError(f'a colour is written like "#e69f00", not {color!r}')
    return color.lower()


def found(classes: ClassList, index: int) -> LabelClass:
    """The class of this index. Raises UsageError if there is none."""
    label_class = classes.by_index(index)
    if label_class is None:
        raise UsageError(f"no class has the index {index}")
    return label_class


def renamed(classes: ClassList, index: int, name: str) -> ClassEdit:
    """Another name; shapes follow."""
    old = found(classes, index)
    if name.strip() == old.name:
        return ClassEdit(classes)
    new = replace(old, name=checked_name(classes, name))
    return ClassEdit(_with(classes, new), labels=frozenset({old.name}), becomes=new.name)


def recolored(classes: ClassList, index: int, color: str) -> ClassEdit:
    """Another colour; masks take it when they are next written."""
    return ClassEdit(_with(classes, replace(found(classes, index), color=checked_color(color))))


def reordered(classes: ClassList, indices: Sequence[int]) -> ClassEdit:
    """Another display order; the indices stay with their classes."""
    if sorted(indices) != sorted(classes.indices):
        raise UsageError(f"the new order must name each class once: {sorted(classes.indices)}")
    return ClassEdit(replace(classes, classes=tuple(found(classes, index) for index in indices)))


def merged(classes: ClassList, source: int, into: int) -> ClassEdit:
    """All shapes of one class become another's; the emptied class goes."""
    if source == into:
        raise UsageError("a class cannot be merged into itself")
    target = found(classes, into)
    labels = labels_of(classes, found(classes, source))
    left = _without(classes, source)
    if classes.background == source:  # what is not drawn on done images must stay something
        left = replace(left, background=into)
    return ClassEdit(left, labels=labels, becomes=target.name, retired=(source,))


def deleted(classes: ClassList, index: int, shapes: ShapesOfDeleted) -> ClassEdit:
    """The class goes; its shapes go too, are ignored, or become another class's."""
    if isinstance(shapes, int):
        return merged(classes, index, shapes)
    if shapes not in ("delete", "ignore"):
        raise UsageError(f'shapes of a deleted class: "delete", "ignore" or a class index, not {shapes!r}')
    labels = labels_of(classes, found(classes, index))
    becomes = IGNORE_LABEL if shapes == "ignore" else None
    return ClassEdit(_without(classes, index), labels=labels, becomes=becomes, retired=(index,))


def labels_of(classes: ClassList, label_class: LabelClass) -> frozenset[str]:
    """The labels that mean this class in files: its name, for the background also `_background_`."""
    extra = {BACKGROUND_LABEL} if classes.background == label_class.index else set()
    return frozenset({label_class.name} | extra)


def _with(classes: ClassList, new: LabelClass) -> ClassList:
    return replace(classes, classes=tuple(new if c.index == new.index else c for c in classes))


def _without(classes: ClassList, index: int) -> ClassList:
    background = None if classes.background == index else classes.background
    return ClassList(tuple(c for c in classes if c.index != index), background)
