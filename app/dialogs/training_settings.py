"""Advanced: every setting of a run, what it does and what is usual; wrong values are refused in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.panels.field_row import FieldRow
from app.panels.option_fields import check_option, option_fields, own_options
from app.panels.parts import hairline, label
from app.panels.training_fields import GROUPS, Value, back_to_preset, changed
from app.theme import SPACE
from core.learning.config import TrainConfig
from core.models.specs import ModelSpec


class TrainingSettingsDialog(QDialog):
    """All settings; they count from the next run on.

    Attributes:
        rows: by field of `TrainConfig`. option_rows: by option of the network that is chosen.

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
        self._network: tuple[str, str] | None = None
        self._spec: ModelSpec | None = None
        self.rows: dict[str, FieldRow] = {}
        self.option_rows: dict[str, FieldRow] = {}
        self._lead = label("", "muted")
        self._lead.setWordWrap(True)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Find a setting")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._look_for)
        self._nothing = label("No setting is called or described so.", "muted")
        self._nothing.hide()
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
        close.setAutoDefault(False)
        close.clicked.connect(self.close)
        buttons = QHBoxLayout()
        buttons.addWidget(self.reset_button)
        buttons.addStretch(1)
        buttons.addWidget(close)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(self._groups_of_rows())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE * 3, SPACE * 3, SPACE * 3, SPACE * 2)
        layout.setSpacing(SPACE)
        layout.addWidget(self._lead)
        layout.addWidget(self.search)
        layout.addWidget(area, 1)
        layout.addLayout(buttons)

    @property
    def lead_text(self) -> str:
        """How many settings are a person's own."""
        return self._lead.text()

    @property
    def network_text(self) -> str:
        """Whose options are on show."""
        return self._options.title.text()

    def set_network(self, spec: ModelSpec, encoder: str) -> None:
        """Offer the options of this network, on this encoder."""
        if (spec.name, encoder) == self._network:
            return
        self._network, self._spec = (spec.name, encoder), spec
        self.option_rows = {}
        for field in option_fields(spec):
            row = FieldRow(field, partial(check_option, spec, encoder, field.name))
            row.value_changed.connect(partial(self._on_option, field.name))
            self.option_rows[field.name] = row
        self._options.title.setText(f"The network: {spec.title}")
        self._options.set_rows(list(self.option_rows.values()))
        self._look_for(self.search.text())

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
        options = dict(config.model_options)
        for name, row in self.option_rows.items():
            row.set_value(options.get(name, row.spec.default))
        own = len(changed(config)) + (len(own_options(self._spec, options)) if self._spec else 0)
        if own:
            words = f"{own} setting{'s differ' if own > 1 else ' differs'} from the preset {preset}."
        else:
            words = f"All as the preset {preset} has it. What is left empty follows the preset."
        self._lead.setText(f"{promise}\n{words} Changes count from the next run on.")
        self.reset_button.setEnabled(own > 0 or any(row.problem for row in self._all_rows()))

    def _all_rows(self) -> list[FieldRow]:
        return [*self.rows.values(), *self.option_rows.values()]

    def _groups_of_rows(self) -> QWidget:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, SPACE * 2, 0)
        column.setSpacing(SPACE * 3 // 2)
        self._options = _Group("")
        self._groups = [self._options]
        for title, specs in GROUPS:
            group = _Group(title)
            rows = {spec.name: FieldRow(spec) for spec in specs}
            for name, row in rows.items():
                row.value_changed.connect(partial(self._on_value, name))
            group.set_rows(list(rows.values()))
            if "augment" in rows:
                group.add_button(self.preview_button)
            self.rows |= rows
            self._groups.append(group)
        column.addWidget(self._nothing)
        for group in self._groups:
            column.addWidget(group)
        column.addStretch(1)
        return inside

    def _look_for(self, typed: str) -> None:
        found = [group.look_for(typed) for group in self._groups]
        self._nothing.setVisible(not any(found))

    def _on_value(self, name: str, value: Value) -> None:
        self._config = replace(self._config, **{name: value})  # type: ignore[arg-type]
        self.config_changed.emit(self._config)

    def _on_option(self, name: str, value: Value) -> None:
        assert value is not None
        assert self._spec is not None
        own = own_options(self._spec, dict(self._config.model_options) | {name: value})
        self._config = replace(self._config, model_options=tuple(own.items()))
        self.config_changed.emit(self._config)

    def _on_reset(self) -> None:
        for row in self._all_rows():
            if row.problem:
                row.back.click()
        self._config = back_to_preset(self._config)
        self.config_changed.emit(self._config)


class _Group(QWidget):
    """Rows under a heading, with a line above it."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = label(title, "heading")
        self._rows: list[FieldRow] = []
        self._heading = QHBoxLayout()
        self._heading.addWidget(self.title)
        self._heading.addStretch(1)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(SPACE * 3 // 2)
        self._column.addLayout(self._heading)
        self._line = hairline()
        self._column.addWidget(self._line)

    def add_button(self, button: QPushButton) -> None:
        """Put a button beside the heading."""
        self._heading.addWidget(button)

    def set_rows(self, rows: Sequence[FieldRow]) -> None:
        """Show these instead of any others."""
        for row in self._rows:
            self._column.removeWidget(row)
            row.hide()
            row.deleteLater()
        self._rows = list(rows)
        for position, row in enumerate(rows):
            self._column.insertWidget(1 + position, row)

    def look_for(self, typed: str) -> bool:
        """Show only the rows that fit; False where none does, and the group is not shown."""
        for row in self._rows:
            row.setVisible(row.fits(typed))
        found = any(not row.isHidden() for row in self._rows)
        self.setVisible(found)
        return found
