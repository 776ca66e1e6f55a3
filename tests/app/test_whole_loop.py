"""The whole loop, real window and real engine: draw, train, see, accept, correct, export, leave."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QApplication

from app.main_window import MainWindow
from app.settings import Settings
from app.theme import apply_theme
from app.workers.trainer_thread import TrainerThread
from core.learning.config import TrainConfig
from core.learning.events import StepDone
from core.learning.process import EngineProcess
from core.project.project import Project

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
LIMIT_MS = 90_000
TINY = TrainConfig(
    model="unet",
    encoder="plain",
    encoder_weights="none",
    model_options=(("encoder_width", 8), ("width", 8)),
    device="cpu",
    threads=1,
    crop=64,
    batch=2,
    image_scale=1.0,
    lr=5e-3,
    freeze=0.0,
    augment=False,
    validate_every_s=2.0,
)
DISC_AT = {"a.png": (20, 22), "b.png": (44, 40), "c.png": (30, 44), "d.png": (42, 20)}
RADIUS = 11


def discs(folder: Path) -> Path:
    """Images of one bright disc each on a dark ground."""
    folder.mkdir()
    rows, columns = np.mgrid[:64, :64]
    for name, (x, y) in DISC_AT.items():
        pixels = np.random.default_rng(len(name) + x).integers(30, 60, (64, 64), dtype=np.uint8)
        pixels[(columns - x) ** 2 + (rows - y) ** 2 <= RADIUS**2] = 210
        Image.fromarray(pixels).save(folder / name)
    Project.create(folder, classes=("background", "disc"), image_roots=(".",)).close()
    return folder


class Person:
    """Mouse and keys over the canvas."""

    def __init__(self, window: MainWindow, qtbot) -> None:
        self.window, self.qtbot = window, qtbot

    def key(self, key: Qt.Key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
        self.qtbot.keyClick(self.window.canvas, key, modifier)

    def point(self, x: float, y: float):
        return self.window.canvas.to_viewport(QPointF(x, y)).toPoint()

    def move(self, x: float, y: float) -> None:
        self.qtbot.mouseMove(self.window.canvas.viewport(), self.point(x, y))

    def click(self, x: float, y: float) -> None:
        self.move(x, y)
        self.qtbot.mouseClick(self.window.canvas.viewport(), Qt.MouseButton.LeftButton, pos=self.point(x, y))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        viewport, left = self.window.canvas.viewport(), Qt.MouseButton.LeftButton
        self.move(*start)
        self.qtbot.mousePress(viewport, left, pos=self.point(*start))
        self.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        self.move(*end)
        self.qtbot.mouseRelease(viewport, left, pos=self.point(*end))

    def draw_disc(self, name: str) -> None:
        x, y = DISC_AT[name]
        self.key(Qt.Key.Key_N, CTRL)
        for angle in np.linspace(0, 2 * np.pi, 16, endpoint=False):
            self.click(x + RADIUS * np.cos(angle), y + RADIUS * np.sin(angle))
        self.key(Qt.Key.Key_Return)

    def wait(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=LIMIT_MS)

    def wait_for_image(self, name: str) -> None:
        session = self.window.session
        self.wait(lambda: session.current is not None and session.current.entry.key == name)


@pytest.fixture
def window(qapp: QApplication, qtbot, settings: Settings) -> Iterator[MainWindow]:
    apply_theme(qapp, "dark")
    trainer = TrainerThread(partial(EngineProcess, threads=1), restart_delays_s=(0.1, 0.1))
    window = MainWindow(settings, trainer)
    window.resize(1200, 900)
    window.show()
    window.activateWindow()
    yield window
    assert window.controller.shutdown(10.0)
    if not window.closed:
        window.session.close(discard=True)
        window.close()
    window.deleteLater()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills the engine with a POSIX signal")
def test_draw_train_accept_correct_export_and_leave(window: MainWindow, qtbot, tmp_path: Path) -> None:
    folder = discs(tmp_path / "discs")
    trainer = window.trainer
    person = Person(window, qtbot)
    session, controller = window.session, window.controller
    steps: list[int] = []
    controller.event_received.connect(lambda e: steps.append(e.step) if isinstance(e, StepDone) else None)

    # Open, draw on two images, mark them done.
    window.open_path(folder)
    person.wait_for_image("a.png")
    person.draw_disc("a.png")
    person.key(Qt.Key.Key_F, SHIFT)
    person.wait_for_image("b.png")
    person.draw_disc("b.png")
    person.key(Qt.Key.Key_F)
    person.wait(lambda: session.save_state.kind == "saved")
    assert session.project is not None
    mask = session.project.read_mask(session.entry("a.png"))
    assert mask[22, 20] == 1
    assert mask[60, 60] == 0

    # Train: the panel shows that it goes on, and the loss falls into its chart.
    window.training.train_requested.emit(TINY)
    person.wait(lambda: controller.training_state == "training")
    assert not window.training.train_button.isEnabled()
    person.key(Qt.Key.Key_D)
    person.wait_for_image("c.png")

    # The overlay finds the disc of an image nobody labelled.
    x, y = DISC_AT["c.png"]

    def finds_disc() -> bool:
        shown = controller.prediction
        if shown is None or shown.key != "c.png":
            return False
        predicted = shown.classes.unpack()
        return bool(predicted[y, x] == 1 and predicted[4, 60] == 0 and window.canvas.has_prediction)

    person.wait(finds_disc)

    # Accept it, correct a vertex, take that back.
    person.move(2, 2)
    person.move(x, y)
    person.key(Qt.Key.Key_Return)
    document = session.current.document
    person.wait(lambda: len(document.shapes) >= 1)
    (accepted,) = [s for s in document.shapes if s.label == "disc"][:1]
    assert np.abs(accepted.points.mean(axis=0) - (x, y)).max() < 6
    person.key(Qt.Key.Key_J, CTRL)
    person.click(x, y)
    assert session.selection == {accepted.uid}
    farthest = accepted.points[np.argmax(np.linalg.norm(accepted.points - (x, y), axis=1))]
    outward = (farthest - (x, y)) / np.linalg.norm(farthest - (x, y)) * 4
    person.drag(tuple(farthest), tuple(farthest + outward))
    moved = document.get(accepted.uid)
    assert np.linalg.norm(moved.points - accepted.points, axis=1).max() == pytest.approx(4, abs=0.5)
    person.key(Qt.Key.Key_Z, CTRL)
    assert document.get(accepted.uid) == accepted
    person.key(Qt.Key.Key_Y, CTRL)

    # The engine dies in the middle; training goes on by itself.
    pid = trainer.engine_pid
    os.kill(pid, signal.SIGKILL)
    seen = len(steps)
    person.wait(lambda: len(steps) > seen and trainer.engine_pid not in (None, pid))
    assert controller.training_state == "training"

    # Export masks and weights.
    person.key(Qt.Key.Key_E, CTRL | SHIFT)
    dialog = window._exporting._dialog
    person.wait(lambda: dialog.boxes["weights"].isEnabled())
    dialog.boxes["weights"].setChecked(True)
    dialog.folder.setText(str(tmp_path / "out"))
    dialog.export_button.click()
    person.wait(lambda: len(dialog.outcome) >= 2)
    dialog.close()
    assert {path.name for path in (tmp_path / "out" / "masks").glob("*.png")} == {"a.png", "b.png", "c.png"}
    assert list((tmp_path / "out" / "weights").glob("*.safetensors"))

    # Leave while training: everything is saved and nothing is left.
    run = next(iter(session.project.layout.runs_by_time()))
    window.close()
    person.wait(lambda: window.closed)
    assert not trainer.isRunning()
    assert (run / "last.ckpt").is_file()
    assert json.loads((folder / "c.json").read_bytes())["shapes"]
    Project.open(folder).close()  # nobody holds the project any more
