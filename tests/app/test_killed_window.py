"""kill -9 at any moment: what is on disk is whole, and no edit older than half a second is lost."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from core.annotation.labelme_json import dumps, loads
from core.annotation.model import Annotation, AnnotationState, Shape, ShapeType
from core.project.project import Project
from tests.patience import PATIENCE_S

EDITING_FOR_EVER = """
import sys, time
import numpy as np
from pathlib import Path
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from app.session.session import Session
from core.annotation.commands import drawing
from core.annotation.model import Shape, ShapeType

app = QApplication(["maskloop"])
session = Session()
every_ms, made = int(sys.argv[2]), 0

def edit():
    global made
    document = session.current.document
    points = np.array([(made, 1.0), (made + 2.0, 1.0), (made, 3.0)])
    assert session.execute(drawing(document, [Shape("nerve", ShapeType.POLYGON, points)]))
    session.end_drag()
    made += 1
    print(made, time.monotonic(), flush=True)

timer = QTimer(interval=every_ms)
timer.timeout.connect(edit)
session.current_changed.connect(lambda current: timer.start())
session.open_project(Path(sys.argv[1]))
app.exec()
"""
PROMISE_S = 0.5


def kill_while_editing(folder: Path, *, every_ms: int, after_s: float) -> tuple[int, int]:
    """Edit in a process of its own and kill it so long after its first edit.

    Returns:
        How many edits were older than `PROMISE_S` when it died, and how many there were.
    """
    child = subprocess.Popen(
        [sys.executable, "-c", EDITING_FOR_EVER, str(folder), str(every_ms)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    lines = [child.stdout.readline()]
    time.sleep(after_s)
    killed_at = time.monotonic()
    child.kill()
    lines += child.stdout.read().splitlines()
    child.wait(PATIENCE_S)
    child.stdout.close()
    edits = [(int(number), float(at)) for number, at in (line.split() for line in lines if line.strip())]
    return max((n for n, at in edits if at < killed_at - PROMISE_S), default=0), edits[-1][0]


def drawn_since(folder: Path, before: int) -> list[float]:
    """Where the shapes drawn by the killed process start, x, after opening the project again."""
    with Project.open(folder) as project:
        entry = project.images()[0]
        shapes = project.load(entry).annotation.shapes
        mask = project.read_mask(entry)
        assert (mask == project.render_mask(entry, project.load(entry).annotation)).all()
    return [float(shape.points[0, 0]) for shape in shapes[before:]]


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_window_loses_no_edit_older_than_half_a_second(image_folder, seed):
    folder = image_folder(1)
    after_s = random.Random(seed).uniform(0.3, 1.6)
    safe, made = kill_while_editing(folder, every_ms=23, after_s=after_s)
    found = drawn_since(folder, 0)
    assert found == list(range(len(found)))  # the first so many, whole and in order
    assert safe <= len(found) <= made + 1  # the last may have been noted and not yet told


def test_not_even_where_the_file_takes_longer_to_write_than_that(image_folder):
    folder = image_folder(1, size_hw=(600, 600))
    corners = np.array([(0, 0), (4, 0), (4, 4), (0, 4)], dtype=np.float64)
    many = tuple(
        Shape("nerve", ShapeType.POLYGON, np.repeat(corners + np.array((i % 500, i // 500)), 5, axis=0))
        for i in range(6000)
    )
    annotation = Annotation("scan000.png", (600, 600), many, AnnotationState.IN_PROGRESS)
    (folder / "scan000.json").write_bytes(dumps(annotation))
    safe, made = kill_while_editing(folder, every_ms=40, after_s=1.3)
    assert safe > 0
    found = drawn_since(folder, len(many))
    assert found == list(range(len(found)))
    assert safe <= len(found) <= made + 1
    path = folder / "scan000.json"
    assert loads(path.read_bytes(), path).shapes[: len(many)] == many
