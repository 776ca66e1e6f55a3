"""The instant learner: fitted to whatever is labelled now, again and again, and asked about any image.

What is new among the labels is learned from more than the rest until its loss has fallen.

::

    learner = InstantLearner(store, keys=..., ...)
    for progress in learner.update():      features and points of what is new, then the head: seconds
        ...                                between two pieces of progress others may have their turn
    learner.predict(key, stamp, read)      milliseconds, where the image's features are kept
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F

from core.errors import FileProblem, ImageFileError
from core.images.pages import stamp
from core.images.upright import Box
from core.learning.instant.asked import bands, bands_of_part
from core.learning.instant.features import FeatureCache, Features
from core.learning.instant.head import RATE, REFIT_RATE, REFIT_STEPS, STEPS, FitStep, HeadFit, PointSet
from core.learning.instant.kept_fit import KeptFit
from core.learning.instant.known_points import KnownPoints, fresh_since
from core.learning.instant.points import Points, collect_points, points_per_image, thinned
from core.learning.labels.background_lack import BackgroundLack
from core.learning.labels.data import ChannelMap, ImageLabels, LabelStore
from core.learning.machine.randomness import Randomness
from core.learning.prediction.class_maps import MapReader, PredictedMap
from core.models.instant import InstantNetwork

MOST_PIXELS: Final = 1 << 25
"""Larger images, scaled, are left to the deep learner: their features would take gigabytes."""
LEARNED: Final = 0.35
"""Fresh labels whose mean loss is as small as this, or as on all labels, are learned."""
SOME_POINTS: Final = 4096
"""That stand for all labels there."""


def is_looked_at(size_hw: Sequence[int], scale: float) -> bool:
    """Whether the instant learner learns from an image (height, width) at this scale, or it is too large."""
    return math.prod(size_hw) * scale**2 <= MOST_PIXELS


@dataclass(frozen=True, slots=True)
class FeaturesDone:
    """One image's features are there: `done` of `images`."""

    done: int
    images: int


