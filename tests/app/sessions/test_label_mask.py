"""The classes of the pixels of the image on show, for the status bar and the class list."""

from __future__ import annotations

import threading

from app.wiring import label_mask
from app.wiring.label_mask import LabelMask
from tests.app.sessions.conftest import add_class, draw, open_in


def test_the_labels_of_an_image_of_the_project_before_are_not_those_of_its_namesake(
    session, qtbot, image_folder, monkeypatch
):
    first, second = image_folder(1, name="first"), image_folder(1, name="second")
    open_in(session, qtbot, first)
    add_class(session, qtbot, "nerve")
    draw(session)
    assert session.close()
    drawing, render = threading.Event(), label_mask.render

    def slow(project, *arguments):
        if project.root == first:
            drawing.wait(20)
        return render(project, *arguments)

    monkeypatch.setattr(label_mask, "render", slow)
    mask = LabelMask(session)
    open_in(session, qtbot, first)
    qtbot.waitUntil(lambda: mask._runner.busy)
    open_in(session, qtbot, second)
    qtbot.waitUntil(lambda: session.project.root == second and session.current is not None)
    drawing.set()
    qtbot.waitUntil(lambda: not mask._runner.busy)
    mask.close()
    assert mask.shares == {}
    assert mask.class_at(8, 8) is None
