"""Guards and fixtures for tests of the window: nothing may be left running, nothing may complain."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import shiboken6
from PIL import Image
from PySide6.QtCore import QThread

QT_NOISE = (
    r"This plugin does not support",  # the offscreen platform, of every window it shows
    r"QFont::setPointSize",
    r"Cannot find font directory",
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "expects_errors: the test provokes errors that are logged")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.qt_log_level_fail("WARNING"))
            item.add_marker(pytest.mark.qt_log_ignore(*QT_NOISE))


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Fail on threads and child processes that outlive their test."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 3.0
    while (left := _left_running(before)) and time.monotonic() < deadline:
        gc.collect()
        threading.Event().wait(0.05)
    assert not left, f"left running: {left}"


def _left_running(before: set[threading.Thread]) -> list[str]:
    threads = [
        t.name for t in threading.enumerate() if t not in before and not isinstance(t, threading._DummyThread)
    ]
    # A plain QThread object is only a handle of a thread that Qt or Python made; ours are subclasses.
    qthreads = [
        repr(found)
        for found in gc.get_objects()
        if isinstance(found, QThread) and type(found) is not QThread
        if shiboken6.isValid(found) and found.isRunning()
    ]
    children = [child.name for child in multiprocessing.active_children()]
    return threads + qthreads + children


@pytest.fixture(autouse=True)
def no_logged_errors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail when an error was logged: a swallowed exception is still a defect."""
    records: list[logging.LogRecord] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    keeper = Keeper(logging.ERROR)
    logging.getLogger().addHandler(keeper)
    yield
    logging.getLogger().removeHandler(keeper)
    if request.node.get_closest_marker("expects_errors") is None:
        formatter = logging.Formatter()
        assert not records, "\n".join(formatter.format(record) for record in records)


def write_image(path: Path, size_hw: tuple[int, int] = (48, 64), seed: int = 0) -> Path:
    """A small grey image with a bright disc, different for every seed."""
    height, width = size_hw
    generator = np.random.default_rng(seed)
    pixels = generator.integers(40, 90, (height, width), dtype=np.uint8)
    rows, columns = np.mgrid[:height, :width]
    centre = generator.integers(16, min(height, width) - 16, 2)
    pixels[(rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < 100] = 200
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def image_folder(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder of so many small images: `image_folder(3)`."""

    def make(count: int = 3, name: str = "scans", size_hw: tuple[int, int] = (48, 64)) -> Path:
        folder = tmp_path / name
        for number in range(count):
            write_image(folder / f"scan{number:03}.png", size_hw, seed=number)
        return folder

    return make
