"""The choices of the training panel: combo boxes that elide, and one whose many entries can be searched."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QComboBox, QSizePolicy, QStyle, QStyleOptionComboBox, QStylePainter

from app.panels.network_words import provenance, short_title
from app.panels.tips import WrappedTip
from core.models.specs import EncoderSpec


class ElidedComboBox(WrappedTip, QComboBox):
    """Shortens what is chosen with an ellipsis where Qt would cut a letter in two."""

    def paintEvent(self, event: QPaintEvent) -> None:
        """The frame, and as much of the text as there is room for."""
        painter = QStylePainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        field = QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, field, self).width()
        option.currentText = option.fontMetrics.elidedText(
            option.currentText, Qt.TextElideMode.ElideRight, room - 2
        )
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def choose(self, value: object) -> None:
        """Choose the entry of this value, the first one where there is none."""
        self.setCurrentIndex(max(self.findData(value), 0))


class EncoderCombo(ElidedComboBox):
    """Opens a list of encoders that can be searched, with their sizes and licences."""

    def set_encoders(self, encoders: list[EncoderSpec], chosen: str | None) -> None:
        """Offer these."""
        self._encoders = encoders
        self.clear()
        for encoder in encoders:
            self.addItem(short_title(encoder), encoder.name)
            self.setItemData(self.count() - 1, provenance(encoder), Qt.ItemDataRole.ToolTipRole)
        self.choose(chosen)

    def showPopup(self) -> None:
        """The list, above or below, where there is room."""
        from app.dialogs.encoder_picker import EncoderPicker

        picker = EncoderPicker(self._encoders, self.currentData(), self.window())
        picker.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        picker.encoder_chosen.connect(self.choose)
        screen = self.screen().availableGeometry()
        here = QRect(self.mapToGlobal(QPoint(0, 0)), self.size())
        left = max(screen.left(), min(here.left(), screen.right() - picker.width()))
        below = here.bottom() + 2 + picker.height() <= screen.bottom()
        picker.show_at(QPoint(left, here.bottom() + 2 if below else here.top() - 2 - picker.height()), below)


_Kind = TypeVar("_Kind", bound=ElidedComboBox)


def dressed(combo: _Kind, name: str) -> _Kind:
    """The combo box, which takes what room there is, by a name for people."""
    combo.setAccessibleName(name)
    combo.setToolTip(name)
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    combo.setMinimumWidth(76)
    combo.view().setMinimumWidth(180)
    return combo
