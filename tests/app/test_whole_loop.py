"""The whole loop, real window and real engine: draw, train, see, accept, correct, export, crash, leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from app.dialogs.export import ExportDialog
from app.main_window import MainWindow
from app.settings import Settings
from app.theme import apply_theme
from app.workers.trainer_thread import TrainerThread
from core.annotation.document import AnnotationDocument
from core.annotation.model import AnnotationState, Shape
from core.annotation.rasterize import shape_mask
from core.learning.events import (
    Checkpointed,
    Exported,
    Finished,
    StepDone,
    TrainingStarted,
    Validated,
)
from core.learning.process import EngineProcess
from core.learning.runs.header import read_header
from core.project.project import Project
from tests.app.person import (
    CLASSES,
    DISC,
    DISC_AT,
    SIDE,
    Person,
    disc_mask,
    folder_of_discs,
    overlap,
)
from tests.patience import PATIENCE_S
from tests.tiny import TINY

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
QUICK = replace(
    TINY,
    lr=5e-3,
    freeze=0.0,
    ema=0.9,
    augment=False,
    validate_every_s=1.0,
    checkpoint_every_s=0.5,
)


@pytest.fixture
def discs(tmp_path: Path) -> Path:
    return folder_of_discs(tmp_path / "discs")


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
    qtbot.waitUntil(lambda: window.closed)
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
    person.wait(lambda: panel.train_button.text() == "Continue")

    # The same button goes on with what it has learned.
    person.push(panel.train_button)
    person.wait(lambda: len(person.got(TrainingStarted)) == 2)
    assert person.got(TrainingStarted)[1].resumed_step == person.got(Finished)[0].steps
    assert person.got(TrainingStarted)[1].run == person.got(Finished)[0].run
    person.key(Qt.Key.Key_Period, CTRL)
    person.wait(lambda: len(person.got(Finished)) == 2)
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
        timeout=PATIENCE_S,
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
