"""Bars that keep all their controls in sight when room gets short: the words on buttons give way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QAbstractButton, QPushButton, QToolButton, QVBoxLayout, QWidget

_WORDS: Final = "words_when_there_is_room"
_BESIDE: Final = Qt.ToolButtonStyle.ToolButtonTextBesideIcon
_ALONE: Final = Qt.ToolButtonStyle.ToolButtonIconOnly


def show_words(button: QAbstractButton, *, shown: bool) -> None:
    """Show a button's words beside its icon, or the icon alone; the words stay its accessible name."""
    words = str(button.property(_WORDS) or button.text())
    button.setProperty(_WORDS, words)
    if not button.accessibleName():
        button.setAccessibleName(words)
    if isinstance(button, QToolButton):
        button.setToolButtonStyle(_BESIDE if shown else _ALONE)
    else:
        button.setText(words if shown else "")


class WordFitter(QObject):
    """Takes words from the buttons of a bar until it fits, and gives them back.

    Tool buttons go first: they are switches whose icon says the same. Push buttons are next.

    Args:
        bar: holds the buttons; buttons added later are found too.
        needed: the width the bar asks for as it is now, logical pixels.
    """

    def __init__(self, bar: QWidget, needed: Callable[[], int]) -> None:
        super().__init__(bar)
        self._bar = bar
        self._needed = needed

    def fit(self, width: int) -> None:
        """Show as many words as `width` logical pixels have room for."""
        switches = [
            button
            for button in self._bar.findChildren(QToolButton)
            if button.toolButtonStyle() == _BESIDE or button.property(_WORDS)
        ]
        pushes = [b for b in self._bar.findChildren(QPushButton) if not b.icon().isNull()]
        for worded, bare in (((*switches, *pushes), ()), (pushes, switches), ((), (*switches, *pushes))):
            for button in worded:
                show_words(button, shown=True)
            for button in bare:
                show_words(button, shown=False)
            layout = self._bar.layout()
            if layout is not None:
                layout.invalidate()
            if self._needed() <= width:
                return


class FittingBar(QWidget):
    """Holds one bar and asks for little width itself: the bar makes do with what there is.

    Args:
        bar: a bar of buttons with icons.
        comfort: room for its elided labels that is worth more than the words on switches, logical pixels.
        least: never ask for less than this, logical pixels.
    """

    def __init__(
        self, bar: QWidget, *, comfort: int = 120, least: int = 360, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._bar = bar
        self._least = least
        self._fitter = WordFitter(bar, lambda: bar.minimumSizeHint().width() + comfort)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(bar)

    def refit(self) -> None:
        """Fit again: the bar has gained or lost a control."""
        self._fitter.fit(self.width())

    def minimumSizeHint(self) -> QSize:
        """Little: words give way first."""
        return QSize(self._least, self._bar.minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit anew."""
        self._fitter.fit(event.size().width())
        super().resizeEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        """Fit with the icons and fonts that the theme has set by now."""
        super().showEvent(event)
        self._fitter.fit(self.width())

    def changeEvent(self, event: QEvent) -> None:
        """Another font needs other room."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fitter.fit(self.width())
