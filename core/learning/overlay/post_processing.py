"""Post-processing of what is shown: asked for with its parameters at any time, done to every prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.learning.events import Notice
from core.learning.overlay.asking import Asker, InterruptedPredictionError, Opinions, Speakers
from core.learning.overlay.schedule import Target
from core.learning.prediction.class_maps import PredictedMap
from core.learning.prediction.looks import LOOKS, Averaging
from core.learning.prediction.postprocessed import postprocessed
from core.postprocess.apply import check_possible
from core.postprocess.pipeline import Pipeline


@dataclass(slots=True, eq=False)
class _Said:
    """What was said of one image, before any post-processing.

    Attributes:
        of: what was asked. found, opinions: of the image as it is.
        mean: of the looks taken so far, where there is more than one to take.
    """

    of: object
    found: PredictedMap
    opinions: Opinions
    mean: Averaging | None = None


class PostProcessing:
    """Asks about images and processes the answers. The last answer is kept while there is a pipeline, so that
    trying other parameters asks no network.

    Args:
        notify: told where an image cannot be processed.

    Attributes:
        pipeline: what is done from now on.
    """

    def __init__(self, notify: Callable[[Notice], None]) -> None:
        self.pipeline = Pipeline()
        self._notify = notify
        self._said: _Said | None = None
        self._refused: object = None

    def ask(
        self,
        asker: Asker,
        target: Target,
        speakers: Speakers,
        interrupted: Callable[[], bool],
        *,
        version: object,
        keep: bool,
    ) -> tuple[PredictedMap, Opinions | None, str]:
        """The map of an image, with `keep` what each of the speakers thinks, and what was done to the map.

        An image that cannot be processed is shown as it is, and that is told once.

        Args:
            asker: asks the speakers.
            target: the image.
            speakers: who has a say.
            interrupted: asked now and then; True ends the work.
            version: changes with whatever the speakers say.
            keep: what they think is wanted.

        Raises:
            InterruptedPredictionError: because `interrupted()`.
            ImageFileError, MaskloopError: the image cannot be predicted.
        """
        pipeline = self.pipeline
        if not pipeline:
            self._said = None
            return *asker.ask(target, speakers, interrupted, keep=keep), ""
        read = of, image = asker.image(target)
        said = self._asked((target.key, of, version), asker, target, read, speakers, interrupted)
        opinions = said.opinions if keep else None
        try:
            classes = speakers.classes
            check_possible(
                pipeline, (image.shape[0], image.shape[1]), classes.background, classes=len(classes)
            )
        except UsageError as error:
            if self._refused != (refused := (target.key, pipeline)):
                self._refused = refused
                self._notify(Notice(text=f"Shown as the network sees it, because {error}.", level="warning"))
            return said.found, opinions, ""

        def give_way() -> None:
            if interrupted():
                raise InterruptedPredictionError

        measured = speakers.temperature
        temperature = said.opinions.temperature if measured is None else measured
        done = postprocessed(
            pipeline,
            self._seen(said, asker, target, read, speakers, interrupted, temperature),
            image,
            speakers.classes,
            temperature=temperature,
            device=speakers.device,
            between=give_way,
        )
        return done, opinions, str(pipeline)

    def _asked(
        self,
        asked: object,
        asker: Asker,
        target: Target,
        read: tuple[str, NDArray[np.uint8]],
        speakers: Speakers,
        interrupted: Callable[[], bool],
    ) -> _Said:
        if self._said is None or self._said.of != asked:
            self._said = None
            found, opinions = asker.ask(target, speakers, interrupted, keep=True, read=read)
            assert opinions is not None
            self._said = _Said(asked, found, opinions)
        return self._said

    def _seen(
        self,
        said: _Said,
        asker: Asker,
        target: Target,
        read: tuple[str, NDArray[np.uint8]],
        speakers: Speakers,
        interrupted: Callable[[], bool],
        temperature: float,
    ) -> PredictedMap:
        """What was said in all looks; those that are done need not be taken again after an interruption."""
        together, looks = said.opinions.together, self.pipeline.looks
        if looks == 1:
            return PredictedMap(said.found.classes, said.found.confidence, together)
        if said.mean is None or said.mean.looks > looks:
            said.mean = Averaging(together)
        for look in LOOKS[said.mean.looks : looks]:
            said.mean.add(asker.ask_again(target, look, speakers, interrupted, read=read).together)
        return said.mean.map(np.array(speakers.classes.indices, np.uint8), temperature=temperature)
