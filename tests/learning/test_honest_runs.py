"""What a run tells of its progress, when it ends by itself, and which labels it remembers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.annotation.model import AnnotationState
from core.learning.answers import LabelsCompared, RunPrediction
from core.learning.commands import CompareLabels, PredictWithRun
from core.learning.engine.run_questions import RunQuestions
from core.learning.events import Finished, Notice, Validated
from core.learning.labels.revisions import Unseen, labels_now, read_seen
from core.learning.runs.comparison import class_names_of, read_compared, remarks_on, settings_of
from core.learning.runs.run_folder import RunFolder
from core.learning.training.fit import TrainState
from core.learning.validation.progress import Progress

DISC, SQUARE = 3, 7
HELD_OUT = ("1.png", "2.png", "3.png")
STANDSTILL = {"lr": 1e-12, "ema": 0.99999}
"""Weights that do not move: no score is better than the first."""


@pytest.fixture(autouse=True)
def _validated_after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of a number of steps are scored at set ones."""
    for name in ("FIRST", "FEWEST_BETWEEN", "MOST_BETWEEN"):
        monkeypatch.setattr(f"core.learning.validation.set_steps.{name}", 1)


def _of(kind: type, events: list) -> list:
    return [event for event in events if isinstance(event, kind)]


# --- scores -----------------------------------------------------------------------------------------------


def test_a_score_comes_with_interval_confusion_and_gain(world, start, run) -> None:
    world.put_done(*range(1, 9))
    scores = _of(Validated, run(start(steps=3, held_out=HELD_OUT)))
    last = scores[-1]
    assert last.on == "validation"
    assert last.interval is not None
    assert last.interval.holds(last.miou)
    assert last.interval_over == "images"
    assert np.shape(last.confusion) == (3, 3)
    assert np.sum(last.confusion) == last.images * 72 * 96
    assert last.gain is not None
    assert last.gain.images == last.images
    assert scores[0].gain.miou is None


def test_intervals_are_noted_down(world, start, run) -> None:
    world.put_done(*range(1, 9))
    state = start(steps=2, held_out=HELD_OUT)
    run(state)
    row = next(row for row in state.run.read_metrics() if row["val_miou"] is not None)
    assert row["val_miou_low"] <= row["val_miou"] <= row["val_miou_high"]
    assert row["val_interval_over"] == "images"
    assert row["val_iou_low:disc"] <= row["val_iou:disc"] <= row["val_iou_high:disc"]


def test_a_score_on_one_image_is_over_its_parts_and_called_few(world, start, run) -> None:
    world.put_done(1)
    last = _of(Validated, run(start(steps=2)))[-1]
    assert last.interval_over == "parts"
    assert any("few" in note for note in last.notes)


def test_corrected_validation_labels_begin_the_comparison_anew(world, start) -> None:
    from core.learning.training.fit import fit

    world.put_done(1, 2, 3)
    gains = []
    for event in fit(start(steps=6)):
        if isinstance(event, Validated):
            gains.append(event.gain)
            if len(gains) == 3:
                world.put_drawn(2, DISC, SQUARE)
    assert gains[2].miou is not None
    assert gains[3].anew
    assert gains[4].miou is not None


# --- patience ---------------------------------------------------------------------------------------------


def test_a_run_that_gets_no_better_ends_and_keeps_its_best_weights(world, start, run) -> None:
    world.put_done(1, 2)
    events = run(start(steps=500, patience=2, **STANDSTILL))
    finished = _of(Finished, events)[0]
    assert finished.reason == "patience"
    assert finished.steps < 20
    assert len([n for n in _of(Notice, events) if "no better score" in n.text]) == 1
    assert RunFolder(Path(finished.run)).best_weights.is_file()


def test_a_network_in_stages_comes_to_its_last_one_before_patience_ends_the_run(world, start, run) -> None:
    world.put_done(1, 2)
    small = {"model": "fcn8s", "encoder": "plain", "model_options": (("encoder_width", 4), ("fc", 16))}
    state = start(steps=24, patience=2, **small, **STANDSTILL)
    finished = _of(Finished, run(state))[0]
    assert finished.reason == "patience"
    assert state.learner.ema.network.stage == "fcn8s"
    assert finished.steps < 24


