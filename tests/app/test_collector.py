"""Cycles with QObjects are collected where they live."""

from __future__ import annotations

import gc
import threading

from PySide6.QtCore import QObject

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


def test_a_worker_that_allocates_never_collects_and_the_gui_thread_does(qapp, qtbot):
    before = gc.isenabled()
    gc.enable()
    collector = GuiCollector(interval_ms=10)
    try:
        died_in: list[int] = []
        for _ in range(1000):
            Looped(died_in)
        worker = threading.Thread(target=allocate_a_lot)
        worker.start()
        worker.join()
        assert not died_in
        qtbot.waitUntil(lambda: bool(died_in))
        assert set(died_in) == {threading.get_ident()}
    finally:
        collector.stop()
        assert gc.isenabled()
        if not before:
            gc.disable()
