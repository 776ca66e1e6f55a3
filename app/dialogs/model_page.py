"""The model page: what the chosen network is made of, what it costs and sees, and its maps of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSplitter,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from app.panels.model_diagram import NetworkDiagram, describe, size_words
from app.panels.model_maps import MapGrid, MapPicture
from app.panels.parts import IconPushButton, label
from app.readable import format_bytes, sentence
from app.theme import SPACE
from core.learning.answers import ModelExplained, ModelMaps
from core.learning.explain.explained import Explanation
from core.models.catalog.about import ABOUT
from core.models.specs import EncoderSpec, ModelSpec

TILES: Final = (128, 192, 256, 320, 384, 512, 768, 1024)
CLICK: Final = (
    "Click a box of the diagram to see the maps it gives of the image on show, and the classes' scores."
)
CLICK_PART: Final = (
    "Click a network of the diagram for its own diagram and maps, the box of both for the classes' scores."
)
UNKNOWN: Final = "–"
GROWN: Final = "grown, not by gradients"
"""What learning of a forest takes goes with the labels, not with a tile."""
_FACTS: Final = (
    ("parameters", "Parameters", "Numbers that are learned"),
    ("macs", "Computing", "Multiplications with their additions, for one tile"),
    ("predict", "Memory to predict", "For one tile, in 32-bit numbers"),
    ("train", "Memory to learn", "For one tile and its gradients, in 32-bit numbers"),
    ("field", "Receptive field", "What of the image has a say in one pixel's scores; the middle counts most"),
)


class ModelPage(QDialog):
    """Stays open beside the window and follows what is chosen in the training panel.

    Attributes:
        scale: factor by which images would be resized before the network sees them.

    Signals:
        explanation_needed(int tile): `set_explained` is the answer.
        maps_needed(int maps): `set_maps` is the answer.
        field_shown(bool): whether the receptive field should be drawn on the image.
        part_chosen(str): of a network that is made of several, show this one.
    """

    explanation_needed = Signal(int)
    maps_needed = Signal(int)
    field_shown = Signal(bool)
    part_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Explain the model")
        self.resize(1120, 800)
        self._explanation: Explanation | None = None
        self._awaited: Literal["", "explanation", "maps"] = ""
        self.scale = 1.0
        self._title = label("", "title")
        self._about = label("", "muted")
        self._about.setWordWrap(True)
        self.parts = QTabBar()
        self.parts.setDrawBase(False)
        self.parts.setExpanding(False)
        self.parts.setAccessibleName("Which of the networks")
        self.tile = QComboBox()
        self.tile.setAccessibleName("Side of the tile")
        for side in TILES:
            self.tile.addItem(f"{side} × {side} pixels", side)
        self.again_button = IconPushButton("refresh", "Try again")
        self.again_button.hide()
        self.field_box = QCheckBox("Receptive field on the image")
        self.field_box.setToolTip("Draw what the pixel under the mouse depends on, over the image")
        self._facts = {name: label(UNKNOWN, "heading") for name, _, _ in _FACTS}
        self.diagram = NetworkDiagram()
        self._words = label("", "muted")
        self._words.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._words.setWordWrap(True)
        self.look_button = IconPushButton("refresh", "Look at the image on show")
        self.look_button.clicked.connect(self._ask_for_maps)
        self._source = label("", "muted")
        self._source.setWordWrap(True)
        self._scores_title = label("Scores of the classes: the lighter, the more likely", "heading")
        self._features_title = label("", "heading")
        self.scores = MapGrid("Scores of the classes")
        self.features = MapGrid("Maps of the chosen block")
        self._room = QSplitter(Qt.Orientation.Vertical)
        self._below = QWidget()
        self._shared_by_hand = False
        self._lay_out()
        self._room.splitterMoved.connect(self._on_room_shared)
        self.tile.currentIndexChanged.connect(self._ask)
        self.again_button.clicked.connect(self._ask)
        self.field_box.toggled.connect(self.field_shown)
        self.diagram.block_chosen.connect(self._on_block)
        self.parts.currentChanged.connect(self._on_part)
        self.set_parts((), "")
        self.clear_maps()

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(SPACE * 2)
        words = QVBoxLayout()
        words.addWidget(self._title)
        words.addWidget(self.parts, 0, Qt.AlignmentFlag.AlignLeft)
        words.addWidget(self._about)
        top.addLayout(words, 1)
        top.addWidget(self.again_button, 0, Qt.AlignmentFlag.AlignTop)
        top.addWidget(self.tile, 0, Qt.AlignmentFlag.AlignTop)
        facts = QHBoxLayout()
        facts.setSpacing(SPACE * 4)
        for name, title, tip in _FACTS:
            facts.addLayout(_fact(self._facts[name], title, tip))
        facts.addStretch(1)
        facts.addWidget(self.field_box, 0, Qt.AlignmentFlag.AlignBottom)
        row = QHBoxLayout(self._below)
        row.setContentsMargins(0, SPACE, 0, 0)
        row.setSpacing(SPACE * 2)
        side = QVBoxLayout()
        side.addWidget(_scrolled(self._words), 1)
        side.addWidget(self.look_button)
        row.addLayout(side, 1)
        maps = QWidget()
        column = QVBoxLayout(maps)
        column.setContentsMargins(0, 0, SPACE, 0)
        for part in (self._source, self._scores_title, self.scores, self._features_title, self.features):
            column.addWidget(part)
        column.addStretch(1)
        row.addWidget(_scrolled(maps), 3)
        self._room.setChildrenCollapsible(False)
        self._room.addWidget(_DiagramArea(self.diagram))
        self._room.addWidget(self._below)
        self._room.setSizes([320, 370])
        close = QPushButton("Close")
        close.setProperty("kind", "primary")
        close.clicked.connect(self.close)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE * 3, SPACE * 2, SPACE * 3, SPACE * 2)
        layout.setSpacing(SPACE)
        layout.addLayout(top)
        layout.addLayout(facts)
        layout.addWidget(self._room, 1)
        layout.addLayout(foot)

    # --- what is told to the page -------------------------------------------------------------------------

    @property
    def explanation(self) -> Explanation | None:
        """What is on show."""
        return self._explanation

    @property
    def source_text(self) -> str:
        """Whose weights the maps are of, or why there are none."""
        return self._source.text()

    def fact(self, name: str) -> str:
        """One of the numbers, as it is shown."""
        return self._facts[name].text()

    def set_parts(self, parts: Sequence[tuple[str, str]], chosen: str) -> None:
        """Offer the parts of a network that is made of several: name and title of each; () for one alone."""
        with QSignalBlocker(self.parts):
            while self.parts.count():
                self.parts.removeTab(0)
            for name, title in parts:
                self.parts.setTabData(self.parts.addTab(title), name)
            names = [name for name, _ in parts]
            if chosen in names:
                self.parts.setCurrentIndex(names.index(chosen))
        self.parts.setVisible(bool(parts))

    def set_model(self, spec: ModelSpec, encoder: EncoderSpec | None, tile: int) -> None:
        """Another network, encoder or usual tile: everything else is asked for."""
        self._title.setText(spec.title)
        stands = "" if encoder is None or len(spec.encoders) == 1 else f" On the encoder {encoder.title}."
        self._about.setText(f"{ABOUT.get(spec.name, '')}\n{spec.family} · {spec.paper}.{stands}".lstrip())
        with QSignalBlocker(self.tile):
            nearest = min(TILES, key=lambda side: abs(side - tile))
            self.tile.setCurrentIndex(self.tile.findData(nearest))
        self.clear_maps()
        self._ask()

    def set_explained(self, answer: ModelExplained) -> None:
        """What it is made of, or why that cannot be told."""
        self._awaited = ""
        self.again_button.hide()
        explanation = answer.explanation
        self._explanation, self.scale = explanation, answer.scale
        self.diagram.set_explanation(explanation)
        self.look_button.setEnabled(explanation is not None)
        if explanation is None:
            self.diagram.set_words(sentence(answer.problem))
            return
        seen = explanation.field
        field = f"{seen.width} × {seen.height}"
        if self.scale != 1:
            wide, high = round(seen.width / self.scale), round(seen.height / self.scale)
            field += f" ({wide} × {high} in the image)"
            self._facts["field"].setToolTip(
                f"{_FACTS[-1][2]}. Images are seen at {self.scale:g} of their size."
            )
        texts = {
            "parameters": _count(explanation.parameters),
            "macs": UNKNOWN if explanation.macs is None else _count(explanation.macs),
            "predict": format_bytes(explanation.predict_bytes),
            "train": GROWN if explanation.train_bytes is None else format_bytes(explanation.train_bytes),
            "field": f"{field}, and the whole tile" if seen.whole else field,
        }
        for name, text in texts.items():
            self._facts[name].setText(text)
        self._words.clear()
        self._share_room()

    def _share_room(self) -> None:
        """Show the whole diagram where that leaves room for maps, unless a person has chosen otherwise."""
        if self._shared_by_hand:
            return
        room = sum(self._room.sizes())
        least = self._below.minimumSizeHint().height()
        above = min(self.diagram.height_in(self._room.width()), max(room * 3 // 5, room - 2 * least))
        self._room.setSizes([above, room - above])

    def _on_room_shared(self) -> None:
        self._shared_by_hand = True

    @property
    def _hint(self) -> str:
        return CLICK_PART if self.parts.count() and self.parts.currentIndex() == 0 else CLICK

    def clear_maps(self) -> None:
        """Another image or network: the maps on show are not of it."""
        if self._awaited == "maps":
            self._awaited = ""
        self.scores.set_pictures(())
        self.features.set_pictures(())
        self._scores_title.hide()
        self._features_title.hide()
        self._source.setText(self._hint)

    def set_waiting(self) -> None:
        """Maps have been asked for."""
        self._awaited = "maps"
        self._source.setText("The engine looks at the image…")

    def set_maps(self, found: ModelMaps) -> None:
        """Maps of the block that is chosen."""
        self._awaited = ""
        if found.problem:
            self.clear_maps()
            self._source.setText(sentence(found.problem))
            return
        left, top, right, bottom = (round(side) for side in found.box)
        self._source.setText(
            f"{found.key}, columns {left} to {right}, rows {top} to {bottom}; weights: {found.source}."
        )
        self._scores_title.setVisible(found.scores is not None)
        if found.scores is not None and found.classes is not None:
            self.scores.set_pictures(
                [
                    MapPicture(pixels, label_class.name, label_class.color)
                    for pixels, label_class in zip(found.scores.array(), found.classes, strict=True)
                ]
            )
        self._features_title.setVisible(found.features is not None)
        if found.features is None:
            self.features.set_pictures(())
            return
        channels = found.shape[0]
        shown = f"the {len(found.features)} that vary most" if len(found.features) < channels else "all"
        self._features_title.setText(f"Maps of the chosen block: {shown} of {size_words(found.shape)}")
        self.features.set_pictures(
            [
                MapPicture(pixels, f"map {channel + 1} of {channels}")
                for pixels, channel in zip(found.features.array(), found.channels, strict=True)
            ]
        )

    def give_up(self, problem: str) -> None:
        """Nobody will answer any more what was asked; it can be asked again."""
        match self._awaited:
            case "explanation":
                self.diagram.set_words(sentence(problem))
                self.again_button.show()
            case "maps":
                self._source.setText(sentence(problem))
        self._awaited = ""

    # --- what a person does -------------------------------------------------------------------------------

    def _ask(self) -> None:
        self._explanation = None
        self.diagram.set_words("The engine takes the network apart…")
        for name, _, tip in _FACTS:
            self._facts[name].setText(UNKNOWN)
            self._facts[name].setToolTip(tip)
        self._words.clear()
        self.look_button.setEnabled(False)
        self.again_button.hide()
        self.clear_maps()
        self._awaited = "explanation"
        self.explanation_needed.emit(self.tile.currentData())

    def _on_block(self, position: int) -> None:
        if self._explanation is None:
            return
        block = self._explanation.blocks[position]
        self._words.setText(describe(block))
        places = [place for place in range(self.parts.count()) if self.parts.tabData(place) == block.part]
        if places and places[0] != self.parts.currentIndex():
            self.parts.setCurrentIndex(places[0])  # it has a page of its own
        else:
            self._ask_for_maps()

    def _on_part(self, place: int) -> None:
        self.part_chosen.emit(self.parts.tabData(place))

    def _ask_for_maps(self) -> None:
        if self._explanation is None:
            return
        if self.diagram.chosen < 0:
            self.diagram.choose(self._explanation.scores % len(self._explanation.blocks))  # which asks
            return
        self.maps_needed.emit(self._explanation.blocks[self.diagram.chosen].maps)


def _fact(value: QLabel, title: str, tip: str) -> QVBoxLayout:
    column = QVBoxLayout()
    column.setSpacing(0)
    name = label(title, "small")
    for part in (name, value):
        part.setToolTip(tip)
        column.addWidget(part)
    value.setAccessibleName(title)
    return column


def _scrolled(part: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidget(part)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return area


class _DiagramArea(QScrollArea):
    """The diagram, in as much room as there is."""

    def __init__(self, diagram: NetworkDiagram) -> None:
        super().__init__()
        self._diagram = diagram
        self.setWidget(diagram)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Shrink or grow it."""
        super().resizeEvent(event)
        self._diagram.set_room(self.viewport().size())


def _count(number: int) -> str:
    """5198482 as "5.2 million"."""
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:,.1f} {word}"
    return f"{number:,}"
