"""A run that began with too few images to hold any out gets an honest score from those that come later."""

from __future__ import annotations

from core.annotation.model import AnnotationState
from core.learning.events import Notice, Validated
from core.learning.training.fit import fit
from core.learning.validation.hold_out import LATE_FROM, plan_on, plan_validation

BACKGROUND, DISC, SQUARE = 0, 3, 7


def _drawn(world, *numbers: int) -> None:
    for number in numbers:
        world.put_drawn(number, BACKGROUND, DISC, SQUARE)


def test_a_fifth_of_the_images_labelled_meanwhile_is_never_learned_from(world, start) -> None:
    _drawn(world, 1, 2)
    state = start(validation="auto", steps=12, checkpoint_every_s=0.0)  # an event after every step
    events = fit(state)
    next(events)
    while state.step < 2:
        next(events)
    assert state.validator.plan.on == "training"
    _drawn(world, *range(3, LATE_FROM + 1))
    told = list(events)
    assert state.validator.plan.on == "validation"
    held_out = state.validator.plan.held_out
    assert len(held_out) == 2
    assert not set(held_out) & {"1.png", "2.png"}
    assert not set(held_out) & set(state.sampler.keys)
    notes = [event.text for event in told if isinstance(event, Notice)]
    assert "2 of the images labelled since the run began are held out: its score is on them now" in notes
    last = [event for event in told if isinstance(event, Validated)][-1]
    assert (last.on, last.images) == ("validation", 2)
    assert state.best.miou is not None


def test_images_labelled_right_before_a_score_are_held_out_too(world, start) -> None:
    """A score asks the sampler which images there are, and it has drawn from none of the new ones."""
    _drawn(world, 1, 2)
    state = start(validation="auto", steps=12, checkpoint_every_s=0.0)
    events = fit(state)
    next(events)
    while state.step < 2:
        next(events)
    _drawn(world, *range(3, LATE_FROM + 1))
    state.header()
    list(events)
    assert state.validator.plan.on == "validation"
    assert len(state.validator.plan.held_out) == 2


def test_fewer_images_are_all_needed_for_learning(world, config) -> None:
    _drawn(world, *range(1, LATE_FROM))
    settings = config(validation="auto")
    plan = plan_validation(world.store, settings)
    assert plan_on(world.store, plan, ["5.png", "6.png"], settings) == plan


def test_images_it_has_learned_from_are_never_held_out(world, config) -> None:
    _drawn(world, *range(1, LATE_FROM))
    settings = config(validation="auto")
    plan = plan_validation(world.store, settings)
    _drawn(world, *range(LATE_FROM, 21))
    assert plan_on(world.store, plan, [], settings) == plan
    assert plan_on(world.store, plan, ["17.png"], settings).held_out == ("17.png",)


def test_a_run_that_starts_with_many_images_in_progress_holds_some_of_them_out(world, config) -> None:
    _drawn(world, *range(1, 21))
    plan = plan_validation(world.store, config(validation="auto"))
    assert plan.on == "validation"
    assert plan.held_out
    for key in plan.held_out:
        assert world.store.get(key).state is AnnotationState.IN_PROGRESS


def test_where_those_show_one_class_only_the_score_waits(world, config) -> None:
    for number in range(1, 21):
        world.put_drawn(number, DISC)
    plan = plan_validation(world.store, config(validation="auto"))
    assert plan.on == "training"
    assert plan.held_out == plan.waiting != ()


def test_strokes_of_one_class_are_held_out_but_no_score_yet(world, config) -> None:
    _drawn(world, *range(1, 9))
    settings = config(validation="auto")
    plan = plan_validation(world.store, settings)
    for number in (10, 11):
        world.put_drawn(number, DISC)
    waits = plan_on(world.store, plan, ["10.png", "11.png"], settings)
    assert (waits.on, waits.held_out) == ("training", ("10.png", "11.png"))
    _drawn(world, 11)
    tells = plan_on(world.store, waits, [], settings)
    assert (tells.on, tells.held_out) == ("validation", ("10.png", "11.png"))


def test_the_only_examples_of_a_class_are_learned_from(world, config) -> None:
    settings = config(validation="auto")
    world.put_drawn(1, BACKGROUND, DISC)
    plan = plan_validation(world.store, settings)
    for number in range(2, 11):
        world.put_drawn(number, BACKGROUND, DISC)
    _drawn(world, 12)
    assert "12.png" not in plan_on(world.store, plan, ["12.png"], settings).held_out


