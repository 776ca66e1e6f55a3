"""One setting as a row: title, editor, what it does, and a way back to the default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLineEdit, QSpinBox, QWidget

from app.panels.parts import IconButton, inset, label
from app.panels.training_fields import FieldSpec, Value, read, written
from app.panels.wheel import leave_wheel_to_the_list
from app.readable import sentence
from app.theme import SPACE, set_property
from app.typed_words import words_are_in
from core.errors import UsageError

_EDITOR_WIDTH: Final = 232


class FieldRow(QWidget):
    """Refuses in place what makes no sense.

    Args:
        spec: the setting.
        check: raises UsageError, one sentence, for a value that is refused.

    Attributes:
        problem: why what the editor shows is refused; "" if it is not.

    Signals:
        value_changed(object): another value that makes sense.
    """

    value_changed = Signal(object)

    def __init__(
        self,
        spec: FieldSpec,
        check: Callable[[Value], None] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.spec = spec
        self.problem = ""
        self._check = check
        self._value: Value = spec.default
        self._explanation = label(spec.explanation, "small")
        self._explanation.setWordWrap(True)
        self._note = label("", "error")
        self._note.setWordWrap(True)
        self.editor = self._make_editor()
        self.editor.setAccessibleName(spec.title)
        self.editor.setAccessibleDescription(spec.explanation)
        self.editor.setFixedWidth(_EDITOR_WIDTH)
        self.back = IconButton("undo", f"{spec.title}: back to the default")
        self.back.clicked.connect(self._on_back)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(SPACE)
        layout.setVerticalSpacing(2)
        layout.setColumnStretch(0, 1)
        top = Qt.AlignmentFlag.AlignTop
        layout.addWidget(label(spec.title, "strong"), 0, 0)
        layout.addWidget(self._explanation, 1, 0)
        layout.addWidget(self.editor, 0, 1, 2, 1, top)
        layout.addWidget(self.back, 0, 2, 2, 1, top)
        layout.addWidget(self._note, 2, 0, 1, 3)
        policy = self.back.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.back.setSizePolicy(policy)
        self._note.hide()
        self.set_value(spec.default, None)

    def set_value(self, value: Value, by_preset: Value = None) -> None:
        """Show a value; `by_preset` is what an empty field stands for, where the preset decides.

        What is typed and refused stays as long as the value does.
        """
        editor = self.editor
        if value != self._value:
            self._value = value
            self._show_problem("")
        with QSignalBlocker(editor):
            if isinstance(editor, QCheckBox):
                editor.setChecked(bool(value))
            elif isinstance(editor, QComboBox):
                if editor.findData(value) < 0:  # a loss of somebody's own making, say
                    editor.addItem(str(value), value)
                editor.setCurrentIndex(editor.findData(value))
            elif isinstance(editor, QSpinBox):
                editor.setValue(int(value or 0))
            elif isinstance(editor, QLineEdit):
                if not self.problem and not self._says(editor.text(), value):
                    editor.setText("" if value == self.spec.default else written(value))
                editor.setPlaceholderText(self._default_words(by_preset))
        if not isinstance(editor, QLineEdit):
            self._show_problem(self._problem_with(value))
        self.back.setVisible(value != self.spec.default or bool(self.problem))

    def fits(self, typed: str) -> bool:
        """Whether every word of what is looked for is said of this setting."""
        return words_are_in(typed, f"{self.spec.title} {self.spec.name} {self.spec.explanation}")

    def _default_words(self, by_preset: Value) -> str:
        if self.spec.default is not None:
            return written(self.spec.default)
        if by_preset is not None:
            return f"{written(by_preset)}, by preset"
        return self.spec.empty or "by preset"

    def _make_editor(self) -> QWidget:
        spec = self.spec
        if spec.kind == "switch":
            switch = QCheckBox("on")
            switch.toggled.connect(self._offer)
            return switch
        if spec.kind == "choice":
            choice = QComboBox()
            for value, title in spec.choices:
                choice.addItem(title, value)
            choice.currentIndexChanged.connect(self._on_chosen)
            leave_wheel_to_the_list(choice)
            return choice
        if spec.kind == "count":
            count = QSpinBox()
            count.setRange(spec.least, spec.most)
            inset(count)
            count.valueChanged.connect(self._offer)
            leave_wheel_to_the_list(count)
            return count
        edit = QLineEdit()
        edit.textChanged.connect(self._on_text)
        return edit

    def _on_chosen(self) -> None:
        assert isinstance(self.editor, QComboBox)
        self._offer(self.editor.currentData())

    def _says(self, text: str, value: Value) -> bool:
        """Whether a text, which may still be being typed ("0."), stands for a value."""
        try:
            return read(self.spec, text) == value
        except UsageError:
            return False

    def _on_text(self, text: str) -> None:
        try:
            value = read(self.spec, text)
        except UsageError as error:
            self._show_problem(sentence(str(error)))
            return
        self._offer(value)

    def _offer(self, value: Value) -> None:
        self._show_problem(self._problem_with(value))
        if not self.problem:
            self._value = value
            self.value_changed.emit(value)

    def _problem_with(self, value: Value) -> str:
        if self._check is None or value == self.spec.default:
            return ""
        try:
            self._check(value)
        except UsageError as error:
            return sentence(str(error))
        return ""

    def _show_problem(self, text: str) -> None:
        self.problem = text
        self._note.setText(text)
        self._note.setVisible(bool(text))
        set_property(self.editor, "wrong", bool(text))
        if text:
            self.back.show()

    def _on_back(self) -> None:
        self._show_problem("")
        self.set_value(self.spec.default)
        self.value_changed.emit(self.spec.default)
