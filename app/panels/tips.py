"""Tooltips of several sentences, in lines that can be read: Qt breaks lines of rich text only."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QToolTip, QWidget

LONG: Final = 80
"""Characters in a line."""

if TYPE_CHECKING:
    _WidgetBase = QWidget
else:
    _WidgetBase = object


def wrapped(text: str) -> str:
    """Plain text as it is, or as rich text where one of its lines is long."""
    if all(len(line) <= LONG for line in text.splitlines()):
        return text
    return f"<qt>{escape(text, quote=False).replace(chr(10), '<br>')}</qt>"


def with_key(text: str, key: str) -> str:
    """A tooltip that says which key does the same; "" for none."""
    return f"{text}  ({key})" if key else text


class WrappedTip(_WidgetBase):
    """Mixin, named before the QWidget class: its tooltip is plain text, and wrapped when it is shown."""

    def event(self, event: QEvent) -> bool:
        """Show the tooltip."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip and self.toolTip():
            QToolTip.showText(event.globalPos(), wrapped(self.toolTip()), self)
            return True
        return super().event(event)
