"""Tools of a kind share a button of the tool bar."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, QTimer

from app.tool_group import ToolGroup


def group_of(bench, name: str) -> ToolGroup:
    groups = bench.window.toolbar.findChildren(ToolGroup)
    return next(g for g in groups if any(a.objectName() == name for a in g.menu().actions()))


def test_the_button_shows_and_chooses_the_tool_last_used(opened, qtbot):
    button = group_of(opened, "shape.line")
    assert button.defaultAction().objectName() == "shape.line"
    opened.window.actions_["shape.point"].trigger()
    assert button.defaultAction().objectName() == "shape.point"
    opened.window.actions_["shape.select"].trigger()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert opened.canvas.tool == "point"
    assert button.isChecked()


def test_a_right_click_lists_all_tools_of_the_kind(opened, qtbot):
    button = group_of(opened, "shape.circle")
    listed: list[str] = []

    def choose() -> None:
        listed.extend(action.objectName() for action in button.menu().actions())
        button.menu().actions()[-1].trigger()
        button.menu().close()

    QTimer.singleShot(0, button.menu(), choose)
    button.customContextMenuRequested.emit(QPoint(5, 5))
    qtbot.waitUntil(lambda: opened.canvas.tool == "circle")
    assert listed == ["shape.rectangle", "shape.oriented_rectangle", "shape.circle"]
    assert button.defaultAction().objectName() == "shape.circle"
