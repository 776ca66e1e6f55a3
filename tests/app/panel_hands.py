"""Mouse and menus on the rows of the class list and the shape list, for tests."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, Qt
from PySide6.QtGui import QAction, QDropEvent, QMouseEvent
from PySide6.QtWidgets import QApplication, QMenu
from pytestqt.qtbot import QtBot

from app.panels.class_list import ClassPanel
from app.panels.shape_list import ShapePanel
from core.annotation.model import ClassList, LabelClass

LEFT = Qt.MouseButton.LeftButton


CLASSES = ClassList(
    (
        LabelClass(0, "background", "#101010"),
        LabelClass(1, "nerve", "#ffcc00"),
        LabelClass(4, "vessel", "#ee4422"),
    ),
    background=0,
)


def row_rect(panel: ClassPanel | ShapePanel, row: int) -> QRect:
    return panel.view.visualRect(panel.model.index(row))


def click(qtbot: QtBot, panel: ClassPanel | ShapePanel, where: QPoint, keys: object = None) -> None:
    modifier = Qt.KeyboardModifier.NoModifier if keys is None else keys
    qtbot.mouseClick(panel.view.viewport(), LEFT, modifier, where)


def double_click(qtbot: QtBot, panel: ClassPanel | ShapePanel, where: QPoint) -> None:
    click(qtbot, panel, where)
    qtbot.mouseDClick(panel.view.viewport(), LEFT, pos=where)


def entry(menu: QMenu, text: str) -> QAction:
    return next(action for action in menu.actions() if action.text().startswith(text))


def drop(panel: ClassPanel | ShapePanel, source: int, where: QPoint) -> None:
    """What Qt sends when a drag from row `source` ends; the offscreen platform has no drags of its own."""
    view = panel.view
    view.setCurrentIndex(panel.model.index(source))
    data = panel.model.mimeData([panel.model.index(source)])

    class Drop(QDropEvent):
        def source(self) -> object:
            return view

    event = Drop(QPointF(where), Qt.DropAction.MoveAction, data, LEFT, Qt.KeyboardModifier.NoModifier)
    view.dropEvent(event)


def shaky_click(panel: ClassPanel | ShapePanel, where: QPoint) -> None:
    """Press, move by one pixel twice with the button down, release."""
    viewport = panel.view.viewport()
    there = where + QPoint(1, 0)
    for kind, at, button, buttons in (
        (QEvent.Type.MouseButtonPress, where, LEFT, LEFT),
        (QEvent.Type.MouseMove, there, Qt.MouseButton.NoButton, LEFT),
        (QEvent.Type.MouseMove, there, Qt.MouseButton.NoButton, LEFT),
        (QEvent.Type.MouseButtonRelease, there, LEFT, Qt.MouseButton.NoButton),
    ):
        globally = QPointF(viewport.mapToGlobal(at))
        event = QMouseEvent(kind, QPointF(at), globally, button, buttons, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(viewport, event)
