"""What a run had come to, as its folder tells: for a window that goes on with it, and beside other runs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from core.learning.config import TrainConfig
from core.learning.runs.comparison import read_compared
from core.learning.runs.past import read_past
from core.learning.runs.run_folder import JUDGED_AGAIN, METRICS, RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A folder with a configuration and nothing else."""
    made = RunFolder(tmp_path / "run")
    made.write_config(TrainConfig())
    return made


def _score(run: RunFolder, step: int, miou: float, *, anew: float = 0.0, on: str = "validation") -> None:
    values = {"step": step, "seconds": step / 10, "val_miou": miou, "val_on": on, "val_images": 4}
    run.append_metrics(dict.fromkeys(METRICS) | values | {"val_anew": anew or None})


def _loss(run: RunFolder, step: int) -> None:
    run.append_metrics(dict.fromkeys(METRICS) | {"step": step, "seconds": step / 10, "loss": 0.5})


def _curves(run: RunFolder, step: int) -> list[list[tuple[float, float]]]:
    """The scores over steps, as the window draws it of a run that goes on, and beside other runs."""
    curves = read_past(run.path, step).miou, read_compared(run.path).miou
    return [list(zip(curve.steps.tolist(), curve.values.tolist(), strict=True)) for curve in curves]


def test_scores_on_labels_that_changed_are_drawn_like_all_others(run: RunFolder) -> None:
    _score(run, 100, 0.9, on="training")
    _score(run, 200, 0.7, on="training", anew=1.0)
    _score(run, 300, 0.75, on="training", anew=1.0)
    assert _curves(run, 300) == [[(100, 0.9), (200, 0.7), (300, 0.75)]] * 2
    past = read_past(run.path, 300)
    assert past.anew_at == 300
    assert past.last is not None
    assert past.last.miou == 0.75
    assert read_past(run.path, 250).anew_at == 200


def test_the_score_of_both_learners_that_ends_a_run_is_the_last_point_of_its_curve(run: RunFolder) -> None:
    for step, miou in ((100, 0.5), (200, 0.8)):
        _score(run, step, miou)
    _score(run, 200, 0.9, anew=1.0)
    assert _curves(run, 200) == [[(100, 0.5), (200, 0.8), (200, 0.9)]] * 2
    assert read_compared(run.path).score == 0.9


def test_older_weights_that_were_judged_again_are_no_point_of_the_curve(run: RunFolder) -> None:
    for step, miou in ((100, 0.5), (200, 0.8), (300, 0.7)):
        _loss(run, step)
        _score(run, step, miou)
    _score(run, 200, 0.6, anew=1.0)
    _score(run, 400, 0.65)
    assert _curves(run, 400) == [[(100, 0.5), (200, 0.8), (300, 0.7), (400, 0.65)]] * 2
    past = read_past(run.path, 400)
    assert past.anew_at == 400, "scores until then are on the labels of before"
    assert past.loss.steps.tolist() == [100, 200, 300]
    _score(run, 500, 0.62)
    assert read_past(run.path, 500).anew_at == 400
    assert read_compared(run.path).score == 0.65


def test_the_newest_weights_may_have_been_judged_again(run: RunFolder) -> None:
    _score(run, 100, 0.8)
    _score(run, 100, 0.6, anew=JUDGED_AGAIN)
    _score(run, 200, 0.7)
    assert _curves(run, 200) == [[(100, 0.8), (200, 0.7)]] * 2


def test_a_judgement_whose_next_score_was_undone_says_nothing_of_the_curve(run: RunFolder) -> None:
    """A run that was killed goes on from before that score."""
    _score(run, 100, 0.8)
    _score(run, 200, 0.7)
    _score(run, 100, 0.6, anew=1.0)
    past = read_past(run.path, 200)
    assert past.miou.values.tolist() == [0.8, 0.7]
    assert past.last is not None
    assert past.last.step == 200
    assert past.anew_at == -math.inf


def test_without_changed_labels_all_scores_can_be_compared(run: RunFolder) -> None:
    _score(run, 100, 0.5)
    _score(run, 200, 0.6)
    _score(run, 200, 0.58)  # of all images, at the end
    past = read_past(run.path, 200)
    assert past.miou.values.tolist() == [0.5, 0.6, 0.58]
    assert past.anew_at == -math.inf
