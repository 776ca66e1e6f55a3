"""GrabCut finds the object in a box, and listens to strokes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from core.interactive.grabcut import grab_cut, refined
from core.interactive.window import Patch


def box_of(truth, room: int = 4) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(truth)
    return columns.min() - room, rows.min() - room, columns.max() + 1 + room, rows.max() + 1 + room


def test_a_box_around_a_disc_gives_the_disc(disc, iou) -> None:
    image, truth = disc(noise=6)
    assert iou(grab_cut(image, box_of(truth)).on(truth.shape), truth) > 0.95


def test_corners_may_come_in_any_order_and_reach_past_the_image(disc) -> None:
    image, truth = disc()
    x0, y0, x1, y1 = box_of(truth)
    assert np.array_equal(
        grab_cut(image, (x1, y1, x0, y0)).on(truth.shape), grab_cut(image, (x0, y0, x1, y1)).on(truth.shape)
    )
    assert grab_cut(image, (-50, -50, 500, 500)).area > 0


def test_the_same_box_always_gives_the_same(disc) -> None:
    image, truth = disc(noise=30)
    first, again = grab_cut(image, box_of(truth)), grab_cut(image, box_of(truth))
    assert first.box == again.box
    assert np.array_equal(first.mask, again.mask)


def test_a_large_box_is_cut_small_and_its_border_is_sharp_again(iou) -> None:
    image = np.full((900, 1200, 3), 70, np.uint8)
    truth = cv2.ellipse(np.zeros((900, 1200), np.uint8), (600, 450), (400, 250), 20, 0, 360, 1, -1) != 0
    image[truth] = (150, 130, 110)
    found = grab_cut(image, box_of(truth, 20), max_pixels=20_000)
    assert iou(found.on(truth.shape), truth) > 0.985


def test_strokes_decide_what_they_cover(disc) -> None:
    image, truth = disc()
    outside, inside = np.zeros_like(truth), np.zeros_like(truth)
    outside[55:65, 75:85] = True
    inside[30:34, 52:56] = True
    found = grab_cut(image, box_of(truth, 8), foreground=inside, background=Patch(outside)).on(truth.shape)
    assert not found[outside].any()
    assert found[inside].all()


def test_nothing_outside_the_box_is_taken_unless_it_was_painted(disc) -> None:
    image, truth = disc()
    found = grab_cut(image, (60, 40, 90, 70)).on(truth.shape)
    found[40:70, 60:90] = False
    assert not found.any()


def test_an_image_of_one_colour_is_bounded_by_the_box() -> None:
    found = grab_cut(np.full((60, 60, 3), 50, np.uint8), (10, 10, 40, 40))
    x0, y0, x1, y1 = found.box
    assert 10 <= x0 < x1 <= 40
    assert 10 <= y0 < y1 <= 40


@pytest.mark.parametrize("box", [(70, 5, 90, 20), (5, 5, 5, 20), (-9, -9, -1, -1)])
def test_a_box_without_pixels_is_refused(box) -> None:
    with pytest.raises(ValueError, match="no pixel of the image of 60 x 60"):
        grab_cut(np.zeros((60, 60, 3), np.uint8), box)


def test_a_painted_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        grab_cut(np.zeros((60, 60, 3), np.uint8), (1, 1, 9, 9), foreground=np.zeros((5, 5), bool))


def test_refining_changes_only_the_band_around_the_border(disc) -> None:
    image, truth = disc()
    coarse = cv2.resize(truth.astype(np.uint8), (40, 30), interpolation=cv2.INTER_AREA) != 0
    found = refined(image, coarse, radius=6)
    depth = cv2.distanceTransform((~truth).astype(np.uint8), cv2.DIST_L2, 5)
    assert not found[depth > 14].any()
    assert found[cv2.distanceTransform(truth.astype(np.uint8), cv2.DIST_L2, 5) > 14].all()


def test_boxes_around_real_nuclei_give_the_nuclei(nuclei, iou) -> None:
    found = [iou(grab_cut(image, box_of(truth, 3)).on(truth.shape), truth) for image, truth in nuclei]
    assert np.mean(found) > 0.7
    assert np.mean(np.array(found) > 0.5) > 0.85
