"""The engine predicts folders beside everything else: in turns with a run, and behind what is watched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.learning.commands import HoldFolder, PredictFolder, Shutdown, Train
from core.learning.events import (
    Failed,
    Finished,
    FolderEnded,
    FolderProblem,
    FolderProgress,
    Prediction,
    StepDone,
)
from core.learning.prediction.folder_job import PredictionJob
from core.learning.runs.run_folder import RunFolder
from tests import tiny
from tests.learning.engine_bench import EngineBench, squares_bench


@pytest.fixture
def bench(tmp_path: Path) -> EngineBench:
    """A project of eight squares with a short run."""
    bench = squares_bench(tmp_path / "squares", images=8)
    bench.open()
    bench.do(Train(config=replace(tiny.TINY, steps=4)))
    bench.run()
    return bench


def job(bench: EngineBench, **changes: object) -> PredictionJob:
    usual = PredictionJob(
        images=(str(bench.root / "images"),),
        out=str(bench.root / "predictions" / "images"),
        format="masks",
        weights=str(RunFolder(Path(bench.got(Finished)[0].run)).best_weights),
        root=str(bench.root),
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def test_a_folder_is_predicted_to_its_end(bench: EngineBench) -> None:
    (bench.root / "images" / "3.png").write_bytes(b"broken")
    bench.do(PredictFolder(job=job(bench), number=3))
    bench.run()
    (ended,) = bench.got(FolderEnded)
    assert (ended.number, ended.reason, ended.predicted, ended.failed) == (3, "done", 7, 1)
    assert [(p.number, Path(p.path).name) for p in bench.got(FolderProblem)] == [(3, "3.png")]
    last = bench.got(FolderProgress)[-1]
    assert (last.done, last.total, last.failed, last.held) == (8, 8, 1, False)
    assert last.images_per_s is not None
    assert last.seconds_left == 0
    assert sorted(path.name for path in (bench.root / "predictions" / "images").iterdir()) == [
        f"{number}.png" for number in (0, 1, 2, 4, 5, 6, 7)
    ]


def test_what_the_person_looks_at_goes_before(bench: EngineBench) -> None:
    bench.do(PredictFolder(job=job(bench)))
    bench.run(lambda: bool(bench.got(FolderProgress)))
    bench.events.clear()
    bench.do(bench.watch(5))
    assert bench.engine.tick()
    assert [prediction.key for prediction in bench.got(Prediction)] == [bench.entries[5].key]


def test_a_run_and_a_folder_take_turns(bench: EngineBench) -> None:
    before = len(bench.got(StepDone))
    bench.do(Train(config=replace(tiny.TINY, steps=30)), PredictFolder(job=job(bench)))
    bench.run(lambda: bool(bench.got(FolderEnded)))
    assert len(bench.got(StepDone)) > before
    bench.run()
    assert len(bench.got(Finished)) == 2
    assert bench.got(Failed) == []


def test_a_held_folder_waits_and_goes_on(bench: EngineBench) -> None:
    bench.do(PredictFolder(job=job(bench)))
    bench.run(lambda: any(progress.done for progress in bench.got(FolderProgress)))
    bench.do(HoldFolder(wanted="hold"))
    assert bench.got(FolderProgress)[-1].held
    bench.run()
    assert bench.got(FolderEnded) == []
    bench.do(HoldFolder(wanted="go on"))
    bench.run()
    assert bench.got(FolderEnded)[0].predicted == 8


def test_given_up_it_can_be_gone_on_with(bench: EngineBench) -> None:
    bench.do(PredictFolder(job=job(bench)))
    bench.run(lambda: any(progress.done == 3 for progress in bench.got(FolderProgress)))
    bench.do(HoldFolder(wanted="cancel"))
    assert bench.got(FolderEnded)[0].reason == "cancelled"
    bench.run()
    bench.do(PredictFolder(job=job(bench)))
    bench.run()
    ended = bench.got(FolderEnded)[1]
    assert (ended.known, ended.predicted) == (3, 5)


def test_another_engine_goes_on_where_the_last_one_left(bench: EngineBench) -> None:
    work = job(bench)
    bench.do(PredictFolder(job=work))
    bench.run(lambda: any(progress.done == 2 for progress in bench.got(FolderProgress)))
    bench.do(Shutdown())
    again = bench.again()
    again.do(PredictFolder(job=work, number=7, held=True))
    again.run()
    assert again.got(FolderEnded) == []
    assert [(progress.number, progress.held) for progress in again.got(FolderProgress)] == [(7, True)]
    again.do(HoldFolder(wanted="go on"))
    again.run()
    assert (again.got(FolderEnded)[0].known, again.got(FolderEnded)[0].predicted) == (2, 6)


def test_what_cannot_begin_is_said_and_the_engine_goes_on(bench: EngineBench, tmp_path: Path) -> None:
    bench.do(PredictFolder(job=job(bench, weights=str(tmp_path / "gone.safetensors"))))
    (tmp_path / "empty").mkdir()
    bench.do(PredictFolder(job=job(bench, images=(str(tmp_path / "empty"),))))
    bench.run()
    first, second = bench.got(FolderEnded)
    assert "gone.safetensors" in first.problem
    assert "no image in this folder" in second.problem
    assert [failed.during for failed in bench.got(Failed)] == ["PredictFolder", "PredictFolder"]
