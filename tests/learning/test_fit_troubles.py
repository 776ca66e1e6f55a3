"""Out of memory, full disks, losses that explode, images that vanish, labels that teach nothing."""

from __future__ import annotations

import errno
import itertools

import numpy as np
import pytest
import torch

from core.annotation.model import UNLABELLED, AnnotationState, ClassList
from core.errors import (
    DeviceError,
    MaskloopError,
    NothingToLearnError,
    StorageError,
    TrainingError,
    UsageError,
)
from core.learning.events import Checkpointed, Finished, Notice, StepDone
from core.learning.instant.features import FeatureCache
from core.learning.machine.memory import Load, is_out_of_memory
from core.learning.runs.weights import load_weights
from core.learning.training.fit import TrainState, fit, save_now
from core.learning.training.loss_watch import LossWatch
from core.models.registry import build

BACKGROUND, DISC, SQUARE = 0, 3, 7


def _notices(events) -> list[str]:
    # How far a slow piece of work has come is told on a busy machine only.
    return [event.text for event in events if isinstance(event, Notice) and event.progress is None]


# --- memory ---------------------------------------------------------------------------------------------


def _limit_memory(monkeypatch, state, pixels: int) -> list[tuple[int, ...]]:
    """Let training run out of memory above this many pixels at once; returns the shapes that went through."""
    kind = type(state.learner.network)
    output = kind.training_output
    seen: list[tuple[int, ...]] = []

    def limited(network, x):
        if x.shape[0] * x.shape[2] * x.shape[3] > pixels:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        seen.append(tuple(x.shape))
        return output(network, x)

    monkeypatch.setattr(kind, "training_output", limited)
    return seen


def test_a_batch_that_does_not_fit_is_computed_in_pieces(world, start, run, monkeypatch) -> None:
    world.put_done(1, 2)
    state = start(steps=4, batch=4)
    shapes = _limit_memory(monkeypatch, state, 2 * 64 * 64)
    events = run(state)
    assert _notices(events) == [
        "the computer is out of memory: batches are computed 2 crops at a time from now on"
    ]
    assert events[-1].steps == 4
    assert shapes == [(2, 3, 64, 64)] * 8  # four crops a step, still


def test_pieces_learn_what_the_whole_batch_would(world, start, run) -> None:
    world.put_done(1, 2)
    gradients = []
    for piece in (4, 1):
        options = (("encoder_width", 4), ("width", 4), ("norm", "group"))
        state = start(steps=1, batch=4, augment=False, model_options=options)
        state.learner.load = Load(64, piece, "cpu")
        run(state)
        gradients.append(torch.cat([p.grad.flatten() for p in state.learner.network.parameters()]))
    # Dice is a ratio of a piece's sums, so pieces agree nearly, not exactly.
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.9


def test_smaller_crops_follow_where_single_ones_do_not_fit(world, start, run, monkeypatch) -> None:
    world.put_done(1, 2)
    state = start(steps=3, crop=192, batch=2)
    _limit_memory(monkeypatch, state, 128 * 128)
    events = run(state)
    assert _notices(events) == [
        "the computer is out of memory: batches are computed 1 crop at a time from now on",
        "the computer is out of memory: crops are 128 pixels from now on, instead of 192",
    ]
    assert events[-1].steps == 3


def test_a_resumed_run_remembers_how_much_fits(world, start, resume, run, monkeypatch) -> None:
    world.put_done(1, 2)
    state = start(steps=3, batch=4)
    _limit_memory(monkeypatch, state, 64 * 64)
    run(state)
    resumed = resume(steps=5)
    assert resumed.learner.load.piece == 1
    assert _notices(run(resumed)) == []


def test_at_the_end_of_the_ladder_one_sentence_says_so(world, start, run, monkeypatch) -> None:
    world.put_done(1, 2)
    state = start(steps=3)
    _limit_memory(monkeypatch, state, 0)
    with pytest.raises(TrainingError, match="not enough memory even for one crop of 64 pixels"):
        run(state)


