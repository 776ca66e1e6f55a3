"""The program's line icons: SVGs on a 24-unit grid, stroked in `currentColor`, coloured when they are loaded.

Every icon is drawn with 1.75-unit round strokes, so that a row of them looks like one hand's work.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

RESOURCES: Final = Path(__file__).resolve().parent.parent / "resources"
"""Folder of what the program ships beside its code."""
_ICONS: Final = RESOURCES / "icons"
_SIDES_PX: Final = (16, 20, 24, 32, 40, 48)
"""Rendered sides in device pixels: 16, 20 and 24 at one and at two pixels a point."""
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
    result = QIcon()
    for state, tint in ((QIcon.State.Off, color), (QIcon.State.On, checked_color or color)):
        renderer = _renderer(name, tint)
        dim = renderer if disabled_color is None else _renderer(name, disabled_color)
        dim_opacity = _DISABLED_OPACITY if disabled_color is None else 1.0
        for side in _SIDES_PX:
            whole = _render(renderer, side, 1.0)
            # Without a pixmap for selected rows Qt would tint this one.
            result.addPixmap(whole, QIcon.Mode.Normal, state)
            result.addPixmap(whole, QIcon.Mode.Selected, state)
            result.addPixmap(_render(dim, side, dim_opacity), QIcon.Mode.Disabled, state)
        if checked_color is None:
            break
    return result


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
