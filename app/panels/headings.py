"""The headings of the side panels: a title with tools, or tabs that share one place and one heading."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QStackedWidget, QTabBar, QVBoxLayout, QWidget

from app.panels.parts import label
from app.theme import SPACE


class PanelHeading(QWidget):
    """A panel's title, and at its right what belongs to the whole panel: a count, small buttons."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = title
        self.tools = QWidget()
        self._tools_row = QHBoxLayout(self.tools)
        self._tools_row.setContentsMargins(0, 0, 0, 0)
        self._tools_row.setSpacing(SPACE)
        row = QHBoxLayout(self)
        row.setContentsMargins(SPACE * 3 // 2, SPACE // 2, SPACE // 2, SPACE // 2)
        row.setSpacing(SPACE)
        row.addWidget(label(title, "strong"))
        row.addWidget(self.tools, 1)

    def add_tool(self, tool: QWidget, stretch: int = 0) -> None:
        """Put a tool at the right of those that are there; one with a stretch gives way to all others."""
        if stretch:
            tool.setMinimumWidth(1)
        self._tools_row.addWidget(tool, stretch)


class TabbedPanels(QWidget):
    """Panels that take turns; their titles are tabs, with the tools of the one on show at the right.

    Signals:
        panel_shown(QWidget): this one came to the front.
    """

    panel_shown = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "panel")
        self._bar = QTabBar()
        self._bar.setExpanding(False)
        self._bar.setDrawBase(False)
        self._bar.setUsesScrollButtons(False)  # titles elide: half a tab with arrows helps nobody
        self._bar.setElideMode(Qt.TextElideMode.ElideRight)
        self._bar.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # the canvas keeps the keyboard
        self._tools = QStackedWidget()
        self._tools.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)  # titles first
        self._panels = QStackedWidget()
        head = QHBoxLayout()
        head.setContentsMargins(0, 0, SPACE // 2, 0)
        head.setSpacing(SPACE // 2)
        head.addWidget(self._bar, 0)
        head.addWidget(self._tools, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self._panels, 1)
        self._bar.currentChanged.connect(self._on_tab_chosen)

    def add(self, panel: QWidget, heading: PanelHeading) -> None:
        """Take a panel; its own heading goes, the tab has the title."""
        heading.hide()
        self._tools.addWidget(heading.tools)
        least = heading.tools.minimumSizeHint().width()
        self._tools.setMinimumWidth(max(least, self._tools.minimumWidth()))
        self._panels.addWidget(panel)
        self._bar.setTabToolTip(self._bar.addTab(heading.title), heading.title)

    def show_panel(self, panel: QWidget) -> None:
        """Bring a panel to the front."""
        self._bar.setCurrentIndex(self._panels.indexOf(panel))

    def _on_tab_chosen(self, place: int) -> None:
        self._tools.setCurrentIndex(place)
        self._panels.setCurrentIndex(place)
        panel = self._panels.widget(place)
        if panel is not None:
            self.panel_shown.emit(panel)
