"""The class that new shapes get, and changes of the project's classes with their undo."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject, Signal

from app.session.class_steps import ClassChange, ClassStep, ClassSteps
from app.workers.tasks import Task
from core.annotation.model import IGNORE_LABEL, ClassList, LabelClass
from core.project.class_edits import labels_of

if TYPE_CHECKING:
    from app.session.open_project import OpenProject


class ClassEditor(QObject):
    """Belongs to a session. Every change of the classes runs in the project's worker; drawing goes on.

    Signals:
        active_changed(object LabelClass | None): see `active`.
        chosen(object LabelClass): a person wants this class, which may have been the active one already.
        changed(): the classes are others now; the active one has followed.
        stepped(object ClassStep, bool undone): a step was done, or taken back.
        steps_changed(): undo or redo may mean something else now.
    """

    active_changed = Signal(object)
    chosen = Signal(object)
    changed = Signal()
    stepped = Signal(object, bool)
    steps_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._opened: OpenProject | None = None
        self._known: frozenset[int] = frozenset()
        self._wanted = ""
        self.active: LabelClass | None = None
        """The class that new shapes get."""
        self._steps = ClassSteps()

    @property
    def classes(self) -> ClassList:
        """The open project's classes; none without a project."""
        return ClassList() if self._opened is None else self._opened.classes

    def attach(self, opened: OpenProject | None) -> None:
        """Another project is open, or none."""
        self._opened = opened
        self._known = frozenset(self.classes.indices)
        self._steps.clear()
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
        if label_class is not None:
            self.chosen.emit(label_class)

    def add(self, name: str, color: str | None = None) -> Task | None:
        """Add a class; new shapes get it. Its task; None when that has to wait, which is said."""
        self._wanted = name.strip()
        self.note_edit()
        return self._change(ClassChange(f"adding the class {name}", lambda p: p.add_class(name, color)))

    def rename(self, index: int, name: str) -> None:
        """Rename a class and the labels of all its shapes. A step of undo."""
        old, new = self._name(index), name.strip()
        forth = ClassChange(f"renaming {old} to {new}", lambda p: p.rename_class(index, new), {old: new})
        back = ClassChange(f"renaming {new} to {old}", lambda p: p.rename_class(index, old), {new: old})
        said = f"“{old}” is called “{new}” now.", f"“{new}” is called “{old}” again."
        self._do(ClassStep(f"Rename {old} to {new}", forth, back, *said))

    def recolor(self, index: int, color: str) -> None:
        """Give a class another colour "#rrggbb". A step of undo."""
        found = self.classes.by_index(index)
        if found is not None:
            forth, back = (self._coloring(found, each) for each in (color, found.color))
            said = f"{found.name} has another colour now.", f"{found.name} has its old colour again."
            self._do(ClassStep(f"Change colour of {found.name}", forth, back, *said))

    def reorder(self, indices: tuple[int, ...]) -> None:
        """Show the classes in this order. A step of undo."""
        doing, before = "reordering the classes", self.classes.indices
        forth = ClassChange(doing, lambda p: p.reorder_classes(indices))
        back = ClassChange(doing, lambda p: p.reorder_classes(before))
        self._do(ClassStep("Reorder classes", forth, back))

    def merge(self, source: int, into: int) -> None:
        """Make all shapes of one class shapes of another; the first class is gone then, for good."""
        old, new = self._name(source), self._name(into)
        doing = f"merging {old} into {new}"
        self._end(ClassChange(doing, lambda p: p.merge_classes(source, into), self._labels(source, new)))

    def delete(self, index: int, shapes: Literal["delete", "ignore"] | int = "delete") -> None:
        """Delete a class for good; its shapes go, are ignored, or become those of another class."""
        match shapes:
            case "delete":
                becomes = None
            case "ignore":
                becomes = IGNORE_LABEL
            case other:
                becomes = self._name(other)
        doing = f"deleting {self._name(index)}"
        self._end(ClassChange(doing, lambda p: p.delete_class(index, shapes), self._labels(index, becomes)))

    def count_shapes(self, index: int) -> Task | None:
        """A task that counts a class's shapes in all images."""
        if self._opened is None:
            return None
        self._opened.autosaver.save_now()
        doing = f"counting the shapes of {self._name(index)}"
        return self._opened.worker.run(self._opened.project.usage, index, doing=doing)

    # --- undo ---------------------------------------------------------------------------------------------

    @property
    def next_undo(self) -> ClassStep | None:
        """The change of the classes that undo would take back; None where undo is for the image."""
        return self._steps.next_undo

    @property
    def next_redo(self) -> ClassStep | None:
        """The change of the classes that redo would do again; None where redo is for the image."""
        return self._steps.next_redo

    def undo(self) -> None:
        """Take `next_undo` back."""
        if (step := self.next_undo) is not None:
            self._take(step, undone=True)

    def redo(self) -> None:
        """Do `next_redo` again."""
        if (step := self.next_redo) is not None:
            self._take(step, undone=False)

    def note_edit(self) -> None:
        """Something else was edited: undo is for that from now on."""
        self._steps.note_edit()
        self.steps_changed.emit()

    def set_in_hand(self, in_hand: bool) -> None:
        """The class list has the keyboard, or has it no more."""
        if in_hand != self._steps.in_hand:
            self._steps.in_hand = in_hand
            self.steps_changed.emit()

    def _coloring(self, of: LabelClass, color: str) -> ClassChange:
        doing = f"changing the colour of {of.name}"
        return ClassChange(doing, lambda p: p.recolor_class(of.index, color), refresh_masks=True)

    def _do(self, step: ClassStep) -> None:
        task = self._change(step.forth)
        if task is not None:
            task.done.connect(partial(self._on_done, self._opened, step))

    def _take(self, step: ClassStep, *, undone: bool) -> None:
        task = self._change(step.back if undone else step.forth)
        if task is not None:
            task.done.connect(partial(self._on_taken, self._opened, step, undone))
            task.failed.connect(partial(self._on_refused, step))

    def _on_done(self, opened: OpenProject | None, step: ClassStep, _result: object) -> None:
        if opened is self._opened:
            self._steps.push(step)
            self._tell(step, undone=False)

    def _on_taken(self, opened: OpenProject | None, step: ClassStep, undone: bool, _result: object) -> None:
        if opened is self._opened:
            self._steps.follow(step, undone=undone)
            self._tell(step, undone=undone)

    def _on_refused(self, step: ClassStep, _sentence: str) -> None:
        self._steps.drop(step)
        self.steps_changed.emit()

    def _tell(self, step: ClassStep, *, undone: bool) -> None:
        self.steps_changed.emit()
        self.stepped.emit(step, undone)

    def _end(self, change: ClassChange) -> None:
        """Do what cannot be taken back; steps may name the class that is gone then."""
        task = self._change(change)
        if task is not None:
            task.done.connect(partial(self._forget_steps, self._opened))

    def _forget_steps(self, opened: OpenProject | None, _result: object) -> None:
        if opened is self._opened:
            self._steps.clear()
            self.steps_changed.emit()

    # --- inside -------------------------------------------------------------------------------------------

    def _change(self, change: ClassChange) -> Task | None:
        """Begin it in the worker; None when that has to wait, which is said."""
        return None if self._opened is None else self._opened.class_changes.begin(change)

    def _labels(self, index: int, becomes: str | None) -> dict[str, str | None]:
        """What becomes of the labels that mean a class, of which the background has two."""
        found = self.classes.by_index(index)
        return {} if found is None else dict.fromkeys(labels_of(self.classes, found), becomes)

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
        if wanted is not None:
            self.chosen.emit(wanted)
