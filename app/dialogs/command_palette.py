"""Find any action by a few of its letters and run it (Ctrl+Shift+P)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QAction, QColor, QFont, QKeySequence, QPainter, QStandardItem
from PySide6.QtWidgets import QMenu, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from app.dialogs.search_popup import ModelIndex, SearchPopup
from app.theme import SPACE, tokens
from app.typed_words import words_are_in

_WIDTH: Final = 560
_ROW_HEIGHT: Final = 34
_MatchRole: Final = Qt.ItemDataRole.UserRole


@dataclass(frozen=True, slots=True)
class Match:
    """An action that fits what is typed.

    Attributes:
        title: of the action, without its "&". group: menu it lives in, "" for none.
        positions: letters of `title` that were typed. score: higher fits better.
    """

    action: QAction
    title: str
    group: str
    positions: tuple[int, ...]
    score: float


def fuzzy(title: str, typed: str) -> tuple[float, tuple[int, ...]] | None:
    """How well the letters typed, in their order, fit a title; None when one is missing.

    Letters at the start of a word and letters in a row count most; of the ways to place the letters the best
    one is found by dynamic programming over (letter, position).
    """
    text, wanted = title.casefold(), "".join(typed.casefold().split())
    if not wanted:
        return 0.0, ()
    if len(text) != len(title):  # a letter that case folding spells out: positions would be off
        text = title.lower()
    best: dict[int, tuple[float, tuple[int, ...]]] = {-1: (0.0, ())}
    for letter in wanted:
        following: dict[int, tuple[float, tuple[int, ...]]] = {}
        for position, found in enumerate(text):
            if found != letter:
                continue
            starts_word = position == 0 or not text[position - 1].isalnum()
            for before, (score, path) in best.items():
                if before >= position:
                    continue
                gained = (
                    1.0 + (2.0 if starts_word else 0.0) + (1.5 if path and before == position - 1 else 0.0)
                )
                candidate = score + gained - 0.02 * position / len(text)
                if position not in following or candidate > following[position][0]:
                    following[position] = (candidate, (*path, position))
        if not following:
            return None
        best = following
    score, positions = max(best.values(), key=lambda entry: entry[0])
    return score - 0.01 * len(title), positions


def matches(actions: Iterable[QAction], typed: str) -> list[Match]:
    """Actions that fit, best first; no menus, no separators.

    Those that are called as typed come first, then those whose menu or tip has its words, then those with its
    letters only: "hole" means "Fill holes", not "Open log folder", even where there is none to fill, and
    "post" the post-processing of "Clean up predictions", not letters of "Help, Keyboard shortcuts". Of each,
    those that cannot run now come last.
    """
    found = []
    spoken_of = set()
    for action in actions:
        title = action.text().replace("&", "").rstrip(".…")
        if not title or action.isSeparator() or action.menu() is not None or not action.isVisible():
            continue
        group = menu_title(action)
        fit = fuzzy(title, typed)
        if fit is None and group:
            # "file open" finds Open in the menu File; the letters of the group are not marked.
            whole = fuzzy(f"{group} {title}", typed)
            fit = None if whole is None else (whole[0] - 1.0, ())
        if words_are_in(typed, f"{group} {title} {action.statusTip()}"):
            # "background" finds "Image is done", whose tip speaks of it.
            spoken_of.add(action)
            fit = fit or (-1.0, ())
        if fit is not None:
            found.append(Match(action, title, group, fit[1], fit[0]))
    return sorted(
        found,
        key=lambda match: (
            not words_are_in(typed, match.title),
            match.action not in spoken_of,
            not match.action.isEnabled(),
            -match.score,
        ),
    )


def menu_title(action: QAction) -> str:
    """The menu an action is in, without its "&"; "" for none."""
    menus = [owner for owner in action.associatedObjects() if isinstance(owner, QMenu)]
    return menus[0].title().replace("&", "") if menus else ""


class _RowDelegate(QStyledItemDelegate):
    """Icon, title with the typed letters marked, menu, keys."""

    def sizeHint(self, option: QStyleOptionViewItem, index: ModelIndex) -> QSize:
        return QSize(200, _ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: ModelIndex) -> None:
        theme = tokens()
        match: Match = index.data(_MatchRole)
        enabled = match.action.isEnabled()
        row = option.rect.adjusted(SPACE // 2, 1, -SPACE // 2, -1)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.selection))
            painter.drawRoundedRect(QRectF(row), 6, 6)
        match.action.icon().paint(painter, QRect(row.left() + SPACE, row.center().y() - 8, 16, 16))
        right = self._paint_keys(painter, row, option.font, match.action.shortcut())
        small = QFont(option.font)
        small.setPointSizeF(option.font.pointSizeF() * 0.88)
        painter.setFont(small)
        painter.setPen(QColor(theme.muted))
        group_width = painter.fontMetrics().horizontalAdvance(match.group)
        painter.drawText(
            QRect(right - group_width, row.top(), group_width, row.height()),
            Qt.AlignmentFlag.AlignVCenter,
            match.group,
        )
        x = row.left() + SPACE * 4 + 2
        strong = QFont(option.font)
        strong.setBold(True)
        plain = QColor(theme.text if enabled else theme.faint)
        marked = QColor(theme.accent_text) if enabled else plain
        limit = right - group_width - SPACE
        for position, letter in enumerate(match.title):
            is_marked = position in match.positions
            painter.setFont(strong if is_marked else option.font)
            painter.setPen(marked if is_marked else plain)
            advance = painter.fontMetrics().horizontalAdvance(letter)
            if x + advance > limit:
                break
            painter.drawText(
                QRect(x, row.top(), advance + 2, row.height()), Qt.AlignmentFlag.AlignVCenter, letter
            )
            x += advance
        painter.restore()

    @staticmethod
    def _paint_keys(painter: QPainter, row: QRect, font: QFont, keys: QKeySequence) -> int:
        """Draw each key as a cap, right-aligned; returns where the free room ends."""
        theme = tokens()
        x = row.right() - SPACE
        text = keys.toString(QKeySequence.SequenceFormat.NativeText)
        if not text:
            return x
        small = QFont(font)
        small.setPointSizeF(font.pointSizeF() * 0.85)
        painter.setFont(small)
        for key in reversed(text.replace("++", "+\0").split("+")):
            cap = key.replace("\0", "+") or "+"
            width = max(20, painter.fontMetrics().horizontalAdvance(cap) + 10)
            box = QRectF(x - width + 0.5, row.center().y() - 9.5, width - 1, 20)
            painter.setPen(QColor(theme.border_strong))
            painter.setBrush(QColor(theme.hover))
            painter.drawRoundedRect(box, 4, 4)
            painter.setPen(QColor(theme.muted))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, cap)
            x -= width + 4
        return x - SPACE


class CommandPalette(SearchPopup):
    """A field over a list of actions. Enter runs the marked one; Esc or a click elsewhere closes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(
            "Find an action",
            hint="Find an action",
            nothing="No action has these letters.",
            width=_WIDTH,
            row_height=_ROW_HEIGHT,
            parent=parent,
        )
        self._actions: list[QAction] = []
        self.set_rows_drawn_by(_RowDelegate(self.list))

    @property
    def titles(self) -> list[str]:
        """Titles on offer, best first."""
        return [self._match(row).title for row in range(self.model.rowCount())]

    def open_with(self, actions: Sequence[QAction]) -> None:
        """Open over the upper part of the parent window, offering these actions."""
        self._actions = list(actions)
        self.field.clear()
        self.refill("")
        parent = self.parentWidget()
        if parent is not None:
            window = parent.window()
            top = window.mapToGlobal(
                QPoint((window.width() - self.width()) // 2, min(96, window.height() // 8))
            )
            self.move(top)
        self.show()
        self.field.setFocus()

    def fill(self, typed: str) -> None:
        """Actions that fit."""
        for match in matches(self._actions, typed):
            item = QStandardItem(match.title)
            item.setData(match, _MatchRole)
            item.setEnabled(match.action.isEnabled())
            self.model.appendRow(item)

    def take(self, row: int) -> None:
        """Run the action, if it can run now."""
        action = self._match(row).action
        if action.isEnabled():
            # Closed first: the action may open a window of its own.
            self.accept()
            action.trigger()

    def _match(self, row: int) -> Match:
        match: Match = self.model.index(row, 0).data(_MatchRole)
        return match
