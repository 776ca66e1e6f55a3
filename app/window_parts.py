"""What makes a window's panels work: every part that joins one concern of it with session and engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from app.wiring.audit import AuditWiring
from app.wiring.augmentation_preview import PreviewWiring
from app.wiring.class_undo import ClassUndoOffer
from app.wiring.done_offer import DoneOffer
from app.wiring.doubt import DoubtWiring
from app.wiring.editing import Editing
from app.wiring.explain import ExplainWiring
from app.wiring.exporting import Exporting
from app.wiring.file_actions import FileActions
from app.wiring.folder_prediction import PredictingWiring
from app.wiring.help_actions import HelpActions
from app.wiring.history import HistoryWiring
from app.wiring.keys import KeysWiring
from app.wiring.label_mask import LabelMask
from app.wiring.panels import ClassPanelWiring, ImagePanelWiring, ShapePanelWiring
from app.wiring.part import Common
from app.wiring.pointer_info import PointerInfo
from app.wiring.post_processing import PostWiring
from app.wiring.problem_report import ProblemReport
from app.wiring.progress import ProgressWiring
from app.wiring.recent_projects import RecentProjects
from app.wiring.reshaping import Reshaping
from app.wiring.resume_offer import ResumeOffer
from app.wiring.shape_actions import ShapeActions
from app.wiring.training import LearningWiring
from app.wiring.uncertainty_sources import UncertaintySources
from app.wiring.undoing import Undoing
from app.wiring.usefulness import UsefulnessWiring
from app.wiring.view_aids import ViewAidsWiring
from app.wiring.weights_file import WeightsFileWiring

if TYPE_CHECKING:
    from app.main_window import MainWindow


class WindowParts(QObject):
    """The parts of one window. They connect themselves, in this order, and know no more of each other than
    what is handed to them here.

    Args:
        window: has made its panels and actions.
    """

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        session, controller, actions = window.session, window.controller, window.actions_
        canvas, bar, status, toast = window.canvas, window.page.prediction_bar, window.status, window.toast
        self._common = common = Common(session, controller, window.trainer, actions, window.settings)

        self.label_mask = LabelMask(session, window)
        self.editing = Editing(session, canvas, actions)
        self.undoing = Undoing(session, canvas, actions)
        self.shape_actions = ShapeActions(session, canvas, actions, window.settings)
        self.reshaping = Reshaping(session, canvas, actions)
        self.images = ImagePanelWiring(session, window.images)
        self.classes = ClassPanelWiring(session, window.classes, canvas, self.label_mask, window)
        self.class_undo = ClassUndoOffer(session.class_editor, window.classes, toast)
        self.shapes = ShapePanelWiring(session, window.shapes, window.classes, canvas)
        self.history = HistoryWiring(session, window.history)
        self.learning = LearningWiring(common, canvas=canvas, panel=window.training, bar=bar, status=status)
        self.resume_offer = ResumeOffer(session, controller, window.page.offer, actions["train.resume"])
        most_useful = window.images.model.most_useful
        self.doubts = DoubtWiring(common, most_useful=most_useful, canvas=canvas, bar=bar, toast=toast)
        self.doubts.pointed.connect(self.learning.point_at)
        self.sources = UncertaintySources(common, window)
        self.usefulness = UsefulnessWiring(common, window.images)
        self.audit = AuditWiring(common, panel=window.audit, tabs=window.tabs, canvas=canvas)
        self.post = PostWiring(common, panel=window.post, tabs=window.tabs)
        self.recent = RecentProjects(common, window.page.welcome)
        self.files = FileActions(session, self.recent, window)
        toggles = [dock.toggleViewAction() for dock in window.docks.values()]
        others = [*self.classes.digit_actions, *toggles]
        self.help = HelpActions(actions, window.settings, window, others)
        self.keys = KeysWiring(actions, window.page)
        self.exporting = Exporting(session, controller, window)
        self.pointer = PointerInfo(session, controller, canvas, self.label_mask, status)
        self.aids = ViewAidsWiring(session, canvas, actions, window.settings, status)
        self.progress = ProgressWiring(common, panel=window.training, bar=bar, window=window)
        self.done_offer = DoneOffer(session, toast, actions["shape.done_left"])
        self.problems = ProblemReport(session, toast, actions["file.problems"], window)
        self.predicting = PredictingWiring(
            common, status=status, toast=toast, window=window, post=lambda: str(self.post.pipeline)
        )
        self.preview = PreviewWiring(common, panel=window.training, window=window)
        self.weights_file = WeightsFileWiring(common, window)
        self.explain = ExplainWiring(common, panel=window.training, canvas=canvas, window=window)

    def end_workers(self) -> None:
        """End the threads of all parts; they are of no further use."""
        for wiring in self._common.parts:
            wiring.close()
        for part in (self.reshaping, self.resume_offer, self.exporting, self.images):
            part.close()
        self._window.canvas.end_workers()
        self.label_mask.close()
