"""The source of the uncertainty is chosen in the window; the engine asks so, or says why it cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.annotation.model import UNLABELLED, AnnotationState
from core.learning.commands import LearnLive, Train, WantUncertainty
from core.learning.events import Failed, Finished, Notice, Prediction, Uncertainty
from core.learning.overlay import other_looks
from core.learning.overlay.doubt_sources import looks_dropping
from tests.learning.engine_bench import SIDE, EngineBench, shrink_instant_learner, squares_bench
from tests.tiny import TINY


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineBench:
    shrink_instant_learner(monkeypatch, first_steps=30, more_fits=1, scored_steps=10)
    made = squares_bench(tmp_path / "squares", images=4)
    made.open()
    return made


def trained(bench: EngineBench, seed: int = 0) -> None:
    before = len(bench.got(Finished))
    bench.do(Train(config=replace(TINY, steps=4, seed=seed)))
    bench.run(until=lambda: len(bench.got(Finished)) > before, most=4000)


def refined(bench: EngineBench, source: str) -> Uncertainty:
    bench.events.clear()
    bench.do(WantUncertainty(on=True, source=source))  # type: ignore[arg-type]
    bench.run()
    return bench.got(Uncertainty)[-1]


def test_a_second_run_makes_an_ensemble_and_one_alone_says_what_is_missing(bench: EngineBench) -> None:
    trained(bench)
    bench.do(bench.watch(3))
    bench.run()
    mirrored = refined(bench, "tta")
    alone = refined(bench, "ensemble")
    (notice,) = bench.got(Notice)
    assert "an ensemble needs the weights of two or more runs" in notice.text
    np.testing.assert_array_equal(alone.entropy.unpack(), mirrored.entropy.unpack())
    assert alone.refined
    trained(bench, seed=1)
    mirrored = refined(bench, "tta")
    both = refined(bench, "ensemble")
    assert both.refined
    assert not bench.got(Notice)
    assert not np.array_equal(both.entropy.unpack(), mirrored.entropy.unpack())
    dropped = refined(bench, "mc_dropout")
    assert dropped.refined
    assert "unet has no dropout" in bench.got(Notice)[-1].text
    assert not bench.got(Failed)


def test_of_a_corrected_image_the_head_in_view_drops_units(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[tuple[np.ndarray, ...]] = []

    def noted(*args, **kwargs):  # type: ignore[no-untyped-def]
        passes.append(looks_dropping(*args, **kwargs))
        return passes[-1]

    monkeypatch.setattr(other_looks, "looks_dropping", noted)
    bench.do(LearnLive(on=True))
    bench.do(bench.watch(3))
    bench.run()
    drawn = np.full((SIDE, SIDE), UNLABELLED, np.uint8)
    drawn[10:26, 10:40] = 0
    bench.do(replace(bench.labels(3, drawn, 2), state=AnnotationState.IN_PROGRESS))
    bench.run()
    assert bench.got(Prediction)[-1].bent
    assert refined(bench, "mc_dropout").refined
    first, *others = passes[-1]
    assert all((look != first).any() for look in others)
    assert not bench.got(Failed)


def test_the_instant_learner_is_asked_with_units_dropped(bench: EngineBench) -> None:
    bench.do(LearnLive(on=True))
    bench.do(bench.watch(3))
    bench.run()
    mirrored = refined(bench, "tta")
    dropped = refined(bench, "mc_dropout")
    assert dropped.refined
    assert not bench.got(Notice)
    assert not np.array_equal(dropped.entropy.unpack(), mirrored.entropy.unpack())
    assert refined(bench, "ensemble").refined
    assert "the instant learner alone is no ensemble" in bench.got(Notice)[-1].text
    trained(bench)  # a U-Net without dropout beside it
    assert refined(bench, "mc_dropout").refined
    assert not bench.got(Notice)
    assert not bench.got(Failed)
