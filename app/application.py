"""The program around the window: Qt, theme, log, last resort for unforeseen errors."""

from __future__ import annotations

import logging
import logging.handlers
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final

from PySide6.QtCore import (
    QObject,
    QSocketNotifier,
    QStandardPaths,
    Qt,
    QtMsgType,
    Signal,
    qInstallMessageHandler,
)
from PySide6.QtWidgets import QApplication

from app.collector import GuiCollector
from app.icons import app_icon
from app.main_window import MainWindow
from app.settings import Settings
from app.theme import apply_theme
from core.learning.config import TrainConfig

log = logging.getLogger(__name__)

LOG_BYTES: Final = 2_000_000
SWITCH_S: Final = 0.0005
"""How long a worker may keep the interpreter while the window waits for it. Painting gives it away and takes
it back hundreds of times: at Python's own 5 ms an undo beside a save of ten thousand shapes takes 100 ms."""
SAME_ERROR_S: Final = 5.0
"""An error that comes with every paint is told once in this time."""


def run_window(path: Path | None, *, train: TrainConfig | None = None) -> int:
    """Open the window and stay until it is closed.

    Args:
        path: a folder, project.json, image or labelme JSON to open; None shows the welcome page.
        train: start this run as soon as the project is open (the demo).

    Returns:
        The exit code.
    """
    app = make_application()
    start_log()
    settings = Settings()
    apply_theme(app, settings.theme)
    window = MainWindow(settings)
    safety = SafetyNet(window)
    safety.install()
    window.left.connect(app.quit)  # a window that was hidden while the engine left is no "last window closed"
    window.show()
    if path is not None:
        window.open_path(path)
    if train is not None:
        TrainOnceOpen(window, train)
    collector = GuiCollector(app)
    window.session.project_changed.connect(collector.freeze_soon)
    code = app.exec()
    collector.stop()
    safety.remove()
    return code


def make_application() -> QApplication:
    """The one QApplication, named; settings and folders go by these names."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    sys.setswitchinterval(SWITCH_S)
    QApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    app = QApplication(sys.argv[:1])
    app.setApplicationName("Maskloop")
    app.setOrganizationName("Maskloop")
    app.setDesktopFileName("maskloop")
    app.setWindowIcon(app_icon())
    return app


def start_log() -> Path | None:
    """Write warnings and errors to a file that never grows large; None when there is no place for one."""
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    folder = Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.AppLocalDataLocation))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "maskloop.log"
        handler = logging.handlers.RotatingFileHandler(
            file, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8"
        )
    except OSError:
        return None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    qInstallMessageHandler(_on_qt_message)
    return file


def _on_qt_message(kind: QtMsgType, _context: object, text: str) -> None:
    level = logging.INFO if kind in (QtMsgType.QtDebugMsg, QtMsgType.QtInfoMsg) else logging.WARNING
    logging.getLogger("qt").log(level, "%s", text)


class SafetyNet(QObject):
    """Catches what nothing else caught: a line in the log and a sentence in the window, never a crash.

    Also turns SIGINT and SIGTERM into an orderly close.
    """

    _caught = Signal(str)

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._last: tuple[str, float] = ("", 0.0)
        self._caught.connect(self._tell)  # queued when the error was in another thread
        self._before = sys.excepthook
        self._thread_before = threading.excepthook
        self._notifier: QSocketNotifier | None = None
        self._sockets: tuple[socket.socket, socket.socket] | None = None

    def install(self) -> None:
        """Begin to catch."""
        sys.excepthook = self._on_exception
        threading.excepthook = self._on_thread_exception
        self._watch_signals()

    def remove(self) -> None:
        """Everything as it was before."""
        sys.excepthook = self._before
        threading.excepthook = self._thread_before
        if self._sockets is not None:
            signal.set_wakeup_fd(-1)
            for end in self._sockets:
                end.close()
            self._sockets = None

    def _on_exception(
        self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            self._window.close()
            return
        log.critical("Unexpected error", exc_info=(kind, error, traceback))
        self._caught.emit(f"{kind.__name__}: {error}" if str(error) else kind.__name__)

    def _on_thread_exception(self, arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            self._on_exception(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)

    def _tell(self, text: str) -> None:
        told, when = self._last
        now = time.monotonic()
        if text == told and now - when < SAME_ERROR_S:
            return
        self._last = text, now
        sentence = f"Something unexpected went wrong ({text}). Your labels are safe; details are in the log."
        self._window.show_message(sentence, "error")

    def _watch_signals(self) -> None:
        """Python runs its signal handlers only between bytecodes: a socket wakes Qt's loop up for them."""
        if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
            return
        self._sockets = socket.socketpair()
        for end in self._sockets:
            end.settimeout(0.0)
        signal.set_wakeup_fd(self._sockets[1].fileno())
        self._notifier = QSocketNotifier(self._sockets[0].fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._on_signal_byte)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._window.close()

    def _on_signal_byte(self) -> None:
        if self._sockets is not None:
            self._sockets[0].recv(64)


class TrainOnceOpen(QObject):
    """Starts one run when the first image of the window is there."""

    def __init__(self, window: MainWindow, config: TrainConfig) -> None:
        super().__init__(window)
        self._window = window
        self._config = config
        window.session.current_changed.connect(self._on_current_changed)

    def _on_current_changed(self, current: object) -> None:
        if current is not None:
            self._window.session.current_changed.disconnect(self._on_current_changed)
            self._window.train(self._config)
