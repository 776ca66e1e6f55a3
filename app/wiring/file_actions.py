"""The File menu: what to open, what to add, where to save a copy."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, QStandardPaths, Qt
from PySide6.QtWidgets import QWidget

from app.dialogs.message import Choice, MessageDialog, show_error
from app.dialogs.open import choose_file, choose_folder, choose_target
from app.session.session import Session
from app.session.state import CurrentImage
from app.wiring.questions import ends_with_project
from app.wiring.recent_projects import RecentProjects
from core.errors import MaskloopError

SAMPLE_NAME = "Maskloop sample"
_DELETE_CHOICES = (Choice("keep", "Cancel"), Choice("delete", "Delete", "danger"))


class FileActions(QObject):
    """Asks where, and hands the answer to the session."""

    def __init__(self, session: Session, recent: RecentProjects, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._recent = recent
        self._window = window

    def open_folder(self) -> None:
        """Ask for a folder of images or a project."""
        choose_folder(self._window, "Open a folder of images", self._start(), self._session.open_project)

    def open_file(self) -> None:
        """Ask for an image or a labelme JSON."""
        choose_file(self._window, "Open an image or annotation", self._start(), self._session.open_project)

    def open_sample(self) -> None:
        """Open the sample: copied once to the person's documents, and opened from there ever after."""
        from core.project.sample import copy_sample

        place = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
        target = Path(place or Path.home()) / SAMPLE_NAME
        if not target.exists():
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                copy_sample(target)
            except (MaskloopError, OSError) as error:
                show_error(self._window, "The sample could not be copied", str(error))
                return
        self._session.open_project(target)

    def add_images(self) -> None:
        """Ask for another folder of images for the open project."""
        if self._session.project is not None:
            title = "Add a folder of images"
            dialog = choose_folder(self._window, title, self._start(), self._session.add_image_folder)
            ends_with_project(self._session, dialog)

    def save_as(self) -> None:
        """Ask where to write a copy of the annotation."""
        current = self._session.current
        if current is not None and current.document is not None:
            path = current.entry.annotation_path
            suggested = path.with_name(f"{path.stem} copy.json")
            title = "Save a copy of the annotation"
            choose_target(self._window, title, suggested, partial(self._session.save_copy, of=current))

    def delete_annotation(self) -> None:
        """Ask, then delete the label file of the image with its shapes and its mask."""
        session = self._session
        current = session.current
        if current is None or current.document is None or not session.editor.has_annotation:
            return
        shapes = len(current.document)
        what = f"{shapes} shape{'s' if shapes != 1 else ''}" if shapes else "no shapes"
        text = (
            f"{current.entry.annotation_path.name} ({what}) and its mask are deleted. "
            "The image stays, and Undo brings them back until you close the project."
        )
        dialog = MessageDialog(
            "question", "Delete this annotation?", text, choices=_DELETE_CHOICES, parent=self._window
        )
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.chosen.connect(partial(self._on_delete_chosen, current))
        ends_with_project(self._session, dialog)
        dialog.open()

    def _on_delete_chosen(self, asked_about: CurrentImage, key: str) -> None:
        if key == "delete" and self._session.current is asked_about:
            self._session.editor.delete_annotation()

    def _start(self) -> Path | None:
        """Where the file dialogs start: beside the open project, else beside the last one that is there."""
        project = self._session.project
        root = self._recent.latest() if project is None else project.root
        return None if root is None else root.parent
