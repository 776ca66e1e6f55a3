"""What a person gets from an open project: images, safe edits, classes, what other programs change."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from app.session import image_status
from app.session.image_status import StatusReader
from core.annotation.commands import AddShapes, SetLocked
from core.annotation.labelme_json import loads
from core.annotation.locking import is_locked
from core.annotation.model import AnnotationState, Shape, ShapeType
from core.project.project import Project
from tests.app.on_disk import labels_in
from tests.app.sessions.conftest import add_class, draw, json_of, open_in, show, square
from tests.patience import PATIENCE_S

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


def test_a_double_click_opens_a_project_once(session, qtbot, image_folder):
    folder = image_folder(3)
    session.open_project(folder)
    open_in(session, qtbot, folder)
    assert session.project.root == folder
    assert not session.complaints


def test_of_two_projects_asked_for_at_once_the_later_one_opens_and_the_other_is_free(
    session, qtbot, image_folder
):
    first, second = image_folder(3, name="first"), image_folder(3, name="second")
    session.open_project(first)
    session.open_project(first / "scan001.png")
    session.open_project(second)
    open_in(session, qtbot, second / "scan002.png")
    assert session.project.root == second
    assert session.current.entry.key == "scan002.png"
    assert not session.complaints
    Project.open(first).close()


def test_what_is_drawn_while_another_project_opens_is_saved(opened, qtbot, image_folder):
    path = opened.current.entry.annotation_path
    opened.open_project(image_folder(3, name="second"))
    draw(opened)
    qtbot.waitUntil(lambda: opened.project.root.name == "second")
    assert len(json.loads(path.read_bytes())["shapes"]) == 1


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


def test_a_project_that_is_opened_while_the_window_is_closed_is_given_back(
    session, image_folder, monkeypatch
):
    folder, open_really = image_folder(1), Project.open
    begun, known = threading.Event(), threading.Event()

    def open_until_it_is_not_wanted(root):
        begun.set()
        known.wait(PATIENCE_S)
        while not task.cancelled:
            time.sleep(0.001)
        return open_really(root)

    monkeypatch.setattr(Project, "open", open_until_it_is_not_wanted)
    session.open_project(folder)
    (task,) = session._reader._tasks.values()
    known.set()
    assert begun.wait(PATIENCE_S)
    session.shut_down()
    with open_really(folder) as project:
        assert project.notes == []


def test_a_project_that_was_opened_just_before_the_window_was_closed_is_given_back(session, image_folder):
    folder = image_folder(1)
    session.open_project(folder)
    (job,) = session._reader._tasks
    assert job.over.wait(PATIENCE_S)
    session.shut_down()
    with Project.open(folder) as project:
        assert project.notes == []


def test_an_image_asked_for_while_the_project_opens_is_the_one_that_is_shown(session, qtbot, image_folder):
    session.project_changed.connect(lambda: session.open_image("scan001.png"))
    open_in(session, qtbot, image_folder(3))
    assert session.current.entry.key == "scan001.png"


def test_opening_an_image_of_the_open_project_only_shows_it(opened, qtbot):
    root = opened.project.root
    with qtbot.waitSignal(opened.current_changed), qtbot.assertNotEmitted(opened.project_changed):
        opened.open_project(root / "scan002.png")
    assert opened.current.entry.key == "scan002.png"


def test_an_image_is_found_through_links_and_in_folders_outside_without_following_every_path(
    session, qtbot, image_folder, tmp_path, monkeypatch
):
    root, other = image_folder(3), image_folder(3, name="other")
    (tmp_path / "link").symlink_to(root)
    Project.create(root, image_roots=(".", "../other")).close()
    open_in(session, qtbot, root)
    followed, resolve = [], Path.resolve
    monkeypatch.setattr(
        Path, "resolve", lambda path, **options: followed.append(path) or resolve(path, **options)
    )
    key_of = session._opened.key_of
    assert key_of(root / "scan002.png") == "scan002.png"
    assert not followed
    assert session.entry(key_of(other / "scan001.png")).image_path.samefile(other / "scan001.png")
    assert key_of(tmp_path / "link" / "scan001.png") == "scan001.png"
    assert key_of(tmp_path / "scan001.png") is None
    assert all(path.is_dir() for path in followed)


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
    qtbot.waitUntil(lambda: session.current is not None)
    assert session.current.entry.key == "new.png"


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """Keys of the images whose statuses have been read, each in a portion of its own."""
    keys, read = [], StatusReader.read
    monkeypatch.setattr(image_status, "PORTION", 1)
    monkeypatch.setattr(
        StatusReader, "read", lambda *args: keys.extend(entry.key for entry in args[1]) or read(*args)
    )
    return keys


def test_an_image_that_arrives_is_looked_at_before_those_that_wait(opened, qtbot, image_folder, read):
    ours = opened._opened
    qtbot.waitUntil(lambda: not ours.worker.busy)
    read.clear()
    ours.board.scan(opened.entries)
    shutil.copy(opened.current.entry.image_path, opened.project.root / "zoom.png")
    with qtbot.waitSignal(ours.board.scanned):
        ours.rescan()
    assert read.index("zoom.png") < 3


def test_images_asked_for_again_and_again_are_read_once(opened, qtbot, read):
    board = opened._opened.board
    qtbot.waitUntil(lambda: not opened._opened.worker.busy)
    read.clear()
    with qtbot.waitSignal(board.scanned):
        for ours in (True, False, True):
            board.scan(opened.entries, ours=ours)
    assert read == ["scan000.png", "scan001.png", "scan002.png", "scan000.png"]


def test_what_others_and_the_window_have_written_is_told_as_of_others(opened, qtbot):
    board = opened._opened.board
    qtbot.waitUntil(lambda: not opened._opened.worker.busy)
    go_on = threading.Event()
    opened._opened.worker.run(go_on.wait, PATIENCE_S)
    board.scan([opened.entry("scan000.png")])  # keeps the others waiting
    (opened.project.root / "scan001.json").write_text("{}")
    board.scan(opened.entries)
    board.scan(opened.entries, ours=True)
    with qtbot.waitSignal(board.annotations_changed) as told:
        go_on.set()
    assert told.args[0] == ("scan001.png",)


# --- drawing and saving -----------------------------------------------------------------------------------


def test_a_drawn_polygon_is_on_disk_with_its_mask_soon_after(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    with qtbot.waitSignal(opened.labels_written) as written:
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
    with qtbot.waitSignal(opened.labels_written, check_params_cb=lambda w: w.state == "done"):
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


@pytest.mark.parametrize("kept", [False, True])
def test_shapes_are_taken_along_through_every_image_however_fast_one_goes_on(opened, qtbot, kept):
    draw(opened)
    opened.keep_previous = kept
    for _ in range(2):
        opened.next_image(copy_shapes=not kept)
    qtbot.waitUntil(lambda: opened.current.entry.key == "scan002.png")
    assert opened.current.document.shapes == (square("nerve"),)
    assert opened.flush()
    assert labels_in(opened.project.root / "scan001.json") == ["nerve"]


def test_switching_the_taking_along_off_ends_it(opened, qtbot):
    draw(opened)
    opened.keep_previous = True
    for _ in range(2):
        opened.next_image()
    opened.keep_previous = False
    qtbot.waitUntil(lambda: opened.current.entry.key == "scan001.png")
    qtbot.wait(50)
    assert opened.current.entry.key == "scan001.png"


def test_a_step_back_takes_the_place_of_those_on_that_still_wait(opened, qtbot):
    draw(opened)
    opened.keep_previous = True
    shown = []
    opened.current_changed.connect(lambda current: shown.append(current and current.entry.key))
    for step in (opened.next_image, opened.next_image, opened.previous_image):
        step()
    qtbot.waitUntil(lambda: len(shown) == 2)
    qtbot.wait(50)
    assert shown == ["scan001.png", "scan000.png"]


def test_of_the_steps_of_a_held_key_only_one_waits(session, image_folder, qtbot):
    open_in(session, qtbot, image_folder(5))
    session.keep_previous = True
    for _ in range(4):
        session.next_image(held=True)
    qtbot.waitUntil(lambda: session.current.entry.key == "scan002.png")
    qtbot.wait(50)
    assert session.current.entry.key == "scan002.png"


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


def test_going_on_from_a_hidden_image_begins_at_the_top_of_a_list_that_is_not_by_name(opened):
    opened.set_browse_order(("scan002.png", "scan000.png"))
    opened.open_image("scan001.png")
    assert opened.neighbour(1) == "scan002.png"
    assert opened.neighbour(-1) is None


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


def test_shapes_are_not_put_on_an_image_that_is_done_without_any(opened, qtbot):
    show(opened, qtbot, "scan001.png")
    opened.set_image_state(AnnotationState.DONE)
    show(opened, qtbot, "scan000.png")
    draw(opened)
    opened.keep_previous = True
    show(opened, qtbot, "scan001.png")
    assert opened.document.state is AnnotationState.DONE
    assert not opened.document.shapes
    show(opened, qtbot, "scan000.png")
    show(opened, qtbot, "scan002.png")
    assert len(opened.document.shapes) == 1


def test_a_shape_without_area_is_put_on_the_next_image_as_it_is(opened, qtbot):
    flat = Shape("nerve", ShapeType.POLYGON, np.array([[1.0, 1.0], [5.0, 5.0], [9.0, 9.0]]))
    opened.execute(AddShapes((flat,)))
    opened.next_image(copy_shapes=True)
    qtbot.waitUntil(lambda: opened.current.entry.key == "scan001.png")
    assert [shape.points.tolist() for shape in opened.document.shapes] == [flat.points.tolist()]


def test_going_to_a_deleted_annotation_in_the_history_deletes_its_file_again(opened, qtbot):
    path = opened.current.entry.annotation_path
    draw(opened)
    opened.editor.delete_annotation()
    assert opened.flush()
    opened.go_to_edit(1)
    assert opened.flush()
    assert path.is_file()
    opened.go_to_edit(2)
    assert opened.flush()
    assert not path.exists()
    draw(opened)
    assert opened.flush()
    assert path.is_file()
    opened.undo()
    assert opened.flush()
    assert not path.exists()
    opened.go_to_edit(9)  # a list that is behind may ask for it
    assert opened.current.history.position == 2
