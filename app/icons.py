"""The program's line icons: SVGs on a 24-unit grid, stroked in `currentColor`, coloured when they are loaded.

Every icon is drawn with 1.75-unit round strokes, so that a row of them looks like one hand's work.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from PySide6.QtCore import QByteArray, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QIconEngine, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

RESOURCES: Final = Path(__file__).resolve().parent.parent / "resources"
"""Folder of what the program ships beside its code."""
_ICONS: Final = RESOURCES / "icons"
_DISABLED_OPACITY: Final = 0.38


def icon_names() -> tuple[str, ...]:
    """Every name `icon` takes, sorted."""
    return tuple(sorted(path.stem for path in _ICONS.glob("*.svg")))


def icon(
    name: str, color: str, *, checked_color: str | None = None, disabled_color: str | None = None
) -> QIcon:
    """The icon in `color` ("#rrggbb"), fainter or in `disabled_color` when disabled, in `checked_color` while
    checked.

    Raises KeyError naming the icon when there is none of that name.
    """
    _source(name)
    return QIcon(_LineIcon(name, color, checked_color or color, disabled_color))


def icon_pixmap(name: str, color: str, side: int, device_pixel_ratio: float = 1.0) -> QPixmap:
    """The icon as a pixmap of `side` device-independent pixels."""
    pixmap = _render(_renderer(name, color), round(side * device_pixel_ratio), 1.0)
    pixmap.setDevicePixelRatio(device_pixel_ratio)
    return pixmap


def app_icon() -> QIcon:
    """The program's own icon, in its own colours."""
    result = QIcon()
    renderer = QSvgRenderer(str(RESOURCES / "maskloop.svg"))
    for side in (16, 24, 32, 48, 64, 128, 256):
        result.addPixmap(_render(renderer, side, 1.0))
    return result


def control_image(name: str, theme: str) -> str:
    """Path of a style sheet image (check mark, chevron, ...), with the forward slashes it wants."""
    return (_ICONS / "controls" / f"{name}-{theme}.svg").as_posix()


_CLONES: Final[list[QIconEngine]] = []


class _LineIcon(QIconEngine):
    """Draws an icon when it is first asked for, at just the size asked for.

    The window has a hundred icons and shows a third of them; drawing each at every size that a screen may
    want was a tenth of the program's start.
    """

    def __init__(self, name: str, color: str, checked_color: str, disabled_color: str | None) -> None:
        super().__init__()
        self._looks = (name, color, checked_color, disabled_color)
        self._drawn: dict[tuple[int, str, float], QPixmap] = {}

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        """The icon, `size` in device pixels; a selected row does not tint it."""
        name, color, checked_color, disabled_color = self._looks
        tint, opacity = checked_color if state is QIcon.State.On else color, 1.0
        if mode is QIcon.Mode.Disabled:
            tint, opacity = (tint, _DISABLED_OPACITY) if disabled_color is None else (disabled_color, 1.0)
        key = (min(size.width(), size.height()), tint, opacity)
        if key not in self._drawn:
            self._drawn[key] = _render(_renderer(name, tint), key[0], opacity)
        return self._drawn[key]

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        """Draw it in the middle of `rect`, in device-independent pixels, as sharp as the screen is."""
        side = min(rect.width(), rect.height())
        square = QRect(0, 0, side, side)
        square.moveCenter(rect.center())
        ratio = painter.device().devicePixelRatio()
        painter.drawPixmap(square, self.pixmap(square.size() * ratio, mode, state))

    def clone(self) -> QIconEngine:
        """A copy for an icon that is changed. It is Qt's, which the binding does not know."""
        _CLONES.append(_LineIcon(*self._looks))
        return _CLONES[-1]


@lru_cache(maxsize=256)
def _source(name: str) -> str:
    try:
        return (_ICONS / f"{name}.svg").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise KeyError(f"there is no icon {name!r} in {_ICONS}") from None


def _renderer(name: str, color: str) -> QSvgRenderer:
    tint = QColor(color).name(QColor.NameFormat.HexRgb)
    return QSvgRenderer(QByteArray(_source(name).replace("currentColor", tint).encode()))


def _render(renderer: QSvgRenderer, side: int, opacity: float) -> QPixmap:
    pixmap = QPixmap(side, side)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setOpacity(opacity)
    renderer.render(painter, QRectF(0, 0, side, side))
    painter.end()
    return pixmap
