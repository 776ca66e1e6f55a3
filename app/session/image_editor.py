"""Edits of the image that is shown: commands with their undo, the selection, its state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from core.annotation.commands import Command, Composite, Relabel, RemoveShapes, SetState
from core.annotation.document import AnnotationDocument
from core.annotation.history import History
from core.annotation.model import AnnotationState, Shape

if TYPE_CHECKING:
    from app.session.open_project import OpenProject
    from app.session.state import CurrentImage

DELETE_ANNOTATION: Final = "Delete annotation"


class ImageEditor(QObject):
    """Belongs to a session.

    Signals:
        selection_changed(object frozenset of uids), history_changed(), message(str text, str level)
    """

    selection_changed = Signal(object)
    history_changed = Signal()
    message = Signal(str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.selection: frozenset[int] = frozenset()
        self._shapes_visible = True
        self._selected_later: frozenset[int] = frozenset()  # when all shapes are shown again
        self._opened: OpenProject | None = None
        self._current: CurrentImage | None = None

    def attach(self, opened: OpenProject | None) -> None:
        """Another project is open, or none."""
        self._opened = opened

    def show(self, current: CurrentImage | None) -> None:
        """Another image is shown; nothing of it is selected."""
        self.set_selection(())
        self._selected_later = frozenset()
        self._current = current

    @property
    def document(self) -> AnnotationDocument | None:
        """What is drawn on the image that is shown; None where it cannot be edited."""
        return None if self._current is None else self._current.document

    @property
    def selected(self) -> list[Shape]:
        """The selected shapes, the lowest first."""
        shapes = () if self.document is None else self.document.shapes
        return [shape for shape in shapes if shape.uid in self.selection]

    @property
    def history(self) -> History | None:
        """The edits of the image that is shown."""
        return None if self._current is None else self._current.history

    @property
    def editable(self) -> bool:
        """Whether there is a document that may be edited now."""
        return self.document is not None

    # --- commands -----------------------------------------------------------------------------------------

    def execute(self, command: Command, *, on: CurrentImage | None = None) -> bool:
        """Do a command on the image that is shown, or on another that is open.

        Returns:
            False when it was refused; a message says why.
        """
        image = self._open_image(on)
        if self._opened is None or image is None or image.history is None:
            return False
        if not self._opened.project.writable:
            reason = self._opened.project.read_only_reason
            text = f"{self._opened.project.root}: nothing can be changed here, because {reason}."
            self.message.emit(text, "warning")
            return False
        try:
            image.history.push(command)
        except ValueError as error:
            text = str(error)
            self.message.emit(f"{text[:1].upper()}{text[1:]}.", "warning")
            return False
        self.history_changed.emit()
        return True

    def _open_image(self, wanted: CurrentImage | None) -> CurrentImage | None:
        """That image, by default the one on show; None, said, where edits of it would reach no file."""
        if wanted is None:
            return self._current
        held = None if self._opened is None else self._opened.documents.get(wanted.entry.key)
        if held is None or held.document is not wanted.document:
            text = f"{wanted.entry.image_path} is not open any more: nothing of it was changed."
            self.message.emit(text, "warning")
            return None
        return wanted

    def end_drag(self) -> None:
        """The mouse was released: the next command is an entry of its own in the history."""
        if self.history is not None:
            self.history.break_merge()

    def undo(self, *, on: CurrentImage | None = None) -> None:
        """Take the last edit of the image that is shown back, or of another that is open."""
        image = self._open_image(on)
        if image is not None and image.history is not None:
            image.history.undo()
            self._follow_history(image)

    def redo(self) -> None:
        """Do the last undone edit of this image again."""
        if self._current is not None and self._current.history is not None:
            self._current.history.redo()
            self._follow_history(self._current)

    def go_to(self, position: int) -> None:
        """Undo or redo edits of this image until the first `position` of its history are done.

        A place that the history does not have (any more) is passed over.
        """
        if self._current is None or self._current.history is None:
            return
        if 0 <= position <= len(self._current.history.entries):
            self._current.history.go_to(position)
            self._follow_history(self._current)

    def _follow_history(self, image: CurrentImage) -> None:
        """Undo or redo led to another place; where the last edit deleted the annotation, its file goes."""
        if image.history is not None and image.history.undo_name == DELETE_ANNOTATION:
            self._delete_file(image)
        self.history_changed.emit()

    # --- the selection ------------------------------------------------------------------------------------

    def set_selection(self, uids: Iterable[int]) -> None:
        """Select shapes; uids the image does not have are left out.

        While all shapes are hidden the selection stays empty, and these wait until shapes are shown again.
        """
        document = self.document
        selection = frozenset() if document is None else frozenset(uid for uid in uids if uid in document)
        if not self._shapes_visible:
            self._selected_later = selection or self._selected_later
        elif selection != self.selection:
            self.selection = selection
            self.selection_changed.emit(selection)

    def set_shapes_visible(self, visible: bool) -> None:
        """Select nothing while all shapes are hidden; what was selected is so again when they are shown."""
        if visible:
            self._shapes_visible = True
            self.set_selection(self.selection or self._selected_later)
            self._selected_later = frozenset()
        else:
            self._selected_later = self.selection
            self.set_selection(())
            self._shapes_visible = False

    def relabel_selection(self, label: str) -> None:
        """Give the selected shapes another label."""
        if self._current is not None:
            self.relabel(self.selection, label, on=self._current)

    def relabel(self, uids: Iterable[int], label: str, *, on: CurrentImage) -> None:
        """Give shapes of an image another label; those it does not have any more are left out."""
        document = on.document
        if document is None:
            return
        changed = [uid for uid in uids if uid in document and document.get(uid).label != label]
        if changed:
            self.execute(Relabel.of(document, changed, label), on=on)

    def delete_selection(self) -> None:
        """Delete the selected shapes."""
        if self.document is not None and self.selection:
            self.execute(RemoveShapes.of(self.document, self.selection))

    # --- the whole image ----------------------------------------------------------------------------------

    def set_state(self, state: AnnotationState) -> None:
        """Say how much of the image is labelled; undoable."""
        document = self.document
        if document is not None and document.state is not state:
            self.execute(SetState.of(document, state))

    @property
    def has_annotation(self) -> bool:
        """Whether there is anything that `delete_annotation` would delete."""
        if self._current is None or self.document is None:
            return False
        drawn = bool(len(self.document)) or self.document.state is not AnnotationState.UNLABELLED
        return drawn or self._current.entry.annotation_path.exists()

    def delete_annotation(self) -> None:
        """Delete the annotation file, its shapes and its mask; an undo brings all of it back."""
        document = self.document
        if document is None or not self.has_annotation:
            return
        everything = RemoveShapes.of(document, [shape.uid for shape in document.shapes])
        state = SetState.of(document, AnnotationState.UNLABELLED)
        if self._current is not None and self.execute(Composite(DELETE_ANNOTATION, (everything, state))):
            self._delete_file(self._current)

    def _delete_file(self, image: CurrentImage) -> None:
        if self._opened is not None:
            self._opened.autosaver.delete_file(image.entry.key)
