"""The label audit: labels that are probably wrong, each settled with one key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from PySide6.QtCore import QSignalBlocker, Qt, Signal, SignalInstance
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QHBoxLayout, QListView, QProgressBar, QVBoxLayout, QWidget

from app.panels.audit_rows import AuditDelegate, AuditModel, SuspectRole
from app.panels.headings import PanelHeading
from app.panels.parts import MIN_PANEL_WIDTH, ElidedLabel, IconButton, IconPushButton
from app.panels.rows import ListOrNote, one_line_rows
from app.panels.tips import with_key
from app.theme import SPACE
from core.annotation.model import ClassList
from core.learning.labels.suspects import Suspect

START_NOTE: Final = (
    "Which labels are probably wrong?\n\nEvery labelled image is judged by what the others teach."
    " Nothing is changed before you say so."
)
RUNNING_NOTE: Final = "Looking…\nWhat is found appears here at once."
FINE_NOTE: Final = "No label looks wrong."
ALL_SETTLED_NOTE: Final = "Every suspicion is settled."


class AuditView(QListView):
    """Enter opens the chosen row. Signals: `row_entered()`, and `used()` before anything a key does."""

    row_entered = Signal()
    used = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter goes there; arrows only choose."""
        self.used.emit()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.row_entered.emit()
        else:
            super().keyPressEvent(event)


