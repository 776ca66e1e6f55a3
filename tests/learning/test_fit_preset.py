"""What the presets decide, and the scale images are seen at."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from core.annotation.model import AnnotationState
from core.errors import UsageError
from core.learning.config import TrainConfig
from core.learning.settings.preset import (
    MEASURED_IMAGES,
    RECIPES,
    RegionWidths,
    choose_scale,
    narrowest_region,
    promise,
    resolve,
    small_crop,
    without_images,
)
from core.learning.settings.sensible import check_sensible
from core.models.cost import macs_per_pixel
from core.models.registry import model_spec


def _put(world, name: str, size_hw: tuple[int, int], width: int) -> None:
    """Labels of an image with one vertical strip."""
    mask = np.zeros(size_hw, np.uint8)
    mask[10:-10, 50 : 50 + width] = 3
    world.store.put(name, world.folder / name, mask, AnnotationState.DONE)


def test_the_preset_fills_in_what_was_left_open(world) -> None:
    world.put_done(1)
    filled = resolve(TrainConfig(), "cpu", world.store)
    assert filled.model == "unet"
    assert None not in (filled.crop, filled.batch, filled.lr, filled.image_scale)


def test_what_a_person_chose_stays(world) -> None:
    world.put_done(1)
    chosen = TrainConfig(
        model="fcn8s", crop=96, batch=3, lr=0.5, image_scale=0.7, coarse_share=0.6, border_weight=2.0
    )
    assert resolve(chosen, "cuda", world.store) == chosen


def test_a_dear_network_takes_smaller_steps_on_a_cpu_only(world) -> None:
    world.put_done(1)
    unet, fcn = (resolve(TrainConfig(model=name), "cpu", world.store) for name in ("unet", "fcn8s"))
    pixels = {filled.model: filled.crop**2 * filled.batch for filled in (unet, fcn)}
    assert macs_per_pixel(model_spec("fcn8s")) > 5 * macs_per_pixel(model_spec("unet"))
    assert pixels["fcn8s"] < pixels["unet"] / 3
    assert fcn.crop >= 128
    assert fcn.batch == 2
    assert fcn.coarse_share < unet.coarse_share
    there = resolve(TrainConfig(model="fcn8s"), "cuda", world.store)
    recipe = RECIPES["cuda", "balanced"]
    assert (there.crop, there.batch, there.coarse_share) == (recipe.crop, recipe.batch, unet.coarse_share)


def test_only_what_was_left_open_becomes_smaller(world) -> None:
    world.put_done(1)
    assert resolve(TrainConfig(model="fcn8s", crop=256), "cpu", world.store).batch == 2
    kept = resolve(TrainConfig(model="fcn8s", batch=4), "cpu", world.store)
    assert (kept.batch, kept.crop) == (4, 128)


@pytest.mark.parametrize("preset", ["fast", "balanced", "best"])
def test_crops_are_no_smaller_than_pays_for_the_network(preset) -> None:
    """Smaller ones cost DeconvNet and the published U-Net as much, for fewer pixels of the picture."""
    for name, least, batch in (("deconvnet", 224, 2), ("unet_paper", 256, 1)):
        filled, _ = without_images(TrainConfig(model=name, preset=preset), "cpu")
        assert (filled.crop, filled.batch) == (least, batch)
    narrow = TrainConfig(model="deconvnet", preset=preset, model_options=(("window", 4),))
    assert without_images(narrow, "cpu")[0].crop < 224


def test_options_make_a_network_cheaper_or_dearer() -> None:
    def pixels(model: str, **options: int) -> int:
        filled, _ = without_images(TrainConfig(model=model, model_options=tuple(options.items())), "cpu")
        return filled.crop**2 * filled.batch

    assert pixels("unet_paper", width=16) >= 2 * pixels("unet_paper")
    assert pixels("unet", width=64) < pixels("unet")
    assert pixels("unet", width=8) == pixels("unet"), "the recipe's are the most"
    assert pixels("deeplabv3plus", output_stride=8) < pixels("deeplabv3plus")


@pytest.mark.parametrize(
    ("model", "encoder", "crop", "batch"),
    [
        ("deeplabv2", "tf_efficientnet_lite0", 256, 4),
        ("pspnet", "tf_efficientnet_lite0", 256, 4),
        ("gscnn", "tf_efficientnet_lite0", 224, 2),
        ("segnet", "plain", 256, 4),
        ("deconvnet", "plain", 256, 4),
        ("segnet", "vgg16", 128, 2),
    ],
)
def test_a_light_encoder_makes_a_network_light(model: str, encoder: str, crop: int, batch: int) -> None:
    filled, _ = without_images(TrainConfig(model=model, encoder=encoder), "cpu")
    assert (filled.crop, filled.batch) == (crop, batch)


def test_a_wide_encoder_makes_a_network_dear() -> None:
    wide = TrainConfig(encoder="plain", model_options=(("encoder_width", 64),))
    assert without_images(wide, "cpu")[0].batch == 2
    assert without_images(replace(wide, model_options=()), "cpu")[0].batch == 4


def test_a_chosen_crop_that_does_not_pay_is_told() -> None:
    chosen = TrainConfig(model="deconvnet", crop=128)
    assert without_images(chosen, "cpu")[0].crop == 128
    assert "choose 224 or more" in promise(chosen, "cpu")
    assert "choose" not in promise(replace(chosen, crop=224), "cpu")
    assert "choose" not in promise(TrainConfig(model="deconvnet"), "cpu")
    assert small_crop(TrainConfig(model="unet_paper", crop=96)).startswith("U-Net (as published) surrounds")
    assert small_crop(TrainConfig(crop=96)) == ""


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_better_preset_sees_at_least_as_much_detail(device) -> None:
    fast, balanced, best = (RECIPES[device, name] for name in ("fast", "balanced", "best"))
    assert fast.crop <= balanced.crop <= best.crop
    assert all(recipe.crop % 32 == 0 for recipe in RECIPES.values())


def test_the_width_of_a_strip_is_measured(world) -> None:
    _put(world, "a", (200, 300), 30)
    labels = [world.store.get("a")]
    assert narrowest_region(world.store, labels) == pytest.approx(30, rel=0.15)


def test_a_region_that_fills_its_image_is_as_wide_as_that(world) -> None:
    mask = np.full((64, 96), 3, np.uint8)
    world.store.put("a", world.folder / "a", mask, AnnotationState.DONE)
    with np.errstate(all="raise"):
        assert narrowest_region(world.store, [world.store.get("a")]) == 64.0


@pytest.mark.parametrize("showing", [slice(0, 6), slice(None, None, 5), slice(24, 30)])
def test_regions_are_measured_wherever_in_the_folder_they_are(world, showing: slice) -> None:
    names = [f"{number:03}" for number in range(30)]
    empty = np.zeros((100, 100), np.uint8)
    for name in names:
        world.store.put(name, world.folder / name, empty, AnnotationState.DONE)
    for name in names[showing]:
        _put(world, name, (100, 100), 20)
    labels = [world.store.get(name) for name in names]
    assert narrowest_region(world.store, labels) == pytest.approx(20, rel=0.15)


def test_of_a_long_folder_a_sample_is_measured_that_one_more_image_hardly_changes(
    world, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number:03}" for number in range(60)]
    for name in names:
        _put(world, name, (60, 100), 20)
    measured = set[str]()
    monkeypatch.setattr(RegionWidths, "of", lambda _, image, _index: measured.add(image.key) or 20.0)
    narrowest_region(world.store, [world.store.get(name) for name in names[:-1]])
    before = set(measured)
    measured.clear()
    narrowest_region(world.store, [world.store.get(name) for name in names])
    assert len(before) == len(measured) == MEASURED_IMAGES
    assert len(measured - before) <= 1
    assert min(before) < "020", "from all of the folder"
    assert max(before) > "040"


def test_big_images_with_broad_regions_are_shrunk_so_that_a_crop_shows_them_whole(world) -> None:
    _put(world, "a", (500, 530), 80)
    assert choose_scale(world.store, 256, view=1.0) == 0.5


def test_thin_regions_keep_their_resolution(world) -> None:
    _put(world, "a", (500, 530), 6)
    assert choose_scale(world.store, 256, view=1.0) == 1.0


def test_small_images_are_never_enlarged(world) -> None:
    mask = np.zeros((64, 64), np.uint8)
    cv2.circle(mask, (32, 32), 28, 3, -1)
    world.store.put("a", world.folder / "a", mask, AnnotationState.DONE)
    assert choose_scale(world.store, 256, view=1.0) == 1.0


def test_what_comes_out_of_a_run_of_both_learners_is_no_network_to_train() -> None:
    with pytest.raises(UsageError, match=r"blend comes out of .*: train with the model auto instead"):
        check_sensible(TrainConfig(model="blend"))


def test_the_papers_unet_learns_from_crops_of_its_own_size() -> None:
    """Of a tile of 572 pixels 388 get scores, which is no multiple of 32."""
    check_sensible(TrainConfig(model="unet_paper", crop=388))
    with pytest.raises(UsageError, match="multiple of 32, such as 384 or 416"):
        check_sensible(TrainConfig(model="unet", crop=388))


def test_undrawn_pixels_never_count_as_much_as_labels() -> None:
    """They would be taken for labels, and never be doubted."""
    check_sensible(TrainConfig(weak_background=0.99))
    with pytest.raises(UsageError, match=r"weak_background is 1; it must be at most 0\.99"):
        check_sensible(TrainConfig(weak_background=1.0))


@pytest.mark.parametrize("field", ["weight_decay", "clip_norm", "validate_every_s"])
def test_a_setting_is_a_finite_number(field: str) -> None:
    with pytest.raises(UsageError, match=f"{field} is inf; it must be finite"):
        check_sensible(replace(TrainConfig(), **{field: float("inf")}))


def test_a_run_may_go_on_without_end() -> None:
    check_sensible(TrainConfig(seconds=float("inf")))
