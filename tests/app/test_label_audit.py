"""The label audit in the window: suspects are visited, fixed and confirmed with one key each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt

from app.learning import suspect_edits
from app.panels.label_audit import ALL_SETTLED_NOTE, FINE_NOTE, START_NOTE
from core.annotation.commands import AddShapes, RemoveShapes, SetState, TranslateShapes
from core.annotation.model import AnnotationState, Shape, ShapeType, frozen_points
from core.annotation.rasterize import Touching, painted_box, rasterize
from core.learning.commands import AuditLabels
from core.learning.events import AuditEnded, AuditProgress, Failed
from core.learning.labels.suspects import Suspect, fingerprint

NERVE, VESSEL = 1, 2
BOX = (20, 10, 31, 21)
ENDED = AuditEnded(images=3, regions=3, left_out=1, passed_over=0, complete=True)


@pytest.fixture
def drawn(opened, qtbot):
    """Three images, all done; the first has a nerve and a vessel, the second a nerve."""
    session = opened.session
    for key, labels in {
        "scan000.png": ("nerve", "vessel"),
        "scan001.png": ("nerve",),
        "scan002.png": (),
    }.items():
        session.open_image(key)
        opened.wait_for_image(key)
        shapes = [square(label, number) for number, label in enumerate(labels)]
        session.execute(AddShapes(tuple(shapes)))
        session.execute(SetState.of(session.current.document, AnnotationState.DONE))
    session.open_image("scan000.png")
    opened.wait_for_image("scan000.png")
    opened.window.actions_["train.audit"].trigger()
    return opened


def square(label: str, number: int = 0) -> Shape:
    x0, y0 = 20 + 20 * number, 10
    return Shape(label, ShapeType.RECTANGLE, frozen_points([(x0, y0), (x0 + 10, y0 + 10)]))


def suspect(key: str, shape: Shape | None, seen: int, loss: float = 3.0) -> Suspect:
    drawn = {"nerve": NERVE, "vessel": VESSEL}[shape.label] if shape is not None else 0
    return Suspect(
        key=key,
        kind="missing" if shape is None else "label",
        fingerprint="" if shape is None else fingerprint(shape),
        drawn=drawn,
        seen=seen,
        loss=loss,
        sure=0.93,
        box=BOX if shape is None else painted_box(shape, (48, 64)),
        region=np.ones((11, 11), np.bool_) if shape is None else None,
        picture=np.full((40, 40, 3), 90, np.uint8),
        outline=np.pad(np.ones((20, 20), np.bool_), 10),
    )


def asked(bench) -> AuditLabels:
    """The last audit."""
    return [command for command in bench.trainer.sent if isinstance(command, AuditLabels) and command.on][-1]


def tell(bench, *events: AuditProgress | AuditEnded) -> None:
    """What the engine says of the last audit."""
    for event in events:
        bench.trainer.event_received.emit(replace(event, number=asked(bench).number))


def found(bench, *suspects: Suspect) -> None:
    tell(bench, AuditProgress(done=3, steps=3, doing="judging", found=suspects), ENDED)


def shape_of(bench, place: int) -> Shape:
    return bench.session.current.document.shapes[place]


def test_f7_shows_the_list_and_audits_all_labels(opened, qtbot):
    assert not opened.window.audit.isVisible()
    opened.key(Qt.Key.Key_F7)
    panel = opened.window.audit
    assert panel.isVisible()
    assert opened.trainer.sent[-1] == asked(opened)
    assert panel.running
    assert "Looking" in panel.note
    tell(opened, AuditProgress(done=1, steps=4, doing="judging scan000.png"))
    qtbot.mouseClick(panel.cancel_button, Qt.MouseButton.LeftButton)
    assert opened.trainer.sent[-1] == AuditLabels(on=False)
    assert not panel.running
    assert panel.summary == "Given up before the end."
    assert panel.note == START_NOTE


def test_labels_that_are_all_right_are_told_to_be(drawn):
    found(drawn)
    panel = drawn.window.audit
    assert panel.note == FINE_NOTE
    assert panel.summary == "3 labels on 3 images judged, 1 label could not be"


@pytest.mark.parametrize(
    ("images", "left_out", "passed_over", "summary", "note"),
    [
        (3, 0, 2, "3 labels on 3 images judged, 2 images could not be", FINE_NOTE),
        (3, 2, 1, "3 labels on 3 images judged, 2 labels and 1 image could not be", FINE_NOTE),
        (0, 0, 2, "0 labels on 0 images judged, 2 images could not be", START_NOTE),
    ],
)
def test_what_could_not_be_judged_is_told(drawn, images, left_out, passed_over, summary, note):
    regions = 3 if images else 0
    tell(drawn, replace(ENDED, images=images, regions=regions, left_out=left_out, passed_over=passed_over))
    assert (drawn.window.audit.summary, drawn.window.audit.note) == (summary, note)


def test_what_an_audit_that_was_given_up_still_tells_is_not_the_next_ones(drawn, qtbot):
    panel, given_up = drawn.window.audit, asked(drawn).number
    qtbot.mouseClick(panel.cancel_button, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(panel.audit_button, Qt.MouseButton.LeftButton)
    one = suspect("scan000.png", shape_of(drawn, 0), VESSEL)
    late = AuditProgress(done=1, steps=3, doing="judging", found=(one,), number=given_up)
    drawn.trainer.event_received.emit(late)
    drawn.trainer.event_received.emit(replace(ENDED, number=given_up))
    assert panel.running
    assert panel.model.found == 0
    found(drawn, one)
    assert panel.model.suspects() == [one]
    assert not panel.running


def test_why_nothing_can_be_audited_stands_in_the_list(drawn):
    drawn.trainer.event_received.emit(Failed(during="AuditLabels", text="Label at least 2 images first."))
    assert drawn.window.audit.note == "Label at least 2 images first."
    assert not drawn.window.audit.running


def test_an_audit_that_fails_after_it_found_something_says_so(drawn):
    panel = drawn.window.audit
    early = suspect("scan000.png", shape_of(drawn, 0), VESSEL)
    tell(drawn, AuditProgress(done=1, steps=3, doing="judging", found=(early,)))
    drawn.trainer.event_received.emit(Failed(during="AuditLabels", text="Out of memory; close something."))
    assert panel.summary == "Ended before it was through."
    assert "Out of memory" in panel._summary.toolTip()
    assert panel.model.suspects() == [early]


def test_what_is_settled_while_the_audit_goes_on_is_what_is_on_show(drawn, qtbot):
    panel = drawn.window.audit
    first, second = (
        suspect("scan000.png", shape_of(drawn, 0), VESSEL, loss=3.0),
        suspect("scan000.png", shape_of(drawn, 1), NERVE, loss=2.0),
    )
    tell(drawn, AuditProgress(done=1, steps=3, doing="judging", found=(first, second)))
    qtbot.mouseClick(panel.confirm_button, Qt.MouseButton.LeftButton)
    assert panel.chosen == second
    worse = suspect("scan001.png", square("nerve"), VESSEL, loss=9.0)
    tell(drawn, AuditProgress(done=2, steps=3, doing="judging", found=(worse,)))
    assert panel.chosen == second, "which is on show"
    qtbot.mouseClick(panel.confirm_button, Qt.MouseButton.LeftButton)
    assert panel.model.suspects() == [worse]


def test_an_audit_begins_at_a_button_that_nobody_overlooks(drawn, qtbot):
    panel = drawn.window.audit
    drawn.window.tabs.show_panel(panel)
    messages: list[tuple[str, str]] = []
    drawn.session.message.connect(lambda text, level: messages.append((text, level)))
    qtbot.mouseClick(panel.start_button, Qt.MouseButton.LeftButton)
    assert drawn.trainer.sent[-1] == asked(drawn)
    assert not panel.start_button.isVisible()
    drawn.trainer.event_received.emit(Failed(during="AuditLabels", text="Label at least 2 images first."))
    assert messages == [("Label at least 2 images first.", "info")]
    assert panel.note == "Label at least 2 images first."


def test_the_worst_come_first_and_enter_goes_there(drawn, qtbot):
    mild, worst = (
        suspect("scan000.png", shape_of(drawn, 0), VESSEL, loss=1.0),
        suspect("scan001.png", square("nerve"), VESSEL, loss=4.0),
    )
    found(drawn, mild, worst)
    panel = drawn.window.audit
    assert panel.model.suspects() == [worst, mild]
    assert panel.chosen is worst
    qtbot.keyClick(panel.view, Qt.Key.Key_Return)
    drawn.wait_for_image("scan001.png")
    assert drawn.session.selection == {shape_of(drawn, 0).uid}
    view = drawn.canvas.viewport().rect()
    assert view.contains(drawn.at(20, 10))
    assert view.contains(drawn.at(31, 21))


def test_f8_takes_what_the_network_sees_and_undo_lists_it_again(drawn, qtbot):
    wrong = suspect("scan000.png", shape_of(drawn, 0), VESSEL)
    found(drawn, wrong)
    panel = drawn.window.audit
    panel.take_keyboard()
    qtbot.keyClick(panel.view, Qt.Key.Key_F8)
    assert drawn.labels() == ["vessel", "vessel"]
    assert panel.model.suspects() == []
    assert panel.note == ALL_SETTLED_NOTE
    drawn.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert drawn.labels() == ["nerve", "vessel"]
    qtbot.waitUntil(lambda: panel.model.suspects() == [wrong])


def test_f8_opens_an_image_that_is_not_open(drawn, qtbot):
    found(drawn, suspect("scan001.png", square("nerve"), VESSEL))
    drawn.window.audit.take_keyboard()
    qtbot.keyClick(drawn.window.audit.view, Qt.Key.Key_F8)
    drawn.wait_for_image("scan001.png")
    qtbot.waitUntil(lambda: drawn.labels() == ["vessel"])
    assert drawn.window.audit.model.suspects() == []
    drawn.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert drawn.labels() == ["nerve"]


def test_where_the_network_sees_background_the_shape_goes(drawn, qtbot):
    found(drawn, suspect("scan000.png", shape_of(drawn, 1), 0))
    drawn.window.audit.take_keyboard()
    drawn.key(Qt.Key.Key_F8)
    assert drawn.labels() == ["nerve"]


def test_a_missing_object_is_drawn_below_all_others_with_its_pixels(drawn, qtbot):
    drawn.session.open_image("scan002.png")
    drawn.wait_for_image("scan002.png")
    missing = suspect("scan002.png", None, NERVE)
    found(drawn, missing)
    drawn.window.audit.take_keyboard()
    drawn.key(Qt.Key.Key_F8)
    assert drawn.labels() == ["nerve"]
    points = shape_of(drawn, 0).points
    assert (*points.min(axis=0), *points.max(axis=0)) == pytest.approx((20, 10, 30, 20), abs=1)
    assert drawn.window.audit.model.suspects() == []


def test_a_missing_object_in_a_finished_area_is_seen_and_covers_no_other(drawn, qtbot):
    session = drawn.session
    session.execute(SetState.of(session.current.document, AnnotationState.IN_PROGRESS))
    cell = square("vessel", 2)
    area = Shape("_background_", ShapeType.RECTANGLE, frozen_points([(0, 0), (55, 40)]))
    above = Shape("vessel", ShapeType.RECTANGLE, frozen_points([(28, 18), (34, 24)]))
    session.execute(RemoveShapes.of(session.document, [shape.uid for shape in session.document.shapes]))
    session.execute(AddShapes((cell, area, above)))
    missing = suspect("scan000.png", None, NERVE)
    found(drawn, missing)
    drawn.window.audit.take_keyboard()
    qtbot.keyClick(drawn.window.audit.view, Qt.Key.Key_F8)
    assert drawn.labels() == ["vessel", "_background_", "nerve", "vessel"]
    mask = rasterize(session.document.snapshot(), session.classes)
    assert mask[15, 25] == NERVE
    assert mask[20, 30] == VESSEL
    assert drawn.window.audit.model.suspects() == []


@pytest.mark.parametrize("kind", [ShapeType.LINE, ShapeType.LINESTRIP, ShapeType.POINT])
def test_a_missing_object_that_is_drawn_by_hand_is_missing_no_more(drawn, qtbot, kind):
    drawn.session.open_image("scan002.png")
    drawn.wait_for_image("scan002.png")
    found(drawn, suspect("scan002.png", None, NERVE))
    ends = [(25.5, 11.5)] if kind is ShapeType.POINT else [(15.5, 12.5), (36.5, 12.5)]
    drawn.session.execute(AddShapes((Shape("nerve", kind, frozen_points(ends)),)))
    qtbot.waitUntil(lambda: drawn.window.audit.model.suspects() == [])


def test_an_edit_is_compared_with_what_was_found_here_at_once_and_near_by_only(drawn, qtbot, monkeypatch):
    document = drawn.session.document
    drawn.session.execute(AddShapes((square("nerve", 2), square("nerve"))))
    looks, named = [], []
    monkeypatch.setattr(suspect_edits, "Touching", lambda shapes: looks.append(shapes) or Touching(shapes))
    monkeypatch.setattr(suspect_edits, "fingerprint", lambda shape: named.append(shape) or fingerprint(shape))
    wrong, gone = suspect("scan000.png", document.shapes[0], VESSEL), suspect("scan000.png", None, NERVE)
    found(drawn, wrong, gone, suspect("scan001.png", square("nerve"), VESSEL))
    looks.clear()
    drawn.session.execute(TranslateShapes.of(document, [document.shapes[2].uid], 1, 1))
    qtbot.waitUntil(lambda: drawn.window.audit.model.suspects()[0] is wrong and len(looks) == 1)
    assert document.shapes[0] in named
    assert document.shapes[2] not in named
    assert [suspect.key for suspect in drawn.window.audit.model.suspects()] == ["scan000.png", "scan001.png"]


def test_f6_confirms_and_the_next_audit_does_not_ask_again(drawn, qtbot):
    session = drawn.session
    right, absent = (
        suspect("scan000.png", shape_of(drawn, 0), VESSEL),
        suspect("scan002.png", None, NERVE, 1.0),
    )
    found(drawn, right, absent)
    panel = drawn.window.audit
    panel.take_keyboard()
    qtbot.keyClick(panel.view, Qt.Key.Key_F6)
    assert panel.chosen is absent, "the next row is chosen"
    drawn.wait_for_image("scan002.png")  # and shown, before anybody confirms it unseen
    qtbot.keyClick(panel.view, Qt.Key.Key_F6)
    assert panel.model.suspects() == []
    kept = session.project.layout.confirmed
    qtbot.waitUntil(lambda: kept.exists() and b"absent" in kept.read_bytes())
    drawn.open(session.project.root)  # as after a restart
    panel.audit_button.click()
    found(drawn, right, absent)
    assert panel.model.suspects() == []
    session.open_image("scan000.png")
    drawn.wait_for_image("scan000.png")
    assert drawn.labels() == ["nerve", "vessel"], "no label was touched"


def test_a_confirmed_shape_is_asked_about_again_once_it_changed(drawn, qtbot):
    found(drawn, suspect("scan000.png", shape_of(drawn, 0), VESSEL))
    panel = drawn.window.audit
    panel.take_keyboard()
    qtbot.keyClick(panel.view, Qt.Key.Key_F6)
    drawn.session.set_selection([shape_of(drawn, 0).uid])
    drawn.session.relabel_selection("vessel")
    panel.audit_button.click()
    found(drawn, changed := suspect("scan000.png", shape_of(drawn, 0), NERVE))
    assert panel.model.suspects() == [changed]


def test_a_shape_changed_by_hand_leaves_the_list_and_cannot_be_fixed(drawn, qtbot):
    stale = suspect("scan000.png", shape_of(drawn, 0), VESSEL)
    found(drawn, stale)
    panel = drawn.window.audit
    drawn.session.set_selection([shape_of(drawn, 0).uid])
    drawn.session.relabel_selection("vessel")
    qtbot.waitUntil(lambda: panel.model.suspects() == [])
    panel.fix_requested.emit(stale)
    assert drawn.labels() == ["vessel", "vessel"]


def test_what_was_found_and_settled_before_the_end_is_not_called_right(drawn, qtbot):
    panel = drawn.window.audit
    early = suspect("scan000.png", shape_of(drawn, 0), VESSEL)
    tell(drawn, AuditProgress(done=1, steps=3, doing="judging", found=(early,)))
    panel.take_keyboard()
    qtbot.keyClick(panel.view, Qt.Key.Key_F6)
    assert panel.model.suspects() == []
    tell(drawn, ENDED)
    assert panel.note == ALL_SETTLED_NOTE


def test_keys_do_nothing_once_an_audit_begins_anew(drawn):
    found(drawn, suspect("scan000.png", shape_of(drawn, 0), VESSEL))
    fix = drawn.window.actions_["train.audit_fix"]
    assert fix.isEnabled()
    drawn.window.audit.audit_button.click()
    assert not fix.isEnabled()
    assert not drawn.window.audit.fix_button.isEnabled()


def test_keys_do_nothing_without_a_chosen_label(drawn):
    for name in ("train.audit_fix", "train.audit_confirm"):
        assert not drawn.window.actions_[name].isEnabled()


def test_another_project_begins_with_an_empty_list(drawn, image_folder):
    found(drawn, suspect("scan000.png", shape_of(drawn, 0), VESSEL))
    drawn.open(image_folder(1, "others"))
    drawn.wait_for_image("scan000.png")
    assert drawn.window.audit.model.found == 0


def test_an_engine_that_dies_ends_the_audit(drawn):
    drawn.trainer.engine_state_changed.emit("crashed", "The engine died.")
    assert not drawn.window.audit.running
    assert "audit again" in drawn.window.audit.summary