def test_held_out_images_that_lose_their_labels_go_and_others_come(world, config) -> None:
    _drawn(world, *range(1, LATE_FROM))
    settings = config(validation="auto")
    first = plan_validation(world.store, settings)
    _drawn(world, 10, 11)
    before = plan_on(world.store, first, ["10.png", "11.png"], settings)
    assert before.held_out == ("10.png", "11.png")
    world.store.remove("11.png")
    _drawn(world, 13)
    assert plan_on(world.store, before, ["13.png"], settings).held_out == ("10.png", "13.png")


def test_when_all_held_out_images_go_none_that_was_learned_from_takes_their_place(world, config) -> None:
    world.put_done(*range(1, 9))
    settings = config(validation="auto")
    plan = plan_validation(world.store, settings)
    assert plan.on == "validation"
    for key in plan.held_out:
        world.store.remove(key)
    alone = plan_on(world.store, plan, [], settings)
    assert (alone.on, alone.held_out) == ("training", ())
    assert set(alone.keys) <= set(world.store.labelled_keys())


def test_when_the_training_images_go_that_are_scored_others_are(world, config) -> None:
    _drawn(world, 1, 2)
    settings = config(validation="auto")
    plan = plan_validation(world.store, settings)
    _drawn(world, 3, 4)
    world.store.remove("1.png")
    assert plan_on(world.store, plan, [], settings) is plan
    world.store.remove("2.png")
    assert plan_on(world.store, plan, [], settings).keys == ("3.png", "4.png")


def test_what_a_person_chose_stays_held_out_while_it_has_no_labels(world, config) -> None:
    _drawn(world, *range(1, 14))
    settings = config(validation="auto", held_out=("3.png",))
    plan = plan_validation(world.store, settings)
    world.store.remove("3.png")
    without = plan_on(world.store, plan, ["13.png"], settings)
    assert (without.on, without.held_out) == ("training", ("3.png",))
    _drawn(world, 3)
    again = plan_on(world.store, without, [], settings)
    assert (again.on, again.held_out) == ("validation", ("3.png",))


def test_what_a_person_chose_stays(world, config) -> None:
    _drawn(world, *range(1, 14))
    settings = config(validation="auto", held_out=("3.png",))
    plan = plan_validation(world.store, settings)
    assert plan_on(world.store, plan, ["13.png"], settings) is plan


def test_late_ones_stay_held_out_when_the_run_is_resumed(world, start, resume) -> None:
    _drawn(world, 1, 2)
    state = start(validation="auto", steps=400)
    events = fit(state)
    while state.step < 2:
        next(events)
    _drawn(world, *range(3, 12))
    while state.step < 30:
        next(events)
    events.close()
    held_out = state.validator.plan.held_out
    assert held_out
    state.keeping.save()
    again = resume()
    assert again.validator.plan == state.validator.plan
    assert world.store.get(held_out[0]).state is AnnotationState.IN_PROGRESS


def _cut_short(start, **settings):
    state = start(validation="auto", steps=4, checkpoint_every_s=0.0, **settings)
    events = fit(state)
    while state.step < 2:
        next(events)
    state.keeping.save()
    events.close()
    return state


def test_done_images_that_a_run_has_learned_from_are_not_held_out_when_it_goes_on(
    world, start, resume, run
) -> None:
    world.put_done(1, 2, 3, 4)
    _cut_short(start)
    world.put_done(5)
    again = resume()
    assert (again.validator.plan.on, again.validator.plan.held_out) == ("training", ())
    assert {event.on for event in run(again) if isinstance(event, Validated)} == {"training"}


def test_held_out_images_that_went_while_it_was_closed_are_not_replaced(world, start, resume) -> None:
    world.put_done(*range(1, 9))
    for key in _cut_short(start).validator.plan.held_out:
        world.store.remove(key)
    plan = resume().validator.plan
    assert (plan.on, plan.held_out) == ("training", ())


def test_images_labelled_while_it_was_closed_are_held_out(world, start, resume, run) -> None:
    _drawn(world, 1, 2)
    _cut_short(start)
    _drawn(world, *range(3, LATE_FROM + 1))
    again = resume()
    held_out = again.validator.plan.held_out
    assert len(held_out) == 2
    assert not set(held_out) & {"1.png", "2.png"}
    assert {event.on for event in run(again) if isinstance(event, Validated)} == {"validation"}


def test_what_a_person_chose_stays_held_out_when_a_run_without_its_labels_is_resumed(
    world, start, resume
) -> None:
    world.put_done(*range(1, 7))
    _cut_short(start, held_out=("3.png",))
    world.store.remove("3.png")
    plan = resume().validator.plan
    assert (plan.on, plan.held_out) == ("training", ("3.png",))
