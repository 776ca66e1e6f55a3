"""Crops of the image on show, as the network sees them when it trains, with their labels tinted."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QImage, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.panels.parts import IconPushButton, label
from app.theme import SPACE
from core.annotation.model import UNLABELLED, ClassList
from core.learning.answers import CropsPreviewed

WAITING: Final = "The engine makes the crops…"
_COLUMNS: Final = 4
_TINT: Final = 0.45
_DIM: Final = 0.35
"""How much of an unlabelled pixel is left: nothing is learned from it."""


class AugmentationPreviewDialog(QDialog):
    """Stays open beside the window and follows the settings.

    Signals:
        wanted: show other crops.
    """

    wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("What the network sees")
        self.setModal(False)
        self.resize(820, 520)
        self._classes = ClassList()
        self._shown: CropsPreviewed | None = None
        self._lead = label("", "muted")
        self._lead.setWordWrap(True)
        self.labels_box = QCheckBox("Labels")
        self.labels_box.setToolTip("Tint the crops by their classes; what nobody has labelled is dimmed")
        self.labels_box.setChecked(True)
        self.labels_box.toggled.connect(self._draw)
        self.again_button = IconPushButton("refresh", "Again", "primary")
        self.again_button.clicked.connect(self.wanted)
        self.tiles: list[_Crop] = []
        self._grid = QGridLayout()
        self._grid.setSpacing(SPACE)
        row = QHBoxLayout()
        row.addWidget(self.labels_box)
        row.addStretch(1)
        row.addWidget(self.again_button)
        self._rows = layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE * 3, SPACE * 3, SPACE * 3, SPACE * 2)
        layout.setSpacing(SPACE)
        layout.addWidget(self._lead)
        layout.addLayout(self._grid, 1)
        layout.addLayout(row)
        self.set_waiting()

    @property
    def lead_text(self) -> str:
        """What is shown, or why nothing is."""
        return self._lead.text()

    def set_classes(self, classes: ClassList) -> None:
        """The colours of the labels."""
        self._classes = classes
        self._draw()

    def clear(self, words: str = WAITING) -> None:
        """The crops on show are of another project, or image: these words take their place."""
        self._shown = None
        self._draw()
        self._place_lead(alone=True)
        self._lead.setText(words)

    def set_waiting(self) -> None:
        """Crops have been asked for."""
        if self._shown is None:
            self.clear()

    def _place_lead(self, *, alone: bool) -> None:
        """Above the crops, or in their place."""
        above = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop
        self._lead.setAlignment(Qt.AlignmentFlag.AlignCenter if alone else above)
        self._rows.setStretchFactor(self._lead, int(alone))
        self._rows.setStretchFactor(self._grid, int(not alone))
        self.labels_box.setEnabled(not alone)

    def set_crops(self, crops: CropsPreviewed, *, varied: bool) -> None:
        """Show crops, or what is in the way of them; `varied`: they are augmented."""
        self._shown = crops
        self._place_lead(alone=bool(crops.problem))
        if crops.problem:
            self._lead.setText(crops.problem)
        else:
            scale = "" if crops.scale == 1 else f" at {crops.scale:g} of the image's size"
            how = "varied at random, every time anew" if varied else "not varied: augmentation is off"
            self._lead.setText(f"Crops of {crops.side} pixels{scale}, {how}. Dimmed pixels are unlabelled.")
        self._draw()

    def _draw(self) -> None:
        crops = self._shown
        pictures = [] if crops is None or crops.problem else self._pictures(crops)
        while len(self.tiles) < len(pictures):
            tile = _Crop()
            row, column = divmod(len(self.tiles), _COLUMNS)
            self._grid.addWidget(tile, row, column)
            self._grid.setRowStretch(row, 1)
            self._grid.setColumnStretch(column, 1)
            self.tiles.append(tile)
        for number, tile in enumerate(self.tiles):
            tile.setVisible(number < len(pictures))
            if number < len(pictures):
                tile.set_pixels(pictures[number])

    def _pictures(self, crops: CropsPreviewed) -> list[NDArray[np.uint8]]:
        shape = crops.count, crops.side, crops.side
        pixels = np.frombuffer(crops.pixels, np.uint8).reshape(*shape, 3)
        if not self.labels_box.isChecked():
            return list(pixels)
        labels = np.frombuffer(crops.labels, np.uint8).reshape(shape)
        colors = np.zeros((256, 3), np.float32)
        tint = np.zeros((256, 1), np.float32)
        for label_class in self._classes:
            if label_class.index != self._classes.background:
                colors[label_class.index], tint[label_class.index] = label_class.rgb, _TINT
        tint[UNLABELLED] = 1 - _DIM
        alpha = tint[labels]
        return list((pixels * (1 - alpha) + colors[labels] * alpha).astype(np.uint8))


class _Crop(QLabel):
    """One crop, as large as there is room for."""

    def __init__(self) -> None:
        super().__init__()
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setMinimumSize(96, 96)
        # All are of one size, whatever the pictures in them were before the dialog had its own.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self._whole = QPixmap()

    def set_pixels(self, pixels: NDArray[np.uint8]) -> None:
        """Show (S, S, 3), uint8."""
        side = len(pixels)
        data = np.ascontiguousarray(pixels)
        self._whole = QPixmap.fromImage(
            QImage(data.data, side, side, 3 * side, QImage.Format.Format_RGB888).copy()
        )
        self._fit()

    def sizeHint(self) -> QSize:
        """Whatever the dialog has."""
        return QSize(160, 160)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Scale anew."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if self._whole.isNull():
            return
        ratio = self.devicePixelRatioF()
        room = self.size() * ratio
        scaled = self._whole.scaled(
            room, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        scaled.setDevicePixelRatio(ratio)
        self.setPixmap(scaled)
