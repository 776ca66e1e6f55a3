"""The list of images: search, filter, order, badges, thumbnails; quick with ten thousand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics, QImage
from PySide6.QtWidgets import QListView

from app.panels.image_delegate import name_in
from app.panels.image_list import ImageListPanel
from app.panels.image_model import KEY_ROLE, ImageOrder, StateFilter
from app.session.image_status import ImageStatus
from app.workers import thumbnails
from app.workers.thumbnails import MAX_WAITING, ThumbnailLoader
from core.annotation.model import AnnotationState
from core.project.project import ImageEntry
from tests.patience import PATIENCE_S

DONE = ImageStatus(AnnotationState.DONE, 4)
STARTED = ImageStatus(AnnotationState.IN_PROGRESS, 1)
BROKEN = ImageStatus(problem="b.json: is broken")


def entries(*names: str, folder: Path = Path("/nowhere")) -> list[ImageEntry]:
    return [
        ImageEntry(name, folder / name, (folder / name).with_suffix(".json"), folder / "masks" / name)
        for name in names
    ]


@pytest.fixture
def statuses() -> dict[str, ImageStatus]:
    return {"left knee.png": DONE, "right knee.png": STARTED, "left hip.png": BROKEN}


@pytest.fixture
def panel(qtbot, statuses) -> ImageListPanel:
    panel = ImageListPanel()
    qtbot.addWidget(panel)
    panel.resize(240, 500)
    names = ("left hip.png", "left knee.png", "right hip.png", "right knee.png")
    panel.set_entries(entries(*names), lambda key: statuses.get(key, ImageStatus()))
    panel.show()
    return panel


def test_search_finds_every_word_anywhere_in_the_name(panel, qtbot):
    qtbot.keyClicks(panel.search, "KNEE le")
    assert panel.model.keys() == ("left knee.png",)
    panel.search.clear()
    assert len(panel.model.keys()) == 4


@pytest.mark.parametrize(
    ("state", "listed"),
    [
        (StateFilter.UNLABELLED, ("right hip.png",)),
        (StateFilter.IN_PROGRESS, ("right knee.png",)),
        (StateFilter.DONE, ("left knee.png",)),
        (StateFilter.PROBLEM, ("left hip.png",)),
    ],
)
def test_the_filter_lists_images_of_one_state(panel, qtbot, state, listed):
    action = next(a for a in panel.filter_button.menu().actions() if a.text() == state.value)
    with qtbot.waitSignal(panel.order_changed) as changed:
        action.trigger()
    assert changed.args[0] == listed == panel.model.keys()


def test_unfinished_images_can_come_first(panel):
    panel.model.set_order(ImageOrder.UNFINISHED)
    assert panel.model.keys()[0] == "right knee.png"
    assert panel.model.keys()[-1] == "left knee.png"


def test_an_image_does_not_vanish_from_the_filter_while_it_is_being_edited(panel, statuses):
    panel.model.set_filter(StateFilter.UNLABELLED)
    panel.set_current("right hip.png")
    statuses["right hip.png"] = STARTED
    panel.update_statuses(("right hip.png",))
    assert panel.model.keys() == ("right hip.png",)
    known = entries("left hip.png", "left knee.png", "new.png", "right hip.png")
    panel.set_entries(known, lambda key: statuses.get(key, ImageStatus()))
    assert panel.model.keys() == ("new.png", "right hip.png"), "a file that arrives takes nothing away"
    panel.set_entries(
        [entry for entry in known if entry.key != "new.png"], lambda key: statuses.get(key, ImageStatus())
    )
    panel.set_current("left hip.png")
    assert panel.model.keys() == ()


def test_a_click_and_the_arrow_keys_ask_for_images_and_marking_does_not(panel, qtbot):
    asked: list[str] = []
    panel.image_requested.connect(asked.append)
    panel.set_current("left hip.png")
    assert asked == []
    place = panel.view.visualRect(panel.model.index_of("right hip.png")).center()
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.keyClick(panel.view, Qt.Key.Key_Down)
    assert asked == ["right hip.png", "right knee.png"]


def test_enter_in_the_search_field_opens_the_first_hit(panel, qtbot):
    qtbot.keyClicks(panel.search, "right")
    with qtbot.waitSignal(panel.image_requested) as asked:
        qtbot.keyClick(panel.search, Qt.Key.Key_Return)
    assert asked.args == ["right hip.png"]


def test_escape_leaves_the_search_and_all_images_are_back(panel, qtbot):
    panel.search.setFocus()
    qtbot.keyClicks(panel.search, "right")
    qtbot.keyClick(panel.search, Qt.Key.Key_Escape)
    assert len(panel.model.keys()) == 4
    assert panel.view.hasFocus()


def test_rows_say_what_is_drawn_and_what_is_wrong(panel):
    def says(key: str, role: Qt.ItemDataRole) -> str:
        return str(panel.model.index_of(key).data(role))

    assert says("left knee.png", Qt.ItemDataRole.AccessibleTextRole) == "left knee.png, 4 shapes, done"
    assert "1 shape, in progress" in says("right knee.png", Qt.ItemDataRole.ToolTipRole)
    assert says("left hip.png", Qt.ItemDataRole.ToolTipRole) == "b.json: is broken"


def test_an_empty_list_says_what_to_do(panel, qtbot):
    qtbot.keyClicks(panel.search, "ankle")
    assert panel.empty_note.startswith("No image matches.")
    panel.search.clear()
    panel.set_entries([], lambda _key: ImageStatus())
    assert "appear by themselves" in panel.empty_note
    assert not panel.view.isVisible()


def test_only_rows_in_view_ask_for_thumbnails_among_ten_thousand(qtbot):
    panel = ImageListPanel()
    qtbot.addWidget(panel)
    panel.resize(240, 600)
    wanted: list[str] = []
    panel.thumbnail_needed.connect(lambda entry: wanted.append(entry.key))
    panel.set_entries(entries(*(f"{n:05}.png" for n in range(10_000))), lambda _key: ImageStatus())
    panel.show()
    qtbot.waitUntil(lambda: bool(wanted))
    assert len(set(wanted)) < 40
    panel.set_current("09999.png")
    qtbot.waitUntil(lambda: "09999.png" in wanted)
    assert len(set(wanted)) < 80
    assert panel.model.index(9_999).data(KEY_ROLE) == "09999.png"
    qtbot.keyClicks(panel.search, "0999")
    assert len(panel.model.keys()) == 11  # 0999 and 09990 to 09999


def test_the_current_image_stays_in_sight_however_far_down_the_list_it_is(qtbot):
    panel = ImageListPanel()
    qtbot.addWidget(panel)
    panel.resize(240, 600)
    panel.view.setLayoutMode(QListView.LayoutMode.Batched)
    panel.view.setBatchSize(50)
    names = [f"{n:03}.png" for n in range(400)]
    panel.set_entries(entries(*names), lambda _key: ImageStatus())
    panel.set_current("395.png")
    panel.show()

    def current_is_in_sight() -> bool:
        place = panel.view.visualRect(panel.model.index_of("395.png"))
        return panel.view.viewport().rect().contains(place) and not place.isEmpty()

    qtbot.waitUntil(current_is_in_sight)
    qtbot.keyClicks(panel.search, "395")
    panel.search.clear()
    qtbot.waitUntil(current_is_in_sight)
    panel.set_entries(entries(*names, "more.png"), lambda _key: ImageStatus())
    qtbot.waitUntil(current_is_in_sight)
    panel.view.scrollToTop()
    panel.view.doItemsLayout()
    qtbot.waitUntil(lambda: panel.view.verticalScrollBar().maximum() > 10_000)
    assert not current_is_in_sight(), "who scrolled elsewhere stays there"


# --- thumbnails -------------------------------------------------------------------------------------------


@pytest.fixture
def loader(qapp, tmp_path: Path) -> Iterator[ThumbnailLoader]:
    loader = ThumbnailLoader()
    loader.begin(tmp_path / "cache")
    yield loader
    loader.close()


def test_a_thumbnail_is_made_once_and_then_read_from_the_cache(loader, qtbot, image_folder, tmp_path):
    folder = image_folder(1, size_hw=(300, 400))
    (entry,) = entries("scan000.png", folder=folder)
    with qtbot.waitSignal(loader.ready) as first:
        loader.request(entry)
    assert isinstance(first.args[1], QImage)
    assert (first.args[1].width(), first.args[1].height()) == (128, 96)
    (kept,) = (tmp_path / "cache").iterdir()
    kept_at = kept.stat().st_mtime_ns
    with qtbot.waitSignal(loader.ready):
        loader.request(entry)
    assert kept.stat().st_mtime_ns == kept_at


def test_another_project_opens_while_a_thumbnail_is_made(bench, image_folder, qtbot, monkeypatch):
    went_on, begun, ended = threading.Event(), threading.Event(), []
    load = thumbnails.load_thumbnail

    def held(path: Path, cache: Path) -> QImage:
        if path.parent.name == "slow":
            begun.set()
            ended.append(went_on.wait(PATIENCE_S))
        return load(path, cache)

    monkeypatch.setattr(thumbnails, "load_thumbnail", held)
    bench.open(image_folder(1, name="slow"))
    qtbot.waitUntil(begun.is_set)
    model, role = bench.window.images.model, Qt.ItemDataRole.DecorationRole
    try:
        bench.open(image_folder(2, name="other"))
        qtbot.waitUntil(lambda: all(model.index(row).data(role) is not None for row in range(2)))
        assert not ended, "it is still being made"
    finally:
        went_on.set()


def test_an_unreadable_image_is_told(loader, qtbot, tmp_path):
    (tmp_path / "a.png").write_bytes(b"not a picture")
    (entry,) = entries("a.png", folder=tmp_path)
    with qtbot.waitSignal(loader.failed) as failed:
        loader.request(entry)
    assert failed.args[0] == "a.png"
    assert str(tmp_path / "a.png") in failed.args[1]


def test_rows_scrolled_past_long_ago_are_not_made_any_more(loader, qtbot, image_folder):
    folder = image_folder(1)
    ready: list[str] = []
    loader.ready.connect(lambda key, _image: ready.append(key))
    count = MAX_WAITING + 30
    for number in range(count):
        (folder / f"{number}.png").symlink_to(folder / "scan000.png")
    for entry in entries(*(f"{number}.png" for number in range(count)), folder=folder):
        loader.request(entry)
    qtbot.waitUntil(lambda: bool(ready) and not loader.busy)
    assert ready == [f"{number}.png" for number in range(count - 1, count - 1 - MAX_WAITING, -1)]


def test_where_room_is_short_the_suffix_gives_way_to_what_tells_images_apart(panel: ImageListPanel) -> None:
    metrics = QFontMetrics(panel.font())
    whole = metrics.horizontalAdvance("2011_000025.jpg")
    assert name_in("2011_000025.jpg", metrics, whole) == "2011_000025.jpg"
    assert name_in("2011_000025.jpg", metrics, whole - 1) == "2011_000025"
    short = name_in("2011_000025.jpg", metrics, whole // 2)
    assert short.endswith("25")
    assert short.startswith("20")
    room = metrics.horizontalAdvance("stack#12") + 2
    assert name_in("stack.tif#12", metrics, room) == "stack#12", "a page of a stack"
