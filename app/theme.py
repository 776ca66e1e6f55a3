"""Dark and light: one set of design tokens, one palette and one style sheet over Fusion, switchable live.

No state is kept here: which tokens are in force is read back from the application's own palette, and the
chosen mode lives in a `ThemeKeeper` that is a child of the application. Widgets that paint themselves or
carry icons mix in `Themed`.

Colours meet WCAG AA: 4.5:1 for every text on every surface it is used on, 3:1 for focus rings and for what
can be clicked (tests/app/test_theme.py computes them).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from string import Template
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from app.icons import RESOURCES, control_image
from app.whole_errors import WholeErrors

ThemeMode: TypeAlias = Literal["dark", "light", "system"]

SPACE: Final = 8
"""The grid: margins and gaps are multiples (or halves) of this many device-independent pixels."""
RADIUS: Final = 6
"""Corner radius of controls, device-independent pixels."""
CONTROL_HEIGHT: Final = 28
"""Height of buttons and fields, device-independent pixels."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The colours of one theme, each "#rrggbb" and named by its use.

    Attributes:
        window: behind everything, dock gaps. surface: panels, dialogs. raised: buttons, cards, menus.
        sunken: fields, lists. hover, pressed: a raised control under the mouse, and held.
        canvas: around the image. border: hairlines between things. border_strong: outlines of controls.
        text, muted, faint: what is read, what explains, what is disabled.
        accent: fill of the main action; on_accent: text on it; accent_text: accent as text and focus ring.
        selection: fill of a selected row.
        danger, on_danger, danger_text, success, warning: as their names say; the last two are text colours.
        chart_loss, chart_miou: curves.
    """

    name: Literal["dark", "light"]
    window: str
    surface: str
    raised: str
    sunken: str
    hover: str
    pressed: str
    canvas: str
    border: str
    border_strong: str
    text: str
    muted: str
    faint: str
    accent: str
    accent_hover: str
    accent_pressed: str
    on_accent: str
    accent_text: str
    selection: str
    danger: str
    danger_hover: str
    on_danger: str
    danger_text: str
    success: str
    warning: str
    chart_loss: str
    chart_miou: str


DARK: Final = Tokens(
    name="dark",
    window="#131418",
    surface="#1b1c21",
    raised="#272930",
    sunken="#141519",
    hover="#30333c",
    pressed="#383b46",
    canvas="#0e0f12",
    border="#2d2f38",
    border_strong="#3f424e",
    text="#e9eaee",
    muted="#a5a9b6",
    faint="#686c79",
    accent="#505bdc",
    accent_hover="#5b66e4",
    accent_pressed="#454fc6",
    on_accent="#ffffff",
    accent_text="#a3abff",
    selection="#2e3260",
    danger="#c2353f",
    danger_hover="#cf4049",
    on_danger="#ffffff",
    danger_text="#ff9a9c",
    success="#63d19e",
    warning="#eebb62",
    chart_loss="#f2a65a",
    chart_miou="#63d19e",
)

LIGHT: Final = Tokens(
    name="light",
    window="#e9eaee",
    surface="#f7f7f9",
    raised="#ffffff",
    sunken="#ffffff",
    hover="#eff0f4",
    pressed="#e3e5eb",
    canvas="#d4d6dd",
    border="#dcdee5",
    border_strong="#c3c6d1",
    text="#1a1b20",
    muted="#575b69",
    faint="#9a9eab",
    accent="#4c57d6",
    accent_hover="#414bc6",
    accent_pressed="#3740ad",
    on_accent="#ffffff",
    accent_text="#3f49c0",
    selection="#dfe2fb",
    danger="#c2353f",
    danger_hover="#ab2b35",
    on_danger="#ffffff",
    danger_text="#ad202b",
    success="#0c6842",
    warning="#7d4e00",
    chart_loss="#9c4a06",
    chart_miou="#0f7048",
)


def tokens() -> Tokens:
    """The tokens in force: told from the application's palette, so that no second record can disagree."""
    return DARK if QGuiApplication.palette().color(QPalette.ColorRole.Window).lightness() < 128 else LIGHT


def apply_theme(app: QApplication, mode: ThemeMode) -> None:
    """Dress the application, at once and for every open window; "system" goes on following the desktop."""
    keeper = app.findChild(ThemeKeeper)
    if keeper is None:
        keeper = ThemeKeeper(app)
    keeper.set_mode(mode)


def theme_mode(app: QApplication) -> ThemeMode:
    """The mode last asked for; "system" before any."""
    keeper = app.findChild(ThemeKeeper)
    return "system" if keeper is None else keeper.mode


class ThemeKeeper(QObject):
    """Holds the chosen mode for the application's life and follows the desktop's scheme where asked to."""

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self._app = app
        self._dressed_in: Tokens | None = None
        self.mode: ThemeMode = "system"
        app.styleHints().colorSchemeChanged.connect(self._on_scheme_changed)

    def set_mode(self, mode: ThemeMode) -> None:
        """Take the mode and dress the application in it."""
        self.mode = mode
        hints = self._app.styleHints()
        # Tells the platform too, so that native title bars and file dialogs match.
        scheme = {"dark": Qt.ColorScheme.Dark, "light": Qt.ColorScheme.Light}.get(
            mode, Qt.ColorScheme.Unknown
        )
        if scheme != Qt.ColorScheme.Unknown or hints.colorScheme() != Qt.ColorScheme.Unknown:
            hints.setColorScheme(scheme)
        self._dress()

    def _on_scheme_changed(self, _scheme: Qt.ColorScheme) -> None:
        if self.mode == "system":
            self._dress()

    def _dress(self) -> None:
        wanted = _resolve(self._app, self.mode)
        if wanted is self._dressed_in:
            return
        if self._dressed_in is None:
            self._app.setStyle("Fusion")
            self._app.setFont(_ui_font(self._app.font()))
        self._dressed_in = wanted
        self._app.setPalette(palette(wanted))
        self._app.setStyleSheet(style_sheet(wanted, self._app.font().pointSizeF()))


