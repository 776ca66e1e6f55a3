"""What the window works on: the open project, its current image, the selection, the active class.

Panels, canvas and actions talk to the session; the session knows no widget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.session.class_editor import ClassEditor
from app.session.conflicts import ConflictChoice
from app.session.image_editor import ImageEditor
from app.session.image_status import Problem, StatusBoard
from app.session.open_project import OpenProject
from app.session.opening import Opened
from app.session.project_opener import ProjectOpener
from app.session.saved_copy import CopySaving
from app.session.shown_image import ShownImage
from app.session.state import CurrentImage
from app.session.undo import Undo
from app.workers.autosaver import SaveState
from app.workers.tasks import Task, TaskRunner
from app.workers.turns import in_turn
from core.annotation.commands import Command
from core.annotation.document import AnnotationDocument, Change
from core.annotation.model import AnnotationState, ClassList, LabelClass

if TYPE_CHECKING:
    from core.project.project import ImageEntry, Project, ScanChange


class Session(QObject):
    """The open project and everything about it that is not on disk. Lives in the GUI thread."""

    project_changed = Signal()
    images_changed = Signal(object)
    statuses_changed = Signal(object)
    current_changed = Signal(object)
    document_changed = Signal(object)
    classes_changed = Signal()
    selection_changed = Signal(object)
    active_class_changed = Signal(object)
    saved_changed = Signal(object)
    history_changed = Signal()
    labels_written = Signal(object)
    conflict_found = Signal(str, str)
    problems_found = Signal(object)
    open_failed = Signal(object, str)
    busy_changed = Signal(str)
    message = Signal(str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._reader = TaskRunner(2, self)
        self._copies = CopySaving(self._reader, self)
        self._copies.message.connect(self.message)
        self._opened: OpenProject | None = None
        self._opener = ProjectOpener(self._reader, self._open_root, self)
        self._opener.opened.connect(self._on_opened)
        self._opener.failed.connect(self.open_failed)
        self._opener.busy_changed.connect(self._tell_busy)
        self._busy_told = ""
        self.editor = ImageEditor(self)
        """Edits of the current image."""
        self.class_editor = ClassEditor(self)
        """Changes of the classes."""
        self.undo_order = Undo(self.editor, self.class_editor)
        """What undo and redo mean now."""
        self._shown = ShownImage(self.editor, self)
        self._shown.changed.connect(self.current_changed)
        self._shown.history_changed.connect(self.history_changed)
        self._shown.message.connect(self.message)
        self.editor.selection_changed.connect(self.selection_changed)
        self.editor.history_changed.connect(self.class_editor.note_edit)
        self.editor.history_changed.connect(self.history_changed)
        self.class_editor.steps_changed.connect(self.history_changed)
        self.editor.message.connect(self.message)
        self.class_editor.changed.connect(self.classes_changed)
        self.class_editor.active_changed.connect(self.active_class_changed)
        self.preferred_image: Callable[[Path], str | None] = lambda _root: None
        """Which image of a project to show first, by its root (the window remembers the last one)."""

    # --- what is open -------------------------------------------------------------------------------------

    @property
    def project(self) -> Project | None:
        """The open project."""
        return None if self._opened is None else self._opened.project

    @property
    def classes(self) -> ClassList:
        """The project's classes; none without a project."""
        return self.class_editor.classes

    @property
    def current(self) -> CurrentImage | None:
        """The image in the canvas."""
        return self._shown.current

    @property
    def document(self) -> AnnotationDocument | None:
        """What is drawn on the image in the canvas; None where it cannot be edited."""
        return self.editor.document

    @property
    def selection(self) -> frozenset[int]:
        """Uids of the selected shapes of the current image."""
        return self.editor.selection

    @property
    def active_class(self) -> LabelClass | None:
        """The class that new shapes get."""
        return self.class_editor.active

    @property
    def statuses(self) -> StatusBoard | None:
        """State, shape count and problem of every image."""
        return None if self._opened is None else self._opened.board

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Files of the project that cannot be used, as far as is known by now."""
        return () if self._opened is None else self._opened.problems()

    @property
    def save_state(self) -> SaveState:
        """How safe the work is."""
        return SaveState("saved") if self._opened is None else self._opened.autosaver.state

    @property
    def busy(self) -> str:
        """What is being done to the project that takes a while, "" for nothing. Drawing goes on meanwhile."""
        changing = "" if self._opened is None else self._opened.class_changes.busy
        return changing or self._opener.busy

    @property
    def editable(self) -> bool:
        """Whether there is a document that may be edited now."""
        return self.editor.editable

    @property
    def keep_previous(self) -> bool:
        """Put the shapes of the image that is left on the next one, if that has none (labelme's Ctrl+P)."""
        return self._shown.keep_previous

    @keep_previous.setter
    def keep_previous(self, keep: bool) -> None:
        self._shown.keep_previous = keep

    def keys(self) -> tuple[str, ...]:
        """Keys of all images, in the project's order."""
        return () if self._opened is None else tuple(self._opened.entries)

    @property
    def entries(self) -> tuple[ImageEntry, ...]:
        """All images, in the project's order."""
        return () if self._opened is None else tuple(self._opened.entries.values())

    def entry(self, key: str) -> ImageEntry | None:
        """The image of this key, if the project has it."""
        return None if self._opened is None else self._opened.entries.get(key)

    # --- projects -----------------------------------------------------------------------------------------

    def open_project(self, path: Path | str) -> None:
        """Open a folder, project.json, image or labelme JSON. Returns at once; see `project_changed`.

        What is open stays open until the new project is, and when that fails (`open_failed`).
        """
        self._opener.open(Path(path))

    def _open_root(self) -> Path | None:
        return None if self.project is None else self.project.root

    def _on_opened(self, opened: Opened) -> None:
        if opened.project is not None:
            if not self.close():
                opened.project.close()
                self.message.emit(f"{self.save_state.text} The other project was not opened.", "error")
                return
            self._adopt(opened.project)
        project = self._opened  # what comes next is dropped when it does not stay open
        steps = partial(self._list_images, opened), partial(self._show_first, opened)
        in_turn(self, lambda: self._opened is project, *steps)

    def _adopt(self, project: Project) -> None:
        self._opened = opened = OpenProject(project, self._reader)
        opened.autosaver.saved_changed.connect(self.saved_changed)
        opened.autosaver.labels_written.connect(self.labels_written)
        opened.autosaver.conflict_found.connect(self.conflict_found)
        opened.board.changed.connect(self.statuses_changed)
        opened.message.connect(self.message)
        opened.class_changes.busy_changed.connect(self._on_classes_busy)
        opened.document_changed.connect(self._on_document_changed)
        opened.document_reloaded.connect(self._shown.follow_reload)
        opened.images_changed.connect(self._on_images_changed)
        opened.problems_found.connect(self.problems_found)
        self._shown.attach(opened)
        self.editor.attach(opened)
        self.project_changed.emit()
        self.class_editor.attach(opened)
        self.saved_changed.emit(self.save_state)

    def _list_images(self, opened: Opened) -> None:
        project, ours = opened.project, self._opened
        if project is None or ours is None:
            return  # it was open before
        self.images_changed.emit(None)
        for note in sorted(ours.new_notes(), key=project.read_only_note.__eq__):  # what matters most last
            self.message.emit(note, "warning" if note == project.read_only_note else "info")

    def _show_first(self, opened: Opened) -> None:
        assert self._opened is not None
        key: str | None = None
        if opened.target.image is not None:
            key = self._opened.key_of(opened.target.image)
            if key is None:
                root = self._opened.project.root
                self.message.emit(f"{opened.target.image} is not among the images of {root}.", "warning")
        if key is None and self.current is None and self._shown.wanted is None:
            key = self.preferred_image(self._opened.project.root)
            if key not in self._opened.entries:
                key = next(iter(self._opened.entries), None)
        if key is not None:
            self.open_image(key)

    def close(self, *, discard: bool = False) -> bool:
        """Save everything and close the project; waits for the disk.

        Returns:
            False when something could not be saved (see `save_state`): the project stays open then, unless
            `discard` gives that up.
        """
        opened = self._opened
        if opened is None:
            return True
        if not opened.close(discard=discard):
            return False
        self._shown.leave()
        self._opened = None
        self._shown.attach(None)
        self.editor.attach(None)
        self._tell_busy()
        opened.deleteLater()
        self.project_changed.emit()
        self.class_editor.attach(None)
        self.images_changed.emit(None)
        return True

    def shut_down(self) -> None:
        """End the worker threads; the session is of no further use."""
        self._reader.close()
        self._opener.close()

    def flush(self) -> bool:
        """Save everything now and wait for it; False when something could not be saved (see `save_state`)."""
        return self._opened is None or self._opened.autosaver.flush()

    def save_now(self) -> None:
        """Save everything as soon as the worker can; returns at once."""
        if self._opened is not None:
            self._opened.autosaver.save_now()

    def check_disk(self) -> None:
        """Look for what other programs did (the window came to the front)."""
        if self._opened is not None:
            self._opened.check_disk()

    def add_image_folder(self, folder: Path) -> None:
        """Take another folder of images into the project."""
        if self._opened is not None:
            self._opened.add_image_folder(folder)

    # --- the current image --------------------------------------------------------------------------------

    def open_image(self, key: str, *, copy_shapes: bool = False) -> None:
        """Show this image as soon as it is read; the latest request wins.

        `copy_shapes` puts the shapes of the image that is left on it, if it has none of its own.
        """
        self._shown.open(key, copy_shapes=copy_shapes)

    def set_browse_order(self, keys: Iterable[str]) -> None:
        """The order in which next and previous go: what the image list shows."""
        self._shown.set_order(keys)

    def next_image(self, *, copy_shapes: bool = False, held: bool = False) -> None:
        """As `ShownImage.step`: to the next image of the list; `held`: by a key that repeats."""
        self._shown.step(1, copy_shapes=copy_shapes, held=held)

    def previous_image(self, *, copy_shapes: bool = False, held: bool = False) -> None:
        """Go to the previous image of the list."""
        self._shown.step(-1, copy_shapes=copy_shapes, held=held)

    def neighbour(self, step: int) -> str | None:
        """The image `step` places on in the list's order, None beyond its ends."""
        return self._shown.neighbour(step)

    # --- editing ------------------------------------------------------------------------------------------

    def execute(self, command: Command, *, on: CurrentImage | None = None) -> bool:
        """Do a command on the current image, or on another open one. False: refused, a message says why."""
        return self.editor.execute(command, on=on)

    def end_drag(self) -> None:
        """The mouse was released: the next command is an entry of its own in the history."""
        self.editor.end_drag()

    def undo(self) -> None:
        """Take the last step back: an edit of this image, or a change of the classes done since."""
        self.undo_order.undo()

    def redo(self) -> None:
        """Do the last undone step again."""
        self.undo_order.redo()

    def go_to_edit(self, position: int) -> None:
        """Undo or redo edits of this image until the first `position` of its history are done."""
        self.editor.go_to(position)

    def set_selection(self, uids: Iterable[int]) -> None:
        """Select shapes; uids the image does not have are left out."""
        self.editor.set_selection(uids)

    def relabel_selection(self, label: str) -> None:
        """Give the selected shapes another label."""
        self.editor.relabel_selection(label)

    def delete_selection(self) -> None:
        """Delete the selected shapes."""
        self.editor.delete_selection()

    def set_image_state(self, state: AnnotationState) -> None:
        """Say how much of the image is labelled; undoable."""
        self.editor.set_state(state)

    def set_active_class(self, label_class: LabelClass | None) -> None:
        """Choose what new shapes are."""
        self.class_editor.set_active(label_class)

    def choose_class(self, label_class: LabelClass) -> None:
        """Choose what new shapes are; selected shapes become that, too."""
        self.class_editor.set_active(label_class)
        self.editor.relabel_selection(label_class.name)

    def add_class(self, name: str, color: str | None = None) -> Task | None:
        """Add a class, see `class_editor`, which has the other changes; `classes_changed` follows."""
        return self.class_editor.add(name, color)

    # --- files --------------------------------------------------------------------------------------------

    def save_copy(self, target: Path, *, of: CurrentImage | None = None) -> None:
        """Write the annotation of the current image, or of another, as a labelme JSON elsewhere."""
        image = of or self.current
        if image is not None and image.document is not None:
            self._copies.save(image.document.snapshot(), image.entry.image_path, target)

    def resolve_conflict(self, key: str, choice: ConflictChoice) -> None:
        """Answer `conflict_found`: "reload" theirs, keep "mine", or "both" (their file is kept beside)."""
        if self._opened is not None:
            self._opened.resolve_conflict(key, choice)

    def ask_about_conflicts(self) -> None:
        """Send `conflict_found` again for what was put off."""
        if self._opened is not None:
            for key in self._opened.autosaver.conflicts:
                self._opened.autosaver.ask_again(key)

    # --- what the open project tells ----------------------------------------------------------------------

    def _on_document_changed(self, key: str, changes: Sequence[Change]) -> None:
        if self.current is None or key != self.current.entry.key:
            return
        kinds = {change.kind for change in changes}
        if not kinds.isdisjoint(("removed", "reset")):
            self.editor.set_selection(self.selection)
        self.document_changed.emit(changes[-1])
        if "reset" in kinds:
            self.history_changed.emit()

    def _on_images_changed(self, change: ScanChange) -> None:
        self._shown.drop_vanished()
        self.images_changed.emit(change)
        self._shown.follow_images()

    def _on_classes_busy(self) -> None:
        self._tell_busy()
        if self._opened is not None and not self._opened.class_changes.busy:
            self._shown.follow_classes()

    def _tell_busy(self) -> None:
        if self.busy != self._busy_told:
            self._busy_told = self.busy
            self.busy_changed.emit(self._busy_told)
