"""Growing a random forest on what is labelled: pixels drawn from every image, then tree after tree.

::

    grower = ForestGrower(store, network, channels, ...)
    for progress in grower.update():      features of what is new, then trees, and they are planted
        ...                               between two pieces of progress others may have their turn

scikit-learn grows the trees; the network (`core.models.random_forest`) only asks them. Each is a forest of
its own there, with a seed that says which one it is: grown after an interruption it comes out the same.
Pixels of images whose labels stay are kept, so that after a change only the image that was changed is looked
at again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED
from core.errors import FileProblem, ImageFileError
from core.images.pages import stamp
from core.learning.config import ClassWeighting
from core.learning.instant.learner import FeaturesDone
from core.learning.instant.points import BALANCE, POINTS_PER_IMAGE, points_per_image
from core.learning.labels.background_lack import BackgroundLack
from core.learning.labels.data import ChannelMap, LabelStore, resized_mask
from core.learning.labels.weak_background import stand_ins
from core.learning.training.losses import balanced_class_weights
from core.models.hand_made import REACH
from core.models.random_forest import ForestNetwork, Tree, Trees

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

BAND_ROWS: Final = 512
"""Of an image whose features are computed at a time, what they reach beyond left out."""
FEWEST_IN_LEAF: Final = 5
"""Pixels: a leaf of one remembers instead of learning."""
LEAF_SHARE: Final = 1e-3
"""Of all pixels, in a leaf at least: of many, such small ones are chance."""
LEAST: Final = 1e-3
"""Probability that counts for a class no tree has thought of, in the loss that is told."""


@dataclass(frozen=True, slots=True)
class TreesGrown:
    """So many of the trees stand.

    Attributes:
        loss: cross-entropy of pixels, each asked of the trees that were grown without it ("out of bag") since
            the last interruption; NaN while there is none.
    """

    trees: int
    of: int
    loss: float


@dataclass(frozen=True, slots=True)
class StandingForest:
    """What a network's trees were grown on.

    Attributes:
        labels: digest of them, of `LabelStore.digest`; "" before there is a tree.
        trees: how many stand.
        aside: another forest is shown until all of these stand.
    """

    labels: str = ""
    trees: int = 0
    aside: bool = False


@dataclass(frozen=True, slots=True)
class _Points:
    """Pixels of one image.

    Attributes:
        features: (P, 59), float32. targets: channels (P,). weights: (P,).
        needs: (P,): each is among the first `count` pixels of the image where that is more than this.
        of: version of the labels, stamp of the image's file, whether undrawn pixels stand in for background.
        count: those that need no less are not here.
    """

    features: NDArray[np.float32]
    targets: NDArray[np.int64]
    weights: NDArray[np.float32]
    needs: NDArray[np.float64]
    of: tuple[int, str, bool]
    count: int

    def first(self, count: int) -> _Points:
        """The first so many of the image, whatever was drawn when."""
        some = self.needs < count
        features, targets, weights = self.features[some], self.targets[some], self.weights[some]
        return replace(
            self, features=features, targets=targets, weights=weights, needs=self.needs[some], count=count
        )


class ForestGrower:
    """Follows the labels with a forest.

    Args:
        store: the labels.
        network: planted anew with every `update`; its features are computed where it is.
        channels: what its votes are for.
        scale: factor images are resized by.
        held_out: images not to learn from.
        weak_background: weight of undrawn pixels while background is lacking; 0: never.
        seed: the same seed and labels give the same forest.
        class_weights, class_weight_cap: how much more rare classes count, as in the loss of a network.
        threads: that grow trees at the same time; None: as many as torch has.
        clock: of an update's time, seconds; it stands still where whoever drives the update is held.

    Attributes:
        problems: of images that could not be read; whoever tells the person empties it.
        revision: of the store, that the forest has learned; -1 before.
    """

    def __init__(
        self,
        store: LabelStore,
        network: ForestNetwork,
        channels: ChannelMap,
        *,
        scale: float,
        weak_background: float,
        seed: int,
        held_out: frozenset[str] = frozenset(),
        class_weights: ClassWeighting = "inverse_sqrt",
        class_weight_cap: float = 5.0,
        threads: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.problems: list[FileProblem] = []
        self.revision = -1
        self.held_out = held_out
        self._store = store
        self._network = network
        self._channels = channels
        self._scale = scale
        self._weak_weight = weak_background
        self._seed = seed
        self._class_weights = class_weights
        self._class_weight_cap = class_weight_cap
        self._threads = threads
        self._clock = clock
        self._known: dict[str, _Points] = {}
        self._lack = BackgroundLack(store, channels, lambda: self.keys, allowed=weak_background > 0)

    @property
    def keys(self) -> tuple[str, ...]:
        """Images it learns from at present, sorted."""
        return tuple(key for key in self._store.labelled_keys() if key not in self.held_out)

    def update(
        self, *, trees: int | None = None, seconds: float | None = None, standing: int = 0
    ) -> Iterator[FeaturesDone | TreesGrown]:
        """Grow a forest on the labels as they are now.

        Args:
            trees: in all, at most as many as the network has room for, which is the default.
            seconds: after which no other tree is begun; the first ones are grown in any case.
            standing: so many of the network's trees were grown on these labels before, and stay.

        Nothing is grown where no labelled pixel can be read.
        """
        began_s = self._clock()
        revision = self._store.revision
        keys = self.keys
        for number, key in enumerate(keys):
            if key in self._store and self._refresh(key, len(keys)):  # else it went in a pause
                yield FeaturesDone(number + 1, len(keys))
        self._known = {key: self._known[key] for key in self.keys if key in self._known}
        if not any(len(points.targets) for points in self._known.values()):
            return
        room = self._network.forest.trees
        of = min(trees or room, room)
        for grown in self._grow(standing, of):
            yield grown
            if seconds is not None and self._clock() - began_s > seconds:
                break
        self.revision = revision

    def _grow(self, standing: int, of: int) -> Iterator[TreesGrown]:
        count = points_per_image(len(self._known))
        parts = [points.first(count) for points in self._known.values()]
        features, targets, weights = (
            np.concatenate([getattr(points, name) for points in parts])
            for name in ("features", "targets", "weights")
        )
        counts = [
            np.bincount(points.targets, points.weights, minlength=self._network.classes) for points in parts
        ]
        weights *= balanced_class_weights(counts, self._class_weight_cap, self._class_weights)[targets]
        threads = self._threads or torch.get_num_threads()
        leaf = max(FEWEST_IN_LEAF, round(LEAF_SHARE * len(targets)))
        seeds = np.random.SeedSequence(self._seed).generate_state(of)
        bag = _OutOfBag(targets, self._network.classes)

        def grown(number: int) -> RandomForestClassifier:
            tree = _tree_alone(self._network.forest, leaf=leaf, seed=int(seeds[number]))
            return tree.fit(features, targets, sample_weight=weights)

        with ThreadPoolExecutor(threads) as pool:  # it is C that grows them, and lets others work
            while standing < of:
                newest = list(pool.map(grown, range(standing, min(of, standing + threads))))
                trees = []
                for forest in newest:
                    channels = np.asarray(forest.classes_, np.int64)
                    (tree,), (grown_from,) = forest.estimators_, forest.estimators_samples_
                    bag.hear(features, tree, grown_from, channels)
                    trees.append(tree_of(tree.tree_, channels, self._network.classes))
                self._network.forest.plant(trees, beside=standing)
                standing += len(trees)
                yield TreesGrown(standing, of, bag.loss())

    # --- pixels -------------------------------------------------------------------------------------------

    def _refresh(self, key: str, images: int) -> bool:
        """Bring one image's pixels up to date; False where they are."""
        labels, count = self._store.get(key), points_per_image(images)
        of = labels.version, stamp(labels.image_path), self._lack.of(key, self.held_out)
        known = self._known.get(key)
        if known is not None and known.of == of and known.count >= count:
            if known.count > 4 * count:
                self._known[key] = known.first(2 * count)
            return False
        try:
            # Twice as many, so that other images may come and go before it is looked at again.
            self._known[key] = self._collected(key, of, min(2 * count, POINTS_PER_IMAGE))
        except FileProblem as problem:
            if known is not None and isinstance(problem, ImageFileError) and known.of[::2] == of[::2]:
                return False  # only its file is another one, which is being written perhaps
            self.problems.append(problem)
            self._store.remove(key)
            self._known.pop(key, None)
            return False
        return True

    def _collected(self, key: str, of: tuple[int, str, bool], count: int) -> _Points:
        """Draw pixels of an image, rare classes first, and stand-ins for background."""
        _, present, weak = of
        pixels = self._store.pixels(key, self._scale, of=present)
        small = resized_mask(self._channels.to_channels(self._store.get(key).mask), self._scale)
        random = np.random.default_rng(self._seed)
        flat = small.ravel()
        chosen, needs = _ranked(flat, random)
        targets = flat[chosen].astype(np.int64)
        weights = np.ones(len(chosen), np.float32)
        if weak and self._channels.background is not None:
            around = np.flatnonzero(stand_ins(pixels, small))
            around = random.choice(around, size=min(POINTS_PER_IMAGE // 2, len(around)), replace=False)
            chosen = np.concatenate([chosen, around])
            needs = np.concatenate([needs, 2.0 * np.arange(len(around))])
            targets = np.concatenate([targets, np.full(len(around), self._channels.background)])
            weights = np.concatenate([weights, np.full(len(around), self._weak_weight, np.float32)])
        some = needs < count
        features = self._features_at(pixels, chosen[some])
        return _Points(features, targets[some], weights[some], needs[some], of, count)

    @torch.inference_mode()
    def _features_at(self, pixels: NDArray[np.uint8], places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Features (P, 59) of pixels of an image (H, W, 3) by their places in rows one behind the other."""
        height, width = pixels.shape[:2]
        device = next(self._network.parameters()).device
        features = np.empty((len(places), self._network.encoder.channels[0]), np.float32)
        for top in range(0, height, BAND_ROWS):
            bottom = min(height, top + BAND_ROWS)
            here = np.flatnonzero((places >= top * width) & (places < bottom * width))
            if not len(here):
                continue
            above = max(0, top - REACH)
            band = torch.from_numpy(pixels[above : bottom + REACH].copy()).to(device)
            maps = self._network.encoder(band.permute(2, 0, 1)[None])[0][0]  # (59, h, W)
            at = torch.from_numpy(places[here] - above * width).to(device)
            features[here] = maps.flatten(1)[:, at].T.cpu().numpy()
        return features


def _ranked(
    flat: NDArray[np.uint8], random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """POINTS_PER_IMAGE labelled positions, more of rare classes, and what each needs: see `_Points`.

    As many are drawn for any count, so that fewer of them are the first of these.
    """
    labelled = np.flatnonzero(flat != UNLABELLED)
    values = flat[labelled]
    pixels = np.bincount(values)
    shares = pixels ** (1.0 - BALANCE) / max((pixels ** (1.0 - BALANCE)).sum(), 1.0)
    chosen, needs = [np.empty(0, np.int64)], [np.empty(0)]
    for channel in np.flatnonzero(pixels):
        size = int(pixels[channel])
        if len(labelled) > POINTS_PER_IMAGE:
            size = min(size, math.ceil(POINTS_PER_IMAGE * shares[channel]))
        chosen.append(random.choice(labelled[values == channel], size=size, replace=False))
        needs.append(np.minimum(np.arange(size) / shares[channel], len(labelled) - 1))
    return np.concatenate(chosen), np.concatenate(needs)


class _OutOfBag:
    """What trees say of the pixels they were not grown from."""

    def __init__(self, targets: NDArray[np.int64], classes: int) -> None:
        self._targets = targets
        self._votes = np.zeros((len(targets), classes), np.float32)
        self._asked = np.zeros(len(targets), np.int32)

    def hear(
        self,
        features: NDArray[np.float32],
        tree: Any,
        grown_from: NDArray[np.int32],
        channels: NDArray[np.int64],
    ) -> None:
        """Ask a tree about the others."""
        others = np.ones(len(self._targets), np.bool_)
        others[grown_from] = False
        places = np.flatnonzero(others)
        if len(places):
            self._votes[places[:, None], channels] += tree.predict_proba(features[places])
            self._asked[places] += 1

    def loss(self) -> float:
        """Mean cross-entropy of those that were asked about; NaN for none."""
        asked = np.flatnonzero(self._asked)
        if not len(asked):
            return float("nan")
        right = self._votes[asked, self._targets[asked]] / self._asked[asked]
        return float(-np.log(np.maximum(right, LEAST)).mean())


def _tree_alone(trees: Trees, *, leaf: int, seed: int) -> RandomForestClassifier:
    """A forest of one tree: pixels drawn with repetition, and questions about features drawn at random."""
    from sklearn.ensemble import RandomForestClassifier  # a second to import, which only forests need

    return RandomForestClassifier(
        1,
        max_leaf_nodes=trees.leaves,
        max_depth=trees.depth,
        min_samples_leaf=leaf,
        random_state=seed,
    )


def tree_of(grown: Any, channels: NDArray[np.int64], classes: int) -> Tree:
    """A tree of scikit-learn; `channels` are those that its columns stand for."""
    probability = np.zeros((grown.node_count, classes))
    counts = grown.value[:, 0, :]
    probability[:, channels] = counts / counts.sum(axis=1, keepdims=True)
    return Tree(
        feature=grown.feature.astype(np.int64),
        threshold=grown.threshold,
        left=grown.children_left.astype(np.int64),
        right=grown.children_right.astype(np.int64),
        probability=probability,
    )
