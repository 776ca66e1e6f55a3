"""Where training looks: windows of source pixels around labelled pixels.

Every window has a *seed*, a labelled pixel that its crop will contain, or one that stands in for background:
no crop comes without a target. Half of the seeds are any such pixel of any image; the other half go where
learning lags: to what was labelled or corrected while training runs, until its loss has fallen, or else to
rare classes. The other pixels of a window are what the augmentation turns and zooms into view.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED
from core.errors import FileProblem
from core.images.reader import HUGE_PIXELS
from core.learning.labels.border_weights import BorderMaps
from core.learning.labels.corrections import RARE, REPLAY, STAND_IN, Correction, Corrections, Losses
from core.learning.labels.data import ChannelMap, LabelStore
from core.learning.labels.indexed_labels import IndexedImage, class_pixels, indexed

FRESH_SHARE: Final = 0.5
"""Of the seeds that go where learning lags, those for fresh corrections, while there are any."""
JITTER: Final = 0.35
"""How far a window's centre moves from its seed at most, as a share of the crop's side."""


@dataclass(frozen=True, slots=True)
class Windows:
    """A batch of source windows, square, of side W >= the crop's.

    Attributes:
        pixels: RGB (N, W, W, 3), uint8; beyond the image its mirror image.
        targets: channels (N, W, W), uint8; 255 where nothing is known, so beyond the image.
        weak: (N, W, W), bool: targets that only stand in for background; None if there are none.
        seeds: (N, 2), float32: x, y from the window's centre to the centre of the seed pixel.
        seed_targets: (N,), int64: the seeds' channels.
        keys: the images, in order.
        drawn_for: of each seed, the number of the correction it was drawn for, or REPLAY, RARE or STAND_IN.
        borders: (N, W, W), uint8: see `core.learning.labels.border_weights`; None if they are not wanted.
    """

    pixels: NDArray[np.uint8]
    targets: NDArray[np.uint8]
    weak: NDArray[np.bool_] | None
    seeds: NDArray[np.float32]
    seed_targets: NDArray[np.int64]
    keys: tuple[str, ...]
    drawn_for: tuple[int, ...] = ()
    borders: NDArray[np.uint8] | None = None

    def pieces(self, size: int) -> list[Windows]:
        """The batch in parts of at most `size` windows."""
        parts = [slice(start, start + size) for start in range(0, len(self.keys), size)]
        return [
            Windows(
                self.pixels[part],
                self.targets[part],
                None if self.weak is None else self.weak[part],
                self.seeds[part],
                self.seed_targets[part],
                self.keys[part],
                self.drawn_for[part],
                None if self.borders is None else self.borders[part],
            )
            for part in parts
        ]


@dataclass(frozen=True, slots=True)
class _Seed:
    """A pixel that a window is made around, at training scale."""

    key: str
    channel: int
    x: int
    y: int
    drawn_for: int


class CropSampler:
    """Draws windows from the store's present labels, deterministically from its seed.

    Args:
        keys: images to draw from.
        scale: factor between image pixels and training pixels.
        crop: side of the crops, training pixels.
        margin: side of the windows, as a multiple of the crop's.
        rare_crops: share of the seeds that go where learning lags.
        borders: windows tell where objects nearly touch; None: they do not.
        only: draws from this image alone, as a sampler would that draws from all of them.

    Attributes:
        weak_background: whether undrawn pixels stand in for background at present.
        corrections: what changed since the run began, and is not learned yet.
        problems: what was wrong with images that had to be left out; whoever tells the person empties it.
    """

    def __init__(
        self,
        store: LabelStore,
        channels: ChannelMap,
        keys: Sequence[str],
        *,
        scale: float,
        crop: int,
        margin: float,
        seed: int,
        weak_background: bool,
        rare_crops: float = 0.5,
        borders: BorderMaps | None = None,
        only: str | None = None,
    ) -> None:
        self.crop = crop
        self.margin = margin
        self._store = store
        self._channels = channels
        self._scale = scale
        self._weak_allowed = weak_background
        self._rare_crops = rare_crops
        self._borders = borders
        self._only = only
        self._rng = np.random.default_rng(seed)
        self._known = {key: store.get(key).digest for key in keys}
        self._learned_from = set(keys)
        self._seeds = 0
        self.corrections = Corrections()
        self._index: dict[str, IndexedImage] = {}
        self._held_out: frozenset[str] = frozenset()
        self._seen_revision = -1
        self.weak_background = False
        self.problems: list[FileProblem] = []
        self._keys: tuple[str, ...] = ()
        self._drawn: list[_Seed] = []
        self._class_share: NDArray[np.float64] = np.zeros(0)

    @property
    def keys(self) -> tuple[str, ...]:
        """Images drawn from at present, sorted."""
        self._refresh()
        return self._keys

    @property
    def class_pixels(self) -> NDArray[np.int64]:
        """Labelled pixels of each image of `keys` and each channel, (N, C), int64, at training scale."""
        self._refresh()
        return self._class_pixels()

    @property
    def mark(self) -> int:
        """A number that samplers share as long as they have drawn the same."""
        return zlib.crc32(repr((self._rng.bit_generator.state, self._drawn)).encode())

    def hold_out(self, keys: Sequence[str]) -> None:
        """Never draw from these images."""
        self._held_out = frozenset(keys)
        self._seen_revision = -1

    def newcomers(self) -> tuple[str, ...]:
        """Labelled images that were never drawn from, sorted."""
        known = self._learned_from | self._held_out
        return tuple(key for key in self._store.labelled_keys() if key not in known)

    def draw(self, count: int) -> Windows | None:
        """The next windows; None when no image has a labelled pixel (any more).

        An image that cannot be read leaves the store, and what was wrong with it joins `problems`.
        """
        while True:
            self._refresh()
            if not self._keys:
                return None
            self.corrections.take_in()
            self._learned_from.update(self._keys)
            seeds = self._drawn = [self._next_seed() for _ in range(count)]
            if self._readable({seed.key for seed in seeds}):
                return self._windows(seeds)

    def hear(self, windows: Windows, losses: Losses) -> None:
        """The losses (N,) at the seeds of windows that were drawn: corrections are drawn until they fall."""
        self.corrections.hear(windows.drawn_for, losses)

    def _readable(self, keys: set[str]) -> bool:
        for key in sorted(keys):
            try:
                self._store.pixels(key, self._scale)
            except FileProblem as problem:
                self._store.remove(key)
                self.problems.append(problem)
        return all(key in self._store for key in keys)

    def _windows(self, chosen: Sequence[_Seed]) -> Windows:
        count = len(chosen)
        side = self._window_side()
        pixels = np.empty((count, side, side, 3), np.uint8)
        targets = np.empty((count, side, side), np.uint8)
        weak = np.zeros((count, side, side), np.bool_) if self.weak_background else None
        borders = np.zeros((count, side, side), np.uint8) if self._borders is not None else None
        seeds = np.empty((count, 2), np.float32)
        seed_targets = np.empty(count, np.int64)
        for n, seed in enumerate(chosen):
            image = self._index[seed.key]
            height, width = image.targets.shape
            left = self._window_start(seed.x, width, side)
            top = self._window_start(seed.y, height, side)
            pixels[n] = _cut(self._store.pixels(seed.key, self._scale), top, left, side, mirror=True)
            targets[n] = _cut(image.targets, top, left, side, mirror=False)
            if weak is not None and image.weak is not None:
                weak[n] = _cut(image.weak.view(np.uint8), top, left, side, mirror=False) == 1
            if borders is not None and self._borders is not None:
                borders[n] = self._border_window(self._borders, seed.key, top, left, side)
            seeds[n] = seed.x + 0.5 - (left + side / 2), seed.y + 0.5 - (top + side / 2)
            seed_targets[n] = seed.channel
        keys, drawn_for = (tuple(seed.key for seed in chosen), tuple(seed.drawn_for for seed in chosen))
        return Windows(pixels, targets, weak, seeds, seed_targets, keys, drawn_for, borders)

    def _border_window(
        self, borders: BorderMaps, key: str, top: int, left: int, side: int
    ) -> NDArray[np.uint8]:
        """Strengths of borders in a window; of a huge image only of the window."""
        image, background = self._index[key], self._channels.background
        targets = _cut(image.targets, top, left, side, mirror=False)
        if image.targets.size > HUGE_PIXELS:
            return borders.of_part(targets)
        cut = _cut(borders.of(key, image.targets), top, left, side, mirror=False)
        return np.where(targets == background, cut, 0)

    def state(self) -> dict[str, str]:
        """What a checkpoint needs to draw the same windows again."""
        return {
            "rng": json.dumps(self._rng.bit_generator.state),
            "corrections": self.corrections.state(),
            "known": json.dumps(self._known),
            "learned_from": json.dumps(sorted(self._learned_from)),
            "seeds": str(self._seeds),
        }

    def restore(self, state: Mapping[str, str]) -> None:
        """Go on from `state()`; labels that have changed since are drawn more often."""
        self._rng.bit_generator.state = json.loads(state["rng"])
        if "corrections" in state:  # checkpoints of earlier versions have none
            self.corrections.restore(state["corrections"])
        self._known = dict(json.loads(state["known"]))
        self._learned_from = set(drawn_from(state))
        self._seeds = int(state.get("seeds", "0"))
        self._seen_revision = -1

    # --- which pixel ---------------------------------------------------------------------------------------

    def _next_seed(self) -> _Seed:
        """The next seed; `rare_crops` of them go where learning lags, evenly spread over all batches."""
        position = self._seeds
        self._seeds += 1
        if int((position + 1) * self._rare_crops) == int(position * self._rare_crops):
            key = self._keys[self._rng.integers(len(self._keys))]
            counts = self._index[key].counts
            channels = list(counts)
            shares = np.array([counts[channel] for channel in channels], np.float64)
            channel = int(self._rng.choice(channels, p=shares / shares.sum()))
            return self._seed_of(key, channel, REPLAY)
        if len(self.corrections) and self._rng.random() < FRESH_SHARE:
            correction = self.corrections.draw(self._rng, self._index)
            fresh = None if correction is None else self._fresh_seed(correction)
            if fresh is not None:
                return fresh
        channel = int(self._rng.choice(len(self._class_share), p=self._class_share))
        having = [key for key in self._keys if channel in self._index[key].counts]
        return self._seed_of(having[self._rng.integers(len(having))], channel, RARE)

    def _seed_of(self, key: str, channel: int, drawn_for: int) -> _Seed:
        """Any of an image's remembered pixels of a class."""
        image = self._index[key]
        y, x = divmod(int(self._rng.choice(image.seeds[channel])), image.targets.shape[1])
        if image.weak is not None and image.weak[y, x]:
            drawn_for = STAND_IN
        return _Seed(key, channel, x, y, drawn_for)

    def _fresh_seed(self, correction: Correction) -> _Seed | None:
        """Any of a correction's pixels, its classes equally often; None if nothing of it is left."""
        image = self._index[correction.key]
        if correction.where is None and image.drawn_seeds:
            channel = int(self._rng.choice(list(image.drawn_seeds)))
            y, x = divmod(int(self._rng.choice(image.drawn_seeds[channel])), image.targets.shape[1])
            return _Seed(correction.key, channel, x, y, correction.number)
        rows, columns = correction.pixels(image.targets)
        if image.weak is not None:
            drawn = ~image.weak[rows, columns]
            rows, columns = rows[drawn], columns[drawn]
        if not len(rows):
            self.corrections.drop(correction)
            return None
        found = image.targets[rows, columns]
        channel = int(self._rng.choice(np.unique(found)))
        at = int(self._rng.choice(np.flatnonzero(found == channel)))
        return _Seed(correction.key, channel, int(columns[at]), int(rows[at]), correction.number)

    def _window_side(self) -> int:
        """Side of the windows: no larger than the largest image needs."""
        longest = int(max(max(self._index[key].targets.shape) for key in self._keys))
        return max(self.crop, min(round(self.crop * self.margin / 32) * 32, -(-longest // 32) * 32))

    def _window_start(self, seed: int, extent: int, side: int) -> int:
        """First row or column of a window whose middle holds the seed, inside the image if it can be."""
        reach = int(self.crop * JITTER)
        centre = seed + int(self._rng.integers(-reach, reach + 1))
        half = self.crop // 2
        centre = extent // 2 if extent <= self.crop else min(max(centre, half), extent - half)
        return centre - side // 2

    # --- keeping up with the labels ------------------------------------------------------------------------

    def _refresh(self) -> None:
        if self._seen_revision == self._store.revision:
            return
        self._seen_revision = self._store.revision
        background = self._channels.classes.background
        wanted = [key for key in self._store.labelled_keys() if key not in self._held_out]
        self.weak_background = (
            self._weak_allowed and background is not None and self._store.lacks_background(background, wanted)
        )
        before = self._index
        chosen = [key for key in wanted if self._only in (None, key)]
        self._index = {key: self._indexed(key, before.get(key)) for key in chosen}
        self._keys = tuple(key for key in chosen if self._index[key].counts)
        self._note_corrections(before)
        totals = self._class_pixels().sum(axis=0)
        # A class is drawn inversely to the square root of its share: rare ones often, but not only.
        rarity = np.where(totals > 0, 1.0 / np.sqrt(np.maximum(totals, 1.0)), 0.0)
        self._class_share = rarity / max(float(rarity.sum()), 1e-12)

    def _indexed(self, key: str, known: IndexedImage | None) -> IndexedImage:
        weak = self.weak_background
        return indexed(self._store, key, self._channels, self._scale, weak_background=weak, known=known)

    def _class_pixels(self) -> NDArray[np.int64]:
        images = (self._index[key] for key in self._keys)
        return class_pixels(images, len(self._channels.classes))

    def _note_corrections(self, before: Mapping[str, IndexedImage]) -> None:
        """Follow what changed since the labels were last looked at, or since the checkpoint."""
        for key in self._index:
            digest = self._store.get(key).digest
            if self._known.get(key) == digest:
                continue
            self._known[key] = digest
            now, old = self._index[key].drawn, before.get(key)
            if old is None or not old.counts or old.targets.shape != now.shape:
                self.corrections.add_image(key)
            else:
                self.corrections.add_changes(key, old.drawn, now)
        for correction in self.corrections:
            if correction.key not in self._index:
                self.corrections.forget(correction.key)


def drawn_from(state: Mapping[str, str]) -> tuple[str, ...]:
    """Images that a sampler drew from before it gave this `state()`, those it drew from no more as well."""
    return tuple(json.loads(state.get("learned_from", state["known"])))  # earlier checkpoints know no more


def _cut(array: NDArray[np.uint8], top: int, left: int, side: int, *, mirror: bool) -> NDArray[np.uint8]:
    """A square of `array` (H, W[, 3]); what lies beyond it is mirrored, or 255."""
    height, width = array.shape[:2]
    y0, y1 = max(top, 0), min(top + side, height)
    x0, x1 = max(left, 0), min(left + side, width)
    inside = array[y0:y1, x0:x1]
    around = (y0 - top, top + side - y1, x0 - left, left + side - x1)
    if not any(around):
        return inside
    if not mirror:
        return np.asarray(
            cv2.copyMakeBorder(inside, *around, cv2.BORDER_CONSTANT, value=UNLABELLED), np.uint8
        )
    # A side of one pixel has nothing to mirror without repeating itself.
    border = cv2.BORDER_REFLECT_101 if min(inside.shape[:2]) > 1 else cv2.BORDER_REPLICATE
    return np.asarray(cv2.copyMakeBorder(inside, *around, border), np.uint8)
