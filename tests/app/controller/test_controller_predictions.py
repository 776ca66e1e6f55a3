"""Which predictions are shown, and how they become shapes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from core.annotation.commands import RemoveShapes
from core.annotation.model import AnnotationState
from core.learning.commands import LabelsChanged
from core.learning.events import Prediction, ProjectOpened, WeightsGone
from core.learning.labels.packed_mask import PackedMask
from tests.app.controller.conftest import Bench, predicted
from tests.app.engine_events import finished, validated


def test_predictions_of_the_current_image_are_shown_and_others_kept_for_later(opened: Bench) -> None:
    first, ahead = predicted("scan000.png"), predicted("scan001.png")
    opened.thread.say(first)
    opened.thread.say(ahead)
    assert opened.shown == [first]
    opened.show("scan001.png")
    assert opened.shown == [first, ahead]  # at once, without the engine
    opened.show("scan002.png")
    assert opened.shown[-1] is None


def test_what_was_predicted_does_not_count_once_nothing_predicts_any_more(opened: Bench) -> None:
    opened.thread.say(predicted("scan000.png"))
    opened.thread.say(predicted("scan001.png"))
    opened.thread.say(WeightsGone())
    assert opened.shown[-1] is None
    opened.show("scan001.png")
    assert opened.controller.prediction is None


def test_what_the_engine_still_says_of_the_project_before_is_not_shown_in_this_one(
    opened: Bench, image_folder: Callable[..., Path]
) -> None:
    opened.start_training()
    other = image_folder(3, "others")
    opened.thread.answers = False
    opened.open(other)
    assert opened.controller.training_state == "stopping"
    opened.events.clear()
    of_before = [validated(10, 0.8), predicted("scan000.png"), finished("/runs/1")]
    for event in of_before:
        opened.thread.say(event)
    assert opened.events == []
    assert opened.controller.prediction is None
    assert opened.controller.training_state == "idle"
    assert opened.session.project is not None
    opened.thread.say(ProjectOpened(root=str(opened.session.project.root)))
    own = predicted("scan000.png")
    opened.thread.say(own)
    assert opened.controller.prediction is own
    opened.session.close()
    opened.thread.say(predicted("scan001.png", version=2))
    assert opened.events[-1] is own
    assert opened.controller.prediction is None


def test_stale_predictions_are_dropped(opened: Bench) -> None:
    fresh = predicted("scan000.png", version=5, revision=3)
    opened.thread.say(fresh)
    opened.thread.say(predicted("scan000.png", version=4, revision=3))
    opened.thread.say(predicted("scan000.png", version=5, revision=2))
    assert opened.shown == [fresh]
    newer = predicted("scan000.png", version=6, revision=3)
    opened.thread.say(newer)
    assert opened.shown == [fresh, newer]
    opened.thread.ready()  # another engine counts from the beginning
    recounted = predicted("scan000.png", version=1, revision=0)
    opened.thread.say(recounted)
    assert opened.shown[-1] is recounted


def test_a_clicked_region_becomes_a_shape_and_can_be_undone(opened: Bench) -> None:
    opened.controller.accepting.accept_region(12, 12)
    assert "no prediction" in opened.messages[-1][0]
    opened.thread.say(predicted("scan000.png"))
    opened.controller.accepting.accept_region(12, 12)
    opened.qtbot.waitUntil(lambda: len(opened.document) == 1)
    assert opened.document.shapes[0].label == "square"
    mask = opened.wait_for(LabelsChanged).mask.unpack()
    assert (mask[10:30, 10:30] == 1).all()
    opened.session.undo()
    assert len(opened.document) == 0
    assert opened.document.state is AnnotationState.UNLABELLED


def test_accept_all_is_one_step_and_leaves_the_person_s_shapes_on_top(opened: Bench) -> None:
    mine = opened.draw("_background_", 10, 10, 14, 29)
    opened.thread.say(predicted("scan000.png"))
    opened.controller.accepting.accept_all()
    opened.qtbot.waitUntil(lambda: len(opened.document) == 3)
    assert opened.document.shapes[-1].uid == mine.uid
    opened.session.undo()
    assert [shape.uid for shape in opened.document.shapes] == [mine.uid]


def test_nothing_is_accepted_when_the_labels_or_the_image_changed_meanwhile(opened: Bench) -> None:
    opened.thread.say(predicted("scan000.png"))
    slow = threading.Event()
    opened.controller._worker.run(slow.wait, 10, priority=2)
    opened.controller.accepting.accept_all()
    mine = opened.draw(x0=40, x1=50)
    slow.set()
    opened.qtbot.waitUntil(lambda: any("drawn meanwhile" in text for text, _ in opened.messages))
    assert [shape.uid for shape in opened.document.shapes] == [mine.uid]
    slow.clear()
    opened.controller._worker.run(slow.wait, 10, priority=2)
    opened.controller.accepting.accept_all()
    opened.show("scan001.png")
    slow.set()
    opened.qtbot.waitUntil(lambda: any("another image" in text for text, _ in opened.messages))
    assert len(opened.document) == 0


def test_nothing_is_accepted_under_the_old_name_of_a_class(opened: Bench) -> None:
    opened.thread.say(predicted("scan000.png"))
    slow = threading.Event()
    opened.controller._worker.run(slow.wait, 10, priority=2)
    opened.controller.accepting.accept_all()
    with opened.qtbot.waitSignal(opened.session.classes_changed):
        opened.session.class_editor.rename(1, "box")
    slow.set()
    opened.qtbot.waitUntil(lambda: any("classes changed meanwhile" in text for text, _ in opened.messages))
    assert len(opened.document) == 0


def test_a_prediction_of_another_size_cannot_be_accepted(opened: Bench) -> None:
    wrong = PackedMask.pack(np.ones((10, 10), np.uint8))
    opened.thread.say(
        Prediction(
            key="scan000.png",
            revision=0,
            weights_version=1,
            classes=wrong,
            confidence=wrong,
            source="",
            seconds=0.0,
        )
    )
    opened.controller.accepting.accept_all()
    assert "another size" in opened.messages[-1][0]


def test_what_cannot_be_accepted_is_said(opened: Bench) -> None:
    opened.thread.say(predicted("scan000.png"))
    opened.controller.accepting.accept_region(0, 0)
    opened.qtbot.waitUntil(lambda: bool(opened.messages))
    assert opened.messages[-1] == ("Only background is predicted here; click a predicted region.", "info")
    shape = opened.draw(x0=0, y0=0, x1=63, y1=47)
    opened.controller.accepting.accept_all()
    opened.qtbot.waitUntil(lambda: "labelled already" in opened.messages[-1][0])
    assert opened.session.execute(RemoveShapes.of(opened.document, [shape.uid]))
