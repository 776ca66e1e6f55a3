"""Changing a project's classes under open documents. Runs in the project's worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from core.files import file_digest

if TYPE_CHECKING:
    from core.project.project import ImageEntry, Loaded, Project

Operation: TypeAlias = "Callable[[Project], object]"


@dataclass(frozen=True, slots=True, eq=False)
class ClassesChanged:
    """What became of a class change: the open annotations whose files it rewrote, read again.

    `labels` says what became of each label whose shapes it rewrote; None: the shapes went.
    """

    labels: Mapping[str, str | None]
    reloaded: dict[str, Loaded]

    @property
    def names(self) -> dict[str, str] | None:
        """New labels by old ones; None where shapes went."""
        kept = {old: new for old, new in self.labels.items() if new is not None}
        return kept if len(kept) == len(self.labels) else None


def change_classes(
    project: Project,
    operation: Operation,
    labels: Mapping[str, str | None],
    open_entries: tuple[ImageEntry, ...],
) -> ClassesChanged:
    """Do it, then read again what it rewrote among the annotations that are open.

    Raises:
        MaskloopError: it could not be done; the project is as it was.
    """
    before = {entry.key: file_digest(entry.annotation_path) for entry in open_entries}
    operation(project)
    rewritten = [e for e in open_entries if file_digest(e.annotation_path) != before[e.key]]
    return ClassesChanged(labels, {entry.key: project.load(entry) for entry in rewritten})
