"""The class that new shapes get, and changes of the project's classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject, Signal

from app.workers.tasks import Task
from core.annotation.model import IGNORE_LABEL, ClassList, LabelClass

if TYPE_CHECKING:
    from app.open_project import OpenProject
    from core.project.project import Project


class ClassEditor(QObject):
    """Belongs to a session. Every change of the classes runs in the project's worker; editing waits for it.

    Signals:
        active_changed(object LabelClass | None): see `active`.
        changed(): the classes are others now; the active one has followed.
    """

    active_changed = Signal(object)
    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._opened: OpenProject | None = None
        self._known: frozenset[int] = frozenset()
        self._wanted = ""
        self.active: LabelClass | None = None
        """The class that new shapes get."""

    @property
    def classes(self) -> ClassList:
        """The open project's classes; none without a project."""
        return ClassList() if self._opened is None else self._opened.classes

    def attach(self, opened: OpenProject | None) -> None:
        """Another project is open, or none."""
        self._opened = opened
        self._known = frozenset(self.classes.indices)
        self.active = self._default()
        if opened is not None:
            opened.classes_changed.connect(self._on_changed)
        self.changed.emit()
        self.active_changed.emit(self.active)

    def set_active(self, label_class: LabelClass | None) -> None:
        """Choose what new shapes are."""
        if label_class != self.active:
            self.active = label_class
            self.active_changed.emit(label_class)

    def add(self, name: str, color: str | None = None) -> None:
        """Add a class; new shapes get it."""
        self._wanted = name.strip()
        self._change(f"adding the class {name}", {}, lambda p: p.add_class(name, color))

    def rename(self, index: int, name: str) -> None:
        """Rename a class and the labels of all its shapes."""
        old = self._name(index)
        self._change(f"renaming {old} to {name}", {old: name.strip()}, lambda p: p.rename_class(index, name))

    def recolor(self, index: int, color: str) -> None:
        """Give a class another colour "#rrggbb"."""
        doing = f"changing the colour of {self._name(index)}"
        self._change(doing, {}, lambda p: p.recolor_class(index, color), refresh_masks=True)

    def reorder(self, indices: tuple[int, ...]) -> None:
        """Show the classes in this order."""
        self._change("reordering the classes", {}, lambda p: p.reorder_classes(indices))

    def merge(self, source: int, into: int) -> None:
        """Make all shapes of one class shapes of another; the first class is gone then."""
        old = self._name(source)
        doing = f"merging {old} into {self._name(into)}"
        self._change(doing, {old: self._name(into)}, lambda p: p.merge_classes(source, into))

    def delete(self, index: int, shapes: Literal["delete", "ignore"] | int = "delete") -> None:
        """Delete a class; its shapes go, are ignored, or become those of another class."""
        old = self._name(index)
        match shapes:
            case "delete":
                becomes = None
            case "ignore":
                becomes = IGNORE_LABEL
            case other:
                becomes = self._name(other)
        self._change(f"deleting {old}", {old: becomes}, lambda p: p.delete_class(index, shapes))

    def count_shapes(self, index: int) -> Task | None:
        """A task that counts a class's shapes in all images."""
        if self._opened is None:
            return None
        self._opened.autosaver.save_now()
        doing = f"counting the shapes of {self._name(index)}"
        return self._opened.worker.run(self._opened.project.usage, index, doing=doing)

    def _change(
        self,
        doing: str,
        labels: Mapping[str, str | None],
        operation: Callable[[Project], object],
        *,
        refresh_masks: bool = False,
    ) -> None:
        if self._opened is not None:
            self._opened.change_classes(doing, labels, operation, refresh_masks=refresh_masks)

    def _name(self, index: int) -> str:
        found = self.classes.by_index(index)
        return f"class {index}" if found is None else found.name

    def _default(self) -> LabelClass | None:
        """The first that is not the background; without one, drawing asks for a name."""
        return next((c for c in self.classes if c.index != self.classes.background), None)

    def _on_changed(self) -> None:
        before, known = self.active, self._known
        self._known = frozenset(self.classes.indices)
        added = [self.classes.by_index(index) for index in self._known - known]
        # Who adds a class wants to draw it; one that came with another program's labels nobody chose.
        wanted = next((c for c in added if c is not None and c.name == self._wanted), None)
        if wanted is not None:
            self._wanted = ""
            self.active = wanted
        elif before is not None:
            self.active = self.classes.by_index(before.index)
        self.active = self.active or self._default()
        self.changed.emit()
        if self.active != before:
            self.active_changed.emit(self.active)
