"""Asking the learners about an image: those that have a say, together or alone, as it is and in other looks.

`overlay.py` decides who has a say; `uncertainty.py` makes a map of what they think.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.annotation.model import ClassList
from core.images.upright import Box
from core.learning.instant.features import Features
from core.learning.instant.live import LiveInstant
from core.learning.overlay.excerpts import Excerpt
from core.learning.overlay.kept import KeptImages, KeptMaps
from core.learning.overlay.schedule import Target
from core.learning.overlay.view_parts import is_large
from core.learning.prediction.blending import mixed, mixed_probabilities
from core.learning.prediction.class_maps import PredictedMap
from core.learning.prediction.kept_tiles import KeptTiles
from core.learning.prediction.looks import Look
from core.learning.prediction.predict import Predictor
from core.learning.prediction.uncertainty import Voice


class InterruptedPredictionError(Exception):
    """Something more urgent came up while an image was predicted; ask again later."""


@contextlib.contextmanager
def interruption(module: nn.Module, interrupted: Callable[[], bool]) -> Iterator[None]:
    """Before every pass of a network, or of a part of it, ask whether something is more urgent.

    Raises:
        InterruptedPredictionError: it is.
    """

    def check(_module: nn.Module, _inputs: object) -> None:
        if interrupted():
            raise InterruptedPredictionError

    hook = module.register_forward_pre_hook(check)
    try:
        yield
    finally:
        hook.remove()


@dataclass(frozen=True, slots=True, eq=False)
class Opinions:
    """What those that have a say in a prediction think of the image.

    Attributes:
        deep, instant: (C, H, W) float16 as the networks give them, channels in the same order; one may be
            None.
        share: of the instant learner, 0..1.
        deep_temperature, instant_temperature: what they are to be taken at.
    """

    deep: NDArray[np.float16] | None
    instant: NDArray[np.float16] | None
    share: float
    deep_temperature: float = 1.0
    instant_temperature: float = 1.0

    @property
    def temperature(self) -> float:
        """Of what they say together, where nobody has taken it: it lies between theirs."""
        return (1.0 - self.share) * self.deep_temperature + self.share * self.instant_temperature

    @property
    def together(self) -> NDArray[np.float16]:
        """What they say together (C, H, W), at temperature 1."""
        if self.deep is not None and self.instant is not None:
            return mixed_probabilities(self.deep, self.instant, self.share)
        alone = self.deep if self.instant is None else self.instant
        assert alone is not None
        return alone

    def seen_back(self, look: Look) -> Opinions:
        """Of an image, where these are of what is seen of it in this look."""
        deep, instant = (None if maps is None else look.back(maps) for maps in (self.deep, self.instant))
        return replace(self, deep=deep, instant=instant)

    def voices(self, again: Opinions | None = None) -> tuple[Voice, ...]:
        """For `uncertainty_map`; with what the same learners said in another look, if they were asked."""
        found: list[Voice] = []
        for mine, other, temperature, share in (
            (self.deep, again.deep if again else None, self.deep_temperature, 1.0 - self.share),
            (self.instant, again.instant if again else None, self.instant_temperature, self.share),
        ):
            if mine is not None:
                looks = (mine,) if other is None else (mine, other)
                found.append(Voice(looks, temperature, share))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Speakers:
    """Who has a say in what is shown.

    Attributes:
        deep: the deep network; None: it has none. deep_version: changes with its weights.
        instant: the instant learner, which has learned something; None: it has no say.
        share: of the instant learner, 0..1.
        temperature: of what they say together, where it was measured.
    """

    deep: Predictor | None
    deep_version: object
    instant: LiveInstant | None
    share: float
    temperature: float | None = None

    @property
    def classes(self) -> ClassList:
        """Of the channels of what they say."""
        if self.deep is not None:
            return self.deep.header.classes
        assert self.instant is not None
        assert self.instant.classes is not None
        return self.instant.classes

    @property
    def device(self) -> torch.device:
        """Where there is room and speed for further work on what they say."""
        asked = self.instant if self.deep is None else self.deep
        return torch.device("cpu") if asked is None or asked.device is None else asked.device

    @property
    def on_gpu(self) -> bool:
        """Whether another look takes milliseconds."""
        return self.device.type == "cuda"


class Asker:
    """Asks, and keeps what makes the next answer cheaper."""

    def __init__(self) -> None:
        self._images = KeptImages()
        self._maps = KeptMaps()
        self._tiles = KeptTiles()
        self._looked: tuple[object, Features] | None = None  # what the instant learner sees in an excerpt

    def image(self, target: Target) -> tuple[str, NDArray[np.uint8]]:
        """The file's stamp, and the pixels (H, W, 3), uint8, that are asked about. Raises ImageFileError."""
        return self._images.get(target)

    def forget(self, key: str) -> None:
        """The image is gone, or is another one under the same name."""
        self._images.forget(key)

    def ask(
        self,
        target: Target,
        speakers: Speakers,
        interrupted: Callable[[], bool],
        *,
        keep: bool = False,
        read: tuple[str, NDArray[np.uint8]] | None = None,
    ) -> tuple[PredictedMap, Opinions | None]:
        """The map of an image, and with `keep` what each of them thinks.

        Args:
            target: the image.
            speakers: who has a say.
            interrupted: asked now and then; True ends the work.
            keep: what they think is wanted.
            read: what `image` gave, where the answer is to be of exactly that: the file may be another since.

        Raises:
            InterruptedPredictionError: because `interrupted()`.
            ImageFileError, MaskloopError: it cannot be predicted.
        """
        return self._ask(target, *(read or self._images.get(target)), speakers, interrupted, keep=keep)

    def ask_again(
        self,
        target: Target,
        look: Look,
        speakers: Speakers,
        interrupted: Callable[[], bool],
        *,
        read: tuple[str, NDArray[np.uint8]] | None = None,
    ) -> Opinions:
        """What they think of an image in another look than as it is. Arguments and errors as of `ask`."""
        image = look.of((read or self._images.get(target))[1])
        _, opinions = self._ask(target, None, image, speakers, interrupted, keep=True)
        assert opinions is not None
        return opinions.seen_back(look)

    def ask_part(
        self, target: Target, box: Box, speakers: Speakers, interrupted: Callable[[], bool]
    ) -> PredictedMap:
        """The map of a part of an image, x0, y0, x1, y1; `ask` about all of it takes up from there.

        Raises as `ask`.
        """
        of, image = self._images.get(target)
        asked = _asked(target, of, speakers)

        def quick(instant: LiveInstant) -> PredictedMap:
            return instant.probabilities_of_part(target.key, of, lambda: image, box)

        def deep(predictor: Predictor) -> PredictedMap:
            return self._deep_part(asked, image, box, speakers, predictor, interrupted)

        return _said(speakers, deep, quick, interrupted)

    def ask_excerpt(
        self, target: Target, excerpt: Excerpt, speakers: Speakers, interrupted: Callable[[], bool]
    ) -> PredictedMap:
        """The map of an excerpt (h, w) of an image, as it is. Raises as `ask`."""

        def quick(instant: LiveInstant) -> PredictedMap:
            name = excerpt.name, instant.eyes
            if self._looked is None or self._looked[0] != name:
                self._looked = None
                self._looked = name, instant.look(excerpt.pixels, scale_for=excerpt.scale_for)
            return instant.said_of(self._looked[1], target.key)

        def deep(predictor: Predictor) -> PredictedMap:
            return self._deep_excerpt(excerpt, speakers, predictor, interrupted)

        return _said(speakers, deep, quick, interrupted)

    def _ask(
        self,
        target: Target,
        of: str | None,
        image: NDArray[np.uint8],
        speakers: Speakers,
        interrupted: Callable[[], bool],
        *,
        keep: bool,
    ) -> tuple[PredictedMap, Opinions | None]:
        """`image` is the target's, `of` its file's stamp; None: in another look, of which nothing is kept."""
        predictor, instant = speakers.deep, speakers.instant
        if predictor is None:
            assert instant is not None
            quick = _quick(instant, target, of, image, interrupted)
            kept = Opinions(None, quick.probabilities, 1.0, instant_temperature=instant.temperature)
            return quick, kept if keep else None
        asked = None if of is None else _asked(target, of, speakers)
        if instant is None:
            tiles = self._tiles_of(asked, image)
            with interruption(predictor.network, interrupted):
                found = predictor.predict(image, probabilities=keep, kept=tiles)
            if tiles is not None:
                tiles.clear()
            kept = Opinions(found.probabilities, None, 0.0, deep_temperature=predictor.temperature)
            return found, kept if keep else None
        deep = self._deep(asked, image, predictor, interrupted)
        quick = _quick(instant, target, of, image, interrupted)
        shown, opinions = _together(speakers, deep, quick)
        return shown, opinions if keep else None

    # --- the deep network ---------------------------------------------------------------------------------

    def _deep(
        self,
        asked: object,
        image: NDArray[np.uint8],
        predictor: Predictor,
        interrupted: Callable[[], bool],
    ) -> NDArray[np.float16]:
        """The deep network is asked again about an image only when it has learned something.

        `asked` is what is asked, None where nothing is to be kept.
        """
        known = None if asked is None else self._maps.get(asked)
        if known is None:
            tiles = self._tiles_of(asked, image)
            with interruption(predictor.network, interrupted):
                known = predictor.predict(image, probabilities=True, kept=tiles).probabilities
            assert known is not None
            if asked is not None:
                self._maps.keep(asked, known)
            if tiles is not None:
                tiles.clear()
        return known

    def _deep_part(
        self,
        asked: object,
        image: NDArray[np.uint8],
        box: Box,
        speakers: Speakers,
        predictor: Predictor,
        interrupted: Callable[[], bool],
    ) -> PredictedMap:
        """Where both have a say only the probabilities of the map count."""
        both = speakers.instant is not None
        x0, y0, x1, y1 = box
        known = self._maps.get(asked) if both else None
        if known is not None:
            nothing = np.empty((0, 0), np.uint8)
            return PredictedMap(nothing, nothing, known[:, y0:y1, x0:x1])
        self._tiles.begin(asked)
        with interruption(predictor.network, interrupted):
            return predictor.predict_part(image, box, self._tiles, probabilities=both)

    def _deep_excerpt(
        self, excerpt: Excerpt, speakers: Speakers, predictor: Predictor, interrupted: Callable[[], bool]
    ) -> PredictedMap:
        asked = excerpt.name, speakers.deep_version
        both = speakers.instant is not None
        known = self._maps.get(asked) if both else None
        if known is not None:
            nothing = np.empty((0, 0), np.uint8)
            return PredictedMap(nothing, nothing, known)
        scale = excerpt.scale_for(predictor.header.scale)
        with interruption(predictor.network, interrupted):
            found = predictor.predict(excerpt.pixels, probabilities=both, scale=scale)
        if found.probabilities is not None:
            self._maps.keep(asked, found.probabilities)
        return found

    def _tiles_of(self, asked: object, image: NDArray[np.uint8]) -> KeptTiles | None:
        """Of a large image, so that whatever comes between costs no tile that is there."""
        if asked is None or not is_large((image.shape[0], image.shape[1])):
            return None
        self._tiles.begin(asked)
        return self._tiles


