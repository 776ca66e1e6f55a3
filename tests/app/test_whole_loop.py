"""The whole loop, real window and real engine: draw, train, see, accept, correct, export, crash, leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtWidgets import QApplication, QWidget

from app.dialogs.export import ExportDialog
from app.main_window import MainWindow
from app.settings import Settings
from app.theme import apply_theme
from app.workers.trainer_thread import TrainerThread
from core.annotation.document import AnnotationDocument
from core.annotation.model import AnnotationState, Shape
from core.annotation.rasterize import shape_mask
from core.learning.config import TrainConfig
from core.learning.events import (
    Checkpointed,
    Event,
    Exported,
    Finished,
    StepDone,
    TrainingStarted,
    Validated,
)
from core.learning.header import read_header
from core.learning.process import EngineProcess
from core.project.project import Project
from tests.tiny import TINY

E = TypeVar("E")

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
LEFT = Qt.MouseButton.LeftButton
LIMIT_MS = 90_000
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
QUICK = replace(
    TINY,
    lr=5e-3,
    freeze=0.0,
    ema=0.9,
    augment=False,
    validate_every_s=1.0,
    checkpoint_every_s=0.5,
)


def disc_mask(name: str) -> NDArray[np.bool_]:
    """Where the disc of an image is (SIDE, SIDE)."""
    x, y = DISC_AT[name]
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return (columns - x) ** 2 + (rows - y) ** 2 <= RADIUS**2


def overlap(found: NDArray[np.bool_], name: str) -> float:
    """Intersection over union with the disc of an image."""
    truth = disc_mask(name)
    return float((found & truth).sum() / (found | truth).sum())


@pytest.fixture
def discs(tmp_path: Path) -> Path:
    """A project of six images, each of one bright disc on a dark ground; nothing is labelled."""
    folder = tmp_path / "discs"
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
        self.qtbot.waitUntil(condition, timeout=LIMIT_MS)

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


@pytest.fixture
def person(qapp: QApplication, qtbot, settings: Settings) -> Iterator[Person]:
    apply_theme(qapp, "dark")
    trainer = TrainerThread(partial(EngineProcess, threads=1), restart_delays_s=(0.1, 0.1))
    window = MainWindow(settings, trainer)
    window.resize(1200, 900)
    window.show()
    window.activateWindow()
    yield Person(window, qtbot)
    window.session.close(discard=True)
    window.close()
    qtbot.waitUntil(lambda: window.closed, timeout=LIMIT_MS)
    window.deleteLater()


def test_from_the_first_click_to_the_exported_network(person: Person, discs: Path, tmp_path: Path) -> None:
    window, panel, controller = person.window, person.panel, person.controller
    person.open(discs)

    # Draw two images in the class of a digit and mark them as done: JSON and mask are on disk.
    person.key(Qt.Key.Key_2)
    person.label_as_done("a.png")
    person.wait_for_image("b.png")
    person.label_as_done("b.png")
    person.wait_for_image("c.png")
    person.wait_saved()
    for name in ("a.png", "b.png"):
        saved = json.loads((discs / name).with_suffix(".json").read_bytes())
        assert [(shape["label"], len(shape["points"])) for shape in saved["shapes"]] == [("disc", 12)]
        mask = person.mask_on_disk(name)
        assert set(np.unique(mask)) == {0, DISC}  # done: what is not drawn is background
        assert overlap(mask == DISC, name) > 0.85

    # Train: the panel follows.
    person.train(QUICK)
    person.wait(lambda: bool(person.got(StepDone)) and bool(person.got(Validated)))
    assert person.got(TrainingStarted)[0].train_images == ("a.png", "b.png")
    assert panel.train_button.text() == "Training…"
    assert not panel.train_button.isEnabled()
    assert "step" in panel.footer.stats_text
    assert panel.scores.heading_text.startswith("mIoU")
    person.wait(lambda: panel.loss.value_text.startswith(("0.", "1.", "2.")))

    # The overlay finds the disc of an image that nobody has labelled.
    person.wait(lambda: predicts_disc(person, "c.png"))
    assert window.canvas.has_prediction
    shown = window.canvas.viewport().grab().toImage()
    person.key(Qt.Key.Key_P)
    assert window.canvas.viewport().grab().toImage() != shown
    person.key(Qt.Key.Key_P)

    # Accept it with a click; the engine learns from it while it trains.
    seen = controller.prediction.revision
    person.key(Qt.Key.Key_R)
    person.click(*DISC_AT["c.png"])
    person.wait(lambda: len(person.document) == 1)
    (accepted,) = person.document.shapes
    assert accepted.label == "disc"
    assert overlap(shape_mask(accepted, (SIDE, SIDE)), "c.png") > 0.5
    assert person.document.state is AnnotationState.IN_PROGRESS
    person.wait(lambda: controller.prediction is not None and controller.prediction.revision > seen)

    # Correct a vertex, take that back, do it again.
    corrected = drag_a_vertex_outwards(person, accepted)
    person.key(Qt.Key.Key_Z, CTRL)
    assert person.document.get(accepted.uid) == accepted
    person.key(Qt.Key.Key_Z, CTRL)
    assert len(person.document) == 0
    person.key(Qt.Key.Key_Y, CTRL)
    person.key(Qt.Key.Key_Y, CTRL)
    assert person.document.get(accepted.uid) == corrected
    person.wait_saved()
    drawn = person.mask_on_disk("c.png")
    assert ((drawn == DISC) == shape_mask(corrected, (SIDE, SIDE))).all()
    assert (drawn[drawn != DISC] == 255).all()  # in progress: what is not drawn is unknown

    # Stop; everything can be exported.
    person.key(Qt.Key.Key_Period, CTRL)
    person.wait(lambda: bool(person.got(Finished)))
    assert panel.train_button.text() == "Train"
    assert "saved" in panel.footer.notice_text
    out = tmp_path / "out"
    export_everything(person, out)
    for name in ("a.png", "b.png", "c.png"):
        with Image.open(out / "masks" / name) as exported:
            assert (np.asarray(exported) == person.mask_on_disk(name)).all()
        assert json.loads((out / "labelme" / name).with_suffix(".json").read_bytes())["shapes"]
    paths = {event.format: Path(event.path) for event in person.got(Exported)}
    assert read_header(paths["weights"]).classes.names == CLASSES
    network = onnxruntime.InferenceSession(paths["onnx"], providers=["CPUExecutionProvider"])
    assert [len(value.shape) for value in network.get_inputs()] == [4]


def predicts_disc(person: Person, name: str) -> bool:
    prediction = person.controller.prediction
    if prediction is None or prediction.key != name:
        return False
    return overlap(prediction.classes.unpack() == DISC, name) > 0.7


def drag_a_vertex_outwards(person: Person, shape: Shape) -> Shape:
    """Select the shape with a click, pull its outermost vertex four pixels away; what became of it."""
    centre = np.array(DISC_AT["c.png"], float)
    person.key(Qt.Key.Key_J, CTRL)
    person.click(*centre)
    assert person.session.selection == {shape.uid}
    distances = np.linalg.norm(shape.points - centre, axis=1)
    vertex = int(distances.argmax())
    target = shape.points[vertex] + (shape.points[vertex] - centre) / distances[vertex] * 4
    person.drag(shape.points[vertex], target)
    moved = person.document.get(shape.uid)
    others = np.arange(len(shape.points)) != vertex
    assert (moved.points[others] == shape.points[others]).all()
    assert moved.points[vertex] == pytest.approx(target, abs=0.5)
    return moved


def export_everything(person: Person, out: Path) -> None:
    window = person.window
    person.key(Qt.Key.Key_E, CTRL | SHIFT)
    (dialog,) = window.findChildren(ExportDialog)
    person.wait(lambda: dialog.boxes["onnx"].isEnabled())
    for box in dialog.boxes.values():
        box.setChecked(True)
    dialog.folder.setText(str(out))
    person.push(dialog.export_button)
    person.wait(lambda: dialog.outcome != [] and dialog.export_button.isEnabled())
    assert len(dialog.outcome) == 4, dialog.outcome
    assert {event.format for event in person.got(Exported)} == {"weights", "onnx"}, dialog.outcome
    dialog.close()


@pytest.mark.skipif(sys.platform == "win32", reason="kills the engine with a POSIX signal")
def test_a_killed_engine_comes_back_and_the_run_goes_on_to_its_end(person: Person, discs: Path) -> None:
    person.open(discs)
    person.key(Qt.Key.Key_2)
    person.label_as_done("a.png")
    person.wait_for_image("b.png")
    steps = 250
    person.train(replace(QUICK, steps=steps))
    person.wait(lambda: any(c.step > 0 for c in person.got(Checkpointed)))
    trainer, seen = person.window.trainer, len(person.events)
    pid = trainer.engine_pid
    assert pid is not None
    assert not person.got(Finished)
    os.kill(pid, signal.SIGKILL)

    person.wait(lambda: any("killed" in text and "goes on" in text for text in person.messages))
    assert "killed" in person.window.toast.text
    assert "killed" in person.panel.footer.notice_text
    person.draw_disc("b.png")  # the window is of use meanwhile
    person.wait(lambda: bool(person.got(TrainingStarted, seen)))
    before, after = person.got(TrainingStarted)
    assert trainer.engine_pid not in (None, pid)
    assert after.run == before.run
    assert after.resumed_step is not None
    assert after.resumed_step > 0

    person.wait(lambda: bool(person.got(Finished)))
    (finished,) = person.got(Finished)
    assert (finished.steps, finished.reason, finished.resumed_step) == (steps, "budget", after.resumed_step)
    assert person.controller.training_state == "idle"
    person.wait_saved()
    assert overlap(person.mask_on_disk("b.png") == DISC, "b.png") > 0.85


SCRIPT = """
import multiprocessing, sys, time
from pathlib import Path
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from app.application import make_application
from app.main_window import MainWindow
from app.settings import Settings
from core.learning.config import TrainConfig
from core.learning.events import Failed, StepDone

