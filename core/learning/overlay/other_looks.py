"""Asking about an image again, for an uncertainty: mirrored, with units dropped, or other networks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.learning.overlay.asking import Asker, Opinions, Speakers, interruption
from core.learning.overlay.doubt_sources import asked_again, dropouts, looks_dropping
from core.learning.overlay.schedule import Target
from core.learning.prediction.looks import MIRRORED
from core.learning.prediction.predict import Predictor, open_predictor
from core.learning.prediction.uncertainty import UncertaintySource, Voice
from core.learning.runs.ensemble_members import members_beside
from core.models.pretrained import Notify


class OtherLooks:
    """Asks again; networks of an ensemble are opened once.

    Args:
        asker: has asked the first time.
        tell: told how far weights are read.
    """

    def __init__(self, asker: Asker, tell: Notify) -> None:
        self._asker = asker
        self._tell = tell
        self._others: list[tuple[Path, Predictor]] = []

    def voices(
        self,
        target: Target,
        opinions: Opinions,
        source: UncertaintySource,
        speakers: Speakers,
        run: Path | None,
        interrupted: Callable[[], bool],
    ) -> tuple[Voice, ...]:
        """What those that have a say think, the deep network asked as `source` says.

        Args:
            target: the image.
            opinions: what was said of it the first time.
            source: what to ask.
            speakers: who has a say.
            run: of the network on show; None: it is of no run.
            interrupted: asked now and then; True ends the work.

        Raises:
            UsageError: they cannot be asked so.
            InterruptedPredictionError, MaskloopError: as `Asker.ask`.
        """
        if source == "tta":
            return opinions.voices(self._asker.ask_again(target, MIRRORED, speakers, interrupted))
        dropped: tuple[Voice, ...] = ()
        if source == "mc_dropout" and speakers.instant is not None:
            dropped = (self._instant_dropping(target, opinions, speakers, interrupted),)
        deep, (_, image) = speakers.deep, self._asker.image(target)
        if deep is None or opinions.deep is None:
            if not dropped:
                raise UsageError("the instant learner alone is no ensemble: train a network twice")
            return dropped
        if dropped and not dropouts(deep.network):
            return opinions.voices()[0], *dropped
        others = self._members(deep, run) if source == "ensemble" else []
        with contextlib.ExitStack() as asked:
            for member in (deep, *others):
                asked.enter_context(interruption(member.network, interrupted))
            looked = asked_again(source, deep, image, others=others)
        return replace(looked, share=1.0 - opinions.share), *(dropped or opinions.voices()[1:])

    def _instant_dropping(
        self, target: Target, opinions: Opinions, speakers: Speakers, interrupted: Callable[[], bool]
    ) -> Voice:
        """The instant learner with units of its head dropped; what it sees is computed once."""
        assert speakers.instant is not None
        learner = speakers.instant.asked_about(target.key)
        alone = replace(speakers, deep=None, deep_version=None, share=1.0, temperature=None)
        own = alone.classes.indices
        order = [own.index(index) for index in speakers.classes.indices]

        def ask() -> NDArray[np.float16]:
            _, said = self._asker.ask(target, alone, interrupted, keep=True)
            assert said is not None
            assert said.instant is not None
            return said.instant[order]

        looks = looks_dropping(learner.network, learner.device, ask)
        return Voice(looks, opinions.instant_temperature, opinions.share)

    def _members(self, deep: Predictor, run: Path | None) -> list[Predictor]:
        """The best networks of the runs beside the one that is shown."""
        paths = [] if run is None else members_beside(run, deep.header.classes)
        if paths != [path for path, _ in self._others]:
            self._others = [(path, open_predictor(path, notify=self._tell)) for path in paths]
        return [predictor for _, predictor in self._others]