class AuditPanel(QWidget):
    """Knows no session.

    Signals:
        audit_requested(), cancel_requested().
        visit_requested(object Suspect): show it. fix_requested(object): the network is right.
        confirm_requested(object): the label is right.
        chosen_changed(bool): whether a row is chosen.
    """

    audit_requested = Signal()
    cancel_requested = Signal()
    visit_requested = Signal(object)
    fix_requested = Signal(object)
    confirm_requested = Signal(object)
    chosen_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._used = False  # from then on the chosen row is the person's choice
        self.model = AuditModel(self)
        self.view = AuditView()
        self.view.setModel(self.model)
        self.view.setItemDelegate(AuditDelegate(self.view))
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        one_line_rows(self.view, "Labels that are probably wrong, the worst first")
        self.audit_button = IconButton("refresh", "Audit the labels")
        self._count = ElidedLabel("", "small")
        self.heading = PanelHeading("Audit", "question")
        self.heading.add_tool(self._count, 1)
        self.heading.add_tool(self.audit_button)
        self._list = ListOrNote(self.view, START_NOTE)
        self.start_button = IconPushButton("question", "Audit the labels")
        self._list.add_button(self.start_button)
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._doing = ElidedLabel("", "small")
        self.cancel_button = IconButton("close", "Give the audit up; what was found stays")
        self.fix_button = IconPushButton("edit", "Change it")
        self.confirm_button = IconPushButton("check", "It is right")
        self._summary = ElidedLabel("", "small")
        self._lay_out()
        self._connect()
        self.finish("")
        self._refresh()

    def _lay_out(self) -> None:
        self._running = QWidget()
        bar = QHBoxLayout()
        bar.setContentsMargins(0, 0, 0, 0)
        bar.addWidget(self._progress, 1)
        bar.addWidget(self.cancel_button)
        running = QVBoxLayout(self._running)
        running.setContentsMargins(SPACE * 3 // 2, 0, SPACE // 2, SPACE // 2)
        running.setSpacing(0)
        running.addLayout(bar)
        running.addWidget(self._doing)
        self._summary.setContentsMargins(SPACE * 3 // 2, 0, SPACE, SPACE // 2)
        self._buttons = QWidget()
        row = QHBoxLayout(self._buttons)
        row.setContentsMargins(SPACE, SPACE // 2, SPACE, SPACE)
        row.setSpacing(SPACE // 2)
        row.addWidget(self.fix_button, 1)
        row.addWidget(self.confirm_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.heading)
        layout.addWidget(self._running)
        layout.addWidget(self._summary)
        layout.addWidget(self._list, 1)
        layout.addWidget(self._buttons)
        self.setMinimumWidth(MIN_PANEL_WIDTH)

    def _connect(self) -> None:
        self.audit_button.clicked.connect(self.audit_requested)
        self.start_button.clicked.connect(self.audit_requested)
        self.cancel_button.clicked.connect(self.cancel_requested)
        self.fix_button.clicked.connect(self.fix)
        self.confirm_button.clicked.connect(self.confirm)
        self.view.clicked.connect(self.visit)
        self.view.row_entered.connect(self.visit)
        self.view.used.connect(self._on_used)
        self.view.selectionModel().currentChanged.connect(self._on_chosen_changed)
        self.model.modelReset.connect(self._on_chosen_changed)
        for signal in (self.model.rowsInserted, self.model.rowsRemoved, self.model.modelReset):
            signal.connect(self._refresh)

    # --- in -----------------------------------------------------------------------------------------------

    def set_classes(self, classes: ClassList) -> None:
        """Take names and colours."""
        self.model.set_classes(classes)

    def set_keys(self, fix: str, confirm: str) -> None:
        """Say on the buttons' tooltips which keys do the same."""
        self.fix_button.setToolTip(with_key("The network is right: change the label to what it sees", fix))
        self.confirm_button.setToolTip(with_key("The label is right: never list it again as it is", confirm))

    def begin(self) -> None:
        """An audit starts anew."""
        self._used = False
        self.model.clear()
        self._running.show()
        self._progress.setRange(0, 0)
        self._doing.set_text("")
        self._summary.hide()
        self.audit_button.setEnabled(False)
        self.start_button.hide()
        self._list.set_note(RUNNING_NOTE)

    def set_progress(self, done: int, steps: int, doing: str) -> None:
        """`done` of `steps`."""
        self._progress.setRange(0, max(steps, 1))
        self._progress.setValue(done)
        self._doing.set_text(f"{doing[:1].upper()}{doing[1:]}")

    def add(self, suspects: Iterable[Suspect]) -> None:
        """List these, too; until the person chooses another, the worst is the chosen one."""
        self.model.add(suspects)
        if not self._used:
            self.view.setCurrentIndex(self.model.index(0))

    def finish(self, summary: str, note: str = START_NOTE, detail: str = "") -> None:
        """No audit goes on; `note` stands in the place of an empty list, `detail` in the summary's tip."""
        self._running.hide()
        self._summary.set_text(summary, detail)
        self._summary.setVisible(bool(summary))
        self.audit_button.setEnabled(True)
        self.start_button.setVisible(note == START_NOTE)
        self._list.set_note(ALL_SETTLED_NOTE if note == FINE_NOTE and self.model.found else note)

    def clear(self) -> None:
        """Another project."""
        self.model.clear()
        self.finish("")

    def settle(self, keep: Callable[[Suspect], bool]) -> None:
        """Leave out what is settled; the next row is chosen where the chosen one goes."""
        row = self.view.currentIndex().row()
        before = self.chosen
        with QSignalBlocker(self.view.selectionModel()):
            self.model.settle(keep)
        rows = self.model.suspects()
        if before is not None and rows:
            row = rows.index(before) if before in rows else min(row, len(rows) - 1)
            self.view.setCurrentIndex(self.model.index(row))
        self.view.viewport().update()
        self._on_chosen_changed()

    # --- out ----------------------------------------------------------------------------------------------

    @property
    def chosen(self) -> Suspect | None:
        """The chosen row."""
        found = self.view.currentIndex().data(SuspectRole)
        return found if isinstance(found, Suspect) else None

    @property
    def note(self) -> str:
        """What stands in the place of the list while nothing is listed."""
        return self._list.note

    @property
    def summary(self) -> str:
        """What the last audit said of itself."""
        return self._summary.whole_text

    @property
    def running(self) -> bool:
        """Whether an audit goes on."""
        return not self.audit_button.isEnabled()

    def take_keyboard(self) -> None:
        """Arrows and Enter are for the list."""
        if not self.view.currentIndex().isValid():
            self.view.setCurrentIndex(self.model.index(0))
        self.view.setFocus()

    def visit(self) -> None:
        """Go to the chosen one."""
        self._ask(self.visit_requested)

    def fix(self) -> None:
        """The network is right about the chosen one."""
        self._ask(self.fix_requested)

    def confirm(self) -> None:
        """The label is right."""
        self._ask(self.confirm_requested)

    # --- inside -------------------------------------------------------------------------------------------

    def _ask(self, request: SignalInstance) -> None:
        if self.chosen is not None:
            self._used = True
            request.emit(self.chosen)

    def _on_used(self) -> None:
        self._used = True

    def _on_chosen_changed(self, *_: object) -> None:
        chosen = self.chosen is not None
        self.fix_button.setEnabled(chosen)
        self.confirm_button.setEnabled(chosen)
        self.chosen_changed.emit(chosen)

    def _refresh(self, *_: object) -> None:
        rows = self.model.rowCount()
        self._list.show_list(rows > 0)
        self._buttons.setVisible(rows > 0)
        found = self.model.found
        self._count.set_text(f"{rows}" if found else "", f"{rows} left of {found}" if found else "")
        if found and not rows and not self.running:
            self._list.set_note(ALL_SETTLED_NOTE)
