"""What a person gets from an open project: images, safe edits, classes, what other programs change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from app.session import Session
from core.annotation.commands import AddShapes, SetLocked, drawing
from core.annotation.labelme_json import loads
from core.annotation.locking import is_locked
from core.annotation.model import AnnotationState, Shape, ShapeType
from core.project.project import Project


@pytest.fixture
def session(qtbot) -> Iterator[Session]:
    session = Session()
    session.complaints = []  # type: ignore[attr-defined]
    session.message.connect(lambda text, level: session.complaints.append((level, text)))
    session.open_failed.connect(lambda error, text: session.complaints.append(("failed", text)))
    yield session
    session.close(discard=True)
    session.shut_down()


@pytest.fixture
def opened(session, qtbot, image_folder) -> Session:
    open_in(session, qtbot, image_folder(3))
    return session


def open_in(session: Session, qtbot, path: Path) -> None:
    session.open_project(path)
    qtbot.waitUntil(lambda: session.current is not None and not session.busy)


def show(session: Session, qtbot, key: str) -> None:
    session.open_image(key)
    qtbot.waitUntil(lambda: session.current is not None and session.current.entry.key == key)


def square(label: str, at: float = 5.0, side: float = 10.0) -> Shape:
    points = [(at, at), (at + side, at), (at + side, at + side), (at, at + side)]
    return Shape(label, ShapeType.POLYGON, np.array(points))


def draw(session: Session, label: str = "nerve", at: float = 5.0) -> Shape:
    shape = square(label, at)
    assert session.current is not None
    assert session.current.document is not None
    assert session.execute(drawing(session.current.document, [shape]))
    return shape


def json_of(session: Session) -> dict:
    assert session.current is not None
    return json.loads(session.current.entry.annotation_path.read_bytes())


def add_class(session: Session, qtbot, name: str) -> None:
    with qtbot.waitSignal(session.classes_changed):
        session.add_class(name)


# --- opening ----------------------------------------------------------------------------------------------


def test_a_folder_of_images_opens_at_its_first_image_and_gets_a_project_file(opened):
    assert opened.keys() == ("scan000.png", "scan001.png", "scan002.png")
    assert opened.current.entry.key == "scan000.png"
    assert opened.current.size_hw == (48, 64)
    assert (opened.project.root / "project.json").is_file()
    assert not opened.complaints


def test_an_image_or_its_annotation_opens_its_folder_at_that_image(session, qtbot, image_folder):
    folder = image_folder(3)
    open_in(session, qtbot, folder / "scan001.png")
    assert session.current.entry.key == "scan001.png"
    draw(session)
    assert session.flush()
    assert session.close()
    open_in(session, qtbot, folder / "scan001.json")
    assert session.current.entry.key == "scan001.png"
    assert len(session.current.document) == 1


def test_a_folder_inside_a_project_opens_the_project(session, qtbot, image_folder, tmp_path):
    image_folder(2, name="work/images")
    Project.create(tmp_path / "work", classes=["background", "nerve"]).close()
    open_in(session, qtbot, tmp_path / "work" / "images")
    assert session.project.root == tmp_path / "work"
    assert session.classes.names == ("background", "nerve")
    assert session.active_class.name == "nerve"


def test_a_project_closed_while_it_opens_shows_nothing_more(session, qtbot, image_folder):
    listed: list[object] = []
    session.open_project(image_folder(3))
    with qtbot.waitSignal(session.project_changed):
        pass
    assert session.close()
    session.images_changed.connect(listed.append)
    session.open_project(image_folder(2, name="other"))
    qtbot.waitUntil(lambda: session.current is not None)
    assert listed == [None]
    assert len(session.keys()) == 2


def test_an_image_asked_for_while_the_project_opens_is_the_one_that_is_shown(session, qtbot, image_folder):
    session.project_changed.connect(lambda: session.open_image("scan001.png"))
    open_in(session, qtbot, image_folder(3))
    assert session.current.entry.key == "scan001.png"


def test_opening_an_image_of_the_open_project_only_shows_it(opened, qtbot):
    root = opened.project.root
    with qtbot.waitSignal(opened.current_changed), qtbot.assertNotEmitted(opened.project_changed):
        opened.open_project(root / "scan002.png")
    assert opened.current.entry.key == "scan002.png"


def test_what_cannot_be_opened_leaves_the_open_project_as_it_is(opened, qtbot, tmp_path):
    with qtbot.waitSignal(opened.open_failed) as failed:
        opened.open_project(tmp_path / "nowhere")
    assert "does not exist" in failed.args[1]
    assert opened.project is not None
    assert draw(opened) in opened.current.document.shapes


def test_a_project_open_elsewhere_is_refused_with_the_holders_name(session, qtbot, image_folder):
    folder = image_folder(1)
    with Project.open(folder, holder="Ada's window"), qtbot.waitSignal(session.open_failed) as failed:
        session.open_project(folder)
    assert "Ada's window" in failed.args[1]
    assert session.project is None


def test_an_empty_folder_opens_and_images_put_into_it_appear(session, qtbot, tmp_path, image_folder):
    empty = tmp_path / "empty"
    empty.mkdir()
    with qtbot.waitSignal(session.project_changed):
        session.open_project(empty)
    assert session.keys() == ()
    qtbot.waitUntil(lambda: not session._opened.worker.busy)
    shutil.copy(image_folder(1) / "scan000.png", empty / "new.png")
    qtbot.waitUntil(lambda: session.current is not None, timeout=5000)
    assert session.current.entry.key == "new.png"


# --- drawing and saving -----------------------------------------------------------------------------------


def test_a_drawn_polygon_is_on_disk_with_its_mask_soon_after(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    with qtbot.waitSignal(opened.labels_written, timeout=1000) as written:
        draw(opened)
    saved = json_of(opened)
    assert [shape["label"] for shape in saved["shapes"]] == ["nerve"]
    assert saved["maskloop"]["state"] == "in_progress"
    mask = opened.project.read_mask(opened.current.entry)
    assert (mask[5:16, 5:16] == opened.active_class.index).all()
    assert (mask[20:, 20:] == 255).all()
    assert (written.args[0].mask == mask).all()
    assert written.args[0].revision == opened.current.document.revision
    assert opened.save_state.kind == "saved"


def test_an_image_that_was_only_looked_at_gets_no_file(opened, qtbot):
    show(opened, qtbot, "scan001.png")
    assert opened.flush()
    assert not list(opened.project.root.glob("*scan*.json"))


def test_switching_images_saves_the_one_that_is_left(opened, qtbot):
    left = opened.current.entry
    draw(opened)
    show(opened, qtbot, "scan001.png")
    qtbot.waitUntil(lambda: opened.save_state.kind == "saved")
    assert len(loads(left.annotation_path.read_bytes(), left.annotation_path).shapes) == 1


def test_undo_still_works_after_visiting_another_image(opened, qtbot):
    draw(opened)
    show(opened, qtbot, "scan001.png")
    show(opened, qtbot, "scan000.png")
    assert opened.current.history.undo_name
    opened.undo()
    assert len(opened.current.document) == 0
    assert opened.flush()
    assert json_of(opened)["shapes"] == []
    opened.redo()
    assert len(opened.current.document) == 1


def test_an_invalid_edit_is_refused_with_a_sentence_and_changes_nothing(opened):
    line = Shape("nerve", ShapeType.POLYGON, np.array([(1.0, 1.0), (5.0, 5.0)]))
    assert not opened.execute(AddShapes((line,)))
    assert len(opened.current.document) == 0
    assert opened.complaints[-1][0] == "warning"


def test_marking_an_image_done_makes_the_rest_background(opened, qtbot):
    draw(opened)
    with qtbot.waitSignal(opened.labels_written, timeout=2000, check_params_cb=lambda w: w.state == "done"):
        opened.set_image_state(AnnotationState.DONE)
    assert (opened.project.read_mask(opened.current.entry)[30:, 30:] == 0).all()
    assert opened.statuses.get("scan000.png").state is AnnotationState.DONE


def test_deleting_an_annotation_can_be_undone(opened):
    draw(opened)
    opened.editor.delete_annotation()
    assert len(opened.current.document) == 0
    assert opened.current.document.state is AnnotationState.UNLABELLED
    opened.undo()
    assert len(opened.current.document) == 1


def test_shapes_can_be_taken_along_to_the_next_image_that_has_none(opened, qtbot):
    draw(opened)
    opened.next_image(copy_shapes=True)
    qtbot.waitUntil(lambda: opened.current.entry.key == "scan001.png")
    assert opened.current.document.shapes == (square("nerve"),)
    draw(opened, at=20)
    opened.previous_image(copy_shapes=True)
    qtbot.waitUntil(lambda: opened.current.entry.key == "scan000.png")
    assert len(opened.current.document) == 1


def test_shapes_taken_along_come_unlocked(opened, qtbot):
    draw(opened)
    locked = opened.current.document.shapes[0].uid
    opened.execute(SetLocked.of(opened.current.document, [locked], locked=True))
    opened.next_image(copy_shapes=True)
    qtbot.waitUntil(lambda: opened.current.entry.key == "scan001.png")
    assert [is_locked(shape) for shape in opened.current.document.shapes] == [False]


def test_the_ends_of_the_list_are_said(opened, qtbot):
    opened.previous_image()
    assert opened.complaints == [("info", "This is the first image.")]


def test_going_on_from_an_image_that_the_filter_hides_goes_to_the_one_after_it(opened, qtbot):
    show(opened, qtbot, "scan001.png")
    opened.set_browse_order(["scan000.png", "scan002.png"])
    assert opened.neighbour(1) == "scan002.png"
    assert opened.neighbour(-1) == "scan000.png"


def test_a_copy_saved_elsewhere_leads_to_its_image(opened, qtbot, tmp_path):
    draw(opened)
    target = tmp_path / "elsewhere" / "copy.json"
    target.parent.mkdir()
    with qtbot.waitSignal(opened.message):
        opened.save_copy(target)
    copy = json.loads(target.read_bytes())
    assert (target.parent / copy["imagePath"]).samefile(opened.current.entry.image_path)
    assert len(copy["shapes"]) == 1


def test_only_shapes_that_exist_can_be_selected_and_deleting_one_deselects_it(opened):
    shape = draw(opened)
    uid = opened.current.document.shapes[0].uid
    assert uid == shape.uid
    opened.set_selection([uid, 999_999])
    assert opened.selection == {uid}
    opened.delete_selection()
    assert opened.selection == frozenset()


# --- trouble with files -----------------------------------------------------------------------------------


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
    qtbot.waitUntil(lambda: opened.current.problem is None, timeout=5000)
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
    qtbot.waitUntil(lambda: opened.current.problem is not None, timeout=5000)
    assert "moved or deleted" in opened.current.problem
    assert opened.keys() == ("scan001.png", "scan002.png")
    assert entry.annotation_path.is_file()
    shutil.move(tmp_path / "away.png", entry.image_path)
    qtbot.waitUntil(lambda: opened.current.problem is None, timeout=5000)
    assert len(opened.current.document) == 1


def test_what_another_program_saves_is_read_again_while_nothing_is_unsaved_here(opened, qtbot):
    draw(opened)
    assert opened.flush()
    path = opened.current.entry.annotation_path
    foreign = json.loads(path.read_bytes())
    foreign["shapes"][0]["label"] = "vessel"
    with qtbot.waitSignal(opened.message, timeout=5000) as told:
        path.write_text(json.dumps(foreign))
    assert "changed by another program" in told.args[0]
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


def labels_in(path: Path) -> list[str]:
    return [shape["label"] for shape in json.loads(path.read_bytes())["shapes"]]


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


def test_a_read_only_project_can_be_looked_at_and_says_why_it_cannot_be_changed(opened, qtbot):
    opened.project.read_only_reason = "its folder is read-only"
    assert not opened.execute(AddShapes((square("nerve"),)))
    assert "its folder is read-only" in opened.complaints[-1][1]
    show(opened, qtbot, "scan001.png")
    assert opened.current.image is not None
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


# --- classes ----------------------------------------------------------------------------------------------


def test_an_added_class_becomes_the_active_one(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    assert opened.active_class.name == "nerve"
    add_class(opened, qtbot, "vessel")
    assert opened.active_class.name == "vessel"


def test_choosing_a_class_relabels_the_selection(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    add_class(opened, qtbot, "vessel")
    shape = draw(opened, "nerve")
    opened.set_selection([shape.uid])
    opened.choose_class(opened.classes.by_name("vessel"))
    assert opened.current.document.get(shape.uid).label == "vessel"
    opened.undo()
    assert opened.current.document.get(shape.uid).label == "nerve"


def test_renaming_a_class_renames_the_labels_of_unsaved_and_saved_shapes(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    draw(opened, "nerve")
    index = opened.active_class.index
    with qtbot.waitSignal(opened.classes_changed):
        opened.class_editor.rename(index, "median nerve")
    assert [shape.label for shape in opened.current.document.shapes] == ["median nerve"]
    assert opened.active_class.name == "median nerve"
    assert json_of(opened)["shapes"][0]["label"] == "median nerve"
    qtbot.waitUntil(lambda: opened.save_state.kind == "saved")


def labels_drawn(session):
    return [shape.label for shape in session.current.document.shapes]


def test_undo_history_follows_a_renamed_class(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    add_class(opened, qtbot, "vessel")
    draw(opened, "nerve")
    shape = draw(opened, "vessel", at=20)
    opened.set_selection([shape.uid])
    opened.choose_class(opened.classes.by_name("nerve"))
    opened.delete_selection()
    with qtbot.waitSignal(opened.classes_changed):
        opened.class_editor.rename(opened.classes.by_name("vessel").index, " vein ")
    with qtbot.waitSignal(opened.classes_changed):
        opened.class_editor.rename(opened.classes.by_name("nerve").index, "median nerve")
    assert labels_drawn(opened) == ["median nerve"]
    opened.editor.undo()  # of the image: undoing the new names is another test's
    assert labels_drawn(opened) == ["median nerve", "median nerve"]
    opened.editor.undo()
    assert labels_drawn(opened) == ["median nerve", "vein"]
    for _ in range(2):
        opened.editor.undo()
    assert labels_drawn(opened) == []
    for _ in range(3):
        opened.editor.redo()
    assert labels_drawn(opened) == ["median nerve", "median nerve"]
    qtbot.waitUntil(lambda: opened.save_state.kind == "saved")
    assert [each["label"] for each in json_of(opened)["shapes"]] == ["median nerve", "median nerve"]


def test_undo_history_follows_merged_and_ignored_classes(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    add_class(opened, qtbot, "vessel")
    draw(opened, "nerve")
    draw(opened, "vessel", at=20)
    with qtbot.waitSignal(opened.classes_changed):
        opened.class_editor.merge(
            opened.classes.by_name("vessel").index, opened.classes.by_name("nerve").index
        )
    opened.undo()
    opened.redo()
    assert labels_drawn(opened) == ["nerve", "nerve"]
    with qtbot.waitSignal(opened.classes_changed):
        opened.class_editor.delete(opened.classes.by_name("nerve").index, "ignore")
    for _ in range(2):
        opened.undo()
    assert labels_drawn(opened) == []
    opened.redo()
    assert labels_drawn(opened) == ["__ignore__"]


def test_undo_history_ends_where_a_class_goes_with_its_shapes(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    add_class(opened, qtbot, "vessel")
    draw(opened, "nerve")
    draw(opened, "vessel", at=20)
    with qtbot.waitSignal(opened.classes_changed):
        opened.class_editor.delete(opened.classes.by_name("vessel").index, "delete")
    assert not opened.current.history.can_undo  # undo would bring back a label that no class has
    assert labels_drawn(opened) == ["nerve"]


def test_merging_classes_updates_document_file_and_mask(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    add_class(opened, qtbot, "vessel")
    draw(opened, "vessel")
    nerve, vessel = (opened.classes.by_name(name).index for name in ("nerve", "vessel"))
    with qtbot.waitSignal(
        opened.labels_written, timeout=3000, check_params_cb=lambda w: (w.mask == nerve).any()
    ):
        opened.class_editor.merge(vessel, nerve)
    assert opened.classes.names == ("background", "nerve")
    assert (opened.project.read_mask(opened.current.entry)[6:15, 6:15] == nerve).all()


def test_a_refused_class_change_says_why_and_changes_nothing(opened, qtbot):
    with qtbot.waitSignal(opened.message) as told:
        opened.add_class("background")
    assert told.args[1] == "error"
    assert opened.classes.names == ("background",)
    assert not opened.busy
