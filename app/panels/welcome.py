"""The first page: open a folder, open the sample, or go on where you were."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from PySide6.QtCore import QMimeData, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from app.icons import app_icon
from app.panels.parts import ElidedLabel, IconLabel, label
from app.theme import SPACE, set_property

_MAX_RECENT = 6
_DOOR_SIZE = QSize(296, 96)
_BEHIND_OPEN = "Your images, or a labelme folder as it is"


class Door(QPushButton):
    """A large button: icon, title, a line that says what is behind it, and its key."""

    def __init__(self, icon_name: str, title: str, explanation: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "card")
        self.setAutoDefault(True)  # Enter presses it, as Space does
        self.setFixedSize(_DOOR_SIZE)
        self.setAccessibleName(title)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        words = QVBoxLayout()
        words.setSpacing(SPACE // 2)
        words.addStretch(1)
        self._explanation = label("", "small")
        for line in (label(title, "heading"), self._explanation):
            line.setWordWrap(True)
            line.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            words.addWidget(line)
        words.addStretch(1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(SPACE * 2, SPACE, SPACE * 2, SPACE)
        layout.setSpacing(SPACE * 2)
        layout.addWidget(IconLabel(icon_name, "accent_text", 28))
        layout.addLayout(words, 1)
        self.set_explanation(explanation)

    def set_explanation(self, text: str) -> None:
        """Say what is behind it."""
        self._explanation.setText(text)
        self.setAccessibleDescription(text)


class RecentRow(QPushButton):
    """One recent project: its name and where it is; greyed while it is not there."""

    def __init__(self, path: str, *, missing: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.path = path
        self.setProperty("kind", "ghost")
        self.setAutoDefault(True)
        self.setFixedHeight(32)
        self.setEnabled(not missing)
        self.setAccessibleName(f"Open {path}")
        place = Path(path)
        where = f"{_tilde(place.parent)}  ·  not there now" if missing else _tilde(place.parent)
        name = label(place.name or path, "" if missing else "strong")
        folder = ElidedLabel(where, "" if missing else "muted", Qt.TextElideMode.ElideMiddle)
        for part in (name, folder):
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setToolTip(f"{path} is not there, or may not be looked into" if missing else path)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(SPACE, 0, SPACE, 0)
        layout.setSpacing(SPACE * 3 // 2)
        layout.addWidget(IconLabel("folder", "faint" if missing else "muted"))
        layout.addWidget(name)
        layout.addWidget(folder, 1)


class WelcomePage(QWidget):
    """Shown while no project is open.

    Signals:
        open_folder_requested, open_sample_requested, recent_requested(str path),
        path_dropped(str): a folder or file was dropped on the page,
        shown(): the page has come, and not only between two projects.
    """

    open_folder_requested = Signal()
    open_sample_requested = Signal()
    recent_requested = Signal(str)
    path_dropped = Signal(str)
    shown = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAcceptDrops(True)
        self.open_door = Door("folder", "Open a folder", _BEHIND_OPEN)
        self.sample_door = Door("images", "Open the sample", "Ultrasound nerves and vessels, some labelled")
        self.open_door.clicked.connect(self.open_folder_requested)
        self.sample_door.clicked.connect(self.open_sample_requested)
        self._recent_rows: list[RecentRow] = []
        self._recent = QVBoxLayout()
        self._recent.setSpacing(2)
        self._recent_title = label("Recent projects", "muted")
        self._drop_hint = label("or drop a folder, an image or a labelme JSON anywhere here", "small")
        self._drop_hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._lay_out()
        self.set_recent([])

    @property
    def recent_rows(self) -> tuple[RecentRow, ...]:
        """The buttons of the recent projects, newest first."""
        return tuple(self._recent_rows)

    def set_recent(self, paths: Sequence[str], missing: Collection[str] = ()) -> None:
        """List recent projects, newest first; those known to be missing are greyed."""
        for row in self._recent_rows:
            self._recent.removeWidget(row)
            row.deleteLater()
        shown = list(paths)[:_MAX_RECENT]
        self._recent_rows = [self._row(path, missing=path in missing) for path in shown]
        for row in self._recent_rows:
            self._recent.addWidget(row)
        self._recent_title.setText("Recent projects" if shown else "Recent projects appear here.")

    def set_missing(self, path: str, *, missing: bool) -> None:
        """A recent project was looked for: grey it, or not."""
        for place, row in enumerate(self._recent_rows):
            if row.path == path and row.isEnabled() is missing:
                new = self._recent_rows[place] = self._row(path, missing=missing)
                self._recent.replaceWidget(row, new)
                row.deleteLater()

    def set_open_key(self, key: str) -> None:
        """Say which key opens a folder; "" for none."""
        self.open_door.set_explanation(f"{_BEHIND_OPEN} ({key})" if key else _BEHIND_OPEN)

    def showEvent(self, event: QShowEvent) -> None:
        """Tell it once the page stays: one project gives way to another without a pause."""
        if not event.spontaneous():
            QTimer.singleShot(0, self, self._tell_shown)

    def _tell_shown(self) -> None:
        if self.isVisible():
            self.shown.emit()

    # --- dropping ---------------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take one local file or folder."""
        if _local_path(event.mimeData()):
            event.acceptProposedAction()
            self._drop_hint.setText("Drop it to open it")
            set_property(self._drop_hint, "role", "strong")

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """Back to the hint."""
        self._rest()

    def dropEvent(self, event: QDropEvent) -> None:
        """Tell what was dropped."""
        self._rest()
        path = _local_path(event.mimeData())
        if path:
            event.acceptProposedAction()
            self.path_dropped.emit(path)

    def _rest(self) -> None:
        self._drop_hint.setText("or drop a folder, an image or a labelme JSON anywhere here")
        set_property(self._drop_hint, "role", "small")

    def _row(self, path: str, *, missing: bool) -> RecentRow:
        row = RecentRow(path, missing=missing, parent=self)
        row.clicked.connect(self._on_recent_clicked)
        return row

    def _on_recent_clicked(self) -> None:
        row = self.sender()
        if isinstance(row, RecentRow):
            self.recent_requested.emit(row.path)

    def _lay_out(self) -> None:
        logo = QLabel()
        logo.setPixmap(app_icon().pixmap(QSize(56, 56)))
        name = label("Maskloop", "title")
        claim = label("Draw. Train. Correct. Export.", "muted")
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(name)
        words.addWidget(claim)
        head = QHBoxLayout()
        head.setSpacing(SPACE * 2)
        head.addWidget(logo)
        head.addLayout(words, 1)
        doors = QHBoxLayout()
        doors.setSpacing(SPACE * 2)
        doors.addWidget(self.open_door)
        doors.addWidget(self.sample_door)

        column = QWidget()
        column.setFixedWidth(2 * _DOOR_SIZE.width() + SPACE * 2)
        column.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        inner = QVBoxLayout(column)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(SPACE)
        inner.addLayout(head)
        inner.addSpacing(SPACE * 2)
        inner.addLayout(doors)
        inner.addWidget(self._drop_hint)
        inner.addSpacing(SPACE * 2)
        inner.addWidget(self._recent_title)
        inner.addLayout(self._recent)
        inner.addSpacing(SPACE * 2)
        inner.addLayout(_steps())
        centred = QHBoxLayout()
        centred.addStretch(1)
        centred.addWidget(column)
        centred.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE * 3, SPACE * 3, SPACE * 3, SPACE * 3)
        layout.addStretch(2)
        layout.addLayout(centred)
        layout.addStretch(3)


def _steps() -> QHBoxLayout:
    """What to do next, in one line of four small pictures."""
    steps = (
        ("polygon", "Draw a few shapes"),
        ("play", "press Train"),
        ("region", "accept and correct"),
        ("export", "export masks and weights"),
    )
    line = QHBoxLayout()
    line.setSpacing(SPACE)
    for position, (icon_name, text) in enumerate(steps):
        if position:
            line.addWidget(IconLabel("chevron-right", "faint", 12))
        line.addWidget(IconLabel(icon_name, "muted", 16))
        line.addWidget(label(text, "small"))
    line.addStretch(1)
    return line


def _tilde(path: Path) -> str:
    home = Path.home()
    return str(Path("~") / path.relative_to(home)) if path.is_relative_to(home) else str(path)


def _local_path(data: QMimeData) -> str:
    """The first dropped thing that lies on a disk, "" when none does."""
    return next((url.toLocalFile() for url in data.urls() if url.isLocalFile()), "")
