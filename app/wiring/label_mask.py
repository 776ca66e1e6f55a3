"""The class of every pixel of the current image, as its labels have it: for the status bar and the shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from app.session.session import Session
from app.workers.label_files import DrawnMask, LabelsWritten, counts_of
from app.workers.tasks import Task, TaskRunner
from core.annotation.model import MAX_CLASSES, UNLABELLED, Annotation
from core.project.strip_mask import STRIP_ROWS, StripMask

if TYPE_CHECKING:
    from app.session.state import CurrentImage
    from core.project.project import ImageEntry, Project


class LabelMask(QObject):
    """Follows the session. `changed` comes when mask and shares are those of the current image."""

    changed = Signal()

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._runner = TaskRunner(1, self)
        self._mask: DrawnMask | None = None
        self._strip: tuple[int, NDArray[np.uint8]] | None = None
        self._shares: dict[int, float] = {}
        self._rendering: Task | None = None
        session.current_changed.connect(self._on_current_changed)
        session.labels_written.connect(self._on_labels_written)

    @property
    def shares(self) -> dict[int, float]:
        """Share of the labelled pixels, 0..1, by class index; empty when nothing is labelled."""
        return self._shares

    def class_at(self, x: int, y: int) -> int | None:
        """Class index of a pixel, None where nothing is known or outside the image."""
        mask = self._mask
        if mask is None:
            return None
        height, width = mask.size_hw if isinstance(mask, StripMask) else mask.shape
        if not (0 <= y < height and 0 <= x < width):
            return None
        value = self._strip_value(mask, x, y) if isinstance(mask, StripMask) else int(mask[y, x])
        return None if value == UNLABELLED else value

    def _strip_value(self, mask: StripMask, x: int, y: int) -> int:
        """A pixel of a huge mask; the mouse mostly stays in one strip, which is kept."""
        number, row = divmod(y, STRIP_ROWS)
        if self._strip is None or self._strip[0] != number:
            self._strip = number, mask.rows(number)
        return int(self._strip[1][row, x])

    def close(self) -> None:
        """End the worker."""
        self._runner.close()

    def _on_current_changed(self, current: CurrentImage | None) -> None:
        if self._rendering is not None:
            self._rendering.cancel()
            self._rendering = None
        self._take(None, {})
        project = self._session.project
        if current is None or current.document is None or project is None:
            return
        self._rendering = self._runner.run(
            render, project, current.entry, current.document.snapshot(), doing="drawing the labels"
        )
        self._rendering.done.connect(self._on_rendered)

    def _on_rendered(self, found: tuple[DrawnMask, dict[int, float]]) -> None:
        if self._mask is None:  # else it was written meanwhile, perhaps with newer labels
            self._take(*found)

    def _on_labels_written(self, written: LabelsWritten) -> None:
        current = self._session.current
        if current is not None and current.entry.key == written.entry.key:
            self._take(written.mask, shares_of(written.counts))

    def _take(self, mask: DrawnMask | None, shares: dict[int, float]) -> None:
        self._mask, self._shares, self._strip = mask, shares, None
        self.changed.emit()


def render(project: Project, entry: ImageEntry, annotation: Annotation) -> tuple[DrawnMask, dict[int, float]]:
    """Worker: the mask, and the shares of its classes."""
    mask = project.drawn_mask(entry, annotation)
    return mask, shares_of(counts_of(mask))


def shares_of(counts: NDArray[np.int64]) -> dict[int, float]:
    """Share of the labelled pixels, 0..1, of every class that occurs; `counts` (256,) is by mask value."""
    labelled = counts[:MAX_CLASSES]
    total = int(labelled.sum())
    return {int(index): int(labelled[index]) / total for index in np.flatnonzero(labelled)}
