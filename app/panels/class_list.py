"""The classes: colour, hotkey, name, share of the pixels, eye. One click makes a class the active one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QLineEdit,
    QMenu,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from app.icons import icon
from app.panels.class_rows import ClassDelegate, ClassesModel, class_hotkeys
from app.panels.headings import PanelHeading
from app.panels.parts import MIN_PANEL_WIDTH, IconButton, label, swatch_icon
from app.panels.reorder import ReorderListView
from app.panels.rows import ListOrNote, one_line_rows, open_row_menus
from app.theme import SPACE, tokens
from core.annotation.model import BACKGROUND_LABEL, IGNORE_LABEL, MAX_CLASSES, ClassList

__all__ = ["ClassPanel", "class_hotkeys"]

_EMPTY_TEXT: Final = "No classes yet: press + or draw a shape and name it."


class ClassPanel(QWidget):
    """The list of classes with its heading. Shows what it is told; every wish goes out as a signal.

    Signals (`int` is a class index):
        class_activated(int), class_added(str), class_renamed(int, str), class_recolored(int, str "#rrggbb"),
        classes_reordered(tuple of indices), class_merged(int source, int into), class_deleted(int),
        class_visibility_changed(int, bool).
    """

    class_activated = Signal(int)
    class_added = Signal(str)
    class_renamed = Signal(int, str)
    class_recolored = Signal(int, str)
    classes_reordered = Signal(object)
    class_merged = Signal(int, int)
    class_deleted = Signal(int)
    class_visibility_changed = Signal(int, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._keyboard_before: QWidget | None = None
        self.model = ClassesModel(self)
        self.view = ReorderListView(ClassDelegate.spot_at)
        self.view.setModel(self.model)
        self.view.setItemDelegate(ClassDelegate(self.view))
        self.view.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed
        )
        # Choosing a class in the middle of a polygon must leave the keyboard with the canvas.
        self.view.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        one_line_rows(self.view, "Classes")

        self.add_button = IconButton("plus", "Add a class")
        self.name_field = QLineEdit()
        self.name_field.setPlaceholderText("Name of the new class, then Enter")
        self.name_field.setMaxLength(100)
        self.name_field.hide()
        self._message = label("", "warning")
        self._message.setWordWrap(True)
        self._message.hide()
        self._list = ListOrNote(self.view, _EMPTY_TEXT)
        self._lay_out()

        self.add_button.clicked.connect(self.start_adding)
        self.name_field.returnPressed.connect(self._on_name_entered)
        self.name_field.installEventFilter(self)
        self.view.clicked.connect(self._on_clicked)
        self.view.activated.connect(self._on_clicked)
        self.view.row_moved.connect(self._on_row_moved)
        open_row_menus(self.view, self.context_menu)
        self.view.spot_clicked.connect(self._on_spot_clicked)
        self.model.rename_wanted.connect(self._on_rename_wanted)
        self.view.space_pressed.connect(self._on_space_pressed)

    @property
    def empty_note(self) -> str:
        """What stands in the place of the list while there is no class; "" while there is one."""
        return self._list.note

    @property
    def message(self) -> str:
        """The warning above the list, empty when there is none."""
        return self._message.text() if not self._message.isHidden() else ""

    # --- what is told to the panel ----------------------------------------------------------------------

    def set_classes(self, classes: ClassList) -> None:
        """Show these classes. The active one stays active, and keys stay at the class they are at."""
        current = self.view.currentIndex().row()
        here = self.model.class_at(current).index if current >= 0 else None
        self.model.set_classes(classes)
        self._list.show_list(bool(len(classes)))
        self._say("")
        self._go_to(here if here in classes.indices else self.model.active)

    def set_active(self, index: int | None) -> None:
        """Mark the class new shapes get; keys go on from there when it is another one."""
        if index != self.model.active:
            self.model.set_active(index)
            self._go_to(index)

    def _go_to(self, index: int | None) -> None:
        """Make the row of a class the one that keys are at; none for a class that is not listed."""
        row = self.model.row_of(index)
        with QSignalBlocker(self.view):
            if row is None:
                self.view.selectionModel().clear()
            else:
                flags = QItemSelectionModel.SelectionFlag.ClearAndSelect
                self.view.selectionModel().setCurrentIndex(self.model.index(row), flags)

    def set_shares(self, shares: Mapping[int, float]) -> None:
        """Share of the labelled pixels, 0..1, by class index."""
        self.model.set_shares(shares)

    def set_class_visible(self, index: int, visible: bool) -> None:
        """Mirror the canvas."""
        self.model.set_visible(index, visible)

    # --- adding and renaming ----------------------------------------------------------------------------

    def start_adding(self) -> None:
        """Open the field for a new class' name; the keyboard goes back to where it was when that is done."""
        self._say("")
        if self.name_field.isHidden():
            self._keyboard_before = self.window().focusWidget()
        self.name_field.clear()
        self.name_field.show()
        self.name_field.setFocus()

    def _on_name_entered(self) -> None:
        name = self.name_field.text().strip()
        problem = self._problem_with(name)
        if not problem and len(self.model.classes) >= MAX_CLASSES:
            problem = f"A project can have {MAX_CLASSES} classes and this one has them all."
        if problem:
            self._say(problem)
            return
        self._stop_adding()
        self.class_added.emit(name)

    def _stop_adding(self) -> None:
        before = self._keyboard_before
        back = before is not None and isValid(before) and before.isVisible()
        (before if before is not None and back else self.view).setFocus()
        self.name_field.hide()
        self._say("")

    def _on_rename_wanted(self, index: int, text: str) -> None:
        renamed = self.model.classes.by_index(index)
        name = text.strip()
        if renamed is None or name == renamed.name:
            return
        problem = self._problem_with(name)
        self._say(problem)
        if not problem:
            self.class_renamed.emit(index, name)

    def _problem_with(self, name: str) -> str:
        """Why no class can have this name, in a sentence; empty when it can."""
        if not name:
            return "A class needs a name."
        if name in (BACKGROUND_LABEL, IGNORE_LABEL):
            return f"“{name}” has a meaning of its own in labelme files; choose another name."
        if any(known.name == name for known in self.model.classes):
            return f"There is a class “{name}” already; to join two classes use “Merge into” in the menu."
        return ""

    def _say(self, text: str) -> None:
        self._message.setText(text)
        self._message.setVisible(bool(text))

    def eventFilter(self, watched: object, event: object) -> bool:
        """Escape closes the field for a new name."""
        if watched is self.name_field and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()  # so that the key comes here, and to nothing else
            elif event.type() == QEvent.Type.KeyPress:
                self._stop_adding()
            return True
        return False

    # --- clicks -----------------------------------------------------------------------------------------

    def _on_clicked(self, index: QModelIndex) -> None:
        chosen = self.model.class_at(index.row())
        self.set_active(chosen.index)
        self.class_activated.emit(chosen.index)

    def _on_row_moved(self, source: int, target: int) -> None:
        order = list(self.model.classes.indices)
        order.insert(target, order.pop(source))
        self.classes_reordered.emit(tuple(order))

    def _on_color_clicked(self, row: int) -> None:
        chosen = self.model.class_at(row)
        dialog = QColorDialog(QColor(chosen.color), self)
        # The platform's own dialog would not follow the theme.
        dialog.setOption(QColorDialog.ColorDialogOption.DontUseNativeDialog)
        dialog.setWindowTitle(f"Colour of {chosen.name}")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setProperty("class_index", chosen.index)
        dialog.colorSelected.connect(self._on_color_chosen)
        dialog.open()

    def _on_color_chosen(self, color: QColor) -> None:
        self.class_recolored.emit(self.sender().property("class_index"), color.name())

    def _on_eye_clicked(self, row: int) -> None:
        index = self.model.class_at(row).index
        visible = not self.model.is_visible(index)
        self.model.set_visible(index, visible)
        self.class_visibility_changed.emit(index, visible)

    def _on_spot_clicked(self, row: int, spot: str) -> None:
        if spot == "swatch":
            self._on_color_clicked(row)
        else:
            self._on_eye_clicked(row)

    def _on_space_pressed(self) -> None:
        row = self.view.currentIndex().row()
        if row >= 0:
            self._on_eye_clicked(row)

    # --- context menu -----------------------------------------------------------------------------------

    def context_menu(self, row: int) -> QMenu:
        """What can be done with the class in a row."""
        theme = tokens()
        chosen = self.model.class_at(row)
        is_background = chosen.index == self.model.classes.background
        menu = QMenu(self)
        if is_background:
            info = menu.addAction(icon("info", theme.muted), "What is not drawn in a finished image")
            info.setEnabled(False)
            menu.addSeparator()
        rename = menu.addAction(icon("edit", theme.text), "Rename…")
        rename.triggered.connect(lambda: self.view.edit(self.model.index(row)))
        recolor = menu.addAction("Change colour…")
        recolor.triggered.connect(lambda: self._on_color_clicked(row))
        visible = self.model.is_visible(chosen.index)
        eye = menu.addAction(icon("eye-off" if visible else "eye", theme.text), "Hide" if visible else "Show")
        eye.triggered.connect(lambda: self._on_eye_clicked(row))
        menu.addSeparator()
        others = [other for other in self.model.classes if other.index != chosen.index]
        merge = menu.addMenu(icon("merge", theme.text), "Merge into")
        merge.setEnabled(bool(others) and not is_background)
        for other in others:
            action = merge.addAction(swatch_icon(other.color, theme.border_strong), other.name)
            action.triggered.connect(
                lambda _=False, into=other.index: self.class_merged.emit(chosen.index, into)
            )
        delete = menu.addAction(icon("trash", theme.danger_text), "Delete…")
        delete.setEnabled(not is_background)
        delete.triggered.connect(lambda: self.class_deleted.emit(chosen.index))
        return menu

    def _lay_out(self) -> None:
        heading = PanelHeading("Classes")
        heading.add_tool(QWidget(), 1)
        heading.add_tool(self.add_button)
        adding = QVBoxLayout()  # below the plus that opens it
        adding.setContentsMargins(SPACE, 0, SPACE, 0)
        adding.setSpacing(SPACE // 2)
        adding.addWidget(self.name_field)
        adding.addWidget(self._message)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(heading)
        layout.addLayout(adding)
        layout.addWidget(self._list, 1)
        self.setMinimumWidth(MIN_PANEL_WIDTH)
