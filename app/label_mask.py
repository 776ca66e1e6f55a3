"""The class of every pixel of the current image, as its labels have it: for the status bar and the shares."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from app.session import Session
from app.workers.autosaver import LabelsWritten
from app.workers.tasks import TaskRunner
from core.annotation.model import MAX_CLASSES, UNLABELLED, Annotation

if TYPE_CHECKING:
    from app.session_state import CurrentImage
    from core.project.project import ImageEntry, Project


class LabelMask(QObject):
    """Follows the session. `changed` comes when mask and shares are those of the current image."""

    changed = Signal()

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._runner = TaskRunner(1, self)
        self._mask: NDArray[np.uint8] | None = None
        self._shares: dict[int, float] = {}
        session.current_changed.connect(self._on_current_changed)
        session.labels_written.connect(self._on_labels_written)

    @property
    def shares(self) -> dict[int, float]:
        """Share of the labelled pixels, 0..1, by class index; empty when nothing is labelled."""
        return self._shares

    def class_at(self, x: int, y: int) -> int | None:
        """Class index of a pixel, None where nothing is known or outside the image."""
        mask = self._mask
        if mask is None or not (0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]):
            return None
        value = int(mask[y, x])
        return None if value == UNLABELLED else value

    def close(self) -> None:
        """End the worker."""
        self._runner.close()

    def _on_current_changed(self, current: CurrentImage | None) -> None:
        self._take(None, {})
        project = self._session.project
        if current is None or current.document is None or project is None:
            return
        task = self._runner.run(
            render, project, current.entry, current.document.snapshot(), doing="drawing the labels"
        )
        task.done.connect(partial(self._on_rendered, current.entry.key))

    def _on_rendered(self, key: str, found: tuple[NDArray[np.uint8], dict[int, float]]) -> None:
        current = self._session.current
        if current is not None and current.entry.key == key and self._mask is None:
            self._take(*found)

    def _on_labels_written(self, written: LabelsWritten) -> None:
        current = self._session.current
        if current is not None and current.entry.key == written.entry.key:
            self._take(written.mask, shares_of(written.mask))

    def _take(self, mask: NDArray[np.uint8] | None, shares: dict[int, float]) -> None:
        self._mask, self._shares = mask, shares
        self.changed.emit()


def render(
    project: Project, entry: ImageEntry, annotation: Annotation
) -> tuple[NDArray[np.uint8], dict[int, float]]:
    """Worker: mask (H, W), uint8, and the shares of its classes."""
    mask = project.render_mask(entry, annotation)
    return mask, shares_of(mask)


def shares_of(mask: NDArray[np.uint8]) -> dict[int, float]:
    """Share of the labelled pixels, 0..1, of every class that occurs in a mask (H, W), uint8."""
    counts = np.bincount(mask.ravel(), minlength=UNLABELLED + 1)[:MAX_CLASSES]
    total = int(counts.sum())
    return {int(index): int(counts[index]) / total for index in np.flatnonzero(counts)}