def test_the_ladder_ends_on_the_cpu() -> None:
    rungs = [Load(384, 4, "cuda")]
    while (lower := rungs[-1].lighter()) is not None:
        rungs.append(lower)
    assert [(load.crop, load.piece, load.device) for load in rungs] == [
        (384, 4, "cuda"),
        (384, 2, "cuda"),
        (384, 1, "cuda"),
        (192, 1, "cuda"),
        (128, 1, "cuda"),
        (128, 1, "cpu"),
    ]
    assert "CPU" in rungs[-2].step_down_text(rungs[-1])


def test_crops_that_a_network_would_fill_with_made_up_pixels_are_left_to_a_cpu() -> None:
    rungs = [Load(384, 1, "cuda", least=224)]
    while (lower := rungs[-1].lighter()) is not None:
        rungs.append(lower)
    assert [(load.crop, load.device) for load in rungs] == [
        (384, "cuda"),
        (224, "cuda"),
        (224, "cpu"),
        (128, "cpu"),
    ]


def test_memory_that_runs_out_within_the_first_step_leaves_nothing_half_made(
    world, start, run, monkeypatch
) -> None:
    world.put_done(1, 2)
    state = start(steps=4, batch=4)
    taken = []
    take = torch.optim.AdamW.step

    def short(optimizer, *how):
        taken.append(1)
        if len(taken) == 1:
            for number, parameter in enumerate(state.learner.network.parameters()):
                known = optimizer.state[parameter]
                known["step"] = torch.tensor(0.0)
                if number < 3:
                    known["exp_avg"] = torch.zeros_like(parameter)
                    known["exp_avg_sq"] = torch.zeros_like(parameter)
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate much")
        return take(optimizer, *how)

    monkeypatch.setattr(torch.optim.AdamW, "step", short)
    events = run(state)
    assert isinstance(events[-1], Finished)
    assert state.step == 4


def test_other_errors_are_not_taken_for_memory(world, start, run, monkeypatch) -> None:
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    world.put_done(1)
    state = start(steps=3)

    def broken(_network, _x):
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(type(state.learner.network), "training_output", broken)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        run(state)


# --- disk -----------------------------------------------------------------------------------------------


def _full_disk(path, _state=None, **_how: bool) -> None:
    raise StorageError.from_os_error(path, OSError(errno.ENOSPC, "No space left on device"))


def test_training_goes_on_while_the_disk_is_full_and_saves_when_it_can(world, start, monkeypatch) -> None:
    world.put_done(1, 2)
    state = start(steps=12, checkpoint_every_s=0.0)
    with monkeypatch.context() as full:
        full.setattr("core.learning.training.safekeeping.save_checkpoint", _full_disk)
        events = []
        run = fit(state)
        while state.step < 6:
            events.append(next(run))
        assert len([text for text in _notices(events) if "the disk is full" in text]) == 1
        assert not state.run.last_checkpoint.exists()
    events = list(run)
    assert "the training state can be saved again, and all of it is" in _notices(events)
    assert events[-1].steps == 12
    assert state.run.last_checkpoint.is_file()


def test_a_run_that_could_never_save_does_not_pretend_it_did(world, start, run, monkeypatch) -> None:
    world.put_done(1, 2)
    state = start(steps=3)
    state.keeping.patience_s = 0.0
    monkeypatch.setattr("core.learning.training.safekeeping.save_checkpoint", _full_disk)
    with pytest.raises(StorageError, match=r"the disk is full.*nothing of the run was saved"):
        run(state)


def test_a_place_that_cannot_be_written_is_said_before_training(world, config, tmp_path) -> None:
    world.put_done(1)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file"):
        TrainState.create(config(steps=1), world.store, tmp_path / "file" / "run", print)


