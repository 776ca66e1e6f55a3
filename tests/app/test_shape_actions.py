"""The Shape menu: what it does with the selected shapes, when it can, and what it says."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt

from app.dialogs.amount import AmountPopover
from core.annotation.commands import Overlap, TranslateShapes, drawing
from core.annotation.labelme_json import loads
from core.annotation.locking import is_locked
from core.annotation.model import Shape, ShapeType, frozen_points
from core.geometry import polygon_area

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def shapes(bench) -> tuple[Shape, ...]:
    return bench.session.current.document.shapes


def areas(bench) -> list[float]:
    return [round(polygon_area(s.points, s.holes), 3) for s in shapes(bench)]


def add(bench, *new: Shape) -> None:
    assert bench.session.execute(drawing(bench.session.current.document, new))
    bench.session.end_drag()


def box(x0: float, y0: float, x1: float, y1: float, label: str = "nerve", **more) -> Shape:
    points = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return Shape(label, ShapeType.POLYGON, frozen_points(points), **more)


def select(bench, *places: int) -> None:
    bench.session.set_selection(shapes(bench)[place].uid for place in places)


def trigger(bench, name: str) -> None:
    action = bench.window.actions_[name]
    assert action.isEnabled(), name
    action.trigger()


@pytest.fixture
def drawn(opened):
    """Two overlapping squares and one apart."""
    add(opened, box(5, 5, 15, 15), box(10, 5, 20, 15, "vessel"), box(30, 30, 40, 40))
    return opened


# --- combining --------------------------------------------------------------------------------------------


def test_j_unites_the_selected_shapes_and_undo_parts_them(drawn) -> None:
    select(drawn, 0, 1)
    drawn.key(Qt.Key.Key_J)
    assert areas(drawn) == [150, 100]
    assert drawn.labels() == ["nerve", "nerve"]
    assert len(drawn.session.selection) == 1
    drawn.session.undo()
    assert areas(drawn) == [100, 100, 100]


def test_subtract_and_intersect(drawn) -> None:
    select(drawn, 0, 1)
    trigger(drawn, "shape.subtract")
    assert areas(drawn) == [50, 100]
    drawn.session.undo()
    select(drawn, 0, 1)
    trigger(drawn, "shape.intersect")
    assert areas(drawn) == [50, 100]
    assert drawn.window.actions_["edit.undo"].text() == "&Undo Intersect shapes"


def test_a_shape_takes_free_pixels_or_pushes_others_away(drawn) -> None:
    select(drawn, 1)
    trigger(drawn, "shape.give_way")
    assert areas(drawn) == [100, 50, 100]
    drawn.session.undo()
    select(drawn, 1)
    trigger(drawn, "shape.push_away")
    assert areas(drawn) == [50, 100, 100]


def test_what_is_refused_is_said(drawn, qtbot) -> None:
    select(drawn, 0, 2)
    with qtbot.waitSignal(drawn.session.message) as told:
        trigger(drawn, "shape.unite")
    assert "do not touch" in told.args[0]
    assert told.args[1] == "warning"
    assert areas(drawn) == [100, 100, 100]


def test_actions_are_there_only_where_they_make_sense(drawn) -> None:
    actions = drawn.window.actions_

    def enabled(*names: str) -> list[bool]:
        return [actions[f"shape.{name}"].isEnabled() for name in names]

    assert not any(enabled("unite", "simplify", "to_mask", "group", "ungroup", "lock", "unlock", "clip"))
    select(drawn, 0)
    assert enabled("unite", "simplify", "fill_holes", "to_polygon", "to_mask", "group", "lock") == [
        False,
        True,
        False,
        False,
        True,
        False,
        True,
    ]
    select(drawn, 0, 1)
    assert enabled("unite", "subtract", "group", "ungroup") == [True, True, True, False]


# --- splitting, clipping, converting ----------------------------------------------------------------------


def test_a_line_across_a_shape_splits_it(drawn) -> None:
    drawn.key(Qt.Key.Key_K)
    drawn.click(35, 25)
    drawn.click(35, 45, CTRL)
    assert areas(drawn) == pytest.approx([100, 100, 50, 50], abs=2)
    assert drawn.canvas.tool == "split"
    drawn.click(1, 1)
    drawn.click(1, 20)
    drawn.key(Qt.Key.Key_Return)
    assert len(shapes(drawn)) == 4
    assert "divides no shape" in drawn.canvas.hint


def test_only_selected_shapes_are_split_when_there_are_some(drawn) -> None:
    select(drawn, 0)
    drawn.key(Qt.Key.Key_K)
    drawn.click(2, 10)
    drawn.click(25, 10)
    drawn.key(Qt.Key.Key_Return)
    assert sorted(areas(drawn)) == pytest.approx([50, 50, 100, 100], abs=2)


def test_a_shape_that_leaves_the_image_is_clipped(opened) -> None:
    add(opened, box(-10, -10, 10, 10))
    select(opened, 0)
    trigger(opened, "shape.clip")
    assert areas(opened) == [100]


def test_a_polygon_becomes_a_mask_and_a_polygon_again(drawn) -> None:
    select(drawn, 2)
    trigger(drawn, "shape.to_mask")
    assert shapes(drawn)[2].shape_type is ShapeType.MASK
    assert not drawn.window.actions_["shape.to_mask"].isEnabled()
    trigger(drawn, "shape.to_polygon")
    assert shapes(drawn)[2].shape_type is ShapeType.POLYGON


def test_holes_are_filled(opened) -> None:
    add(opened, box(5, 5, 25, 25, holes=(frozen_points([(8, 8), (12, 8), (12, 12)]),)))
    select(opened, 0)
    opened.key(Qt.Key.Key_H, SHIFT)
    assert areas(opened) == [400]


# --- simplify and smooth, with a preview ------------------------------------------------------------------


@pytest.fixture
def rounded(opened):
    """A circle of 120 vertices, selected."""
    turn = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    ring = np.column_stack([np.cos(turn), np.sin(turn)]) * 15 + (32, 24)
    add(opened, Shape("nerve", ShapeType.POLYGON, frozen_points(ring)))
    select(opened, 0)
    return opened


def popover_of(bench, qtbot) -> AmountPopover:
    qtbot.waitUntil(lambda: any(p.isVisible() for p in bench.window.findChildren(AmountPopover)))
    return next(p for p in bench.window.findChildren(AmountPopover) if p.isVisible())


def test_simplify_shows_what_it_does_and_enter_accepts(rounded, qtbot) -> None:
    rounded.key(Qt.Key.Key_S)
    popover = popover_of(rounded, qtbot)
    uid = shapes(rounded)[0].uid
    previews = rounded.canvas.context._live.previews
    first = len(previews[uid].points)
    assert first < 120
    assert f"120 vertices become {first}" in popover.note.text()
    popover.slider.setValue(popover.slider.maximum())
    assert len(rounded.canvas.context._live.previews[uid].points) < first
    assert len(shapes(rounded)[0].points) == 120
    popover.field.setValue(1.0)
    shown = len(rounded.canvas.context._live.previews[uid].points)
    qtbot.keyClick(popover, Qt.Key.Key_Return)
    assert len(shapes(rounded)[0].points) == shown
    assert rounded.canvas.context._live.previews == {}
    assert rounded.window.actions_["edit.undo"].text() == "&Undo Simplify shape"


def test_escape_leaves_the_outline_as_it_was(rounded, qtbot) -> None:
    trigger(rounded, "shape.smooth")
    popover = popover_of(rounded, qtbot)
    assert rounded.canvas.context._live.previews
    qtbot.keyClick(popover, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not rounded.canvas.context._live.previews)
    assert len(shapes(rounded)[0].points) == 120
    assert rounded.window.actions_["edit.undo"].text() == "&Undo Add nerve"


@pytest.fixture
def crowded(bench, image_folder):
    """Six hundred small rings of 12 vertices, all selected."""
    bench.open(image_folder(1, size_hw=(300, 400)))
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ring = np.column_stack([np.cos(turn), np.sin(turn)]) * 5
    middles = [(10 + 13 * column, 8 + 14 * row) for row in range(20) for column in range(30)]
    add(bench, *(Shape("nerve", ShapeType.POLYGON, frozen_points(ring + middle)) for middle in middles))
    select(bench, *range(600))
    return bench


def test_of_very_many_shapes_those_in_sight_are_shown_and_all_change(crowded, qtbot) -> None:
    live, view = crowded.canvas.context._live, crowded.canvas
    view.set_zoom(8.0)
    view.centerOn(200, 150)
    trigger(crowded, "shape.simplify")
    popover = popover_of(crowded, qtbot)
    popover.field.setValue(2.0)
    qtbot.waitUntil(lambda: "all 600 change" in popover.note.text())
    x0, y0, x1, y1 = view.context.visible_box
    seen = set(view.context.index.near((x0, y0, x1, y1)))
    assert set(live.previews) == seen
    assert 10 < len(seen) < 400
    qtbot.waitUntil(lambda: {len(shape.points) for shape in live.previews.values()} == {4})
    qtbot.keyClick(popover, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: {len(shape.points) for shape in shapes(crowded)} == {4})
    assert live.previews == {}
    assert crowded.session.undo_order.undo_name == "Simplify 600 shapes"
    crowded.session.undo()
    assert {len(shape.points) for shape in shapes(crowded)} == {12}


def test_with_all_in_sight_the_middle_is_shown(crowded, qtbot) -> None:
    live = crowded.canvas.context._live
    crowded.canvas.zoom_fit()
    trigger(crowded, "shape.smooth")
    popover = popover_of(crowded, qtbot)
    qtbot.waitUntil(lambda: "in the 400 shapes shown; all 600 change" in popover.note.text())
    middle = min(shapes(crowded), key=lambda s: np.abs(s.points.mean(axis=0) - (200, 150)).sum())
    assert middle.uid in live.previews
    assert shapes(crowded)[0].uid not in live.previews
    qtbot.keyClick(popover, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not live.previews)
    assert {len(shape.points) for shape in shapes(crowded)} == {12}


def test_a_shape_that_changed_meanwhile_is_not_overwritten(crowded, qtbot) -> None:
    trigger(crowded, "shape.smooth")
    popover = popover_of(crowded, qtbot)
    qtbot.keyClick(popover, Qt.Key.Key_Return)
    moved = shapes(crowded)[0].uid
    crowded.session.execute(TranslateShapes.of(crowded.session.current.document, [moved], 1, 1))
    with qtbot.waitSignal(crowded.session.message, check_params_cb=lambda text, _: "meanwhile" in text):
        pass
    assert {len(shape.points) for shape in shapes(crowded)} == {12}


def test_the_amount_is_remembered_and_can_be_typed(rounded, qtbot) -> None:
    trigger(rounded, "shape.simplify")
    popover = popover_of(rounded, qtbot)
    popover.field.setFocus()
    popover.field.selectAll()
    qtbot.keyClicks(popover.field, "3.5")
    qtbot.keyClick(popover.field, Qt.Key.Key_Return)
    assert len(shapes(rounded)[0].points) < 10
    trigger(rounded, "shape.simplify")
    assert popover_of(rounded, qtbot).amount == 3.5
    qtbot.keyClick(popover_of(rounded, qtbot), Qt.Key.Key_Escape)


# --- groups, locks, selecting -----------------------------------------------------------------------------


def test_grouped_shapes_are_selected_together_and_copied_as_a_group(drawn) -> None:
    select(drawn, 0, 2)
    drawn.key(Qt.Key.Key_G, CTRL)
    assert [s.group_id for s in shapes(drawn)] == [1, None, 1]
    select(drawn, 0)
    drawn.key(Qt.Key.Key_G, SHIFT)
    assert drawn.session.selection == {shapes(drawn)[0].uid, shapes(drawn)[2].uid}
    drawn.key(Qt.Key.Key_D, CTRL)
    assert [s.group_id for s in shapes(drawn)] == [1, None, 1, 2, 2]
    trigger(drawn, "shape.ungroup")
    assert [s.group_id for s in shapes(drawn)] == [1, None, 1, None, None]


def test_all_shapes_of_a_class_are_selected_and_relabelled_at_once(drawn) -> None:
    select(drawn, 0)
    drawn.key(Qt.Key.Key_A, SHIFT)
    assert len(drawn.session.selection) == 2
    drawn.key(Qt.Key.Key_2)
    assert drawn.labels() == ["vessel", "vessel", "vessel"]


def test_a_locked_shape_is_left_alone_by_mouse_and_keys_until_it_is_unlocked(drawn, qtbot) -> None:
    select(drawn, 2)
    drawn.key(Qt.Key.Key_L, CTRL)
    assert is_locked(shapes(drawn)[2])
    assert drawn.session.selection == frozenset()
    drawn.key(Qt.Key.Key_J, CTRL)
    drawn.drag((35, 35), (50, 35))
    assert areas(drawn) == [100, 100, 100]
    assert drawn.session.selection == frozenset()
    drawn.session.set_selection([shapes(drawn)[2].uid])  # the list of shapes can still select it
    with qtbot.waitSignal(drawn.session.message) as told:
        drawn.key(Qt.Key.Key_Delete)
    assert "locked" in told.args[0]
    assert len(shapes(drawn)) == 3
    drawn.wait_saved()
    path = drawn.session.current.entry.annotation_path
    assert [is_locked(s) for s in loads(path.read_bytes(), path).shapes] == [False, False, True]
    drawn.key(Qt.Key.Key_L, CTRL | SHIFT)
    assert not any(is_locked(s) for s in shapes(drawn))
    drawn.key(Qt.Key.Key_Delete)
    assert len(shapes(drawn)) == 2


def test_the_same_key_unlocks_a_locked_shape_chosen_in_the_list(drawn) -> None:
    action = drawn.window.actions_["shape.lock"]
    select(drawn, 1)
    drawn.key(Qt.Key.Key_L, CTRL)
    assert action.text() == "Loc&k"
    select(drawn, 1)
    assert action.text() == "Unloc&k"
    drawn.key(Qt.Key.Key_L, CTRL)
    assert not is_locked(shapes(drawn)[1])
    assert drawn.session.selection == {shapes(drawn)[1].uid}


def test_locked_shapes_stay_locked_over_a_switch_of_image(drawn, qtbot) -> None:
    select(drawn, 0)
    trigger(drawn, "shape.lock")
    drawn.key(Qt.Key.Key_D)
    drawn.wait_for_image("scan001.png")
    assert not drawn.window.actions_["shape.unlock"].isEnabled()
    drawn.key(Qt.Key.Key_A)
    drawn.wait_for_image("scan000.png")
    assert drawn.window.actions_["shape.unlock"].isEnabled()


def test_shapes_are_pasted_on_another_image_where_they_were(drawn, qtbot) -> None:
    select(drawn, 0, 1)
    drawn.key(Qt.Key.Key_C, CTRL)
    drawn.key(Qt.Key.Key_D)
    drawn.wait_for_image("scan001.png")
    drawn.key(Qt.Key.Key_V, CTRL)
    assert areas(drawn) == [100, 100]
    assert shapes(drawn)[0].points.tolist()[0] == [5, 5]
    assert drawn.window.actions_["edit.undo"].text() == "&Undo Paste"


# --- how new shapes are drawn -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [("draw_stack", [100, 100]), ("draw_under", [50, 100]), ("draw_over", [50, 100])],
)
def test_new_shapes_lie_on_top_or_end_at_others_or_cut_them(opened, name, expected) -> None:
    opened.window.actions_["shape.snap"].setChecked(False)
    add(opened, box(10, 10, 20, 20, "vessel"))
    trigger(opened, f"shape.{name}")
    opened.draw_square(15, 10)
    assert [round(a / 10) * 10 for a in sorted(areas(opened))] == expected
    on_top = opened.labels()[-1]
    assert on_top == ("vessel" if name == "draw_under" else "nerve")


def test_the_choice_of_overlap_is_exclusive(opened) -> None:
    trigger(opened, "shape.draw_under")
    trigger(opened, "shape.draw_over")
    assert not opened.window.actions_["shape.draw_under"].isChecked()
    assert opened.canvas.context.overlap is Overlap.OVER


def test_snapping_is_switched_off_and_on_with_a_key_and_stays_so(opened, make_window) -> None:
    opened.key(Qt.Key.Key_N)
    assert not opened.canvas.context.snapper.enabled
    assert not make_window().canvas.context.snapper.enabled
    opened.key(Qt.Key.Key_N)
    assert opened.canvas.context.snapper.enabled
