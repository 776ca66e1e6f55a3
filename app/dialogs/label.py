"""Name a shape: a small popup at the cursor that completes what is typed."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QObject, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QHideEvent, QKeyEvent
from PySide6.QtWidgets import QDialog, QFrame, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from app.dialogs.popups import fit_to_content
from app.icons import icon
from app.panels.class_rows import class_hotkeys
from app.panels.parts import label, swatch_icon
from app.theme import SPACE, tokens
from core.annotation.model import ClassList, spoken_label

_WIDTH: Final = 264
_MAX_ROWS: Final = 8
_ROW_HEIGHT: Final = 28
_NameRole: Final = Qt.ItemDataRole.UserRole


def matching_names(names: tuple[str, ...], typed: str) -> list[str]:
    """Names that contain what is typed, those that start with it first; all of them for nothing typed."""
    wanted = typed.strip().casefold()
    found = [name for name in names if wanted in name.casefold()]
    return sorted(found, key=lambda name: not name.casefold().startswith(wanted)) if wanted else found


class LabelDialog(QDialog):
    """The popup. Enter takes the marked row, Esc or a click elsewhere cancels.

    Args:
        classes: the project's.
        current: the label that is marked at first, usually the last one used.

    Signals:
        label_chosen(str): a class' name, or a new one, which then becomes a class.
        cancelled: closed without a choice.
    """

    label_chosen = Signal(str)
    cancelled = Signal()

    def __init__(self, classes: ClassList, current: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setWindowTitle("Label")
        self._classes = classes
        self._digits = {index: digit for digit, index in class_hotkeys(classes).items()}
        self._chosen = False
        self.field = QLineEdit()
        self._first = all(c.index == classes.background for c in classes)
        self.field.setPlaceholderText("Name of the first class" if self._first else "Class name")
        self.field.setMaxLength(100)
        self.field.installEventFilter(self)
        self.list = QListWidget()
        self.list.setIconSize(QSize(16, 16))
        self.list.setUniformItemSizes(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._hint = label("", "small")
        frame = QFrame()
        frame.setProperty("kind", "floating")
        inner = QVBoxLayout(frame)
        inner.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        inner.setSpacing(SPACE)
        inner.addWidget(self.field)
        inner.addWidget(self.list)
        inner.addWidget(self._hint)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(frame)
        self.setAttribute(Qt.WidgetAttribute.WA_TranslucentBackground)
        self.setFixedWidth(_WIDTH)
        self.field.textChanged.connect(self._on_text_changed)
        self.list.itemClicked.connect(self._on_item_clicked)
        self._fill("", current)

    def popup_at(self, where: QPoint) -> None:
        """Open beside a point of the desktop, wholly on its screen."""
        fit_to_content(self)
        margin = SPACE // 2
        room = self.screen().availableGeometry().adjusted(margin, margin, -margin, -margin)
        corner = where + QPoint(SPACE, SPACE)
        corner.setX(max(room.left(), min(corner.x(), room.right() + 1 - self.width())))
        corner.setY(max(room.top(), min(corner.y(), room.bottom() + 1 - self.height())))
        self.move(corner)
        self.show()
        self.field.setFocus()

    def rows(self) -> list[str]:
        """What is offered, as shown."""
        return [self.list.item(row).text() for row in range(self.list.count())]

    def _fill(self, typed: str, marked: str = "") -> None:
        self.list.clear()
        outline = tokens().border_strong
        for name in matching_names(self._classes.names, typed):
            found = self._classes.by_name(name)
            if found is None:
                continue
            item = QListWidgetItem(swatch_icon(found.color, outline), name)
            digit = self._digits.get(found.index)
            item.setData(_NameRole, name)
            item.setToolTip("" if digit is None else f"Key {digit}")
            self.list.addItem(item)
        new = typed.strip()
        if new and new not in self._classes.names:
            means = self._classes.mask_value(new) is not None  # `__ignore__`, `_background_`
            text = spoken_label(new) if means else f"New class “{new}”"
            item = QListWidgetItem(icon("plus", tokens().accent_text), text)
            item.setData(_NameRole, new)
            self.list.addItem(item)
        names = [self.list.item(row).data(_NameRole) for row in range(self.list.count())]
        # Exactly what is typed, else the best completion, else the new class.
        known = [name for name in names if name in self._classes.names]
        wanted = marked or (new if new in known else "")
        # Enter in a hurry must not make background of the very first shape.
        best = -1 if self._first and not new else 0
        self.list.setCurrentRow(names.index(wanted) if wanted in names else best)
        rows = max(1, min(_MAX_ROWS, self.list.count()))
        self.list.setFixedHeight(rows * _ROW_HEIGHT)
        self.list.setVisible(self.list.count() > 0)
        for row in range(self.list.count()):
            self.list.item(row).setSizeHint(QSize(0, _ROW_HEIGHT))
        marked_row = self.list.currentRow() >= 0
        self._hint.setText(
            "Enter takes the marked row, Esc cancels" if marked_row else "Type a name, then Enter"
        )

    def _on_text_changed(self, typed: str) -> None:
        self._fill(typed)
        fit_to_content(self)

    def _on_item_clicked(self, item: QListWidgetItem) -> None:
        self._take(item)

    def _take(self, item: QListWidgetItem | None) -> None:
        if item is None:
            return
        self._chosen = True
        name: str = item.data(_NameRole)
        self.accept()
        self.label_chosen.emit(name)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """While the field has the keyboard, arrows move in the list, Enter takes, Tab completes."""
        if watched is not self.field or not isinstance(event, QKeyEvent):
            return False
        if event.type() != QEvent.Type.KeyPress:
            return False
        rows = self.list.count()
        match event.key():
            case Qt.Key.Key_Down if rows:
                self.list.setCurrentRow((self.list.currentRow() + 1) % rows)
            case Qt.Key.Key_Up if rows:
                self.list.setCurrentRow((max(self.list.currentRow(), 0) - 1) % rows)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._take(self.list.currentItem())
            case Qt.Key.Key_Tab if self.list.currentItem() is not None:
                self.field.setText(self.list.currentItem().data(_NameRole))
            case _:
                return False
        return True

    def hideEvent(self, event: QHideEvent) -> None:
        """Closed by Esc or by a click elsewhere: nothing was chosen."""
        super().hideEvent(event)
        if not self._chosen:
            self._chosen = True  # tell it once
            self.cancelled.emit()
