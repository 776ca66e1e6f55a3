"""Commands reach the engine in order, and what a newer one makes pointless does not pile up."""

from __future__ import annotations

import multiprocessing
import threading
import time

from core.annotation.model import AnnotationState
from core.learning.commands import ImageRemoved, LabelsChanged, Pause, Predict, Resume, Stop, Train, Watch
from core.learning.config import TrainConfig
from core.learning.inbox import Inbox
from core.learning.labels.packed_mask import PackedMask
from tests.patience import PATIENCE_S


def labels(key: str, revision: int) -> LabelsChanged:
    return LabelsChanged(
        key=key,
        image_path=f"{key}.png",
        revision=revision,
        state=AnnotationState.IN_PROGRESS,
        mask=PackedMask((1, 1), b"\0"),
    )


def filled(*commands: object) -> Inbox:
    inbox = Inbox()
    for command in commands:
        inbox.put(command)  # type: ignore[arg-type]
    return inbox


def test_only_the_newest_labels_of_an_image_wait() -> None:
    inbox = filled(labels("a", 1), labels("b", 1), labels("a", 2))
    assert inbox.waiting() == (labels("b", 1), labels("a", 2))
    assert [inbox.take(), inbox.take(), inbox.take()] == [labels("b", 1), labels("a", 2), None]


def test_labels_sent_before_train_are_still_there_before_train() -> None:
    train = Train(config=TrainConfig())
    inbox = filled(labels("a", 1), train, labels("a", 2), Watch(key="a"), labels("a", 3))
    assert inbox.waiting() == (labels("a", 1), train, Watch(key="a"), labels("a", 3))


def test_a_removed_image_needs_no_labels() -> None:
    assert filled(labels("a", 1), ImageRemoved(key="a")).waiting() == (ImageRemoved(key="a"),)


def test_only_the_last_watched_image_and_one_request_per_image_wait() -> None:
    first, again = Predict(key="n", image_path="n.png"), Predict(key="n", image_path="n.png", revision=2)
    inbox = filled(Watch(key="a"), first, Pause(), Watch(key="b"), again, Resume())
    assert inbox.waiting() == (Pause(), Watch(key="b"), again, Resume())


def test_wait_returns_at_once_for_commands_and_for_a_wake_up_that_came_before() -> None:
    inbox = filled(Pause())
    inbox.wait()
    inbox.take()
    inbox.wake()
    inbox.wait()
    started = time.monotonic()
    inbox.wait(0.01)
    assert time.monotonic() - started >= 0.009


def test_the_pipe_is_emptied_while_the_engine_is_busy_and_its_end_is_noticed() -> None:
    ours, theirs = multiprocessing.Pipe()
    gone = threading.Event()
    inbox = Inbox(on_closed=gone.set)
    inbox.read_from(theirs)
    mask = PackedMask((2000, 2000), bytes(4_000_000))  # far more than a pipe holds
    ours.send(LabelsChanged(key="a", image_path="a", revision=1, state=AnnotationState.DONE, mask=mask))
    ours.send(Stop())
    ours.close()
    assert gone.wait(PATIENCE_S)
    assert [type(command) for command in inbox.waiting()] == [LabelsChanged, Stop]
    assert inbox.closed
    inbox.wait()
    theirs.close()
