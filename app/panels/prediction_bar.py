"""Controls of the prediction overlay, at the canvas' lower edge."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSlider, QWidget

from app.panels.parts import ElidedLabel, IconButton, IconPushButton, label
from app.theme import SPACE


class PredictionBar(QFrame):
    """Show labels, show prediction, how strongly; accept it.

    Signals:
        labels_toggled(bool), prediction_toggled(bool), opacity_changed(float): 0..1, accept_all_requested,
        pick_requested: accept regions by clicking them.
    """

    labels_toggled = Signal(bool)
    prediction_toggled = Signal(bool)
    opacity_changed = Signal(float)
    accept_all_requested = Signal()
    pick_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "floating")
        self.labels = IconButton("labels", "Show labels (L)", checkable=True)
        self.prediction = IconButton("prediction", "Show prediction (P)", checkable=True)
        for button, text in ((self.labels, "Labels"), (self.prediction, "Prediction")):
            button.setText(text)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setChecked(True)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setPageStep(10)
        self.opacity.setFixedWidth(96)
        self.opacity.setAccessibleName("Opacity of the prediction")
        self._percent = label("", "small")
        self._percent.setMinimumWidth(self._percent.fontMetrics().horizontalAdvance("100 %"))
        self._source = ElidedLabel("", "small")
        self.pick = IconPushButton("region", "Pick regions", "ghost")
        self.pick.setToolTip("Click predicted regions to make them editable shapes (R)")
        self.accept_all = IconPushButton("accept-all", "Accept all", "ghost")
        self.accept_all.setToolTip("Turn every predicted region into editable shapes (Ctrl+Enter)")
        for accepting in (self.pick, self.accept_all):
            accepting.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # the canvas keeps the keyboard
        self._rule = QFrame()
        self._rule.setProperty("kind", "upright")

        layout = QHBoxLayout(self)
        layout.setContentsMargins(SPACE // 2, SPACE // 2, SPACE // 2, SPACE // 2)
        layout.setSpacing(SPACE // 2)
        layout.addWidget(self.labels)
        layout.addWidget(self.prediction)
        layout.addSpacing(SPACE // 2)
        layout.addWidget(self.opacity)
        layout.addWidget(self._percent)
        layout.addWidget(self._rule)
        layout.addSpacing(SPACE // 2)
        layout.addWidget(self._source, 1)
        layout.addWidget(self.pick)
        layout.addWidget(self.accept_all)

        self.labels.toggled.connect(self.labels_toggled)
        self.prediction.toggled.connect(self._on_prediction_toggled)
        self.opacity.valueChanged.connect(self._on_opacity_changed)
        self.pick.clicked.connect(self.pick_requested)
        self.accept_all.clicked.connect(self.accept_all_requested)
        self._available = False
        self._absence = ""
        self.set_opacity(0.45)
        self.set_prediction_available(False)

    @property
    def hint(self) -> str:
        """The line that says what can be done."""
        return self._source.whole_text

    def set_labels_visible(self, visible: bool) -> None:
        """Mirror the canvas."""
        with QSignalBlocker(self.labels):
            self.labels.setChecked(visible)

    def set_prediction_visible(self, visible: bool) -> None:
        """Mirror the canvas."""
        with QSignalBlocker(self.prediction):
            self.prediction.setChecked(visible)
        self._enable()

    def set_opacity(self, opacity: float) -> None:
        """Mirror the canvas; 0..1."""
        with QSignalBlocker(self.opacity):
            self.opacity.setValue(round(100 * opacity))
        self._percent.setText(f"{self.opacity.value()} %")

    def set_prediction_available(self, available: bool, absence: str = "") -> None:
        """Whether this image has a prediction that could be shown and accepted.

        Args:
            available: it has.
            absence: said where it has none, instead of the advice to train.
        """
        self._available = available
        self._absence = absence
        self._enable()
        self.set_source("")

    def set_source(self, text: str) -> None:
        """What there is to know beside the hint, for example where the prediction comes from."""
        if self._available:
            hint = "Press Enter over a region to accept it"
        else:
            hint = self._absence or "Train to see a prediction"
        self._source.set_text(f"{hint}  ·  {text}" if text else hint)

    def _enable(self) -> None:
        shown = self._available and self.prediction.isChecked()
        self.opacity.setEnabled(shown)
        self.pick.setEnabled(shown)
        self.accept_all.setEnabled(shown)

    def _on_prediction_toggled(self, visible: bool) -> None:
        self._enable()
        self.prediction_toggled.emit(visible)

    def _on_opacity_changed(self, percent: int) -> None:
        self._percent.setText(f"{percent} %")
        self.opacity_changed.emit(percent / 100)
