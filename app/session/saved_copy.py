"""Save as: a copy of an annotation elsewhere, still pointing at its image."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.workers.tasks import TaskRunner
from core.annotation.labelme_json import dumps
from core.annotation.model import Annotation
from core.files import write_atomic


def save_copy(annotation: Annotation, image_path: Path, target: Path) -> Path:
    """Write a labelme JSON whose imagePath leads from its own folder to the image.

    Raises:
        StorageError: it cannot be written there.
    """
    try:
        relative = os.path.relpath(image_path, target.parent)
    except ValueError:  # another drive on Windows: only an absolute path leads there
        relative = str(image_path)
    write_atomic(target, dumps(replace(annotation, image_path=Path(relative).as_posix())))
    return target


class CopySaving(QObject):
    """Writes copies in a worker and says what has become of them.

    Signals:
        message(str text, str level)
    """

    message = Signal(str, str)

    def __init__(self, runner: TaskRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner = runner

    def save(self, annotation: Annotation, image_path: Path, target: Path) -> None:
        """Begin one; returns at once."""
        task = self._runner.run(save_copy, annotation, image_path, target, doing=f"saving {target}")
        task.done.connect(self._on_saved)
        task.failed.connect(self._on_failed)

    def _on_saved(self, target: Path) -> None:
        self.message.emit(f"A copy was saved as {target}.", "info")

    def _on_failed(self, sentence: str) -> None:
        self.message.emit(sentence, "error")
