"""The engine: trains and predicts as its commands say, one piece of work at a time.

::

    tick:  a piece of how a network is explained                   explainer.py
           else predict what is due (the watched image, a request) overlay/schedule.py says what and when
           else a piece of what a run that is over sees            run_questions.py
           else a piece of a folder that is predicted into files   folder_host.py says when
           else, while a run is on, ask `fit` for its next event
           else what spare moments are for                         instant/live.py, guide.py

A command that cannot be done is answered with `Failed`, one sentence, and the engine goes on. Its process and
loop: `core.learning.engine.main`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, assert_never

import torch

from core.errors import MaskloopError
from core.images.pyramid import PYRAMIDS
from core.learning.commands import (
    AuditLabels,
    ClassesChanged,
    CloseProject,
    Command,
    CompareLabels,
    ExplainModel,
    Export,
    HoldFolder,
    ImageRemoved,
    LabelsChanged,
    LearnLive,
    OpenProject,
    Pause,
    PostProcess,
    Predict,
    PredictFolder,
    PredictWithRun,
    PreviewCrops,
    RateImages,
    Resume,
    ShowMaps,
    Shutdown,
    Stop,
    Train,
    UseWeights,
    WantUncertainty,
    Watch,
)
from core.learning.engine.crop_preview import preview_crops
from core.learning.engine.explainer import Explainer
from core.learning.engine.exporting import export
from core.learning.engine.folder_host import FolderHost
from core.learning.engine.guide import Guide
from core.learning.engine.run_host import CancelledStartError, RunHost
from core.learning.engine.run_questions import RunQuestions
from core.learning.engine.telling import failure, not_learned_from
from core.learning.events import Event, Failed, Notice, ProjectOpened
from core.learning.inbox import Inbox
from core.learning.instant.live import LiveInstant
from core.learning.labels.data import NO_REVISIONS, LabelStore
from core.learning.machine.memory import is_device_lost
from core.learning.overlay.schedule import Target
from core.learning.overlay.urgency import Urgency
from core.learning.overlay.viewer import Viewer
from core.learning.runs.run_folder import RunFolder, best_run
from core.postprocess.pipeline import Pipeline
from core.project.project import Project

BESIDE_A_STEP_S: Final = 0.3
"""What the instant learner may take for its score after each step of a run: it decides what is shown."""


class DeviceLostError(Exception):
    """The graphics card reported an error after which this process cannot use it any more."""


class Engine:
    """Does what the commands say. `handle` and `tick` belong to one thread.

    Attributes:
        leaving: Shutdown was handled; the loop ends.

    Args:
        send: passes an event to the window.
        inbox: where commands wait: long work looks into it and gives way to what is more urgent.
    """

    def __init__(
        self, send: Callable[[Event], None], inbox: Inbox, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.leaving = False
        self._send = send
        self._project: Project | None = None  # without its lock, which is the window's
        self._store: LabelStore | None = None
        self._urgency = urgency = Urgency(inbox)
        self._host = RunHost(send, lambda: urgency.ends_a_start)
        self._instant = LiveInstant(send, clock)
        self._questions = RunQuestions(send, clock)
        self._explainer = Explainer(send)
        self._folder = FolderHost(send, clock)
        self._viewer = Viewer(send, self._answer_failure, urgency, clock, self._instant)
        self._guide = Guide(
            send,
            self._answer_failure,
            self._viewer.overlay,
            self._instant,
            clock,
            lambda: urgency.anything,
        )

    @property
    def training(self) -> bool:
        """A run is going on and not held."""
        return self._host.busy

    def handle(self, command: Command) -> None:
        """Do one command; what goes wrong is answered with `Failed`.

        Raises:
            DeviceLostError: this process is of no further use.
        """
        try:
            self._dispatch(command)
        except Exception as error:  # noqa: BLE001 - a boundary: the next command must find the engine alive
            self._answer_failure(type(command).__name__, error)

    def tick(self) -> bool:
        """Do one piece of work; False when there is none until the next command.

        Raises:
            DeviceLostError: this process is of no further use.
        """
        if self._piece("ExplainModel", self._explainer.tick):
            return True  # a second or two in all, and somebody looks at the page meanwhile
        if self._instant.urgent:
            # New labels are learned before the image they are in is predicted again; an image that was just
            # opened does not wait for that, nor does what was learned while they were drawn.
            looks_first = self._viewer.first_look_due or self._instant.gives_way()
            if looks_first and self._viewer.tick(self._store, training=self.training):
                return True
            return self._learn_a_little()
        if self._viewer.tick(self._store, training=self.training):
            return True
        if self._piece("PredictWithRun", lambda: self._questions.tick(training=self.training)):
            return True
        if self._predict_folder():
            return True
        if self.training:
            self._advance()
            self._learn_beside_the_run()
            self._guide.tick(training=True)
            return True
        if self._learn_a_little() or self._viewer.refine(lambda: self._urgency.anything):
            return True
        return self._guide.tick(training=False)

    def keep_run(self) -> None:
        """Save the run, without scoring it, because the process must leave at once."""
        self._host.keep()

    # --- commands -----------------------------------------------------------------------------------------

    def _dispatch(self, command: Command) -> None:
        match command:
            case OpenProject():
                self._open(Path(command.root))
            case CloseProject():
                self._close()
            case ClassesChanged():
                self._take_classes(command)
            case LabelsChanged():
                self._take_labels(command)
            case ImageRemoved():
                self._forget(command.key)
            case Train():
                self._train(command)
            case Pause():
                self._host.pause()
            case Resume():
                self._host.resume()
            case Stop():
                self._host.request_stop()
            case LearnLive():
                self._instant.enabled = command.on
            case Watch():
                self._watch(command)
            case PostProcess():
                self._viewer.process(Pipeline.parsed(command.steps))
            case WantUncertainty():
                self._viewer.want_uncertainty(wanted=command.on, source=command.source)
            case Predict():
                self._viewer.request(Target(command.key, command.image_path, command.revision))
            case PredictFolder() | HoldFolder():
                self._folder.handle(command)
            case PreviewCrops():
                self._send(preview_crops(command, self._store))
            case UseWeights():
                self._use_weights(command.path)
            case Export():
                self._send(export(command, self._best_run(), self._store, self._viewer.pipeline))
            case RateImages() | AuditLabels():
                self._guide.handle(command)
            case CompareLabels() | PredictWithRun():
                self._questions.answer(command, self._store)
            case ExplainModel():
                self._explainer.explain(command, self._store)
            case ShowMaps():
                self._show_maps(command)
            case Shutdown():
                self.leaving = True
                self._folder.close()
                self._host.leave()
            case _:
                assert_never(command)

    def _close(self) -> None:
        """Let go of the project and of all that was read of it."""
        self._end_run(keep_folds=True)
        self._project = self._store = None
        self._instant.follow(None)
        self._instant.watch(None)
        self._questions.forget()
        self._explainer.forget()
        self._viewer.clear()
        self._guide.forget()

    def _open(self, root: Path) -> None:
        self._close()
        self._send(ProjectOpened(root=str(root)))
        self._read_project(root)
        self._show_best_run()

    def _read_project(self, root: Path, revisions: Mapping[str, tuple[int, int]] = NO_REVISIONS) -> None:
        """Read classes and labels; replaces what is known only when all of it is there.

        `revisions`: of labels that were known before; the window does not send what has not changed.
        """
        project = Project.open(root, lock=False)
        store = LabelStore.from_project(project, revisions)
        self._project, self._store = project, store
        self._instant.follow(store, project.layout.features)
        self._viewer.follow(project.layout.cache / PYRAMIDS)
        self._guide.follow(root, store)
        for notice in not_learned_from(project.problems):
            self._send(notice)

    def _take_classes(self, command: ClassesChanged) -> None:
        store, project = self._store, self._project
        if store is None or project is None or store.classes == command.classes:
            return
        gone = set(store.classes.indices) - set(command.classes.indices)
        other_background = store.classes.background != command.classes.background
        if not gone and not other_background:
            # New names and colours apply at once; a new class is learned from the next run on.
            store.set_classes(command.classes)
            return
        if self._host.state is not None:
            self._end_run(keep_folds=False)
            text = "The classes are others now: the run was saved and has ended. Train again to learn them."
            self._send(Notice(text=text, level="warning"))
        # Pixels of merged and deleted classes mean something else now: only the files know what.
        self._read_project(project.root, store.revisions())
        if not self._viewer.classes_replaced(command.classes):
            self._show_best_run()

    def _take_labels(self, command: LabelsChanged) -> None:
        store = self._store
        if store is None or (command.key in store and command.revision < store.get(command.key).revision):
            return
        mask = command.mask.unpack()
        store.put(command.key, command.image_path, mask, command.state, command.revision)
        self._viewer.labels_changed(command.key)

    def _forget(self, key: str) -> None:
        if self._store is not None:
            self._store.remove(key)
        self._instant.forget_image(key)
        self._viewer.forget(key)

    def _watch(self, command: Watch) -> None:
        if command.key is None or command.image_path is None:
            self._viewer.watch(None)
        else:
            target = Target(command.key, command.image_path, command.revision, command.view)
            self._viewer.watch(target)
        self._instant.watch(command.key)

    def _use_weights(self, path: str | None) -> None:
        if self._host.state is not None:
            raise MaskloopError("a run is going on and shows its own weights; stop it first")
        if path is None:
            self._show_best_run()
        else:
            self._viewer.show_file(Path(path), None if self._store is None else self._store.classes)

    def _show_maps(self, command: ShowMaps) -> None:
        if self._store is None or self._project is None:
            raise MaskloopError("no project is open; open a folder of images first")
        runs = [RunFolder(run) for run in self._project.layout.runs_by_time()]
        self._explainer.show(command, self._store.classes, runs, self._store)

    # --- training -----------------------------------------------------------------------------------------

    def _train(self, command: Train) -> None:
        if self._host.state is not None:
            self._send(Notice(text="A run is going on; stop it before starting another.", level="warning"))
            return
        if self._store is None or self._project is None:
            raise MaskloopError("no project is open; open a folder of images first")
        try:
            live = self._instant.enabled
            state = self._host.start(command, self._store, self._project.layout, live=live)
        except CancelledStartError:
            self._send(Failed(during="Train", text="Training was stopped before it began."))
            return
        self._viewer.show_run(state)

    def _advance(self) -> None:
        """Ask the run for its next event, and see to its end."""
        state = self._host.state
        if state is None:
            return
        try:
            ended = self._host.advance()
        except Exception as error:  # noqa: BLE001 - a run may fail in unforeseen ways; the engine goes on
            self._answer_failure("Train", error)
            ended = state.run
        following = self._host.state
        if ended is not None:
            self._show_what_is_kept(ended)
        elif following is not None and following is not state:
            self._viewer.show_run(following)  # the next one of a cross-validation

    def _predict_folder(self) -> bool:
        """One piece of a folder that is predicted, and some of what else there is to do; False for none."""
        busy = self._piece("PredictFolder", lambda: self._folder.tick(training=self.training))
        if busy and not self.training:
            self._learn_a_little()
            self._viewer.refine(lambda: self._urgency.anything)
            self._guide.tick(training=True)  # it has the share that it has beside a run
        return busy

    def _learn_beside_the_run(self) -> None:
        """What is not urgent of the instant learner's work, between two steps of a run."""
        end_s = time.monotonic() + BESIDE_A_STEP_S
        while self._learn_a_little() and time.monotonic() < end_s:
            if self._urgency.anything or self._instant.urgent:
                return

    def _learn_a_little(self) -> bool:
        """One piece of the instant learner's work; False when there is none."""
        return self._piece("LearnLive", lambda: self._instant.tick(training=self.training))

    def _end_run(self, *, keep_folds: bool) -> None:
        """Stop the run, if there is one: score, save, `Finished`; its folds may go on another time."""
        self._host.request_stop(at_once=True, keep_folds=keep_folds)
        while self._host.state is not None:
            self._advance()

    def _show_what_is_kept(self, folder: RunFolder) -> None:
        """After a run its best weights predict, or better ones of before."""
        if not self._viewer.show_what_is_kept(folder):
            self._show_best_run()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _show_best_run(self) -> None:
        self._viewer.show_best(self._best_run(), None if self._store is None else self._store.classes)

    def _best_run(self) -> RunFolder | None:
        return None if self._project is None else best_run(self._project)

    # --- inside -------------------------------------------------------------------------------------------

    def _piece(self, during: str, work: Callable[[], bool]) -> bool:
        """One piece of work; False for none. Where it fails, that is told, and the engine goes on."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - this one answer is missing; everything else still works
            self._answer_failure(during, error)
            return True

    def _answer_failure(self, during: str, error: Exception) -> None:
        """Tell the window, in one sentence. Raises DeviceLostError when there is no going on."""
        if is_device_lost(error):
            text = f"The graphics card reported an error: {str(error).partition(chr(10))[0]}"
            self._send(Notice(text=text, level="warning"))
            raise DeviceLostError(text) from error
        self._send(failure(during, error))
