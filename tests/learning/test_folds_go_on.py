"""A cross-validation that was cut short goes on with the fold that was under way."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from core.cli.folds import plan_to_resume
from core.cli.main import main
from core.cli.output import ProgressPrinter
from core.errors import ProjectFileError
from core.learning.commands import ClassesChanged, CloseProject, OpenProject, Shutdown, Stop, Train
from core.learning.config import TrainConfig
from core.learning.engine.run_host import RunHost
from core.learning.events import (
    Checkpointed,
    Event,
    Failed,
    Finished,
    Notice,
    StepDone,
    TrainingStarted,
)
from core.learning.labels.data import LabelStore
from core.learning.runs.run_status import CutShort, RunLock
from core.learning.training.fold_plan import FoldPlan, unfinished_folds
from core.learning.training.folds import FoldLayout
from core.project.layout import ProjectLayout
from core.project.project import Project
from tests import tiny
from tests.learning.engine_bench import EngineBench, squares_bench


@pytest.fixture
def bench(tmp_path: Path) -> EngineBench:
    """Six squares, five of them done."""
    return squares_bench(tmp_path / "squares", images=6)


def offered(layout: ProjectLayout) -> CutShort | None:
    """What a window would offer to go on with."""
    found = unfinished_folds(layout)
    return None if found is None or found.held_elsewhere() else found


@pytest.mark.parametrize("opened", [False, True])
def test_folds_go_on_after_another_project_was_opened(
    bench: EngineBench, tmp_path: Path, *, opened: bool
) -> None:
    bench.open()
    bench.do(Train(config=replace(tiny.TINY, folds=2, steps=9)))
    bench.run(lambda: len(bench.got(TrainingStarted)) == 2)
    other = squares_bench(tmp_path / "other", images=1).root
    bench.do(OpenProject(root=str(other)) if opened else CloseProject())
    assert len(bench.got(Finished)) == 1
    found = offered(ProjectLayout(bench.root))
    assert found is not None
    assert found.sentence() == "Cross-validation was cut short in fold 2 of 2."
    bench.open()
    bench.do(Train(config=tiny.TINY, resume_run=str(found.path)))
    bench.run()
    assert bench.got(Failed) == []
    assert len(json.loads((Path(bench.got(Finished)[-1].run) / "folds.json").read_text())["folds"]) == 2


def test_folds_of_other_classes_are_not_offered_again(bench: EngineBench) -> None:
    bench.open()
    bench.do(Train(config=replace(tiny.TINY, folds=2, steps=9)))
    bench.run(lambda: len(bench.got(TrainingStarted)) == 2)
    classes = bench.got(TrainingStarted)[0].classes
    bench.do(ClassesChanged(classes=replace(classes, background=None)))
    assert len(bench.got(Finished)) == 1
    assert offered(ProjectLayout(bench.root)) is None


_done = FoldPlan.done


def _done_and_dead(plan: FoldPlan, finished: Finished) -> None:
    _done(plan, finished)
    raise KeyboardInterrupt


def test_who_dies_between_two_folds_goes_on_with_the_next(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window knows the run that was going on last."""
    bench.open()
    bench.do(Train(config=replace(tiny.TINY, folds=2, steps=9)))
    with monkeypatch.context() as dying:
        dying.setattr(FoldPlan, "done", _done_and_dead)
        with pytest.raises(KeyboardInterrupt):
            bench.run()
    again = bench.again()
    (first,) = bench.got(TrainingStarted)
    again.do(Train(config=replace(tiny.TINY, folds=2), resume_run=first.run))
    again.run()
    assert again.got(Failed) == []
    assert [len(started.validation_images) for started in again.got(TrainingStarted)] == [2, 0]


def _report(run: str) -> dict[str, object]:
    """What the folds scored, without the folders they were in."""
    found = json.loads((Path(run) / "folds.json").read_text())
    for fold in found["folds"]:
        del fold["run"]
    return dict(found)


