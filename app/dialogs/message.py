"""Say one sentence, ask one question, or let a line float by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QFrame, QHBoxLayout, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from app.panels.parts import IconButton, IconLabel, label
from app.theme import SPACE

Level: TypeAlias = Literal["info", "warning", "error", "question", "success"]
_LOOKS: Final[dict[Level, tuple[str, str]]] = {
    "info": ("info", "accent_text"),
    "warning": ("warning", "warning"),
    "error": ("error", "danger_text"),
    "question": ("question", "accent_text"),
    "success": ("done", "success"),
}
_WIDTH: Final = 460


@dataclass(frozen=True, slots=True)
class Choice:
    """One button of a question.

    Attributes:
        key: what `chosen` tells. text: what the button says.
        kind: "primary", "danger" or "" (plain). explanation: tooltip.
    """

    key: str
    text: str
    kind: Literal["", "primary", "danger"] = ""
    explanation: str = ""


class MessageDialog(QDialog):
    """A sentence with an icon, perhaps a detail to unfold, and one or more buttons.

    Args:
        title: the matter in a few words. text: the sentence.
        choices: buttons, the safest last; without any there is one "Close".
        detail: a traceback or a list, folded away at first.

    Signals:
        chosen(str): key of the button; "" when the dialog was closed otherwise.
    """

    chosen = Signal(str)

    def __init__(
        self,
        level: Level,
        title: str,
        text: str,
        *,
        choices: Sequence[Choice] = (),
        detail: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.answer = ""
        icon_name, token = _LOOKS[level]
        heading = label(title, "heading")
        heading.setWordWrap(True)
        self._text = label(text)
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.detail = QPlainTextEdit(detail)
        self.detail.setReadOnly(True)
        self.detail.setFixedHeight(140)
        self.detail.hide()
        self.buttons: dict[str, QPushButton] = {}
        self._first: QPushButton | None = None
        row = QHBoxLayout()
        row.setSpacing(SPACE)
        if detail:
            self._unfold = QPushButton("Details")
            self._unfold.setProperty("kind", "link")
            self._unfold.setAutoDefault(False)
            self._unfold.clicked.connect(self._on_unfold)
            row.addWidget(self._unfold)
        row.addStretch(1)
        for choice in choices or (Choice("close", "Close", "primary"),):
            button = QPushButton(choice.text)
            button.setAutoDefault(choice.kind == "primary")
            button.setDefault(choice.kind == "primary")
            if choice.kind:
                button.setProperty("kind", choice.kind)
            button.setToolTip(choice.explanation)
            if choice.kind == "primary":
                self._first = button
            button.clicked.connect(lambda _=False, key=choice.key: self._choose(key))
            self.buttons[choice.key] = button
            row.addWidget(button)
        words = QVBoxLayout()
        words.setSpacing(SPACE)
        words.addWidget(heading)
        words.addWidget(self._text)
        words.addStretch(1)
        head = QHBoxLayout()
        head.setSpacing(SPACE * 2)
        head.addWidget(IconLabel(icon_name, token, 24), 0, Qt.AlignmentFlag.AlignTop)
        head.addLayout(words, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE * 3, SPACE * 3, SPACE * 3, SPACE * 2)
        layout.setSpacing(SPACE * 2)
        layout.addLayout(head)
        layout.addWidget(self.detail)
        layout.addLayout(row)
        self._layout = layout
        self.finished.connect(self._on_finished)

    @property
    def text(self) -> str:
        """The sentence."""
        return self._text.text()

    def _choose(self, key: str) -> None:
        self.answer = key
        self.accept()

    def _on_finished(self) -> None:
        self.chosen.emit(self.answer)

    def _on_unfold(self) -> None:
        self.detail.setVisible(self.detail.isHidden())
        self._unfold.setText("Details" if self.detail.isHidden() else "Hide details")
        self._fit()

    def showEvent(self, event: QShowEvent) -> None:
        """Take the height the wrapped sentence needs."""
        super().showEvent(event)
        self._fit()
        if self._first is not None:
            self._first.setFocus()

    def _fit(self) -> None:
        # adjustSize would wrap the sentence at the width of the size hint and leave a gap.
        self._layout.activate()
        self.setFixedSize(_WIDTH, self._layout.totalHeightForWidth(_WIDTH))


def show_error(parent: QWidget | None, title: str, text: str, detail: str = "") -> MessageDialog:
    """Open an error without blocking the program; it deletes itself when closed."""
    dialog = MessageDialog("error", title, text, detail=detail, parent=parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.open()
    return dialog


class Toast(QFrame):
    """A line that floats over the lower edge of a widget and leaves by itself; errors stay until closed.

    One toast belongs to one host: a new line replaces the one on show.

    Signals:
        action_clicked: the button beside the text, if there is one.
    """

    action_clicked = Signal()

    def __init__(self, host: QWidget) -> None:
        super().__init__(host)
        self._host = host
        self.setProperty("kind", "floating")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._icon = IconLabel("info")
        self._text = label()
        self._text.setWordWrap(True)
        self._action = QPushButton()
        self._action.setProperty("kind", "link")
        self._action.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._close = IconButton("close", "Close")
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(SPACE * 3 // 2, SPACE // 2, SPACE // 2, SPACE // 2)
        self._row.setSpacing(SPACE)
        self._row.addWidget(self._icon)
        self._row.addWidget(self._text, 1)
        self._row.addWidget(self._action)
        self._row.addWidget(self._close)
        self._leave = QTimer(self, singleShot=True)
        self._leave.timeout.connect(self.hide)
        self._close.clicked.connect(self.hide)
        self._action.clicked.connect(self.action_clicked)
        host.installEventFilter(self)
        self.hide()

    @property
    def text(self) -> str:
        """What it says."""
        return self._text.text()

    def show_message(self, level: Level, text: str, *, action: str = "") -> None:
        """Say a line; information leaves after 4 s, a warning after 8 s, an error when it is closed."""
        icon_name, token = _LOOKS[level]
        self._icon.set_icon(icon_name, token)
        self._text.setText(text)
        self._action.setText(action)
        self._action.setVisible(bool(action))
        self._leave.stop()
        if level != "error":
            self._leave.start(8000 if level == "warning" else 4000)
        self.show()
        self.raise_()
        self._place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay at the lower edge when the host changes its size."""
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return False

    def _place(self) -> None:
        room = max(120, min(560, self._host.width() - 4 * SPACE))
        beside = self._row.sizeHint().width() - self._text.sizeHint().width()
        wanted = self._text.fontMetrics().horizontalAdvance(self._text.text()) + 4
        self.setFixedWidth(min(room, wanted + beside))
        self.setFixedHeight(max(40, self._row.heightForWidth(self.width())))
        self.move((self._host.width() - self.width()) // 2, self._host.height() - self.height() - 2 * SPACE)
