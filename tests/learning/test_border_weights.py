"""Background between objects that nearly touch counts more: as the paper says, and in the loss of a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from core.annotation.instances import Instances, draw_instances
from core.annotation.labelme_json import dumps
from core.annotation.model import Annotation, AnnotationState, ClassList, LabelClass, Shape, ShapeType
from core.learning.config import TrainConfig
from core.learning.events import Event, StepDone
from core.learning.labels import border_weights as weighing
from core.learning.labels.border_weights import SIGMA, BorderMaps, border_strengths
from core.learning.labels.data import ChannelMap, LabelStore, resized_mask, scaled_size
from core.learning.settings.preset import without_images
from core.learning.settings.settings_text import configured
from core.learning.training.augment import Augmenter
from core.learning.training.losses import loss_sums
from core.learning.training.sampler import CropSampler
from core.learning.training.state import TrainState
from core.models.terms import Truth
from core.project.project import Project
from tests.learning.conftest import BACKGROUND, DISC, SQUARE, World


def cells(size: tuple[int, int] = (48, 60)) -> NDArray[np.uint8]:
    """Three cells of two classes with narrow gaps, on background; a strip of which nothing is known."""
    targets = np.zeros(size, np.uint8)
    cv2.circle(targets, (14, 20), 8, 1, -1)
    cv2.circle(targets, (34, 20), 9, 1, -1)
    cv2.circle(targets, (26, 38), 7, 2, -1)
    targets[:, 52:] = 255
    return targets


def by_brute_force(
    targets: NDArray[np.uint8], sigma: float, objects: list[NDArray[np.bool_]] | None = None
) -> NDArray[np.float64]:
    """exp(-(d1 + d2)^2 / (2 sigma^2)) from all pairs of pixels; objects are connected regions by default."""
    if objects is None:
        objects = []
        for value in (1, 2):
            count, numbers = cv2.connectedComponents((targets == value).astype(np.uint8), connectivity=8)
            objects += [numbers == number for number in range(1, count)]
    places = [np.argwhere(own) for own in objects]
    found = np.zeros(targets.shape)
    for row, column in np.argwhere(targets == 0):
        distances = sorted(
            float(np.sqrt(((pixels - (row, column)) ** 2).sum(axis=1)).min()) for pixels in places
        )
        if len(distances) > 1:
            found[row, column] = np.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2))
    return found


@pytest.mark.parametrize("sigma", [SIGMA, 2.5])
def test_strengths_are_what_the_formula_gives_for_all_pairs_of_pixels(sigma: float) -> None:
    targets = cells()
    found = border_strengths(targets, 0, sigma) / 255
    assert np.abs(found - by_brute_force(targets, sigma)).max() < 0.003  # eight bits
    assert found[20, 24] > 0.4, "between two cells"
    assert not found[targets != 0].any()


def test_one_object_alone_has_no_border_to_another() -> None:
    targets = np.zeros((20, 20), np.uint8)
    targets[5:10, 5:10] = 1
    assert not border_strengths(targets, 0).any()
    assert not border_strengths(np.zeros((5, 5), np.uint8), 0).any()


# --- polygons ---------------------------------------------------------------------------------------------

CELLS = ClassList((LabelClass(0, "background", "#000000"), LabelClass(1, "cell", "#ff0000")), 0)


def polygon(*points: tuple[int, int], label: str = "cell", group: int | None = None) -> Shape:
    return Shape(label, ShapeType.POLYGON, np.array(points, float), group_id=group)


LEFT = polygon((4, 6), (16, 6), (16, 20), (4, 20))
RIGHT = polygon((17, 9), (28, 9), (28, 26), (17, 26))
"""It touches the left one along a part of its side: one region of the class mask."""


def annotation(*shapes: Shape) -> Annotation:
    return Annotation("0.png", (32, 36), shapes, AnnotationState.DONE)


def test_of_two_polygons_that_touch_the_background_in_their_notches_counts() -> None:
    targets = np.zeros((32, 36), np.uint8)
    targets[6:21, 4:17] = targets[9:27, 17:29] = 1
    left, right = np.zeros((2, 32, 36), np.bool_)
    left[6:21, 4:17], right[9:27, 17:29] = True, True
    instances = draw_instances(annotation(LEFT, RIGHT), CELLS)
    found = border_strengths(targets, 0, SIGMA, instances) / 255
    assert np.abs(found - by_brute_force(targets, SIGMA, [left, right])).max() < 0.003
    assert found[8, 17] > 0.9, "in the notch above"
    assert not border_strengths(targets, 0, SIGMA).any(), "to the mask alone they are one"
    group = [shape.with_(group_id=3) for shape in (LEFT, RIGHT)]
    as_one = draw_instances(annotation(*group), CELLS)
    assert not border_strengths(targets, 0, SIGMA, as_one).any(), "a group is one object"


def test_what_shapes_say_is_made_to_fit_a_mask_that_is_newer() -> None:
    targets = np.zeros((32, 36), np.uint8)
    targets[6:21, 4:17] = targets[9:27, 17:29] = 1
    instances = draw_instances(annotation(LEFT, RIGHT), CELLS)
    grown = targets.copy()
    grown[5, 4:17] = 1  # the left one, a row that its file does not have yet
    left, right = instances.numbers == 1, instances.numbers == 2
    left[5, 4:17] = True
    found = border_strengths(grown, 0, SIGMA, instances) / 255
    assert np.abs(found - by_brute_force(grown, SIGMA, [left, right])).max() < 0.003
    drawn_anew = targets.copy()
    drawn_anew[28:31, 4:12] = 1  # a cell of which the file knows nothing
    third = np.zeros((32, 36), np.bool_)
    third[28:31, 4:12] = True
    found = border_strengths(drawn_anew, 0, SIGMA, instances) / 255
    three = [instances.numbers == 1, instances.numbers == 2, third]
    assert np.abs(found - by_brute_force(drawn_anew, SIGMA, three)).max() < 0.003
    without = np.where(right, 0, targets).astype(np.uint8)  # the right one was deleted
    assert not border_strengths(without, 0, SIGMA, instances).any()


def test_what_lies_on_top_owns_its_pixels_and_background_hides() -> None:
    top = polygon((10, 6), (20, 6), (20, 20), (10, 20))
    erased = polygon((4, 6), (6, 6), (6, 20), (4, 20), label="_background_")
    found = draw_instances(annotation(LEFT, top, erased, polygon((0, 0), (3, 0), (0, 3), label="?")), CELLS)
    assert found.values.tolist() == [255, 1, 1]
    assert (found.numbers[6:21, 7:10] == 1).all()
    assert (found.numbers[6:21, 10:21] == 2).all()
    assert not found.numbers[6:21, 4:7].any()


@pytest.fixture
def touching(tmp_path: Path) -> tuple[Project, LabelStore]:
    """A project of one picture with two polygons that touch."""
    (tmp_path / "images").mkdir()
    Image.new("RGB", (36, 32)).save(tmp_path / "images" / "0.png")
    (tmp_path / "images" / "0.json").write_bytes(dumps(annotation(LEFT, RIGHT)))
    Project.create(tmp_path, classes=["background", "cell"]).close()
    project = Project.open(tmp_path, lock=False)
    return project, LabelStore.from_project(project)


def maps_of(store: LabelStore) -> Callable[[float], NDArray[np.uint8]]:
    channels = ChannelMap(store.classes)
    (key,) = store.labelled_keys()

    def strengths(scale: float) -> NDArray[np.uint8]:
        targets = channels.to_channels(resized_mask(store.get(key).mask, scale))
        return maps.of(key, targets)

    maps = BorderMaps(store, channels)
    return strengths


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.375])
def test_a_project_tells_its_polygons_apart_at_every_scale(
    touching: tuple[Project, LabelStore], scale: float
) -> None:
    _, store = touching
    strengths = maps_of(store)(scale)
    assert strengths.shape == scaled_size((32, 36), scale)
    assert strengths.max() > 200
    # Far from where they touch, along the outline of one alone, there is little.
    assert strengths[:, 0].max() < 60


def test_an_edit_counts_at_once_and_fully_when_it_is_saved(
    touching: tuple[Project, LabelStore],
) -> None:
    project, store = touching
    (entry,) = project.images()
    strengths = maps_of(store)
    notch = strengths(1.0)[8, 17]
    joined = LEFT.with_(points=np.array([(4, 6), (28, 6), (28, 26), (4, 26)], float))
    mask = project.render_mask(entry, annotation(joined))
    store.put(entry.key, entry.image_path, mask, AnnotationState.DONE, 1)
    entry.annotation_path.write_bytes(dumps(annotation(joined)))
    assert notch > 200
    assert not strengths(1.0).any()
    entry.annotation_path.unlink()  # nothing but the mask is left
    assert not strengths(1.0).any()


# --- in a run ---------------------------------------------------------------------------------------------


def drawn(world: World, *, borders: bool = True, **settings: object) -> tuple[CropSampler, LabelStore]:
    """A sampler of one picture, labelled with cells."""
    picture = world.picture(0, cells().shape)
    channels = ChannelMap(world.store.classes)
    mask = np.array([BACKGROUND, DISC, SQUARE] + [255] * 253, np.uint8)[cells()]
    world.store.put(picture.key, picture.path, mask, AnnotationState.DONE)
    usual = {"scale": 1.0, "crop": 64, "margin": 1.0, "seed": 0, "weak_background": False}
    keys = world.store.labelled_keys()
    maps = BorderMaps(world.store, channels) if borders else None
    sampler = CropSampler(world.store, channels, keys, borders=maps, **(usual | settings))  # type: ignore[arg-type]
    return sampler, world.store


def background_of(store: LabelStore) -> int | None:
    return ChannelMap(store.classes).background


def test_windows_hold_the_strengths_of_their_pixels_found_once_for_a_revision(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, ...]] = []

    def counted(
        targets: NDArray[np.uint8], background: int, sigma: float, instances: Instances | None
    ) -> NDArray[np.uint8]:
        asked.append(targets.shape)
        return border_strengths(targets, background, sigma, instances)

    monkeypatch.setattr(weighing, "border_strengths", counted)
    sampler, store = drawn(world)
    for _ in range(3):
        windows = sampler.draw(2)
        assert windows is not None
        assert windows.borders is not None
        assert windows.borders.shape == windows.targets.shape
        assert windows.borders.any()
        assert not windows.borders[windows.targets != background_of(store)].any()
    assert len(asked) == 1
    key = store.labelled_keys()[0]
    labels = store.get(key)
    changed = labels.mask.copy()
    changed[0, 0] = DISC
    store.put(key, labels.image_path, changed, AnnotationState.DONE, 1)
    assert sampler.draw(2) is not None
    assert len(asked) == 2
    plain, _ = drawn(world, borders=False)
    windows = plain.draw(1)
    assert windows is not None
    assert windows.borders is None


def test_crops_carry_them_along_with_their_targets(world: World) -> None:
    sampler, _ = drawn(world, crop=32)
    windows = sampler.draw(3)
    assert windows is not None
    windows = replace(windows, borders=np.where(windows.targets == 1, 51, 0).astype(np.uint8))
    augmenter = Augmenter(None, device=torch.device("cpu"), seed=0, weak_weight=0.1)
    crops = augmenter(windows, 32)
    assert crops.borders is not None
    assert torch.allclose(crops.borders, (crops.targets == 1) * 0.2, atol=1e-5)


def test_what_only_stands_in_for_background_gets_none(world: World) -> None:
    sampler, store = drawn(world, crop=32)
    windows = sampler.draw(3)
    assert windows is not None
    assert windows.borders is not None
    windows = replace(windows, weak=windows.targets == background_of(store))
    windows.weak[:, ::2] = False
    crops = Augmenter(None, device=torch.device("cpu"), seed=0, weak_weight=0.1)(windows, 32)
    assert crops.borders is not None
    assert crops.weights is not None
    stand_in = crops.weights < 1
    assert stand_in.any()
    assert crops.borders.any()
    assert not crops.borders[stand_in].any()


def test_they_are_added_to_the_class_weights_in_the_cross_entropy() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 3, 48, 60)
    targets = torch.from_numpy(cells().astype(np.int64))[None]
    classes = torch.tensor([0.5, 2.0, 3.0])
    borders = 10.0 * torch.from_numpy(border_strengths(cells(), 0)).to(torch.float32)[None] / 255
    found = loss_sums(logits, Truth.of(targets, None, classes, borders)).loss()
    labelled = targets != 255
    each = torch.nn.functional.cross_entropy(logits, targets.clamp_max(2), reduction="none")
    weights = (classes[targets.clamp_max(2)] + borders) * labelled
    expected = (each * weights).sum() / weights.sum()
    assert torch.isclose(found.cross_entropy, expected)
    plain = loss_sums(logits, Truth.of(targets, None, classes)).loss()
    assert torch.isclose(found.dice, plain.dice)
    assert not torch.isclose(found.cross_entropy, plain.cross_entropy)


def test_a_run_is_told_by_its_setting(
    world: World, start: Callable[..., TrainState], run: Callable[[TrainState], list[Event]]
) -> None:
    usual = {name: without_images(TrainConfig(model=name), "cpu")[0] for name in ("unet_paper", "unet")}
    assert (usual["unet_paper"].border_weight, usual["unet"].border_weight) == (10.0, 0.0)
    assert usual["unet_paper"].border_sigma == SIGMA
    wanted = configured(TrainConfig(), [("border_weight", "10")]).border_weight
    world.put_done(0, 1)
    losses = []
    for weight in (wanted, 0.0):
        state = start(steps=3, border_weight=weight, augment=False)
        losses.append([event.loss for event in run(state) if isinstance(event, StepDone)])
        shutil.rmtree(state.run.path)
    assert losses[0]
    assert np.isfinite(losses[0]).all()
    assert losses[0] != losses[1]
