"""See and change which keys run which action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QAction, QColor, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QKeySequenceEdit,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.dialogs.command_palette import menu_title
from app.panels.parts import IconButton, label
from app.theme import SPACE, set_property, tokens

_PORTABLE: Final = QKeySequence.SequenceFormat.PortableText
_NATIVE: Final = QKeySequence.SequenceFormat.NativeText


class ShortcutsDialog(QDialog):
    """A table of actions with their keys. Changes count when Save is pressed.

    Args:
        actions: each with a unique objectName; their present shortcuts are shown.
        defaults: portable key texts by objectName, "" for none.
        reserved: keys that stay with what is not in the table: name by portable key text.

    Signals:
        shortcuts_changed({objectName: portable key text}): every action, after Save.
    """

    shortcuts_changed = Signal(object)

    def __init__(
        self,
        actions: Sequence[QAction],
        defaults: Mapping[str, str],
        reserved: Mapping[str, str] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        self.resize(660, 560)
        self._titles = {a.objectName(): a.text().replace("&", "").rstrip(".…") for a in actions}
        self._tips = {a.objectName(): a.statusTip() for a in actions}
        self._defaults = {
            name: QKeySequence(defaults.get(name, "")).toString(_PORTABLE) for name in self._titles
        }
        self._keys = {a.objectName(): a.shortcut().toString(_PORTABLE) for a in actions}
        self._reserved = dict(reserved or {})
        self._menus = {a.objectName(): menu_title(a) for a in actions}
        self._edits: dict[str, QKeySequenceEdit] = {}
        self._resets: dict[str, IconButton] = {}

        self.search = QLineEdit()
        self.search.setPlaceholderText("Find an action or a key")
        self.search.setClearButtonEnabled(True)
        self.table = QTableWidget(len(actions), 4)
        self.table.setProperty("kind", "field")
        self.table.setHorizontalHeaderLabels(["Action", "Menu", "Keys", ""])
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(38)
        self.table.setShowGrid(False)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        header = self.table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setHighlightSections(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        for column, width in ((2, 200), (3, 48)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            self.table.setColumnWidth(column, width)
        for row, name in enumerate(self._titles):
            self._add_row(row, name)
        self._message = label("", "small")
        self._message.setWordWrap(True)
        self._message.setMinimumHeight(2 * self._message.fontMetrics().height())
        self._lay_out()
        self.search.textChanged.connect(self._on_search)
        self._say_rest()

    @property
    def message(self) -> str:
        """The sentence under the table."""
        return self._message.text()

    def editor(self, name: str) -> QKeySequenceEdit:
        """The field of an action, by objectName."""
        return self._edits[name]

    def keys(self) -> dict[str, str]:
        """Portable key texts as they stand in the dialog."""
        return dict(self._keys)

    def reset(self, name: str) -> None:
        """Give one action its default back, taking the keys from whoever has them now."""
        wanted = self._defaults[name]
        holder = self._holder(wanted, besides=name)
        if holder is not None:
            self._set(holder, "")
        self._set(name, wanted)
        if holder is None:
            self._say_rest()
        else:
            self._say(f"“{self._titles[holder]}” has no keys now: {_native(wanted)} went back.", "warning")

    def reset_all(self) -> None:
        """Give every action its default back."""
        for name, keys in self._defaults.items():
            self._set(name, keys)
        self._say_rest()

    def _add_row(self, row: int, name: str) -> None:
        item = QTableWidgetItem(self._titles[name])
        item.setToolTip(self._tips[name])
        menu = QTableWidgetItem(self._menus[name])
        menu.setForeground(QColor(tokens().muted))
        self.table.setItem(row, 0, item)
        self.table.setItem(row, 1, menu)
        edit = QKeySequenceEdit(QKeySequence(self._keys[name]))
        edit.setClearButtonEnabled(True)
        edit.setMaximumSequenceLength(1)
        edit.setAccessibleName(f"Keys of {self._titles[name]}")
        edit.keySequenceChanged.connect(lambda sequence, name=name: self._on_changed(name, sequence))
        reset = IconButton("undo", "Back to the default keys")
        reset.setFixedSize(28, 28)
        reset.clicked.connect(lambda _=False, name=name: self.reset(name))
        self._edits[name], self._resets[name] = edit, reset
        self.table.setCellWidget(row, 2, _padded(edit))
        self.table.setCellWidget(row, 3, _padded(reset))
        reset.setVisible(self._keys[name] != self._defaults[name])

    def _on_changed(self, name: str, sequence: QKeySequence) -> None:
        wanted = sequence.toString(_PORTABLE)
        if wanted == self._keys[name]:
            return
        if wanted in self._reserved:
            self._set(name, self._keys[name])
            self._say(f"{_native(wanted)} chooses {self._reserved[wanted]}: choose other keys.", "error")
            return
        holder = self._holder(wanted, besides=name)
        if holder is not None:
            self._set(name, self._keys[name])
            self._say(
                f"{_native(wanted)} belongs to “{self._titles[holder]}” already: "
                f"clear it there first, or choose other keys.",
                "error",
            )
            return
        self._set(name, wanted)
        self._say_rest()

    def _set(self, name: str, keys: str) -> None:
        self._keys[name] = keys
        edit = self._edits[name]
        with QSignalBlocker(edit):
            edit.setKeySequence(QKeySequence(keys))
        self._resets[name].setVisible(keys != self._defaults[name])

    def _holder(self, keys: str, *, besides: str) -> str | None:
        if not keys:
            return None
        return next((name for name, held in self._keys.items() if held == keys and name != besides), None)

    def _say(self, text: str, role: str = "small") -> None:
        self._message.setText(text)
        set_property(self._message, "role", role)

    def _say_rest(self) -> None:
        self._say("Click into a field and press the new keys.")

    def _on_search(self, typed: str) -> None:
        wanted = typed.strip().casefold()
        for row, (name, title) in enumerate(self._titles.items()):
            known = f"{title}\n{self._menus[name]}\n{_native(self._keys[name])}"
            fits = wanted in known.casefold()
            self.table.setRowHidden(row, not fits)

    def _on_save(self) -> None:
        self.shortcuts_changed.emit(self.keys())
        self.accept()

    def _lay_out(self) -> None:
        reset = QPushButton("Reset all")
        cancel = QPushButton("Cancel")
        self.save_button = QPushButton("Save")
        self.save_button.setProperty("kind", "primary")
        for button in (reset, cancel, self.save_button):
            # Enter belongs to the key fields here.
            button.setAutoDefault(False)
        reset.clicked.connect(self.reset_all)
        cancel.clicked.connect(self.reject)
        self.save_button.clicked.connect(self._on_save)
        foot = QHBoxLayout()
        foot.setSpacing(SPACE)
        foot.addWidget(reset)
        foot.addStretch(1)
        foot.addWidget(cancel)
        foot.addWidget(self.save_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE * 2, SPACE * 2, SPACE * 2, SPACE * 2)
        layout.setSpacing(SPACE)
        layout.addWidget(self.search)
        layout.addWidget(self.table, 1)
        layout.addWidget(self._message)
        layout.addLayout(foot)


def _native(keys: str) -> str:
    return QKeySequence(keys).toString(_NATIVE)


def _padded(widget: QWidget) -> QWidget:
    holder = QWidget()
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(SPACE // 2, 0, SPACE // 2, 0)
    layout.addWidget(widget)
    return holder
