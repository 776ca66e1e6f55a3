"""A project that was closed: the engine lets go of it, and finds everything again when it is opened anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.learning.commands import CloseProject, LearnLive, RateImages, Train
from core.learning.events import Failed, Finished, Notice, Prediction, StepDone
from core.learning.instant.head import HeadFit
from core.learning.runs.header import read_header
from core.learning.runs.run_folder import RunFolder
from core.learning.training import best_share, joint
from tests import tiny
from tests.learning.engine_bench import SIDE, shrink_instant_learner, squares_bench


def test_a_closed_project_is_worked_on_no_more(tmp_path: Path) -> None:
    bench = squares_bench(tmp_path / "squares")
    bench.open()
    bench.do(bench.watch(0), RateImages(images={e.key: str(e.image_path) for e in bench.entries}))
    bench.do(Train(config=tiny.TINY))
    bench.run(lambda: bool(bench.got(StepDone)))
    bench.do(CloseProject())
    assert len(bench.got(Finished)) == 1, "its run is saved"
    assert not bench.engine.tick()
    bench.do(bench.labels(0, np.ones((SIDE, SIDE), np.uint8), 9), Train(config=tiny.TINY))
    assert bench.got(Failed)[-1].text.startswith("no project is open")
    assert not bench.engine.tick()
    bench.open()
    bench.do(bench.watch(0))
    bench.run()
    assert bench.got(Prediction)[-1].key == bench.entries[0].key


def test_closing_while_both_learners_train_waits_for_no_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_instant_learner(monkeypatch, first_steps=5, more_fits=0, scored_steps=5)
    bench = squares_bench(tmp_path / "squares")
    bench.do(LearnLive(on=True))
    bench.open()
    bench.do(Train(config=replace(tiny.TINY, join_instant=True)))
    bench.run(lambda: bool(bench.got(StepDone)))
    fits: list[HeadFit] = []
    begun = HeadFit.__init__
    monkeypatch.setattr(HeadFit, "__init__", lambda fit, *a, **k: (fits.append(fit), begun(fit, *a, **k))[1])
    bench.do(CloseProject())
    assert not fits
    (ended,) = bench.got(Finished)
    run = RunFolder(Path(ended.run))
    assert run.best_weights.is_file()
    assert run.last_checkpoint.is_file()


@pytest.mark.parametrize("during", [joint.FITTING, best_share.COMPARING])
def test_closing_while_both_learners_are_joined_ends_that_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, during: str
) -> None:
    shrink_instant_learner(monkeypatch, first_steps=5, more_fits=0, scored_steps=5)
    monkeypatch.setattr("core.learning.instant.learner.STEPS", 20)
    monkeypatch.setattr(joint, "REPORT_S", 0.0)
    monkeypatch.setattr(best_share, "REPORT_S", 0.0)
    bench = squares_bench(tmp_path / "squares", images=7, labelled=6)
    bench.do(LearnLive(on=True))  # so that the run fits no instant learner before its end
    bench.open()
    bench.do(Train(config=replace(tiny.TINY, join_instant=True, steps=3, validation="auto")))
    bench.run(lambda: any(event.text == during for event in bench.got(Notice)))
    steps = 0
    learn = HeadFit._learn

    def counted(fit: HeadFit) -> torch.Tensor:
        nonlocal steps
        steps += 1
        return learn(fit)

    monkeypatch.setattr(HeadFit, "_learn", counted)
    bench.do(CloseProject())
    assert steps <= 1
    (ended,) = bench.got(Finished)
    assert ended.reason == "stopped"
    run = RunFolder(Path(ended.run))
    assert read_header(run.best_weights).architecture == "unet"
    assert not any(event.text.startswith("kept: ") for event in bench.got(Notice))
