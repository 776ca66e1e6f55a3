"""The shapes of the current image, topmost first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QApplication, QMenu, QVBoxLayout, QWidget

from app.icons import icon
from app.panels.facts import FactsLabel
from app.panels.headings import PanelHeading
from app.panels.parts import MIN_PANEL_WIDTH, IconButton
from app.panels.reorder import ReorderListView
from app.panels.rows import ListOrNote, one_line_rows, open_row_menus
from app.panels.shape_rows import ShapeDelegate, ShapesModel
from app.theme import tokens
from core.annotation.model import ClassList, Shape

_EMPTY_TEXT: Final = "Nothing drawn here yet.\nChoose a tool above and draw."
_SELECTING: Final = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.ControlModifier
"""With these a click adds to what is selected."""


class ShapePanel(QWidget):
    """The list with its heading.

    Signals:
        selection_changed(frozenset of uids), label_edit_requested(int uid),
        shape_moved(int uid, int new_index): index in the document, 0 is the bottom,
        visibility_changed(frozenset of hidden uids).
    """

    selection_changed = Signal(object)
    label_edit_requested = Signal(int)
    shape_moved = Signal(int, int)
    visibility_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._told: frozenset[int] = frozenset()
        self._quiet = False
        self._chosen_before: frozenset[int] = frozenset()
        self.model = ShapesModel(self)
        self.view = ReorderListView(ShapeDelegate.spot_at)
        self.view.setModel(self.model)
        self.view.setItemDelegate(ShapeDelegate(self.view))
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        one_line_rows(self.view, "Shapes of this image, topmost first")
        self._count = FactsLabel()
        self.eye_button = IconButton("eye", "Hide all shapes")
        self._list = ListOrNote(self.view, _EMPTY_TEXT)
        self.heading = PanelHeading("Shapes", "polygon")
        self.heading.add_tool(self._count, 1)
        self.heading.add_tool(self.eye_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.heading)
        layout.addWidget(self._list, 1)
        self.setMinimumWidth(MIN_PANEL_WIDTH)

        self.view.selectionModel().selectionChanged.connect(self._on_selection_changed)
        self.view.row_pressed.connect(self._on_row_pressed)
        self.view.clicked.connect(self._on_clicked)
        self.view.doubleClicked.connect(self._on_double_clicked)
        self.view.row_moved.connect(self._on_row_moved)
        self.view.space_pressed.connect(self._on_space_pressed)
        self.view.spot_clicked.connect(self._on_box_clicked)
        open_row_menus(self.view, self.context_menu)
        self.model.hidden_changed.connect(self._on_hidden_changed)
        self.eye_button.clicked.connect(self._on_eye_clicked)
        self._refresh_heading()

    @property
    def selection(self) -> frozenset[int]:
        """The uids chosen in the list."""
        # Ranges, not rows: Qt would ask for the flags of each of ten thousand.
        ranges = self.view.selectionModel().selection().toList()
        rows = chain.from_iterable(range(part.top(), part.bottom() + 1) for part in ranges)
        return frozenset(self.model.shape_at(row).uid for row in rows)

    # --- what is told to the panel ----------------------------------------------------------------------

    def set_shapes(self, shapes: Sequence[Shape]) -> None:
        """Show these, given bottom to top."""
        self._quiet = True
        self.model.set_shapes(shapes)
        self._quiet = False
        # A moved row left the list for a moment and its selection with it.
        if self.selection != self._told:
            self.set_selection(self._told)
        self._list.show_list(bool(len(shapes)))
        self._refresh_heading()

    def set_classes(self, classes: ClassList) -> None:
        """Take the classes' colours."""
        self.model.set_classes(classes)

    def set_selection(self, uids: frozenset[int]) -> None:
        """Choose these rows, and bring one of them into sight."""
        self._told = frozenset(uids)
        if self._told == self.selection:
            return
        rows = sorted(row for uid in uids if (row := self.model.row_of(uid)) is not None)
        self._quiet = True
        flags = QItemSelectionModel.SelectionFlag.ClearAndSelect
        self.view.selectionModel().select(self._as_ranges(rows), flags)
        if rows:
            self.view.selectionModel().setCurrentIndex(
                self.model.index(rows[0]), QItemSelectionModel.SelectionFlag.NoUpdate
            )
            self.view.scrollTo(self.model.index(rows[0]))
        self._quiet = False

    def set_hidden(self, uids: frozenset[int]) -> None:
        """Mirror the canvas."""
        self.model.set_hidden(uids)
        self._refresh_heading()

    def _as_ranges(self, rows: Iterable[int]) -> QItemSelection:
        """Sorted rows as few ranges: one range a row would make Qt's selection quadratic."""
        selection = QItemSelection()
        start = previous = None
        for row in (*rows, None):
            if start is not None and previous is not None and (row is None or row != previous + 1):
                selection.select(self.model.index(start), self.model.index(previous))
                start = None
            start, previous = (row if start is None else start), row
        return selection

    # --- clicks -----------------------------------------------------------------------------------------

    def _on_selection_changed(self) -> None:
        if self._quiet:
            return
        self._told = self.selection
        self.selection_changed.emit(self._told)

    def _on_row_pressed(self, _row: int) -> None:
        self._chosen_before = self.selection

    def _on_clicked(self, index: QModelIndex) -> None:
        """As in the canvas: a click takes the whole group, another one the shape alone."""
        if QApplication.keyboardModifiers() & _SELECTING:
            return
        group = self.model.group_of(index.row())
        if len(group) > 1 and self._chosen_before != group:
            self.set_selection(group)
            self.selection_changed.emit(group)

    def _on_double_clicked(self, index: QModelIndex) -> None:
        self.label_edit_requested.emit(self.model.shape_at(index.row()).uid)

    def _on_row_moved(self, source: int, target: int) -> None:
        last = self.model.rowCount() - 1
        self.shape_moved.emit(self.model.shape_at(source).uid, last - target)

    def _on_box_clicked(self, row: int) -> None:
        uid = self.model.shape_at(row).uid
        self._hide(self.model.hidden ^ {uid})

    def _on_space_pressed(self) -> None:
        chosen = self.selection
        if chosen:
            hidden = self.model.hidden
            self._hide(hidden - chosen if chosen & hidden else hidden | chosen)

    def _on_hidden_changed(self) -> None:
        self._refresh_heading()
        self.visibility_changed.emit(self.model.hidden)

    def _on_eye_clicked(self) -> None:
        every = frozenset(self.model.shape_at(row).uid for row in range(self.model.rowCount()))
        self._hide(frozenset() if self.model.hidden else every)

    def _hide(self, hidden: frozenset[int]) -> None:
        self.set_hidden(hidden)
        self.visibility_changed.emit(hidden)

    def context_menu(self, row: int) -> QMenu:
        """What can be done with the shape in a row, or with all that are chosen."""
        theme = tokens()
        uid = self.model.shape_at(row).uid
        top = self.model.rowCount() - 1
        menu = QMenu(self)
        menu.addAction(icon("edit", theme.text), "Edit label…").triggered.connect(
            lambda: self.label_edit_requested.emit(uid)
        )
        menu.addSeparator()
        for text, target in (("Bring to front", top), ("Send to back", 0)):
            action = menu.addAction(text)
            action.setEnabled(row != top - target)
            action.triggered.connect(lambda _=False, to=target: self.shape_moved.emit(uid, to))
        menu.addSeparator()
        chosen = self.selection or frozenset({uid})
        every = frozenset(self.model.shape_at(other).uid for other in range(top + 1))
        menu.addAction(icon("eye-off", theme.text), "Hide").triggered.connect(
            lambda: self._hide(self.model.hidden | chosen)
        )
        menu.addAction("Hide all others").triggered.connect(lambda: self._hide(every - chosen))
        show = menu.addAction(icon("eye", theme.text), "Show all")
        show.setEnabled(bool(self.model.hidden))
        show.triggered.connect(lambda: self._hide(frozenset()))
        return menu

    def _refresh_heading(self) -> None:
        count, hidden = self.model.rowCount(), len(self.model.hidden)
        text = f"{count:,} shape{'' if count == 1 else 's'}" if count else ""
        aside = f" · {hidden:,} hidden" if hidden else ""
        self._count.set_texts(
            [text + aside, f"{count:,}{aside}" if count else "", f"{count:,}" if count else ""]
        )
        self.eye_button.setEnabled(count > 0)
        self.eye_button.set_icon_name("eye-off" if hidden else "eye")
        self.eye_button.setToolTip("Show all shapes" if hidden else "Hide all shapes")
