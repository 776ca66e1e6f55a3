"""Curves that grow for hours, and how figures are written."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PySide6.QtCore import Qt

from app.panels.series import CAPACITY, Series
from app.readable import format_age, format_bytes, format_duration, format_share

LEFT = Qt.MouseButton.LeftButton


def test_a_series_stays_bounded_and_keeps_its_shape() -> None:
    series = Series()
    for number in range(100_000):
        series.append(number, number / 10, math.exp(-number / 20_000))
    assert len(series) <= CAPACITY
    assert series.steps[-1] == 99_999
    assert (np.diff(series.steps) > 0).all()
    expected = np.exp(-series.steps / 20_000)
    assert np.abs(series.values - expected).max() < 0.01


def test_smoothing_follows_a_running_mean_from_the_first_value() -> None:
    series = Series(smoothing=0.5)
    for number, value in enumerate([4.0, 0.0, 0.0]):
        series.append(number, number, value)
    assert series.smooth == pytest.approx([4.0, 4.0 / 3, 4.0 / 7])
    assert list(series.values) == [4.0, 0.0, 0.0]


def test_steps_done_again_after_a_crash_replace_those_that_were_lost() -> None:
    series = Series(smoothing=0.5)
    for step, value in [(1, 4.0), (2, 4.0), (3, 9.0), (4, 9.0), (3, 4.0), (4, 4.0)]:
        series.append(step, step, value)
    assert list(series.steps) == [1, 2, 3, 4]
    assert list(series.values) == [4.0] * 4
    assert series.smooth == pytest.approx([4.0] * 4)

    series.append(0, 0, 7.0)
    assert list(series.smooth) == [7.0]


def test_a_loss_that_is_not_a_number_is_left_out() -> None:
    series = Series()
    series.append(1, 1, math.nan)
    series.append(2, 2, math.inf)
    assert len(series) == 0


def test_figures_are_written_as_people_read_them() -> None:
    assert [format_duration(s) for s in (0, 67, 3723)] == ["0:00", "1:07", "1:02:03"]
    assert [format_age(s) for s in (0.3, 12, 200, 9000)] == ["now", "12 s", "3 min", "2 h"]
    assert [format_bytes(b) for b in (870_318_080, 5_583_457_484)] == ["830 MB", "5.2 GB"]
    assert [format_share(s) for s in (0, 0.0004, 0.052, 0.91)] == ["0 %", "<0.1 %", "5.2 %", "91 %"]
