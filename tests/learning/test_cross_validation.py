"""Small sets: every done image is held out once, and a last run learns from all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.annotation.model import AnnotationState
from core.cli.folds import answer_folds
from core.cli.main import main
from core.errors import NothingToLearnError, UsageError
from core.learning.commands import Stop, Train
from core.learning.config import TrainConfig
from core.learning.events import (
    Failed,
    Finished,
    Notice,
    StepDone,
    TrainingStarted,
)
from core.learning.labels.data import LabelStore
from core.learning.runs.run_folder import RunFolder, best_of
from core.learning.settings.settings_text import configured
from core.learning.training.fold_plan import FoldPlan
from core.learning.training.folds import FoldLayout, Spread, fold_configs, folds_of
from core.learning.validation.hold_out import plan_validation
from core.project.layout import ProjectLayout
from core.project.project import Project
from tests import tiny
from tests.learning.engine_bench import EngineBench, squares_bench

DISC = 3


@pytest.fixture
def bench(tmp_path: Path) -> EngineBench:
    """Six squares, five of them done."""
    return squares_bench(tmp_path / "squares", images=6)


def test_every_image_is_held_out_exactly_once() -> None:
    keys = [f"{number}.png" for number in range(11)]
    folds = folds_of(keys, 4)
    assert sorted(sum(folds, ())) == sorted(keys)
    assert {len(fold) for fold in folds} == {2, 3}
    assert folds == folds_of(keys[::-1], 4)


def test_the_budget_is_shared(bench: EngineBench) -> None:
    with Project.open(bench.root, lock=False) as project:
        store = LabelStore.from_project(project)
    runs = fold_configs(replace(tiny.TINY, folds=4, seconds=100.0), store)
    assert [run.seconds for run in runs] == [20.0] * 5
    plans = [plan_validation(store, run) for run in runs]
    assert [plan.on for plan in plans] == ["validation"] * 4 + ["training"]
    assert sorted(sum((plan.held_out for plan in plans), ())) == list(store.done_keys())
    with pytest.raises(NothingToLearnError, match="5 images are done, too few for 6 folds"):
        fold_configs(replace(tiny.TINY, folds=6, seconds=100.0), store)
    with pytest.raises(UsageError, match="give a time or a number of steps"):
        fold_configs(replace(tiny.TINY, folds=3), store)


def test_a_fold_with_the_only_example_of_a_class_scores_no_other_image_in_its_place(world, config) -> None:
    for number in range(1, 11):
        picture = world.picture(number)
        shown = picture.mask if number == 4 else np.minimum(picture.mask, DISC)
        world.store.put(picture.key, picture.path, shown, AnnotationState.DONE)
    runs = fold_configs(config(folds=10, seconds=100.0), world.store)
    plans = [plan_validation(world.store, run) for run in runs]
    scored = sorted(key for plan in plans for key in plan.held_out)
    assert scored == sorted({*world.store.done_keys()} - {"4.png"})
    (unscored,) = [plan for plan, run in zip(plans, runs, strict=True) if run.held_out == ("4.png",)]
    assert unscored.on == "training"


def test_spread_is_over_the_folds_that_know() -> None:
    spread = Spread.over([0.5, None, 0.7])
    assert spread is not None
    assert (spread.mean, spread.folds) == (pytest.approx(0.6), 2)
    assert str(spread) == "0.60 ± 0.14"
    assert str(Spread.over([0.5])) == "0.50"
    assert Spread.over([None]) is None


def test_a_score_on_images_that_a_fold_has_learned_from_does_not_count(
    bench: EngineBench, capsys: pytest.CaptureFixture[str]
) -> None:
    with Project.open(bench.root, lock=False) as project:
        plan = FoldPlan.begin(
            replace(tiny.TINY, folds=2, steps=6), LabelStore.from_project(project), project.layout
        )
    for number, on in enumerate(("validation", "training")):
        run = RunFolder(plan.run_layout.runs / str(number))
        run.append_metrics({"step": 2, "seconds": 1.0, "val_miou": 0.5, "val_on": on, "val_images": 2})
        kept = plan.done(
            Finished(
                run=str(run.path),
                model="unet",
                steps=2,
                seconds=1.0,
                best_miou=0.5,
                per_class_iou={"square": 0.5},
                resumed_step=None,
                reason="budget",
            )
        )
        assert kept.best_miou == (0.5 if on == "validation" else None)
    assert plan.report.miou == Spread(0.5, None, 1)
    assert plan.report.per_class_iou == {"square": Spread(0.5, None, 1)}
    assert plan.report.sentence().startswith("Cross-validated on 1 fold: mIoU 0.50 ")
    run = RunFolder(plan.layout.runs / "all")
    plan.report.note_in(run, 2, 1.0)
    assert run.best_score().images == 1
    answer_folds(plan.report)
    assert "IoU over 1 fold\n" in capsys.readouterr().out


def test_the_command_line_reports_mean_and_spread(
    bench: EngineBench, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow = ["--encoder", "plain", "--option", "width=4", "--option", "encoder_width=4"]
    size = ["--crop", "64", "--batch", "2", "--device", "cpu", "--set", "threads=1"]
    code = main(["train", str(bench.root), *narrow, *size, "--steps", "9", "--folds", "2", "--json"])
    summary = json.loads(capsys.readouterr().out)
    assert code == 0
    found = summary["cross_validation"]
    assert len(found["folds"]) == 2
    assert found["miou"]["folds"] == 2
    assert summary["best_miou"] == pytest.approx(found["miou"]["mean"])
    assert set(found["per_class_iou"]) == {"background", "square"}
    layout = ProjectLayout(bench.root)
    (run,) = layout.runs_by_time()  # the folds are not among the runs that are shown
    best = best_of([run])
    assert best is not None
    assert best.best_score().on != "training"
    assert best.best_miou == pytest.approx(found["miou"]["mean"])
    assert json.loads((run / "folds.json").read_text()) == found


def test_in_the_window_folds_follow_one_another(bench: EngineBench) -> None:
    bench.open()
    bench.do(Train(config=replace(tiny.TINY, folds=2, steps=9)))
    bench.run()
    assert bench.got(Failed) == []
    assert [len(started.validation_images) for started in bench.got(TrainingStarted)] == [3, 2, 0]
    (finished,) = bench.got(Finished)
    texts = [notice.text for notice in bench.got(Notice)]
    assert any(text.startswith("Fold 1 of 2: mIoU") for text in texts)
    assert any(text.startswith("Cross-validated on 2 folds: mIoU") for text in texts)
    report = json.loads((Path(finished.run) / "folds.json").read_text())
    assert finished.best_miou == pytest.approx(report["miou"]["mean"])


def test_a_stop_ends_the_whole(bench: EngineBench) -> None:
    bench.open()
    bench.do(Train(config=replace(tiny.TINY, folds=2, steps=900)))
    bench.run(lambda: bool(bench.got(StepDone)))
    bench.do(Stop())
    bench.run()
    (finished,) = bench.got(Finished)
    assert finished.reason == "stopped"
    assert not bench.engine.training


def _weights(bench: EngineBench) -> list[str]:
    """What is left of the folds' networks."""
    files = FoldLayout(bench.root).runs.rglob("*")
    return [file.name for file in files if file.suffix in (".ckpt", ".safetensors")]


