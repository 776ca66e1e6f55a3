"""The overlay is fresh when it matters, and training keeps most of the time."""

from __future__ import annotations

from core.learning.overlay.schedule import PredictionSchedule, Target

A = Target("a", "a.png")
B = Target("b", "b.png")


def test_nothing_is_predicted_without_weights_or_without_an_image() -> None:
    schedule = PredictionSchedule()
    assert schedule.next(0.0, 1, training=False) is None
    schedule.watch(A)
    schedule.request(Target("c", "c.png"))
    schedule.request(B)
    assert schedule.next(0.0, None, training=False) is None
    assert schedule.next(0.0, 1, training=False) == A
    schedule.done(A, 1, started_s=0.0, ended_s=1.0)
    assert schedule.next(1.0, 1, training=False) == B, "what was wanted last comes once there are weights"
    schedule.done(B, 1, started_s=1.0, ended_s=2.0)
    assert schedule.next(2.0, 1, training=False) is None


def test_a_newly_watched_image_goes_ahead_of_requests_and_of_training() -> None:
    schedule = PredictionSchedule()
    schedule.watch(A)
    schedule.request(B)
    assert schedule.next(0.0, 1, training=True) == A
    schedule.done(A, 1, started_s=0.0, ended_s=50.0)
    assert schedule.next(50.0, 1, training=True) == B
    schedule.done(B, 1, started_s=50.0, ended_s=51.0)
    assert schedule.next(51.0, 1, training=True) is None
    schedule.watch(B)
    assert schedule.next(51.0, 1, training=True) == B


def test_while_training_the_watched_image_is_refreshed_about_every_second() -> None:
    schedule = PredictionSchedule(refresh_s=1.0, share=0.5)
    schedule.watch(A)
    schedule.done(A, 1, started_s=0.0, ended_s=0.1)
    assert schedule.next(0.9, 5, training=True) is None
    assert schedule.next(1.1, 1, training=True) is None  # the same weights say the same
    assert schedule.next(1.1, 5, training=True) == A


def test_without_training_new_weights_show_at_once() -> None:
    schedule = PredictionSchedule()
    schedule.watch(A)
    schedule.done(A, 1, started_s=0.0, ended_s=0.1)
    assert schedule.next(0.2, 2, training=False) == A
    schedule.done(A, 2, started_s=0.2, ended_s=0.3)
    assert schedule.next(0.4, 2, training=False) is None
    schedule.weights_replaced()
    assert schedule.next(0.4, 2, training=False) == A


def test_a_correction_shows_with_the_next_weights_without_waiting_for_the_second() -> None:
    schedule = PredictionSchedule(refresh_s=10.0)
    schedule.watch(A)
    schedule.done(A, 1, started_s=0.0, ended_s=0.1)
    schedule.labels_changed("b")
    assert schedule.next(1.0, 2, training=True) is None
    schedule.labels_changed("a")
    assert schedule.next(1.0, 1, training=True) is None  # these weights have not learnt from it yet
    assert schedule.next(1.0, 2, training=True) == A
    schedule.done(A, 2, started_s=1.0, ended_s=1.1)
    assert schedule.next(2.0, 3, training=True) is None


def test_slow_predictions_take_at_most_their_share_of_the_time() -> None:
    schedule = PredictionSchedule(refresh_s=1.0, share=0.25)
    schedule.watch(A)
    now, predicting, version = 0.0, 0.0, 0
    while now < 400.0:
        schedule.labels_changed("a")  # a person who corrects without a pause
        target = schedule.next(now, version, training=True)
        if target is None:
            now, version = now + 0.5, version + 1
        else:
            schedule.done(target, version, started_s=now, ended_s=now + 6.0)
            now, predicting = now + 6.0, predicting + 6.0
    assert 0.2 < predicting / now < 0.28


def test_an_image_that_cannot_be_predicted_is_not_tried_again_and_again() -> None:
    schedule = PredictionSchedule()
    schedule.watch(A)
    schedule.request(B)
    schedule.failed(A)
    schedule.failed(B)
    assert schedule.next(9.0, 2, training=True) is None
    schedule.watch(A)
    assert schedule.next(9.0, 2, training=True) == A


def test_a_removed_image_is_forgotten() -> None:
    schedule = PredictionSchedule()
    schedule.watch(A)
    schedule.request(B)
    schedule.forget("b")
    schedule.forget("a")
    assert schedule.watched is None
    assert schedule.next(0.0, 1, training=False) is None


def test_what_could_not_be_predicted_is_tried_again_with_other_weights() -> None:
    schedule = PredictionSchedule()
    schedule.watch(A)
    schedule.failed(A)
    assert schedule.next(0.0, 1, training=False) is None
    assert schedule.next(0.0, 2, training=False) is None, "newer ones of the same network"
    schedule.weights_replaced()
    assert schedule.next(0.0, 2, training=False) == A
    schedule.failed(A, unreadable=True)
    schedule.weights_replaced()
    assert schedule.next(0.0, 3, training=False) is None, "no weights make a file readable"
