"""The same hands on any annotation window: open a file, look, point, drag, undo, save; each timed.

Runs in our interpreter and in labelme's (needs nothing but Qt there), so that both programs are measured by
one clock at the same moments. What a window must offer is `Subject`. Every measurement prints one line as
soon as it is done; `versus_labelme.py` reads them.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, QRect, Qt, QTimer
from PySide6.QtGui import QAction, QKeySequence, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QMainWindow, QWidget

WINDOW_SIZE = 1600, 1000
QUIET_S = 0.7
"""A canvas that has not painted for so long shows what it means to show."""
NOTCH = 120
DROP_PX = 5.0
NAP_S = 0.0005
"""Between looks at a condition: workers in the same process need the interpreter too."""
WAIT_LIMIT_S = 60.0
BUDGET_S = 15.0
"""A measurement is repeated until this is spent, at least once."""


class Subject(Protocol):
    """A program's main window under test.

    Attributes:
        window: shown already. canvas: the widget that paints the image and gets the mouse.
    """

    window: QMainWindow
    canvas: QWidget

    def open(self, file: Path) -> None:
        """Begin to open a labelme JSON."""

    def loaded(self) -> bool:
        """Is everything read (not: painted)?"""

    def to_widget(self, x: float, y: float) -> QPointF:
        """A point of the image, on the canvas."""


class PaintWatch(QObject):
    """Notes when the canvas was painted and, while `keeps_pictures`, what stood there then."""

    def __init__(self, window: QMainWindow, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._window = window
        self._canvas = canvas
        self._pending = False
        self._last = 0.0
        self.keeps_pictures = False
        self.seen: list[tuple[float, bytes]] = []
        canvas.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._canvas and event.type() == QEvent.Type.Paint and not self._pending:
            self._pending = True
            QTimer.singleShot(0, self._look)  # runs when this paint has reached the screen
        return False

    def settle(self, quiet_s: float) -> None:
        """Let the window do what it has put off, until nothing has been painted for so long."""
        start = time.perf_counter()
        while self._pending or time.perf_counter() - max(start, self._last) < quiet_s:
            QApplication.processEvents()
            time.sleep(NAP_S)

    def _look(self) -> None:
        now = time.perf_counter()
        if self.keeps_pictures:
            self.seen.append((now, self._picture()))
        self._pending, self._last = False, time.perf_counter()

    def _picture(self) -> bytes:
        """The canvas as it is on the screen; paints nothing."""
        corner = self._canvas.mapTo(self._window, QPoint(0, 0))
        x, y, width, height = QRect(corner, self._canvas.size()).intersected(self._window.rect()).getRect()
        image = self._window.screen().grabWindow(self._window.winId(), x, y, width, height).toImage()
        return bytes(image.constBits())


class Hands:
    """Makes the measurements on one subject, one method each."""

    def __init__(self, subject: Subject, file: Path, vertices: Iterable[tuple[float, float]]) -> None:
        """`vertices`: of the topmost polygon, image pixels."""
        self._subject = subject
        self._file = file
        self._ring = list(vertices)
        self._canvas = subject.canvas
        self._watch = PaintWatch(subject.window, self._canvas)
        self._dragged = 0.0
        self._blocked: list[float] = []
        self.processor_ms: list[float] = []
        """What each timed action took of the processor in this thread: what a busy machine leaves to say."""
        subject.window.resize(*WINDOW_SIZE)
        self._watch.settle(0.3)

    def open_file(self) -> list[float]:
        """Until the canvas shows for the first time what it goes on to show."""
        self._watch.keeps_pictures = True
        start = time.perf_counter()
        self._subject.open(self._file)
        self._spin(self._subject.loaded)
        self._watch.settle(QUIET_S)
        final = self._watch.seen[-1][1]
        painted = next(when for when, picture in self._watch.seen if picture == final)
        self._watch.keeps_pictures = False
        self._watch.seen.clear()
        return [(painted - start) * 1000]

    def repaint(self) -> list[float]:
        return self._timed(lambda _: self._canvas.repaint(), 50)

    def zoom(self) -> list[float]:
        """One notch of the wheel with Ctrl held, alternately in and out."""
        return self._timed(lambda k: self._wheel(NOTCH if k % 2 == 0 else -NOTCH, control=True), 40)

    def scroll(self) -> list[float]:
        """One notch of the wheel, zoomed in so far that there is something to scroll."""
        for _ in range(6):
            self._wheel(NOTCH, control=True)
        self._watch.settle(0.3)
        spent = self._timed(lambda k: self._wheel(NOTCH if k // 4 % 2 else -NOTCH, control=False), 40)
        self._press("Ctrl+F")
        self._watch.settle(0.3)
        return spent

    def hover_handled(self) -> list[float]:
        """Until the program has found what is under the mouse; the painting comes after."""
        return self._hover(paint=False)

    def hover_painted(self) -> list[float]:
        return self._hover(paint=True)

    def move_vertex(self) -> list[float]:
        """One step of a drag, to painted."""
        self._grab()
        spent = self._timed(lambda _: self._pull(), 40)
        self._drop()
        self._press("Ctrl+Z")
        self._watch.settle(0.1)
        return spent

    def undo(self) -> list[float]:
        """Take a dropped vertex back, to painted."""
        spent: list[float] = []
        while len(spent) < 5 and sum(spent) < BUDGET_S * 1000:
            self._drag_once()
            spent += self._timed(lambda _: self._press("Ctrl+Z"), 1)
        return spent

    def save(self) -> list[float]:
        """From Ctrl+S after an edit until the new file lies on the disk. The last edit stays."""
        spent: list[float] = []
        self._blocked = []
        while True:
            self._drag_once()
            start = time.perf_counter()
            blocked_s = self._save_now()
            spent.append((time.perf_counter() - start) * 1000)
            self._blocked.append(blocked_s * 1000)
            self._watch.settle(0.1)
            if len(spent) == 5 or sum(spent) > BUDGET_S * 1000:
                return spent
            # Saved as well: the next drag may snap to the same place, which a file would hold already.
            self._save_now(undo_first=True)

    def settle(self, quiet_s: float) -> None:
        """Let the window do what it has put off."""
        self._watch.settle(quiet_s)

    def timed(self, action: Callable[[int], object], repeat: int) -> list[float]:
        """Milliseconds of each call, to painted."""

        def painted(number: int) -> None:
            action(number)
            QApplication.processEvents()

        return self._timed(painted, repeat)

    def save_blocks(self) -> list[float]:
        """How long Ctrl+S held the window up."""
        if not self._blocked:
            self.save()
        return self._blocked

    # --- what the hands do --------------------------------------------------------------------------------

    def _save_now(self, *, undo_first: bool = False) -> float:
        """Wait for the file to change; gives the seconds that Ctrl+S held the window up."""
        before = self._file.stat().st_mtime_ns
        if undo_first:
            self._press("Ctrl+Z")
        start = time.perf_counter()
        self._action("Ctrl+S").trigger()
        blocked_s = time.perf_counter() - start
        self._spin(lambda: self._file.stat().st_mtime_ns != before)
        return blocked_s

    def _hover(self, *, paint: bool) -> list[float]:
        dice = random.Random(3)
        width, height = self._canvas.width(), self._canvas.height()

        def move(_: int) -> None:
            where = QPointF(dice.uniform(0.1, 0.9) * width, dice.uniform(0.1, 0.9) * height)
            self._mouse(QEvent.Type.MouseMove, where)
            if paint:
                QApplication.processEvents()

        spent = self._timed(move, 200)
        self._watch.settle(0.1)
        return spent

    def _grab(self) -> None:
        """Take the topmost polygon's first vertex; remember which way leads out of it."""
        vertex = self._subject.to_widget(*self._ring[0])
        middle = self._subject.to_widget(
            sum(x for x, _ in self._ring) / len(self._ring), sum(y for _, y in self._ring) / len(self._ring)
        )
        outwards = vertex - middle
        self._outwards = outwards / max(1.0, outwards.manhattanLength())
        self._start, self._dragged = vertex, 0.0
        self._mouse(QEvent.Type.MouseMove, vertex)
        self._mouse(QEvent.Type.MouseButtonPress, vertex, pressed=True)
        QApplication.processEvents()

    def _pull(self) -> None:
        self._dragged += 0.5 if self._dragged else 10.0
        where = self._start + self._outwards * self._dragged
        self._mouse(QEvent.Type.MouseMove, where, held=True)
        QApplication.processEvents()

    def _drop(self) -> None:
        """A little outside the polygon and with Alt, which suspends snapping: no outline may cross itself."""
        where = self._start + self._outwards * DROP_PX
        self._mouse(QEvent.Type.MouseMove, where, held=True, alt=True)
        self._mouse(QEvent.Type.MouseButtonRelease, where, pressed=True, alt=True)
        QApplication.processEvents()

    def _drag_once(self) -> None:
        self._grab()
        self._pull()
        self._drop()

    def _mouse(
        self,
        kind: QEvent.Type,
        at: QPointF,
        *,
        pressed: bool = False,
        held: bool = False,
        alt: bool = False,
    ) -> None:
        none, left = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton
        down = held or (pressed and kind == QEvent.Type.MouseButtonPress)
        event = QMouseEvent(
            kind,
            at,
            QPointF(self._canvas.mapToGlobal(at)),
            left if pressed else none,
            left if down else none,
            Qt.KeyboardModifier.AltModifier if alt else Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(self._canvas, event)

    def _wheel(self, delta: int, *, control: bool) -> None:
        at = QPointF(self._canvas.visibleRegion().boundingRect().center())
        held = Qt.KeyboardModifier.ControlModifier if control else Qt.KeyboardModifier.NoModifier
        event = QWheelEvent(
            at,
            QPointF(self._canvas.mapToGlobal(at)),
            QPoint(),
            QPoint(0, delta),
            Qt.MouseButton.NoButton,
            held,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(self._canvas, event)
        QApplication.processEvents()

    def _press(self, keys: str) -> None:
        self._action(keys).trigger()
        QApplication.processEvents()

    def _action(self, keys: str) -> QAction:
        wanted = QKeySequence(keys)
        found = self._subject.window.findChildren(QAction)
        return next(each for each in found if each.isEnabled() and wanted in each.shortcuts())

    def _timed(self, action: Callable[[int], object], repeat: int) -> list[float]:
        """Milliseconds of each call, as many as the budget allows."""
        spent: list[float] = []
        while len(spent) < repeat and sum(spent) < BUDGET_S * 1000:
            start, busy = time.perf_counter(), time.thread_time()
            action(len(spent))
            spent.append((time.perf_counter() - start) * 1000)
            self.processor_ms.append((time.thread_time() - busy) * 1000)
        return spent

    def _spin(self, condition: Callable[[], bool]) -> None:
        end = time.perf_counter() + WAIT_LIMIT_S
        while not condition():
            if time.perf_counter() > end:
                raise TimeoutError(f"nothing came of it within {WAIT_LIMIT_S:.0f} s")
            QApplication.processEvents()
            time.sleep(NAP_S)


MEASUREMENTS: dict[str, Callable[[Hands], list[float]]] = {
    "open to full paint": Hands.open_file,
    "repaint": Hands.repaint,
    "zoom step, painted": Hands.zoom,
    "scroll step, painted": Hands.scroll,
    "mouse move, handled": Hands.hover_handled,
    "mouse move, painted": Hands.hover_painted,
    "vertex moved, painted": Hands.move_vertex,
    "undo, painted": Hands.undo,
    "save: file on the disk": Hands.save,
    "save: the window waits": Hands.save_blocks,
}
"""What is measured, in this order; the first one is needed by the others."""


def measure(subject: Subject, file: Path, ring: Iterable[tuple[float, float]], skip: Iterable[str]) -> None:
    """Make all measurements but some; each prints when it begins and what it took, as one JSON line."""
    hands = Hands(subject, file, ring)
    left_out = frozenset(skip)
    for name, method in MEASUREMENTS.items():
        if name in left_out and method is not Hands.open_file:
            continue
        print(json.dumps({"begin": name}), flush=True)
        try:
            spent = method(hands)
        except TimeoutError as error:
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            spent = []
        print(json.dumps({"name": name, "ms": spent}), flush=True)
