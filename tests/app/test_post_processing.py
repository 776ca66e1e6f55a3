"""Post-processing in the window: switched on, its parameters, remembered, and accepted as shown."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QScrollArea, QWidget

from app.panels.post_processing import PostPanel
from core.learning.commands import PostProcess
from core.learning.events import EngineReady, Prediction
from core.learning.labels.packed_mask import PackedMask
from core.postprocess.pipeline import DenseCrf, Pipeline, SmallRegions

SIZE_HW = (48, 64)


@pytest.fixture
def bench(make_window, image_folder):
    bench = make_window()
    bench.open(image_folder(2, size_hw=SIZE_HW))
    bench.add_class("disc")
    return bench


def sent(bench) -> list[str]:
    return [command.steps for command in bench.trainer.sent if isinstance(command, PostProcess)]


def predicted(bench, version: int, post: str, side: int = 20) -> Prediction:
    classes = np.zeros(SIZE_HW, np.uint8)
    classes[5 : 5 + side, 5 : 5 + side] = 1
    return Prediction(
        key=bench.session.current.entry.key, revision=0, weights_version=version,
        classes=PackedMask.pack(classes), confidence=PackedMask.pack(np.full(SIZE_HW, 200, np.uint8)),
        source="U-Net", seconds=0.4, post=post,
    )  # fmt: skip


def test_everything_is_off_until_somebody_switches_it_on(bench):
    assert not bench.window.post.pipeline
    assert not sent(bench)


def test_a_step_that_is_switched_on_goes_to_the_engine_with_its_parameters(bench, qtbot):
    panel = bench.window.post
    box = panel.steps["min_region"]
    assert not box.fields["pixels"].isVisibleTo(panel)
    box.switch.click()
    assert box.fields["pixels"].isVisibleTo(panel)
    for pixels in (100, 200, 300):
        box.fields["pixels"].setValue(pixels)
    qtbot.waitUntil(lambda: bool(sent(bench)))
    assert sent(bench) == ["min_region=300"], "not at every turn of the number"
    panel.steps["crf"].switch.click()
    qtbot.waitUntil(lambda: len(sent(bench)) == 2)
    assert Pipeline.parsed(sent(bench)[1]) == Pipeline((DenseCrf(), SmallRegions(pixels=300)))
    box.switch.click()
    panel.steps["crf"].switch.click()
    qtbot.waitUntil(lambda: len(sent(bench)) == 3)
    assert sent(bench)[2] == ""


def test_the_note_says_what_has_become_of_the_choice(bench, qtbot):
    panel = bench.window.post
    say = bench.trainer.event_received.emit
    panel.steps["crf"].switch.click()
    assert "next prediction" in panel.note
    qtbot.waitUntil(lambda: bool(sent(bench)))
    say(predicted(bench, 1, "crf=5"))
    assert panel.note.startswith("Shown, 0.4 s")
    panel.steps["crf"].fields["iterations"].setValue(9)
    assert panel.note == "Computing …"
    qtbot.waitUntil(lambda: len(sent(bench)) == 2)
    say(predicted(bench, 2, ""))
    assert "as the network sees it" in panel.note
    say(predicted(bench, 3, "crf=9"))
    assert panel.note.startswith("Shown")


def test_after_a_new_engine_an_image_that_cannot_be_processed_is_said_to_be_as_it_is(bench, qtbot):
    say = bench.trainer.event_received.emit
    say(predicted(bench, 7, ""))
    bench.window.post.steps["crf"].switch.click()
    qtbot.waitUntil(lambda: bool(sent(bench)))
    assert bench.window.post.note == "Computing …"
    say(EngineReady(pid=2, device="CPU", torch="2"))
    bench.trainer.engine_state_changed.emit("ready", "CPU")
    say(predicted(bench, 1, ""))
    assert "as the network sees it" in bench.window.post.note


def test_what_is_shown_is_what_is_accepted(bench, qtbot):
    say = bench.trainer.event_received.emit
    say(predicted(bench, 1, "", side=20))
    say(predicted(bench, 2, "crf=5", side=10))
    bench.window.controller.accepting.accept_all()
    qtbot.waitUntil(lambda: bool(bench.session.current.document.shapes))
    (shape,) = bench.session.current.document.shapes
    xs = [x for x, _ in shape.points]
    assert max(xs) - min(xs) <= 10


def test_the_choice_is_kept_for_its_project(bench, make_window, qtbot):
    root = bench.session.project.root
    bench.window.post.steps["fill_holes"].switch.click()
    bench.window.post.steps["fill_holes"].fields["pixels"].setValue(33)
    qtbot.waitUntil(lambda: bool(sent(bench)))
    bench.window.close()
    qtbot.waitUntil(lambda: bench.window.closed)
    again = make_window()
    again.open(root)
    assert str(again.window.post.pipeline) == "fill_holes=33"
    assert sent(again) == ["fill_holes=33"]


def test_objects_are_not_parted_where_there_is_no_background(shown):
    panel = shown(PostPanel())
    panel.set_pipeline(Pipeline.parsed("min_region=5;watershed"))
    panel.set_background(False)
    box = panel.steps["watershed"]
    assert not box.switch.isEnabled()
    assert str(panel.pipeline) == "min_region=5"
    panel.set_background(True)
    assert str(panel.pipeline) == "min_region=5;watershed=6"


def test_a_project_opens_with_its_choice_sent_once_and_what_can_be_done_with_it(bench, image_folder):
    panel = bench.window.post
    other = image_folder(1, name="other")
    for root in (bench.session.project.root, other):
        bench.window.settings.set_post_processing(root, "watershed")
    bench.open(other)
    assert sent(bench) == ["watershed=6"]
    bench.open(image_folder(1, name="third"))
    assert sent(bench) == ["watershed=6", ""]
    assert panel.reset_button.isHidden()
    bench.open(other)
    assert sent(bench) == ["watershed=6", "", "watershed=6"]
    assert panel.copy_button.isEnabled()
    assert not panel.reset_button.isHidden()
    bench.open(bench.session.project.root.parent / "scans")
    assert sent(bench) == ["watershed=6", "", "watershed=6"]


def test_scrolling_past_a_number_leaves_it_as_it_is(shown, qtbot):
    panel = shown(PostPanel(), 260, 300)
    panel.set_pipeline(Pipeline.parsed("crf"))
    field = panel.steps["crf"].fields["iterations"]
    area = panel.findChild(QScrollArea)
    qtbot.waitUntil(lambda: area.verticalScrollBar().maximum() > 0)
    turn_wheel(field)
    assert field.value() == 5
    assert area.verticalScrollBar().value() > 0
    area.ensureWidgetVisible(field)
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    turn_wheel(field)
    assert field.value() == 4


def turn_wheel(widget: QWidget) -> None:
    """One notch down over the middle of a widget."""
    window = widget.window()
    QTest.wheelEvent(
        window.windowHandle(), QPointF(widget.mapTo(window, widget.rect().center())), QPoint(0, -120)
    )


def test_the_choice_is_copied_for_the_command_line(bench):
    panel = bench.window.post
    assert not panel.copy_button.isEnabled()
    panel.steps["min_region"].switch.click()
    bench.window.actions_["train.post_process"].trigger()
    assert panel.isVisible()
    panel.copy_button.click()
    assert QGuiApplication.clipboard().text() == "min_region=64"


def test_all_steps_are_switched_off_at_once_with_their_usual_numbers(bench, qtbot):
    panel = bench.window.post
    assert panel.reset_button.isHidden()
    panel.steps["crf"].switch.click()
    panel.steps["min_region"].switch.click()
    panel.steps["min_region"].fields["pixels"].setValue(300)
    qtbot.waitUntil(lambda: bool(sent(bench)))
    panel.reset_button.click()
    assert not panel.pipeline
    assert panel.reset_button.isHidden()
    qtbot.waitUntil(lambda: sent(bench)[-1] == "")
    panel.steps["min_region"].switch.click()
    assert panel.pipeline == Pipeline((SmallRegions(),))


def test_every_step_can_be_shown_and_read_back(shown):
    panel = shown(PostPanel())
    text = "crf:iterations=7,sxy=33.5;min_region=9;fill_holes=8;watershed:distance=12,neck=0.65"
    panel.set_pipeline(Pipeline.parsed(text))
    assert panel.pipeline == Pipeline.parsed(text)
