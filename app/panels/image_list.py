"""The left panel: every image with thumbnail and state, searched, filtered and ordered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, Qt, QTimer, QTimerEvent, Signal
from PySide6.QtGui import QAction, QActionGroup, QImage, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QListView, QMenu, QVBoxLayout, QWidget

from app.icons import icon
from app.panels.headings import PanelHeading
from app.panels.image_delegate import ImageDelegate
from app.panels.image_model import KEY_ROLE, ImageListModel, ImageOrder, StateFilter
from app.panels.parts import MIN_PANEL_WIDTH, ElidedLabel, IconButton
from app.panels.rows import ListOrNote, UniformListView, one_line_rows
from app.session.image_status import ImageStatus
from app.theme import SPACE, Themed, Tokens

if TYPE_CHECKING:
    from core.project.project import ImageEntry


NO_IMAGES: Final = "No images here yet.\nImages put into the folder appear by themselves."
NOTHING_FOUND: Final = "No image matches.\nClear the search or the filter to see all."
COUNT_DELAY_MS: Final = 200
"""Statuses arrive in portions; counting what is done among ten thousand takes some milliseconds."""


class ImageView(UniformListView):
    """With `LayoutMode.Batched` a row that is not laid out yet comes into sight when it is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sought = QPersistentModelIndex()
        self._sought_hint = QListView.ScrollHint.EnsureVisible

    def scrollTo(
        self,
        index: QModelIndex | QPersistentModelIndex,
        hint: QListView.ScrollHint = QListView.ScrollHint.EnsureVisible,
    ) -> None:
        """Bring a row into sight, as soon as there is a place where it is."""
        laid_out = not self.visualRect(index).isEmpty()
        self._sought = QPersistentModelIndex() if laid_out else QPersistentModelIndex(index)
        self._sought_hint = hint
        super().scrollTo(index, hint)

    def timerEvent(self, event: QTimerEvent) -> None:
        """Lay out another batch of rows; the one that is sought may be among them."""
        super().timerEvent(event)
        if self._sought.isValid() and not self.visualRect(self._sought).isEmpty():
            self.updateGeometries()  # the scroll bar is told of new rows only when all are laid out
            self.scrollTo(self._sought, self._sought_hint)