def test_after_a_kill_the_same_folds_go_on_and_score_the_same(tmp_path: Path) -> None:
    config = replace(tiny.TINY, folds=3, steps=24, checkpoint_every_s=0.0)
    whole = squares_bench(tmp_path / "whole", images=7)
    whole.open()
    whole.do(Train(config=config))
    whole.run()
    (finished,) = whole.got(Finished)

    killed = squares_bench(tmp_path / "killed", images=7)
    layout = ProjectLayout(killed.root)
    killed.open()
    killed.do(Train(config=config))
    assert offered(layout) is None, "it is going on"
    killed.run(lambda: len(killed.got(TrainingStarted)) == 2 and isinstance(killed.events[-1], StepDone))
    killed.engine._host._drop()  # as the operating system does: nothing is saved, the lock is free
    found = offered(layout)
    assert found is not None
    assert found.sentence() == "Cross-validation was cut short in fold 2 of 3."

    again = killed.again()
    again.do(Train(config=replace(config, steps=None, folds=None), resume_run=str(found.path)))
    again.run()
    assert again.got(Failed) == []
    started = again.got(TrainingStarted)
    assert started[0].resumed_step is not None
    assert [len(event.validation_images) for event in started] == [2, 2, 0]
    (last,) = again.got(Finished)
    assert _report(last.run) == _report(finished.run)
    assert offered(layout) is None


def test_a_run_of_folds_is_found_again_by_its_own_folder(bench: EngineBench) -> None:
    """As the window asks for it after its engine has died."""
    bench.open()
    bench.do(Train(config=replace(tiny.TINY, folds=2, steps=9)))
    bench.run(lambda: bool(bench.got(StepDone)))
    bench.engine.keep_run()
    again = bench.again()
    run = bench.got(TrainingStarted)[-1].run
    again.do(Train(config=replace(tiny.TINY, folds=2), resume_run=run))
    again.run()
    assert [len(started.validation_images) for started in again.got(TrainingStarted)] == [3, 2, 0]
    assert len(again.got(Finished)) == 1


def test_closing_the_window_keeps_what_is_left_and_a_stop_does_not(bench: EngineBench) -> None:
    layout = ProjectLayout(bench.root)
    bench.open()
    bench.do(Train(config=replace(tiny.TINY, folds=2, steps=9)))
    bench.run(lambda: bool(bench.got(StepDone)))
    bench.do(Shutdown())
    assert offered(layout) is not None
    again = bench.again()
    again.do(Train(config=tiny.TINY, resume_run=str(FoldLayout(bench.root).runs)))
    again.do(Stop())
    again.run()
    assert offered(layout) is None


