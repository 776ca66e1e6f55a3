"""Someone with mouse and keys in front of a window that has a real engine, and images to label."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtWidgets import QWidget

from app.main_window import MainWindow
from core.annotation.document import AnnotationDocument
from core.learning.config import TrainConfig
from core.learning.events import (
    Event,
)
from core.project.project import Project

E = TypeVar("E")

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
LEFT = Qt.MouseButton.LeftButton
SIDE = 96
RADIUS = 18
DISC_AT = {
    "a.png": (30, 32),
    "b.png": (62, 58),
    "c.png": (50, 44),
    "d.png": (34, 60),
    "e.png": (64, 30),
    "f.png": (48, 62),
}
CLASSES = ("background", "ring", "disc")
DISC = 2


def disc_mask(name: str) -> NDArray[np.bool_]:
    """Where the disc of an image is (SIDE, SIDE)."""
    x, y = DISC_AT[name]
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return (columns - x) ** 2 + (rows - y) ** 2 <= RADIUS**2


def overlap(found: NDArray[np.bool_], name: str) -> float:
    """Intersection over union with the disc of an image."""
    truth = disc_mask(name)
    return float((found & truth).sum() / (found | truth).sum())


def folder_of_discs(folder: Path) -> Path:
    """A project of six images, each of one bright disc on a dark ground; nothing is labelled."""
    folder.mkdir()
    for seed, name in enumerate(DISC_AT):
        pixels = np.random.default_rng(seed).integers(30, 60, (SIDE, SIDE), dtype=np.uint8)
        pixels[disc_mask(name)] = 210
        Image.fromarray(pixels).save(folder / name)
    Project.create(folder, classes=CLASSES, image_roots=(".",)).close()
    return folder


class Person:
    """Someone with mouse and keys in front of a window that has a real engine."""

    def __init__(self, window: MainWindow, qtbot) -> None:
        self.window, self.qtbot = window, qtbot
        self.session, self.controller, self.panel = window.session, window.controller, window.training
        self.events: list[Event] = []
        self.messages: list[str] = []
        self.controller.event_received.connect(self.events.append)
        self.session.message.connect(lambda text, _level: self.messages.append(text))

    def got(self, kind: type[E], since: int = 0) -> list[E]:
        return [event for event in self.events[since:] if isinstance(event, kind)]

    @property
    def document(self) -> AnnotationDocument:
        assert self.session.current is not None
        assert self.session.current.document is not None
        return self.session.current.document

    # --- mouse and keys ---

    def key(self, key: Qt.Key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
        self.qtbot.keyClick(self.window.canvas, key, modifier)

    def push(self, button: QWidget) -> None:
        assert button.isVisible()
        assert button.isEnabled()
        self.qtbot.mouseClick(button, LEFT)

    def point(self, x: float, y: float) -> QPoint:
        return self.window.canvas.to_viewport(QPointF(x, y)).toPoint()

    def move(self, x: float, y: float) -> None:
        self.qtbot.mouseMove(self.window.canvas.viewport(), self.point(x, y))

    def click(self, x: float, y: float) -> None:
        self.move(x, y)
        self.qtbot.mouseClick(self.window.canvas.viewport(), LEFT, pos=self.point(x, y))

    def drag(self, start: NDArray[np.float64], end: NDArray[np.float64]) -> None:
        viewport = self.window.canvas.viewport()
        self.move(*start)
        self.qtbot.mousePress(viewport, LEFT, pos=self.point(*start))
        self.move(*(start + end) / 2)
        self.move(*end)
        self.qtbot.mouseRelease(viewport, LEFT, pos=self.point(*end))

    def draw_disc(self, name: str) -> None:
        """With the polygon tool: twelve clicks and Enter."""
        x, y = DISC_AT[name]
        self.key(Qt.Key.Key_N, CTRL)
        for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False):
            self.click(x + RADIUS * np.cos(angle), y + RADIUS * np.sin(angle))
        self.key(Qt.Key.Key_Return)

    # --- waiting ---

    def wait(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition)

    def wait_for_image(self, name: str) -> None:
        session = self.session
        self.wait(lambda: session.current is not None and session.current.entry.key == name)

    def wait_saved(self) -> None:
        self.wait(lambda: self.session.save_state.kind == "saved")

    # --- whole steps ---

    def open(self, folder: Path) -> None:
        self.window.open_path(folder)
        self.wait_for_image("a.png")
        self.wait(lambda: not self.session.busy)

    def label_as_done(self, name: str) -> None:
        """Draw the disc, mark the image as done and go to the next one."""
        self.draw_disc(name)
        assert self.document.shapes[-1].label == "disc"
        self.key(Qt.Key.Key_F, SHIFT)

    def train(self, config: TrainConfig) -> None:
        """Press Train in the panel, which was told a network smaller than it offers."""
        self.panel.set_config(config)
        self.push(self.panel.train_button)

    def mask_on_disk(self, name: str) -> NDArray[np.uint8]:
        project, entry = self.session.project, self.session.entry(name)
        assert project is not None
        assert entry is not None
        mask = project.read_mask(entry)
        assert mask is not None
        return mask
