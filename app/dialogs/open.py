"""The system's file dialogs, opened without blocking: folders, images and annotations, weights, targets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QWidget

from core.images.reader import IMAGE_SUFFIXES


def choose_folder(
    parent: QWidget, title: str, start: Path | None, chosen: Callable[[Path], None]
) -> QFileDialog:
    """Ask for a folder that exists."""
    dialog = _dialog(parent, title, start, chosen)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    dialog.open()
    return dialog


def choose_file(
    parent: QWidget, title: str, start: Path | None, chosen: Callable[[Path], None]
) -> QFileDialog:
    """Ask for an image, a labelme JSON or a project.json."""
    dialog = _dialog(parent, title, start, chosen)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    images = " ".join(f"*{suffix}" for suffix in sorted(IMAGE_SUFFIXES))
    dialog.setNameFilters([f"Images and annotations ({images} *.json)", "All files (*)"])
    dialog.open()
    return dialog


def choose_weights(
    parent: QWidget, title: str, start: Path | None, chosen: Callable[[Path], None]
) -> QFileDialog:
    """Ask for a file of weights."""
    dialog = _dialog(parent, title, start, chosen)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    dialog.setNameFilters(["Weights (*.safetensors)", "All files (*)"])
    dialog.open()
    return dialog


def choose_target(
    parent: QWidget, title: str, suggested: Path, chosen: Callable[[Path], None]
) -> QFileDialog:
    """Ask where to write a JSON; the system asks before overwriting."""
    dialog = _dialog(parent, title, suggested.parent, chosen)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setNameFilters(["labelme JSON (*.json)"])
    dialog.setDefaultSuffix("json")
    dialog.selectFile(suggested.name)
    dialog.open()
    return dialog


def _dialog(parent: QWidget, title: str, start: Path | None, chosen: Callable[[Path], None]) -> QFileDialog:
    dialog = QFileDialog(parent, title)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    if start is not None and start.is_dir():
        dialog.setDirectory(str(start))
    dialog.fileSelected.connect(lambda path: chosen(Path(path)))
    return dialog
