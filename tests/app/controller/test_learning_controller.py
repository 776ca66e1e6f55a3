"""What the engine is told when a person works, and what becomes of a run when it ends or dies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.annotation.model import (
    UNLABELLED,
    Annotation,
    AnnotationState,
    Shape,
    ShapeType,
    frozen_points,
)
from core.errors import ImageFileError
from core.learning.commands import (
    ClassesChanged,
    CloseProject,
    Export,
    ImageRemoved,
    LabelsChanged,
    OpenProject,
    Pause,
    Predict,
    Resume,
    Stop,
    Train,
    UseWeights,
    Watch,
)
from core.learning.events import (
    Checkpointed,
    Event,
    Exported,
    Failed,
    Finished,
    Notice,
    Paused,
    Resumed,
    TrainingStarted,
)
from core.project.project import Project
from tests.app.controller.conftest import CONFIG, SIZE, Bench, predicted
from tests.app.engine_events import finished, started, step

# --- what the engine is told ---


def test_opening_a_project_tells_the_engine_what_to_read_and_what_is_looked_at(opened: Bench) -> None:
    assert opened.session.project is not None
    kinds = [type(command) for command in opened.thread.sent]
    assert kinds.index(OpenProject) < kinds.index(Watch)
    assert opened.thread.of(OpenProject) == [OpenProject(root=str(opened.session.project.root))]
    watched = opened.thread.of(Watch)[-1]
    assert (watched.key, Path(watched.image_path or "").name) == ("scan000.png", "scan000.png")
    assert [ahead.key for ahead in opened.thread.of(Predict)] == ["scan001.png"]
    opened.qtbot.waitUntil(lambda: opened.thread.started > 0)  # soon, by itself


def test_a_stroke_reaches_the_engine_as_a_mask_without_waiting_for_the_disk(opened: Bench) -> None:
    opened.draw()
    labels = opened.wait_for(LabelsChanged)
    assert labels.key == "scan000.png"
    assert labels.state is AnnotationState.IN_PROGRESS
    mask = labels.mask.unpack()
    assert mask.shape == SIZE
    assert (mask[5:21, 5:21] == 1).all()
    assert (mask == UNLABELLED).sum() == mask.size - 16 * 16
    assert opened.session.flush()
    opened.qtbot.waitUntil(lambda: not opened.session._opened.worker.busy)  # type: ignore[union-attr]
    assert len(opened.thread.of(LabelsChanged)) == 1  # what was written is what was sent


def test_labels_that_could_not_be_drawn_once_are_told_when_they_are_saved(
    opened: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []
    drawn_mask = Project.drawn_mask

    def fails_first(project: Project, entry: object, annotation: object) -> object:
        tries.append(1)
        if len(tries) == 1:
            raise ImageFileError(Path("scan000.png"), "cannot be read just now")
        return drawn_mask(project, entry, annotation)  # type: ignore[arg-type]

    monkeypatch.setattr(Project, "drawn_mask", fails_first)
    opened.draw()
    opened.qtbot.waitUntil(lambda: len(tries) == 1)
    opened.qtbot.waitUntil(lambda: not opened.controller._feed._told)
    assert not opened.thread.of(LabelsChanged)
    assert opened.session.flush()
    assert (opened.wait_for(LabelsChanged).mask.unpack()[5:21, 5:21] == 1).all()


def test_many_edits_in_a_row_are_told_together_and_the_last_one_wins(opened: Bench) -> None:
    for number in range(6):
        opened.draw(x0=5 + number, x1=20 + number)
    opened.qtbot.waitUntil(
        lambda: any((c.mask.unpack()[5:21, 5:26] == 1).all() for c in opened.thread.of(LabelsChanged))
    )
    sent = opened.thread.of(LabelsChanged)
    assert len(sent) < 6
    assert [c.revision for c in sent] == sorted({c.revision for c in sent})


def test_an_edit_made_just_before_leaving_the_image_is_not_lost(opened: Bench) -> None:
    opened.draw()
    opened.show("scan001.png")
    assert opened.wait_for(LabelsChanged).key == "scan000.png"
    assert opened.thread.of(Watch)[-1].key == "scan001.png"
    opened.show("scan000.png")
    assert opened.thread.of(Watch)[-1].revision == opened.thread.of(LabelsChanged)[-1].revision


def test_labels_another_program_has_drawn_meanwhile_are_told_when_they_are_seen(opened: Bench) -> None:
    opened.draw()
    opened.wait_for(LabelsChanged)
    assert opened.session.flush()
    assert opened.session.project is not None
    root = opened.session.project.root
    foreign = (root / "scan000.json").read_text().replace("scan000", "scan002")
    (root / "scan002.json").write_text(foreign)
    opened.show("scan002.png")
    labels = opened.wait_for(LabelsChanged, 2)
    assert labels.key == "scan002.png"
    assert (labels.mask.unpack()[5:21, 5:21] == 1).all()


def test_labels_another_program_took_away_are_forgotten_when_that_is_seen(
    bench: Bench, image_folder: Callable[..., Path]
) -> None:
    folder = image_folder(2)
    with Project.create(folder, classes=("background", "square"), image_roots=(".",)) as project:
        entry = next(entry for entry in project.images() if entry.key == "scan001.png")
        shape = Shape("square", ShapeType.RECTANGLE, frozen_points([(5, 5), (20, 20)]))
        project.save(entry, Annotation("scan001.png", SIZE, (shape,), AnnotationState.IN_PROGRESS), None)
    bench.open(folder)
    board = bench.session.statuses
    assert board is not None
    bench.qtbot.waitUntil(lambda: board.get("scan001.png").shapes == 1)
    (folder / "scan001.json").unlink()
    bench.show("scan001.png")
    bench.qtbot.waitUntil(lambda: any(c.key == "scan001.png" for c in bench.thread.of(LabelsChanged)))
    told = bench.thread.of(LabelsChanged)[-1]
    assert told.state is AnnotationState.UNLABELLED
    assert (told.mask.unpack() == UNLABELLED).all()


def test_train_waits_until_everything_drawn_was_told(opened: Bench) -> None:
    opened.thread.ready()
    opened.draw()
    opened.controller.train(CONFIG)
    assert opened.states == ["starting"]
    assert opened.thread.of(Train) == []
    assert opened.wait_for(Train).config == CONFIG
    kinds = [type(command) for command in opened.thread.sent]
    assert kinds.index(LabelsChanged) < kinds.index(Train)


def test_class_changes_and_image_changes_are_told(opened: Bench) -> None:
    assert opened.session.project is not None
    opened.thread.say(predicted("scan000.png"))
    assert opened.controller.prediction is not None
    with opened.qtbot.waitSignal(opened.session.classes_changed):
        opened.session.add_class("ring")
    assert opened.wait_for(ClassesChanged).classes.names == ("background", "square", "ring")
    assert opened.controller.prediction is not None  # an added class takes nothing away
    with opened.qtbot.waitSignal(opened.session.classes_changed):
        opened.session.class_editor.delete(1)
    assert opened.wait_for(ClassesChanged, 2).classes.names == ("background", "ring")
    assert opened.controller.prediction is None
    root = opened.session.project.root
    (root / "scan002.png").unlink()
    assert opened.wait_for(ImageRemoved).key == "scan002.png"


def test_closing_the_project_ends_what_was_going_on(opened: Bench) -> None:
    opened.start_training()
    opened.thread.say(predicted("scan000.png"))
    assert opened.session.close()
    assert isinstance(opened.thread.of(Stop)[-1], Stop)
    assert opened.thread.of(Watch)[-1].key is None
    assert opened.thread.of(CloseProject) == [CloseProject()]
    assert opened.shown[-1] is None
    assert opened.states[-1] == "stopping"


def test_without_a_project_there_is_a_sentence_instead_of_a_run(bench: Bench) -> None:
    bench.controller.train(CONFIG)
    assert "Open a folder" in bench.messages[-1][0]
    assert bench.states == []
    bench.controller.accepting.accept_all()
    assert bench.thread.of(Train) == []


# --- training ---


def test_a_run_goes_through_its_states(opened: Bench) -> None:
    controller, thread = opened.controller, opened.thread
    opened.start_training()
    assert opened.states == ["starting", "training"]
    controller.train(CONFIG)
    assert "stop it before" in opened.messages[-1][0]
    controller.resume()
    controller.pause()
    thread.say(Paused())
    controller.pause()
    controller.resume()
    thread.say(Resumed())
    controller.stop()
    controller.stop()
    thread.say(finished())
    assert opened.states == ["starting", "training", "paused", "training", "stopping", "idle"]
    orders = [type(c) for c in thread.sent if isinstance(c, Train | Pause | Resume | Stop)]
    assert orders == [Train, Pause, Resume, Stop]
    assert [type(e) for e in opened.events[1:]] == [TrainingStarted, Paused, Resumed, Finished]


def test_a_run_that_cannot_start_says_why(opened: Bench) -> None:
    opened.controller.train(CONFIG)
    opened.thread.ready()
    opened.thread.say(Failed(during="Train", text="nothing is labelled yet"))
    assert opened.states == ["starting", "idle"]
    assert opened.messages[-1] == ("nothing is labelled yet", "warning")


def test_a_run_that_was_stopped_before_it_began_is_no_error(opened: Bench) -> None:
    opened.controller.train(CONFIG)
    opened.controller.stop()  # the engine is not up yet: it never hears of the run
    assert opened.states == ["starting", "idle"]
    opened.thread.ready()
    opened.controller.train(CONFIG)
    opened.controller.stop()
    opened.thread.say(Failed(during="Train", text="Training was stopped before it began."))
    assert opened.states[2:] == ["starting", "stopping", "idle"]
    assert ("Training was stopped before it began.", "error") not in opened.messages
    assert len(opened.thread.of(Train)) == 1


def test_a_run_interrupted_by_a_crash_goes_on_by_itself_for_the_time_that_is_left(opened: Bench) -> None:
    opened.start_training()
    opened.thread.say(step(40, seconds=30.0, time_budget_s=100.0))
    opened.thread.say(Checkpointed(run="/runs/1", step=40, best=False))
    opened.thread.say(step(50, seconds=37.0, time_budget_s=100.0))
    opened.thread.crash()
    assert opened.states[-1] == "starting"
    notice = opened.events[-1]
    assert isinstance(notice, Notice)
    assert "goes on from step 40" in notice.text
    assert len(opened.thread.of(Train)) == 1  # not before the engine is up again
    opened.thread.ready()
    again = opened.wait_for(Train, 2)
    assert again.resume_run == "/runs/1"
    assert again.config.seconds is None  # the checkpoint knows what is left of the run's own
    opened.thread.say(started("/runs/1"))
    assert opened.states[-1] == "training"


def test_a_run_that_was_paused_is_paused_again_after_a_crash(opened: Bench) -> None:
    opened.start_training()
    opened.thread.say(Checkpointed(run="/runs/1", step=0, best=False))
    opened.controller.pause()
    opened.thread.say(Paused())
    opened.thread.crash()
    opened.thread.ready()
    opened.wait_for(Train, 2)
    opened.thread.say(started("/runs/1"))
    assert len(opened.thread.of(Pause)) == 2


def test_two_crashes_within_a_minute_leave_the_run_stopped(opened: Bench) -> None:
    opened.start_training()
    opened.thread.say(Checkpointed(run="/runs/1", step=0, best=False))
    opened.thread.crash()
    opened.thread.ready()
    opened.thread.say(started("/runs/1"))
    opened.thread.crash("The engine crashed (SIGSEGV) inside a library.")
    assert opened.states[-1] == "idle"
    last = opened.events[-1]
    assert isinstance(last, Failed)
    assert "SIGSEGV" in last.text
    assert "resumed" in last.text
    opened.thread.ready()
    assert len(opened.thread.of(Train)) == 2
    opened.controller.train(CONFIG)  # but the person may try again
    assert opened.wait_for(Train, 3).resume_run is None


def test_an_engine_that_stays_stopped_ends_the_run(opened: Bench) -> None:
    opened.start_training()
    opened.thread.engine_state_changed.emit("stopped", "The engine stays stopped.")
    assert opened.states[-1] == "idle"
    assert "stays stopped" in opened.messages[-1][0]


def test_a_crash_without_a_run_is_only_mentioned(opened: Bench) -> None:
    opened.thread.crash()
    assert opened.messages[-1] == ("The engine was killed.", "warning")
    assert opened.states == []


def test_exports_are_asked_for_and_one_lost_in_a_crash_is_said(opened: Bench, tmp_path: Path) -> None:
    opened.controller.export("onnx", tmp_path)
    opened.controller.export("weights", tmp_path, run="/runs/1")
    opened.controller.use_weights(tmp_path / "w.safetensors")
    assert opened.thread.of(Export) == [
        Export(format="onnx", out=str(tmp_path)),
        Export(format="weights", out=str(tmp_path), run="/runs/1"),
    ]
    assert opened.thread.of(UseWeights) == [UseWeights(path=str(tmp_path / "w.safetensors"))]
    opened.thread.say(Exported(format="onnx", path="x.onnx"))
    opened.thread.crash()
    lost = [e for e in opened.events if isinstance(e, Failed)]
    assert [failed.during for failed in lost] == ["Export"]


def test_an_export_asked_for_when_another_is_lost_is_written_by_the_next_engine(
    opened: Bench, tmp_path: Path
) -> None:
    def export_the_rest(event: Event) -> None:
        if isinstance(event, Failed) and len(opened.thread.of(Export)) == 1:
            opened.controller.export("onnx", tmp_path)

    opened.controller.event_received.connect(export_the_rest)
    opened.controller.export("weights", tmp_path)
    for lost in (1, 2):
        opened.thread.crash()
        assert len([event for event in opened.events if isinstance(event, Failed)]) == lost
    opened.thread.crash()
    assert len([event for event in opened.events if isinstance(event, Failed)]) == 2
