"""Cycles with QObjects are collected where they live."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication

from app.collector import GuiCollector


class Looped:
    """A cycle that tells in which thread it died."""

    def __init__(self, died_in: list[int]) -> None:
        self.me = self
        self.died_in = died_in
        self.qobject = QObject()

    def __del__(self) -> None:
        self.died_in.append(threading.get_ident())


def allocate_a_lot() -> None:
    for _ in range(50):
        keep = [[] for _ in range(2000)]
        del keep


@pytest.fixture
def collector(qapp: QApplication) -> Iterator[GuiCollector]:
    """One that collects when the test says so."""
    before = gc.isenabled()
    gc.enable()
    collector = GuiCollector(interval_ms=10_000_000)
    yield collector
    collector.stop()
    assert gc.isenabled()
    if not before:
        gc.disable()
    gc.collect()
    gc.freeze()  # what all tests share, see tests/conftest.py


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The generations that were collected."""
    collected: list[int] = []
    collect = gc.collect
    monkeypatch.setattr(gc, "collect", lambda oldest=2: collected.append(oldest) or collect(oldest))
    return collected


def make_due(collector: GuiCollector) -> None:
    """By the counts, every generation is due."""
    collector._thresholds = -1, -1, -1


def test_a_worker_that_allocates_never_collects_and_the_gui_thread_does(collector, qtbot):
    died_in: list[int] = []
    for _ in range(1000):
        Looped(died_in)
    worker = threading.Thread(target=allocate_a_lot)
    worker.start()
    worker.join()
    assert not died_in
    collector._timer.start(10)
    qtbot.waitUntil(lambda: bool(died_in))
    assert set(died_in) == {threading.get_ident()}


def test_all_is_looked_at_only_when_a_quarter_of_it_is_new(collector, collected):
    collector.freeze()
    make_due(collector)
    keep = [[number] for number in range(4000)]
    collector.collect()  # makes them old
    collector.collect()
    collected.clear()
    keep += [[number] for number in range(500)]
    collector.collect()
    collector.collect()
    assert collected == [1, 1]
    keep += [[number] for number in range(1000)]
    collector.collect()
    collector.collect()
    assert collected == [1, 1, 1, 2]


def test_what_stays_is_looked_at_no_more_until_a_project_comes_or_goes(collector, qtbot):
    died_in: list[int] = []
    stays = Looped(died_in)
    collector.freeze()
    assert gc.get_freeze_count() > 1000
    assert len(gc.get_objects(generation=2)) < 1000
    del stays
    gc.collect()
    assert not died_in
    collector._freezing.setInterval(0)
    collector.freeze_soon()
    qtbot.waitUntil(lambda: bool(died_in))