# --- losses ---------------------------------------------------------------------------------------------


def _poison(state) -> None:
    with torch.no_grad():
        next(state.learner.network.decoder_parameters()).fill_(float("nan"))


def test_after_a_loss_that_is_no_number_it_goes_back_and_learns_more_slowly(world, start) -> None:
    world.put_done(1, 2)
    state = start(steps=20, checkpoint_every_s=0.0)
    events = []
    poisoned = False
    for event in fit(state):
        events.append(event)
        if state.step >= 6 and not poisoned:
            poisoned = True
            _poison(state)
    assert len([text for text in _notices(events) if ": back to the weights of step" in text]) == 1
    assert isinstance(events[-1], Finished)
    assert all(torch.isfinite(p).all() for p in state.learner.network.parameters())
    assert all(torch.isfinite(p).all() for p in state.learner.ema.network.parameters())
    assert all(event.loss == event.loss for event in events if isinstance(event, StepDone))


def test_weights_that_are_no_numbers_are_never_saved(world, start) -> None:
    world.put_done(1, 2)
    state = start(steps=10, checkpoint_every_s=0.0)
    for event in fit(state):
        if isinstance(event, StepDone) and event.step == 3:
            _poison(state)
        if isinstance(event, Checkpointed):
            saved = torch.load(state.run.last_checkpoint, weights_only=True)["learner"]["network"]
            assert all(torch.isfinite(value).all() for value in saved.values())


def test_a_loss_that_stays_no_number_ends_the_run_with_a_sentence(world, start) -> None:
    world.put_done(1, 2)
    state = start(steps=500)

    def poison_always() -> None:
        for _event in fit(state):
            _poison(state)

    with pytest.raises(TrainingError, match="a lower rate"):
        poison_always()


def test_a_loss_that_leaves_its_course_goes_back_to_the_last_good_weights(world, start, monkeypatch) -> None:
    world.put_done(1, 2)
    monkeypatch.setattr("core.learning.training.fit.REPORT_S", 0.0)
    state = start(steps=60, checkpoint_every_s=0.0)
    events = []
    thrown = False
    for event in fit(state):
        events.append(event)
        if state.step >= 20 and not thrown:
            thrown = True
            with torch.no_grad():
                for parameter in state.learner.network.decoder_parameters():
                    parameter.mul_(300.0)
    back = [text for text in _notices(events) if text.startswith("the loss rose to ")]
    assert back
    assert "at half the learning rate" in back[0]
    assert int(back[0].split("weights of step ")[1].split(",")[0]) <= 21  # nothing of it was saved meanwhile
    assert isinstance(events[-1], Finished)


@pytest.mark.parametrize("part", ["backward", "optimizer"])
def test_memory_may_end_anywhere_in_a_step(world, start, run, monkeypatch, part) -> None:
    world.put_done(1, 2)
    state = start(steps=3, batch=4)
    kind, name = (torch.Tensor, "backward") if part == "backward" else (torch.optim.AdamW, "step")
    whole = getattr(kind, name)
    failures = iter([MemoryError("no room")])

    def short_once(*args, **options):
        for failure in failures:
            raise failure
        return whole(*args, **options)

    monkeypatch.setattr(kind, name, short_once)
    events = run(state)
    assert _notices(events) == [
        "the computer is out of memory: batches are computed 2 crops at a time from now on"
    ]
    assert events[-1].steps == 3


def test_a_validation_without_memory_is_left_out_and_the_weights_are_kept(
    world, start, run, monkeypatch
) -> None:
    world.put_done(1, 2)
    state = start(steps=3)

    def no_room(_predictor, _image, **_options):
        raise MaskloopError("there is not enough memory to predict an image")

    monkeypatch.setattr("core.learning.prediction.predict.Predictor.predicting", no_room)
    events = run(state)
    assert any(text.startswith("this validation was left out: ") for text in _notices(events))
    assert events[-1].best_miou is None
    assert state.run.best_weights.is_file()


