"""Files that are corrupt, vanish, are read-only or changed by another program while a project is open."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from app.session import open_project
from app.session.opening import locate
from core.annotation.commands import AddShapes
from core.errors import AnnotationFileError, StorageError
from core.project.project import Project
from tests.app.on_disk import labels_in
from tests.app.sessions.conftest import add_class, draw, open_in, show, square
from tests.patience import PATIENCE_S


def test_a_corrupt_annotation_blocks_its_image_and_is_never_overwritten(opened, qtbot):
    path = opened.project.root / "scan001.json"
    path.write_text("{ not json")
    show(opened, qtbot, "scan001.png")
    assert str(path) in opened.current.problem
    assert opened.current.document is None
    assert not opened.execute(AddShapes((square("nerve"),)))
    assert opened.flush()
    assert path.read_text() == "{ not json"
    assert opened.statuses.get("scan001.png").problem
    show(opened, qtbot, "scan002.png")
    assert opened.current.problem is None


def test_a_corrupt_annotation_that_is_mended_can_be_edited_at_once(opened, qtbot):
    path = opened.project.root / "scan001.json"
    path.write_text("{ not json")
    show(opened, qtbot, "scan001.png")
    path.unlink()
    qtbot.waitUntil(lambda: opened.current.problem is None)
    assert not opened.statuses.get("scan001.png").problem


def test_an_unreadable_image_says_so_and_the_rest_goes_on(opened, qtbot):
    (opened.project.root / "scan001.png").write_bytes(b"not a picture")
    show(opened, qtbot, "scan001.png")
    assert "scan001.png" in opened.current.problem
    show(opened, qtbot, "scan002.png")
    assert opened.current.image is not None


def test_a_vanished_image_keeps_its_annotation_and_comes_back(opened, qtbot, tmp_path):
    draw(opened)
    assert opened.flush()
    entry = opened.current.entry
    shutil.move(entry.image_path, tmp_path / "away.png")
    qtbot.waitUntil(lambda: opened.current.problem is not None)
    assert "moved or deleted" in opened.current.problem
    assert opened.keys() == ("scan001.png", "scan002.png")
    assert entry.annotation_path.is_file()
    shutil.move(tmp_path / "away.png", entry.image_path)
    qtbot.waitUntil(lambda: opened.current.problem is None)
    assert len(opened.current.document) == 1


def test_what_another_program_saves_is_read_again_while_nothing_is_unsaved_here(opened, qtbot):
    draw(opened)
    assert opened.flush()
    path = opened.current.entry.annotation_path
    foreign = json.loads(path.read_bytes())
    foreign["shapes"][0]["label"] = "vessel"
    with qtbot.waitSignal(
        opened.message, check_params_cb=lambda text, _level: "changed by another program" in text
    ):
        path.write_text(json.dumps(foreign))
    assert [shape.label for shape in opened.current.document.shapes] == ["vessel"]
    assert not opened.current.history.can_undo
    assert opened.flush()
    assert json.loads(path.read_bytes())["shapes"][0]["label"] == "vessel"


@pytest.fixture
def conflict(opened, qtbot) -> Callable[[str], Path]:
    """Make a foreign change under an unsaved edit and answer the question with the given choice."""

    def make(choice: str) -> Path:
        draw(opened)
        assert opened.flush()
        path = opened.current.entry.annotation_path
        foreign = json.loads(path.read_bytes())
        foreign["shapes"][0]["label"] = "theirs"
        with qtbot.waitSignal(opened.conflict_found) as found:
            draw(opened, label="mine", at=20)
            path.write_text(json.dumps(foreign))
            opened.save_now()
        assert str(path) in found.args[1]
        assert opened.save_state.kind == "conflict"
        assert json.loads(path.read_bytes())["shapes"][0]["label"] == "theirs"
        opened.resolve_conflict(found.args[0], choice)
        qtbot.waitUntil(lambda: opened.save_state.kind == "saved")
        return path

    return make


def test_a_foreign_change_under_an_unsaved_edit_can_be_taken(opened, conflict):
    path = conflict("reload")
    assert labels_in(path) == ["theirs"]
    assert [shape.label for shape in opened.current.document.shapes] == ["theirs"]


def test_a_foreign_change_under_an_unsaved_edit_can_be_overruled(opened, conflict):
    path = conflict("mine")
    assert labels_in(path) == ["nerve", "mine"]
    assert opened.current.history.can_undo


def test_a_foreign_change_under_an_unsaved_edit_can_be_kept_beside(opened, conflict):
    path = conflict("both")
    assert labels_in(path) == ["nerve", "mine"]
    assert labels_in(path.with_name("scan000.theirs-1.json")) == ["theirs"]
    assert opened.keys() == ("scan000.png", "scan001.png", "scan002.png")


@pytest.mark.parametrize("on_show", [True, False])
@pytest.mark.parametrize(("choice", "labels"), [("reload", []), ("mine", ["nerve"])])
def test_an_annotation_that_another_program_removed_is_asked_about_and_nothing_is_lost(
    opened, qtbot, on_show, choice, labels
):
    draw(opened)
    assert opened.flush()
    path = opened.current.entry.annotation_path
    if not on_show:
        show(opened, qtbot, "scan001.png")
    with qtbot.waitSignal(opened.conflict_found) as found:
        path.unlink()
        if not on_show:
            opened.open_image("scan000.png")
    qtbot.waitUntil(lambda: opened.current.entry.key == "scan000.png")
    assert "removed this file" in found.args[1]
    assert [shape.label for shape in opened.document.shapes] == ["nerve"]
    assert opened.current.history.can_undo
    opened.resolve_conflict("scan000.png", choice)
    qtbot.waitUntil(lambda: opened.save_state.kind == "saved")
    assert [shape.label for shape in opened.document.shapes] == labels
    assert path.exists() is bool(labels)


def test_a_read_only_project_can_be_looked_at_and_says_why_it_cannot_be_changed(opened, qtbot):
    opened.project.read_only_reason = "its folder is read-only"
    assert not opened.execute(AddShapes((square("nerve"),)))
    assert "its folder is read-only" in opened.complaints[-1][1]
    show(opened, qtbot, "scan001.png")
    assert opened.current.image is not None
    assert opened.close()


def test_what_another_program_saves_in_a_read_only_project_is_shown_and_it_can_be_left(opened, qtbot):
    draw(opened)
    assert opened.flush()
    entry = opened.current.entry
    mask = entry.mask_path.read_bytes()
    opened.project.read_only_reason = "it was opened for reading only"
    with qtbot.waitSignal(opened.labels_written) as written:
        entry.annotation_path.write_bytes(entry.annotation_path.read_bytes().replace(b"nerve", b"vessel"))
    assert written.args[0].entry == entry
    assert [shape.label for shape in opened.document.shapes] == ["vessel"]
    assert opened.save_state.kind == "saved"
    assert entry.mask_path.read_bytes() == mask
    assert opened.close()


def test_a_label_that_labelme_added_to_another_image_becomes_a_class_and_is_told(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    qtbot.waitUntil(lambda: not opened._opened.worker.busy)
    shape = {"label": "tendon", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}
    foreign = {"imagePath": "scan002.png", "imageData": None, "shapes": [shape]}
    (opened.project.root / "scan002.json").write_text(json.dumps(foreign))
    with qtbot.assertNotEmitted(opened.images_changed), qtbot.waitSignal(opened.classes_changed):
        opened._opened.rescan()  # as when the window comes to the front
    assert opened.classes.names == ("background", "nerve", "tendon")
    assert opened.active_class.name == "nerve"  # nobody here chose to draw the other
    assert ("info", "The class was taken from the annotations: tendon.") in opened.complaints
    qtbot.waitUntil(lambda: opened.statuses.get("scan002.png").shapes == 1)


def test_a_mask_follows_what_another_program_drew_while_the_project_was_closed(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    show(opened, qtbot, "scan001.png")
    draw(opened)
    assert opened.flush()
    entry, root = opened.current.entry, opened.project.root
    opened.close()
    text = entry.annotation_path.read_text()
    entry.annotation_path.write_text(text.replace("15.0", "35.0"))
    newer = entry.mask_path.stat().st_mtime_ns + 10**9
    os.utime(entry.annotation_path, ns=(newer, newer))
    opened.preferred_image = lambda _root: "scan000.png"
    open_in(opened, qtbot, root)
    qtbot.waitUntil(lambda: opened.project.read_mask(entry)[30, 30] == 1)


@pytest.mark.parametrize("on_show", [True, False])
def test_a_label_that_another_program_adds_to_an_image_is_a_class_and_in_its_mask_when_it_is_shown(
    opened, qtbot, on_show
):
    add_class(opened, qtbot, "nerve")
    show(opened, qtbot, "scan001.png")
    draw(opened)
    assert opened.flush()
    entry = opened.current.entry
    if not on_show:
        root = opened.project.root
        opened.close()
        opened.preferred_image = lambda _root: "scan000.png"
        open_in(opened, qtbot, root)
    foreign = json.loads(entry.annotation_path.read_bytes())
    x, y = 30.0, 20.0
    added = {**foreign["shapes"][0], "label": "vessel", "points": [[x, y], [x + 9, y], [x + 9, y + 9]]}
    entry.annotation_path.write_text(json.dumps({**foreign, "shapes": [*foreign["shapes"], added]}))
    if not on_show:
        show(opened, qtbot, "scan001.png")
    qtbot.waitUntil(lambda: opened.document is not None and len(opened.document) == 2)
    assert opened.classes.names == ("background", "nerve", "vessel")
    assert ("info", "The class was taken from the annotations: vessel.") in opened.complaints
    vessel = opened.classes.by_name("vessel").index
    qtbot.waitUntil(lambda: opened.project.read_mask(entry)[22, 37] == vessel)


def test_deleting_an_annotation_that_another_program_changed_asks_first(opened, qtbot):
    draw(opened)
    assert opened.flush()
    path = opened.current.entry.annotation_path
    theirs = path.read_bytes() + b"\n"
    with qtbot.waitSignal(opened.conflict_found) as found:
        path.write_bytes(theirs)
        opened.editor.delete_annotation()
    assert path.read_bytes() == theirs
    opened.resolve_conflict(found.args[0], "mine")
    qtbot.waitUntil(lambda: opened.save_state.kind == "saved")
    assert not path.exists()


def test_edits_that_a_crash_left_unsaved_are_back_and_told(session, qtbot, image_folder):
    from core.annotation.document import AnnotationDocument
    from core.annotation.model import Annotation
    from core.project.edit_journal import Edit, EditJournal

    folder = image_folder(1)
    with Project.open(folder, holder="a window that crashed") as project:
        journal = EditJournal(project.layout.edits, "scan000.png", None)
    document = AnnotationDocument(Annotation("scan000.png", (48, 64)))
    document.subscribe(lambda change: journal.note(Edit.of(change, document)))
    document.insert(0, square("nerve"))
    journal.flush()
    open_in(session, qtbot, folder)
    assert session.current.document.shapes == (square("nerve"),)
    assert any("recovered: 1 of scan000.png" in text for _level, text in session.complaints)


def test_closing_saves_the_last_edit_at_once(opened):
    path = opened.current.entry.annotation_path
    draw(opened)
    assert opened.close()
    assert labels_in(path) == ["nerve"]
    assert opened.project is None
    assert opened.current is None


@pytest.mark.parametrize("also_edits", [False, True])
def test_a_mask_that_was_left_unwritten_is_drawn_at_the_next_opening(opened, qtbot, monkeypatch, also_edits):
    def refuse(entry, *_rest, **_named):
        raise StorageError(entry.mask_path, "cannot be written (the disk is full)")

    add_class(opened, qtbot, "nerve")
    root = opened.project.root
    monkeypatch.setattr(opened.project, "write_mask", refuse)
    draw(opened)
    assert not opened.flush()
    if also_edits:
        monkeypatch.setattr(opened.project, "save", refuse)
        draw(opened, at=30)
        assert not opened.flush()
    assert opened.close(discard=True)
    opened.complaints.clear()
    open_in(opened, qtbot, root)
    assert len(opened.document) == 1
    assert not opened.complaints
    with Image.open(opened.current.entry.mask_path) as mask:
        assert mask.getpixel((10, 10)) == opened.classes.by_name("nerve").index


def test_an_annotation_that_would_not_be_seen_is_not_opened_silently(tmp_path):
    def write(path: Path, image: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"imagePath": image, "shapes": []}))
        return path

    for name in ("images/a.png", "elsewhere/b.png", "project/c.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (8, 6)).save(tmp_path / name)
    Project.create(tmp_path / "project", image_roots=(".", "../elsewhere")).close()
    apart = write(tmp_path / "labels" / "a.json", "../images/a.png")
    kept = write(tmp_path / "project" / "annotations" / "elsewhere" / "b.json", "../../../elsewhere/b.png")

    with pytest.raises(AnnotationFileError, match="its image is in another folder") as refused:
        locate(apart)
    assert f'maskloop import "{tmp_path / "images"}" "{tmp_path / "labels"}"' in str(refused.value)
    assert locate(kept).root == tmp_path / "project"

    beside = write(tmp_path / "images" / "a.json", "a.png")
    for path in (beside, apart):
        assert locate(path).root.resolve() == tmp_path / "images"


def test_an_image_that_appears_while_others_are_looked_for_is_found(opened, qtbot, monkeypatch):
    inside = opened._opened
    qtbot.waitUntil(lambda: not inside.worker.busy)
    scanned, go_on, rescan = threading.Event(), threading.Event(), inside.project.rescan

    def rescan_slowly(check):
        change = rescan(check)
        scanned.set()
        go_on.wait(PATIENCE_S)
        return change

    monkeypatch.setattr(inside.project, "rescan", rescan_slowly)
    shutil.copy(opened.project.root / "scan000.png", opened.project.root / "scan003.png")
    qtbot.waitUntil(scanned.is_set)
    with qtbot.waitSignal(inside._watcher.folders_touched):
        shutil.copy(opened.project.root / "scan000.png", opened.project.root / "scan004.png")
    go_on.set()
    qtbot.waitUntil(lambda: len(opened.keys()) == 5)


@pytest.mark.parametrize("look", ["rescan", "_on_folders_touched"])
def test_closing_does_not_wait_until_all_images_are_looked_for(opened, qtbot, monkeypatch, look):
    inside = opened._opened
    qtbot.waitUntil(lambda: not inside.worker.busy)
    began, closing, looked = threading.Event(), threading.Event(), []

    def looked_at(*_args: object) -> bool:
        looked.append(1)
        began.set()
        closing.wait(PATIENCE_S)
        return False

    monkeypatch.setattr("core.project.image_folders.page_names", lambda path: [path.name] * looked_at())
    monkeypatch.setattr("app.session.watching.may_be_image", looked_at)
    getattr(inside, look)()
    qtbot.waitUntil(began.is_set)
    wait_for_done = inside.worker._pool.waitForDone
    monkeypatch.setattr(
        inside.worker._pool, "waitForDone", lambda limit_ms: closing.set() or wait_for_done(limit_ms)
    )
    entries = opened.project.images()
    assert opened.close()
    assert len(looked) == 1, "the folder has three images"
    assert inside.project.images() == entries


def test_what_another_program_does_to_visited_images_is_seen(opened, qtbot):
    paths = []
    for name in ("scan000", "scan001", "scan002"):
        show(opened, qtbot, f"{name}.png")
        draw(opened)
        paths.append(opened.current.entry.annotation_path)
    assert opened.flush()
    opened.complaints.clear()
    for path in paths[:2]:
        path.write_bytes(path.read_bytes().replace(b"nerve", b"vessel"))
    told: list[str] = []
    opened.labels_written.connect(lambda written: told.append(written.entry.key))
    opened._opened.rescan()  # as when the window comes to the front
    qtbot.waitUntil(lambda: sorted(told) == ["scan000.png", "scan001.png"])
    show(opened, qtbot, "scan000.png")
    assert [shape.label for shape in opened.document.shapes] == ["vessel"]
    assert len([text for _level, text in opened.complaints if "has been read again" in text]) == 2


def test_visited_images_that_are_moved_away_with_their_annotations_raise_no_question(opened, qtbot, tmp_path):
    draw(opened)
    show(opened, qtbot, "scan001.png")
    assert opened.flush()
    opened.complaints.clear()
    (tmp_path / "away").mkdir()
    for name in ("scan000.png", "scan000.json"):
        shutil.move(opened.project.root / name, tmp_path / "away" / name)
    opened._opened.rescan()
    qtbot.waitUntil(lambda: len(opened.keys()) == 2 and not opened._opened.worker.busy)
    assert opened.save_state.kind == "saved"
    assert not opened.complaints


def test_an_image_that_came_while_the_project_was_opened_is_seen_at_the_first_look(opened, qtbot):
    qtbot.waitUntil(lambda: not opened._opened.worker.busy)
    opened._opened._names = None  # nobody has looked since the images were listed
    shutil.copy(opened.project.root / "scan000.png", opened.project.root / "scan003.png")
    qtbot.waitUntil(lambda: len(opened.keys()) == 4)


def test_an_image_that_was_copied_halfway_when_it_was_noticed_is_whole_again(opened, qtbot):
    whole = (opened.project.root / "scan000.png").read_bytes()
    path = opened.project.root / "scan003.png"
    path.write_bytes(whole[: len(whole) // 2])
    qtbot.waitUntil(lambda: len(opened.keys()) == 4 and not opened._opened.worker.busy)
    opened.statuses.set_image_problem("scan003.png", f"{path}: is truncated")  # as its thumbnail tells
    opened._opened.rescan()
    qtbot.waitUntil(lambda: not opened._opened.worker.busy)
    assert opened.statuses.get("scan003.png").problem
    path.write_bytes(whole)
    with qtbot.waitSignal(opened.statuses_changed, check_params_cb=lambda keys: "scan003.png" in keys):
        opened.check_disk()
    assert not opened.statuses.get("scan003.png").problem


def test_an_image_that_goes_while_it_is_read_leaves_the_one_on_show(opened, qtbot, monkeypatch):
    reading, load = threading.Event(), open_project.load_image

    def slow(*arguments):
        reading.wait(20)
        return load(*arguments)

    monkeypatch.setattr(open_project, "load_image", slow)
    opened.open_image("scan001.png")
    (opened.project.root / "scan001.png").unlink()
    opened._opened.rescan()
    qtbot.waitUntil(lambda: bool(opened.complaints))
    reading.set()
    text = "scan001.png was moved or deleted before it could be shown."
    assert opened.complaints == [("warning", text)]
    assert opened.current.entry.key == "scan000.png"
    assert opened.editable
    assert opened.neighbour(1) == "scan002.png"
