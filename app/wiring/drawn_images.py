"""Whether anything is drawn yet from which the instant learner can learn, as far as the window knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

if TYPE_CHECKING:
    from app.session.session import Session
    from core.project.project import ScanChange


class DrawnImages(QObject):
    """Follows the statuses of a session's images, which come in portions: none is looked at twice.

    Signals:
        changed(): `any_learnable` may be another now.
    """

    changed = Signal()

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._drawn: set[str] = set()
        session.project_changed.connect(self._on_project_changed)
        session.images_changed.connect(self._on_images_changed)
        session.statuses_changed.connect(self._on_statuses_changed)
        session.classes_changed.connect(self.changed)

    @property
    def any_learnable(self) -> bool:
        """Whether two classes can be told apart: one that is drawn, and what is around it or another one.

        Of images that are not on show only the number of shapes is known: they get the benefit of the doubt.
        """
        classes, current = self._session.classes, self._session.current
        if len(classes) < 2:
            return False
        if self._drawn - {"" if current is None else current.entry.key}:
            return True
        if current is None or current.document is None:
            return False
        wanted = {each.name for each in classes if each.index != classes.background}
        found = (shape.label for shape in current.document.shapes if shape.label in wanted)
        if classes.background is not None:
            return any(True for _ in found)
        return len(set(found)) > 1

    def _on_statuses_changed(self, keys: Sequence[str]) -> None:
        statuses = self._session.statuses
        if statuses is None:
            return
        for key in keys:
            (self._drawn.add if statuses.get(key).shapes else self._drawn.discard)(key)
        self.changed.emit()

    def _on_images_changed(self, change: ScanChange | None) -> None:
        if change is not None:
            self._drawn.difference_update(change.removed)
            self.changed.emit()

    def _on_project_changed(self) -> None:
        self._drawn.clear()
        self.changed.emit()