def test_weights_that_scored_best_while_the_loss_was_off_its_course_are_saved_as_they_were(
    world, start, monkeypatch
) -> None:
    world.put_done(1, 2)
    state = start(steps=100_000, checkpoint_every_s=1e6)
    events = fit(state)
    while not state.step:
        next(events)
    doubtful, at = True, state.step
    monkeypatch.setattr(LossWatch, "doubtful", property(lambda _watch: doubtful))
    score = state.validator.score(state.predictor(), state.clock.seconds, state.step)
    assert state.note_score(score, comparable=score).best
    scored = {name: tensor.clone() for name, tensor in state.learner.ema.network.state_dict().items()}
    assert not list(save_now(state)), "what is on disk is better"
    while state.step == at:
        next(events)
    doubtful = False
    for _ in save_now(state):
        pass
    network, header = load_weights(state.run.best_weights)
    assert header.metrics["step"] == at
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in scored.items())


@pytest.mark.parametrize("which", ["save_weights", "append_metrics", "log"])
def test_whatever_the_full_disk_refuses_is_told_once_and_written_later(
    world, start, monkeypatch, which
) -> None:
    world.put_done(1, 2)
    state = start(steps=40, checkpoint_every_s=0.0, validate_every_s=0.0)
    where = (
        "core.learning.runs.deep_part."
        if which == "save_weights"
        else "core.learning.runs.run_folder.RunFolder."
    )
    events = []
    run = fit(state)
    with monkeypatch.context() as full:
        full.setattr(where + which, lambda path, *_rest: _full_disk(getattr(path, "path", path)))
        while state.step < 30:
            events.append(next(run))
    assert len([text for text in _notices(events) if "the disk is full" in text]) == 1
    events += list(run)
    assert [text for text in _notices(events) if text.startswith("the training state can be saved again")]
    assert state.run.best_weights.is_file()
    steps = [row["step"] for row in state.run.read_metrics() if row["loss"] is not None]
    assert steps == sorted(set(steps))
    assert steps[0] <= 10  # what was refused came later
    assert max(after - before for before, after in itertools.pairwise([*steps, 40])) <= 10
    assert "finished after 40 steps" in state.run.log_file.read_text()


def test_features_take_smaller_tiles_where_memory_is_short(monkeypatch) -> None:
    network = build("instant", classes=2, encoder="plain", encoder_width=4).eval()
    told: list[str] = []
    cache = FeatureCache(network, torch.device("cpu"), scale=1.0, notify=told.append)
    whole = type(network).features

    def short(net, x):
        if x.shape[-1] > 700:
            raise MemoryError("no room")
        return whole(net, x)

    monkeypatch.setattr(type(network), "features", short)
    features = cache.compute(np.zeros((64, 1100, 3), np.uint8))
    assert features.size_hw == (64, 1100)
    assert told == ["out of memory while looking at images: tiles of 512 pixels on the CPU from now on"] or (
        len(told) == 2 and "256 pixels" in told[1]
    )


def test_features_are_kept_on_disk_again_once_there_is_room(tmp_path, monkeypatch) -> None:
    network = build("instant", classes=2, encoder="plain", encoder_width=4).eval()
    told: list[str] = []
    now = [0.0]
    cache = FeatureCache(
        network,
        torch.device("cpu"),
        scale=1.0,
        folder=tmp_path / "features",
        notify=told.append,
        clock=lambda: now[0],
    )
    pixels = np.zeros((64, 64, 3), np.uint8)
    with monkeypatch.context() as full:
        full.setattr("core.learning.instant.tensor_folder.write_atomic", _full_disk)
        for key in "abc":
            now[0] += 20.0
            cache.get(key, "1", lambda: pixels)
    assert len(told) == 1
    assert "the disk is full" in told[0]
    now[0] += 20.0
    cache.get("d", "1", lambda: pixels)
    assert told[1] == "features of images are kept on disk again"
    assert len(list((tmp_path / "features").iterdir())) == 1


