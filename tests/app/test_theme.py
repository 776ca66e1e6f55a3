"""Both themes can be read, switch while the window is open, and colour every icon."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import pytest
from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QColor, QEnterEvent, QIcon, QImage, QPainter, QPixmap
from PySide6.QtWidgets import QApplication, QCheckBox, QLabel, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.icons import RESOURCES, app_icon, icon, icon_names
from app.panels.parts import IconButton
from app.theme import DARK, LIGHT, Themed, Tokens, apply_theme, contrast, style_sheet, theme_mode, tokens

GROUNDS = ("window", "surface", "raised", "sunken", "hover", "pressed", "selection")


@pytest.fixture(autouse=True)
def dressed(qapp: QApplication) -> Iterator[None]:
    apply_theme(qapp, "dark")
    yield
    apply_theme(qapp, "dark")


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
@pytest.mark.parametrize("ink", ["text", "muted", "accent_text", "danger_text", "success", "warning"])
@pytest.mark.parametrize("ground", GROUNDS)
def test_text_can_be_read_on_every_ground(theme: Tokens, ink: str, ground: str) -> None:
    assert contrast(getattr(theme, ink), getattr(theme, ground)) >= 4.5


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_buttons_curves_and_focus_rings_stand_out(theme: Tokens) -> None:
    for fill in (theme.accent, theme.accent_hover, theme.accent_pressed):
        assert contrast(theme.on_accent, fill) >= 4.5
    for fill in (theme.danger, theme.danger_hover):
        assert contrast(theme.on_danger, fill) >= 4.5
    for curve in (theme.chart_loss, theme.chart_miou):
        assert contrast(curve, theme.surface) >= 3.0
    for ground in (theme.surface, theme.raised, theme.window):
        assert contrast(theme.accent_text, ground) >= 3.0
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)


def test_style_sheet_uses_only_names_that_exist() -> None:
    text = (RESOURCES / "theme.qss").read_text(encoding="utf-8")
    filled = style_sheet(DARK, 10.0)
    assert "$" not in filled
    assert DARK.accent in filled
    for path in re.findall(r'url\("([^"]+)"\)', filled):
        assert QImage(path).width() > 0, path
    used = set(re.findall(r"\$\{?([a-z_]+)", text))
    assert {"text", "muted", "surface"} <= used
    assert used & {field.name for field in fields(Tokens)}


def test_switching_recolours_an_open_window(qtbot: QtBot, qapp: QApplication) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    window.setProperty("kind", "panel")
    window.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
    button = IconButton("eye", "Show")
    layout = QVBoxLayout(window)
    layout.addWidget(button)
    window.resize(80, 80)
    window.show()
    assert window.grab().toImage().pixelColor(2, 2) == QColor(DARK.surface)
    assert _ink(button.icon()) == QColor(DARK.muted)

    apply_theme(qapp, "light")

    assert tokens() is LIGHT
    assert window.grab().toImage().pixelColor(2, 2) == QColor(LIGHT.surface)
    assert _ink(button.icon()) == QColor(LIGHT.muted)


def test_system_mode_is_dark_or_light_and_can_be_left_again(qapp: QApplication) -> None:
    apply_theme(qapp, "system")
    assert theme_mode(qapp) == "system"
    scheme = qapp.styleHints().colorScheme()
    assert tokens() is (LIGHT if scheme == Qt.ColorScheme.Light else DARK)
    apply_theme(qapp, "light")
    assert theme_mode(qapp) == "light"
    assert tokens() is LIGHT


def test_a_focused_button_shows_a_ring(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    layout = QVBoxLayout(window)
    first, second = QPushButton("first"), QPushButton("second")
    layout.addWidget(first)
    layout.addWidget(second)
    with qtbot.waitExposed(window):
        window.show()
    second.setFocus()
    qtbot.waitUntil(second.hasFocus)
    ring, plain = (_most_saturated_on_edge(button) for button in (second, first))
    assert ring == QColor(DARK.accent_text)
    assert plain != ring


def test_disabled_text_is_fainter(qtbot: QtBot) -> None:
    box = QCheckBox("text")
    qtbot.addWidget(box)
    word = QLabel("text")
    qtbot.addWidget(word)
    word.setEnabled(False)
    word.ensurePolished()
    assert word.palette().color(word.foregroundRole()) == QColor(DARK.faint)


def test_every_icon_draws_something_in_the_colour_asked_for() -> None:
    names = icon_names()
    wanted = {
        "select", "polygon", "rectangle", "circle", "line", "linestrip", "point", "region", "undo", "redo",
        "zoom-in", "zoom-out", "zoom-fit", "play", "pause", "stop", "eye", "eye-off", "lock", "plus", "trash",
        "folder", "export", "search", "done", "image", "warning", "command", "sun", "moon", "finished-area",
        "settings",
    }  # fmt: skip
    assert wanted <= set(names)
    for name in names:
        assert _ink(icon(name, "#ff8000")) == QColor("#ff8000"), name


def test_an_icon_that_does_not_exist_is_named() -> None:
    with pytest.raises(KeyError, match="no-such-icon"):
        icon("no-such-icon", "#ffffff")


def test_disabled_icons_are_fainter_and_selected_ones_keep_their_colour() -> None:
    found = icon("stop", "#ff8000", checked_color="#0080ff")
    size = QSize(16, 16)
    whole = found.pixmap(size).toImage().pixelColor(8, 8)
    faint = found.pixmap(size, found.Mode.Disabled).toImage().pixelColor(8, 8)
    selected = found.pixmap(size, found.Mode.Selected).toImage().pixelColor(8, 8)
    checked = found.pixmap(size, found.Mode.Normal, found.State.On).toImage().pixelColor(8, 8)
    assert whole == selected == QColor("#ff8000")
    assert faint.alphaF() == pytest.approx(0.38, abs=0.02)
    assert checked == QColor("#0080ff")


def test_an_icon_is_as_large_as_asked_for_and_keeps_its_shape_in_a_wide_rectangle() -> None:
    found = icon("stop", "#ff8000")
    assert found.actualSize(QSize(17, 17)) == QSize(17, 17)
    assert found.pixmap(QSize(17, 17), 2.0).size() == QSize(34, 34)
    wide = QPixmap(60, 20)
    wide.fill(Qt.GlobalColor.transparent)
    painter = QPainter(wide)
    found.paint(painter, wide.rect())
    painter.end()
    drawn = wide.toImage()
    inked = [x for x in range(60) if drawn.pixelColor(x, 10).alpha() > 0]
    assert inked[0] >= 20
    assert inked[-1] < 40


def test_an_icon_that_is_copied_and_changed_still_draws_itself() -> None:
    first = icon("stop", "#ff8000")
    copy = QIcon(first)
    copy.setIsMask(True)
    del first
    gc.collect()
    assert copy.pixmap(QSize(16, 16)).toImage().pixelColor(8, 8) == QColor("#ff8000")


def test_the_program_has_an_icon_of_its_own() -> None:
    assert {size.width() for size in app_icon().availableSizes()} >= {16, 32, 256}


@pytest.mark.parametrize("mistake", [lambda: 1 // 0, lambda: np.zeros(2)[3]], ids=["python", "numpy"])
def test_what_a_handler_of_a_themed_widget_raises_is_told_and_ends_nothing(qtbot: QtBot, mistake) -> None:
    class Clumsy(Themed, QWidget):
        def apply_tokens(self, theme: Tokens) -> None: ...

        def enterEvent(self, event: QEnterEvent) -> None:
            mistake()

    widget = Clumsy()
    qtbot.addWidget(widget)
    widget.show()
    with pytest.raises((ZeroDivisionError, IndexError)):
        QApplication.sendEvent(widget, QEnterEvent(QPointF(), QPointF(), QPointF()))


def _ink(found: object) -> QColor:
    """Colour of the most opaque pixel of an icon."""
    image = found.pixmap(QSize(48, 48)).toImage()  # type: ignore[attr-defined]
    pixels = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]
    color = max(pixels, key=lambda pixel: pixel.alpha())
    assert color.alpha() > 200
    return QColor(color.name())


def _most_saturated_on_edge(widget: QWidget) -> QColor:
    image = widget.grab().toImage()
    middle = image.height() // 2
    return max((image.pixelColor(x, middle) for x in range(3)), key=lambda color: color.lightness())