def test_without_patience_only_the_budget_ends_a_run(world, start, run) -> None:
    world.put_done(1, 2)
    finished = _of(Finished, run(start(steps=8, **STANDSTILL)))[0]
    assert (finished.steps, finished.reason) == (8, "budget")


def test_drawing_on_keeps_a_run_alive(world, start) -> None:
    from core.learning.training.fit import fit

    world.put_done(1, 2)
    state = start(steps=16, patience=2, **STANDSTILL)
    for event in fit(state):
        if isinstance(event, Validated) and state.step < 6:
            world.put_drawn(100 + state.step, DISC)
    assert state.progress.reason(stopped=False) == "patience"
    assert state.step == 8


def test_an_interrupted_run_has_no_more_patience_than_an_uninterrupted_one(world, start, resume, run) -> None:
    world.put_done(1, 2)
    state = start(steps=3, patience=50, **STANDSTILL)
    run(state)
    waited = state.progress.patience.without_better
    again = resume(steps=6)
    assert again.progress.patience.without_better == waited > 0
    assert again.progress.patience.limit == 50


# --- what was seen ----------------------------------------------------------------------------------------


@pytest.fixture
def trained(world, start, run) -> TrainState:
    """A short run on images 1 to 6, one of which is held out."""
    world.put_done(*range(1, 7))
    state = start(steps=4, validation="auto")
    run(state)
    return state


def test_a_run_remembers_the_labels_it_saw(world, trained: TrainState) -> None:
    seen = read_seen(trained.run.path)
    assert seen.images == labels_now(world.store)
    assert seen.held_out == trained.validator.plan.held_out
    assert Unseen.between(seen.images, labels_now(world.store)).sentence == "has seen all labels as they are"


def test_what_was_labelled_corrected_and_removed_since_is_said(world, trained: TrainState) -> None:
    world.put_done(7, 8, 9)
    world.put_drawn(1, DISC)
    world.store.remove("2.png")
    unseen = Unseen.between(read_seen(trained.run.path).images, labels_now(world.store))
    assert len(unseen.new) == 3
    assert unseen.changed == ("1.png",)
    assert unseen.sentence == (
        "has not seen 3 images labelled since and changes on one image; labels of one image are gone since"
    )


def test_a_change_of_state_alone_is_a_change(world, trained: TrainState) -> None:
    labels = world.store.get("1.png")
    world.store.put("1.png", labels.image_path, labels.mask, AnnotationState.IN_PROGRESS)
    assert Unseen.between(read_seen(trained.run.path).images, labels_now(world.store)).changed == ("1.png",)


def test_best_weights_remember_what_they_saw_while_training_goes_on(world, start) -> None:
    """The best score comes first; what is labelled later is in the last checkpoint only."""
    from core.learning.training.fit import fit

    world.put_done(1, 2)
    state = start(steps=8, checkpoint_every_s=0.0, **STANDSTILL)
    for event in fit(state):
        if isinstance(event, Validated) and event.best:
            world.put_done(3)
    record = json.loads((state.run.path / "labels.json").read_text())
    assert "3.png" in record["last"]["images"]
    assert record["best"]["differs"] == {"3.png": None}  # though it came before they were saved
    assert set(read_seen(state.run.path).images) == {"1.png", "2.png"}


def test_a_damaged_record_of_seen_labels_is_written_anew(world, tmp_path: Path, caplog) -> None:
    (tmp_path / "labels.json").write_text('{"schema": 1, "la')
    world.put_done(1)
    progress = Progress(tmp_path, world.store, None)
    progress.saved(step=3, best=False, held_out=())
    assert read_seen(tmp_path) is None, "what the best weights have seen is unknown"
    assert "written anew" in caplog.text
    progress.saved(step=4, best=True, held_out=())
    assert set(read_seen(tmp_path).images) == {"1.png"}