def _resolve(app: QApplication, mode: ThemeMode) -> Tokens:
    if mode == "light":
        return LIGHT
    if mode == "dark":
        return DARK
    # A desktop that tells nothing gets dark: images are judged best on a dark surround.
    return LIGHT if app.styleHints().colorScheme() == Qt.ColorScheme.Light else DARK


def _ui_font(font: QFont) -> QFont:
    """The desktop's font; where the desktop names none, the best of the usual ones that is installed."""
    if font.family().lower() in {"sans serif", "sans", ""}:
        font.setFamilies(
            ["Inter", "Cantarell", "Ubuntu", "Noto Sans", "Open Sans", "DejaVu Sans", "Sans Serif"]
        )
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    return font


def palette(theme: Tokens) -> QPalette:
    """The Qt palette of a theme: for what Fusion paints itself and for widgets without a style rule."""
    roles = QPalette.ColorRole
    every = {
        roles.Window: theme.surface,
        roles.WindowText: theme.text,
        roles.Base: theme.sunken,
        roles.AlternateBase: theme.surface,
        roles.Text: theme.text,
        roles.PlaceholderText: theme.muted,
        roles.Button: theme.raised,
        roles.ButtonText: theme.text,
        roles.BrightText: theme.danger_text,
        roles.ToolTipBase: theme.raised,
        roles.ToolTipText: theme.text,
        roles.Highlight: theme.accent,
        roles.HighlightedText: theme.on_accent,
        roles.Link: theme.accent_text,
        roles.LinkVisited: theme.accent_text,
        roles.Accent: theme.accent,
        roles.Light: theme.hover,
        roles.Midlight: theme.hover,
        roles.Mid: theme.border_strong,
        roles.Dark: theme.border,
        roles.Shadow: theme.border,
    }
    result = QPalette()
    for role, color in every.items():
        result.setColor(role, QColor(color))
    for role in (roles.WindowText, roles.Text, roles.ButtonText, roles.PlaceholderText):
        result.setColor(QPalette.ColorGroup.Disabled, role, QColor(theme.faint))
    result.setColor(QPalette.ColorGroup.Disabled, roles.Highlight, QColor(theme.border_strong))
    return result


def style_sheet(theme: Tokens, font_pt: float) -> str:
    """resources/theme.qss with the tokens filled in; sizes of text follow the desktop's font (points)."""
    template = Template((RESOURCES / "theme.qss").read_text(encoding="utf-8"))
    return template.substitute(
        asdict(theme),
        radius=RADIUS,
        small=f"{font_pt * 0.88:.2f}",
        heading=f"{font_pt * 1.12:.2f}",
        title=f"{font_pt * 1.75:.2f}",
        check=control_image("check", theme.name),
        dash=control_image("dash", theme.name),
        dot=control_image("dot", theme.name),
        chevron_down=control_image("chevron-down", theme.name),
        chevron_up=control_image("chevron-up", theme.name),
        chevron_right=control_image("chevron-right", theme.name),
        close=control_image("close", theme.name),
        undock=control_image("undock", theme.name),
    )


if TYPE_CHECKING:
    _WidgetBase = QWidget
else:
    _WidgetBase = object


class Themed(WholeErrors, _WidgetBase):
    """Mixin, named before the QWidget class: `apply_tokens` is called at first show and on every switch."""

    _tokens_in_use: Tokens | None = None

    def apply_tokens(self, theme: Tokens) -> None:
        """Take colours and icons from the tokens; to be overridden."""
        raise NotImplementedError

    def refresh_tokens(self) -> None:
        """Call `apply_tokens` if the theme is not the one last taken."""
        theme = tokens()
        if theme is not self._tokens_in_use:
            self._tokens_in_use = theme
            self.apply_tokens(theme)

    def event(self, event: QEvent) -> bool:
        """Be dressed when polished or shown; from then on follow every switch of the theme."""
        kind = event.type()
        if kind in _DRESSING or (self._tokens_in_use is not None and kind in _CHANGING):
            self.refresh_tokens()
        return super().event(event)


_DRESSING: Final = frozenset({QEvent.Type.Polish, QEvent.Type.Show})
_CHANGING: Final = frozenset({QEvent.Type.StyleChange, QEvent.Type.PaletteChange})


def set_property(widget: QWidget, name: str, value: object) -> None:
    """Set a dynamic property that style rules look at, and have the rules looked at again."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        style = widget.style()
        style.unpolish(widget)
        style.polish(widget)


def contrast(first: str, second: str) -> float:
    """WCAG 2.1 contrast ratio of two opaque colours "#rrggbb": 1 to 21."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    def linear(part: int) -> float:
        value = part / 255
        return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)

    value = int(color[1:], 16)
    return 0.2126 * linear(value >> 16) + 0.7152 * linear(value >> 8 & 0xFF) + 0.0722 * linear(value & 0xFF)
