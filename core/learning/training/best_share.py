"""How much of the instant learner belongs into the network that a run of both leaves behind.

Both are asked about the images that were held out, and their opinions are blended in several shares. Images
are looked at as far as other scores look at probabilities (`worth_sampling`); larger ones would take
gigabytes. Between two passes of the network whoever drives the run may predict what is looked at.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import FileProblem
from core.learning.events import Event, Notice
from core.learning.instant.learner import InstantLearner
from core.learning.machine.pieces import with_share
from core.learning.prediction.predict import Predictor
from core.learning.scores.calibration import sampled_places, worth_sampling
from core.learning.scores.counted import CountedImages
from core.learning.training.fit import REPORT_S
from core.learning.training.state import TrainState
from core.learning.validation.validation import Score

COMPARING: Final = "comparing both learners on held-out images"
SCORING: Final = "scoring both learners on training images"
SHARES: Final = (0, 25, 50, 75, 100)
"""Of the instant learner in a blend, percent."""
UNJUDGED_SHARE: Final = 50
"""Where no image is held out. On 68 test images of ultrasound, shares from 30 to 70 were within 0.005."""
CLEARLY_BETTER: Final = 0.07
"""Of mIoU, by the root of how many images it is tried on: what another share must be ahead of the even one.
These images chose the deep network's best weights as well, and so flatter it: on 13 nerve images a quarter
was ahead by less, on 68 others the even share was. Two images tell next to nothing."""
MOST_JUDGED: Final = 24
"""Held-out images on which shares are compared."""
_VALUES_AT_ONCE: Final = 1 << 22
"""Probabilities whose logarithms are in memory together."""
_FLOOR: Final = 1e-6


def best_share(
    state: TrainState, learner: InstantLearner, deep: Predictor
) -> Generator[Event, None, tuple[int, Score | None]]:
    """The best share of the instant learner, and its score.

    Where nothing is held out it is UNJUDGED_SHARE, and the score one on training images. All is the instant
    learner's where there was no time for the deep one. No score: no image could be looked at, or the run
    `ends_at_once`, which nothing is compared for any more.
    """
    tested = state.validator.plan.on == "validation"
    judged = [key for key in state.validator.plan.keys if key in state.store]
    judged = [key for key in judged if worth_sampling(state.store.get(key).mask.shape)]
    judged = judged[:: max(1, -(-len(judged) // MOST_JUDGED))]
    shares = SHARES if tested else (UNJUDGED_SHARE,)
    shares = shares if state.step else (100,)
    counted = {share: CountedImages(len(state.channels.classes)) for share in shares}
    even = UNJUDGED_SHARE if state.step else 100
    told_s = float("-inf")
    for number, key in enumerate(judged):
        for done in with_share(_compared(state, learner, deep, key, counted), number / len(judged)):
            if state.clock.seconds - told_s >= REPORT_S:
                told_s = state.clock.seconds
                yield Notice(text=COMPARING if tested else SCORING, progress=done)
            if state.keeping.ends_at_once:
                return even, None
    if judged:
        yield Notice(text=COMPARING if tested else SCORING, progress=1.0)
    if not len(counted[even]):
        return even, None
    miou = {share: images.confusion.miou() or 0.0 for share, images in counted.items()}
    best = max(shares, key=lambda share: miou[share])
    if miou[best] - miou[even] < CLEARLY_BETTER / len(counted[even]) ** 0.5:
        best = even
    return best, Score.of(counted[best], state.channels.classes.names)


def _compared(
    state: TrainState, learner: InstantLearner, deep: Predictor, key: str, counted: dict[int, CountedImages]
) -> Generator[None, None, None]:
    """Count one image in with every share, if it can be read; a pause between two pieces of the work."""
    if key not in state.store:
        return  # it went in a pause
    try:
        quick = learner.predict(learner.features(key), probabilities=True).probabilities
        slow = quick  # where the deep network has no share
        if min(counted) < 100:
            slow = (yield from deep.predicting(state.store.pixels(key), probabilities=True)).probabilities
    except FileProblem as problem:
        state.validator.problems.append(problem)
        return
    assert slow is not None
    assert quick is not None
    labels = state.store.get(key) if key in state.store else None
    if labels is None or labels.mask.shape != slow.shape[1:] or slow.shape != quick.shape:
        return  # changed in a pause
    truth = state.channels.to_channels(labels.mask)
    found = {share: np.empty(truth.shape, np.uint8) for share in counted}
    for rows in _bands(slow.shape):
        logs = _log(slow[:, rows]), _log(quick[:, rows])
        for share, classes in found.items():
            classes[rows] = _blended(*logs, share).argmax(axis=0)
        yield
    y, x = sampled_places(truth, key)
    logs = _log(slow[:, y, x]), _log(quick[:, y, x])
    for share, images in counted.items():
        # On what it has learned, how right it is says nothing about how sure it may be.
        if state.validator.plan.on == "validation":
            images.judged.keep(_blended(*logs, share), truth[y, x])
        images.update(truth, found[share], key=key, digest=labels.digest)


def _bands(shape: tuple[int, ...]) -> Iterator[slice]:
    """Some rows at a time of maps (C, H, W)."""
    channels, height, width = shape
    rows = max(1, _VALUES_AT_ONCE // (channels * width))
    return (slice(top, top + rows) for top in range(0, height, rows))


def _log(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(np.log(probabilities.astype(np.float32) + np.float32(_FLOOR)), np.float32)


def _blended(deep: NDArray[np.float32], instant: NDArray[np.float32], share: int) -> NDArray[np.float32]:
    """Logits, up to a constant of each pixel, of a blend with `share` percent of the instant learner."""
    blended = np.float32(1.0 - share / 100) * deep + np.float32(share / 100) * instant
    return np.asarray(blended, np.float32)