folder, settings = map(Path, sys.argv[1:])
app = make_application()
window = MainWindow(Settings(settings))
window.show()
closed_at = []

def on_current(current):
    if current is not None:
        window.train({config!r})

def on_event(event):
    if isinstance(event, StepDone) and not closed_at:
        print("pid", window.trainer.engine_pid)
        closed_at.append(time.monotonic())
        QTest.keyClick(window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    elif isinstance(event, Failed):
        app.exit(4)

window.session.current_changed.connect(on_current)
window.controller.event_received.connect(on_event)
window.open_path(folder)
QTimer.singleShot(60000, lambda: app.exit(3))
print("code", app.exec())
print("seconds", time.monotonic() - closed_at[0])
print("running", window.trainer.isRunning(), "children", multiprocessing.active_children())
print("imported", [n for n in ("torch", "torchvision", "timm", "safetensors") if n in sys.modules])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="asks for a process the POSIX way")
def test_closing_while_training_saves_the_run_and_leaves_nothing(discs: Path, tmp_path: Path) -> None:
    """In a process of its own: other tests of this run have torch loaded."""
    label_on_disk(discs, "a.png")
    program = [sys.executable, "-c", SCRIPT.replace("{config!r}", repr(QUICK))]
    done = subprocess.run(
        [*program, str(discs), str(tmp_path / "settings.ini")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert said["code"] == "0", done.stderr
    assert "Traceback" not in done.stderr
    assert float(said["seconds"]) < 12  # the engine's time to save, and to be ended if it does not
    assert said["running"] == "False children []"
    assert said["imported"] == "[]"
    with pytest.raises(ProcessLookupError):
        os.kill(int(said["pid"]), 0)
    with Project.open(discs) as project:  # nobody holds it any more
        (run,) = project.layout.runs_by_time()
    assert (run / "last.ckpt").is_file()


def label_on_disk(folder: Path, name: str) -> None:
    """The image's disc as a finished labelme annotation."""
    from core.annotation.vectorize import vectorize

    with Project.open(folder) as project:
        entry = project.entry(name)
        assert entry is not None
        loaded = project.load(entry)
        mask = np.where(disc_mask(name), np.uint8(DISC), np.uint8(0))
        document = AnnotationDocument(loaded.annotation)
        for shape in vectorize(mask, project.classes):
            document.insert(len(document), shape)
        document.set_state(AnnotationState.DONE)
        project.save(entry, document.snapshot(), loaded.digest)
        project.write_mask(entry, mask)
