"""The window: makes the panels and puts them in their places. What they do is theirs, and its parts'."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QByteArray, QEvent, QMimeData, QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDragLeaveEvent, QDropEvent, QStatusTipEvent
from PySide6.QtWidgets import QMainWindow, QSplitter

from app.actions import Actions
from app.canvas_page import CanvasPage
from app.closing import Closing
from app.dialogs.conflict import ask_about_conflict
from app.dialogs.message import Toast, show_error
from app.icons import app_icon
from app.learning.controller import LearningController
from app.panels.class_list import ClassPanel
from app.panels.headings import TabbedPanels, show_dock_of
from app.panels.history_list import HistoryPanel
from app.panels.image_list import ImageListPanel
from app.panels.label_audit import AuditPanel
from app.panels.post_processing import PostPanel
from app.panels.shape_list import ShapePanel
from app.panels.training_panel import TrainingPanel
from app.readable import sentence
from app.session.session import Session
from app.settings import Settings
from app.status_bar import StatusBar
from app.theme import Themed, Tokens
from app.window_layout import add_dock, add_toolbar, fill_menus
from app.window_parts import WindowParts
from app.wiring.questions import close_popups, ends_with_project
from app.workers.autosaver import SaveState
from app.workers.trainer_thread import TrainerThread
from core.errors import ProjectLockedError
from core.learning.config import TrainConfig

if TYPE_CHECKING:
    from app.session.state import CurrentImage

log = logging.getLogger(__name__)

DEFAULT_SIZE: Final = (1360, 860)


class MainWindow(Themed, QMainWindow):
    """One window on one project.

    Args:
        settings: what is remembered between starts.
        trainer: supervises the engine; a window makes its own unless a test brings one.

    Signals:
        left(): everything is saved, every thread has ended, the window is gone.
    """

    left = Signal()

    def __init__(self, settings: Settings, trainer: TrainerThread | None = None) -> None:
        super().__init__()
        self.setWindowTitle("Maskloop")
        self.setWindowIcon(app_icon())
        self.setAcceptDrops(True)
        self.settings = settings
        self._panels_shown = True
        self._layout_state = QByteArray()
        self.session = Session(self)
        self.session.preferred_image = settings.last_image
        self.trainer = TrainerThread() if trainer is None else trainer
        self.controller = LearningController(self.session, self.trainer, self)
        self.page = CanvasPage()
        self.canvas = self.page.canvas
        self.images = ImageListPanel()
        self.classes = ClassPanel()
        self.shapes = ShapePanel()
        self.history = HistoryPanel()
        self.audit = AuditPanel()
        self.post = PostPanel()
        self.training = TrainingPanel()
        self.status = StatusBar()
        self.setCentralWidget(self.page)
        self.setStatusBar(self.status)
        self.toast = Toast(self.canvas)
        self.actions_ = Actions(self, self.canvas)
        self._lay_out()
        self.parts = WindowParts(self)
        self._closing = Closing(self)
        self._join()
        self._connect_actions()
        self._connect_session()
        self._restore()
        self._on_project_changed()

    # --- making -------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        labels = QSplitter(Qt.Orientation.Vertical)
        labels.setChildrenCollapsible(False)
        labels.addWidget(self.classes)
        self.tabs = TabbedPanels()
        self.tabs.add(self.shapes, self.shapes.heading)
        self.tabs.add(self.history, self.history.heading)
        self.tabs.add(self.audit, self.audit.heading)
        self.tabs.add(self.post, self.post.heading)
        labels.addWidget(self.tabs)
        labels.setSizes([300, 400])
        area = Qt.DockWidgetArea
        self.docks = {
            "images": add_dock(self, "images", "Images", self.images, area.LeftDockWidgetArea),
            "labels": add_dock(self, "labels", "Classes and shapes", labels, area.RightDockWidgetArea),
            "training": add_dock(self, "training", "Training", self.training, area.BottomDockWidgetArea),
        }

    def _place_docks(self) -> None:
        for dock in self.docks.values():
            dock.show()
        side = [self.docks["images"], self.docks["labels"]]
        # A large font needs wider lists; a low window keeps most of its height for the image.
        width = max(260, 32 * self.fontMetrics().horizontalAdvance("0"))
        self.resizeDocks(side, [width, width], Qt.Orientation.Horizontal)
        height = min(220, self.height() // 3)
        self.resizeDocks([self.docks["training"]], [height], Qt.Orientation.Vertical)

    def _join(self) -> None:
        session, canvas, parts = self.session, self.canvas, self.parts
        canvas.hint_changed.connect(self.status.set_hint)
        canvas.zoom_changed.connect(self.status.set_zoom)
        self.shapes.label_edit_requested.connect(self._on_label_edit)
        self.page.welcome.open_folder_requested.connect(parts.files.open_folder)
        self.page.welcome.open_sample_requested.connect(parts.files.open_sample)
        self.page.welcome.path_dropped.connect(session.open_project)
        self.toolbar = add_toolbar(self, self.actions_)
        self.menus = fill_menus(self, self.actions_, self.docks.values(), parts.classes.digit_actions)
        parts.recent.fill(self.menus["recent"])

    def _connect_actions(self) -> None:
        actions, session, canvas, parts = self.actions_, self.session, self.canvas, self.parts
        slots = {
            "file.open_folder": parts.files.open_folder,
            "file.open_file": parts.files.open_file,
            "file.open_sample": parts.files.open_sample,
            "file.add_images": parts.files.add_images,
            "file.save": self._on_save,
            "file.save_as": parts.files.save_as,
            "file.export": parts.exporting.open_dialog,
            "file.delete_annotation": parts.files.delete_annotation,
            "file.close": self._on_close_project,
            "file.quit": self.close,
            "view.zoom_in": canvas.zoom_in,
            "view.zoom_out": canvas.zoom_out,
            "view.zoom_actual": canvas.zoom_actual,
            "view.fit": canvas.zoom_fit,
            "view.fit_width": canvas.zoom_fit_width,
            "window.next": lambda: session.next_image(held=actions.held),
            "window.previous": lambda: session.previous_image(held=actions.held),
            "window.next_copy": lambda: session.next_image(copy_shapes=True),
            "window.previous_copy": lambda: session.previous_image(copy_shapes=True),
            "window.reset_layout": self._place_docks,
            "edit.history": self._on_history,
            "edit.add_class": self._on_add_class,
            "help.palette": parts.help.open_palette,
            "help.shortcuts": parts.help.open_shortcuts,
            "help.log": parts.help.open_log,
            "help.about": parts.help.open_about,
        }
        for name, slot in slots.items():
            actions[name].triggered.connect(lambda _checked=False, slot=slot: slot())
        self.status.save_clicked.connect(self._on_save_clicked)

    def _connect_session(self) -> None:
        session = self.session
        session.project_changed.connect(close_popups)
        session.project_changed.connect(self._on_project_changed)
        session.current_changed.connect(self._on_current_changed)
        session.images_changed.connect(self._update_title)
        session.saved_changed.connect(self._on_saved_changed)
        session.busy_changed.connect(self._on_busy_changed)
        session.message.connect(self.show_message)
        session.open_failed.connect(self._on_open_failed)
        session.conflict_found.connect(self._on_conflict)

    def _restore(self) -> None:
        room = self.screen().availableGeometry().size()
        self.resize(QSize(*DEFAULT_SIZE).boundedTo(room))
        self._place_docks()
        if self.settings.geometry is not None:
            self.restoreGeometry(self.settings.geometry)
        if self.settings.layout is not None:
            self.restoreState(self.settings.layout)
        self.actions_.apply_shortcuts(self.settings.shortcuts)

    def apply_tokens(self, theme: Tokens) -> None:
        """Colour the actions' icons."""
        self.actions_.apply_tokens(theme)

    # --- opening ------------------------------------------------------------------------------------------

    def open_path(self, path: Path) -> None:
        """Open a folder, project.json, image or labelme JSON."""
        self.session.open_project(path)

    def train(self, config: TrainConfig) -> None:
        """Start training as if the person had."""
        self.parts.learning.train(config)

    def _on_open_failed(self, error: object, sentence: str) -> None:
        locked = isinstance(error, ProjectLockedError)
        title = "This project is open elsewhere" if locked else "This could not be opened"
        show_error(self, title, sentence)

    def _on_close_project(self) -> None:
        if not self.session.close():
            self.show_message(self.session.save_state.text, "error")

    # --- what the session says ----------------------------------------------------------------------------

    def _on_project_changed(self) -> None:
        project = self.session.project
        opened = project is not None
        if not opened:  # beside the wide welcome page they would be pressed together, and remembered so
            self._show_panels(shown=False)
        self.page.show_project(opened)
        if opened:
            self._show_panels(shown=True)
        for name in ("file.save", "file.export", "file.close", "file.add_images", "file.problems"):
            self.actions_[name].setEnabled(opened)
        moves = "window.next", "window.previous", "window.next_copy", "window.previous_copy"
        for name in ("edit.add_class", *moves):
            self.actions_[name].setEnabled(opened)
        self.status.set_save_visible(opened)
        self.status.clear_position()
        if project is not None:
            self.settings.add_recent(project.root)
        self._update_title()

    def _show_panels(self, *, shown: bool) -> None:
        """The welcome page has the window for itself; the panels come back as they were."""
        if not shown and self._panels_shown:
            self._layout_state = self.saveState()
            for dock in self.docks.values():
                dock.hide()
        elif shown and not self._panels_shown:
            self.restoreState(self._layout_state)
        self.toolbar.setVisible(shown)
        for dock in self.docks.values():
            dock.toggleViewAction().setEnabled(shown)
        self.actions_["window.reset_layout"].setEnabled(shown)
        self._panels_shown = shown

    def _on_current_changed(self, current: CurrentImage | None) -> None:
        project = self.session.project
        if current is not None and project is not None:
            self.settings.set_last_image(project.root, current.entry.key)
        self.status.clear_position()
        self._update_title()

    def _update_title(self) -> None:
        project, current = self.session.project, self.session.current
        if project is None:
            self.setWindowTitle("Maskloop")
            return
        parts = [project.name, "Maskloop"]
        if current is not None:
            parts.insert(0, f"{current.entry.key}[*]")
        self.setWindowTitle(" — ".join(parts))
        self._on_saved_changed(self.session.save_state)

    def _on_saved_changed(self, state: SaveState) -> None:
        self.status.set_save_state(state)
        current = self.session.current
        self.setWindowModified(current is not None and state.kind != "saved")

    def _on_busy_changed(self, doing: str) -> None:
        self.status.set_hint(f"{doing[:1].upper()}{doing[1:]}…" if doing else self.canvas.hint)

    def show_message(self, text: str, level: str) -> None:
        """Information goes to the status bar, what matters more floats over the canvas."""
        text = sentence(text)
        if level == "info" or not self.canvas.isVisible():
            self.status.show_note(text)
        if level != "info":
            log.warning("%s", text)
            self.toast.show_message("error" if level == "error" else "warning", text)

    def _on_conflict(self, key: str, sentence: str) -> None:
        answered = partial(self.session.resolve_conflict, key)
        ends_with_project(self.session, ask_about_conflict(self, sentence, answered))

    def _on_save_clicked(self) -> None:
        """Say what is the matter: what could not be saved is tried again, what was put off asked again."""
        state = self.session.save_state
        if state.kind == "failed":
            self.status.show_note(state.text)
            self.session.save_now()
        else:
            self.session.ask_about_conflicts()

    def _on_save(self) -> None:
        self.session.save_now()
        if self.session.save_state.kind == "saved":
            self.status.show_note("Everything is saved.")

    def _on_history(self) -> None:
        self.tabs.show_panel(self.history)

    def _on_add_class(self) -> None:
        show_dock_of(self.classes)
        self.classes.start_adding()

    def _on_label_edit(self, uid: int) -> None:
        self.session.set_selection([uid])
        self.parts.editing.edit_label_of([uid])

    # --- events -------------------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        """Tips of menus share the status line; coming to the front looks at the disk."""
        if isinstance(event, QStatusTipEvent):
            self.status.set_tip(event.tip())
            return True
        if event.type() == QEvent.Type.WindowActivate:
            self.session.check_disk()
        return super().event(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and folders, and say what becomes of them."""
        path = _dropped_path(event.mimeData())
        if path is not None:
            event.acceptProposedAction()
            self.status.set_tip(f"Drop it to open {path.name}")

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """It is dropped elsewhere."""
        self.status.set_tip("")

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        self.status.set_tip("")
        path = _dropped_path(event.mimeData())
        if path is not None:
            event.acceptProposedAction()
            self.open_path(path)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Leave when everything is saved and the engine has ended; until then show that it goes on."""
        if self._closing.finished:
            super().closeEvent(event)
            return
        event.ignore()
        self.settings.geometry = self.saveGeometry()
        self.settings.layout = self.saveState() if self._panels_shown else self._layout_state
        self.settings.sync()
        self._closing.begin()
        event.setAccepted(self._closing.finished)

    @property
    def closed(self) -> bool:
        """Everything is saved and every thread has ended."""
        return self._closing.finished

    def end_workers(self) -> None:
        """Called when everything is saved: end the threads of all parts."""
        self.parts.end_workers()
        self.session.shut_down()


def _dropped_path(data: QMimeData) -> Path | None:
    return next((Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()), None)
