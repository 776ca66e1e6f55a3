"""The list by usefulness: the person's place is kept, and a key leads to the image most worth labelling."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt

from app.panels.image_list import ImageListPanel
from app.panels.image_model import USEFULNESS_ROLE, ImageOrder
from app.session.image_status import ImageStatus
from core.annotation.model import AnnotationState
from core.learning.commands import RateImages
from core.learning.events import EngineReady, ImagesRated
from core.project.project import ImageEntry

SCORES = {"a": 0.1, "b": 0.9, "c": 0.5, "d": 1.0}


@pytest.fixture
def statuses() -> dict[str, ImageStatus]:
    return {"d": ImageStatus(AnnotationState.DONE, 4)}


@pytest.fixture
def panel(qtbot, statuses) -> ImageListPanel:
    panel = ImageListPanel()
    qtbot.addWidget(panel)
    panel.resize(240, 500)
    entries = [ImageEntry(key, Path(key), Path(f"{key}.json"), Path("masks", key)) for key in "abcde"]
    panel.set_entries(entries, lambda key: statuses.get(key, ImageStatus()))
    panel.show()
    return panel


def order_by(panel: ImageListPanel, order: ImageOrder) -> None:
    next(a for a in panel.filter_button.menu().actions() if a.text() == order.value).trigger()


def test_useful_images_come_first_then_unrated_then_done_ones(panel):
    panel.set_usefulness(SCORES)
    assert panel.model.keys() == ("a", "b", "c", "d", "e"), "nobody asked for another order"
    order_by(panel, ImageOrder.USEFUL)
    assert panel.model.keys() == ("b", "c", "a", "e", "d")


def test_the_first_ratings_order_a_list_that_waits_for_them(panel):
    order_by(panel, ImageOrder.USEFUL)
    panel.set_usefulness(SCORES)
    assert panel.model.keys()[0] == "b"


def test_new_ratings_move_nothing_until_an_image_is_left_and_then_only_what_is_below(panel, statuses):
    panel.set_usefulness(SCORES)
    order_by(panel, ImageOrder.USEFUL)
    panel.set_current("b")
    panel.set_usefulness({"a": 0.8, "b": 0.2, "c": 0.3, "e": 1.0})
    assert panel.model.keys() == ("b", "c", "a", "e", "d")
    panel.set_current("c")
    assert panel.model.keys() == ("b", "c", "e", "a", "d"), "what was gone through stays above"
    statuses["b"] = ImageStatus(AnnotationState.DONE, 1)
    panel.update_statuses(("b",))
    panel.set_current("e")
    assert panel.model.keys() == ("c", "e", "a", "b", "d"), "what is done goes to the end"
    order_by(panel, ImageOrder.USEFUL)
    assert panel.model.keys() == ("e", "a", "c", "b", "d"), "asked for, all is ordered anew"


def test_going_on_among_many_images_asks_for_few_and_lays_out_none(panel, qtbot):
    entries = [ImageEntry(f"{n:04}", Path("i"), Path("j"), Path("m")) for n in range(1000)]
    asked: list[str] = []
    panel.set_entries(entries, lambda key: asked.append(key) or ImageStatus())
    order_by(panel, ImageOrder.USEFUL)
    panel.set_usefulness({entry.key: 0.5 for entry in entries[500:]})
    panel.set_current("0500")
    panel._count_timer.stop()
    assert panel.model.done_count() == 0
    panel.set_usefulness({"0999": 0.9})
    with qtbot.assertNotEmitted(panel.model.modelReset):
        asked.clear()
        panel.set_current("0501")
        assert len(asked) < 50
    assert panel.model.keys()[:3] == ("0500", "0501", "0999")
    assert panel.view.currentIndex().row() == 1


def test_rows_show_how_useful_they_are(panel):
    panel.set_usefulness(SCORES)
    tip = Qt.ItemDataRole.ToolTipRole
    assert "Usefulness 0.90" in panel.model.index_of("b").data(tip)
    assert "Usefulness" not in panel.model.index_of("d").data(tip), "it is done"
    assert panel.model.index_of("b").data(USEFULNESS_ROLE) is None
    order_by(panel, ImageOrder.USEFUL)
    assert panel.model.index_of("b").data(USEFULNESS_ROLE) == 0.9


# --- in the window ----------------------------------------------------------------------------------------


def rated(bench, **scores: float) -> None:
    named = {f"{name}.png": score for name, score in scores.items()}
    event = ImagesRated(scores=named, weights_version=1, images=len(named))
    bench.trainer.event_received.emit(event)


def test_an_engine_that_is_ready_is_asked_to_rate_all_images(opened):
    opened.trainer.event_received.emit(EngineReady(pid=1, device="CPU", torch="2"))
    asked = opened.trainer.sent[-1]
    assert isinstance(asked, RateImages)
    assert sorted(asked.images) == ["scan000.png", "scan001.png", "scan002.png"]
    assert all(Path(path).is_file() for path in asked.images.values())


def test_y_goes_through_the_most_useful_images_and_begins_again(opened):
    rated(opened, scan000=0.2, scan001=0.4, scan002=1.0)
    for key in ("scan002.png", "scan001.png", "scan000.png", "scan002.png"):
        opened.key(Qt.Key.Key_Y)
        opened.wait_for_image(key)


def test_without_ratings_y_says_what_they_need(opened, qtbot):
    with qtbot.waitSignal(opened.session.message) as told:
        opened.key(Qt.Key.Key_Y)
    assert "draw on one or two" in told.args[0]
    assert opened.session.current.entry.key == "scan000.png"


def test_done_images_are_passed_over(opened, qtbot):
    rated(opened, scan000=0.2, scan001=1.0, scan002=0.4)
    opened.session.open_image("scan001.png")
    opened.wait_for_image("scan001.png")
    opened.draw_square(20, 10)
    opened.session.set_image_state(AnnotationState.DONE)
    opened.session.open_image("scan000.png")
    opened.wait_for_image("scan000.png")
    opened.key(Qt.Key.Key_Y)
    opened.wait_for_image("scan002.png")


def test_images_that_are_gone_or_cannot_be_read_are_passed_over(panel, statuses):
    panel.set_usefulness(SCORES)
    statuses["b"] = ImageStatus(problem="b.png: cut off")
    assert panel.model.most_useful() == "c"
    left = ImageEntry("a", Path("a"), Path("a.json"), Path("masks", "a"))
    panel.set_entries([left], lambda _key: ImageStatus())
    assert panel.model.most_useful() == "a"


def test_ratings_of_a_project_that_is_closed_are_forgotten(opened, image_folder):
    rated(opened, scan001=1.0)
    opened.open(image_folder(2, "others"))
    opened.wait_for_image("scan000.png")
    assert opened.window.images.model.most_useful() is None


def test_the_order_of_the_list_is_there_at_the_next_start(make_window, image_folder):
    first = make_window()
    order_by(first.window.images, ImageOrder.USEFUL)
    second = make_window()
    second.open(image_folder(3))
    second.window.images.set_usefulness({"scan002.png": 1.0, "scan001.png": 0.4})
    assert second.window.images.model.keys()[0] == "scan002.png"
    ticked = [
        action.text() for action in second.window.images.filter_button.menu().actions() if action.isChecked()
    ]
    assert ImageOrder.USEFUL.value in ticked
    assert ImageOrder.NAME.value not in ticked


def test_a_done_image_on_show_keeps_nothing_above_it_in_its_place(panel):
    panel.set_usefulness(SCORES)
    order_by(panel, ImageOrder.USEFUL)
    panel.set_current("d")
    panel.set_usefulness({"a": 0.8, "b": 0.2, "c": 0.3, "e": 1.0})
    panel.model.refresh("d")
    assert panel.model.keys() == ("e", "a", "c", "b", "d")
