"""The engine says which labels look wrong, without keeping anybody waiting."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import core.images.pyramid
from core.annotation.model import (
    UNLABELLED,
    Annotation,
    AnnotationState,
    ClassList,
    Shape,
    ShapeType,
    frozen_points,
)
from core.learning.commands import AuditLabels, ClassesChanged, ImageRemoved, LearnLive, Train
from core.learning.engine.guide import Guide
from core.learning.events import (
    AuditEnded,
    AuditProgress,
    Failed,
    Finished,
    TrainingStarted,
)
from core.learning.instant import learner
from core.learning.instant.live import LiveInstant
from core.learning.labels.data import LabelStore
from core.learning.labels.suspects import Suspect, fingerprint
from core.learning.overlay import audit
from core.learning.overlay.asking import InterruptedPredictionError
from core.learning.overlay.audit import MOST_TRIES
from core.learning.overlay.held_out_judge import HeldOutJudge
from core.learning.overlay.overlay import OverlayWeights
from core.learning.prediction.blending import mixed_probabilities
from core.project.project import ImageEntry, Project
from tests.learning.engine_bench import SIDE, EngineBench, shrink_instant_learner, squares_bench
from tests.tiny import TINY


@pytest.fixture(autouse=True)
def _small_learner(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_instant_learner(monkeypatch, first_steps=20, more_fits=0, scored_steps=4)
    monkeypatch.setattr(audit, "STEPS", 40)


def two_squares(root: Path, images: int = 6, wrong: int = 4) -> tuple[EngineBench, Shape]:
    """A bright and a dark square in each image, all done; in one image the bright one is called dark."""
    (root / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    swapped: Shape | None = None
    with Project.create(root, classes=("background", "bright", "dark")) as project:
        for number in range(images):
            pixels = rng.integers(110, 130, (SIDE, SIDE, 3)).astype(np.uint8)
            pixels[6 + number : 26 + number, 6:26] = 240
            pixels[34 - number : 58 - number, 36:60] = 15
            Image.fromarray(pixels).save(root / "images" / f"{number}.png")
        project.rescan()
        entries = list(project.images())
        for number, entry in enumerate(entries):
            bright = Shape(
                "dark" if number == wrong else "bright",
                ShapeType.RECTANGLE,
                frozen_points([(6, 6 + number), (25, 25 + number)]),
            )
            dark = Shape("dark", ShapeType.RECTANGLE, frozen_points([(36, 34 - number), (59, 57 - number)]))
            if number == wrong:
                swapped = bright
            annotation = Annotation(entry.image_path.name, (SIDE, SIDE), (bright, dark), AnnotationState.DONE)
            project.save(entry, annotation, None)
    assert swapped is not None
    return EngineBench(root, entries), swapped


def suspects(bench: EngineBench) -> list[Suspect]:
    found = [suspect for event in bench.got(AuditProgress) for suspect in event.found]
    return sorted(found, key=lambda suspect: -suspect.loss)


@pytest.mark.parametrize("live_learner", [True, False])
def test_a_swapped_label_in_one_of_six_images_is_the_worst(tmp_path: Path, live_learner: bool) -> None:
    bench, swapped = two_squares(tmp_path / "squares")
    bench.do(LearnLive(on=live_learner))
    bench.open()
    bench.run()
    bench.do(AuditLabels())
    bench.run(most=2000)
    worst = suspects(bench)[0]
    assert (worst.key, worst.fingerprint) == (bench.entries[4].key, fingerprint(swapped))
    assert (worst.drawn, worst.seen) == (2, 1)
    assert worst.sure > 0.6
    ended = bench.got(AuditEnded)[-1]
    assert (ended.images, ended.regions, ended.left_out, ended.complete) == (6, 12, 0, True)
    progress = bench.got(AuditProgress)
    assert [event.done for event in progress] == sorted(event.done for event in progress)


def test_classes_that_were_renamed_since_they_were_learned_are_judged_all_the_same(tmp_path: Path) -> None:
    bench, swapped = two_squares(tmp_path / "squares")
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run()
    with Project.open(bench.root) as project:
        project.rename_class(1, "light")
        project.rename_class(2, "shadow")
        bench.do(ClassesChanged(classes=project.classes))
    bench.run()
    bench.do(AuditLabels())
    bench.run(most=2000)
    ended = bench.got(AuditEnded)[-1]
    assert (ended.images, ended.regions, ended.left_out) == (6, 12, 0)
    worst = suspects(bench)[0]
    assert (worst.key, worst.fingerprint) == (
        bench.entries[4].key,
        fingerprint(swapped.with_(label="shadow")),
    )


def test_an_audit_can_be_given_up_and_begun_again(tmp_path: Path) -> None:
    bench, _ = two_squares(tmp_path / "squares")
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run()
    bench.do(AuditLabels(number=1))
    bench.run(until=lambda: bool(bench.got(AuditProgress)))
    bench.do(AuditLabels(on=False))
    assert bench.got(AuditEnded)[-1].complete is False
    bench.run()
    assert len(bench.got(AuditEnded)) == 1
    assert {event.number for event in (*bench.got(AuditProgress), *bench.got(AuditEnded))} == {1}
    bench.events.clear()
    bench.do(AuditLabels(number=2))
    bench.run(most=2000)
    assert bench.got(AuditEnded)[-1].complete
    assert {event.number for event in (*bench.got(AuditProgress), *bench.got(AuditEnded))} == {2}


@pytest.mark.parametrize("removed", [False, True])
def test_an_audit_goes_on_when_one_of_two_images_loses_its_labels_meanwhile(
    tmp_path: Path, removed: bool
) -> None:
    bench, _ = two_squares(tmp_path / "squares", images=2, wrong=0)
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run()
    bench.do(AuditLabels())
    bench.run(until=lambda: bool(bench.got(AuditProgress)))
    nothing = np.full((SIDE, SIDE), UNLABELLED, np.uint8)
    bench.do(ImageRemoved(key=bench.entries[0].key) if removed else bench.labels(0, nothing, 2))
    bench.run(most=2000)
    assert not bench.got(Failed)
    ended = bench.got(AuditEnded)[-1]
    assert ended.complete
    assert ended.images + ended.passed_over == 2
    assert ended.passed_over > 0


@pytest.mark.parametrize(
    ("limited", "most"), [(core.images.pyramid, "HUGE_PIXELS"), (learner, "MOST_PIXELS")]
)
def test_images_that_are_too_large_to_be_judged_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limited: ModuleType, most: str
) -> None:
    bench, _ = two_squares(tmp_path / "squares", images=2, wrong=0)
    bench.do(LearnLive(on=True))
    size_hw = 2 * SIDE, 2 * SIDE
    Image.new("RGB", size_hw, (120, 120, 120)).save(bench.root / "images" / "large.png")
    with Project.open(bench.root) as project:
        project.rescan()
        nothing = Annotation("large.png", size_hw, (), AnnotationState.DONE)
        project.save(project.entry("images/large.png"), nothing, None)
    monkeypatch.setattr(limited, most, SIDE * SIDE)
    bench.open()
    bench.run()
    bench.do(AuditLabels())
    bench.run(most=2000)
    ended = bench.got(AuditEnded)[-1]
    assert (ended.images, ended.regions + ended.left_out, ended.passed_over) == (2, 4, 1)


def test_an_audit_of_labels_that_are_read_anew_says_that_it_is_over(tmp_path: Path) -> None:
    bench, _ = two_squares(tmp_path / "squares")
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run()
    bench.do(AuditLabels())
    bench.run(until=lambda: bool(bench.got(AuditProgress)))
    store = bench.engine._store
    assert store is not None
    fewer = ClassList(store.classes.classes[:-1], store.classes.background)
    bench.do(ClassesChanged(classes=fewer))
    (failed,) = bench.got(Failed)
    assert failed.during == "AuditLabels"
    assert "audit again" in failed.text


def test_one_labelled_image_cannot_be_audited_and_it_is_said_why(tmp_path: Path) -> None:
    bench = squares_bench(tmp_path / "squares", images=2, labelled=1)
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run()
    bench.do(AuditLabels())
    bench.run()
    (failed,) = bench.got(Failed)
    assert failed.during == "AuditLabels"
    assert "at least 2 images" in failed.text


def test_a_class_that_only_one_image_shows_is_counted_and_not_judged(tmp_path: Path) -> None:
    bench, _ = two_squares(tmp_path / "squares", images=5, wrong=0)
    entry = bench.entries[4]
    _relabel(bench.root, entry, "rare")
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run()
    bench.do(AuditLabels())
    bench.run(most=2000)
    assert bench.got(AuditEnded)[-1].left_out == 2


def test_beside_a_run_an_audit_has_half_of_the_time(tmp_path: Path) -> None:
    """Its pieces are short and the run's long: many of them belong to each."""
    bench = squares_bench(tmp_path / "squares", images=2)
    now_s, audited_s = 0.0, 0.0

    class Work:
        busy = True

        def tick(self) -> None:
            nonlocal now_s, audited_s
            now_s, audited_s = now_s + 0.01, audited_s + 0.01

    overlay, instant = OverlayWeights(bench.events.append), LiveInstant(bench.events.append)
    guide = Guide(bench.events.append, lambda *_: None, overlay, instant, lambda: now_s, lambda: waits)
    guide._auditor = Work()  # type: ignore[assignment]
    waits = False
    for step_s in (0.25, 0.25, 2.0, 0.7, 0.25) * 8:
        now_s += step_s
        assert guide.tick(training=True)
    assert 0.45 < audited_s / now_s < 0.55
    waits, before_s = True, audited_s
    now_s += 1.0
    guide.tick(training=True)
    assert audited_s - before_s < 0.02, "a command that waits ends its turn"


