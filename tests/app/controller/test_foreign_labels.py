"""Labels that other programs write for images that are not open: the engine hears of them, too."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.learning import label_feed
from app.learning.label_feed import _read
from app.session import class_changes
from app.session.image_status import StatusBoard
from app.workers.tasks import TaskRunner
from core.annotation.model import (
    UNLABELLED,
    Annotation,
    AnnotationState,
    Shape,
    ShapeType,
    frozen_points,
)
from core.learning.commands import ClassesChanged, LabelsChanged
from core.project.project import Project
from tests.app.controller.conftest import SIZE, Bench


def drawn(side: int) -> Annotation:
    """Of the second image: a square from (5, 5)."""
    square = Shape("square", ShapeType.RECTANGLE, frozen_points([(5, 5), (5 + side, 5 + side)]))
    return Annotation("scan001.png", SIZE, (square,), AnnotationState.IN_PROGRESS)


@pytest.fixture
def folder(image_folder: Callable[..., Path]) -> Path:
    """A project of three images; the second has a square."""
    folder = image_folder(3)
    with Project.create(folder, classes=("background", "square"), image_roots=(".",)) as project:
        entry = next(entry for entry in project.images() if entry.key == "scan001.png")
        project.save(entry, drawn(side=15), None)
    return folder


def write(folder: Path, side: int) -> None:
    """As another program does."""
    path = folder / "scan001.json"
    text = path.read_text()
    assert text.count("20.0") == 2
    path.write_text(text.replace("20.0", f"{5.0 + side}"))


def open_and_read(bench: Bench, folder: Path) -> StatusBoard:
    bench.open(folder)
    board = bench.session.statuses
    assert board is not None
    bench.qtbot.waitUntil(lambda: board.get("scan001.png").shapes == 1)
    return board


def look(bench: Bench) -> None:
    """As when the window comes to the front."""
    opened = bench.session._opened
    assert opened is not None
    with bench.qtbot.waitSignal(opened.board.scanned):
        opened.rescan()


def told_of(bench: Bench) -> list[LabelsChanged]:
    return [labels for labels in bench.thread.of(LabelsChanged) if labels.key == "scan001.png"]


def settle(bench: Bench) -> None:
    """Everything that is under way arrives."""
    arrived: list[bool] = []
    bench.controller._feed.when_sent(lambda: arrived.append(True))
    bench.qtbot.waitUntil(lambda: bool(arrived))


def test_what_another_program_draws_is_learned_from_without_being_opened(bench: Bench, folder: Path) -> None:
    open_and_read(bench, folder)
    write(folder, side=25)
    look(bench)
    bench.qtbot.waitUntil(lambda: bool(told_of(bench)))
    (labels,) = told_of(bench)
    assert labels.state is AnnotationState.IN_PROGRESS
    assert (labels.mask.unpack()[5:31, 5:31] == 1).all()

    look(bench)  # nothing is new now
    settle(bench)
    assert len(told_of(bench)) == 1


def test_what_another_program_takes_away_is_forgotten_without_being_opened(
    bench: Bench, folder: Path
) -> None:
    board = open_and_read(bench, folder)
    (folder / "scan001.json").unlink()
    look(bench)
    bench.qtbot.waitUntil(lambda: bool(told_of(bench)))
    assert told_of(bench)[-1].state is AnnotationState.UNLABELLED
    assert (told_of(bench)[-1].mask.unpack() == UNLABELLED).all()
    assert board.get("scan001.png").shapes == 0


def test_the_same_labels_written_again_are_no_news(bench: Bench, folder: Path) -> None:
    open_and_read(bench, folder)
    write(folder, side=25)
    look(bench)
    bench.qtbot.waitUntil(lambda: bool(told_of(bench)))
    os.utime(folder / "scan001.json", (1e9, 1e9))
    look(bench)
    settle(bench)
    assert len(told_of(bench)) == 1


def test_what_is_drawn_here_does_not_wait_for_thousands_of_files(
    bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_and_read(bench, folder)
    begun, go_on = threading.Event(), threading.Event()

    def read(*arguments: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        return _read(*arguments)

    monkeypatch.setattr(label_feed, "_read", read)
    write(folder, side=25)
    text = (folder / "scan001.json").read_text()
    (folder / "scan002.json").write_text(text.replace("scan001", "scan002"))
    look(bench)
    bench.qtbot.waitUntil(begun.is_set)
    bench.draw()
    bench.controller._feed.send_now()
    go_on.set()
    settle(bench)
    keys = [labels.key for labels in bench.thread.of(LabelsChanged)]
    assert keys == ["scan001.png", "scan000.png", "scan002.png"]


@pytest.mark.parametrize("portion", [1, 2, 64])
def test_of_a_folder_with_few_labels_these_are_learned_from_at_once_and_in_few_tasks(
    bench: Bench,
    folder: Path,
    image_folder: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    portion: int,
) -> None:
    image_folder(9)
    for name in ("scan004", "scan007"):
        text = (folder / "scan001.json").read_text()
        (folder / f"{name}.json").write_text(text.replace("scan001", name))
    (folder / "scan005.json").write_text("{ not json")
    open_and_read(bench, folder)
    tasks: list[str] = []
    run = TaskRunner.run

    def counted(*arguments: Any, **options: Any) -> Any:
        tasks.append(options["doing"])
        return run(*arguments, **options)

    monkeypatch.setattr(TaskRunner, "run", counted)
    monkeypatch.setattr(label_feed, "PORTION", portion)
    bench.controller._feed._labelled.clear()  # as of images that have just appeared
    bench.controller._feed.send_from_disk(bench.session.entries)
    assert len(tasks) == 1
    settle(bench)
    assert [labels.key for labels in bench.thread.of(LabelsChanged)] == [
        "scan001.png", "scan004.png", "scan007.png",
    ]  # fmt: skip
    assert len(tasks) <= 3 + -(-9 // portion)


def test_a_renamed_class_is_no_news_of_every_image_that_has_it(bench: Bench, folder: Path) -> None:
    open_and_read(bench, folder)
    opened = bench.session._opened
    assert opened is not None
    with bench.qtbot.waitSignal(opened.board.scanned):
        bench.session.class_editor.rename(1, "box")
    assert bench.thread.of(ClassesChanged)
    settle(bench)
    assert not told_of(bench)
    assert "box" in (folder / "scan001.json").read_text()


def test_what_is_drawn_while_a_class_is_deleted_is_told_after_the_engine_has_read_the_files_anew(
    opened: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened.qtbot.waitSignal(opened.session.classes_changed):
        opened.session.add_class("odd")
    rewriting, change = threading.Event(), class_changes.change_classes

    def slow(*arguments):  # type: ignore[no-untyped-def]
        rewriting.wait(20)
        return change(*arguments)

    monkeypatch.setattr(class_changes, "change_classes", slow)
    opened.session.class_editor.delete(2)
    opened.draw()
    opened.wait_for(LabelsChanged)
    told = len(opened.thread.of(ClassesChanged))
    rewriting.set()
    again = opened.wait_for(ClassesChanged, told + 1)

    def told_after() -> list[LabelsChanged]:
        sent = opened.thread.sent[opened.thread.sent.index(again) :]
        return [command for command in sent if isinstance(command, LabelsChanged)]

    opened.qtbot.waitUntil(lambda: bool(told_after()))
    assert told_after()[-1].key == "scan000.png"
    assert (told_after()[-1].mask.unpack() == 1).any()
