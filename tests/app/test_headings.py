"""Panels that share one place: their titles are tabs, and icons where room is short."""

from __future__ import annotations

from PySide6.QtWidgets import QTabBar, QWidget

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
