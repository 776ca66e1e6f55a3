"""Drawing in the window with mouse and keys: shapes, copies, holes, going on, done, taken back."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt

from app.dialogs.message import MessageDialog
from core.annotation.commands import AddShapes
from core.annotation.model import AnnotationState, Shape, ShapeType, frozen_points
from tests.app.on_disk import shapes_on_disk

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def test_a_polygon_drawn_with_the_mouse_is_saved_with_its_mask(opened, qtbot):
    opened.draw_square(10, 8)
    opened.wait_saved()
    root = opened.session.project.root
    (shape,) = shapes_on_disk(root, "scan000")
    assert shape["label"] == "nerve"
    assert np.abs(np.array(shape["points"]) - [[10, 8], [20, 8], [20, 18], [10, 18]]).max() < 0.2
    mask = opened.session.project.read_mask(opened.session.current.entry)
    assert mask[13, 15] == opened.session.classes.by_name("nerve").index
    assert opened.window.status.save_text == "Saved"
    row = opened.window.images.model.index_of("scan000.png")
    assert "1 shape" in row.data(Qt.ItemDataRole.AccessibleTextRole)


def test_in_a_new_project_the_first_shape_asks_for_its_class(bench, qtbot, image_folder):
    from app.dialogs.label import LabelDialog

    bench.open(image_folder(1))
    bench.draw_square(10, 8)
    dialog = bench.dialog(LabelDialog)
    qtbot.keyClicks(dialog.field, "nerve")
    qtbot.keyClick(dialog.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bench.labels() == ["nerve"])
    assert bench.session.classes.names == ("background", "nerve")
    assert bench.session.active_class.name == "nerve"
    bench.draw_square(30, 8)
    assert bench.labels() == ["nerve", "nerve"]


def test_undo_and_redo_by_key_and_by_menu_name_what_they_do(opened, qtbot):
    opened.draw_square(10, 8)
    assert opened.window.actions_["edit.undo"].text().startswith("&Undo Add")
    opened.key(Qt.Key.Key_Z, CTRL)
    assert opened.labels() == []
    opened.key(Qt.Key.Key_Y, CTRL)
    opened.key(Qt.Key.Key_Z, CTRL)
    opened.key(Qt.Key.Key_Z, CTRL | SHIFT)
    assert opened.labels() == ["nerve"]
    assert not opened.window.actions_["edit.redo"].isEnabled()


def test_undo_while_drawing_takes_the_last_point_back(opened, qtbot):
    opened.draw_square(30, 8)
    opened.key(Qt.Key.Key_N, CTRL)
    for corner in ((10, 8), (20, 8), (20, 18), (10, 30)):
        opened.click(*corner)
    opened.key(Qt.Key.Key_Z, CTRL)
    opened.key(Qt.Key.Key_Return)
    assert len(opened.session.current.document.shapes[-1].points) == 3
    assert len(opened.labels()) == 2


def test_digits_choose_the_class_and_relabel_what_is_selected(opened, qtbot):
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_J, CTRL)
    opened.click(15, 13)
    assert len(opened.session.selection) == 1
    opened.key(Qt.Key.Key_2)
    assert opened.labels() == ["vessel"]
    assert opened.session.active_class.name == "vessel"
    opened.click(50, 40)
    opened.key(Qt.Key.Key_1)
    assert opened.labels() == ["vessel"]
    assert opened.session.active_class.name == "nerve"


def test_a_digit_relabels_what_is_selected_while_predicted_regions_are_accepted(opened):
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_J, CTRL)
    opened.click(15, 13)
    opened.window.actions_["shape.region"].trigger()
    opened.key(Qt.Key.Key_2)
    assert opened.labels() == ["vessel"]
    assert len(opened.session.selection) == 1


@pytest.mark.parametrize("then", ["select", "copy"])
def test_digit_and_delete_leave_what_was_selected_alone_once_a_polygon_is_drawn(opened, then):
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_J, CTRL)
    opened.click(15, 13)
    if then == "copy":
        opened.key(Qt.Key.Key_D, CTRL)
    labels = opened.labels()
    opened.key(Qt.Key.Key_N, CTRL)
    assert opened.session.selection == frozenset()
    opened.key(Qt.Key.Key_2)
    opened.key(Qt.Key.Key_Delete)
    for corner in ((40, 30), (50, 30), (50, 40)):
        opened.click(*corner)
    opened.key(Qt.Key.Key_Return)
    assert opened.labels() == [*labels, "vessel"]


def test_delete_and_digits_mean_nothing_that_is_there_while_an_outline_is_half_drawn(opened):
    opened.draw_square(10, 8)
    (shape,) = opened.session.current.document.shapes
    opened.key(Qt.Key.Key_N, CTRL)
    opened.click(40, 30)
    opened.session.set_selection([shape.uid])  # in the list
    opened.key(Qt.Key.Key_Delete)
    assert opened.labels() == ["nerve"]
    opened.key(Qt.Key.Key_2)
    assert opened.labels() == ["nerve"]
    assert opened.session.active_class.name == "vessel"


def test_a_digit_while_the_brush_paints_on_a_selected_shape_begins_another_of_that_class(opened):
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_J, CTRL)
    opened.click(15, 13)
    opened.key(Qt.Key.Key_B)
    opened.drag((15, 13), (20, 13))
    assert opened.labels() == ["nerve"], "it was added to"
    opened.key(Qt.Key.Key_2)
    opened.drag((40, 35), (50, 35))
    assert opened.labels() == ["nerve", "vessel"]


def test_nothing_is_selected_while_all_shapes_are_hidden_and_what_was_is_selected_with_them_again(opened):
    opened.draw_square(10, 8)
    opened.draw_square(30, 8)
    opened.key(Qt.Key.Key_J, CTRL)
    opened.click(15, 13)
    chosen = opened.session.selection
    assert len(chosen) == 1
    opened.key(Qt.Key.Key_T)
    opened.key(Qt.Key.Key_2)
    assert opened.session.active_class.name == "vessel"
    opened.key(Qt.Key.Key_A, CTRL)
    opened.key(Qt.Key.Key_Delete)
    assert opened.labels() == ["nerve", "nerve"]
    opened.key(Qt.Key.Key_T)
    assert opened.session.selection == chosen
    opened.key(Qt.Key.Key_T)
    opened.session.next_image()
    opened.wait_for_image("scan001.png")
    opened.key(Qt.Key.Key_T)
    assert opened.session.selection == frozenset()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_copy_pasted_while_all_shapes_are_hidden_is_selected_once_they_are_shown(opened, elsewhere):
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_J, CTRL)
    opened.click(15, 13)
    opened.key(Qt.Key.Key_C, CTRL)
    opened.key(Qt.Key.Key_T)
    if elsewhere:
        opened.key(Qt.Key.Key_D)
        opened.wait_for_image("scan001.png")
    opened.key(Qt.Key.Key_V, CTRL)
    assert opened.session.selection == frozenset()
    labels = opened.labels()
    opened.key(Qt.Key.Key_2)
    opened.key(Qt.Key.Key_Delete)
    assert opened.labels() == labels == ["nerve"] * (1 if elsewhere else 2)
    opened.key(Qt.Key.Key_T)
    assert opened.session.selection == {opened.session.current.document.shapes[-1].uid}


def test_what_was_selected_before_all_shapes_were_hidden_is_so_again_after_another_is_taken_back(opened):
    for x in (10, 30):
        opened.draw_square(x, 8)
    opened.key(Qt.Key.Key_J, CTRL)
    opened.click(15, 13)
    chosen = opened.session.selection
    opened.key(Qt.Key.Key_T)
    opened.key(Qt.Key.Key_Z, CTRL)
    opened.key(Qt.Key.Key_T)
    assert opened.labels() == ["nerve"]
    assert opened.session.selection == chosen


def test_a_label_is_changed_from_the_list_while_all_shapes_are_hidden(opened, qtbot):
    from app.dialogs.label import LabelDialog

    opened.draw_square(10, 8)
    (shape,) = opened.session.current.document.shapes
    opened.key(Qt.Key.Key_T)
    opened.window.shapes.label_edit_requested.emit(shape.uid)
    dialog = opened.dialog(LabelDialog)
    qtbot.keyClicks(dialog.field, "vessel")
    qtbot.keyClick(dialog.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: opened.labels() == ["vessel"])


def test_copies_lie_beside_on_the_same_image_and_in_place_on_another(opened, qtbot):
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_J, CTRL)
    opened.click(15, 13)
    opened.key(Qt.Key.Key_C, CTRL)
    opened.key(Qt.Key.Key_V, CTRL)
    first, second = opened.session.current.document.shapes
    assert (second.points > first.points).all()
    assert opened.session.selection == {second.uid}
    opened.key(Qt.Key.Key_Delete)
    assert len(opened.labels()) == 1
    opened.key(Qt.Key.Key_D)
    opened.wait_for_image("scan001.png")
    opened.window.actions_["edit.paste"].trigger()
    (pasted,) = opened.session.current.document.shapes
    assert pasted.label == "nerve"
    assert opened.session.current.document.state is AnnotationState.IN_PROGRESS
    opened.key(Qt.Key.Key_D, CTRL)
    assert len(opened.labels()) == 2


def test_copies_lie_in_place_on_an_image_of_that_name_in_another_project(opened, qtbot, image_folder):
    opened.draw_square(10, 8)
    (drawn,) = opened.session.current.document.shapes
    opened.session.set_selection([drawn.uid])
    opened.key(Qt.Key.Key_C, CTRL)
    opened.open(image_folder(1, "others"))
    qtbot.waitUntil(lambda: opened.session.project.root.name == "others" and opened.labels() == [])
    opened.add_class("nerve")
    opened.window.actions_["edit.paste"].trigger()
    (pasted,) = opened.session.current.document.shapes
    assert pasted.points.tolist() == drawn.points.tolist()


def test_copies_lie_beside_after_the_project_was_closed_and_opened_again(opened, qtbot):
    opened.draw_square(10, 8)
    (drawn,) = opened.session.current.document.shapes
    opened.session.set_selection([drawn.uid])
    opened.key(Qt.Key.Key_C, CTRL)
    root = opened.session.project.root
    opened.wait_saved()
    opened.session.close()
    qtbot.waitUntil(lambda: opened.session.project is None)
    opened.open(root)
    opened.window.actions_["edit.paste"].trigger()
    first, second = opened.session.current.document.shapes
    assert (second.points > first.points).all()


@pytest.mark.parametrize("zoom", [32, 5])
def test_a_mask_is_duplicated_beside_itself_by_whole_pixels_and_with_it_what_else_is_selected(opened, zoom):
    mask = Shape("nerve", ShapeType.MASK, frozen_points([(20, 20), (29, 29)]), mask=np.ones((10, 10), bool))
    outline = Shape("nerve", ShapeType.POLYGON, frozen_points([(31, 20), (40, 20), (40, 30)]))
    opened.session.execute(AddShapes((mask, outline)))
    opened.canvas.set_zoom(zoom)
    opened.session.set_selection([mask.uid, outline.uid])
    opened.key(Qt.Key.Key_D, CTRL)
    copies = opened.session.current.document.shapes[2:]
    offsets = [copy.points - shape.points for copy, shape in zip(copies, (mask, outline), strict=True)]
    step = max(1.0, round(12 / zoom))
    assert all((offset == step).all() for offset in offsets)


def test_a_polygon_inside_another_becomes_its_hole(opened, qtbot):
    opened.draw_square(5, 5, side=30)
    opened.draw_square(12, 12, side=8)
    opened.key(Qt.Key.Key_J, CTRL)
    opened.click(16, 16)
    opened.key(Qt.Key.Key_H)
    (shape,) = opened.session.current.document.shapes
    assert len(shape.holes) == 1
    opened.key(Qt.Key.Key_Z, CTRL)
    assert len(opened.labels()) == 2


def test_a_finished_area_is_background_under_everything_and_the_tool_comes_back(opened, qtbot):
    opened.draw_square(20, 20, side=6)
    opened.key(Qt.Key.Key_B, Qt.KeyboardModifier.ShiftModifier)
    opened.drag((5, 5), (40, 40))
    assert opened.labels() == ["_background_", "nerve"]
    assert opened.canvas.tool == "polygon"
    opened.draw_square(44, 20, side=6)
    assert opened.labels()[-1] == "nerve"
    opened.wait_saved()
    mask = opened.session.project.read_mask(opened.session.current.entry)
    assert mask[10, 10] == 0
    assert mask[23, 23] == opened.session.classes.by_name("nerve").index
    assert mask[45, 60] == 255


def test_done_is_a_key_and_done_and_next_another(opened, qtbot):
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_F)
    assert opened.session.current.document.state is AnnotationState.DONE
    assert opened.window.actions_["shape.done"].isChecked()
    opened.key(Qt.Key.Key_F)
    assert opened.session.current.document.state is AnnotationState.IN_PROGRESS
    opened.key(Qt.Key.Key_F, SHIFT)
    opened.wait_for_image("scan001.png")
    assert opened.session.statuses.get("scan000.png").state is AnnotationState.DONE


def test_keys_walk_through_the_images_and_take_shapes_along(opened, qtbot):
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_D, CTRL | SHIFT)
    opened.wait_for_image("scan001.png")
    assert opened.labels() == ["nerve"]
    opened.key(Qt.Key.Key_D)
    opened.wait_for_image("scan002.png")
    assert opened.labels() == []
    opened.key(Qt.Key.Key_A)
    opened.wait_for_image("scan001.png")
    opened.key(Qt.Key.Key_P, CTRL)
    opened.key(Qt.Key.Key_D)
    opened.wait_for_image("scan002.png")
    assert opened.labels() == ["nerve"]


def test_deleting_the_annotation_asks_deletes_file_and_mask_and_undo_restores_both(opened, qtbot):
    opened.draw_square(10, 8)
    opened.wait_saved()
    entry = opened.session.current.entry
    before = entry.annotation_path.read_bytes(), entry.mask_path.read_bytes()
    opened.key(Qt.Key.Key_Delete, CTRL)
    dialog = opened.dialog(MessageDialog)
    assert "scan000.json (1 shape)" in dialog.text
    dialog.buttons["delete"].click()
    opened.wait_saved()
    assert not entry.annotation_path.exists()
    assert not entry.mask_path.exists()
    assert opened.labels() == []
    opened.window.activateWindow()
    qtbot.waitUntil(opened.window.isActiveWindow)
    opened.key(Qt.Key.Key_Z, CTRL)
    opened.wait_saved()
    assert opened.labels() == ["nerve"]
    assert (entry.annotation_path.read_bytes(), entry.mask_path.read_bytes()) == before
    opened.key(Qt.Key.Key_Y, CTRL)
    opened.wait_saved()
    assert not entry.annotation_path.exists()


def test_deleting_the_annotation_can_be_thought_better_of(opened, qtbot):
    opened.draw_square(10, 8)
    opened.wait_saved()
    opened.key(Qt.Key.Key_Delete, CTRL)
    opened.dialog(MessageDialog).buttons["keep"].click()
    assert opened.labels() == ["nerve"]
    assert opened.session.current.entry.annotation_path.exists()


def test_leaving_an_image_in_progress_offers_done_with_one_key(opened, qtbot):
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_J, CTRL)
    opened.key(Qt.Key.Key_D)
    opened.wait_for_image("scan001.png")
    assert opened.window.toast.isVisible()
    assert opened.window.toast.text.startswith("scan000 is in progress: undrawn pixels do not count. Done?")
    opened.key(Qt.Key.Key_D, SHIFT)
    statuses = opened.session.statuses
    assert statuses.get("scan000.png").state is AnnotationState.DONE
    assert opened.session.current.document.state is AnnotationState.UNLABELLED
    opened.wait_saved()
    entry = opened.session.entry("scan000.png")
    assert (opened.session.project.read_mask(entry)[30:, 30:] == 0).all()
    opened.window.toast.action_clicked.emit()  # "Undo"
    assert statuses.get("scan000.png").state is AnnotationState.IN_PROGRESS
    opened.window.toast.action_clicked.emit()  # "Done" again
    opened.key(Qt.Key.Key_A)
    opened.wait_for_image("scan000.png")
    opened.key(Qt.Key.Key_Z, CTRL)
    assert opened.session.current.document.state is AnnotationState.IN_PROGRESS


def test_done_is_not_offered_for_images_that_were_only_looked_at_or_are_done(opened, qtbot):
    opened.key(Qt.Key.Key_D)
    opened.wait_for_image("scan001.png")
    assert not opened.window.toast.isVisible()
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_F)
    opened.key(Qt.Key.Key_D)
    opened.wait_for_image("scan002.png")
    assert not opened.window.toast.isVisible()
    with qtbot.waitSignal(opened.session.message) as said:
        opened.key(Qt.Key.Key_D, SHIFT)
    assert said.args[0].endswith("nothing to call done.")
    assert opened.session.current.document.state is AnnotationState.UNLABELLED


# --- copies -----------------------------------------------------------------------------------------------


def test_copies_of_a_shape_in_the_corner_stay_in_the_image(opened, qtbot):
    opened.draw_square(52, 36, side=11)
    opened.key(Qt.Key.Key_J, CTRL)
    opened.click(57, 41)
    opened.key(Qt.Key.Key_C, CTRL)
    for _ in range(3):
        opened.key(Qt.Key.Key_V, CTRL)
    corners = [shape.points.max(axis=0) for shape in opened.session.current.document.shapes]
    assert all((corner <= (64, 48)).all() for corner in corners)
    assert len({tuple(corner.round(3)) for corner in corners}) == 4
    opened.session.set_selection([opened.session.current.document.shapes[0].uid])
    opened.key(Qt.Key.Key_D, CTRL)
    assert (opened.session.current.document.shapes[-1].points <= (64, 48)).all()


def test_a_copied_shape_follows_the_new_name_of_its_class(opened, qtbot):
    opened.draw_square(10, 8)
    opened.window.actions_["edit.select_all"].trigger()
    opened.key(Qt.Key.Key_C, CTRL)
    opened.session.class_editor.rename(opened.session.classes.by_name("nerve").index, "axon")
    qtbot.waitUntil(lambda: opened.labels() == ["axon"])
    opened.key(Qt.Key.Key_V, CTRL)
    assert opened.labels() == ["axon", "axon"]


def test_a_copied_shape_whose_class_is_gone_is_not_pasted_and_why_is_said(opened, qtbot):
    opened.draw_square(10, 8)
    opened.window.actions_["edit.select_all"].trigger()
    opened.key(Qt.Key.Key_C, CTRL)
    opened.session.class_editor.delete(opened.session.classes.by_name("nerve").index)
    qtbot.waitUntil(lambda: opened.session.classes.by_name("nerve") is None)
    with qtbot.waitSignal(opened.session.message) as told:
        opened.key(Qt.Key.Key_V, CTRL)
    assert "no class nerve" in told.args[0]
    assert opened.labels() == []


# --- what is hidden ---------------------------------------------------------------------------------------


def test_what_is_drawn_while_all_shapes_are_hidden_is_said_to_be_there(opened):
    opened.draw_square(5, 8)
    assert "hidden" not in opened.canvas.hint
    opened.window.actions_["view.labels"].trigger()
    opened.draw_square(20, 8)
    assert len(opened.session.document.shapes) == 2
    assert "all shapes are hidden" in opened.canvas.hint


def test_what_is_drawn_into_a_hidden_class_is_said_to_be_hidden(opened, qtbot):
    opened.draw_square(5, 8)
    classes = opened.session.classes
    panel = opened.window.classes
    panel.class_visibility_changed.emit(classes.by_name("vessel").index, False)
    opened.draw_square(20, 8)
    qtbot.waitUntil(lambda: opened.window.shapes.model.rowCount() == 2)
    assert "hidden" not in opened.canvas.hint, "nerve is shown"
    opened.session.set_active_class(classes.by_name("vessel"))
    opened.draw_square(40, 8)
    said = "vessel is hidden: click the eye in the class list to see what is drawn."
    qtbot.waitUntil(lambda: opened.canvas.hint == said)
    assert len(opened.labels()) == 3
    opened.key(Qt.Key.Key_Escape)
    opened.session.next_image()
    opened.wait_for_image("scan001.png")
    opened.session.previous_image()
    opened.wait_for_image("scan000.png")
    assert opened.canvas.hint != said, "nobody draws"


def test_all_and_all_of_a_class_are_those_that_can_be_seen(opened, qtbot):
    for x in (5, 20, 40):
        opened.draw_square(x, 8)
    first, second, _ = opened.session.current.document.shapes
    opened.window.shapes.visibility_changed.emit(frozenset({second.uid}))
    opened.window.actions_["edit.select_all"].trigger()
    assert second.uid not in opened.session.selection
    opened.session.set_selection([first.uid])
    opened.window.actions_["edit.select_class"].trigger()
    assert len(opened.session.selection) == 2
    assert second.uid not in opened.session.selection


def test_shapes_hidden_with_their_class_come_back_with_it(opened, qtbot):
    panels, session = opened.window, opened.session
    for x, name in ((5, "nerve"), (20, "nerve"), (40, "vessel")):
        session.set_active_class(session.classes.by_name(name))
        opened.draw_square(x, 8)
    first, second, third = session.current.document.shapes
    panels.shapes.visibility_changed.emit(frozenset({first.uid}))
    nerve = session.classes.by_name("nerve").index
    panels.classes.class_visibility_changed.emit(nerve, False)
    assert opened.canvas.context.index.hidden == {first.uid, second.uid}
    panels.shapes.visibility_changed.emit(frozenset({first.uid, second.uid, third.uid}))
    panels.classes.class_visibility_changed.emit(nerve, True)
    assert opened.canvas.context.index.hidden == {first.uid, third.uid}


def test_a_shape_of_a_hidden_class_can_be_shown_by_itself_and_all_with_their_classes(opened, qtbot):
    panels, session, index = opened.window, opened.session, opened.canvas.context.index
    for x, name in ((5, "nerve"), (20, "nerve"), (40, "vessel")):
        session.set_active_class(session.classes.by_name(name))
        opened.draw_square(x, 8)
    first, second, third = session.current.document.shapes
    qtbot.waitUntil(lambda: panels.shapes.model.rowCount() == 3)
    nerve = session.classes.by_name("nerve").index
    panels.classes.set_class_visible(nerve, False)
    panels.classes.class_visibility_changed.emit(nerve, False)
    assert index.hidden == {first.uid, second.uid}
    panels.shapes.view.spot_clicked.emit(panels.shapes.model.row_of(first.uid), "box")
    assert index.hidden == panels.shapes.model.hidden == {second.uid}
    assert not panels.classes.model.is_visible(nerve)
    panels.shapes.view.spot_clicked.emit(panels.shapes.model.row_of(third.uid), "box")
    assert index.hidden == {second.uid, third.uid}
    panels.classes.class_visibility_changed.emit(nerve, False)
    assert index.hidden == {first.uid, second.uid, third.uid}, "the class is hidden anew, with all its shapes"
    panels.shapes.eye_button.click()
    assert index.hidden == set()
    assert panels.classes.model.is_visible(nerve)


# --- keys that are held -----------------------------------------------------------------------------------


def test_a_held_key_steps_on_but_marks_or_accepts_once(opened):
    actions = opened.window.actions_
    for name in ("shape.done", "shape.done_next", "train.accept_region", "train.accept_all", "edit.paste"):
        assert not actions[name].autoRepeat(), name
    for name in ("window.next", "edit.undo", "view.zoom_in", "shape.brush_larger"):
        assert actions[name].autoRepeat(), name