def test_labels_that_no_step_has_taken_in_were_not_seen(world, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    world.put_done(1)
    progress = Progress(folder, world.store, None)
    progress.labels_taken_in()
    world.put_done(2)  # while the run is scored, or held
    progress.saved(step=3, best=True, held_out=())
    assert set(read_seen(folder).images) == {"1.png"}
    resumed = Progress(folder, world.store, None)
    assert resumed.restore(progress.state()) == "the checkpoint has not seen one image labelled since"
    resumed.saved(step=3, best=True, held_out=())
    assert set(read_seen(folder).images) == {"1.png"}
    resumed.labels_taken_in()
    resumed.saved(step=4, best=True, held_out=())
    assert set(read_seen(folder).images) == {"1.png", "2.png"}


def test_resuming_says_what_was_labelled_since(world, trained: TrainState, tmp_path: Path) -> None:
    from core.learning.config import TrainConfig

    world.put_done(7)
    told: list[Notice] = []
    TrainState.resume(tmp_path / "run", world.store, TrainConfig(steps=8), told.append)
    assert [n.text for n in told] == ["the checkpoint has not seen one image labelled since"]


# --- questions about runs ---------------------------------------------------------------------------------


def _ask(question: CompareLabels | PredictWithRun, store) -> object:
    answers: list[object] = []
    questions = RunQuestions(answers.append)
    questions.answer(question, store)
    while questions.tick(training=False):
        pass
    (answer,) = answers
    return answer


def test_the_engine_tells_which_labels_a_run_has_not_seen(world, trained: TrainState, tmp_path: Path) -> None:
    world.put_done(7)
    runs = (str(trained.run.path), str(tmp_path / "older run"))
    answer = _ask(CompareLabels(runs=runs), world.store)
    assert isinstance(answer, LabelsCompared)
    assert answer.unseen[runs[0]].new == ("7.png",)
    assert answer.unseen[runs[1]] is None


def test_the_engine_predicts_one_image_with_a_run_beside_its_labels(world, trained: TrainState) -> None:
    picture = world.picture(1)
    question = PredictWithRun(run=str(trained.run.path), key=picture.key, image_path=str(picture.path))
    answer = _ask(question, world.store)
    assert isinstance(answer, RunPrediction)
    assert answer.problem == ""
    assert answer.prediction.size_hw == (72, 96)
    assert (answer.labels.unpack() == picture.mask).all()
    assert answer.classes.names == ("disc", "background", "square")
    assert answer.role == ("held out" if picture.key in trained.validator.plan.held_out else "learned")
    assert 0 <= answer.miou <= 1


def test_an_unlabelled_image_is_new_to_a_run_and_has_no_score(world, trained: TrainState) -> None:
    picture = world.picture(50)
    question = PredictWithRun(run=str(trained.run.path), key=picture.key, image_path=str(picture.path))
    answer = _ask(question, world.store)
    assert (answer.role, answer.labels, answer.miou) == ("new", None, None)
    assert answer.prediction is not None


def test_a_missing_weights_file_is_the_answer_and_not_an_error(world, trained: TrainState) -> None:
    trained.run.best_weights.unlink()
    picture = world.picture(1)
    question = PredictWithRun(run=str(trained.run.path), key=picture.key, image_path=str(picture.path))
    answer = _ask(question, world.store)
    assert answer.prediction is None
    assert "there are no weights" in answer.problem


def _about(trained: TrainState, picture, run: str | None = None) -> PredictWithRun:
    return PredictWithRun(run=run or str(trained.run.path), key=picture.key, image_path=str(picture.path))


def test_a_prediction_for_comparison_is_made_piece_by_piece(
    world, trained: TrainState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two tiles everything else has its turn, and another image makes this one pointless."""
    monkeypatch.setattr("core.learning.prediction.predict._ONE_PASS_PIXELS", {"cpu": 1})
    monkeypatch.setattr("core.learning.prediction.predict._TILE", {"cpu": 64})
    answers: list[RunPrediction] = []
    questions = RunQuestions(answers.append)
    questions.answer(_about(trained, world.picture(1)), world.store)
    pieces = 0
    while questions.tick(training=False):
        pieces += 1
    assert pieces >= 5, "72 x 96 pixels in tiles of 64"
    assert answers[0].prediction is not None
    questions.answer(_about(trained, world.picture(1)), world.store)
    for _ in range(3):
        questions.tick(training=False)
    questions.answer(_about(trained, world.picture(2)), world.store)
    while questions.tick(training=False):
        pass
    assert [answer.key for answer in answers] == ["1.png", "2.png"]


def test_beside_a_run_a_comparison_waits_for_its_turn(world, trained: TrainState) -> None:
    now_s = 0.0
    questions = RunQuestions(lambda _event: None, lambda: now_s)

    def slow(*_: object) -> Iterator[None]:
        nonlocal now_s
        for _number in range(4):
            now_s += 1.0
            yield

    questions._predicted = slow  # type: ignore[method-assign]
    questions.answer(_about(trained, world.picture(1)), world.store)
    assert questions.tick(training=True)
    assert not questions.tick(training=True), "the run has had nothing since"
    now_s += 1.01
    assert questions.tick(training=True)
    assert questions.tick(training=False), "nobody else wants the time"


def test_a_huge_image_is_compared_in_rows_and_its_map_is_thinned_out(
    world, trained: TrainState, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _ask(_about(trained, world.picture(1)), world.store)
    for module in ("core.learning.engine.run_questions", "core.images.pyramid"):
        monkeypatch.setattr(f"{module}.HUGE_PIXELS", 1000)
    monkeypatch.setattr("core.learning.engine.run_questions.REDUCED_SIDE", 40)
    monkeypatch.setattr("core.images.rows.read_image", lambda _path: pytest.fail("never whole in memory"))
    thin = _ask(_about(trained, world.picture(1)), world.store)
    assert thin.problem == ""
    assert thin.prediction.size_hw == thin.labels.size_hw == (24, 32)
    assert (thin.prediction.unpack() == whole.prediction.unpack()[::3, ::3]).all()
    assert (thin.labels.unpack() == whole.labels.unpack()[::3, ::3]).all()
    assert thin.miou == pytest.approx(whole.miou), "counted on every pixel"


# --- comparing folders ------------------------------------------------------------------------------------


def test_a_run_is_read_for_comparison(world, trained: TrainState) -> None:
    found = read_compared(trained.run.path)
    assert found.problem == ""
    assert found.score == pytest.approx(trained.run.best_miou)
    assert found.interval is None or found.interval.holds(found.score)
    assert set(found.per_class) == {"disc", "background", "square"}
    assert found.classes.names == ("disc", "background", "square")
    assert found.held_out == trained.validator.plan.held_out
    assert found.steps == 4
    assert len(found.miou) == 4
    assert found.config["crop"] == "64"


def test_settings_that_differ_come_first(world, tmp_path: Path, config) -> None:
    world.put_done(1, 2)
    runs = []
    for name, changes in (("a", {"dice": 0.0}), ("b", {"dice": 1.0})):
        TrainState.create(config(steps=1, **changes), world.store, tmp_path / name, lambda _event: None)
        runs.append(read_compared(tmp_path / name))
    rows = settings_of(runs)
    assert [row.name for row in rows if row.differs] == ["dice"]
    assert rows[0].values == ("0", "1")


def test_other_classes_missing_weights_and_other_images_are_said(
    world, trained: TrainState, tmp_path
) -> None:
    import shutil

    (tmp_path / "later").mkdir()
    other = tmp_path / "later" / "run"
    shutil.copytree(trained.run.path, other)
    (other / "best.safetensors").unlink()
    text = (other / "metrics.csv").read_text().replace(":square", ":ring").replace("validation", "training")
    (other / "metrics.csv").write_text(text)
    runs = [read_compared(trained.run.path), read_compared(other)]
    said = " ".join(remarks_on(runs))
    assert class_names_of(runs) == ("disc", "background", "square", "ring")
    assert "The classes differ (square, ring are not in all)" in said
    assert "Some scores are on training images" in said
    assert "best.safetensors" in said
    assert remarks_on(runs[:1]) == ()