def test_what_others_draw_meanwhile_does_not_change_a_runs_weights(world, config, tmp_path) -> None:
    world.put_done(1, 2)
    found = []
    for name, looked_at in (("alone", False), ("watched", True)):
        settings = config(steps=6, model="fcn8s", model_options=(("encoder_width", 4), ("fc", 16)))
        state = TrainState.create(settings, world.store, tmp_path / name, print)  # it drops features
        for _event in fit(state):
            if looked_at:
                torch.manual_seed(5)
                torch.rand(7)
                state.predictor().predict(np.zeros((40, 40, 3), np.uint8))
        found.append([p.clone() for p in state.learner.network.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


# --- images ---------------------------------------------------------------------------------------------


def test_an_image_that_vanishes_is_left_out_and_told_once(world, start, run) -> None:
    world.put_done(1, 2, 3)
    (world.folder / "2.png").unlink()
    state = start(steps=10)
    texts = _notices(run(state))
    assert len(texts) == 1
    assert texts[0].startswith("left out of training: ")
    assert "2.png" in texts[0]
    assert "2.png" in state.run.log_file.read_text()


def test_when_the_last_label_is_removed_training_says_so(world, start) -> None:
    world.put_done(1)
    state = start(steps=500)

    def remove_the_label() -> None:
        for event in fit(state):
            if isinstance(event, StepDone):
                world.store.remove("1.png")

    with pytest.raises(TrainingError, match="no labelled pixel is left"):
        remove_the_label()


# --- labels that teach nothing --------------------------------------------------------------------------


def _put_all(world, value: int, state: AnnotationState) -> None:
    picture = world.picture(1)
    mask = picture.mask.copy()
    mask[:] = value
    world.store.put(picture.key, picture.path, mask, state)


def test_without_any_label_it_says_what_to_draw(world, start) -> None:
    with pytest.raises(
        NothingToLearnError, match=r"nothing is labelled yet: draw at least one shape \(disc, square\)"
    ):
        start()


def test_pixels_that_are_all_ignored_are_no_labels(world, start) -> None:
    _put_all(world, UNLABELLED, AnnotationState.DONE)
    with pytest.raises(NothingToLearnError, match="nothing is labelled yet"):
        start()


def test_a_project_with_one_class_is_told_to_add_one(world, start) -> None:
    world.store.set_classes(ClassList(world.store.classes.classes[1:2], BACKGROUND))
    _put_all(world, BACKGROUND, AnnotationState.DONE)
    with pytest.raises(NothingToLearnError, match="only the class 'background': add a class"):
        start()


def test_a_done_image_without_shapes_is_all_background(world, start) -> None:
    _put_all(world, BACKGROUND, AnnotationState.DONE)
    with pytest.raises(NothingToLearnError, match="only 'background' is labelled: draw at least one shape"):
        start()


def test_one_class_without_a_background_class_needs_a_second(world, start) -> None:
    world.store.set_classes(ClassList(world.store.classes.classes[::2]))
    world.put_drawn(1, DISC)
    with pytest.raises(
        NothingToLearnError, match="only 'disc' is labelled and the project has no background"
    ):
        start()


def test_one_class_that_covers_everything_needs_background(world, start) -> None:
    _put_all(world, DISC, AnnotationState.IN_PROGRESS)
    with pytest.raises(NothingToLearnError, match="draw some 'background', or mark an image"):
        start()


def test_an_unknown_model_is_named(world, start) -> None:
    world.put_done(1)
    with pytest.raises(UsageError, match="there is no model 'unett'"):
        start(model="unett")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_not_silently_replaced(world, start) -> None:
    world.put_done(1)
    with pytest.raises(DeviceError, match="no CUDA GPU"):
        start(device="cuda")
