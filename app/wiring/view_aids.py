"""The view's aids, joined: their actions, what is remembered of them, and what the selection measures."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QElapsedTimer, QEvent, QObject, QPoint, QTimer
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QInputDialog

from app.actions import Actions
from app.canvas.aids.ruler import shapes_text
from app.canvas.view import CanvasView
from app.panels.display_adjustment import DisplayPopover
from app.session.session import Session
from app.settings import Settings
from app.status_bar import StatusBar

HELD_MS: Final = 350
"""A key that is held longer shows the loupe only as long."""
_MEASURED: Final = 500
"""More selected shapes than this are not measured: nobody asks for it, and it would be felt."""
_MEASURE_AFTER_MS: Final = 40


class ViewAidsWiring(QObject):
    """Joins actions, canvas, settings and status bar. Knows no more of the window."""

    def __init__(
        self, session: Session, canvas: CanvasView, actions: Actions, settings: Settings, status: StatusBar
    ) -> None:
        super().__init__(canvas)
        self._session = session
        self._canvas = canvas
        self._actions = actions
        self._settings = settings
        self._status = status
        self._loupe_key = QElapsedTimer()
        self._popover: DisplayPopover | None = None
        self._measure_timer = QTimer(self, singleShot=True, interval=_MEASURE_AFTER_MS)
        self._measure_timer.timeout.connect(self._measure)
        actions["view.names"].toggled.connect(self._on_names)
        actions["view.crosshair"].toggled.connect(self._on_crosshair)
        actions["view.grid"].toggled.connect(self._on_grid)
        actions["view.loupe"].toggled.connect(self._on_loupe)
        actions["view.grid_spacing"].triggered.connect(self._ask_spacing)
        actions["view.display"].triggered.connect(self._open_display)
        session.selection_changed.connect(self._measure_timer.start)
        session.document_changed.connect(self._measure_timer.start)
        session.current_changed.connect(self._measure_timer.start)
        canvas.installEventFilter(self)
        self._restore()

    def _restore(self) -> None:
        kept = self._settings.view_aids
        if kept.get("spacing", "").isdigit():
            self._canvas.aids.grid_spacing = int(kept["spacing"])
        for name in ("names", "crosshair", "grid"):
            self._actions[f"view.{name}"].setChecked(kept.get(name) == "on")

    def _remember(self, name: str, value: str) -> None:
        self._settings.view_aids = {**self._settings.view_aids, name: value}

    # --- switches -----------------------------------------------------------------------------------------

    def _on_names(self, shown: bool) -> None:
        self._canvas.set_names_visible(shown)
        self._remember("names", "on" if shown else "off")

    def _on_crosshair(self, shown: bool) -> None:
        self._canvas.aids.crosshair = shown
        self._remember("crosshair", "on" if shown else "off")

    def _on_grid(self, shown: bool) -> None:
        self._canvas.aids.grid = shown
        self._remember("grid", "on" if shown else "off")

    def _on_loupe(self, shown: bool) -> None:
        self._canvas.aids.loupe = shown
        if shown:
            self._loupe_key.start()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The loupe's key was held, not tapped: the loupe goes with it."""
        if (
            event.type() == QEvent.Type.KeyRelease
            and isinstance(event, QKeyEvent)
            and not event.isAutoRepeat()
            and self._canvas.aids.loupe
            and self._loupe_key.isValid()
            and self._loupe_key.elapsed() > HELD_MS
            and self._actions["view.loupe"].shortcut() == QKeySequence(event.keyCombination())
        ):
            self._actions["view.loupe"].setChecked(False)
        return super().eventFilter(watched, event)

    # --- dialogs ------------------------------------------------------------------------------------------

    def _ask_spacing(self) -> None:
        dialog = QInputDialog(self._canvas)
        dialog.setObjectName("grid_spacing")
        dialog.setWindowTitle("Grid spacing")
        dialog.setLabelText("A line every so many pixels of the image:")
        dialog.setInputMode(QInputDialog.InputMode.IntInput)
        dialog.setIntRange(1, 10_000)
        dialog.setIntValue(self._canvas.aids.grid_spacing)
        dialog.finished.connect(dialog.deleteLater)
        dialog.intValueSelected.connect(self._on_spacing)
        dialog.open()

    def _on_spacing(self, pixels: int) -> None:
        self._canvas.aids.grid_spacing = pixels
        self._remember("spacing", str(pixels))
        self._actions["view.grid"].setChecked(True)

    def _open_display(self) -> None:
        if self._popover is None:
            self._popover = DisplayPopover(self._canvas)
            self._popover.controls.adjustment_changed.connect(self._canvas.set_display)
        current = self._session.current
        image = None if current is None else current.image
        is_grey = getattr(image, "isGrayscale", None)
        self._popover.controls.set_colored(is_grey is None or not is_grey())
        corner = self._canvas.mapToGlobal(QPoint(self._canvas.viewport().width() - 12, 12))
        self._popover.popup_at(corner)

    # --- measuring ----------------------------------------------------------------------------------------

    def _measure(self) -> None:
        document, chosen = self._session.document, self._session.selection
        if document is None or len(chosen) > _MEASURED:
            self._status.set_measure("")
            return
        self._status.set_measure(shapes_text([document.get(uid) for uid in chosen if uid in document]))
