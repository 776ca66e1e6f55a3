"""The headings of the side panels: a title with tools, or tabs that share one place and one heading."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QResizeEvent
from PySide6.QtWidgets import (
    QDockWidget,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QStackedWidget,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from app.icons import icon
from app.panels.parts import ICON_SIZE, label
from app.theme import SPACE, Themed, Tokens


def show_dock_of(panel: QWidget) -> None:
    """Open the dock that a panel is in, if a person has closed it."""
    above: QWidget | None = panel
    while above is not None and not isinstance(above, QDockWidget):
        above = above.parentWidget()
    if above is not None:
        above.show()


class PanelHeading(QWidget):
    """A panel's title, and at its right what belongs to the whole panel: a count, small buttons.

    Args:
        title: in a word or two.
        icon_name: stands for the title where it has to be a tab and room is short.
    """

    def __init__(self, title: str, icon_name: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = title
        self.icon_name = icon_name
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


class _Tabs(QTabBar):
    """Tabs that are as narrow as their icon where they have no title: Qt keeps room for words."""

    def tabSizeHint(self, index: int) -> QSize:
        """Of one tab."""
        usual = super().tabSizeHint(index)
        return (
            usual if self.tabText(index) else QSize(self.iconSize().width() + 5 * SPACE // 2, usual.height())
        )

    def minimumTabSizeHint(self, index: int) -> QSize:
        """An icon cannot be elided, and the title of what is on show should not be."""
        elided = self.tabText(index) and index != self.currentIndex()
        return super().minimumTabSizeHint(index) if elided else self.tabSizeHint(index)


class TabbedPanels(Themed, QWidget):
    """Panels that take turns; their titles are tabs, with the tools of the one on show at the right.

    Where there is no room for all titles, the tabs that are not on show have icons in their place.

    Signals:
        panel_shown(QWidget): this one came to the front.
    """

    panel_shown = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "panel")
        self._bar = _Tabs()
        self._bar.setExpanding(False)
        self._bar.setDrawBase(False)
        self._bar.setIconSize(ICON_SIZE)
        self._bar.setUsesScrollButtons(False)  # titles elide: half a tab with arrows helps nobody
        self._bar.setElideMode(Qt.TextElideMode.ElideRight)
        self._bar.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # the canvas keeps the keyboard
        self._tools = QStackedWidget()
        self._tools.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)  # titles first
        self._panels = QStackedWidget()
        self._headings: list[PanelHeading] = []
        self._icons: list[QIcon] = []
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
        for said in heading.tools.findChildren(
            QLabel
        ):  # a count beside the last tab would look like the tab's
            said.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._tools.addWidget(heading.tools)
        least = heading.tools.minimumSizeHint().width()
        self._tools.setMinimumWidth(max(least, self._tools.minimumWidth()))
        self._panels.addWidget(panel)
        self._headings.append(heading)
        place = self._bar.addTab(heading.title)
        self._bar.setTabToolTip(place, heading.title)
        self._bar.setAccessibleTabName(place, heading.title)
        if self._tokens_in_use is not None:
            self.apply_tokens(self._tokens_in_use)

    def show_panel(self, panel: QWidget) -> None:
        """Bring a panel to the front, and its dock where that was closed."""
        show_dock_of(self)
        self._bar.setCurrentIndex(self._panels.indexOf(panel))

    @property
    def tab_texts(self) -> list[str]:
        """The titles as shown; "" where there is an icon instead."""
        return [self._bar.tabText(place) for place in range(self._bar.count())]

    def apply_tokens(self, theme: Tokens) -> None:
        """Colour the icons."""
        names = [each.icon_name for each in self._headings]
        self._icons = [icon(name, theme.muted) if name else QIcon() for name in names]
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the titles anew."""
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        """Another font needs other room."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()

    def _fit(self) -> None:
        """Show all titles, or icons for those that are not on show."""
        if not self._icons:
            return  # not dressed yet: nobody sees it
        self._show_titles(short=False)
        if self._bar.sizeHint().width() + self._tools.minimumWidth() + SPACE > self.width():
            self._show_titles(short=True)

    def _show_titles(self, *, short: bool) -> None:
        for place, (heading, picture) in enumerate(zip(self._headings, self._icons, strict=True)):
            as_icon = short and place != self._bar.currentIndex() and not picture.isNull()
            self._bar.setTabText(place, "" if as_icon else heading.title)
            self._bar.setTabIcon(place, picture if as_icon else QIcon())

    def _on_tab_chosen(self, place: int) -> None:
        focused = self.focusWidget()
        if focused is not None and focused.hasFocus() and focused is not self._bar:
            self._bar.setFocus()  # else Qt gives the keyboard to whatever is next, the Train button say
        self._tools.setCurrentIndex(place)
        self._panels.setCurrentIndex(place)
        self._fit()
        panel = self._panels.widget(place)
        if panel is not None:
            self.panel_shown.emit(panel)
