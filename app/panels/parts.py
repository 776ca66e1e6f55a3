"""Small pieces the panels and dialogs share: icon buttons, elided labels, swatches."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QFrame,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from app.icons import icon, icon_pixmap
from app.panels.tips import WrappedTip
from app.theme import Themed, Tokens, set_property

ICON_SIZE: Final = QSize(16, 16)
MIN_PANEL_WIDTH: Final = 168
"""How narrow a side panel can be made, logical pixels: its rows elide."""


def label(text: str = "", role: str = "", parent: QWidget | None = None) -> QLabel:
    """A plain-text label in one of the style sheet's roles."""
    result = QLabel(text, parent)
    result.setTextFormat(Qt.TextFormat.PlainText)
    if role:
        result.setProperty("role", role)
    return result


def hairline(parent: QWidget | None = None) -> QFrame:
    """A horizontal separator, one pixel high."""
    line = QFrame(parent)
    line.setProperty("kind", "line")
    return line


def inset(field: QAbstractSpinBox) -> None:
    """Keep the number clear of the frame: a style sheet's padding does not reach the text of a spin box."""
    edit = field.findChild(QLineEdit)
    if edit is not None:
        edit.setTextMargins(6, 0, 0, 0)


def draw_swatch(painter: QPainter, rect: QRectF, color: str, outline: str) -> None:
    """A rounded square of a class colour; the outline keeps it visible on a ground of the same colour."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QColor(outline))
    painter.setBrush(QColor(color))
    painter.drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)
    painter.restore()


def swatch_icon(color: str, outline: str) -> QIcon:
    """The swatch as an icon for menus and combo boxes."""
    result = QIcon()
    for side in (16, 32):
        pixmap = QPixmap(side, side)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.scale(side / 16, side / 16)
        draw_swatch(painter, QRectF(2, 2, 12, 12), color, outline)
        painter.end()
        result.addPixmap(pixmap)
        # Without one of its own, a selected row would tint the class' colour.
        result.addPixmap(pixmap, QIcon.Mode.Selected)
    return result


class _Iconed(Themed):
    """Mixin: an icon by name, in the theme's colours."""

    _icon_name: str

    def set_icon_name(self, name: str) -> None:
        """Show another icon."""
        if name != self._icon_name:
            self._icon_name = name
            self._tokens_in_use = None
            self.refresh_tokens()


class IconButton(_Iconed, QToolButton):
    """A tool button whose icon follows the theme, with its tooltip as accessible name."""

    def __init__(
        self, icon_name: str, tip: str, parent: QWidget | None = None, *, checkable: bool = False
    ) -> None:
        super().__init__(parent)
        self._icon_name = icon_name
        self.setIconSize(ICON_SIZE)
        self.setCheckable(checkable)
        # A click must not take the keyboard from the canvas.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setToolTip(tip)
        self.setAccessibleName(tip)

    def apply_tokens(self, theme: Tokens) -> None:
        """Colour the icon."""
        color = theme.text if self.property("kind") == "outline" else theme.muted
        self.setIcon(icon(self._icon_name, color, checked_color=theme.accent_text))


class IconPushButton(_Iconed, QPushButton):
    """A push button with text and an icon that follows theme and `kind`."""

    def __init__(self, icon_name: str, text: str, kind: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self._icon_name = icon_name
        self.setIconSize(ICON_SIZE)
        self.setAutoDefault(False)
        if kind:
            self.setProperty("kind", kind)

    def apply_tokens(self, theme: Tokens) -> None:
        """Colour the icon like the text."""
        colors = {"primary": theme.on_accent, "danger": theme.on_danger, "link": theme.accent_text}
        color = colors.get(str(self.property("kind")), theme.text)
        # What is white on the accent would vanish on the pale ground of a disabled button.
        self.setIcon(icon(self._icon_name, color, disabled_color=theme.faint))


class IconLabel(Themed, QWidget):
    """An icon by itself, coloured by the name of a token."""

    def __init__(self, icon_name: str, token: str = "muted", side: int = 16, parent: QWidget | None = None):
        super().__init__(parent)
        self._icon_name, self._token, self._side = icon_name, token, side
        self.setFixedSize(side, side)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def set_icon(self, icon_name: str, token: str) -> None:
        """Show another icon in another colour."""
        self._icon_name, self._token = icon_name, token
        self.update()

    def apply_tokens(self, theme: Tokens) -> None:
        """Repaint in the theme's colour."""
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the icon."""
        if self._tokens_in_use is None:
            return
        color = getattr(self._tokens_in_use, self._token)
        pixmap = icon_pixmap(self._icon_name, color, self._side, self.devicePixelRatioF())
        painter = QPainter(self)
        painter.drawPixmap(0, 0, pixmap)


class ElidedLabel(WrappedTip, QLabel):
    """A one-line label that shortens its text with an ellipsis and tells the whole of it as tooltip."""

    def __init__(
        self,
        text: str = "",
        role: str = "",
        mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._whole = text
        self._detail = ""
        self._mode = mode
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        if role:
            self.setProperty("role", role)
        self._elide()

    def set_text(self, text: str, detail: str = "") -> None:
        """Show `text`; `detail`, if any, is the tooltip instead of the whole text."""
        if (text, detail) != (self._whole, self._detail):
            self._whole, self._detail = text, detail
            self.updateGeometry()
            self._elide()

    def set_role(self, role: str) -> None:
        """Take another of the style sheet's roles."""
        set_property(self, "role", role)

    @property
    def whole_text(self) -> str:
        """The text before it was shortened."""
        return self._whole

    def minimumSizeHint(self) -> QSize:
        """Can be as narrow as an ellipsis."""
        return QSize(self._width_of("…"), super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        """Wants room for the whole text."""
        return QSize(self._width_of(self._whole), super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Shorten anew."""
        super().resizeEvent(event)
        self._elide()

    def _width_of(self, text: str) -> int:
        return self.fontMetrics().horizontalAdvance(text) + self.width() - self.contentsRect().width() + 4

    def _elide(self) -> None:
        # The style sheet's padding (the status bar has some) is no room for text.
        room = max(0, self.contentsRect().width())
        shown = self.fontMetrics().elidedText(self._whole, self._mode, room)
        super().setText(shown)
        self.setToolTip(self._detail or (self._whole if shown != self._whole else ""))