def test_the_networks_of_folds_do_not_pile_up(bench: EngineBench) -> None:
    bench.open()
    bench.do(Train(config=replace(tiny.TINY, folds=2, steps=900)))
    bench.run(lambda: len(bench.got(TrainingStarted)) == 1 and bool(bench.got(StepDone)))
    bench.do(Stop())
    bench.run()
    assert _weights(bench) == ["best.safetensors"], "it is on show"
    for name in ("deep.safetensors", "head.ckpt"):  # of both learners
        (Path(bench.got(TrainingStarted)[0].run) / name).touch()
    bench.do(Train(config=replace(tiny.TINY, folds=2, steps=9)))
    bench.run()
    assert bench.got(Failed) == []
    assert _weights(bench) == []


def test_settings_by_name_are_checked_by_name() -> None:
    config = configured(
        TrainConfig(),
        [("ema", "0.9"), ("augment", "false"), ("crop", "none"), ("seed", "4"), ("class_weights", "none")],
    )
    assert (config.ema, config.augment, config.crop, config.seed) == (0.9, False, None, 4)
    assert config.class_weights == "none"
    for name, text, words in (
        ("emma", "1", "is it ema?"),
        ("crop", "big", "crop is big; it must be a whole number"),
        ("class_weights", "some", "none or inverse_sqrt or median_frequency"),
    ):
        with pytest.raises(UsageError) as caught:
            configured(TrainConfig(), [(name, text)])
        assert words in str(caught.value)
