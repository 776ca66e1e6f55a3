"""The images of a project as a Qt list: filtered, searched and ordered, thumbnails on demand.

Filtering is a list comprehension over the rows rather than a proxy model: ten thousand rows take a few
milliseconds, and rows do not vanish under the person while she edits one of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QImage, QPixmap

from app.session.image_status import ImageStatus
from core.annotation.model import AnnotationState

if TYPE_CHECKING:
    from core.project.project import ImageEntry

KEY_ROLE: Final = Qt.ItemDataRole.UserRole
STATUS_ROLE: Final = Qt.ItemDataRole.UserRole + 1
USEFULNESS_ROLE: Final = Qt.ItemDataRole.UserRole + 2
"""0..1 while the list is ordered by it and the image is rated, else None."""
MAX_PIXMAPS: Final = 1500

_STATE_WORDS: Final = {
    AnnotationState.UNLABELLED: "not labelled",
    AnnotationState.IN_PROGRESS: "in progress",
    AnnotationState.DONE: "done",
}


class StateFilter(Enum):
    """Which images to list."""

    ALL = "All images"
    UNLABELLED = "Not labelled"
    IN_PROGRESS = "In progress"
    DONE = "Done"
    PROBLEM = "With a problem"

    def accepts(self, status: ImageStatus) -> bool:
        """Whether an image of this status is listed."""
        match self:
            case StateFilter.ALL:
                return True
            case StateFilter.PROBLEM:
                return bool(status.problem)
            case _:
                return not status.problem and status.state.name == self.name


class ImageOrder(Enum):
    """How to sort the list."""

    NAME = "By name"
    UNFINISHED = "Unfinished first"
    USEFUL = "Most useful first"


_RANK: Final = {AnnotationState.IN_PROGRESS: 0, AnnotationState.UNLABELLED: 1, AnnotationState.DONE: 2}


def describe(status: ImageStatus) -> str:
    """The status in words: "3 shapes, in progress"."""
    words = short_words(status)
    in_progress = status.state is AnnotationState.IN_PROGRESS and not status.problem
    return f"{words}, {_STATE_WORDS[status.state]}" if in_progress and status.shapes else words


def short_words(status: ImageStatus) -> str:
    """The status in a row, whose badge shows the state too: "3 shapes", or why the image cannot be used."""
    if status.problem:
        _file, _, reason = status.problem.partition(": ")  # the row names the file
        return reason or status.problem
    words = _STATE_WORDS[status.state]
    if not status.shapes:
        return words
    shapes = f"{status.shapes} shape{'s' if status.shapes != 1 else ''}"
    return shapes if status.state is AnnotationState.IN_PROGRESS else f"{shapes}, {words}"


def _can_be_labelled(status: ImageStatus) -> bool:
    """Whether there may be something left to draw in it."""
    return status.state is not AnnotationState.DONE and not status.problem


class ImageListModel(QAbstractListModel):
    """Rows are the images that pass search and filter, in the chosen order."""

    thumbnail_needed = Signal(object)  # ImageEntry
    rows_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._entries: tuple[ImageEntry, ...] = ()
        self._rows: list[ImageEntry] = []
        self._row_of: dict[str, int] = {}
        self._done: set[str] | None = set()  # None: to be counted
        self._status: Callable[[str], ImageStatus] = lambda _key: ImageStatus()
        self._pixmaps: OrderedDict[str, QPixmap] = OrderedDict()
        self._search = ""
        self._filter = StateFilter.ALL
        self._order = ImageOrder.NAME
        self._usefulness: Mapping[str, float] = {}

    # --- content ------------------------------------------------------------------------------------------

    def set_entries(
        self, entries: Iterable[ImageEntry], status: Callable[[str], ImageStatus], here: str | None = None
    ) -> None:
        """List these images; `status` is asked for what is known of one. `here`: as in `refresh`."""
        self._entries = tuple(entries)
        self._status = status
        self._done = None
        if self._pixmaps:
            present = {entry.key for entry in self._entries}
            for key in [key for key in self._pixmaps if key not in present]:
                del self._pixmaps[key]
        self.refresh(here)

    def set_search(self, text: str) -> None:
        """List images whose name contains every word of `text`."""
        if text != self._search:
            self._search = text
            self.refresh()

    def set_filter(self, state: StateFilter) -> None:
        """List images of this state only."""
        if state is not self._filter:
            self._filter = state
            self.refresh()

    def set_order(self, order: ImageOrder) -> None:
        """Sort the list; also anew in the order it has, where what it is sorted by has changed since."""
        self._order = order
        self.refresh()

    def set_usefulness(self, scores: Mapping[str, float]) -> None:
        """How useful labelling would be, 0..1 by key. What is listed stays in its place until `refresh`."""
        first = not self._usefulness
        self._usefulness = scores
        if first and scores and self._order is ImageOrder.USEFUL:
            self.refresh()  # there was no order to speak of

    def most_useful(self, leave_out: Collection[str] = ()) -> str | None:
        """The image most useful to label, listed or not; None where none is rated and can be labelled on."""
        present = {entry.key for entry in self._entries}
        keys = [
            key
            for key in self._usefulness
            if key in present and key not in leave_out and _can_be_labelled(self._status(key))
        ]
        return max(keys, key=self._usefulness.__getitem__, default=None)

    @property
    def depends_on_status(self) -> bool:
        """Whether what is listed, or its order, may be out of date after a status changed."""
        return self._filter is not StateFilter.ALL or self._order is not ImageOrder.NAME

    def refresh(self, here: str | None = None) -> None:
        """Filter and sort anew.

        Args:
            here: the image the person is at; while it is listed no filter takes it away. By usefulness, what
                is listed above it has been gone through and stays there unless it is done; so going down the
                list skips nothing and repeats nothing.
        """
        rows = list(self._entries)
        if words := self._search.casefold().split():
            rows = [entry for entry in rows if all(word in entry.key.casefold() for word in words)]
        if self._filter is not StateFilter.ALL:
            kept = here if here in self._row_of else None
            rows = [
                entry for entry in rows if entry.key == kept or self._filter.accepts(self._status(entry.key))
            ]
        if self._order is ImageOrder.UNFINISHED:
            rows.sort(key=lambda entry: _RANK[self._status(entry.key).state])
        elif self._order is ImageOrder.USEFUL:
            rows = self._by_usefulness(rows, self._gone_through(here))
        if rows != self._rows:
            self._set_rows(rows)

    def _set_rows(self, rows: list[ImageEntry]) -> None:
        row_of = {entry.key: row for row, entry in enumerate(rows)}
        if row_of.keys() == self._row_of.keys():
            # All rows are alike: those that change places are painted again, while a reset would have the
            # view lay out every one of them (25 ms for ten thousand).
            self._rows, self._row_of = rows, row_of
            self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))
        else:
            self.beginResetModel()
            self._rows, self._row_of = rows, row_of
            self.endResetModel()
        self.rows_changed.emit()

    def _gone_through(self, here: str | None) -> int:
        """The last row that a person at this image has gone past, -1 for none.

        Done images come last: one that is looked at among them says nothing of those above it.
        """
        row = -1 if here is None else self._row_of.get(here, -1)
        if row < 0 or self._status(self._rows[row].key).state is not AnnotationState.DONE:
            return row
        below = self._rows[row + 1 :]
        return (
            row if any(self._status(entry.key).state is not AnnotationState.DONE for entry in below) else -1
        )

    def _by_usefulness(self, entries: Iterable[ImageEntry], above: int) -> list[ImageEntry]:
        """The most useful of these images first, done ones last; rows down to `above` keep their places."""
        done, row_of, scores = self._done_keys(), self._row_of, self._usefulness
        passed: list[ImageEntry] = []
        ahead: list[ImageEntry] = []
        finished: list[ImageEntry] = []
        for entry in entries:
            if entry.key in done:
                finished.append(entry)
            elif row_of.get(entry.key, above + 1) <= above:
                passed.append(entry)
            else:
                ahead.append(entry)
        passed.sort(key=lambda entry: row_of[entry.key])
        ahead.sort(key=lambda entry: -scores.get(entry.key, -1.0))
        return passed + ahead + finished

    def update_statuses(self, keys: Sequence[str]) -> None:
        """The status of these images changed: repaint their rows."""
        if self._done is not None:
            self._done.difference_update(keys)
            self._done.update(self._done_among(keys))
        for row in {self._row_of[key] for key in keys if key in self._row_of}:
            index = self.index(row)
            self.dataChanged.emit(index, index, [STATUS_ROLE])

    def set_thumbnail(self, key: str, image: QImage) -> None:
        """The thumbnail that was asked for."""
        self._pixmaps[key] = QPixmap.fromImage(image)
        while len(self._pixmaps) > MAX_PIXMAPS:
            self._pixmaps.popitem(last=False)
        if (row := self._row_of.get(key)) is not None:
            index = self.index(row)
            self.dataChanged.emit(index, index, [Qt.ItemDataRole.DecorationRole])

    def forget_thumbnails(self) -> None:
        """Ask for all of them again."""
        self._pixmaps.clear()

    def keys(self) -> tuple[str, ...]:
        """Keys of the listed images, top to bottom."""
        return tuple(self._row_of)

    @property
    def total(self) -> int:
        """Number of images, listed or not."""
        return len(self._entries)

    def done_count(self) -> int:
        """Number of images that are done, listed or not."""
        return len(self._done_keys())

    def _done_keys(self) -> set[str]:
        if self._done is None:
            self._done = set(self._done_among(entry.key for entry in self._entries))
        return self._done

    def _done_among(self, keys: Iterable[str]) -> Iterator[str]:
        return (key for key in keys if self._status(key).state is AnnotationState.DONE)

    def index_of(self, key: str | None) -> QModelIndex:
        """Where an image is listed; invalid when it is not."""
        row = None if key is None else self._row_of.get(key)
        return QModelIndex() if row is None else self.index(row)

    # --- QAbstractListModel -------------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        """Number of listed images."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def data(
        self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Name, thumbnail (asked for when it is not there), status, tooltip."""
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        entry = self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return Path(entry.key).name
        if role == Qt.ItemDataRole.DecorationRole:
            pixmap = self._pixmaps.get(entry.key)
            if pixmap is None:
                self.thumbnail_needed.emit(entry)
            return pixmap
        if role == KEY_ROLE:
            return entry.key
        status = self._status(entry.key)
        if role == STATUS_ROLE:
            return status
        useful = self._usefulness.get(entry.key) if status.state is not AnnotationState.DONE else None
        if role == USEFULNESS_ROLE:
            return useful if self._order is ImageOrder.USEFUL else None
        if role == Qt.ItemDataRole.ToolTipRole:
            tip = status.problem or f"{entry.key}\n{describe(status)}"
            return tip if useful is None else f"{tip}\nUsefulness {useful:.2f}"
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{entry.key}, {describe(status)}"
        return None