def test_the_command_line_goes_on_with_folds(bench: EngineBench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.open()
    bench.do(Train(config=replace(tiny.TINY, folds=2, steps=9)))
    bench.run(lambda: len(bench.got(TrainingStarted)) == 2)
    bench.engine.keep_run()
    assert main(["train", str(bench.root), "--resume", "--steps", "5"]) != 0
    assert "has a budget" in capsys.readouterr().err
    assert main(["train", str(bench.root), "--resume", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert len(summary["cross_validation"]["folds"]) == 2
    assert offered(ProjectLayout(bench.root)) is None


def plan_of(bench: EngineBench) -> FoldPlan:
    """A cross-validation that was begun and cut short at once."""
    with Project.open(bench.root, lock=False) as project:
        store = LabelStore.from_project(project)
        return FoldPlan.begin(replace(tiny.TINY, folds=2, steps=9), store, project.layout)


def test_a_cross_validation_that_is_refused_leaves_the_one_under_way(
    bench: EngineBench, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(bench)
    files = {file.name: file.read_bytes() for file in plan.folder.path.glob("*.json")}
    with RunLock(plan.folder):
        assert main(["train", str(bench.root), "--folds", "3", "--steps", "30", "--device", "cpu"]) == 1
        assert "is going on in another program" in capsys.readouterr().err
        bench.open()
        bench.do(Train(config=replace(tiny.TINY, folds=3, steps=30)))
        assert "is going on in another program" in bench.got(Failed)[-1].text
    assert {file.name: file.read_bytes() for file in plan.folder.path.glob("*.json")} == files


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--folds", "3"], "has 2 folds, not 3; leave --folds out to go on with it"),
        (["--model", "fcn8s"], "has model unet, not fcn8s"),
        (["--crop", "128"], "has crop 64, not 128"),
    ],
)
def test_a_cross_validation_goes_on_as_what_it_is(
    bench: EngineBench, capsys: pytest.CaptureFixture[str], asked: list[str], said: str
) -> None:
    plan_of(bench)
    assert main(["train", str(bench.root), "--resume", *asked]) == 1
    assert said in capsys.readouterr().err
    assert offered(ProjectLayout(bench.root)) is not None


def test_settings_that_folds_do_not_follow_are_named(bench: EngineBench) -> None:
    layout = plan_of(bench).layout
    told: list[Event] = []
    asked = replace(TrainConfig(), seed=9, patience=5, threads=1)
    assert plan_to_resume(layout, asked, "newest", told.append) is not None
    assert [event.text for event in told if isinstance(event, Notice)] == [
        "the run goes on with its own settings; what was given now is left out: seed, patience"
    ]


def test_where_no_cross_validation_was_cut_short_none_is_resumed(
    bench: EngineBench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(bench.root), "--resume", "--folds", "2", "--steps", "9"]) == 1
    assert "no cross-validation was cut short last; leave --resume out" in capsys.readouterr().err
    assert not FoldLayout(bench.root).runs.exists()


@pytest.mark.parametrize("in_run", [2, 3], ids=["in-a-fold", "in-the-last-run"])
def test_a_signal_to_the_command_line_keeps_the_folds_that_are_done(
    bench: EngineBench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, in_run: int
) -> None:
    narrow = ["--encoder", "plain", "--option", "width=4", "--option", "encoder_width=4"]
    size = ["--crop", "64", "--batch", "2", "--device", "cpu", "--set", "threads=1"]
    command = ["train", str(bench.root), *narrow, *size, "--steps", "9", "--folds", "2", "--json"]
    begun = 0
    asked = False

    def on_event(printer: ProgressPrinter, event: Event) -> None:
        nonlocal begun, asked
        begun += isinstance(event, TrainingStarted)
        if begun == in_run and isinstance(event, Checkpointed) and not asked:
            asked = True  # a second one would end the process
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as ended:
        ended.setattr(ProgressPrinter, "on_event", on_event)
        assert main([*command, "--auto-resume"]) == 0
    said = capsys.readouterr()
    assert "go on with it with --resume" in said.err
    found = json.loads(said.out)
    assert found["steps"] < 3
    folds = found["cross_validation"]["folds"]
    assert len(folds) == in_run - 1
    assert offered(ProjectLayout(bench.root)) is not None, "the window offers it, too"

    assert main([*command, "--auto-resume"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] == 3
    assert found["cross_validation"]["folds"][: len(folds)] == folds
    assert len(found["cross_validation"]["folds"]) == 2
    assert offered(ProjectLayout(bench.root)) is None


def test_a_damaged_plan_is_named(bench: EngineBench) -> None:
    folder = FoldLayout(bench.root).runs
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text("{")
    assert offered(ProjectLayout(bench.root)) is None
    with pytest.raises(ProjectFileError, match="start the cross-validation again"):
        FoldPlan.load(ProjectLayout(bench.root))


@pytest.mark.parametrize(("keep_folds", "ended"), [(False, ["stopped"]), (True, [])])
def test_who_stops_while_the_next_fold_is_prepared_is_not_offered_it_again(
    *, keep_folds: bool, ended: list[str]
) -> None:
    told: list[str] = []

    class Plan:
        def end(self, how: str) -> None:
            told.append(how)

    host = RunHost(lambda _event: None, lambda: False)
    host._given_up = Plan()  # type: ignore[assignment]
    host.request_stop(keep_folds=keep_folds)  # the project is closed, or the program
    host.request_stop()
    assert told == ended
