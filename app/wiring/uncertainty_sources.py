"""Which sources of uncertainty the network on show can be asked for, and why others cannot be chosen now."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject

from app.wiring.part import Common, Wiring
from core.annotation.model import ClassList
from core.errors import MaskloopError
from core.learning.config import INSTANT_MODEL
from core.learning.events import Prediction
from core.learning.runs.ensemble_members import members_beside
from core.learning.runs.run_folder import RunFolder
from core.models.registry import model_spec
from core.models.specs import SMP_PREFIX

INSTANT_TITLE: Final = model_spec(INSTANT_MODEL).title
INSTANT_ALONE: Final = "the instant learner alone has none: train a network"
NO_DROPOUT: Final = "the network has no dropout: set it behind Advanced"
ONE_RUN: Final = "there is one run only: train once more"


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why a source cannot be asked for, in a few words; "" where it can be."""

    mc_dropout: str = ""
    ensemble: str = ""


class UncertaintySources(Wiring):
    """Greys out what the network that predicts cannot be asked for; the reason stands beside its name.

    Args:
        common: of its actions `view.uncertainty_mc_dropout` and `view.uncertainty_ensemble`.
    """

    def __init__(self, common: Common, parent: QObject) -> None:
        super().__init__(common, parent)
        self._asked: object = None
        self._titles = {name: self._actions[f"view.uncertainty_{name}"].text() for name in Reasons.__slots__}
        self._controller.prediction_changed.connect(self._on_prediction_changed)

    def _on_prediction_changed(self, prediction: Prediction | None) -> None:
        project = self._session.project
        if prediction is None or project is None:
            return
        run = None if prediction.run is None else Path(prediction.run)
        instant = prediction.source.startswith(INSTANT_TITLE)
        asked = run, instant, project.root, prediction.miou
        if asked == self._asked:
            return
        self._asked = asked
        task = self._runner.run(
            reasons, run, self._session.classes, instant, doing="looking what the network can be asked"
        )
        task.done.connect(partial(self._on_found, asked))

    def _on_found(self, asked: object, found: Reasons) -> None:
        if asked == self._asked:
            for name, title in self._titles.items():
                reason = getattr(found, name)
                action = self._actions[f"view.uncertainty_{name}"]
                action.setEnabled(not reason)
                action.setText(f"{title}: {reason}" if reason else title)


def reasons(run: Path | None, classes: ClassList, instant: bool) -> Reasons:
    """Worker: what stands in the way.

    Args:
        run: folder of the run that predicts, None where it is of no run.
        classes: of the project.
        instant: the instant learner has its say, whose head has dropout; without a run, it alone.
    """
    if run is None:
        return Reasons(ensemble=INSTANT_ALONE if instant else "")
    others = members_beside(run, classes) if run.parent.is_dir() else []
    return Reasons("" if instant or _may_drop(run) else NO_DROPOUT, "" if others else ONE_RUN)


def _may_drop(run: Path) -> bool:
    """Whether the run's network has dropout; True as well where only the engine can know."""
    try:
        config = RunFolder(run).config
        spec = model_spec(config.network)
        if (config.encoder or "").startswith(SMP_PREFIX):
            return True
        return spec.has_dropout(dict(config.model_options))
    except MaskloopError:
        return True
