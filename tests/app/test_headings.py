"""Panels that share one place: their titles are tabs, and icons where room is short."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDockWidget, QLineEdit, QMainWindow, QPushButton, QTabBar, QVBoxLayout, QWidget

from app.panels.headings import PanelHeading, TabbedPanels


def test_tabs_without_room_for_their_titles_have_icons_but_for_the_one_on_show(shown, dressed):
    tabs = TabbedPanels()
    pages = [QWidget() for _ in range(3)]
    for page, (title, icon_name) in zip(
        pages, (("Shapes", "polygon"), ("History", "history"), ("Clean up", "")), strict=True
    ):
        tabs.add(page, PanelHeading(title, icon_name))
    shown(tabs, 500, 200)
    assert tabs.tab_texts == ["Shapes", "History", "Clean up"]
    tabs.resize(160, 200)
    assert tabs.tab_texts == ["Shapes", "", "Clean up"], "what has no icon keeps its title"
    tabs.show_panel(pages[1])
    assert tabs.tab_texts == ["", "History", "Clean up"]
    bar = tabs.findChild(QTabBar)
    assert bar.tabToolTip(0) == "Shapes"
    assert not bar.tabIcon(0).isNull()
    assert bar.tabIcon(1).isNull()
    tabs.resize(500, 200)
    assert tabs.tab_texts == ["Shapes", "History", "Clean up"]


def test_a_panel_that_is_left_gives_the_keyboard_to_the_tabs_not_to_what_is_next(shown, dressed):
    """It was the Train button, which the next Space pressed."""
    tabs, field, other = TabbedPanels(), QLineEdit(), QWidget()
    tabs.add(field, PanelHeading("Clean up"))
    tabs.add(other, PanelHeading("Audit"))
    page, next_button = QWidget(), QPushButton("Train")
    rows = QVBoxLayout(page)
    rows.addWidget(tabs)
    rows.addWidget(next_button)
    shown(page, 300, 200)
    field.setFocus()
    tabs.show_panel(other)
    assert tabs.findChild(QTabBar).hasFocus()
    next_button.setFocus()
    tabs.show_panel(field)
    assert next_button.hasFocus(), "it was not in the panel"


def test_showing_a_panel_opens_its_closed_dock(shown, dressed):
    window, dock, tabs = QMainWindow(), QDockWidget(), TabbedPanels()
    pages = [QWidget(), QWidget()]
    for page in pages:
        tabs.add(page, PanelHeading("Page"))
    dock.setWidget(tabs)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    shown(window, 400, 300)
    dock.close()
    tabs.show_panel(pages[1])
    assert pages[1].isVisible()
