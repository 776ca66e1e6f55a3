"""Exports, one after the other: masks and labelme files by a worker here, weights and ONNX by the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QDialog, QWidget

from app.dialogs.export import ExportDialog, ExportFormat, ExportRequest
from app.learning.controller import LearningController
from app.session.session import Session
from app.wiring.earlier_runs import read_runs
from app.workers.tasks import TaskRunner
from core.errors import MaskloopError
from core.learning.events import Event, Exported, Failed

if TYPE_CHECKING:
    from core.formats.report import ExportReport
    from core.project.project import Project

TITLES: Final[dict[ExportFormat, str]] = {
    "masks": "Masks",
    "labelme": "labelme files",
    "weights": "Weights",
    "onnx": "ONNX",
}
_BY_ENGINE: Final = ("weights", "onnx")


class Exporting(QObject):
    """Opens the export dialog and does what it asks for."""

    def __init__(self, session: Session, controller: LearningController, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._controller = controller
        self._window = window
        self._runner = TaskRunner(1, self)
        self._dialog: ExportDialog | None = None
        self._request: ExportRequest | None = None
        self._left: list[ExportFormat] = []  # the first one is being written
        self._unseen: list[ExportFormat] = []  # what the engine still writes of those whose dialog was closed
        self._dropped: list[ExportFormat] = []
        self._done = 0
        self._writing = 0  # labels the worker is still to write, whatever dialog asked for them
        controller.event_received.connect(self._on_event)
        session.project_changed.connect(self._on_project_changed)

    def close(self) -> None:
        """End the worker."""
        self._runner.close()

    @property
    def busy(self) -> bool:
        """An export is being written, or will be: leaving now would lose it."""
        return bool(self._left or self._unseen or self._writing)

    def open_dialog(self) -> ExportDialog | None:
        """Ask what to export and where to; None without a project."""
        project = self._session.project
        if project is None:
            return None
        dialog = ExportDialog(str(project.layout.exports), self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.export_requested.connect(self._on_requested)
        dialog.cancel_requested.connect(self._on_cancelled)
        dialog.finished.connect(self._on_closed)
        self._dialog = dialog
        task = self._runner.run(read_runs, project.layout, doing="reading the earlier runs")
        task.done.connect(dialog.set_runs)
        dialog.open()
        return dialog

    def _on_project_changed(self) -> None:
        """Another project is not written where this one was to go; what is being written is finished."""
        if self._dialog is not None:
            self._dialog.done(QDialog.DialogCode.Rejected)

    def _on_closed(self) -> None:
        if self._left and self._left[0] in _BY_ENGINE:
            self._unseen.append(self._left[0])
        if dropped := self._left[1:]:
            self._session.message.emit(_not_written(dropped), "warning")
        self._left = []
        self._dialog = None

    def _on_cancelled(self) -> None:
        """What runs is finished; nothing more is begun."""
        self._dropped = self._left[1:]
        self._left = self._left[:1]

    def _on_requested(self, request: ExportRequest) -> None:
        project = self._session.project
        if project is None or self._dialog is None:
            return
        if not self._session.flush():
            self._dialog.show_error(self._session.save_state.text)
            return
        self._request = request
        self._left = list(request.formats)
        self._dropped = []
        self._done = 0
        self._dialog.begin()
        self._next()

    def _next(self) -> None:
        """Do the first of what is left; the rest follows when it is done."""
        dialog, request, project = self._dialog, self._request, self._session.project
        if dialog is None or request is None or project is None:
            return
        if not self._left:
            if self._dropped:
                dialog.show_error(_not_written(self._dropped))
            dialog.finish()
            return
        name = self._left[0]
        if name == "onnx":  # nobody knows how far it is: a bar that stands still would look stuck
            dialog.set_progress(f"Writing {TITLES[name]}, which can take minutes", None)
        else:
            dialog.set_progress(f"Writing {TITLES[name]}", self._done / len(request.formats))
        if name in _BY_ENGINE:
            self._controller.export(name, Path(request.out) / name, request.run)
            return
        self._writing += 1
        task = self._runner.run(
            export_labels, project, name, Path(request.out), doing=f"exporting {TITLES[name]}"
        )
        task.done.connect(partial(self._on_labels_exported, dialog))
        task.failed.connect(partial(self._on_labels_failed, dialog))

    def _on_labels_exported(self, asked: ExportDialog, report: ExportReport) -> None:
        self._writing -= 1
        count = len(report.files)
        if self._dialog is not asked or self._request is None or not self._left:
            self._session.message.emit(f"The export is done: {count} files.", "info")
            return
        name = self._left[0]
        self._dialog.add_result(f"{TITLES[name]}: {count} files", str(Path(self._request.out) / name))
        for problem in report.problems:
            self._dialog.show_error(str(problem))
        self._step()

    def _on_labels_failed(self, asked: ExportDialog, sentence: str) -> None:
        self._writing -= 1
        if self._dialog is asked:
            self._on_failed(sentence)
        else:
            self._session.message.emit(sentence, "error")

    def _on_event(self, event: Event) -> None:
        if not isinstance(event, Exported | Failed):
            return
        if isinstance(event, Failed) and event.during != "Export":
            return
        if self._unseen:  # the engine writes one after the other, in the order in which it was asked
            name = self._unseen.pop(0)
            if isinstance(event, Exported):
                self._session.message.emit(f"{TITLES[name]}: written to {event.path}", "info")
            else:
                self._session.message.emit(event.text, "error")
            return
        if self._dialog is None or not self._left or self._left[0] not in _BY_ENGINE:
            return
        if isinstance(event, Exported):
            self._dialog.add_result(TITLES[self._left[0]], event.path)
            self._step()
        else:
            self._on_failed(event.text)

    def _on_failed(self, sentence: str) -> None:
        if self._dialog is not None:
            self._dialog.show_error(sentence)
            self._step()

    def _step(self) -> None:
        if self._left:
            self._left.pop(0)
            self._done += 1
            self._next()


def _not_written(names: Sequence[ExportFormat]) -> str:
    return f"Not written: {', '.join(TITLES[name] for name in names)}."


def export_labels(project: Project, name: ExportFormat, out: Path) -> ExportReport:
    """Worker: write the labels in one format into a folder of its own.

    Raises:
        MaskloopError: nothing could be written.
    """
    from core.formats import labelme, masks

    writers: dict[ExportFormat, Callable[[Project, Path], ExportReport]] = {
        "masks": masks.export_from,
        "labelme": labelme.export_from,
    }
    report = writers[name](project, out / name)
    if not report.files:
        nothing = f"{project.root}: there is nothing labelled to export yet"
        raise MaskloopError(str(report.problems[0]) if report.problems else nothing)
    return report
