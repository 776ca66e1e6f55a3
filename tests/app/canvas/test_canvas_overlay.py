"""The prediction over the image, and picking its regions."""

from __future__ import annotations

import numpy as np
import pytest

from core.annotation.model import UNLABELLED, ClassList, LabelClass
from core.annotation.vectorize import connected_region


@pytest.fixture
def desk(make_desk):
    return make_desk()


@pytest.fixture
def class_map():
    """Nerve: a square with a hole; vessel: a bar; the rest background."""
    found = np.zeros((300, 400), np.uint8)
    found[50:150, 50:150] = 1
    found[90:110, 90:110] = 0
    found[200:220, 20:380] = 2
    return found


def test_classes_are_tinted_and_the_background_is_not(desk, class_map):
    desk.view.set_prediction(class_map)
    red, green = desk.color(70, 70), desk.color(200, 210)
    assert red.red() > red.green() + 40
    assert green.green() > green.red() + 40
    assert desk.color(300, 100).red() == desk.color(300, 100).green() == 128
    assert desk.color(100, 100).red() == 128


def test_the_tint_keeps_to_its_pixels(desk, class_map):
    desk.view.set_prediction(class_map)
    desk.view.set_zoom(16.0)
    desk.view.centerOn(50, 50)
    assert desk.color(49.9, 60).red() == 128
    assert desk.color(50.1, 60).red() > 160
    assert desk.color(60, 49.9).red() == 128
    assert desk.color(60, 50.1).red() > 160


def test_a_newer_part_is_painted_in_its_place_alone(desk, class_map):
    confidence = np.full(class_map.shape, 255, np.uint8)
    confidence.flags.writeable = False
    desk.view.set_prediction(class_map, confidence)
    vessel = np.full((60, 40), 2, np.uint8)
    assert desk.color(70, 70).red() > desk.color(70, 70).green() + 40
    desk.view.update_prediction((60, 50, 100, 110), vessel, np.full(vessel.shape, 255, np.uint8))
    new, left, right = desk.color(70, 70), desk.color(55, 70), desk.color(110, 70)
    assert new.green() > new.red() + 40
    assert left.red() > left.green() + 40
    assert right.red() > right.green() + 40
    assert desk.view.region_at(70, 70).label_index == 2
    assert desk.view.region_at(55, 70).label_index == 1
    desk.view.set_zoom(4.0)  # all of it drawn anew
    desk.view.centerOn(70, 70)
    assert desk.color(70, 70).green() > desk.color(70, 70).red() + 40


def test_a_coarse_map_of_a_region_is_stretched_over_it(desk):
    found = np.zeros((10, 20), np.uint8)
    found[:, 10:] = 1
    desk.view.set_prediction(found, None, (100, 50, 180, 90))
    assert desk.color(138, 70).red() == 128
    assert desk.color(142, 70).red() > 160
    assert desk.color(178, 88).red() > 160
    assert desk.color(183, 70).red() == 128
    assert desk.color(142, 93).red() == 128
    assert desk.view.region_at(150, 70) is None
    assert desk.view.prediction is None


def test_unlabelled_and_unknown_classes_are_transparent(desk):
    found = np.full((300, 400), UNLABELLED, np.uint8)
    found[:, 200:] = 77
    desk.view.set_prediction(found)
    assert desk.color(100, 100).red() == 128
    assert desk.color(300, 100).red() == 128


def test_opacity_visibility_and_clearing(desk, class_map):
    desk.view.set_prediction(class_map)
    desk.view.set_prediction_opacity(1.0)
    assert desk.color(70, 70).red() == 255
    desk.view.set_prediction_opacity(0.2)
    assert 140 < desk.color(70, 70).red() < 170
    desk.view.set_prediction_visible(False)
    assert desk.color(70, 70).red() == 128
    desk.view.set_prediction_visible(True)
    assert desk.color(70, 70).red() > 128
    desk.view.clear_prediction()
    assert desk.color(70, 70).red() == 128


def test_doubt_makes_the_tint_fainter(desk, class_map):
    confidence = np.full((300, 400), 255, np.uint8)
    confidence[:, :100] = 20
    desk.view.set_prediction(class_map, confidence)
    assert 128 < desk.color(70, 70).red() < desk.color(130, 70).red() - 15


