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
from PySide6.QtCore import QPoint, QPointF, Qt, QThread
from PySide6.QtWidgets import QApplication, QDialog, QWidget

from app.dialogs.message import MessageDialog
from app.main_window import MainWindow
from app.panels.training_panel import TrainingPanel
from app.settings import Settings
from app.theme import apply_theme
from app.workers.trainer_thread import TrainerThread
from core.learning.commands import Command, OpenProject
from core.learning.events import ProjectOpened

LEAVING_S = 20.0
"""How long what a test has started may take to end; on a busy machine three seconds were too few."""

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


@pytest.fixture(scope="session", autouse=True)
def collect_in_this_thread_only() -> Iterator[None]:
    """As in the program (app/collector.py): a worker must not collect what an earlier test left behind."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def nothing_left_running(collect_in_this_thread_only: None) -> Iterator[None]:
    """Fail on threads and child processes that outlive their test."""
    before = set(threading.enumerate())
    yield
    gc.collect(1)
    deadline = time.monotonic() + LEAVING_S
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
        if issubclass(type(found), QThread) and type(found) is not QThread
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


@pytest.fixture
def dressed(qapp: QApplication) -> None:
    """The dark theme, for widgets that are tested outside of a window."""
    apply_theme(qapp, "dark")


@pytest.fixture
def shown(qtbot) -> Callable[..., QWidget]:
    """Show a widget by itself, in a size if one is given, for this test: `shown(panel, 260, 300)`."""

    def show(widget: QWidget, *size: int) -> QWidget:
        qtbot.addWidget(widget)
        if size:
            widget.resize(*size)
        with qtbot.waitExposed(widget):
            widget.show()
        return widget

    return show


@pytest.fixture
def panel(shown: Callable[..., QWidget], dressed: None) -> TrainingPanel:
    """The training panel by itself, wide enough for curves and scores."""
    return shown(TrainingPanel(), 1200, 210)


class QuietTrainer(TrainerThread):
    """Remembers what the engine would be told, and never starts one."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Command] = []

    def start_engine(self) -> None:
        pass

    def send(self, command: Command) -> None:
        self.sent.append(command)
        if isinstance(command, OpenProject):
            self.event_received.emit(ProjectOpened(root=command.root))


class WindowBench:
    """A window with a person in front of it."""

    def __init__(self, window: MainWindow, trainer: QuietTrainer, qtbot) -> None:
        self.window = window
        self.trainer = trainer
        self.session = window.session
        self.canvas = window.canvas
        self._qtbot = qtbot

    def open(self, path: Path) -> None:
        self.window.open_path(path)
        self._qtbot.waitUntil(lambda: self.session.current is not None and not self.session.busy)

    def add_class(self, name: str) -> None:
        with self._qtbot.waitSignal(self.session.classes_changed):
            self.session.add_class(name)

    def at(self, x: float, y: float) -> QPoint:
        """A point of the image in the viewport."""
        return self.canvas.to_viewport(QPointF(x, y)).toPoint()

    def click(self, x: float, y: float, modifier=Qt.KeyboardModifier.NoModifier) -> None:
        viewport = self.canvas.viewport()
        self._qtbot.mouseMove(viewport, self.at(x, y))
        self._qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, modifier, self.at(x, y))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        viewport = self.canvas.viewport()
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        self._qtbot.mouseMove(viewport, self.at(*start))
        self._qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=self.at(*start))
        for point in (middle, end):
            self._qtbot.mouseMove(viewport, self.at(*point))
        self._qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=self.at(*end))

    def key(self, key: Qt.Key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
        self._qtbot.keyClick(self.canvas, key, modifier)

    def draw_square(self, x: float, y: float, side: float = 10.0) -> None:
        """Draw with the polygon tool: four clicks and Enter."""
        self.key(Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
        for corner in ((x, y), (x + side, y), (x + side, y + side), (x, y + side)):
            self.click(*corner)
        self.key(Qt.Key.Key_Return)

    def wait_saved(self) -> None:
        self._qtbot.waitUntil(lambda: self.session.save_state.kind == "saved")

    def dialog(self, kind: type[QDialog]) -> QDialog:
        """The dialog of this kind that is on show, or will be."""
        dialogs = lambda: [each for each in self.window.findChildren(kind) if each.isVisible()]  # noqa: E731
        self._qtbot.waitUntil(lambda: bool(dialogs()))
        return dialogs()[0]

    def labels(self) -> list[str]:
        current = self.session.current
        assert current is not None
        assert current.document is not None
        return [shape.label for shape in current.document.shapes]

    def wait_for_image(self, key: str) -> None:
        session = self.session
        self._qtbot.waitUntil(lambda: session.current is not None and session.current.entry.key == key)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(tmp_path / "settings.ini")
    made.learn_live = False  # the bundled encoder takes seconds to load; tests that want it switch it on
    return made


@pytest.fixture
def make_window(qapp: QApplication, qtbot, settings: Settings) -> Iterator[Callable[[], WindowBench]]:
    """Make a window without an engine, shown and active; it is closed after the test."""
    apply_theme(qapp, "dark")
    benches: list[WindowBench] = []

    def make() -> WindowBench:
        trainer = QuietTrainer()
        window = MainWindow(settings, trainer)
        window.resize(1200, 800)
        window.show()
        qtbot.waitExposed(window)
        window.activateWindow()
        benches.append(WindowBench(window, trainer, qtbot))
        return benches[-1]

    yield make
    for bench in benches:
        close_window(bench.window)
    qapp.closeAllWindows()


def close_window(window: MainWindow) -> None:
    if not shiboken6.isValid(window) or window.closed:
        return
    window.session.close(discard=True)
    window.close()
    for question in window.findChildren(MessageDialog):  # about what waits for its label
        if question.isVisible():
            question.buttons["leave"].click()
    assert window.closed
    window.deleteLater()


@pytest.fixture
def bench(make_window: Callable[[], WindowBench]) -> WindowBench:
    return make_window()


@pytest.fixture
def opened(bench: WindowBench, image_folder: Callable[..., Path]) -> WindowBench:
    """A window on a project of three images with the classes background, nerve and vessel."""
    bench.open(image_folder(3))
    for name in ("nerve", "vessel"):
        bench.add_class(name)
    nerve = bench.session.classes.by_name("nerve")
    bench.session.set_active_class(nerve)
    return bench
