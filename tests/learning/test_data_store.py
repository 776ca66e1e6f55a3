"""What the learner knows about labels, and how it reads images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.annotation.model import UNLABELLED, AnnotationState, ClassList, LabelClass
from core.errors import ImageFileError, MaskFileError
from core.learning.labels.data import ChannelMap, LabelStore, resized, resized_mask


def _classes() -> ClassList:
    return ClassList(
        (
            LabelClass(9, "leaf", "#00ff00"),
            LabelClass(0, "background", "#000000"),
            LabelClass(4, "stem", "#ff0000"),
        ),
        background=0,
    )


def _image(folder: Path, name: str, size_wh: tuple[int, int] = (20, 10)) -> Path:
    path = folder / name
    Image.new("RGB", size_wh, (10, 200, 30)).save(path)
    return path


def test_channels_follow_the_class_order_and_indices_come_back() -> None:
    channels = ChannelMap(_classes())
    mask = np.array([[9, 0], [4, UNLABELLED]], np.uint8)
    assert channels.to_channels(mask).tolist() == [[0, 1], [2, UNLABELLED]]
    assert channels.to_indices(channels.to_channels(mask)).tolist() == mask.tolist()
    assert channels.background == 1


def test_pixels_of_a_class_the_run_does_not_know_are_unlabelled() -> None:
    assert ChannelMap(_classes()).to_channels(np.array([[5]], np.uint8)).tolist() == [[UNLABELLED]]


def test_labels_sent_again_unchanged_are_no_change_but_carry_their_revision(tmp_path: Path) -> None:
    store = LabelStore(_classes())
    path = _image(tmp_path, "a.png")
    mask = np.full((10, 20), 9, np.uint8)
    store.put("a.png", path, mask, AnnotationState.DONE, revision=1)
    before = store.revision
    store.put("a.png", path, mask.copy(), AnnotationState.DONE, revision=2)
    assert (store.revision, store.get("a.png").revision) == (before, 2)
    store.put("a.png", path, mask, AnnotationState.IN_PROGRESS, revision=3)
    assert store.revision > before


def test_the_store_keeps_its_own_copy_of_a_mask(tmp_path: Path) -> None:
    store = LabelStore(_classes())
    mask = np.full((10, 20), 9, np.uint8)
    store.put("a.png", _image(tmp_path, "a.png"), mask, AnnotationState.DONE)
    mask[:] = 4
    assert (store.get("a.png").mask == 9).all()


def test_only_images_with_labelled_pixels_count(tmp_path: Path) -> None:
    store = LabelStore(_classes())
    empty = np.full((10, 20), UNLABELLED, np.uint8)
    store.put("empty.png", _image(tmp_path, "empty.png"), empty, AnnotationState.IN_PROGRESS)
    store.put("b.png", _image(tmp_path, "b.png"), np.full((10, 20), 4, np.uint8), AnnotationState.DONE)
    store.put("a.png", _image(tmp_path, "a.png"), np.full((10, 20), 9, np.uint8), AnnotationState.IN_PROGRESS)
    assert store.labelled_keys() == ("a.png", "b.png")
    assert store.done_keys() == ("b.png",)
    assert store.counts()[[0, 4, 9]].tolist() == [0, 200, 200]
    store.remove("b.png")
    store.remove("never seen.png")
    assert store.labelled_keys() == ("a.png",)


def test_the_digest_names_the_labels_and_classes(tmp_path: Path) -> None:
    store = LabelStore(_classes())
    path = _image(tmp_path, "a.png")
    store.put("a.png", path, np.full((10, 20), 9, np.uint8), AnnotationState.DONE)
    first = store.digest()
    store.put("a.png", path, np.full((10, 20), 4, np.uint8), AnnotationState.DONE)
    second = store.digest()
    store.put("a.png", path, np.full((10, 20), 9, np.uint8), AnnotationState.DONE)
    assert first != second
    assert store.digest() == first
    store.set_classes(ClassList(store.classes.classes[:2], 0))
    assert store.digest() != first


def test_an_image_of_another_size_than_its_labels_is_named(tmp_path: Path) -> None:
    store = LabelStore(_classes())
    store.put("a.png", _image(tmp_path, "a.png"), np.zeros((10, 10), np.uint8), AnnotationState.DONE)
    with pytest.raises(MaskFileError, match=r"a\.png: the image is 20 x 10 pixels, its labels are 10 x 10"):
        store.pixels("a.png")


def test_an_image_that_is_gone_is_named(tmp_path: Path) -> None:
    store = LabelStore(_classes())
    store.put("a.png", tmp_path / "a.png", np.zeros((10, 20), np.uint8), AnnotationState.DONE)
    with pytest.raises(ImageFileError, match=r"a\.png"):
        store.pixels("a.png")


def test_decoded_images_stay_within_their_budget_and_are_read_again(tmp_path: Path) -> None:
    store = LabelStore(_classes(), pixel_budget_bytes=2 * 20 * 10 * 3)
    for name in ("a.png", "b.png", "c.png"):
        store.put(name, _image(tmp_path, name), np.zeros((10, 20), np.uint8), AnnotationState.DONE)
    kept = {name: store.pixels(name) for name in ("a.png", "b.png", "c.png")}
    assert store.pixels("c.png") is kept["c.png"]
    again = store.pixels("a.png")
    assert again is not kept["a.png"]
    np.testing.assert_array_equal(again, kept["a.png"])


def test_an_image_replaced_by_another_file_is_read_anew(tmp_path: Path) -> None:
    store = LabelStore(_classes())
    mask = np.zeros((10, 20), np.uint8)
    store.put("a", _image(tmp_path, "old.png"), mask, AnnotationState.DONE)
    assert store.pixels("a")[0, 0].tolist() == [10, 200, 30]
    Image.new("RGB", (20, 10), (1, 2, 3)).save(tmp_path / "new.png")
    store.put("a", tmp_path / "new.png", mask, AnnotationState.DONE)
    assert store.pixels("a")[0, 0].tolist() == [1, 2, 3]


def test_scaling_keeps_image_and_mask_in_step_and_mixes_no_classes() -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[8:24, 12:40] = 4
    image = np.repeat(np.where(mask == 4, 200, 20).astype(np.uint8)[..., None], 3, axis=2)
    small_image, small_mask = resized(image, 0.5), resized_mask(mask, 0.5)
    assert small_image.shape == (20, 30, 3)
    assert set(np.unique(small_mask)) == {0, 4}
    np.testing.assert_array_equal(small_image[..., 0] > 110, small_mask == 4)
