"""What both learners say together is scored, and its confidence mended, on images new to both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from core.learning.commands import LearnLive, Train
from core.learning.events import Finished, Prediction, TrainingStarted
from core.learning.labels.data import ChannelMap
from core.learning.overlay.held_out_judge import HeldOutJudge
from core.learning.overlay.mixture import MixtureScore
from core.learning.overlay.overlay import OverlayWeights
from core.learning.prediction.class_maps import PredictedMap
from core.learning.scores.calibration import Reliability
from tests.learning.engine_bench import EngineBench, shrink_instant_learner, squares_bench
from tests.tiny import TINY

HELD_OUT = ("1.png", "2.png", "3.png")


class _Deep:
    """Right in nine of ten pixels, and always quite sure."""

    def __init__(self, world) -> None:
        self.header = type("Header", (), {"classes": world.store.classes})
        self.network = nn.Identity()
        self._world = world

    def predict(self, image: NDArray[np.uint8], *, probabilities: bool = False) -> PredictedMap:
        self.network(torch.zeros(1))  # as any prediction: in passes, before which one may be interrupted
        key = next(k for k in self._world.store.labelled_keys() if self._world.store.pixels(k) is image)
        found = _sure(
            ChannelMap(self._world.store.classes).to_channels(self._world.store.get(key).mask), 0.97
        )
        return PredictedMap(np.empty((1, 1), np.uint8), np.empty((1, 1), np.uint8), found)


def _sure(truth: NDArray[np.uint8], chance: float) -> NDArray[np.float16]:
    """Probabilities (3, H, W) of the true channel, but in a tenth of the pixels of the next one."""
    rng = np.random.default_rng(1)
    said = np.where(rng.random(truth.shape) < 0.1, (truth + 1) % 3, truth)
    found = np.full((3, *truth.shape), (1 - chance) / 2, np.float16)
    np.put_along_axis(found, said[None].astype(np.int64), np.float16(chance), axis=0)
    return found


def _heard(world, mixture: MixtureScore, chance: float) -> None:
    channels = ChannelMap(world.store.classes)
    mixture.begun(channels)
    for key in world.store.labelled_keys():
        truth = channels.to_channels(world.store.get(key).mask)
        mixture.heard(key, _sure(truth, chance), channels, world.store)
    mixture.ended(channels)


def test_the_error_of_the_mixture_itself_is_measured_and_mended(world) -> None:
    world.put_done(*range(1, 7))
    deep = _Deep(world)
    mixture = MixtureScore(lambda: HeldOutJudge(frozenset(HELD_OUT), deep, 0.5))  # type: ignore[arg-type]
    _heard(world, mixture, 0.99)
    score = mixture.of(deep, 0.5)  # type: ignore[arg-type]
    assert score is not None
    assert score.images == 3, "only what neither has learned from"
    found = score.calibration
    assert found is not None
    assert found.temperature > 1.5, "both are too sure"
    assert found.error < 0.02
    # The geometric mean of 0.97 and 0.99 beside two times (0.015 and 0.005), right in nine of ten.
    beside = np.sqrt(0.015 * 0.005)
    chance = np.sqrt(0.97 * 0.99) / (np.sqrt(0.97 * 0.99) + 2 * beside)
    expected = Reliability()
    expected.update(np.full(1000, chance), np.arange(1000) < 900)
    assert found.error_before == pytest.approx(expected.error(), abs=0.01)


def test_another_network_or_share_has_no_score_yet(world) -> None:
    world.put_done(*range(1, 7))
    deep = _Deep(world)
    mixture = MixtureScore(lambda: HeldOutJudge(frozenset(HELD_OUT), deep, 0.5))  # type: ignore[arg-type]
    _heard(world, mixture, 0.9)
    assert mixture.of(_Deep(world), 0.5) is None  # type: ignore[arg-type]
    assert mixture.of(deep, 0.25) is None  # type: ignore[arg-type]
    mixture.forget()
    assert mixture.of(deep, 0.5) is None  # type: ignore[arg-type]


def test_who_draws_meanwhile_does_not_wait_and_the_score_of_before_stays(world) -> None:
    world.put_done(*range(1, 7))
    deep, waits = _Deep(world), False
    mixture = MixtureScore(
        lambda: HeldOutJudge(frozenset(HELD_OUT), deep, 0.5),  # type: ignore[arg-type]
        lambda: waits,
    )
    _heard(world, mixture, 0.9)
    before = mixture.of(deep, 0.5)  # type: ignore[arg-type]
    assert before is not None
    waits = True
    _heard(world, mixture, 0.99)
    assert mixture.of(deep, 0.5) is before  # type: ignore[arg-type]
    waits = False
    _heard(world, mixture, 0.99)
    assert mixture.of(deep, 0.5) is not before  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_one_learner_alone_is_no_mixture(world, share: float) -> None:
    world.put_done(*range(1, 7))
    deep = _Deep(world)
    mixture = MixtureScore(lambda: HeldOutJudge(frozenset(HELD_OUT), deep, share))  # type: ignore[arg-type]
    _heard(world, mixture, 0.9)
    assert mixture.of(deep, share) is None  # type: ignore[arg-type]


def test_the_overlay_tells_score_and_error_of_what_both_say_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_instant_learner(monkeypatch, first_steps=30, more_fits=0, scored_steps=20)
    monkeypatch.setattr(OverlayWeights, "_instant_share", lambda overlay: 0.5 if _has_both(overlay) else 1.0)
    bench: EngineBench = squares_bench(tmp_path / "squares", images=8)
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run()
    bench.do(Train(config=replace(TINY, steps=40)))
    bench.run(until=lambda: bool(bench.got(Finished)), most=4000)
    started = bench.got(TrainingStarted)[-1]
    assert started.validation_images
    bench.engine._instant._score_due = True  # as new labels make it
    bench.seconds = iter(range(10**6, 10**7))
    bench.run(most=4000)
    bench.do(bench.watch(7))
    bench.run(most=4000)
    shown = bench.got(Prediction)[-1]
    assert shown.source.startswith("Instant learner and U-Net")
    assert shown.calibration_error is not None
    assert shown.miou is not None
    assert (shown.scored_on, shown.scored_images) == ("validation", len(started.validation_images))


def _has_both(overlay: OverlayWeights) -> bool:
    return overlay.deep.version is not None