class InstantLearner:
    """A network whose head follows the labels.

    Args:
        store: the labels; `update` follows them.
        network: with its encoder's weights loaded; its head is fitted in place.
        cache: of the network's features.
        channels: what the network's outputs mean.
        device: where the head is fitted and asked.
        weak_background: weight of undrawn pixels while no background is labelled; 0: never.
        seed: of points, batches and the head's start.
        randomness: what fits drop; by default what follows from the seed.
        clock: of an update's time, seconds; it stands still where whoever drives the update is held.

    Attributes:
        version: grows with every fit; 0 before the first.
        fit_s: what the last fit took, with what it took before an interruption.
        ended_early: the last fit was told to end.
        randomness: what fits drop.
        held_out: images not to learn from.
        kept_fit: where a fit is kept on disk while it goes on; None: nowhere.
        problems: of images that it cannot learn from; whoever tells the person empties it.
    """

    def __init__(
        self,
        store: LabelStore,
        network: InstantNetwork,
        cache: FeatureCache,
        channels: ChannelMap,
        device: torch.device,
        *,
        weak_background: float,
        seed: int = 0,
        randomness: Randomness | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.network = network
        self.cache = cache
        self.channels = channels
        self.version = 0
        self.fit_s = 0.0
        self.ended_early = False
        self.held_out: frozenset[str] = frozenset()
        self.kept_fit: KeptFit | None = None
        self.problems: list[FileProblem] = []
        self._store = store
        self.device = device
        self._weak_weight = weak_background
        self.seed = seed
        self.randomness = Randomness.seeded(seed, device) if randomness is None else randomness
        self._known: dict[str, KnownPoints] = {}
        self._lack = BackgroundLack(store, channels, lambda: self.keys, allowed=weak_background > 0)
        self._fitted_revision = -1
        self._fitted_keys: tuple[str, ...] = ()
        self._fitted_labels: dict[str, tuple[int, int]] = {}  # version and revision
        self._too_large: frozenset[str] = frozenset()
        self._ending = False
        self.clock = clock
        self._under_way: HeadFit | None = None
        self._values = np.array(channels.classes.indices, dtype=np.uint8)

    @property
    def keys(self) -> tuple[str, ...]:
        """Images it learns from at present, sorted."""
        return tuple(
            key for key in self._store.labelled_keys() if key not in self.held_out and self._looks_at(key)
        )

    def _looks_at(self, key: str) -> bool:
        return is_looked_at(self._store.get(key).mask.shape, self.cache.scale)

    @property
    def stale(self) -> bool:
        """Whether labels changed since the last fit, or that was told to end."""
        known = self._fitted_revision, self._fitted_keys
        return self.ended_early or known != (self._store.revision, self.keys)

    def revision_of(self, labels: ImageLabels) -> int:
        """The revision of an image's labels that the last fit knew; 0: none. `labels`: as they are now."""
        version, revision = self._fitted_labels.get(labels.key, (None, 0))
        return labels.revision if version == labels.version else revision

    @property
    def weak_background(self) -> bool:
        """Whether undrawn pixels stand in for background at present."""
        return self._lack.everywhere(self.held_out)

    def update(
        self, *, steps: int | None = None, seconds: float | None = None, fit_seconds: float | None = None
    ) -> Iterator[FeaturesDone | FitStep]:
        """Follow the labels: features and points of what is new, then fit. One piece of work at a time.

        Args:
            steps: of the fit; by default many for the first and few for one that goes on.
            seconds: for all of it; the fit has what the features leave, a tenth at least.
            fit_seconds: for the fit, whatever the features take.
        """
        # A run beside it, or around it, has random numbers of its own.
        return self.randomness.through(self._updated(steps, seconds, fit_seconds))

    def _updated(
        self, steps: int | None, seconds: float | None, fit_seconds: float | None
    ) -> Iterator[FeaturesDone | FitStep]:
        self._ending = False
        started = self.clock()
        revision, labels = self._store.revision, self._store.revisions()
        self._tell_too_large()
        keys = self.keys
        for number, key in enumerate(keys):
            # Between two pieces of work an image may have been removed.
            if key in self._store and self._refresh(key, len(keys)):
                yield FeaturesDone(number + 1, len(keys))
            if self._ending:
                return
        there = {key for key in keys if key in self._store}
        self._known = {key: known for key, known in self._known.items() if key in there}
        parts = [self._known[key].points for key in keys if key in self._known]
        if not parts or not sum(len(part) for part in parts):
            return
        if seconds is not None:
            fit_seconds = self._left(seconds, started)
        yield from self._fit(parts, steps, fit_seconds)
        self._fitted_revision, self._fitted_keys, self._fitted_labels = revision, keys, labels

    def _left(self, seconds: float, began: float) -> float:
        """Of so many seconds from then on; a tenth of them at least."""
        return max(seconds - (self.clock() - began), 0.1 * seconds)

    def end(self) -> None:
        """Let the update that is going on end: with the head as it is, or unfitted where no step was done."""
        self._ending = True

    def keep_fit(self) -> None:
        """Between two pieces of an update: write the fit that is going on, if one is, where it is kept."""
        if self.kept_fit is not None and self._under_way is not None and not self._under_way.over:
            with self.randomness.own():
                self.kept_fit.keep(self._under_way, at_once=True)

    def _tell_too_large(self) -> None:
        """Images that it does not learn from are among its problems, each once."""
        labelled = (key for key in self._store.labelled_keys() if key not in self.held_out)
        too_large = frozenset(key for key in labelled if not self._looks_at(key))
        for key in sorted(too_large - self._too_large):
            labels = self._store.get(key)
            size, most = labels.mask.size * self.cache.scale**2 / 1e6, MOST_PIXELS / 1e6
            told = f"is too large for the instant learner ({size:.0f} megapixels as it sees them,"
            told += f" {most:.0f} at most); a deep network learns it"
            self.problems.append(ImageFileError(labels.image_path, told))
        self._too_large = too_large

    def _fit(self, parts: Sequence[Points], steps: int | None, seconds: float | None) -> Iterator[FitStep]:
        first, began = self.version == 0, self.clock()
        points = PointSet(parts, device=self.device, seed=self.seed + self.version)
        if first:
            self.network.standardize(*points.standardization())
        if steps is None:
            steps = STEPS if first else REFIT_STEPS
        rate = RATE if first else REFIT_RATE
        if seconds is not None:
            seconds = self._left(seconds, began)
        fit = HeadFit(self.network, points, steps=steps, rate=rate, seconds=seconds, clock=self.clock)
        if self.kept_fit is not None:
            self.kept_fit.go_on(fit)
        self._under_way = fit
        for step in fit:
            yield step
            if self.kept_fit is not None and not fit.over:
                self.kept_fit.keep(fit, at_once=self._ending)
            if self._ending:
                break
        self._under_way = None
        self.fit_s, self.ended_early = fit.elapsed_s, not fit.over
        self.version += 1
        self._settle(parts)

    @torch.inference_mode()
    def _settle(self, parts: Sequence[Points]) -> None:
        """What is learned, or was tried often enough, is no longer fresh."""
        if all(known.fresh_for is None for known in self._known.values()):
            return
        some = thinned(parts, SOME_POINTS)
        usual = self._loss(some.where(some.weights >= 1.0))  # what only stands in for a label says nothing
        for key, known in self._known.items():
            if known.fresh_for is not None:
                fresh = known.points.where(known.points.fresh)
                learned = not len(fresh) or self._loss(fresh) <= max(usual, LEARNED)
                self._known[key] = known.settled() if learned else known.older()

    def _loss(self, points: Points) -> float:
        features, targets = points.features.to(self.device), points.targets.to(self.device)
        return float(F.cross_entropy(self.network.point_logits(features), targets))

    def look_at(self, key: str) -> None:
        """Bring one image's points up to date, ahead of the others: `update` follows all of them."""
        self._refresh(key, len(self.keys))

    def points(self, key: str) -> Points | None:
        """What it learns from in one image; None: nothing (yet)."""
        known = self._known.get(key)
        return None if known is None or not len(known.points) else known.points

    def twin(self) -> InstantLearner:
        """Another learner on the same labels and features, with a head of its own that knows nothing."""
        randomness = Randomness.seeded(self.seed, self.device)
        with randomness.own():
            network = InstantNetwork.with_encoder_of(self.network, self.network.views).to(self.device)
        return InstantLearner(
            self._store,
            network,
            self.cache,
            self.channels,
            self.device,
            weak_background=self._weak_weight,
            seed=self.seed,
            randomness=randomness,
            clock=self.clock,
        )

    def restart(self) -> None:
        """Fit from nothing at the next update: for labels that are altogether others."""
        self.randomness = Randomness.seeded(self.seed, self.device)
        with self.randomness.own():
            self.network.hidden.reset_parameters()
            self.network.head.reset_parameters()
        self.version = 0

    def _refresh(self, key: str, images: int) -> bool:
        """Bring one image's points up to date; False where they are."""
        labels, known = self._store.get(key), self._known.get(key)
        count = points_per_image(images)
        weak = self._weak_weight if self._lack.of(key, self.held_out) else None
        if known is not None and known.hold(labels, stamp(labels.image_path), weak):
            self._known[key] = known.of_about(count)
            return False
        try:
            of, features = self._looked_at(key)
        except FileProblem as problem:
            self.problems.append(problem)
            self._store.remove(key)
            self._known.pop(key, None)
            return False
        if known is not None and known.hold(labels, of, weak):
            return False  # its file cannot be read at present
        fresh_for = fresh_since(known, labels) if self.version else None
        points = collect_points(
            features,
            self.channels.to_channels(labels.mask),
            count=count,
            weak=weak,
            background=self.channels.background,
            seed=self.seed,
            fresh_for=fresh_for,
        )
        self._known[key] = KnownPoints(labels, of, weak, count, points, fresh_for)
        return True

    # --- asking -------------------------------------------------------------------------------------------

    def features(self, key: str) -> Features:
        """Features of an image of the store; of its older file while the new one is being written, perhaps.

        Raises:
            FileProblem: it cannot be read, and never was, or its labels are of another size.
        """
        return self._looked_at(key)[1]

    def _looked_at(self, key: str) -> tuple[str, Features]:
        """As `features`, and the stamp of the file that they are of."""
        known, of = self._known.get(key), stamp(self._store.get(key).image_path)
        try:
            features = self._features_of(key, of)
        except ImageFileError:
            if known is None or known.of == of:
                raise
            features = self._features_of(key, of := known.of)
        self._store.check_size(key, features.size_hw)
        return of, features

    def _features_of(self, key: str, of: str) -> Features:
        return self.cache.get(key, of, lambda: self._store.pixels(key, of=of))

    def predict_labelled(self, key: str) -> PredictedMap:
        """The map of an image of the store. Raises FileProblem when it cannot be read."""
        return self.predict(self.features(key))

    @torch.inference_mode()
    def predict(
        self, features: Features, *, probabilities: bool = False, temperature: float = 1.0
    ) -> PredictedMap:
        """The class of every pixel of the image with these features; see `core.learning.prediction`."""
        reader = MapReader(self._values, probabilities, temperature)
        with self._evaluating():
            found = bands(self.network, features, self.device)
            return reader.whole(found, features.scaled_hw, features.size_hw)

    @torch.inference_mode()
    def predict_part(
        self, features: Features, box: Box, *, probabilities: bool = False, temperature: float = 1.0
    ) -> PredictedMap:
        """What `predict` says of a part of the image, x0, y0, x1, y1, within rounding.

        Features beyond a hundred pixels around it need not be there.
        """
        part_hw = box[3] - box[1], box[2] - box[0]
        reader = MapReader(self._values, probabilities, temperature)
        with self._evaluating():
            return reader.whole(bands_of_part(self.network, features, self.device, box), part_hw, part_hw)

    @contextlib.contextmanager
    def _evaluating(self) -> Iterator[None]:
        was_training = self.network.training
        self.network.eval()
        try:
            yield
        finally:
            self.network.train(was_training)
