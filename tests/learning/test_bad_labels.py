"""Labels that are few, odd, contradictory or change while training: each is learned or refused, at once."""

from __future__ import annotations

import numpy as np
import pytest

from core.annotation.model import UNLABELLED, AnnotationState, ClassList, LabelClass
from core.errors import NothingToLearnError, WeightsFileError
from core.learning.events import Finished, Notice, StepDone, Validated
from core.learning.runs.header import check_classes, read_header
from core.learning.training.fit import fit
from tests.patience import PATIENCE_S

BACKGROUND, DISC, SQUARE = 0, 3, 7
pytestmark = pytest.mark.timeout(PATIENCE_S)  # none of it may hang


def finished(events: list[object]) -> Finished:
    last = events[-1]
    assert isinstance(last, Finished)
    return last


def test_one_image_is_learned_and_its_score_says_that_it_is_on_training_images(world, start, run) -> None:
    world.put_done(1)
    events = run(start(steps=4, validation="auto"))
    assert {event.on for event in events if isinstance(event, Validated)} == {"training"}
    assert finished(events).steps == 4


def test_a_class_of_ten_pixels_is_drawn_and_scored(world, start, run) -> None:
    picture = world.picture(1)
    mask = np.where(picture.mask == SQUARE, BACKGROUND, picture.mask).astype(np.uint8)
    mask[20, 30:40] = SQUARE
    world.store.put(picture.key, picture.path, mask, AnnotationState.DONE)
    state = start(steps=4)
    channel = state.channels.classes.indices.index(SQUARE)
    drawn = {int(c) for _ in range(8) for c in state.next_windows().seed_targets}
    assert channel in drawn
    assert finished(run(state)).per_class_iou["square"] is not None


def test_images_without_a_label_leave_nothing_to_learn(world, start) -> None:
    for number in (1, 2):
        picture = world.picture(number)
        nothing = np.full_like(picture.mask, UNLABELLED)
        world.store.put(picture.key, picture.path, nothing, AnnotationState.UNLABELLED)
    with pytest.raises(NothingToLearnError, match="nothing is labelled yet"):
        start()


def test_the_same_picture_with_opposite_labels_is_learned_without_an_end_in_numbers(
    world, start, run
) -> None:
    picture = world.picture(1)
    swapped = picture.mask.copy()
    swapped[picture.mask == DISC], swapped[picture.mask == SQUARE] = SQUARE, DISC
    for number, mask in enumerate((picture.mask, swapped)):
        world.store.put(f"copy{number}.png", picture.path, mask, AnnotationState.DONE)
    events = run(start(steps=20))
    assert all(np.isfinite(event.loss) for event in events if isinstance(event, StepDone))
    assert not [event for event in events if isinstance(event, Notice) and event.level == "warning"]
    assert finished(events).steps == 20


def test_a_class_that_no_held_out_image_shows_has_no_score(world, start, run) -> None:
    world.put_done(*range(1, 9))
    state = start(steps=3, validation="auto")
    for key in state.validator.plan.held_out:
        labels = world.store.get(key)
        mask = np.where(labels.mask == SQUARE, BACKGROUND, labels.mask).astype(np.uint8)
        world.store.put(key, labels.image_path, mask, AnnotationState.DONE)
    done = finished(run(state))
    assert done.per_class_iou["square"] is None
    assert done.best_miou is not None


def test_labels_images_names_and_order_may_change_while_it_trains(world, start) -> None:
    world.put_done(1, 2, 3)
    state = start(steps=16, checkpoint_every_s=0.0)  # an event after every step
    disc, background, square = world.store.classes.classes
    changes = [
        lambda: world.put_drawn(1, DISC),
        lambda: world.store.remove("2.png"),
        lambda: world.put_done(4),
        lambda: world.store.set_classes(
            ClassList((square, background, LabelClass(DISC, "round", disc.color)), BACKGROUND)
        ),
        lambda: world.store.set_classes(
            ClassList((*world.store.classes.classes, LabelClass(9, "star", "#ffffff")), BACKGROUND)
        ),
    ]
    events = []
    for event in fit(state):
        events.append(event)
        if changes and state.step >= 2 * (6 - len(changes)):
            changes.pop(0)()
    assert not changes
    assert finished(events).steps == 16
    assert set(state.channels.classes.names) == {"round", "background", "square"}
    told = [event.text for event in events if isinstance(event, Notice)]
    assert any("star" in text and "next run" in text for text in told)


def test_weights_of_another_project_are_refused_with_what_differs(world, start, run) -> None:
    world.put_done(1)
    state = start(steps=2)
    run(state)
    others = ClassList((LabelClass(0, "background", "#000000"), LabelClass(1, "crack", "#ff0000")), 0)
    header = read_header(state.run.best_weights)
    with pytest.raises(WeightsFileError, match="'crack' \\(1\\) is only here"):
        check_classes(state.run.best_weights, header, others)
