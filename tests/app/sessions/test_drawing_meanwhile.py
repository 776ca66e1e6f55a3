"""Drawing, and going to other images, while the classes change: nothing that was drawn is lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from app.session.class_editor import ClassEditor
from app.session.session import Session
from core.annotation.commands import drawing
from core.errors import StorageError
from core.project import project_classes
from tests.app.on_disk import labels_in
from tests.app.sessions.conftest import add_class, draw, json_of, open_in, show, square
from tests.patience import PATIENCE_S


@dataclass
class Gate:
    """Something of the worker that waits until the test lets it go on."""

    begun: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        self.begun.set()
        self.go_on.wait(PATIENCE_S)


@pytest.fixture
def rewriting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A change of the classes that waits just before it replaces the files, as with thousands of them."""
    gate, replace_all = Gate(), project_classes.replace_all

    def replace_later(*arguments: object) -> None:
        gate.wait()
        replace_all(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(project_classes, "replace_all", replace_later)
    yield gate
    gate.go_on.set()


@pytest.fixture
def classes(opened: Session, qtbot) -> Session:
    """With the classes nerve and vessel."""
    for name in ("nerve", "vessel"):
        add_class(opened, qtbot, name)
    return opened


def index_of(session: Session, name: str) -> int:
    found = session.classes.by_name(name)
    assert found is not None
    return found.index


def labels_drawn(session: Session) -> list[str]:
    assert session.document is not None
    return [shape.label for shape in session.document.shapes]


def rename(session: Session) -> None:
    session.class_editor.rename(index_of(session, "nerve"), "median nerve")


def merge(session: Session) -> None:
    session.class_editor.merge(index_of(session, "nerve"), index_of(session, "vessel"))


def ignore(session: Session) -> None:
    session.class_editor.delete(index_of(session, "nerve"), "ignore")


CHANGES = [(rename, "median nerve"), (merge, "vessel"), (ignore, "__ignore__")]


def saved_whole(session: Session, qtbot) -> None:
    qtbot.waitUntil(lambda: not session.busy and session.save_state.kind == "saved")
    assert [shape["label"] for shape in json_of(session)["shapes"]] == labels_drawn(session)
    assert not [text for level, text in session.complaints if level != "info"]


@pytest.mark.parametrize(("change", "label"), CHANGES)
def test_what_is_drawn_while_the_last_edit_is_saved_survives_a_class_change(classes, qtbot, change, label):
    gate = Gate()
    classes._opened.worker.run(gate.wait)
    assert gate.begun.wait(PATIENCE_S)
    draw(classes, "nerve")
    classes.save_now()
    draw(classes, "nerve", at=20)
    change(classes)
    gate.go_on.set()
    saved_whole(classes, qtbot)
    assert labels_drawn(classes) == [label, label]
    classes.editor.undo()
    assert labels_drawn(classes) == [label]
    saved_whole(classes, qtbot)


@pytest.mark.parametrize(("change", "label"), CHANGES)
def test_what_is_drawn_while_the_classes_change_follows_them(classes, qtbot, rewriting, change, label):
    draw(classes, "nerve")
    change(classes)
    assert rewriting.begun.wait(PATIENCE_S)
    draw(classes, "nerve", at=20)
    draw(classes, "vessel", at=30)
    classes.editor.undo()
    classes.save_now()
    rewriting.go_on.set()
    saved_whole(classes, qtbot)
    assert labels_drawn(classes) == [label, label]
    classes.editor.redo()
    assert labels_drawn(classes) == [label, label, "vessel"]
    saved_whole(classes, qtbot)


def test_shapes_of_other_classes_drawn_while_one_goes_with_its_shapes_stay(classes, qtbot, rewriting):
    draw(classes, "nerve")
    classes.class_editor.delete(index_of(classes, "nerve"), "delete")
    assert rewriting.begun.wait(PATIENCE_S)
    draw(classes, "vessel", at=20)
    rewriting.go_on.set()
    saved_whole(classes, qtbot)
    assert labels_drawn(classes) == ["vessel"]


def test_what_is_drawn_while_a_class_change_fails_is_saved_under_its_old_name(classes, qtbot, monkeypatch):
    gate = Gate()

    def refuse(*_arguments: object) -> None:
        gate.wait()
        raise StorageError("project.json", "the disk is full")

    monkeypatch.setattr(project_classes, "replace_all", refuse)
    rename(classes)
    assert gate.begun.wait(PATIENCE_S)
    draw(classes, "nerve")
    gate.go_on.set()
    qtbot.waitUntil(lambda: not classes.busy and classes.save_state.kind == "saved")
    assert [shape["label"] for shape in json_of(classes)["shapes"]] == ["nerve"]


def test_a_foreign_change_found_while_the_classes_change_is_asked_about(classes, qtbot):
    gate = Gate()
    draw(classes, "nerve")
    assert classes.flush()
    path = classes.current.entry.annotation_path
    classes._opened.worker.run(gate.wait)
    draw(classes, "nerve", at=20)
    foreign = json.loads(path.read_bytes())
    path.write_text(json.dumps(foreign))
    rename(classes)
    with qtbot.waitSignal(classes.conflict_found) as found:
        gate.go_on.set()
    qtbot.waitUntil(lambda: not classes.busy)
    assert labels_drawn(classes) == ["median nerve", "median nerve"]
    assert labels_in(path) == ["median nerve"]
    classes.resolve_conflict(found.args[0], "mine")
    qtbot.waitUntil(lambda: classes.save_state.kind == "saved")
    assert labels_in(path) == ["median nerve", "median nerve"]


def test_closing_waits_for_a_class_change_and_saves_what_was_drawn_meanwhile(classes, qtbot, rewriting):
    path = classes.current.entry.annotation_path
    draw(classes, "nerve")
    rename(classes)
    assert rewriting.begun.wait(PATIENCE_S)
    draw(classes, "nerve", at=20)
    threading.Timer(0.1, rewriting.go_on.set).start()
    assert classes.close()
    assert labels_in(path) == ["median nerve", "median nerve"]


def test_an_image_opened_while_the_classes_change_shows_its_new_labels(classes, qtbot, rewriting):
    show(classes, qtbot, "scan001.png")
    draw(classes, "nerve")
    folder = classes.project.root
    assert classes.close()
    open_in(classes, qtbot, folder)
    rename(classes)
    assert rewriting.begun.wait(PATIENCE_S)
    classes.open_image("scan001.png")
    qtbot.waitUntil(lambda: not classes._reader.busy)
    assert classes.current.entry.key == "scan000.png"
    rewriting.go_on.set()
    qtbot.waitUntil(lambda: classes.current.entry.key == "scan001.png")
    assert labels_drawn(classes) == ["median nerve"]
    draw(classes, "median nerve", at=20)
    saved_whole(classes, qtbot)


@pytest.mark.parametrize("end", [ClassEditor.merge, ClassEditor.delete])
def test_a_class_that_could_not_be_ended_leaves_the_undo_of_the_classes(
    classes, qtbot, end: Callable[..., None]
):
    rename(classes)
    qtbot.waitUntil(lambda: not classes.busy)
    nerve = index_of(classes, "median nerve")
    end(classes.class_editor, nerve, nerve)  # into itself: refused
    qtbot.waitUntil(lambda: not classes.busy)
    assert classes.undo_order.undo_name == "Rename nerve to median nerve"
    end(classes.class_editor, nerve, index_of(classes, "vessel"))
    qtbot.waitUntil(lambda: not classes.busy)
    assert classes.undo_order.undo_name is None


def test_merging_the_background_takes_shapes_drawn_as_background_along(classes, qtbot):
    gate = Gate()
    classes._opened.worker.run(gate.wait)
    draw(classes, "_background_")
    classes.save_now()
    draw(classes, "_background_", at=20)
    classes.class_editor.merge(index_of(classes, "background"), index_of(classes, "vessel"))
    gate.go_on.set()
    saved_whole(classes, qtbot)
    assert labels_drawn(classes) == ["vessel", "vessel"]


def test_an_opening_that_fails_does_not_end_the_note_of_a_class_change(classes, qtbot, rewriting, tmp_path):
    told: list[str] = []
    classes.busy_changed.connect(told.append)
    rename(classes)
    assert rewriting.begun.wait(PATIENCE_S)
    with qtbot.waitSignal(classes.open_failed):
        classes.open_project(tmp_path / "nowhere")
    assert classes.busy == told[-1] == "renaming nerve to median nerve"
    rewriting.go_on.set()
    qtbot.waitUntil(lambda: not classes.busy)
    assert told[-1] == ""


@pytest.mark.parametrize("edit", ["execute", "undo"])
def test_an_image_of_a_project_that_is_closed_is_not_edited_any_more(opened, qtbot, image_folder, edit):
    draw(opened)
    left = opened.current
    open_in(opened, qtbot, image_folder(3, name="second"))
    if edit == "undo":
        opened.editor.undo(on=left)
    else:
        assert not opened.execute(drawing(left.document, [square("nerve", 30)]), on=left)
    assert len(left.document.shapes) == 1
    assert opened.complaints == [
        ("warning", f"{left.entry.image_path} is not open any more: nothing of it was changed.")
    ]
