"""A class that is renamed while a run goes on keeps its scores, under the name it has now."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.annotation.model import ClassList, LabelClass
from core.errors import StorageError
from core.learning.events import Checkpointed, Event, Finished, Notice, StepDone, TrainingStarted, Validated
from core.learning.runs.comparison import read_compared
from core.learning.runs.header import read_header
from core.learning.runs.run_folder import RunFolder
from core.learning.training import joint
from core.learning.training.fit import fit, save_now
from core.learning.validation.validation import Validator

DISC = 3
BEFORE, NOW = ("disc", "background", "square"), ("circle", "background", "square")


def _rename(world, name: str = "circle") -> None:
    classes = world.store.classes
    renamed = (LabelClass(c.index, name if c.index == DISC else c.name, c.color) for c in classes)
    world.store.set_classes(ClassList(tuple(renamed), classes.background))


@pytest.fixture
def _scored_at_step_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Validator, "due", lambda self, _seconds, step: self.scored_step < 4 <= step)


@pytest.mark.usefixtures("_scored_at_step_four")
def test_what_a_run_has_scored_is_told_and_kept_under_the_names_of_now(world, start) -> None:
    world.put_done(1, 2)
    state = start(steps=8)
    events = fit(state)
    first = next(event for event in events if isinstance(event, Validated))
    assert tuple(first.per_class_iou) == BEFORE
    state.best.compared = 2.0  # nothing can be better: its scores are from before the new name
    list(save_now(state))
    _rename(world)
    finished = list(events)[-1]
    assert isinstance(finished, Finished)
    assert tuple(finished.per_class_iou) == NOW
    assert list(finished.per_class_iou.values()) == list(first.per_class_iou.values())
    assert tuple(state.header().metrics["per_class_iou"]) == NOW
    rows = [row for row in state.run.read_metrics() if row["val_miou"] is not None]
    assert rows[0]["val_iou:circle"] == pytest.approx(first.per_class_iou["disc"])
    assert all(row["val_iou:circle"] is not None for row in rows), "later scores are not lost"
    assert set(read_compared(state.run.path).per_class) == set(NOW)


def test_a_run_that_is_resumed_after_a_new_name_goes_by_it(world, start, resume, run) -> None:
    world.put_done(1, 2)
    run(start(steps=4))
    _rename(world)
    state = resume(steps=6)
    assert tuple(state.best.per_class_iou) == NOW
    run(state)
    rows = [row for row in state.run.read_metrics() if row["val_miou"] is not None]
    assert len(rows) == 2
    assert all(row["val_iou:circle"] is not None for row in rows)


@pytest.mark.usefixtures("_scored_at_step_four")
def test_a_run_that_is_killed_before_it_saved_a_score_keeps_those_under_the_new_name(
    world, start, resume, run
) -> None:
    world.put_done(1, 2)
    killed = start(steps=8)
    events = fit(killed)
    next(event for event in events if isinstance(event, Checkpointed))
    at_its_start = killed.run.last_checkpoint.read_bytes()
    next(event for event in events if isinstance(event, Validated))
    killed.run.last_checkpoint.write_bytes(at_its_start)  # as if the one before the score was never written
    _rename(world)
    state = resume(steps=8)
    assert state.resumed_step == 0
    run(state)
    rows = [row for row in state.run.read_metrics() if row["val_miou"] is not None]
    assert len(rows) == 2
    assert all(row["val_iou:circle"] is not None for row in rows)
    assert state.run.best_miou == state.best.miou


@pytest.mark.usefixtures("_scored_at_step_four")
def test_where_the_file_cannot_be_rewritten_scores_stay_under_the_old_name(
    world, start, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put_done(1, 2)
    state = start(steps=8)
    events = fit(state)
    next(event for event in events if isinstance(event, Validated))

    def full(self: RunFolder, names: object) -> None:
        raise StorageError(self.metrics_file, "the disk is full")

    monkeypatch.setattr(RunFolder, "rename_classes", full)
    _rename(world)
    list(events)
    rows = [row for row in state.run.read_metrics() if row["val_miou"] is not None]
    assert len(rows) > 1
    assert all(row["val_iou:disc"] is not None for row in rows)


@pytest.mark.parametrize("said", [TrainingStarted, StepDone, Notice, Validated])
def test_a_run_of_the_instant_learner_goes_by_the_new_name(
    world, start, monkeypatch: pytest.MonkeyPatch, said: type[Event]
) -> None:
    monkeypatch.setattr(joint, "REPORT_S", 0.0)
    world.put_done(1, 2, 3)
    state = start(model="instant", model_options=(("encoder_width", 8),))
    for event in joint.events_of(state):
        if isinstance(event, said):
            _rename(world)
    assert isinstance(event, Finished)
    assert tuple(event.per_class_iou) == NOW
    (row,) = (row for row in state.run.read_metrics() if row["val_miou"] is not None)
    assert row["val_iou:circle"] == event.per_class_iou["circle"]
    header = read_header(state.run.best_weights)
    assert header.classes.names == NOW
    assert tuple(header.metrics["per_class_iou"]) == NOW


def test_two_classes_that_swap_their_names_swap_their_columns(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.append_metrics({"step": 1, "val_miou": 0.5, "val_iou:a": 0.9, "val_iou:b": 0.1, **_ends("a", "b")})
    run.rename_classes(("b", "a"))
    run.append_metrics({"step": 2, "val_miou": 0.5, "val_iou:b": 0.8, "val_iou:a": 0.2, **_ends("a", "b")})
    assert [row["val_iou:b"] for row in run.read_metrics()] == [0.9, 0.8]


def _ends(*names: str) -> dict[str, None]:
    return {f"val_iou_{end}:{name}": None for end in ("low", "high") for name in names}


def test_the_time_told_is_what_the_run_was_given(world, start) -> None:
    """Also where some of it is set aside for the end."""
    world.put_done(1, 2)
    state = start(seconds=6.0)
    state.set_aside(5.5)
    step = next(event for event in fit(state) if isinstance(event, StepDone))
    assert step.time_budget_s == 6.0
