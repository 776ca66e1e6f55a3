"""The scores of the last validation in the training panel: class by class, with what they are of."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from app.panels.class_scores import ClassScores
from core.learning.scores.bootstrap import Interval
from core.learning.scores.gain import Gain
from tests.app.engine_events import CLASSES, validated

pytestmark = pytest.mark.usefixtures("dressed")


def _scores(shown, **changes: object) -> ClassScores:
    scored: dict[str, object] = {
        "miou": 0.6, "per_class_iou": {"background": 0.9, "nerve": 0.4, "vessel": None}, "images": 8,
        "confusion": ((900, 100, 0), (250, 750, 0), (0, 0, 0)),
    }  # fmt: skip
    scores = shown(ClassScores(), 260, 220)
    scores.show_validation(validated(40, **(scored | changes)), CLASSES)
    return scores


def test_a_score_is_shown_with_its_interval(shown) -> None:
    scores = _scores(
        shown, interval=Interval(0.55, 0.68), class_intervals={"nerve": Interval(0.3, 0.5)}, miou=0.62
    )
    assert scores.heading_text == "mIoU 0.62 (0.55–0.68) on 8 held-out images"
    tip = scores.view.model().index(1, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert tip == "nerve: IoU 0.400, 95 % between 0.30 and 0.50"


def test_a_class_without_a_true_pixel_has_a_dash_and_a_reason(shown) -> None:
    scores = _scores(shown, class_notes={"vessel": "no pixel of this class is labelled in the 8 images"})
    tip = scores.view.model().index(2, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert tip == "vessel: no pixel of this class is labelled in the 8 images"


def test_cross_fitted_scores_are_not_called_validation_images(shown) -> None:
    assert _scores(shown, on="cross-fit", images=40).heading_text == "mIoU 0.60 on 40 cross-fitted images"


def test_what_the_last_minutes_brought_is_said_until_another_project(shown) -> None:
    scores = _scores(shown, gain=Gain(0.04, Interval(0.01, 0.07), seconds=300.0, images=8))
    assert scores.gain_text == "The last 5 minutes gained 0.04 (0.01–0.07)"
    scores.clear()
    assert scores.gain_text == ""
    assert not scores.confusion_button.isEnabled()
