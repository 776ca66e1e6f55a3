"""The split keeps images where they are while a project grows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.project.split import SMALLEST_SPLIT, split

names = st.sets(st.text("abcdefgh0123456789", min_size=1, max_size=6), max_size=60)


def test_four_images_are_all_for_training() -> None:
    assert split(["a", "b", "c", "d"]) == (("a", "b", "c", "d"), ())


@given(names)
def test_every_image_is_on_exactly_one_side(keys: set[str]) -> None:
    training, validation = split(keys)

    assert sorted([*training, *validation]) == sorted(keys)
    assert bool(validation) == (len(keys) >= SMALLEST_SPLIT)
    assert bool(training) == bool(keys)


@given(names, names)
def test_adding_images_moves_none_of_a_larger_set(before: set[str], more: set[str]) -> None:
    _, old = split(before)
    _, new = split(before | more)

    moved = [key for key in old if key not in new]
    # Only the image that was held out because a small set needs one may go back to training.
    assert len(moved) <= 1


def test_the_order_of_the_names_does_not_matter() -> None:
    keys = [f"image{number}" for number in range(40)]

    assert split(keys) == split(reversed(keys))


def test_frames_of_one_video_stay_together() -> None:
    keys = [f"video{video}/{frame}" for video in range(12) for frame in range(10)]

    training, validation = split(keys, group_of=lambda key: key.split("/")[0])

    assert validation
    assert not {key.split("/")[0] for key in training} & {key.split("/")[0] for key in validation}


def test_about_the_wanted_share_is_held_out() -> None:
    _, validation = split([f"image{number}" for number in range(2000)], share=0.2)

    assert 340 < len(validation) < 460
