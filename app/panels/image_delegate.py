"""How one image of the list is painted: thumbnail, name, what is drawn, a badge of its state."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetrics, QPainter, QPixmap, QTransform
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.icons import icon_pixmap
from app.panels.image_model import STATUS_ROLE, USEFULNESS_ROLE, short_words
from app.session.image_status import ImageStatus
from app.theme import SPACE, Tokens, tokens
from core.annotation.model import AnnotationState
from core.images.pages import image_stem

THUMBNAIL: Final = QSize(60, 44)
BADGE: Final = 16
PICTURE_ICON: Final = 18
ROW_HEIGHT: Final = THUMBNAIL.height() + SPACE + 4
GAUGE: Final = QSize(4, 28)
"""Of an image's usefulness, left of its badge."""

_BADGES: Final = {
    AnnotationState.UNLABELLED: ("unlabelled", "faint"),
    AnnotationState.IN_PROGRESS: ("in-progress", "warning"),
    AnnotationState.DONE: ("done", "success"),
}


def badge_of(status: ImageStatus) -> tuple[str, str]:
    """Icon name and name of its colour token."""
    return ("error", "danger_text") if status.problem else _BADGES[status.state]


def name_in(name: str, metrics: QFontMetrics, width: int) -> str:
    """As much of an image's name as there is room for: the suffix goes first, which most have in common."""
    if metrics.horizontalAdvance(name) > width:
        name = image_stem(PurePath(name))
    return metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, width)


class ImageDelegate(QStyledItemDelegate):
    """Paints rows of an `ImageListModel`. Icons are rendered once: a row is painted at every scroll step."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._icons: dict[tuple[str, str, int, float], QPixmap] = {}

    def _icon(self, painter: QPainter, name: str, color: str, side: int) -> QPixmap:
        device = painter.device()
        key = (name, color, side, device.devicePixelRatioF() if device else 1.0)
        if key not in self._icons:
            self._icons[key] = icon_pixmap(*key)
        return self._icons[key]

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """All rows are alike, which keeps a list of ten thousand quick."""
        return QSize(160, ROW_HEIGHT)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Draw one row."""
        theme = tokens()
        rect: QRect = option.rect
        state: QStyle.StateFlag = option.state
        font: QFont = option.font
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        selected = bool(state & QStyle.StateFlag.State_Selected)
        if selected or state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.selection if selected else theme.hover))
            painter.drawRoundedRect(QRectF(rect).adjusted(4, 1, -4, -1), 6, 6)
        picture = QRect(rect.left() + 10, rect.top() + (rect.height() - THUMBNAIL.height()) // 2, 0, 0)
        picture.setSize(THUMBNAIL)
        pixmap = index.data(Qt.ItemDataRole.DecorationRole)
        if pixmap is None or pixmap.isNull():
            self._draw_field(painter, picture, theme)
        else:
            _draw_thumbnail(painter, picture, pixmap)
        status = index.data(STATUS_ROLE) or ImageStatus()
        name, token = badge_of(status)
        badge = QRect(rect.right() - BADGE - 12, rect.center().y() - BADGE // 2 + 1, BADGE, BADGE)
        painter.drawPixmap(badge.topLeft(), self._icon(painter, name, getattr(theme, token), BADGE))
        right = badge.left()
        useful = index.data(USEFULNESS_ROLE)
        if useful is not None:
            right -= GAUGE.width() + SPACE
            top = rect.center().y() - GAUGE.height() // 2 + 1
            _draw_gauge(painter, QRect(QPoint(right, top), GAUGE), useful, theme)
        text = QRect(picture.right() + 11, rect.top(), right - picture.right() - 17, rect.height())
        _draw_text(painter, text, str(index.data(Qt.ItemDataRole.DisplayRole)), status, font, theme)
        painter.restore()

    def _draw_field(self, painter: QPainter, rect: QRect, theme: Tokens) -> None:
        """What stands for a thumbnail until there is one."""
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.raised))
        painter.drawRoundedRect(rect, 4, 4)
        corner = rect.center() - QPoint(PICTURE_ICON // 2, PICTURE_ICON // 2)
        painter.drawPixmap(corner, self._icon(painter, "image", theme.faint, PICTURE_ICON))


def _draw_gauge(painter: QPainter, rect: QRect, level: float, theme: Tokens) -> None:
    """A column that is filled from below by `level`, 0..1."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(theme.border_strong))
    painter.drawRoundedRect(rect, 2, 2)
    filled = QRectF(rect)
    filled.setTop(rect.bottom() + 1 - max(level * rect.height(), rect.width()))
    painter.setBrush(QColor(theme.accent_text))
    painter.drawRoundedRect(filled, 2, 2)


def _draw_thumbnail(painter: QPainter, rect: QRect, pixmap: QPixmap) -> None:
    """Fill the rounded rectangle with the middle of the picture."""
    size = pixmap.size().scaled(rect.size(), Qt.AspectRatioMode.KeepAspectRatioByExpanding)
    place = QRect(rect.topLeft(), size)
    place.moveCenter(rect.center())
    # A textured brush and not a clip: clips to curves are slow.
    brush = QBrush(pixmap)
    scale = size.width() / pixmap.width()
    brush.setTransform(QTransform.fromTranslate(place.x(), place.y()).scale(scale, scale))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(brush)
    painter.drawRoundedRect(rect, 4, 4)


def _draw_text(
    painter: QPainter, rect: QRect, name: str, status: ImageStatus, font: QFont, theme: Tokens
) -> None:
    small = QFont(font)
    small.setPointSizeF(font.pointSizeF() * 0.88)
    metrics, small_metrics = QFontMetrics(font), QFontMetrics(small)
    height = metrics.height() + 2 + small_metrics.height()
    first = QRect(rect.left(), rect.top() + (rect.height() - height) // 2, rect.width(), metrics.height())
    second = QRect(rect.left(), first.bottom() + 3, rect.width(), small_metrics.height())
    painter.setFont(font)
    painter.setPen(QColor(theme.text))
    painter.drawText(first, Qt.AlignmentFlag.AlignVCenter, name_in(name, metrics, rect.width()))
    painter.setFont(small)
    painter.setPen(QColor(theme.danger_text if status.problem else theme.muted))
    words = small_metrics.elidedText(short_words(status), Qt.TextElideMode.ElideRight, rect.width())
    painter.drawText(second, Qt.AlignmentFlag.AlignVCenter, words)
