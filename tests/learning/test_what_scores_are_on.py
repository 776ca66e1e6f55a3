"""Whoever is told a score is told what it is on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.learning.commands import LearnLive, Train
from core.learning.events import Finished, Prediction
from core.learning.runs.run_folder import BestScore, RunFolder
from tests.learning.engine_bench import EngineBench, shrink_instant_learner, squares_bench
from tests.tiny import TINY


def test_the_instant_learner_s_score_is_cross_fitted_over_what_is_labelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_instant_learner(monkeypatch, first_steps=60, more_fits=2, more_steps=10, scored_steps=20)
    bench = squares_bench(tmp_path / "squares", images=3)
    bench.do(LearnLive(on=True))
    bench.open()
    bench.do(bench.watch(2))
    bench.run()
    first, last = bench.got(Prediction)[0], bench.got(Prediction)[-1]
    assert (first.miou, first.scored_on) == (None, None), "nobody has judged it yet"
    assert last.miou is not None
    assert (last.scored_on, last.scored_images) == ("cross-fit", 2), "the last image is not labelled"


def test_a_run_on_too_few_done_images_is_known_to_be_scored_on_those_it_learns_from(tmp_path: Path) -> None:
    bench = _trained(tmp_path, images=3)
    shown = bench.got(Prediction)[-1]
    assert shown.run == bench.got(Finished)[0].run
    assert shown.scored_on == "training"
    best = RunFolder(Path(shown.run)).best_score()
    assert best is not None
    assert (best.on, best.images) == ("training", 2)


def test_a_run_that_holds_images_out_is_known_to_be_scored_on_those(tmp_path: Path) -> None:
    bench = _trained(tmp_path, images=6)
    assert bench.got(Prediction)[-1].scored_on == "validation"


def _trained(folder: Path, *, images: int) -> EngineBench:
    bench = squares_bench(folder / "squares", images=images)
    bench.open()
    bench.do(bench.watch(0))
    bench.do(Train(config=replace(TINY, steps=3)))
    bench.run(most=4000)
    return bench


def test_a_run_s_best_score_is_on_unknown_images_where_there_is_one(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    assert run.best_score() is None
    run.append_metrics({"step": 1, "val_miou": 0.9, "val_on": "training", "val_images": 2})
    assert run.best_score() == BestScore(0.9, "training", 2)
    run.append_metrics({"step": 2, "val_miou": 0.5, "val_on": "cross-fit", "val_images": 4})
    assert run.best_score() == BestScore(0.5, "cross-fit", 4)
    assert run.best_miou == 0.5
