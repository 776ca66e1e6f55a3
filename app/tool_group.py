"""One button for several tools of a kind: it shows the one last used, and lists the others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QAction, QPainter, QPaintEvent, QPolygonF
from PySide6.QtWidgets import QMenu, QToolButton, QWidget

_CORNER: Final = 5.0
"""Side of the triangle that says there is more, logical pixels."""


class ToolGroup(QToolButton):
    """A click chooses the tool shown; a long press or a right click lists all of them."""

    def __init__(self, actions: Sequence[QAction], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tools = QMenu(self)
        self._tools.addActions(list(actions))
        self.setMenu(self._tools)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.DelayedPopup)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._on_list_wanted)
        for action in actions:
            action.toggled.connect(partial(self._on_toggled, action))
        shown = next((action for action in actions if action.isChecked()), actions[0])
        self.setDefaultAction(shown)

    def _on_toggled(self, action: QAction, checked: bool) -> None:
        if checked:
            self.setDefaultAction(action)

    def _on_list_wanted(self) -> None:
        self.showMenu()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The button, and in its corner a triangle."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        corner = QPointF(self.rect().bottomRight()) - QPointF(2.0, 2.0)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.palette().buttonText())
        painter.setOpacity(0.6 if self.isEnabled() else 0.3)
        ends = (corner, corner - QPointF(_CORNER, 0.0), corner - QPointF(0.0, _CORNER))
        painter.drawPolygon(QPolygonF(list(ends)))
