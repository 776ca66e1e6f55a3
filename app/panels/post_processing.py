"""Post-processing of predictions: each step with a switch and its parameters."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.panels.headings import PanelHeading
from app.panels.parts import MIN_PANEL_WIDTH, IconButton, inset, label
from app.panels.wheel import leave_wheel_to_the_list
from app.theme import SPACE
from core.postprocess.pipeline import STEPS, Number, ParameterSpec, Pipeline, Step, StepSpec

LEAD: Final = "What is done to every prediction before it is shown, accepted, and predicted into folders."
_FIELD_WIDTH: Final = 104


class StepBox(QWidget):
    """One step: a switch, what it does, and while it is on its parameters.

    Signals:
        changed: switched, or another parameter.
    """

    changed = Signal()

    def __init__(self, spec: StepSpec, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.spec = spec
        self.switch = QCheckBox(spec.title)
        self.switch.setAccessibleDescription(spec.tip)
        self._tip = _small(spec.tip)
        self.fields = {parameter.name: _field(parameter) for parameter in spec.parameters}
        self._rows = QWidget()
        grid = QGridLayout(self._rows)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(SPACE)
        grid.setVerticalSpacing(SPACE // 2)
        grid.setColumnStretch(0, 1)
        for row, parameter in enumerate(spec.parameters):
            field = self.fields[parameter.name]
            name = label(parameter.title, "muted")
            name.setToolTip(parameter.tip)
            grid.addWidget(name, row, 0)
            grid.addWidget(field, row, 1)
            field.valueChanged.connect(self.changed)
        inside = QVBoxLayout()
        inside.setContentsMargins(SPACE * 3, 0, 0, 0)  # under the switch's words
        inside.setSpacing(SPACE // 2)
        inside.addWidget(self._tip)
        inside.addWidget(self._rows)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE // 4)
        layout.addWidget(self.switch)
        layout.addLayout(inside)
        self.switch.toggled.connect(self._on_switched)
        self.set_step(None)

    @property
    def step(self) -> Step | None:
        """What is chosen; None while it is off."""
        if not (self.switch.isChecked() and self.switch.isEnabled()):
            return None
        return self.spec.made({name: _value(field) for name, field in self.fields.items()})

    def set_step(self, step: Step | None) -> None:
        """Show a step, silently; None switches it off, with the usual parameters."""
        values = self.spec.values(self.spec.kind() if step is None else step)
        with QSignalBlocker(self.switch):
            self.switch.setChecked(step is not None)
        for name, value in values.items():
            field = self.fields[name]
            with QSignalBlocker(field):
                field.setValue(value)  # type: ignore[arg-type]  # a whole one where the field takes those
        self._rows.setVisible(step is not None)

    def set_obstacle(self, text: str) -> None:
        """Why the step cannot be done; "" if it can."""
        self.switch.setEnabled(not text)
        self._tip.setText(text or self.spec.tip)
        self._rows.setVisible(not text and self.switch.isChecked())

    def _on_switched(self, on: bool) -> None:
        self._rows.setVisible(on)
        self.changed.emit()


class PostPanel(QWidget):
    """All steps, in the order they are done. Knows no session.

    Signals:
        pipeline_changed(object Pipeline): another choice.
        copy_requested(): the choice as text, for the command line.
    """

    pipeline_changed = Signal(object)
    copy_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.steps = {spec.name: StepBox(spec) for spec in STEPS}
        self.copy_button = IconButton("copy", "Copy as text, for maskloop predict --post")
        self.heading = PanelHeading("Clean up", "prediction")
        self.reset_button = QPushButton("Reset")
        self.reset_button.setProperty("kind", "ghost")
        self.reset_button.setToolTip("Switch all steps off, with their usual numbers")
        self.heading.add_tool(QWidget(), 1)
        self.heading.add_tool(self.copy_button)
        self._note = _small("")
        self._lay_out()
        for box in self.steps.values():
            box.changed.connect(self._on_changed)
        self.copy_button.clicked.connect(self.copy_requested)
        self.reset_button.clicked.connect(self._on_reset)
        self._refresh()

    def _lay_out(self) -> None:
        content = QWidget()
        rows = QVBoxLayout(content)
        rows.setContentsMargins(SPACE * 3 // 2, SPACE // 2, SPACE, SPACE)
        rows.setSpacing(SPACE)
        rows.addWidget(_small(LEAD))
        for box in self.steps.values():
            rows.addWidget(box)
        rows.addStretch(1)
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(content)
        foot = QHBoxLayout()
        foot.setContentsMargins(SPACE * 3 // 2, SPACE // 2, SPACE, SPACE // 2)
        foot.setSpacing(SPACE)
        foot.addWidget(self._note, 1)
        foot.addStretch()
        foot.addWidget(self.reset_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.heading)
        layout.addWidget(area, 1)
        layout.addLayout(foot)
        self.setMinimumWidth(MIN_PANEL_WIDTH)

    @property
    def pipeline(self) -> Pipeline:
        """What is chosen."""
        chosen = (box.step for box in self.steps.values())
        return Pipeline(tuple(step for step in chosen if step is not None))

    @property
    def note(self) -> str:
        """The line at the bottom."""
        return self._note.text()

    def set_pipeline(self, pipeline: Pipeline) -> None:
        """Show a choice, silently."""
        for box in self.steps.values():
            box.set_step(next((step for step in pipeline.steps if type(step) is box.spec.kind), None))
        self._refresh()

    def set_background(self, exists: bool) -> None:
        """Whether there is a class that lines between objects can be of."""
        self.steps["watershed"].set_obstacle("" if exists else "This needs a background class.")
        self._refresh()

    def set_note(self, text: str) -> None:
        """What has become of the choice."""
        self._note.setText(text)
        self._note.setVisible(bool(text))

    def _on_changed(self) -> None:
        self._refresh()
        self.pipeline_changed.emit(self.pipeline)

    def _on_reset(self) -> None:
        self.set_pipeline(Pipeline())
        self.pipeline_changed.emit(self.pipeline)

    def _refresh(self) -> None:
        self.copy_button.setEnabled(bool(self.pipeline))
        self.reset_button.setVisible(bool(self.pipeline))


def _field(parameter: ParameterSpec) -> QSpinBox | QDoubleSpinBox:
    field: QSpinBox | QDoubleSpinBox
    if parameter.whole:
        field = QSpinBox()
        field.setRange(round(parameter.least), round(parameter.most))
        field.setStepType(QSpinBox.StepType.AdaptiveDecimalStepType)
    else:
        field = QDoubleSpinBox()
        field.setRange(parameter.least, parameter.most)
        field.setDecimals(2 if parameter.most <= 1 else 1)
        field.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
    field.setSuffix(f" {parameter.unit}" if parameter.unit else "")
    field.setFixedWidth(_FIELD_WIDTH)
    inset(field)
    leave_wheel_to_the_list(field)
    field.setToolTip(parameter.tip)
    field.setAccessibleName(parameter.title)
    field.setAccessibleDescription(parameter.tip)
    return field


def _value(field: QSpinBox | QDoubleSpinBox) -> Number:
    return field.value()


def _small(text: str) -> QLabel:
    found = label(text, "small")
    found.setWordWrap(True)
    return found
