"""Saving by itself: soon, in order, together, and never lost when the disk says no."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.workers import label_files
from app.workers.autosaver import Autosaver
from app.workers.tasks import TaskRunner
from core.annotation.commands import TranslateShapes, drawing
from core.annotation.document import AnnotationDocument
from core.annotation.history import History
from core.annotation.model import Annotation, AnnotationState, Shape, ShapeType
from core.errors import ForeignChangeError, StorageError
from core.project.project import ImageEntry
from tests.patience import PATIENCE_MS, PATIENCE_S


class RecordingProject:
    """Stands in for a project on a disk that can be slow, full, or used by others."""

    writable = True

    def __init__(self) -> None:
        self.log: list[tuple[str, str, int]] = []
        self.error: Exception | None = None
        self.mask_error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.expected: list[str | None] = []

    def save(
        self, entry: ImageEntry, annotation: Annotation, digest: str | None, announce: object = None
    ) -> str:
        self.gate.wait(PATIENCE_S)
        self.expected.append(digest)
        if self.error is not None:
            raise self.error
        self.log.append(("json", entry.key, len(annotation.shapes)))
        return f"digest{len(self.log)}"

    def drawn_mask(self, entry: ImageEntry, annotation: Annotation) -> np.ndarray:
        return np.full((4, 4), len(annotation.shapes), np.uint8)

    def write_mask(self, entry: ImageEntry, mask: np.ndarray) -> None:
        if self.mask_error is not None:
            raise self.mask_error
        self.log.append(("mask", entry.key, int(mask[0, 0])))


class Bench:
    """An autosaver with quick timers over a recording project."""

    def __init__(self) -> None:
        self.project = RecordingProject()
        self.worker = TaskRunner(1)
        self.saver = Autosaver(self.project, self.worker, delay_ms=20, retry_ms=60)  # type: ignore[arg-type]
        self.states: list[str] = []
        self.written: list[tuple[str, int]] = []
        self.saver.saved_changed.connect(lambda state: self.states.append(state.kind))
        self.saver.labels_written.connect(lambda w: self.written.append((w.entry.key, w.revision)))

    def open(self, key: str, digest: str | None = None) -> History:
        folder = Path("/nowhere")
        entry = ImageEntry(key, folder / key, folder / f"{key}.json", folder / f"{key}.mask.png")
        document = AnnotationDocument(Annotation(key, (4, 4), state=AnnotationState.IN_PROGRESS))
        self.saver.track(entry, document, digest)
        return History(document)


@pytest.fixture
def bench(qapp) -> Iterator[Bench]:
    bench = Bench()
    yield bench
    assert bench.worker.close()


def draw(history: History) -> None:
    points = np.array([(0.0, 0.0), (3.0, 0.0), (3.0, 3.0)])
    history.push(drawing(history.document, [Shape("a", ShapeType.POLYGON, points)]))


def test_the_mask_follows_the_json(bench, qtbot):
    history = bench.open("a")
    draw(history)
    qtbot.waitUntil(lambda: bool(bench.written))
    assert bench.project.log == [("json", "a", 1), ("mask", "a", 1)]
    assert bench.written == [("a", history.document.revision)]
    assert bench.states[0] == "unsaved"
    assert bench.states[-1] == "saved"


def test_many_edits_in_a_row_are_written_together(bench, qtbot):
    history = bench.open("a")
    draw(history)
    uid = history.document.shapes[0].uid
    for _ in range(50):
        history.push(TranslateShapes.of(history.document, [uid], 0.1, 0.0))
    qtbot.waitUntil(lambda: bool(bench.written))
    assert bench.project.log == [("json", "a", 1), ("mask", "a", 1)]
    assert bench.written[-1][1] == history.document.revision


def test_edits_made_while_a_write_is_under_way_follow_with_the_digest_it_left(bench, qtbot):
    history = bench.open("a", digest="as read")
    bench.project.gate.clear()
    draw(history)
    qtbot.waitUntil(lambda: bench.saver.state.kind == "saving")
    draw(history)
    bench.project.gate.set()
    qtbot.waitUntil(lambda: ("mask", "a", 2) in bench.project.log)
    assert [entry for entry in bench.project.log if entry[0] == "json"] == [
        ("json", "a", 1),
        ("json", "a", 2),
    ]
    assert bench.project.expected == ["as read", "digest1"]


def test_flush_returns_when_json_and_mask_are_written(bench):
    first, second = bench.open("a"), bench.open("b")
    draw(first)
    draw(second)
    assert bench.saver.flush()
    assert sorted(bench.project.log) == [
        ("json", "a", 1),
        ("json", "b", 1),
        ("mask", "a", 1),
        ("mask", "b", 1),
    ]
    assert bench.saver.state.kind == "saved"


def test_what_a_full_disk_refuses_is_said_kept_and_written_once_there_is_room(bench, qtbot):
    history = bench.open("a")
    full = OSError(errno.ENOSPC, "No space left on device")
    bench.project.error = StorageError.from_os_error("/nowhere/a.json", full)
    draw(history)
    qtbot.waitUntil(lambda: bench.saver.state.kind == "failed")
    assert "disk is full" in bench.saver.state.text
    assert not bench.saver.flush()
    assert bench.saver.is_dirty("a")
    tries = len(bench.project.expected)
    qtbot.waitUntil(lambda: len(bench.project.expected) > tries)  # it goes on trying
    bench.project.error = None
    qtbot.waitUntil(lambda: bench.saver.state.kind == "saved")
    assert bench.project.log[-2:] == [("json", "a", 1), ("mask", "a", 1)]


def test_a_mask_that_cannot_be_written_is_tried_again_without_the_json(bench, qtbot):
    history = bench.open("a")
    bench.project.mask_error = StorageError("/nowhere/a.mask.png", "this place is read-only")
    draw(history)
    qtbot.waitUntil(lambda: bench.saver.state.kind == "failed")
    assert not bench.saver.is_dirty("a")
    assert not bench.saver.is_settled("a")
    bench.project.mask_error = None
    qtbot.waitUntil(lambda: bool(bench.written))
    assert bench.project.log == [("json", "a", 1), ("mask", "a", 1)]


def test_trying_again_tries_the_mask_too(bench):
    history = bench.open("a")
    bench.project.mask_error = StorageError("/nowhere/a.mask.png", "this place is read-only")
    draw(history)
    assert not bench.saver.flush()
    bench.project.mask_error = None
    assert bench.saver.flush()
    assert bench.project.log == [("json", "a", 1), ("mask", "a", 1)]


def test_a_foreign_change_is_asked_about_once_and_nothing_is_written_meanwhile(bench, qtbot):
    history = bench.open("a", digest="as read")
    asked: list[tuple[str, str]] = []
    bench.saver.conflict_found.connect(lambda *question: asked.append(question))
    bench.project.error = ForeignChangeError("/nowhere/a.json", "was changed by another program")
    draw(history)
    qtbot.waitUntil(lambda: bool(asked))
    bench.project.error = None
    draw(history)
    assert not bench.saver.flush()
    assert len(asked) == 1
    assert not bench.project.log
    bench.saver.resolve("a", "theirs", written=False)
    assert bench.saver.flush()
    assert bench.project.expected[-1] == "theirs"
    assert bench.project.log == [("json", "a", 2), ("mask", "a", 2)]


@pytest.mark.expects_errors
def test_an_unforeseen_error_is_tried_again_too(bench, qtbot):
    history = bench.open("a")
    bench.project.error = RuntimeError("what?")
    draw(history)
    qtbot.waitUntil(lambda: bench.saver.state.kind == "failed")
    bench.project.error = None
    qtbot.waitUntil(lambda: bench.saver.state.kind == "saved")


def test_a_forgotten_document_is_not_written(bench, qtbot):
    history = bench.open("a")
    bench.saver.forget("a")
    draw(history)
    assert bench.saver.flush()
    assert not bench.project.log


def test_flush_waits_for_its_own_work_only(bench):
    history = bench.open("a")
    draw(history)
    for _ in range(100):
        bench.worker.run(time.sleep, 0.02, priority=-20)
    assert bench.saver.flush()
    assert bench.project.log == [("json", "a", 1), ("mask", "a", 1)]
    assert bench.worker.busy


def test_a_flush_that_takes_too_long_says_so(bench, qtbot):
    history = bench.open("a")
    bench.project.gate.clear()
    draw(history)
    assert not bench.saver.flush(timeout_ms=20)
    assert "takes long" in bench.saver.state.text
    bench.project.gate.set()
    qtbot.waitUntil(lambda: bench.saver.state.kind == "saved")


def test_nothing_is_written_while_another_task_rewrites_the_files(bench):
    history = bench.open("a", digest="as read")
    bench.saver.hold(bench.worker.run(time.sleep, 0))
    draw(history)
    bench.saver.save_now()
    assert bench.worker.wait(PATIENCE_MS)
    assert not bench.project.log
    bench.saver.resolve("a", "rewritten", written=False)
    bench.saver.release()
    assert bench.saver.flush()
    assert bench.project.expected == ["rewritten"]


def test_masks_are_counted_and_packed_beside_the_window(bench, qtbot, monkeypatch):
    threads = set()

    def noting(function):
        def call(*arguments):
            threads.add(threading.get_ident())
            return function(*arguments)

        return call

    monkeypatch.setattr(label_files, "value_counts", noting(label_files.value_counts))
    monkeypatch.setattr(label_files.zlib, "crc32", noting(label_files.zlib.crc32))
    draw(bench.open("a"))
    with qtbot.waitSignal(bench.saver.labels_written) as told:
        pass
    assert told.args[0].counts[1] == 16
    assert told.args[0].packed.mask.unpack().tolist() == [[1] * 4] * 4
    assert threads
    assert threading.get_ident() not in threads
