"""The engine in this process: every command, with a tiny network on a real project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.annotation.model import ClassList, LabelClass
from core.learning.commands import (
    ClassesChanged,
    Export,
    ImageRemoved,
    OpenProject,
    Pause,
    PostProcess,
    Predict,
    Resume,
    Shutdown,
    Stop,
    Train,
    UseWeights,
)
from core.learning.config import TrainConfig
from core.learning.engine import run_host
from core.learning.engine.engine import DeviceLostError
from core.learning.engine.run_host import RunHost
from core.learning.events import (
    Checkpointed,
    Event,
    Exported,
    Failed,
    Finished,
    Notice,
    Paused,
    Prediction,
    ProjectOpened,
    Resumed,
    StepDone,
    TrainingStarted,
)
from core.learning.runs.header import read_header
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.run_status import unfinished
from core.learning.training.learner import Learner
from core.project.project import Project
from tests import tiny
from tests.learning.engine_bench import SIDE, EngineBench, squares_bench

ENDLESS = tiny.TINY
TINY = replace(ENDLESS, steps=6)
SIZE = (SIDE, SIDE)


@pytest.fixture
def bench(tmp_path: Path) -> EngineBench:
    return squares_bench(tmp_path / "squares")


def test_a_run_trains_and_ends_with_weights_that_predict(bench: EngineBench) -> None:
    bench.open()
    bench.do(bench.watch(3))
    bench.run()
    assert bench.events == [ProjectOpened(root=str(bench.root))]  # no weights yet: nothing to show
    bench.do(Train(config=TINY))
    bench.run()
    assert bench.got(Failed) == []
    (started,) = bench.got(TrainingStarted)
    (finished,) = bench.got(Finished)
    assert (finished.run, finished.steps, finished.reason) == (started.run, 6, "budget")
    assert (Path(started.run) / "best.safetensors").is_file()
    last = bench.got(Prediction)[-1]
    assert bench.events[-1] is last
    assert last.source == f"U-Net, {RunFolder(Path(finished.run)).spoken_name()}"
    assert last.run == finished.run
    assert last.miou == pytest.approx(finished.best_miou)
    assert last.key == bench.entries[3].key
    assert last.classes.size_hw == SIZE
    assert set(np.unique(last.classes.unpack())) <= {0, 1}
    live = [p.source for p in bench.got(Prediction)[:-1]]
    assert live
    assert all(source.startswith("U-Net, step ") for source in live)
    versions = [p.weights_version for p in bench.got(Prediction)]
    assert versions == sorted(versions)


def test_stop_ends_an_endless_run_with_everything_saved(bench: EngineBench) -> None:
    bench.open()
    bench.do(Train(config=ENDLESS))
    bench.run(lambda: bool(bench.got(StepDone)))
    bench.do(Stop())
    bench.run()
    (finished,) = bench.got(Finished)
    assert finished.reason == "stopped"
    assert (Path(finished.run) / "last.ckpt").is_file()
    assert not bench.engine.training
    bench.do(Stop(), Pause(), Resume())
    assert isinstance(bench.events[-1], Finished)


def test_a_paused_run_is_saved_and_predicts_but_does_not_train(bench: EngineBench) -> None:
    bench.open()
    bench.do(Train(config=ENDLESS))
    bench.run(lambda: bool(bench.got(StepDone)))
    bench.do(Pause(), Pause())
    assert len(bench.got(Paused)) == 1
    saved = bench.got(Checkpointed)[-1].step
    bench.do(bench.watch(0))
    bench.run()
    assert bench.got(Prediction)[-1].source == f"U-Net, step {saved}"
    steps = len(bench.got(StepDone))
    bench.do(Resume())
    assert len(bench.got(Resumed)) == 1
    bench.run(lambda: len(bench.got(StepDone)) > steps)
    bench.do(Pause(), Stop())
    bench.run()
    assert len(bench.got(Finished)) == 1


def test_a_run_that_cannot_be_saved_is_held_all_the_same_and_the_window_knows(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.open()
    bench.do(Train(config=ENDLESS))
    bench.run(lambda: bool(bench.got(StepDone)))

    def fails(_host: RunHost, _state: object) -> None:
        raise MemoryError("no room for a checkpoint")

    monkeypatch.setattr(RunHost, "_save", fails)
    bench.do(Pause())
    monkeypatch.undo()
    assert len(bench.got(Paused)) == len(bench.got(Failed)) == 1
    steps = len(bench.got(StepDone))
    bench.do(Resume())
    bench.run(lambda: len(bench.got(StepDone)) > steps)
    bench.do(Stop())
    bench.run()


def test_a_stopped_run_can_be_resumed(bench: EngineBench) -> None:
    bench.open()
    bench.do(Train(config=TINY))
    bench.run()
    run = bench.got(Finished)[0].run
    bench.do(Train(config=replace(TINY, steps=9), resume_run=run))
    bench.run()
    assert bench.got(TrainingStarted)[1].resumed_step == 6
    assert (bench.got(Finished)[1].run, bench.got(Finished)[1].steps) == (run, 9)


def test_the_overlay_is_there_after_reopening(bench: EngineBench) -> None:
    bench.open()
    bench.do(Train(config=TINY))
    bench.run()
    again = bench.again()
    again.do(again.watch(3), Predict(key="0", image_path=str(bench.entries[0].image_path)))
    again.run()
    assert [p.key for p in again.got(Prediction)] == [bench.entries[3].key, "0"]
    assert again.got(Prediction)[0].source.startswith("U-Net, run of ")
    assert again.got(Prediction)[0].run == bench.got(Finished)[0].run


def test_new_labels_are_learned_without_a_restart_and_late_ones_are_dropped(bench: EngineBench) -> None:
    bench.open()
    bench.do(bench.watch(0), Train(config=ENDLESS))
    bench.run(lambda: bool(bench.got(Prediction)))
    assert bench.got(Prediction)[-1].revision == 0
    mask = np.zeros(SIZE, np.uint8)
    bench.do(bench.labels(0, mask, 7), bench.labels(0, mask + 1, 5))
    seen = len(bench.got(Prediction))
    bench.run(lambda: len(bench.got(Prediction)) > seen)
    assert bench.got(Prediction)[-1].revision == 7
    assert bench.engine._store is not None
    assert not bench.engine._store.get(bench.entries[0].key).mask.any()
    bench.do(Stop())
    bench.run()


def test_an_image_that_is_gone_is_neither_learned_nor_predicted(bench: EngineBench) -> None:
    bench.open()
    key = bench.entries[0].key
    bench.do(bench.watch(0), ImageRemoved(key=key), ImageRemoved(key="never there"))
    assert bench.engine._store is not None
    assert key not in bench.engine._store
    bench.do(Train(config=TINY))
    bench.run()
    assert key not in bench.got(TrainingStarted)[0].train_images
    assert bench.got(Prediction) == []


def classes(*names: str) -> ClassList:
    indices = {"background": 0, "square": 1, "box": 1, "ring": 2}
    return ClassList(tuple(LabelClass(indices[n], n, "#102030") for n in names), background=0)


def test_renamed_and_added_classes_do_not_end_a_run(bench: EngineBench) -> None:
    bench.open()
    bench.do(Train(config=ENDLESS))
    bench.run(lambda: bool(bench.got(StepDone)))
    bench.do(ClassesChanged(classes=classes("background", "box", "ring")))
    steps = len(bench.got(StepDone))
    bench.run(lambda: len(bench.got(StepDone)) > steps)
    assert bench.engine.training
    assert any("ring" in notice.text for notice in bench.got(Notice))
    bench.do(Stop())
    bench.run()
    assert set(bench.got(Finished)[0].per_class_iou) == {"background", "box"}


def test_a_deleted_class_ends_the_run_saved_and_says_to_train_again(bench: EngineBench) -> None:
    bench.open()
    bench.do(bench.watch(0), Train(config=ENDLESS))
    bench.run(lambda: bool(bench.got(StepDone)))
    with Project.open(bench.root) as project:
        project.add_class("ring")
        project.delete_class(1, "delete")
        now = project.classes
    bench.do(ClassesChanged(classes=now))
    assert len(bench.got(Finished)) == 1
    assert "Train again" in bench.got(Notice)[-2].text
    assert "square" in bench.got(Notice)[-1].text  # the weights know a class that is gone
    predictions = len(bench.got(Prediction))
    bench.run()
    assert len(bench.got(Prediction)) == predictions


def test_opening_another_project_saves_the_run_first(bench: EngineBench, tmp_path: Path) -> None:
    bench.open()
    bench.do(bench.watch(0), Train(config=ENDLESS))
    bench.run(lambda: bool(bench.got(StepDone)))
    other = tmp_path / "other"
    with Project.create(other, classes=("background",)):
        pass
    bench.do(OpenProject(root=str(other)))
    assert len(bench.got(Finished)) == 1
    assert bench.events[-1] == ProjectOpened(root=str(other)), "after all that is of the one before"
    said = len(bench.events)
    bench.run()
    assert len(bench.events) == said  # nothing of the old project is shown


def test_what_cannot_be_done_is_said_in_one_sentence_and_the_engine_goes_on(
    bench: EngineBench, tmp_path: Path
) -> None:
    bench.do(Train(config=TINY))
    assert bench.got(Failed)[-1].during == "Train"
    assert "no project is open" in bench.got(Failed)[-1].text
    bench.do(OpenProject(root=str(tmp_path / "nowhere")))
    assert bench.got(Failed)[-1].during == "OpenProject"
    bench.open()
    bench.do(Export(format="onnx", out=str(tmp_path)))
    assert "train first" in bench.got(Failed)[-1].text
    bench.do(UseWeights(path=str(tmp_path / "none.safetensors")))
    assert "none.safetensors" in bench.got(Failed)[-1].text
    bench.do(Train(config=replace(TINY, model="no such model")))
    assert "no such model" in bench.got(Failed)[-1].text
    assert list((bench.root / "runs").iterdir()) == []  # a run that never began leaves no folder
    assert len(bench.got(Failed)) == 5
    bench.do(Train(config=TINY))
    bench.run()
    assert len(bench.got(Finished)) == 1


def test_a_run_that_fails_unexpectedly_keeps_its_folder(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(state: run_host.TrainState) -> Iterator[Event]:
        yield state.started()
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr(run_host, "events_of", lambda state, **_: failing(state))
    bench.open()
    bench.do(Train(config=TINY))
    bench.run()
    (failed,) = bench.got(Failed)
    assert failed.during == "Train"
    assert "no such luck" in failed.text
    assert "Traceback" in failed.detail
    assert Path(bench.got(TrainingStarted)[0].run).is_dir()
    monkeypatch.undo()
    bench.do(Train(config=TINY))
    bench.run()
    assert len(bench.got(Finished)) == 1


def test_a_lost_graphics_card_ends_the_engine(bench: EngineBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_state: run_host.TrainState) -> Iterator[Event]:
        raise RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be ...")
        yield

    monkeypatch.setattr(run_host, "events_of", lambda state, **_: failing(state))
    bench.open()
    bench.do(Train(config=TINY))
    with pytest.raises(DeviceLostError, match=r"device-side assert triggered$"):
        bench.run()
    assert bench.got(Failed) == []  # the run is not over: a new engine resumes it


def test_so_does_one_that_is_lost_while_a_run_is_begun(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be ...")

    monkeypatch.setattr(Learner, "__init__", lost)
    bench.open()
    with pytest.raises(DeviceLostError, match=r"unspecified launch failure$"):
        bench.do(Train(config=TINY))
    assert bench.got(Failed) == []
    assert list((bench.root / "runs").iterdir()) == []  # a new engine begins it again


def test_an_image_that_vanished_is_told_once_and_training_goes_on(bench: EngineBench) -> None:
    bench.open()
    bench.do(bench.watch(3), Train(config=TINY))
    bench.entries[3].image_path.unlink()
    bench.run()
    (failed,) = bench.got(Failed)
    assert failed.during == "Predict"
    assert "3.png" in failed.text
    assert len(bench.got(Finished)) == 1


@pytest.mark.parametrize(("broken", "last"), [(3, "2.json"), (4, "1 more file cannot be learned from.")])
def test_broken_annotations_are_named_and_the_rest_counted(
    bench: EngineBench, broken: int, last: str
) -> None:
    for entry in bench.entries[:broken]:
        entry.annotation_path.write_text("{")
    bench.open()
    told = [notice.text for notice in bench.got(Notice)]
    assert len(told) == broken
    assert "0.json" in told[0]
    assert last in told[-1]


def test_damaged_weights_are_told_once_and_the_next_run_shows_its_own(bench: EngineBench) -> None:
    bench.open()
    bench.do(Train(config=TINY))
    bench.run()
    run = Path(bench.got(Finished)[0].run)
    again = bench.again()
    (run / "best.safetensors").write_bytes(b"cut off")
    again.do(again.watch(0))
    again.run()
    (failed,) = again.got(Failed)
    assert "best.safetensors" in failed.text
    again.do(Train(config=TINY))
    again.run()
    assert again.got(Prediction)[-1].run == again.got(Finished)[0].run


def test_a_second_run_is_refused_while_one_is_going_on(bench: EngineBench) -> None:
    bench.open()
    bench.do(Train(config=TINY), Train(config=TINY))
    assert "stop it before" in bench.got(Notice)[-1].text
    bench.run()
    assert len(bench.got(TrainingStarted)) == 1


def test_a_stop_that_waits_gives_up_a_run_in_preparation(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def downloading(
        _config: TrainConfig, _store: object, _folder: Path, notify: Callable[[Event], None]
    ) -> None:
        bench.inbox.put(Stop())
        notify(Notice(text="downloading", progress=0.1))
        raise AssertionError("the download should have been given up")

    monkeypatch.setattr(run_host.TrainState, "create", downloading)
    bench.open()
    bench.do(Train(config=TINY))
    assert "stopped before it began" in bench.got(Failed)[-1].text
    assert not bench.engine.training
    assert list((bench.root / "runs").iterdir()) == []


def test_a_slow_prediction_gives_way_to_another_image_and_is_done_later(bench: EngineBench) -> None:
    bench.open()
    bench.do(Train(config=TINY))
    bench.run()
    bench.do(bench.watch(0))
    bench.inbox.put(bench.watch(1))
    assert bench.engine.tick()  # gives way before the network has run
    assert bench.got(Prediction) == []
    waiting = bench.inbox.take()
    assert waiting is not None
    bench.do(waiting)
    bench.run()
    assert [p.key for p in bench.got(Prediction)] == [bench.entries[1].key]


def test_exports_are_written_and_weights_can_be_used_again(bench: EngineBench, tmp_path: Path) -> None:
    bench.open()
    bench.do(Train(config=TINY))
    bench.run()
    run = bench.got(Finished)[0].run
    bench.do(
        PostProcess(steps="min_region=5"),
        Export(format="weights", out=str(tmp_path / "out")),
        Export(format="onnx", out=str(tmp_path / "out"), run=run),
    )
    weights, onnx = (Path(event.path) for event in bench.got(Exported))
    assert weights.suffix == ".safetensors"
    assert read_header(weights).post == "min_region=5", "what is shown goes with it"
    assert onnx.suffix == ".onnx"
    assert onnx.is_file()
    bench.do(UseWeights(path=str(weights)), bench.watch(0))
    bench.run()
    assert bench.got(Prediction)[-1].source == f"U-Net, {weights.name}"
    bench.do(UseWeights(path=None))
    bench.run()
    assert bench.got(Prediction)[-1].run == run, "the way back"


def test_weights_for_other_classes_are_refused(bench: EngineBench) -> None:
    bench.open()
    bench.do(Train(config=TINY))
    bench.run()
    weights = Path(bench.got(Finished)[0].run) / "best.safetensors"
    bench.do(ClassesChanged(classes=classes("background", "square", "ring")), UseWeights(path=str(weights)))
    assert "ring" in bench.got(Failed)[-1].text


def test_shutdown_saves_a_run_that_can_go_on_and_predict_next_time(bench: EngineBench) -> None:
    bench.open()
    bench.do(Train(config=ENDLESS))
    bench.run(lambda: bool(bench.got(StepDone)))
    bench.do(Shutdown())
    assert bench.engine.leaving
    run = Path(bench.got(TrainingStarted)[0].run)
    assert (run / "last.ckpt").is_file()
    assert (run / "best.safetensors").is_file()
    offered = unfinished([run])
    assert offered is not None
    assert not offered.held_elsewhere()
    assert offered.step == bench.got(Checkpointed)[-1].step


def test_a_quick_leave_costs_no_step(bench: EngineBench) -> None:
    bench.open()
    bench.do(Train(config=ENDLESS))
    bench.run(lambda: len(bench.got(StepDone)) > 1)
    bench.engine.keep_run()
    step = bench.got(Checkpointed)[-1].step
    assert step >= bench.got(StepDone)[-1].step
    run = bench.got(TrainingStarted)[0].run
    bench.do(Train(config=replace(TINY, steps=step + 1), resume_run=run))
    bench.run()
    assert bench.got(Finished)[-1].resumed_step == step
