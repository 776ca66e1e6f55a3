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

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED
from core.errors import FileProblem
from core.learning.config import ClassWeighting
from core.learning.instant.learner import FeaturesDone
from core.learning.instant.points import balanced, points_per_image
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
    """Pixels of one image: features (P, 59) float32, channels (P,), weights (P,); and what they are of."""

    features: NDArray[np.float32]
    targets: NDArray[np.int64]
    weights: NDArray[np.float32]
    version: int
    weak: bool
    count: int


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
            if self._refresh(key, len(keys)):
                yield FeaturesDone(number + 1, len(keys))
        self._known = {key: points for key, points in self._known.items() if key in keys}
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
        features, targets, weights = (
            np.concatenate([getattr(points, name) for points in self._known.values()])
            for name in ("features", "targets", "weights")
        )
        counts = [
            np.bincount(points.targets, points.weights, minlength=self._network.classes)
            for points in self._known.values()
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
        labels = self._store.get(key)
        count = points_per_image(images)
        weak = self._lack.of(key, self.held_out)
        known = self._known.get(key)
        # A few too many are no reason to look again.
        same = known is not None and (known.version, known.weak) == (labels.version, weak)
        if same and known is not None and known.count <= 2 * count:
            return False
        try:
            self._known[key] = self._collected(key, count, weak=weak)
        except FileProblem as problem:
            self.problems.append(problem)
            self._store.remove(key)
            self._known.pop(key, None)
            return False
        return True

    def _collected(self, key: str, count: int, *, weak: bool) -> _Points:
        """Draw pixels of an image, rare classes first, and stand-ins for background."""
        labels = self._store.get(key)
        pixels = self._store.pixels(key, self._scale)
        small = resized_mask(self._channels.to_channels(labels.mask), self._scale)
        random = np.random.default_rng(self._seed)
        flat = small.ravel()
        chosen = balanced(flat, np.flatnonzero(flat != UNLABELLED), count, random)
        targets = flat[chosen].astype(np.int64)
        weights = np.ones(len(chosen), np.float32)
        if weak and self._channels.background is not None:
            around = np.flatnonzero(stand_ins(pixels, small))
            around = random.choice(around, size=min(count // 2, len(around)), replace=False)
            chosen = np.concatenate([chosen, around])
            targets = np.concatenate([targets, np.full(len(around), self._channels.background)])
            weights = np.concatenate([weights, np.full(len(around), self._weak_weight, np.float32)])
        features = self._features_at(pixels, chosen)
        return _Points(features, targets, weights, labels.version, weak, count)

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