def test_the_deep_network_judges_only_what_its_run_holds_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = LabelStore.pixels
    seen: list[str] = []

    def pixels(store: LabelStore, key: str, *how: float, **of: str) -> object:
        seen.append(key)
        return real(store, key, *how, **of)

    joined = HeldOutJudge.joined

    def noted(judge: HeldOutJudge, *args: object) -> object:
        asked.append(seen[-1])
        assert seen[-1] in judge.images
        return joined(judge, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(LabelStore, "pixels", pixels)
    monkeypatch.setattr(HeldOutJudge, "joined", noted)
    monkeypatch.setattr(OverlayWeights, "_instant_share", lambda _self: 0.5)  # whatever a few steps score
    bench, _ = two_squares(tmp_path / "squares")
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run()
    bench.do(Train(config=replace(TINY, steps=20)))
    bench.run(until=lambda: bool(bench.got(Finished)), most=2000)
    held_out = bench.got(TrainingStarted)[-1].validation_images
    assert held_out
    bench.do(AuditLabels())
    bench.run(most=2000)
    assert bench.got(AuditEnded)[-1].complete
    assert asked == list(held_out)


@pytest.mark.parametrize("often", [1, 100])
def test_whom_the_engine_serves_first_costs_an_audit_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, often: int
) -> None:
    """The deep network is asked again, a few times; then the others' opinion has to do."""
    bench, _ = two_squares(tmp_path / "squares")
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run()
    asked: list[bool] = []

    class Deep:
        images = frozenset({bench.entries[2].key})

        def joined(self, _image: object, other: object, _indices: object, interrupted: object) -> object:
            asked.append(len(asked) < often)
            if asked[-1]:
                raise InterruptedPredictionError
            return other

    monkeypatch.setattr(bench.engine._guide._auditor, "_deep", Deep)
    bench.do(AuditLabels())
    bench.run(most=2000)
    ended = bench.got(AuditEnded)[-1]
    assert (ended.images, ended.complete) == (6, True)
    assert asked == ([True, False] if often == 1 else [True] * MOST_TRIES)


