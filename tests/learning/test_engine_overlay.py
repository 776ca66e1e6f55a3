"""Whose predictions are shown while a run learns: the older ones, until the run's are as good."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.annotation.model import AnnotationState, ClassList, LabelClass
from core.images.reader import read_image
from core.learning.commands import ClassesChanged, Stop, Train, UseWeights
from core.learning.config import TrainConfig
from core.learning.events import (
    Failed,
    Finished,
    Notice,
    OverlayCompared,
    Prediction,
    StepDone,
    TrainingStarted,
    Validated,
)
from core.learning.prediction.predict import open_predictor
from core.learning.scores.metrics import ConfusionMatrix
from core.learning.training import takeover
from core.project.project import Project
from tests.learning.engine_bench import EngineBench, squares_bench
from tests.tiny import TINY

GOOD = replace(TINY, steps=60, lr=1e-2, freeze=0.0, ema=0.8, augment=False)
POOR = replace(GOOD, steps=3, lr=1e-9, seed=1)
"""Stays as good as its random start."""


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> EngineBench:
    """A project of six labelled images, some held out, with a run that has learned their squares."""
    bench = squares_bench(tmp_path_factory.mktemp("learned") / "squares", images=7)
    train(bench, GOOD)
    miou = bench.got(Finished)[0].best_miou
    assert miou is not None
    assert miou > 0.7
    return bench


@pytest.fixture
def bench(learned: EngineBench, tmp_path: Path) -> EngineBench:
    """An engine that has just opened a copy of that project; the person looks at its last image."""
    root = tmp_path / "squares"
    shutil.copytree(learned.root, root)
    with Project.open(root, lock=False) as project:
        bench = EngineBench(root, list(project.images()))
    bench.open()
    bench.do(bench.watch(6))
    bench.run()
    return bench


def train(bench: EngineBench, config: TrainConfig) -> None:
    """A whole run, in a project that is opened if it was not."""
    if not bench.events:
        bench.open()
    bench.do(Train(config=config))
    bench.run(most=4000)
    assert bench.got(Failed) == []


def older_run(bench: EngineBench) -> str:
    """The run whose weights predicted first."""
    run = bench.got(Prediction)[0].run
    assert run is not None
    return run


def test_a_run_that_is_worse_never_replaces_the_older_prediction(bench: EngineBench) -> None:
    older = older_run(bench)
    train(bench, POOR)
    assert {prediction.run for prediction in bench.got(Prediction)} == {older}
    compared = bench.got(OverlayCompared)
    assert compared
    assert not any(one.run_is_shown for one in compared)
    assert compared[-1].older == bench.got(Prediction)[0].source
    assert compared[-1].run == bench.got(Finished)[0].run
    assert (compared[-1].older_miou or 0.0) > (compared[-1].run_miou or 0.0)
    said = bench.got(Notice)[-1].text
    assert said.startswith(compared[-1].older)
    assert "stays on show" in said


def test_a_run_takes_the_overlay_over_once_it_scores_as_well(bench: EngineBench) -> None:
    older = older_run(bench)
    train(bench, replace(GOOD, steps=120, validate_every_s=0.3))
    new = bench.got(Finished)[0].run
    took_over = next(number for number, event in enumerate(bench.events) if is_takeover(event))
    before, after = bench.events[:took_over], bench.events[took_over:]
    assert {event.run for event in before if isinstance(event, Prediction)} == {older}
    assert {event.run for event in after if isinstance(event, Prediction)} == {new}
    assert any(isinstance(event, Prediction) and ", step " in event.source for event in after)
    versions = [prediction.weights_version for prediction in bench.got(Prediction)]
    assert versions == sorted(versions)


def is_takeover(event: object) -> bool:
    return isinstance(event, OverlayCompared) and event.run_is_shown


def test_both_are_scored_on_the_same_held_out_images(bench: EngineBench) -> None:
    weights = Path(older_run(bench)) / "best.safetensors"
    train(bench, POOR)
    held_out = bench.got(TrainingStarted)[0].validation_images
    assert held_out
    compared = bench.got(OverlayCompared)[-1]
    assert (compared.on, compared.images) == ("validation", len(held_out))
    assert compared.run_miou == pytest.approx(bench.got(Validated)[-1].miou)
    confusion = ConfusionMatrix(2)
    with Project.open(bench.root, lock=False) as project:
        predictor = open_predictor(weights, device="cpu")
        for labelled in project.labelled():
            if labelled.entry.key in held_out:
                confusion.update(
                    labelled.mask, predictor.predict(read_image(labelled.entry.image_path)).classes
                )
    assert compared.older_miou == pytest.approx(confusion.miou())


def test_where_nothing_is_held_out_the_older_prediction_goes_after_a_while(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = older_run(bench)
    monkeypatch.setattr(takeover, "EARLY_STEPS", 0)
    train(bench, replace(POOR, validation="none"))
    compared = bench.got(OverlayCompared)[-1]
    assert compared.on == "training"
    assert compared.run_is_shown
    assert (compared.run_miou or 0.0) < (compared.older_miou or 0.0)
    assert bench.got(Prediction)[-1].run == bench.got(Finished)[0].run != older


@pytest.mark.parametrize(("patience", "shown"), [(6, True), (8, False)])
def test_where_images_in_progress_are_scored_it_goes_after_enough_steps(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch, patience: int, shown: bool
) -> None:
    """Half of them are enough at the end of a run."""
    monkeypatch.setattr(takeover, "EARLY_STEPS", patience)
    older = older_run(bench)
    held_out = json.loads((Path(older) / "labels.json").read_text())["held_out"]
    with Project.open(bench.root, lock=False) as project:
        masks = {labelled.entry.key: labelled.mask for labelled in project.labelled()}
    for number, entry in enumerate(bench.entries):
        if entry.key in held_out:
            labels = bench.labels(number, masks[entry.key], revision=9)
            bench.do(replace(labels, state=AnnotationState.IN_PROGRESS))
    train(bench, replace(POOR, held_out=tuple(held_out)))
    compared = bench.got(OverlayCompared)[-1]
    assert compared.on == "validation"
    assert (compared.run_miou or 0.0) < (compared.older_miou or 0.0)
    assert compared.run_is_shown == shown


@pytest.mark.parametrize("by_heart", [True, False])
def test_older_weights_that_know_the_held_out_images_by_heart_go_after_a_while(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch, by_heart: bool
) -> None:
    monkeypatch.setattr(takeover, "EARLY_STEPS", 0)
    older = older_run(bench)
    if by_heart:
        labels = Path(older) / "labels.json"
        labels.write_text(json.dumps(json.loads(labels.read_text()) | {"held_out": []}))
    train(bench, POOR)
    compared = bench.got(OverlayCompared)[-1]
    assert compared.on == "validation"
    assert (compared.run_miou or 0.0) < (compared.older_miou or 0.0)
    assert compared.run_is_shown == by_heart
    assert (bench.got(Prediction)[-1].run == older) != by_heart


def test_a_run_with_a_new_class_is_shown_from_its_first_step(bench: EngineBench) -> None:
    colours = {"background": "#000000", "square": "#ff0000", "ring": "#00ff00"}
    classes = tuple(LabelClass(index, *pair) for index, pair in enumerate(colours.items()))
    bench.do(ClassesChanged(classes=ClassList(classes, background=0)))
    train(bench, POOR)
    assert bench.got(OverlayCompared) == []
    assert any(", step " in prediction.source for prediction in bench.got(Prediction))
    assert bench.got(Prediction)[-1].run == bench.got(Finished)[0].run


def test_a_resumed_run_shows_its_own_weights_at_once(bench: EngineBench) -> None:
    older = older_run(bench)
    bench.do(Train(config=replace(GOOD, steps=63), resume_run=older))
    bench.run()
    assert bench.got(OverlayCompared) == []
    assert {prediction.run for prediction in bench.got(Prediction)} == {older}
    assert any(", step 6" in prediction.source for prediction in bench.got(Prediction))


def test_chosen_weights_stay_until_the_run_is_as_good(bench: EngineBench, tmp_path: Path) -> None:
    chosen = tmp_path / "chosen.safetensors"
    shutil.copy(Path(older_run(bench)) / "best.safetensors", chosen)
    bench.do(UseWeights(path=str(chosen)))
    train(bench, POOR)
    assert bench.got(OverlayCompared)[-1].older == "U-Net, chosen.safetensors"
    assert bench.got(Prediction)[-1].source == "U-Net, chosen.safetensors"
    assert bench.got(Prediction)[-1].run is None


def test_another_run_begins_where_the_last_one_was_still_compared(bench: EngineBench) -> None:
    older = older_run(bench)
    bench.do(Train(config=replace(POOR, steps=None)))
    bench.run(lambda: bool(bench.got(StepDone)))
    bench.do(Stop())
    bench.run(lambda: bool(bench.got(Finished)))  # its score is there, that of the older weights is not
    assert bench.got(Prediction)[-1].run == older
    seen = len(bench.got(Prediction))
    train(bench, replace(POOR, seed=2))
    first, second = (finished.run for finished in bench.got(Finished))
    assert bench.got(Prediction)[seen].run == first  # the newer of the two that were still compared
    assert bench.got(OverlayCompared)[-1].run == second


def test_older_weights_that_are_damaged_give_way(bench: EngineBench) -> None:
    weights = Path(older_run(bench)) / "best.safetensors"
    again = bench.again()
    weights.write_bytes(weights.read_bytes()[:-100])
    again.do(Train(config=POOR), again.watch(6))
    again.run()
    assert "best.safetensors" in again.got(Notice)[0].text
    assert {prediction.run for prediction in again.got(Prediction)} == {again.got(Finished)[0].run}


def test_older_weights_that_vanish_while_a_run_learns_give_way(bench: EngineBench) -> None:
    weights = Path(older_run(bench)) / "best.safetensors"
    again = bench.again()
    again.do(Train(config=POOR))
    weights.unlink()
    again.run(lambda: bool(again.got(Failed)))
    assert "best.safetensors" in again.got(Failed)[0].text
    again.do(again.watch(6))
    again.run()
    assert {prediction.run for prediction in again.got(Prediction)} == {again.got(Finished)[0].run}


def test_an_image_keeps_its_prediction_up_to_date_while_weights_are_compared(bench: EngineBench) -> None:
    bench.do(Train(config=replace(POOR, steps=None, validate_every_s=0.2)), bench.watch(0))
    bench.run(lambda: bool(bench.got(OverlayCompared)))
    assert bench.got(Prediction)[-1].key == bench.entries[0].key
    assert np.isin(bench.got(Prediction)[-1].classes.unpack(), (0, 1)).all()
    bench.do(Stop())
    bench.run()
