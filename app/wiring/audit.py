"""The label audit joined with session and engine: what is found is listed, visited, fixed or confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from PySide6.QtCore import QTimer
from PySide6.QtGui import QKeySequence

from app.canvas.view import CanvasView
from app.learning.suspect_edits import Fingerprints, Recheck, SuspectGoneError, fixing
from app.panels.headings import TabbedPanels
from app.panels.label_audit import FINE_NOTE, START_NOTE, AuditPanel
from app.wiring.part import Common, Wiring
from core.geometry import bounding_box
from core.learning.commands import AuditLabels
from core.learning.events import AuditEnded, AuditProgress, Event, Failed
from core.learning.labels.suspects import Suspect
from core.project.confirmed import Confirmed

if TYPE_CHECKING:
    from app.session.state import CurrentImage
    from core.annotation.document import AnnotationDocument
    from core.annotation.model import Shape
    from core.project.layout import ProjectLayout

_Wish: TypeAlias = Literal["visit", "fix"]

LOOK_DELAY_MS: Final = 30
"""A drag changes a shape sixty times a second; the list follows once the mouse rests."""


class AuditWiring(Wiring):
    """Asks for audits and does what the person decides.

    Args:
        common: of its actions `train.audit`, `train.audit_fix`, `train.audit_confirm`.
        panel: lists what was found; a tab of `tabs`.
        canvas: shows what is visited.
    """

    def __init__(
        self,
        common: Common,
        *,
        panel: AuditPanel,
        tabs: TabbedPanels,
        canvas: CanvasView,
    ) -> None:
        super().__init__(common, panel)
        self._panel = panel
        self._tabs = tabs
        self._canvas = canvas
        self._confirmed = Confirmed()
        self._names = Fingerprints()
        self._project: object = None
        self._number = 0  # of the newest audit; what an older one still tells is not for the list
        self._gone: set[int] = set()  # ids of suspects that stand no more, in images that were left
        self._wish: tuple[Suspect, _Wish] | None = None
        self._timer = QTimer(self, singleShot=True, interval=LOOK_DELAY_MS)
        self._timer.timeout.connect(self._look_again)
        self._connect()
        self._on_project_changed()

    def _connect(self) -> None:
        panel, session, actions = self._panel, self._session, self._actions
        panel.audit_requested.connect(self.start)
        panel.cancel_requested.connect(self._on_cancel)
        panel.visit_requested.connect(self._on_visit)
        panel.fix_requested.connect(self._on_fix)
        panel.confirm_requested.connect(self._on_confirm)
        panel.chosen_changed.connect(actions["train.audit_fix"].setEnabled)
        panel.chosen_changed.connect(actions["train.audit_confirm"].setEnabled)
        actions["train.audit"].triggered.connect(self.open)
        actions["train.audit_fix"].triggered.connect(panel.fix)
        actions["train.audit_confirm"].triggered.connect(panel.confirm)
        for name in ("train.audit_fix", "train.audit_confirm"):
            actions[name].setEnabled(False)
            actions[name].changed.connect(self._on_keys_changed)
        self._on_keys_changed()
        self._controller.event_received.connect(self._on_event)
        self._controller.engine_state_changed.connect(self._on_engine_state)
        session.project_changed.connect(self._on_project_changed)
        session.classes_changed.connect(self._on_classes_changed)
        session.current_changed.connect(self._on_current_changed)
        session.document_changed.connect(self._on_document_changed)

    # --- the audit ----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Show the list; the first time, fill it."""
        self._tabs.show_panel(self._panel)
        if not self._panel.running and not self._panel.model.found:
            self.start()
        self._panel.take_keyboard()

    def start(self) -> None:
        """Audit all labels as they are now."""
        layout = self._layout
        if layout is None:
            self._session.message.emit("Open a folder of images before auditing labels.", "warning")
            return
        self._session.save_now()
        self._gone.clear()
        self._panel.begin()
        self._controller.start_engine()
        self._number += 1
        self._trainer.send(AuditLabels(number=self._number))

    def _on_cancel(self) -> None:
        self._trainer.send(AuditLabels(on=False))
        self._panel.finish("Given up before the end.")

    def _on_event(self, event: Event) -> None:
        if not self._panel.running:
            return  # given up, or of a project that is closed
        match event:
            case AuditProgress(number=self._number):
                self._panel.set_progress(event.done, event.steps, event.doing)
                self._panel.add(suspect for suspect in event.found if self._is_open(suspect))
            case AuditEnded(number=self._number, complete=True):
                summary, detail = _summary(event)
                self._panel.finish(summary, FINE_NOTE if event.images else START_NOTE, detail)
            case Failed(during="AuditLabels"):
                found = self._panel.model.found
                self._panel.finish("Ended before it was through." if found else "", event.text, event.text)
            case _:
                pass

    def _on_engine_state(self, state: str, _sentence: str) -> None:
        if self._panel.running and state in ("crashed", "stopped"):
            self._panel.finish("The engine stopped; audit again.")

    # --- what the person decides --------------------------------------------------------------------------

    def _on_visit(self, suspect: Suspect) -> None:
        self._wish_for(suspect, "visit")

    def _on_fix(self, suspect: Suspect) -> None:
        self._wish_for(suspect, "fix")

    def _on_confirm(self, suspect: Suspect) -> None:
        if suspect.kind == "missing":
            self._confirmed = self._confirmed.with_absence(suspect.key, suspect.seen, suspect.box)
        else:
            self._confirmed = self._confirmed.with_shape(suspect.key, suspect.fingerprint)
        self._look_again()
        # Nobody should confirm what was not on show. After a change the image stays: it can be undone there.
        self._panel.visit()
        layout = self._layout
        if layout is not None and self._session.project is not None and self._session.project.writable:
            task = self._runner.run(
                self._confirmed.write, layout.confirmed, doing="keeping what is confirmed"
            )
            task.failed.connect(self._on_not_kept)

    def _on_not_kept(self, sentence: str) -> None:
        self._session.message.emit(sentence, "warning")

    def _wish_for(self, suspect: Suspect, wish: _Wish) -> None:
        """Now, or as soon as the image is shown."""
        current = self._session.current
        if current is not None and current.entry.key == suspect.key and current.document is not None:
            self._wish = None
            self._fulfil(current.document, suspect, wish)
        elif self._session.entry(suspect.key) is None:
            self._session.message.emit(f"{suspect.key} is not in the project any more.", "warning")
        else:
            self._wish = suspect, wish
            self._session.open_image(suspect.key)

    def _fulfil(self, document: AnnotationDocument, suspect: Suspect, wish: _Wish) -> None:
        now = Recheck(document, self._session.classes, self._names)
        self._show(now.shape(suspect), suspect)
        if wish == "visit":
            if not now.stands(suspect):
                self._session.message.emit("This label was changed since the audit.", "info")
            return
        try:
            command = fixing(now, suspect)
        except SuspectGoneError as error:
            self._session.message.emit(str(error), "info")
            self._look_again()
            return
        if self._session.execute(command):
            self._look_again()

    def _show(self, shape: Shape | None, suspect: Suspect) -> None:
        self._session.set_selection([] if shape is None else [shape.uid])
        x0, y0, x1, y1 = suspect.box
        self._canvas.reveal((x0, y0, x1, y1) if shape is None else bounding_box(shape))

    # --- what stands --------------------------------------------------------------------------------------

    def _look_again(self) -> None:
        """List what is neither confirmed nor changed."""
        self._timer.stop()
        document = self._session.document
        if document is not None:
            assert self._session.current is not None
            key = self._session.current.entry.key
            here = [suspect for suspect in self._panel.model.all_found() if suspect.key == key]
            if here:
                now = Recheck(document, self._session.classes, self._names)
                for suspect in here:
                    (self._gone.discard if now.stands(suspect) else self._gone.add)(id(suspect))
        self._panel.settle(self._is_open)

    def _is_open(self, suspect: Suspect) -> bool:
        """Whether nobody has decided about it yet."""
        if id(suspect) in self._gone or self._session.entry(suspect.key) is None:
            return False
        if suspect.kind == "missing":
            return not self._confirmed.has_absence(suspect.key, suspect.seen, suspect.box)
        return not self._confirmed.has_shape(suspect.key, suspect.fingerprint)

    # --- the session --------------------------------------------------------------------------------------

    @property
    def _layout(self) -> ProjectLayout | None:
        project = self._session.project
        return None if project is None else project.layout

    def _on_project_changed(self) -> None:
        project = self._session.project
        self._actions["train.audit"].setEnabled(project is not None)
        if project is self._project:
            return
        if self._panel.running:
            self._trainer.send(AuditLabels(on=False))
        self._project = project
        self._gone.clear()
        self._names.clear()
        self._wish = None
        self._confirmed = Confirmed() if project is None else Confirmed.read(project.layout.confirmed)
        self._panel.clear()

    def _on_classes_changed(self) -> None:
        self._panel.set_classes(self._session.classes)

    def _on_current_changed(self, current: CurrentImage | None) -> None:
        wish, self._wish = self._wish, None
        self._names.clear()
        document = self._session.document
        key = None if current is None else current.entry.key
        if wish is not None and document is not None and key == wish[0].key:
            self._fulfil(document, *wish)
        self._look_again()

    def _on_document_changed(self, _change: object) -> None:
        if self._panel.model.found:
            self._timer.start()

    def _on_keys_changed(self) -> None:
        native = QKeySequence.SequenceFormat.NativeText
        fix, confirm = (
            self._actions[name].shortcut().toString(native)
            for name in ("train.audit_fix", "train.audit_confirm")
        )
        self._panel.set_keys(fix, confirm)


def _summary(event: AuditEnded) -> tuple[str, str]:
    """What an audit says of itself when it is over: in a line, and at length."""
    text = f"{_counted(event.regions, 'label')} on {_counted(event.images, 'image')} judged"
    detail = f"{text}, each image by a network that learned from the others only."
    missed: list[str] = []
    if event.left_out:
        missed.append(_counted(event.left_out, "label"))
        detail += f"\n{missed[-1]} more could not be: no other image shows their class."
    if event.passed_over:
        missed.append(_counted(event.passed_over, "image"))
        detail += f"\n{missed[-1]} more could not be: too large, not to be read, or gone."
    if missed:
        text += f", {' and '.join(missed)} could not be"
    return text, detail


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