def test_beside_a_folder_that_is_predicted_an_audit_gets_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, _ = two_squares(tmp_path / "squares")
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run()
    monkeypatch.setattr(bench.engine._folder, "tick", lambda *, training: True)  # it has no end
    bench.do(AuditLabels())
    bench.run(until=lambda: bool(bench.got(AuditEnded)), most=2000)
    assert bench.got(AuditEnded)[-1].complete


def test_what_two_judges_say_lies_between_them() -> None:
    one = np.array([[[0.9]], [[0.1]]], np.float16)
    other = np.array([[[0.1]], [[0.9]]], np.float16)
    assert mixed_probabilities(one, other, 0.5)[:, 0, 0].tolist() == pytest.approx([0.5, 0.5], abs=1e-3)
    assert mixed_probabilities(one, other, 0.0)[0, 0, 0] == pytest.approx(0.9, abs=1e-3)
    assert mixed_probabilities(one, one, 0.3)[:, 0, 0].tolist() == pytest.approx([0.9, 0.1], abs=1e-3)


def _relabel(root: Path, entry: ImageEntry, label: str) -> None:
    with Project.open(root) as project:
        project.add_class(label)
        loaded = project.load(entry)
        shapes = tuple(shape.with_(label=label) for shape in loaded.annotation.shapes)
        project.save(entry, replace(loaded.annotation, shapes=shapes), loaded.digest)
