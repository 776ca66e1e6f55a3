"""The deep network that predicts: a run's while it trains, else that of a file.

Weights of an earlier run (or of a file a person chose) stay on show until those of a new run score as well,
as `core.learning.training.takeover` finds out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from core.annotation.model import ClassList
from core.errors import WeightsFileError
from core.learning.events import Notice, OverlayCompared
from core.learning.overlay.asking import interruption
from core.learning.overlay.held_out_judge import held_out_by, learned_by
from core.learning.overlay.origin import Origin, of_file, of_run
from core.learning.prediction.blending import by_index
from core.learning.prediction.predict import Predictor
from core.learning.prediction.saved_weights import SavedNetwork, SavedWeights
from core.learning.training.state import TrainState
from core.learning.training.takeover import Takeover


@dataclass(frozen=True, slots=True)
class Standing:
    """How good the weights on show are.

    Attributes:
        miou: None where nothing was scored.
        class_iou: of each class that was scored, by class index.
        classes: that it is of.
        tested: on images that they have not learned from.
    """

    miou: float | None
    class_iou: Mapping[int, float]
    classes: ClassList
    tested: bool


class DeepOnShow:
    """Whose weights predict, and what is known of them.

    Args:
        notify: told of weights that cannot be read, and how far a file is read.
        changed: called where other weights are shown from now on.
    """

    def __init__(self, notify: Callable[[Notice], None], changed: Callable[[], None]) -> None:
        self._notify = notify
        self._changed = changed
        self._run: TrainState | None = None
        self._run_predictor: Predictor | None = None
        self._made_for: torch.device | None = None
        self._file: SavedNetwork | None = None
        self._takeover: Takeover | None = None
        self._kept: SavedWeights | None = None  # of a run that ended before the comparison did
        self._epoch = 0

    # --- which weights ------------------------------------------------------------------------------------

    def use_run(self, run: TrainState) -> None:
        """Show what this run learns, as soon as that is as good as what is shown now."""
        self.settle()
        self._epoch += 1
        self._changed()
        self._run, self._run_predictor = run, None
        older = self._comparable(run)
        if older is not None:
            learned = learned_by(older.weights.folder)
            self._takeover = Takeover(run, older.source, self._saved_predictor, learned)

    def run_ended(self, kept: SavedWeights) -> None:
        """The run is over; its best weights predict, or may soon, if the older ones do so until then."""
        if self._takeover is None:
            self.use_file(kept)
        else:
            self._kept = kept
            self._takeover.tell_again()

    def use_file(self, weights: SavedWeights | None) -> None:
        """Predict with a file's weights, read when the first prediction is due; None for no weights."""
        self._epoch += 1
        self._changed()
        self._run = self._run_predictor = self._takeover = self._kept = None
        self._file = None if weights is None else SavedNetwork(weights, self._tell)

    def drop_file(self) -> None:
        """The file cannot be used; a run that goes on shows its own weights from now on."""
        self._file = None
        self._take_over()

    def settle(self) -> None:
        """End a comparison that an ended run is still in: its newer weights are shown."""
        if self._kept is not None:
            self._take_over()

    # --- older weights and a run's ------------------------------------------------------------------------

    @property
    def comparing(self) -> bool:
        """Whether older weights are shown until a run's are as good."""
        return self._takeover is not None

    @property
    def comparison_due(self) -> bool:
        """Whether `compare` has something to do."""
        return self._takeover is not None and self._takeover.due

    def compare(self, interrupted: Callable[[], bool]) -> OverlayCompared | None:
        """Go on comparing the older weights that are shown with a run's, by one image.

        Returns:
            The comparison, where it is new.

        Raises:
            InterruptedPredictionError: because `interrupted()`.
            WeightsFileError, MaskloopError: the older weights cannot be asked.
        """
        if self._takeover is None:
            return None
        with interruption(self._saved_predictor().network, interrupted):
            compared = self._takeover.advance()
        if compared is not None:
            if compared.run_is_shown:
                self._take_over()
            elif self._kept is not None:  # the run is over and the older weights are better
                self._takeover = self._kept = self._run = None
        return compared

    def _comparable(self, run: TrainState) -> SavedNetwork | None:
        """The older weights, where they can and should be compared with this run's."""
        if self._file is None or self._file.weights.path == run.run.best_weights:
            return None
        try:
            header = self._file.header
        except WeightsFileError as error:
            self._notify(Notice(text=f"Earlier weights cannot be shown: {error}", level="warning"))
            self._file = None
            return None
        if set(header.classes.indices) != set(run.channels.classes.indices):
            return None  # what is new could never be seen
        return self._file

    def _take_over(self) -> None:
        """The run's weights from now on, or what is kept of it."""
        self._takeover = None
        if self._kept is not None:
            self.use_file(self._kept)

    # --- what is on show ----------------------------------------------------------------------------------

    @property
    def version(self) -> tuple[int, int] | None:
        """Changes with the weights; None where there are none to show."""
        if self._shown_run is not None:
            return self._epoch, self._shown_run.weights_version
        return (self._epoch, -1) if self._file is not None else None

    @property
    def learning(self) -> bool:
        """Whether what is shown is a run's, which goes on."""
        return self._shown_run is not None

    @property
    def predictor(self) -> Predictor:
        """Of the weights that are shown; there must be some. Raises WeightsFileError."""
        run = self._shown_run
        return self._saved_predictor() if run is None else self._live_predictor(run)

    @property
    def loaded(self) -> Predictor | None:
        """As `predictor`, where it was asked already."""
        if self._shown_run is not None:
            return self._run_predictor
        return None if self._file is None else self._file.loaded

    @property
    def folder(self) -> Path | None:
        """Of the run whose weights are shown; None: of none."""
        if self._shown_run is not None:
            return self._shown_run.run.path
        return None if self._file is None else self._file.weights.run

    @property
    def held_out(self) -> frozenset[str]:
        """Images that the weights on show have not learned from."""
        if self._shown_run is not None:
            return frozenset(self._shown_run.validator.plan.held_out)
        return frozenset() if self._file is None else frozenset(held_out_by(self._file.weights.folder))

    @property
    def standing(self) -> Standing:
        """What is known of the weights on show; there must be some. Raises WeightsFileError."""
        run = self._shown_run
        if run is not None:
            known = run.channels.classes
            return Standing(run.best.compared, by_index(run.best.per_class_iou, known), known, run.tested)
        header = self._shown_file.header
        miou = header.metrics.get("miou")
        tested = header.metrics.get("on", "validation") != "training"
        named = header.metrics.get("per_class_iou")
        class_iou = by_index(named if isinstance(named, Mapping) else {}, header.classes)
        return Standing(miou if isinstance(miou, float) else None, class_iou, header.classes, tested)

    @property
    def origin(self) -> Origin:
        """Whose weights are shown; there must be some. Raises WeightsFileError."""
        if self._shown_run is not None:
            return of_run(self._shown_run)
        file = self._shown_file
        return of_file(file.source, file.weights.run, file.header.metrics)

    @property
    def file_classes(self) -> ClassList | None:
        """What the weights in the file were trained for; None without a file. Raises WeightsFileError."""
        return None if self._file is None else self._file.header.classes

    @property
    def _shown_run(self) -> TrainState | None:
        run = self._run
        return run if run is not None and run.step > 0 and self._takeover is None else None

    @property
    def _shown_file(self) -> SavedNetwork:
        assert self._file is not None
        return self._file

    def _live_predictor(self, run: TrainState) -> Predictor:
        known = self._run_predictor
        # Renamed classes and a move to the CPU after out-of-memory are a new predictor's business.
        if known is None or self._made_for != run.device:
            known = self._run_predictor = run.predictor()
            self._made_for = run.device  # it may have left it since, where that had no room
            if self._file is not None:
                self._file.unload()
        known.temperature = run.temperature
        return known

    def _saved_predictor(self) -> Predictor:
        return self._shown_file.predictor

    def _tell(self, text: str, progress: float | None) -> None:
        self._notify(Notice(text=text, progress=progress))
