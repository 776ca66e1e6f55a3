"""Docks, menus and tool bar of the window: what is where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QActionGroup, QResizeEvent
from PySide6.QtWidgets import QDockWidget, QMainWindow, QMenu, QSizePolicy, QToolBar, QToolButton, QWidget

from app.actions import MENUS, Actions
from app.panels.fitting import WordFitter
from app.tool_group import ToolGroup

TOOLBAR: Sequence[str | tuple[str, ...]] = (
    "shape.select",
    "shape.polygon",
    "shape.freehand",
    "shape.brush",
    "shape.eraser",
    "shape.live_wire",
    "shape.wand",
    "shape.grabcut",
    ("shape.superpixel", "shape.blobs"),
    ("shape.rectangle", "shape.oriented_rectangle", "shape.circle"),
    ("shape.line", "shape.linestrip", "shape.point"),
    "shape.region",
    "shape.finished_area",
    "",
    "edit.undo",
    "edit.redo",
    "",
    "window.previous",
    "window.next",
    "shape.done",
    "",
    "view.fit",
    "view.zoom_out",
    "view.zoom_in",
)

ICON_SIDE: Final = 20
SMALL_ICON_SIDE: Final = 16


class ToolBar(QToolBar):
    """Keeps all its tools in sight as long as it can: words and size give way before the arrow comes.

    What goes there first stands last: zooming, which wheel and keys do as well.
    """

    def __init__(self, title: str, window: QMainWindow) -> None:
        super().__init__(title, window)
        self._fitter = WordFitter(self, lambda: self.sizeHint().width())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit anew."""
        width = event.size().width()
        for side in (ICON_SIDE, SMALL_ICON_SIDE):
            self.setIconSize(QSize(side, side))
            self._fitter.fit(width)
            if self.sizeHint().width() <= width:
                break
        super().resizeEvent(event)


def add_dock(
    window: QMainWindow, name: str, title: str, content: QWidget, area: Qt.DockWidgetArea
) -> QDockWidget:
    """A dock without a title bar: its content has a heading of its own."""
    dock = QDockWidget(title, window)
    dock.setObjectName(f"dock.{name}")
    dock.setFeatures(QDockWidget.DockWidgetFeature.DockWidgetClosable)
    bar = QWidget(dock)
    bar.setFixedHeight(0)
    dock.setTitleBarWidget(bar)
    dock.setWidget(content)
    window.addDockWidget(area, dock)
    return dock


def fill_menus(
    window: QMainWindow, actions: Actions, docks: Iterable[QDockWidget], digits: Sequence[QAction]
) -> dict[str, QMenu]:
    """All menus; recent projects are in `["recent"]`."""
    menus: dict[str, QMenu] = {}
    for name, title in MENUS.items():
        menu = window.menuBar().addMenu(title)
        menu.setToolTipsVisible(False)
        actions.fill_menu(menu, name)
        menus[name] = menu
    recent = QMenu("Open &recent", window)
    menus["file"].insertMenu(actions["file.add_images"], recent)
    menus["recent"] = recent
    themes = QActionGroup(window)
    theme_menu = QMenu("&Theme", window)
    for name in ("view.theme_dark", "view.theme_light", "view.theme_system"):
        menus["view"].removeAction(actions[name])
        theme_menu.addAction(actions[name])
        themes.addAction(actions[name])
    menus["view"].addMenu(theme_menu)
    classes = QMenu("&Class", window)
    classes.addActions(list(digits))
    menus["shape"].insertMenu(actions["shape.done"], classes)
    menus["shape"].insertSeparator(actions["shape.done"])
    for dock in docks:
        toggle = dock.toggleViewAction()
        toggle.setText(f"{dock.windowTitle()} panel")
        toggle.setStatusTip(f"Show or hide the panel {dock.windowTitle()}")
        menus["window"].insertAction(actions["window.reset_layout"], toggle)
    return menus


def add_toolbar(window: QMainWindow, actions: Actions) -> QToolBar:
    """The tools, undo and redo, zoom, images, and the search for every action at the right."""
    bar = ToolBar("Tools", window)
    bar.setObjectName("toolbar")
    bar.setMovable(False)
    bar.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
    for name in TOOLBAR:
        if isinstance(name, tuple):
            group = ToolGroup([actions[each] for each in name])
            bar.iconSizeChanged.connect(group.setIconSize)
            bar.addWidget(group)
        elif name:
            bar.addAction(actions[name])
        else:
            bar.addSeparator()
    filler = QWidget()
    filler.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    bar.addWidget(filler)
    search = QToolButton()
    search.setDefaultAction(actions["help.palette"])
    search.setProperty("kind", "outline")
    search.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    # A tool button shows its action's icon text and takes it anew whenever the action changes.
    actions["help.palette"].setIconText("Search every action")
    bar.addWidget(search)
    window.addToolBar(bar)
    return bar
