"""A line that says the same in more or fewer words, as room allows."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QWidget

from app.panels.parts import ElidedLabel


class FactsLabel(ElidedLabel):
    """Says the same in more or fewer words: the first wording that there is room for."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", "small", parent=parent)
        self._texts: tuple[str, ...] = ("",)
        self._explained = ""

    @property
    def longest(self) -> str:
        """The first wording."""
        return self._texts[0]

    def set_texts(self, texts: list[str], explained: str = "") -> None:
        """The wordings, longest first, and what the tooltip adds to them."""
        if (tuple(texts), explained) != (self._texts, self._explained):
            self._texts, self._explained = tuple(texts), explained
            self.updateGeometry()
            self._choose()

    def minimumSizeHint(self) -> QSize:
        """Can be as narrow as the last wording, or as an ellipsis where there is only one."""
        least = super().minimumSizeHint()
        if len(self._texts) == 1:
            return least
        return QSize(self._width_of(self._texts[-1]) + 1, least.height())

    def sizeHint(self) -> QSize:
        """Wants room for the first wording."""
        return QSize(self._width_of(self.longest), super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Choose anew."""
        super().resizeEvent(event)
        self._choose()

    def _choose(self) -> None:
        room = self.contentsRect().width()
        advance = self.fontMetrics().horizontalAdvance
        chosen = next((text for text in self._texts if advance(text) < room), self._texts[-1])
        whole = self.longest if chosen != self.longest else ""
        self.set_text(chosen, "\n\n".join(part for part in (whole, self._explained) if part))
