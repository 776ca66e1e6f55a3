"""Tooltips of several sentences are shown in lines, not as one line across the screen."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication, QToolTip

from app.panels.parts import ElidedLabel
from app.panels.tips import LONG, wrapped


def test_a_long_tooltip_is_shown_in_lines(shown, dressed):
    label = shown(ElidedLabel("mIoU"), 80, 20)
    label.set_text("mIoU", "Scores on images that the network learns from say little. " * 5)
    here = QPoint(2, 2)
    QApplication.sendEvent(label, QHelpEvent(QEvent.Type.ToolTip, here, label.mapToGlobal(here)))
    tip = next(each for each in QApplication.topLevelWidgets() if each.inherits("QTipLabel"))
    assert tip.width() < 600
    assert tip.height() > 2 * label.fontMetrics().height()
    QToolTip.hideText()
    assert not label.toolTip().startswith("<")  # screen readers get it as it is


def test_what_is_short_stays_plain_text_and_nothing_is_taken_for_markup():
    assert wrapped("a < b, shortly") == "a < b, shortly"
    assert "a &lt; b<br>long" in wrapped("a < b\n" + "long " * LONG)
