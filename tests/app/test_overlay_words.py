"""The prediction bar says whose prediction is shown, how good it is, and why there is none yet."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.learning.overlay_words import OverlayWords
from app.wiring.earlier_runs import read_history
from core.annotation.model import ClassList, LabelClass
from core.learning.events import EngineReady, Failed, OverlayCompared, Prediction
from core.learning.runs.header import METADATA_KEY, WeightsHeader
from core.models.normalization import Normalization
from core.project.project import Project
from tests.app.engine_events import prediction, started, validated

OLDER, NEW = "runs/2026-01-02_06-12-00-unet", "runs/2026-01-02_08-00-00-unet"


def predicted(source: str, run: str | None, miou: float | None = None, key: str = "a.png") -> Prediction:
    on, images = (None, None) if miou is None else ("validation", 4)
    return prediction(
        key,
        np.zeros((48, 64), np.uint8),
        source=source,
        run=run,
        miou=miou,
        scored_on=on,
        scored_images=images,
    )


def compared(older: float, run: float | None, *, run_is_shown: bool = False) -> OverlayCompared:
    return OverlayCompared(
        older="U-Net, run of 06:12", older_miou=older, run=NEW, run_miou=run, run_is_shown=run_is_shown,
        on="validation", images=3,
    )  # fmt: skip


def test_both_scores_are_said_while_the_older_prediction_is_shown() -> None:
    words = OverlayWords()
    older = predicted("U-Net, run of 06:12", OLDER, miou=0.6)
    assert words.of(older) == "U-Net, run of 06:12, mIoU 0.60 on 4 held-out images"
    words.on_event(started(NEW))
    words.on_event(validated(9, 0.32))
    assert words.of(older) == "U-Net, run of 06:12, mIoU 0.60 on 4 held-out images"
    assert words.on_event(compared(0.51, 0.32))
    assert words.of(older) == "U-Net, run of 06:12, mIoU 0.51 on 3 held-out images; new run at 0.32"
    words.on_event(compared(0.51, None))
    assert words.of(older).endswith("; new run not scored yet")


def test_a_run_that_has_taken_over_is_said_with_its_own_score() -> None:
    words = OverlayWords()
    words.on_event(started(NEW))
    live = predicted("U-Net, step 40", NEW)
    assert words.of(live) == "U-Net, step 40"
    words.on_event(validated(9, 0.55))
    words.on_event(compared(0.51, 0.55, run_is_shown=True))
    assert words.of(live) == "U-Net, step 40, mIoU 0.55 on 3 held-out images"
    words.on_event(started("runs/another"))
    assert (
        words.of(predicted("U-Net, run of 08:00", NEW, miou=0.7))
        == "U-Net, run of 08:00, mIoU 0.70 on 4 held-out images"
    )


def test_a_run_s_score_is_not_passed_off_as_that_of_both_learners_together() -> None:
    words = OverlayWords()
    words.on_event(started(NEW))
    words.on_event(validated(9, 0.55))
    said = words.of(predicted("Instant learner and U-Net, step 40", NEW))
    assert said == "Instant learner and U-Net, step 40; U-Net alone mIoU 0.55 on 3 held-out images"


def test_what_is_awaited_is_said() -> None:
    words = OverlayWords()
    assert words.without() == ""
    words.set_saved("run of 06:12")
    assert words.without() == "Loading the network of the run of 06:12 …"
    words.on_event(EngineReady(pid=1, device="CPU", torch="2"))
    assert words.without() == "Predicting with the network of the run of 06:12 …"
    words.on_event(Failed(during="Predict", text="a.png: there is no such file"))
    assert words.without() == "This image could not be predicted"
    words.image_changed()
    words.engine_changed(ready=False, gone=False)
    assert words.without().startswith("Loading")
    words.engine_changed(ready=False, gone=True)
    assert words.without() == ""
    words.on_event(started(NEW))
    assert words.without() == "The first prediction comes with the first steps"
    words.project_changed()
    assert words.without() == ""


@pytest.fixture
def folder_with_run(image_folder: Callable[..., Path]) -> Path:
    """A project of three images with an earlier run, whose weights have a header and no numbers."""
    folder = image_folder(3)
    with Project.create(folder, classes=("background", "nerve"), image_roots=(".",)) as project:
        run = project.layout.runs / "2026-01-02_06-12-00-unet"
    run.mkdir(parents=True)
    (run / "best.safetensors").write_bytes(weights("background", "nerve"))
    return folder


def weights(*names: str) -> bytes:
    header = WeightsHeader(
        architecture="unet",
        encoder="plain",
        classes=ClassList(tuple(LabelClass(n, name, "#102030") for n, name in enumerate(names)), 0),
        normalization=Normalization(scale=1.0, mean=(0, 0, 0), std=(1, 1, 1)),
        tile=64,
    )
    text = json.dumps({"__metadata__": {METADATA_KEY: header.to_json()}}).encode()
    return len(text).to_bytes(8, "little") + text


def test_while_the_engine_starts_the_bar_names_the_run_that_is_loaded(bench, folder_with_run, qtbot) -> None:
    bar = bench.window.page.prediction_bar
    bench.open(folder_with_run)
    qtbot.waitUntil(lambda: bar.hint == "Loading the network of the run of 02 Jan, 06:12 …")
    bench.trainer.engine_state_changed.emit("ready", "CPU")
    assert bar.hint.startswith("Predicting with the network of the run of ")
    key = bench.session.current.entry.key
    run = str(folder_with_run / "runs" / "2026-01-02_06-12-00-unet")
    bench.trainer.event_received.emit(predicted("U-Net, run of 02 Jan, 06:12", run, miou=0.5, key=key))
    said = "U-Net, run of 02 Jan, 06:12, mIoU 0.50 on 4 held-out images  ·  100 % sure  ·  Press Return"
    assert bar.hint.startswith(said)


def test_weights_that_cannot_predict_here_are_not_announced(folder_with_run: Path) -> None:
    with Project.open(folder_with_run, lock=False) as project:
        layout, classes = project.layout, project.classes
    assert read_history(layout, classes).shown == "run of 02 Jan, 06:12"
    (run,) = layout.runs_by_time()
    (run / "best.safetensors").write_bytes(weights("background", "nerve", "a class that is gone"))
    assert read_history(layout, classes).shown == ""
    (run / "best.safetensors").write_bytes(b"cut off")
    assert read_history(layout, classes).shown == ""


def test_the_instant_learner_is_announced_and_what_it_waits_for() -> None:
    words = OverlayWords()
    words.set_live(True)
    assert words.without() == "Draw something: a prediction follows within seconds"
    words.set_drawn(True)
    assert words.without() == "Loading the instant learner …"
    words.on_event(EngineReady(pid=1, device="CPU", torch="2"))
    assert words.without() == "Learning what is drawn …"
    words.on_event(predicted("Instant learner", None))
    words.image_changed()
    assert words.without() == "Predicting this image …"
    words.engine_changed(ready=False, gone=True)
    assert words.without() == ""
    words.engine_changed(ready=True, gone=False)
    assert words.on_event(Failed(during="LearnLive", text="the encoder's weights are not to be had"))
    assert words.without() == ""


def test_the_bar_says_when_a_first_prediction_comes(bench, image_folder) -> None:
    bar, live = bench.window.page.prediction_bar, bench.window.actions_["train.live"]
    bench.open(image_folder(2))
    assert bar.hint == "Train to see a prediction"
    live.setChecked(True)
    assert bar.hint == "Draw something: a prediction follows within seconds"
    bench.trainer.engine_state_changed.emit("ready", "CPU")
    bench.add_class("nerve")
    bench.draw_square(10, 10, 20)
    assert bar.hint == "Learning what is drawn …"
    bench.session.undo()
    assert bar.hint == "Draw something: a prediction follows within seconds"
    live.setChecked(False)
    assert bar.hint == "Train to see a prediction"


def test_drawn_on_another_image_counts_and_background_alone_does_not(bench, image_folder, qtbot) -> None:
    bar = bench.window.page.prediction_bar
    bench.window.actions_["train.live"].setChecked(True)
    bench.open(image_folder(2))
    bench.trainer.engine_state_changed.emit("ready", "CPU")
    bench.add_class("nerve")
    bench.session.set_active_class(bench.session.classes.by_name("background"))
    bench.draw_square(10, 10, 20)
    assert bar.hint == "Draw something: a prediction follows within seconds"
    bench.session.set_active_class(bench.session.classes.by_name("nerve"))
    bench.draw_square(34, 10, 12)
    bench.session.next_image()
    bench.wait_for_image(bench.session.keys()[1])
    assert bar.hint == "Learning what is drawn …"
