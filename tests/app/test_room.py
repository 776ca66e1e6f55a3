"""Small windows and large fonts: everything stays in sight, nothing is cut."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QApplication,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QToolButton,
    QWidget,
)

from app.icons import icon
from app.panels.fitting import FittingBar
from app.panels.parts import ElidedLabel
from app.panels.training_panel import TrainingPanel
from core.annotation.model import LabelClass
from tests.app.engine_events import prediction, started, step, validated

SMALL = (800, 560)


def cut_off(window: QWidget) -> list[str]:
    """Controls of which a part is outside of what holds them."""
    found = []
    for kind in (QAbstractButton, QComboBox, QSlider, QLabel):
        for widget in window.findChildren(kind):
            if not widget.isVisible() or in_scroll_area(widget):
                continue
            corner = widget.mapTo(window, QPoint(0, 0))
            inside = window.rect().contains(widget.rect().translated(corner))
            if not inside or widget.visibleRegion().boundingRect() != widget.rect():
                found.append(f"{type(widget).__name__} {widget.accessibleName() or words_of(widget)!r}")
            elif isinstance(widget, QLabel) and not isinstance(widget, ElidedLabel) and is_too_long(widget):
                found.append(f"text {widget.text()!r}")
    return found


def in_scroll_area(widget: QWidget) -> bool:
    parent = widget.parentWidget()
    while parent is not None:
        if isinstance(parent, QAbstractScrollArea):
            return True
        parent = parent.parentWidget()
    return False


def words_of(widget: QWidget) -> str:
    return widget.text() if isinstance(widget, (QAbstractButton, QLabel)) else widget.objectName()


def is_too_long(shown: QLabel) -> bool:
    if shown.wordWrap() or not shown.text():
        return False
    return shown.fontMetrics().horizontalAdvance(shown.text()) > shown.contentsRect().width() + 1


@pytest.fixture
def large_font(qapp: QApplication) -> Iterator[None]:
    usual = qapp.font()
    larger = QFont(usual)
    larger.setPointSizeF(usual.pointSizeF() * 1.5)
    qapp.setFont(larger)
    yield
    qapp.setFont(usual)


def resize(bench, qtbot, width: int, height: int) -> None:
    bench.window.resize(width, height)
    qtbot.waitUntil(lambda: (bench.window.width(), bench.window.height()) == (width, height))
    QApplication.sendPostedEvents()


@pytest.mark.parametrize("size", [SMALL, (1100, 700)])
def test_in_a_small_window_nothing_is_cut(opened, qtbot, size):
    resize(opened, qtbot, *size)
    assert cut_off(opened.window) == []
    assert opened.canvas.width() > 250
    hidden = [a.objectName() for a in opened.window.toolbar.actions() if not is_shown(opened, a)]
    assert hidden == []


def test_another_project_in_a_small_window_leaves_its_size_and_its_panels(opened, qtbot, image_folder):
    resize(opened, qtbot, *SMALL)
    QApplication.processEvents()
    before = widths(opened.window)
    opened.window.open_path(image_folder(2, "others"))
    qtbot.waitUntil(lambda: "others" in opened.window.windowTitle() and not opened.session.busy)
    QApplication.processEvents()
    assert widths(opened.window) == before


def widths(window) -> list[int]:
    return [window.width(), *(dock.width() for dock in window.docks.values())]


def is_shown(bench, action) -> bool:
    widget = bench.window.toolbar.widgetForAction(action)
    return widget is not None and widget.isVisible()


def test_with_everything_on_show_in_the_middle_of_a_run_nothing_is_cut(opened, qtbot):
    say = opened.trainer.event_received.emit
    say(started(device="NVIDIA GeForce RTX 4090"))
    say(step(12_840, memory_bytes=8 * 2**30))
    say(validated(12_840, 0.5))
    source = "Instant learner and U-Net, step 12840"
    say(prediction("scan000.png", np.ones((48, 64), np.uint8), source=source, scored_on="validation"))
    opened.key(Qt.Key.Key_U)
    resize(opened, qtbot, *SMALL)
    assert cut_off(opened.window) == []


def test_with_a_large_font_a_small_window_still_shows_everything(large_font, opened, qtbot):
    resize(opened, qtbot, *SMALL)
    assert cut_off(opened.window) == []


def test_a_long_class_name_does_not_widen_the_window_and_its_tooltip_tells_it(opened, qtbot):
    name = "a class whose name somebody made far longer than any status bar could ever show " * 2
    opened.window.status.set_label(LabelClass(1, name, "#ff0000"))
    opened.window.status.set_predicted(LabelClass(1, name, "#ff0000"), 0.8)
    resize(opened, qtbot, *SMALL)
    assert cut_off(opened.window) == []
    shown = [each for each in opened.window.status.findChildren(ElidedLabel) if name[:20] in each.toolTip()]
    assert len(shown) == 2
    assert all(each.text().endswith("…") for each in shown)


def test_the_message_is_shortened_where_it_ends_not_in_the_middle_of_a_letter(opened, qtbot):
    resize(opened, qtbot, *SMALL)
    opened.window.status.show_note(
        "A message that is much too long for a window as narrow as this one is. " * 3
    )
    message = opened.window.status._message
    assert message.text().endswith("…")
    assert not is_too_long(message)


# --- bars -----------------------------------------------------------------------------------------------


@pytest.fixture
def bar(shown) -> FittingBar:
    content = QWidget()
    switch, push = QToolButton(), QPushButton("Accept all")
    switch.setText("Labels")
    switch.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    for button in (switch, push):
        button.setIcon(icon("check", "#ffffff"))
    row = QHBoxLayout(content)
    row.addWidget(switch)
    row.addWidget(ElidedLabel("What can be done now, in a sentence"), 1)
    row.addWidget(push)
    bar = FittingBar(content, comfort=60, least=90)
    return shown(bar, 500, 40)


def words(bar: FittingBar) -> tuple[bool, str]:
    switch, push = bar.findChild(QToolButton), bar.findChild(QPushButton)
    return switch.toolButtonStyle() == Qt.ToolButtonStyle.ToolButtonTextBesideIcon, push.text()


def test_words_give_way_to_a_narrow_bar_switches_first_and_come_back(bar):
    seen = []
    for width in range(500, 110, -10):
        bar.resize(width, 40)
        if words(bar) not in seen:
            seen.append(words(bar))
    assert seen == [(True, "Accept all"), (False, "Accept all"), (False, "")]
    assert bar.findChild(QPushButton).accessibleName() == "Accept all"
    bar.resize(500, 40)
    assert words(bar) == (True, "Accept all")


# --- training panel -------------------------------------------------------------------------------------


@pytest.fixture
def training(shown) -> TrainingPanel:
    panel = TrainingPanel()
    return shown(panel, 1200, 220)


def test_in_a_narrow_training_panel_scores_and_curves_take_turns(qtbot, training):
    assert training.scores.isVisible()
    assert training.loss.isVisible()
    assert not training._scores_button.isVisible()
    training.resize(780, 220)
    assert not training.scores.isVisible()
    assert training.loss.isVisible()
    QApplication.sendPostedEvents()
    place = training._scores_button.pos()
    qtbot.mouseClick(training._scores_button, Qt.MouseButton.LeftButton)
    QApplication.sendPostedEvents()
    assert training._scores_button.pos() == place  # a second click brings the curves back
    assert training.scores.isVisible()
    assert not training.loss.isVisible()
    training.resize(1200, 220)
    QApplication.sendPostedEvents()
    assert training.scores.isVisible()
    assert training.loss.isVisible()
    assert training.scores.x() > training._axis_by_steps.x()
