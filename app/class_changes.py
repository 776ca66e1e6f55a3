"""Changing a project's classes under open documents. Runs in the project's worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from core.files import file_digest

if TYPE_CHECKING:
    from core.project.project import ImageEntry, Loaded, Project

Operation: TypeAlias = "Callable[[Project], object]"


@dataclass(frozen=True, slots=True, eq=False)
class ClassesChanged:
    """What became of a class change: the open annotations whose files it rewrote, read again."""

    affected_labels: frozenset[str]
    reloaded: dict[str, Loaded]


def change_classes(
    project: Project,
    operation: Operation,
    affected_labels: frozenset[str],
    open_entries: tuple[ImageEntry, ...],
) -> ClassesChanged:
    """Do it, then read again what it rewrote among the annotations that are open.

    Raises:
        MaskloopError: it could not be done; the project is as it was.
    """
    before = {entry.key: file_digest(entry.annotation_path) for entry in open_entries}
    operation(project)
    rewritten = [e for e in open_entries if file_digest(e.annotation_path) != before[e.key]]
    return ClassesChanged(affected_labels, {entry.key: project.load(entry) for entry in rewritten})
