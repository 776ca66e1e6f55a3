"""What the engine shows after post-processing: at once, for every prediction, and without asking twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.learning.commands import LearnLive, PostProcess, WantUncertainty
from core.learning.events import Failed, Notice, Prediction, Uncertainty
from core.learning.inbox import superseded_dropped
from core.learning.overlay import post_processing
from core.learning.overlay.asking import Asker
from core.learning.overlay.kept import KeptImages
from core.learning.prediction.looks import LOOKS, Look
from core.postprocess import apply
from core.postprocess.regions import regions
from tests.learning.engine_bench import EngineBench, live_squares_bench, shrink_instant_learner


@pytest.fixture(autouse=True)
def _small_learner(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_instant_learner(monkeypatch, first_steps=60, more_fits=1, scored_steps=10)


@pytest.fixture
def bench(tmp_path: Path) -> EngineBench:
    """An engine whose instant learner has predicted the fourth image, and has nothing else to do."""
    return live_squares_bench(tmp_path / "squares", watched=3)


def shown(bench: EngineBench, steps: str) -> Prediction:
    bench.events.clear()
    bench.do(PostProcess(steps=steps))
    bench.run()
    (prediction,) = bench.got(Prediction)
    return prediction


def test_the_watched_image_is_shown_processed_and_again_as_it_was(bench: EngineBench) -> None:
    plain = bench.got(Prediction)[-1]
    assert plain.post == ""
    cleaned = shown(bench, "min_region=100000")
    assert cleaned.post == "min_region=100000"
    assert cleaned.weights_version > plain.weights_version
    assert cleaned.key == plain.key
    _, sizes = regions(cleaned.classes.unpack(), [1])
    assert plain.classes.unpack().any()
    assert not (sizes < 100000).any()
    assert not cleaned.classes.unpack().any()
    again = shown(bench, "")
    np.testing.assert_array_equal(again.classes.unpack(), plain.classes.unpack())
    np.testing.assert_array_equal(again.confidence.unpack(), plain.confidence.unpack())
    assert not bench.got(Failed)


def test_other_parameters_ask_no_learner_again(bench: EngineBench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    ask = Asker.ask

    def counted(self: Asker, target, *args, **kwargs):  # type: ignore[no-untyped-def]
        asked.append(target.key)
        return ask(self, target, *args, **kwargs)

    monkeypatch.setattr(Asker, "ask", counted)
    shown(bench, "crf:sxy=10")
    shown(bench, "crf:sxy=20,iterations=2")
    shown(bench, "fill_holes=10")
    assert len(asked) == 1
    bench.do(bench.watch(2))
    bench.run()
    assert bench.got(Prediction)[-1].post == "fill_holes=10"
    assert len(asked) == 2


def test_several_looks_are_averaged_and_asked_for_once(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = bench.got(Prediction)[-1]
    asked: list[Look] = []
    ask = Asker.ask_again

    def counted(self: Asker, target, look, *args, **kwargs):  # type: ignore[no-untyped-def]
        asked.append(look)
        return ask(self, target, look, *args, **kwargs)

    monkeypatch.setattr(Asker, "ask_again", counted)
    averaged = shown(bench, "tta=4")
    assert averaged.post == "tta=4"
    assert averaged.confidence != plain.confidence
    square = np.s_[14:36, 14:36]
    assert (averaged.classes.unpack()[square] == 1).mean() > 0.9
    cleaned = shown(bench, "tta=4;min_region=100000")
    assert not cleaned.classes.unpack().any()
    assert tuple(asked) == LOOKS[1:4]
    two = shown(bench, "tta=2")
    assert two.confidence not in (plain.confidence, averaged.confidence)
    assert tuple(asked[3:]) == LOOKS[1:2]
    assert not bench.got(Failed)


def test_a_file_that_is_replaced_meanwhile_has_no_part_in_the_answer(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = shown(bench, "tta=2;min_region=9")
    shown(bench, "")
    get, gets = KeptImages.get, list[str]()

    def replaced(self: KeptImages, target):  # type: ignore[no-untyped-def]
        of, pixels = get(self, target)
        gets.append(of)
        return (of, pixels) if len(gets) == 1 else ("another", np.zeros_like(pixels))

    monkeypatch.setattr(KeptImages, "get", replaced)
    found = shown(bench, "tta=2;min_region=9")
    np.testing.assert_array_equal(found.classes.unpack(), expected.classes.unpack())
    np.testing.assert_array_equal(found.confidence.unpack(), expected.confidence.unpack())


def test_the_same_once_more_changes_nothing(bench: EngineBench) -> None:
    shown(bench, "crf")
    bench.events.clear()
    bench.do(PostProcess(steps="crf"))
    bench.run()
    assert not bench.got(Prediction)


def test_uncertainty_is_of_what_the_learners_say(bench: EngineBench) -> None:
    bench.do(WantUncertainty(on=True))
    bench.run()
    plain = bench.got(Uncertainty)[0].entropy.unpack()
    shown(bench, "crf")
    np.testing.assert_array_equal(bench.got(Uncertainty)[0].entropy.unpack(), plain)


def test_an_image_that_cannot_be_processed_is_shown_as_it_is_and_that_is_said_once(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "MOST_CRF_PIXELS", 10)
    plain = bench.got(Prediction)[-1]
    found = shown(bench, "crf")
    assert found.post == ""
    np.testing.assert_array_equal(found.classes.unpack(), plain.classes.unpack())
    (notice,) = bench.got(Notice)
    assert notice.text.startswith("Shown as the network sees it, because crf needs the whole image in memory")
    assert not bench.got(Failed)


def test_newer_parameters_end_the_work_on_older_ones(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = post_processing.postprocessed
    begun: list[str] = []

    def waiting(pipeline, *args, **kwargs):  # type: ignore[no-untyped-def]
        begun.append(str(pipeline))
        if len(begun) == 1:
            bench.inbox.put(PostProcess(steps="min_region=9"))
        return done(pipeline, *args, **kwargs)

    monkeypatch.setattr(post_processing, "postprocessed", waiting)
    bench.events.clear()
    bench.do(PostProcess(steps="crf=20"))
    bench.engine.tick()
    assert not bench.got(Prediction)
    command = bench.inbox.take()
    assert command is not None
    bench.do(command)
    bench.run()
    assert [event.post for event in bench.got(Prediction)] == ["min_region=9"]


def test_of_several_choices_that_wait_the_newest_is_done() -> None:
    first, second = PostProcess(steps="crf"), PostProcess(steps="fill_holes")
    assert superseded_dropped([first, LearnLive(on=True)], second) == [LearnLive(on=True), second]


def test_what_cannot_be_read_is_said_and_nothing_changes(bench: EngineBench) -> None:
    bench.events.clear()
    bench.do(PostProcess(steps="crv"))
    bench.run()
    assert [failed.text for failed in bench.got(Failed)] == [
        "there is no post-processing step crv; is it crf?"
    ]
    assert not bench.got(Prediction)