def _asked(target: Target, of: str, speakers: Speakers) -> object:
    """What the deep network is asked about the image whose file had this stamp."""
    return target.key, of, speakers.deep_version


def _said(
    speakers: Speakers,
    deep: Callable[[Predictor], PredictedMap],
    quick: Callable[[LiveInstant], PredictedMap],
    interrupted: Callable[[], bool],
) -> PredictedMap:
    """What those that have a say think of a part of an image, asked in these ways."""
    slow = None if speakers.deep is None else deep(speakers.deep)
    if speakers.instant is None:
        assert slow is not None
        return slow
    with _looking(speakers.instant, interrupted):
        found = quick(speakers.instant)
    return found if slow is None else _together(speakers, slow.probabilities, found)[0]


def _together(
    speakers: Speakers, deep: NDArray[np.float16] | None, quick: PredictedMap
) -> tuple[PredictedMap, Opinions]:
    """What both say, where both have a say."""
    predictor, instant = speakers.deep, speakers.instant
    assert predictor is not None
    assert instant is not None
    assert deep is not None
    classes = instant.classes
    assert classes is not None
    assert quick.probabilities is not None
    theirs = predictor.header.classes.indices
    in_order = quick.probabilities[[classes.indices.index(index) for index in theirs]]
    opinions = Opinions(deep, in_order, speakers.share, predictor.temperature, instant.temperature)
    temperature = opinions.temperature if speakers.temperature is None else speakers.temperature
    values = np.array(theirs, dtype=np.uint8)
    return mixed(deep, in_order, speakers.share, values, temperature=temperature), opinions


@contextlib.contextmanager
def _looking(instant: LiveInstant, interrupted: Callable[[], bool]) -> Iterator[None]:
    """Looking at a large image takes seconds. Raises InterruptedPredictionError."""
    if interrupted():
        raise InterruptedPredictionError
    with interruption(instant.encoder, interrupted):
        yield


def _quick(
    instant: LiveInstant,
    target: Target,
    of: str | None,
    image: NDArray[np.uint8],
    interrupted: Callable[[], bool],
) -> PredictedMap:
    """The instant learner's map, with probabilities; features of the image itself are kept."""
    with _looking(instant, interrupted):
        if of is None:
            return instant.probabilities_of(target.key, image)
        return instant.probabilities(target.key, of, lambda: image)