def test_more_classes_than_confidence_leaves_room_for_are_still_told_apart(desk):
    classes = ClassList(
        tuple(LabelClass(i, f"c{i}", f"#{(i * 3) % 256:02x}{i:02x}ff") for i in range(200)), background=0
    )
    desk.view.set_classes(classes)
    desk.view.set_prediction_opacity(1.0)
    desk.view.set_prediction(np.full((300, 400), 199, np.uint8), np.full((300, 400), 9, np.uint8))
    assert desk.color(100, 100).green() == 199


def test_new_class_colours_recolour_the_prediction(desk, class_map):
    desk.view.set_prediction(class_map)
    desk.view.set_classes(ClassList((LabelClass(0, "b", "#000000"), LabelClass(1, "nerve", "#0000ff")), 0))
    shown = desk.color(70, 70)
    assert shown.blue() > shown.red() + 40


def test_a_prediction_of_another_size_is_refused(desk):
    with pytest.raises(ValueError, match="40 x 30 and the image is 400 x 300"):
        desk.view.set_prediction(np.zeros((30, 40), np.uint8))


def test_a_prediction_goes_with_its_image(desk, class_map):
    desk.view.set_prediction(class_map)
    desk.view.set_image(None)
    assert not desk.view.has_prediction


def test_read_only_maps_from_the_engine_are_taken(desk, class_map):
    class_map.flags.writeable = False
    desk.view.set_prediction(class_map)
    desk.view.set_tool("region")
    desk.move(70, 70)
    assert desk.view.region_at(70, 70) is not None


def test_labels_lie_over_the_prediction(make_desk, make_shape, class_map):
    desk = make_desk(make_shape([(20, 20), (380, 20), (380, 290), (20, 290)], "vessel"))
    desk.view.set_prediction_opacity(1.0)
    desk.view.set_prediction(class_map)
    shown = desk.color(70, 70)
    assert 20 < shown.green() < 120
    assert shown.red() < 250


def test_a_click_on_a_region_tells_its_pixel(desk, class_map, qtbot):
    desk.view.set_prediction(class_map)
    desk.view.set_tool("region")
    with qtbot.waitSignal(desk.view.region_clicked) as told:
        desk.click(70, 80)
    x, y = told.args
    assert class_map[y, x] == 1
    with qtbot.assertNotEmitted(desk.view.region_clicked, wait=10):
        desk.click(300, 100)
        desk.click(100, 100)


def test_the_region_under_the_mouse_is_highlighted_and_named(desk, class_map):
    desk.view.set_prediction(class_map)
    desk.view.set_tool("region")
    before = desk.color(70, 70)
    desk.move(140, 140)
    assert "nerve" in desk.view.hint
    lit = desk.color(70, 70)
    assert lit.blue() > before.blue() + 20
    assert desk.color(100, 100).red() == 128  # its hole is not part of it
    desk.move(300, 100)
    assert desk.color(70, 70) == before


def test_the_region_under_a_resting_mouse_stays_highlighted_while_predictions_come(desk, class_map):
    desk.view.set_prediction(class_map)
    desk.view.set_tool("region")
    desk.move(140, 140)
    lit = desk.color(70, 70)
    desk.view.set_prediction(class_map.copy())
    assert (desk.color(70, 70), "nerve" in desk.view.hint) == (lit, True)
    desk.view.set_prediction(class_map, np.full_like(class_map, 255))
    part = class_map[:200, :200].copy()
    desk.view.update_prediction((0, 0, 200, 200), part, np.full_like(part, 255))
    assert "nerve" in desk.view.hint
    desk.view.clear_prediction()
    assert "nerve" not in desk.view.hint


def test_regions_are_those_that_are_accepted(desk):
    """The highlight is the same component, diagonals included, that becomes a shape."""
    generator = np.random.default_rng(5)
    found = (generator.random((300, 400)) < 0.45).astype(np.uint8)
    desk.view.set_prediction(found)
    for x, y in ((10, 10), (200, 150), (399, 299), (57, 222)):
        region = desk.view.region_at(x, y)
        if found[y, x] == 0:
            assert region is None
            continue
        whole = np.zeros(found.shape, bool)
        x0, y0, x1, y1 = region.box
        whole[y0:y1, x0:x1] = region.mask
        assert (whole == connected_region(found, x, y)).all()


def test_hidden_predictions_cannot_be_clicked(desk, class_map, qtbot):
    desk.view.set_prediction(class_map)
    desk.view.set_tool("region")
    desk.view.set_prediction_visible(False)
    with qtbot.assertNotEmitted(desk.view.region_clicked, wait=10):
        desk.click(70, 70)
    assert "no prediction" in desk.view.hint
