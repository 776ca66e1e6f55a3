"""A network as boxes and arrows: each block right of what it takes its maps from, coarser maps lower down."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log2
from typing import Final

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.theme import RADIUS, SPACE, Themed, Tokens
from core.learning.explain.explained import PICTURE, Block, Explanation

BOX_WIDTH: Final = 112
GAP: Final = 20
PITCH: Final = BOX_WIDTH + GAP
"""From one column to the next, to the right."""
BOX_HEIGHT: Final = 50
LEVEL: Final = 68
"""From one resolution to the next coarser one, down."""
SMALLEST: Final = 0.62
"""Zoom to which it shrinks where room is short; smaller letters could not be read."""
_TOP: Final = 40
"""Above the finest level: room for skips that pass over what is between."""


class NetworkDiagram(Themed, QWidget):
    """Paints an explanation's blocks; a click or the arrow keys choose one.

    Signals:
        block_chosen(int): position of a block.
    """

    block_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._blocks: tuple[Block, ...] = ()
        self._tile = 0
        self._boxes: list[QRectF] = []
        self._lanes: dict[tuple[int, int], int] = {}
        self._chosen = -1
        self._words = ""
        self._room = QSize()
        self._zoom = 1.0
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Minimum)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Diagram of the network")
        self.setMouseTracking(True)

    @property
    def chosen(self) -> int:
        """Position of the block that is chosen; -1: none."""
        return self._chosen

    def set_explanation(self, explanation: Explanation | None) -> None:
        """Show a network; None: nothing."""
        self._blocks = () if explanation is None else explanation.blocks
        self._tile = 0 if explanation is None else explanation.tile
        self._chosen = -1
        self._lay_out()
        self.updateGeometry()
        self.update()

    def set_words(self, text: str) -> None:
        """Say this in place of a network."""
        self._words = text
        self.set_explanation(None)

    def choose(self, position: int) -> None:
        """Choose a block, and say so."""
        if 0 <= position < len(self._blocks) and position != self._chosen:
            self._chosen = position
            self.update()
            self.block_chosen.emit(position)

    def box_of(self, position: int) -> QRectF:
        """Where a block is on the widget; `PICTURE` is the tile."""
        box = self._boxes[position + 1]
        return QRectF(box.topLeft() * self._zoom, box.size() * self._zoom)

    def set_room(self, room: QSize) -> None:
        """There is so much room, logical pixels: it shrinks as far as it can be read."""
        self._room = room
        whole = self._whole_size()
        zoom = max(SMALLEST, min(1.0, room.width() / whole.width(), room.height() / whole.height()))
        if zoom != self._zoom:
            self._zoom = zoom
            self.updateGeometry()
            self.update()

    def height_in(self, width: int) -> int:
        """What it takes from top to bottom in so wide a room, logical pixels."""
        whole = self._whole_size()
        return ceil(whole.height() * max(SMALLEST, min(1.0, width / whole.width())))

    # --- geometry -----------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self._boxes = []
        if not self._blocks:
            return
        levels = [0.0, *(_level(self._tile, block) for block in self._blocks)]
        highest = min(levels)
        ranks = {level: rank for rank, level in enumerate(sorted(set(levels)))}
        evenly = len(ranks) > 8  # fractions of a level each have a row of their own then
        for number, level in enumerate(levels):
            row = ranks[level] if evenly else level - highest
            inputs = self._blocks[number - 1].inputs if number else ()
            left = max((self._boxes[source + 1].left() + PITCH for source in inputs), default=float(SPACE))
            box = QRectF(left, _TOP + row * LEVEL, BOX_WIDTH, BOX_HEIGHT)
            while any(box.intersects(other) for other in self._boxes):
                box.translate(PITCH, 0)
            self._boxes.append(box)
        self._lanes = lanes(
            [(source, at) for at, block in enumerate(self._blocks) for source in block.inputs]
        )
        if self._room.isValid():
            self.set_room(self._room)

    def _whole_size(self) -> QSizeF:
        """What it takes unshrunk."""
        right = max((box.right() for box in self._boxes), default=320.0 - SPACE)
        bottom = max((box.bottom() for box in self._boxes), default=160.0 - SPACE)
        return QSizeF(right + SPACE, bottom + SPACE)

    def sizeHint(self) -> QSize:
        """All of it."""
        return (self._whole_size() * self._zoom).toSize()

    def minimumSizeHint(self) -> QSize:
        """It does not shrink: whoever has less room scrolls."""
        return self.sizeHint()

    def _at(self, place: QPointF) -> int | None:
        return next(
            (number - 1 for number, box in enumerate(self._boxes) if box.contains(place / self._zoom)), None
        )

    # --- mouse and keys -----------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose what is under the mouse."""
        at = self._at(event.position())
        if at is not None and at != PICTURE:
            self.choose(at)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and right go from block to block."""
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        else:
            self.choose(max(0, min(len(self._blocks) - 1, self._chosen + step)))

    def event(self, event: QEvent) -> bool:
        """Tell what is in a block."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            at = self._at(QPointF(event.pos()))
            if at is None or at == PICTURE:
                QToolTip.hideText()
            else:
                QToolTip.showText(event.globalPos(), describe(self._blocks[at]), self)
            return True
        return super().event(event)

    # --- painting -----------------------------------------------------------------------------------------

    def apply_tokens(self, theme: Tokens) -> None:
        """Repaint in the theme's colours."""
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Arrows first, boxes over them."""
        theme = self._tokens_in_use
        if theme is None:
            return
        painter = QPainter(self)
        if not self._blocks:
            painter.setPen(QColor(theme.muted))
            room = self.rect().adjusted(SPACE, SPACE, -SPACE, -SPACE)
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._words)
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.scale(self._zoom, self._zoom)
        for number, block in enumerate(self._blocks):
            for source in block.inputs:
                related = self._chosen in (number, source) and self._chosen >= 0
                self._paint_arrow(painter, theme, source, number, strong=related)
        self._paint_box(painter, theme, PICTURE, "Tile", f"3 × {self._tile} × {self._tile}")
        for number, block in enumerate(self._blocks):
            self._paint_box(painter, theme, number, block.title, size_words(block.shape))

    def _paint_arrow(
        self, painter: QPainter, theme: Tokens, source: int, target: int, *, strong: bool
    ) -> None:
        start, end = self._boxes[source + 1], self._boxes[target + 1]
        skip = end.left() - start.right() > GAP
        color = QColor(theme.accent_text if skip or strong else theme.muted)
        pen = QPen(color, 2.4 if strong else 1.4)
        path = QPainterPath()
        if not skip:
            path.moveTo(start.right(), start.center().y())
            middle = (start.right() + end.left()) / 2
            path.cubicTo(
                QPointF(middle, start.center().y()),
                QPointF(middle, end.center().y()),
                QPointF(end.left(), end.center().y()),
            )
        else:
            between = [box for box in self._boxes if start.right() < box.left() and box.right() < end.left()]
            y = start.center().y()
            if start.top() == end.top() and not any(box.top() < y < box.bottom() for box in between):
                path.moveTo(start.right(), y)
                path.lineTo(end.left(), y)
            else:  # over whatever is in the way
                lane = self._lanes.get((source, target), 0)
                top = min(box.top() for box in (*between, start, end)) - 7 - 4 * lane % 24
                path.moveTo(start.center().x() + 12, start.top())
                path.cubicTo(
                    QPointF(start.center().x() + 12, top),
                    QPointF(start.center().x() + 12, top),
                    QPointF(start.right() + GAP, top),
                )
                path.lineTo(end.left() - GAP, top)
                path.cubicTo(
                    QPointF(end.center().x() - 12, top),
                    QPointF(end.center().x() - 12, top),
                    QPointF(end.center().x() - 12, end.top()),
                )
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(path)
        tip = path.pointAtPercent(1.0)
        down = path.pointAtPercent(1.0).x() == end.center().x() - 12
        wing = 5.0
        head = (
            [
                tip,
                QPointF(tip.x() - wing / 1.4, tip.y() - wing),
                QPointF(tip.x() + wing / 1.4, tip.y() - wing),
            ]
            if down
            else [
                tip,
                QPointF(tip.x() - wing, tip.y() - wing / 1.4),
                QPointF(tip.x() - wing, tip.y() + wing / 1.4),
            ]
        )
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawPolygon(head)

    def _paint_box(self, painter: QPainter, theme: Tokens, number: int, title: str, size: str) -> None:
        box = self._boxes[number + 1]
        chosen = number == self._chosen and number != PICTURE
        painter.setPen(QPen(QColor(theme.accent_text if chosen else theme.border_strong), 2 if chosen else 1))
        painter.setBrush(QColor(theme.selection if chosen else theme.raised))
        if number == PICTURE:
            painter.setBrush(QColor(theme.sunken))
        painter.drawRoundedRect(box, RADIUS, RADIUS)
        font = self.font()
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(QColor(theme.text))
        room = box.adjusted(4, 6, -4, -box.height() / 2 + 1)
        elided = painter.fontMetrics().elidedText(title, Qt.TextElideMode.ElideRight, round(room.width()))
        painter.drawText(room, Qt.AlignmentFlag.AlignCenter, elided)
        font.setBold(False)
        painter.setFont(font)
        painter.setPen(QColor(theme.muted))
        painter.drawText(box.adjusted(2, box.height() / 2 - 1, -2, -5), Qt.AlignmentFlag.AlignCenter, size)


def size_words(shape: Sequence[int]) -> str:
    """(64, 256, 256) as "64 × 256 × 256"."""
    return " × ".join(str(side) for side in shape)


def lanes(arrows: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """How high each arrow from block to later block passes over those between: no two that overlap alike."""
    found: dict[tuple[int, int], int] = {}
    for start, end in sorted(arrows, key=lambda arrow: arrow[1] - arrow[0]):
        if end - start > 1:
            taken = {lane for (left, right), lane in found.items() if left < end and start < right}
            found[start, end] = next(lane for lane in range(len(taken) + 1) if lane not in taken)
    return found


def describe(block: Block) -> str:
    """A block in words, a line each: what it gives, its layers, its parameters."""
    channels, height, width = block.shape
    lines = [f"{block.title}: {channels:,} maps of {width} × {height}"]
    lines += [f"  {layer}" for layer in block.layers]
    lines.append(f"{block.parameters:,} parameters" if block.parameters else "no parameters")
    return "\n".join(lines)


def _level(tile: int, block: Block) -> float:
    """How often the tile's side was halved, to the nearest half."""
    return round(2 * log2(max(1, tile) / max(1, block.shape[1]))) / 2
