"""New colours of classes come into all masks, behind everything else, and at the next opening if need be."""

from __future__ import annotations

import threading

import pytest
from PIL import Image

from app.session import mask_refresh
from app.session.session import Session
from app.workers import autosaver
from core.errors import StorageError
from tests.app.sessions.conftest import add_class, draw, open_in, show
from tests.patience import PATIENCE_S

GREEN = (1, 200, 3)


@pytest.fixture
def labelled(opened: Session, qtbot) -> Session:
    """Three images with a nerve each."""
    add_class(opened, qtbot, "nerve")
    for entry in opened.entries:
        show(opened, qtbot, entry.key)
        draw(opened, "nerve")
    assert opened.flush()
    return opened


def recolor(session: Session, qtbot) -> None:
    with qtbot.waitSignal(session.classes_changed):
        session.class_editor.recolor(session.classes.by_name("nerve").index, "#01c803")


def colors_of_nerve(session: Session) -> list[tuple[int, ...]]:
    """What masks show as nerve, image by image."""
    found = []
    for entry in session.entries:
        with Image.open(entry.mask_path) as mask:
            found.append(mask.convert("RGB").getpixel((10, 10)))
    return found


def test_a_new_colour_comes_into_all_masks(labelled, qtbot):
    recolor(labelled, qtbot)
    qtbot.waitUntil(lambda: colors_of_nerve(labelled) == [GREEN] * 3)
    qtbot.waitUntil(lambda: not labelled.project.layout.recolored.exists())


def test_labels_are_saved_before_a_second_mask_gets_its_new_colour(labelled, qtbot, monkeypatch):
    begun, go_on, order = threading.Event(), threading.Event(), []
    write_annotation = autosaver.write_annotation

    def refresh(_project, entry):
        order.append(entry.key)
        begun.set()
        go_on.wait(PATIENCE_S)
        return ""

    def write(*arguments):
        order.append("labels")
        return write_annotation(*arguments)

    monkeypatch.setattr(mask_refresh, "refresh", refresh)
    monkeypatch.setattr(autosaver, "write_annotation", write)
    recolor(labelled, qtbot)
    qtbot.waitUntil(begun.is_set)
    draw(labelled, "nerve", at=20)
    labelled.save_now()
    go_on.set()
    qtbot.waitUntil(lambda: len(order) == 4)
    assert order[:2] == ["scan000.png", "labels"]


def test_masks_that_closing_left_with_their_old_colour_follow_at_the_next_opening(
    labelled, qtbot, monkeypatch
):
    with monkeypatch.context() as closing:
        closing.setattr(mask_refresh, "refresh", lambda *_arguments: "no room")
        recolor(labelled, qtbot)
        root = labelled.project.root
        assert labelled.close()
    open_in(labelled, qtbot, root)
    qtbot.waitUntil(lambda: colors_of_nerve(labelled) == [GREEN] * 3)
    qtbot.waitUntil(lambda: not labelled.project.layout.recolored.exists())


def test_a_mask_that_cannot_be_written_gets_its_new_colour_at_the_next_opening(
    labelled, qtbot, monkeypatch, caplog
):
    project, write_mask = labelled.project, labelled.project.write_mask

    def refuse_the_first(entry, mask):
        if entry.key == "scan000.png":
            raise StorageError(entry.mask_path, "cannot be written (another program has it open)")
        write_mask(entry, mask)

    monkeypatch.setattr(project, "write_mask", refuse_the_first)
    recolor(labelled, qtbot)
    qtbot.waitUntil(lambda: colors_of_nerve(labelled)[1:] == [GREEN] * 2)
    qtbot.waitUntil(lambda: not labelled._opened.worker.busy)
    assert project.layout.recolored.exists()
    assert "scan000.png: cannot be written (another program has it open)" in caplog.text
    assert labelled.close()
    open_in(labelled, qtbot, project.root)
    qtbot.waitUntil(lambda: colors_of_nerve(labelled) == [GREEN] * 3)
    qtbot.waitUntil(lambda: not project.layout.recolored.exists())


def test_what_stands_in_the_way_of_masks_is_told_once_and_left_alone(labelled, qtbot):
    entries = labelled.entries[:2]
    theirs = dict.fromkeys(entries, b"a mask of another program")
    for entry, content in theirs.items():
        entry.mask_path.write_bytes(content)
    for color in ("#01c803", "#0203f0"):
        with qtbot.waitSignal(labelled.classes_changed):
            labelled.class_editor.recolor(labelled.classes.by_name("nerve").index, color)
        qtbot.waitUntil(lambda: not labelled._opened.worker.busy)
    told = [text for level, text in labelled.complaints if level == "warning"]
    assert len(told) == 1
    assert told[0].startswith("2 masks are not up to date")
    assert "was not made by this project; move it away" in told[0]
    assert [entry.mask_path.read_bytes() for entry in entries] == list(theirs.values())
    assert labelled.project.layout.recolored.exists(), "they are tried again at the next opening"


def test_the_last_mask_of_one_colour_does_not_take_the_mark_of_the_next(labelled, qtbot, monkeypatch):
    halted, go_on, refreshed = threading.Event(), threading.Event(), []

    def refresh(_project, entry):
        refreshed.append(entry.key)
        if len(refreshed) in (3, 4):  # the last mask of one colour, the first of the next
            halted.set()
            go_on.wait(PATIENCE_S)
            go_on.clear()
        return ""

    monkeypatch.setattr(mask_refresh, "refresh", refresh)
    recolor(labelled, qtbot)
    qtbot.waitUntil(halted.is_set)
    halted.clear()
    with qtbot.waitSignal(labelled.classes_changed):
        labelled.class_editor.recolor(labelled.classes.by_name("nerve").index, "#0203f0")
        go_on.set()
    qtbot.waitUntil(halted.is_set)
    assert labelled.project.layout.recolored.exists()
    go_on.set()
    qtbot.waitUntil(lambda: not labelled.project.layout.recolored.exists())
