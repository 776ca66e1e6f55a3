"""Advanced: every setting of a run, what it does and what is usual; wrong values are refused in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.panels.parts import IconButton, hairline, label, sentence
from app.panels.training_fields import (
    GROUPS,
    FieldSpec,
    Value,
    back_to_preset,
    changed,
    default_of,
    read,
    written,
)
from app.theme import SPACE, set_property
from core.errors import UsageError
from core.learning.config import TrainConfig

_EDITOR_WIDTH: Final = 232


class FieldRow(QWidget):
    """One setting: title, editor, what it does, and a way back to the default.

    Signals:
        value_changed(object): another value that makes sense.
    """

    value_changed = Signal(object)

    def __init__(self, spec: FieldSpec, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.spec = spec
        self.problem = ""
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
        self.set_value(default_of(spec.name), None)

    def set_value(self, value: Value, by_preset: Value) -> None:
        """Show a value; `by_preset` is what an empty field stands for, where the preset decides."""
        editor = self.editor
        with QSignalBlocker(editor):
            if isinstance(editor, QCheckBox):
                editor.setChecked(bool(value))
            elif isinstance(editor, QComboBox):
                if editor.findData(value) < 0:  # a loss of somebody's own making, say
                    editor.addItem(str(value), value)
                editor.setCurrentIndex(editor.findData(value))
            elif isinstance(editor, QLineEdit):
                default = default_of(self.spec.name)
                shown = "" if value == default else written(value)
                if not self.problem and shown != editor.text().strip():
                    editor.setText(shown)
                editor.setPlaceholderText(self._default_words(default, by_preset))
        self.back.setVisible(value != default_of(self.spec.name) or bool(self.problem))

    def _default_words(self, default: Value, by_preset: Value) -> str:
        if default is not None:
            return written(default)
        if by_preset is not None:
            return f"{written(by_preset)}, by preset"
        return self.spec.empty or "by preset"

    def _make_editor(self) -> QWidget:
        spec = self.spec
        if spec.kind == "switch":
            switch = QCheckBox("on")
            switch.toggled.connect(self._on_switched)
            return switch
        if spec.kind == "choice":
            choice = QComboBox()
            for value, title in spec.choices:
                choice.addItem(title, value)
            choice.currentIndexChanged.connect(self._on_chosen)
            return choice
        edit = QLineEdit()
        edit.textChanged.connect(self._on_text)
        return edit

    def _on_switched(self, on: bool) -> None:
        self.value_changed.emit(on)

    def _on_chosen(self) -> None:
        assert isinstance(self.editor, QComboBox)
        self.value_changed.emit(self.editor.currentData())

    def _on_text(self, text: str) -> None:
        try:
            value = read(self.spec, text)
        except UsageError as error:
            self._show_problem(sentence(str(error)))
            return
        self._show_problem("")
        self.value_changed.emit(value)

    def _show_problem(self, text: str) -> None:
        self.problem = text
        self._note.setText(text)
        self._note.setVisible(bool(text))
        set_property(self.editor, "wrong", bool(text))
        if text:
            self.back.show()

    def _on_back(self) -> None:
        self._show_problem("")
        if isinstance(self.editor, QLineEdit):
            with QSignalBlocker(self.editor):
                self.editor.clear()
        self.value_changed.emit(default_of(self.spec.name))


class TrainingSettingsDialog(QDialog):
    """All settings; they count from the next run on.

    Signals:
        config_changed(TrainConfig): a setting has another value, which makes sense.
        preview_requested: show what augmentation does.
    """

    config_changed = Signal(object)
    preview_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Advanced training settings")
        self.setModal(False)
        self.resize(640, 620)
        self._config = TrainConfig()
        self.rows: dict[str, FieldRow] = {}
        self._lead = label("", "muted")
        self._lead.setWordWrap(True)
        self.preview_button = QPushButton("Preview…")
        self.preview_button.setToolTip("Crops of the image on show, as the network sees them")
        self.preview_button.setAutoDefault(False)
        self.preview_button.clicked.connect(self.preview_requested)
        self.reset_button = QPushButton("Back to preset")
        self.reset_button.setToolTip("All settings as they are by default")
        self.reset_button.setAutoDefault(False)
        self.reset_button.clicked.connect(self._on_reset)
        close = QPushButton("Close")
        close.setProperty("kind", "primary")
        close.clicked.connect(self.close)
        buttons = QHBoxLayout()
        buttons.addWidget(self.reset_button)
        buttons.addStretch(1)
        buttons.addWidget(close)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(self._groups())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE * 3, SPACE * 3, SPACE * 3, SPACE * 2)
        layout.setSpacing(SPACE)
        layout.addWidget(self._lead)
        layout.addWidget(area, 1)
        layout.addLayout(buttons)

    @property
    def lead_text(self) -> str:
        """How many settings are a person's own."""
        return self._lead.text()

    def set_config(
        self, config: TrainConfig, by_preset: Mapping[str, Value], preset: str, promise: str
    ) -> None:
        """Show a configuration.

        Args:
            config: what is chosen.
            by_preset: what the preset makes of fields that are left to it.
            preset: its title.
            promise: what it means on this device.
        """
        self._config = config
        for name, row in self.rows.items():
            row.set_value(getattr(config, name), by_preset.get(name))
        own = len(changed(config))
        if own:
            words = f"{own} setting{'s differ' if own > 1 else ' differs'} from the preset {preset}."
        else:
            words = f"All as the preset {preset} has it. What is left empty follows the preset."
        self._lead.setText(f"{promise}\n{words} Changes count from the next run on.")
        self.reset_button.setEnabled(own > 0 or any(row.problem for row in self.rows.values()))

    def _groups(self) -> QWidget:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, SPACE * 2, 0)
        column.setSpacing(SPACE * 3 // 2)
        for position, (title, group) in enumerate(GROUPS):
            if position:
                column.addWidget(hairline())
            heading = QHBoxLayout()
            heading.addWidget(label(title, "heading"))
            heading.addStretch(1)
            if any(spec.name == "augment" for spec in group):
                heading.addWidget(self.preview_button)
            column.addLayout(heading)
            for spec in group:
                row = FieldRow(spec)
                row.value_changed.connect(partial(self._on_value, spec.name))
                self.rows[spec.name] = row
                column.addWidget(row)
        column.addStretch(1)
        return inside

    def _on_value(self, name: str, value: Value) -> None:
        self._config = replace(self._config, **{name: value})  # type: ignore[arg-type]
        self.config_changed.emit(self._config)

    def _on_reset(self) -> None:
        for row in self.rows.values():
            if row.problem:
                row.back.click()
        self._config = back_to_preset(self._config)
        self.config_changed.emit(self._config)