class ImageListPanel(Themed, QWidget):
    """Knows no session: images in, requests out.

    Signals:
        image_requested(str key): the person chose an image.
        order_changed(object): keys as listed; next and previous follow them.
        thumbnail_needed(object ImageEntry): a row without a thumbnail came into view.
        order_chosen(object ImageOrder): the person wants another order.
    """

    image_requested = Signal(str)
    order_changed = Signal(object)
    thumbnail_needed = Signal(object)
    order_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._current: str | None = None
        self._marking = False
        self.model = ImageListModel(self)
        self.view = ImageView(self)
        self.search = QLineEdit(self)
        self.filter_button = IconButton("filter", "Filter and order", self)
        self._count = ElidedLabel("", "small", parent=self)
        self._list = ListOrNote(self.view, "")
        self._count_timer = QTimer(self, singleShot=True, interval=COUNT_DELAY_MS)
        self._count_timer.timeout.connect(self._update_count)
        self._build()
        self.model.thumbnail_needed.connect(self.thumbnail_needed)
        self.model.rows_changed.connect(self._on_rows_changed)
        self._on_rows_changed()

    @property
    def empty_note(self) -> str:
        """What stands in the place of the list while nothing is listed; "" while something is."""
        return self._list.note

    # --- in -----------------------------------------------------------------------------------------------

    def set_entries(self, entries: Iterable[ImageEntry], status: Callable[[str], ImageStatus]) -> None:
        """List these images."""
        self.model.set_entries(entries, status, self._current)
        self._on_rows_changed()

    def update_statuses(self, keys: Sequence[str]) -> None:
        """The status of these images changed."""
        self.model.update_statuses(keys)
        self._count_later()

    def set_thumbnail(self, key: str, image: QImage) -> None:
        """The thumbnail that was asked for."""
        self.model.set_thumbnail(key, image)

    def forget_thumbnails(self) -> None:
        """Another project: its images may have the same names."""
        self.model.forget_thumbnails()

    def set_current(self, key: str | None) -> None:
        """Mark the image that is shown."""
        self._current = key
        if self.model.depends_on_status:
            self.model.refresh(key)  # what was edited may have left the filter: now it may go
        self._select_current()

    def set_usefulness(self, scores: Mapping[str, float]) -> None:
        """How useful labelling would be, 0..1 by key; rows stay where they are until an image is left."""
        self.model.set_usefulness(scores)
        self.view.viewport().update()

    def set_order(self, order: ImageOrder) -> None:
        """Sort the list as it was sorted at an earlier start."""
        for action in self._orders.actions():
            action.setChecked(action.data() is order)
        self.model.set_order(order)

    def focus_search(self) -> None:
        """Start searching."""
        self.search.setFocus()
        self.search.selectAll()

    # --- inside -------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.setProperty("kind", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.search.setPlaceholderText("Search images")
        self.search.setClearButtonEnabled(True)
        self._search_icon = QAction(self)
        self.search.addAction(self._search_icon, QLineEdit.ActionPosition.LeadingPosition)
        self.search.textChanged.connect(self.model.set_search)
        self.search.returnPressed.connect(self._on_search_entered)
        escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), self.search)
        escape.setContext(Qt.ShortcutContext.WidgetShortcut)
        escape.activated.connect(self._on_search_left)
        self.filter_button.setMenu(self._filter_menu())
        self.filter_button.setPopupMode(IconButton.ToolButtonPopupMode.InstantPopup)
        self.view.setModel(self.model)
        self.view.setItemDelegate(ImageDelegate(self.view))
        one_line_rows(self.view, "Images")
        self.view.selectionModel().currentChanged.connect(self._on_current_row_changed)
        heading = PanelHeading("Images")
        heading.add_tool(self._count, 1)
        heading.add_tool(self.filter_button)
        field = QHBoxLayout()
        field.setContentsMargins(SPACE, 0, SPACE, SPACE // 2)
        field.addWidget(self.search)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(heading)
        layout.addLayout(field)
        layout.addWidget(self._list, 1)
        self.setMinimumWidth(MIN_PANEL_WIDTH)

    def _filter_menu(self) -> QMenu:
        menu = QMenu(self)
        _add_choices(menu, StateFilter, StateFilter.ALL).triggered.connect(self._on_filter_chosen)
        menu.addSeparator()
        self._orders = _add_choices(menu, ImageOrder, ImageOrder.NAME)
        self._orders.triggered.connect(self._on_order_chosen)
        return menu

    def _on_filter_chosen(self, action: QAction) -> None:
        state = action.data()
        assert isinstance(state, StateFilter)
        self.filter_button.setCheckable(True)
        self.filter_button.setChecked(state is not StateFilter.ALL)
        self.model.set_filter(state)

    def _on_order_chosen(self, action: QAction) -> None:
        order = action.data()
        assert isinstance(order, ImageOrder)
        self.model.set_order(order)
        self.order_chosen.emit(order)

    def _on_rows_changed(self) -> None:
        self._select_current()
        rows = self.model.rowCount()
        self._list.show_list(rows > 0)
        self._list.set_note(NOTHING_FOUND if self.model.total else NO_IMAGES)
        self._count_later()
        self.order_changed.emit(self.model.keys())

    def _count_later(self) -> None:
        if not self._count_timer.isActive():
            self._count_timer.start()

    def _update_count(self) -> None:
        total, rows = self.model.total, self.model.rowCount()
        listed = f"{rows} of {total}" if rows != total else f"{total}"
        self._count.set_text(f"{listed}, {self.model.done_count()} done" if total else "")

    def _select_current(self) -> None:
        index = self.model.index_of(self._current)
        selection = self.view.selectionModel()
        if index == selection.currentIndex() and index.isValid():
            return
        self._marking = True
        self.view.setCurrentIndex(index)
        self._marking = False
        if index.isValid():
            self.view.scrollTo(index, QListView.ScrollHint.EnsureVisible)
        self.view.viewport().update()

    def _on_current_row_changed(self, current: QModelIndex, _previous: QModelIndex) -> None:
        key = current.data(KEY_ROLE)
        if key is not None and key != self._current and not self._marking:
            self._current = key
            self.image_requested.emit(key)

    def _on_search_entered(self) -> None:
        if self.model.rowCount():
            self.image_requested.emit(self.model.keys()[0])
            self.view.setFocus()

    def _on_search_left(self) -> None:
        """The single-letter keys work again."""
        self.search.clear()
        self.view.setFocus()

    def apply_tokens(self, theme: Tokens) -> None:
        """Colour the search icon. No widget may come or go here: Qt is walking through all of them."""
        self._search_icon.setIcon(icon("search", theme.muted))
        self.view.viewport().update()


def _add_choices(menu: QMenu, choices: Iterable[Enum], chosen: Enum) -> QActionGroup:
    """One entry a choice, of which one is on; their data are the choices."""
    group = QActionGroup(menu)
    for choice in choices:
        action = menu.addAction(choice.value)
        action.setCheckable(True)
        action.setChecked(choice is chosen)
        action.setData(choice)
        group.addAction(action)
    return group
