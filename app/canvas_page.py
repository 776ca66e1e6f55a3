"""The middle of the window: the canvas, offers above it and the prediction bar below; or the welcome page."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from app.canvas.view import CanvasView
from app.panels.fitting import FittingBar
from app.panels.offer_strip import OfferStrip
from app.panels.prediction_bar import PredictionBar
from app.panels.welcome import WelcomePage
from app.theme import SPACE

FACTS_WIDTH: Final = 200
"""Logical pixels for whose prediction it is and how sure: worth more than words on buttons."""


class CanvasPage(QStackedWidget):
    """Shows one of two pages."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("central")
        self.canvas = CanvasView()
        self.canvas.setAcceptDrops(False)  # the window takes dropped files
        self.prediction_bar = PredictionBar()
        self.offer = OfferStrip()
        self.welcome = WelcomePage()
        self._work = QWidget()
        self._work.setProperty("kind", "page")
        self._work.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        below = QVBoxLayout()
        below.setContentsMargins(SPACE, SPACE // 2, SPACE, SPACE)
        fitting = FittingBar(self.prediction_bar, comfort=FACTS_WIDTH)
        self.prediction_bar.room_changed.connect(fitting.refit)
        below.addWidget(fitting)
        layout = QVBoxLayout(self._work)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.offer)
        layout.addWidget(self.canvas, 1)
        layout.addLayout(below)
        self.addWidget(self.welcome)
        self.addWidget(self._work)

    def minimumSizeHint(self) -> QSize:
        """What the page on show needs, not the wider one behind it."""
        shown = self.currentWidget()
        return QSize(0, 0) if shown is None else shown.minimumSizeHint()

    def show_project(self, shown: bool) -> None:
        """The canvas, or without a project the welcome page."""
        self.setCurrentWidget(self._work if shown else self.welcome)
        if shown:
            self.canvas.setFocus()
