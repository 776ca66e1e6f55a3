"""The model page as a person meets it: opened beside the picker, read, clicked, followed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.dialogs.model_page import CLICK, UNKNOWN, ModelPage
from app.panels.model_diagram import lanes
from core.annotation.model import ClassList, LabelClass
from core.learning.answers import ModelExplained, ModelMaps
from core.learning.commands import ExplainModel, ShowMaps
from core.learning.events import EngineReady
from core.learning.explain.explained import PICTURE, Block, Explanation, Pictures, ReceptiveField
from core.models.registry import encoder_spec, model_spec

LEFT = Qt.MouseButton.LeftButton
CLASSES = ClassList((LabelClass(0, "background", "#000000"), LabelClass(1, "nerve", "#ff0000")), 0)


def _block(title: str, shape: tuple[int, int, int], *inputs: int, maps: int) -> Block:
    layers = ("2 x convolution 3 x 3", "ReLU")
    return Block(
        part=title.lower(), title=title, shape=shape, layers=layers, parameters=1000, inputs=inputs, maps=maps
    )


EXPLANATION = Explanation(
    name="unet",
    title="U-Net",
    encoder="plain",
    options={},
    tile=256,
    classes=2,
    parameters=5_198_482,
    macs=11_600_000_000,
    predict_bytes=91 << 20,
    train_bytes=1 << 30,
    field=ReceptiveField(100, 120, 40, 50),
    blocks=(
        _block("Encoder", (16, 256, 256), PICTURE, maps=0),
        _block("Encoder", (32, 128, 128), 0, maps=1),
        _block("Decoder", (16, 256, 256), 0, 1, maps=2),
        _block("Scores", (2, 256, 256), 2, maps=3),
    ),
)
MAPS = ModelMaps(
    name="unet",
    key="a.png",
    maps=2,
    source="run of 06:12",
    box=(0, 0, 64, 48),
    shape=(16, 24, 32),
    features=Pictures((2, 24, 32), bytes(2 * 24 * 32)),
    channels=(3, 7),
    scores=Pictures((2, 48, 64), bytes(2 * 48 * 64)),
    classes=CLASSES,
)


def _explained(**changes: object) -> ModelExplained:
    values = {"name": "unet", "encoder": None, "tile": 256, "explanation": EXPLANATION} | changes
    return ModelExplained(**values)  # type: ignore[arg-type]


@pytest.fixture
def page(shown, dressed) -> ModelPage:
    made = ModelPage()
    shown(made, 1080, 760)
    made.set_model(model_spec("unet"), encoder_spec("plain"), 250)
    return made


def test_the_page_tells_costs_and_receptive_field(page: ModelPage):
    page.set_explained(_explained(scale=0.5))
    assert page.tile.currentData() == 256
    assert page.fact("parameters") == "5.2 million"
    assert page.fact("train") == "1.0 GB"
    assert page.fact("field").startswith("120 × 100 (240 × 200 in the image")


def test_a_forest_is_told_no_numbers_of_a_network(page: ModelPage):
    page.set_explained(_explained(explanation=replace(EXPLANATION, macs=None, train_bytes=None)))
    assert (page.fact("macs"), page.fact("train")) == (UNKNOWN, "grown, not by gradients")
    assert page.fact("predict") != UNKNOWN


@pytest.mark.parametrize("answer", [None, _explained(explanation=None, problem="there is no such tile")])
def test_nothing_of_the_network_before_is_shown_for_another(page: ModelPage, answer: ModelExplained | None):
    page.set_explained(_explained(scale=0.5))
    page.set_model(model_spec("segnet"), encoder_spec("plain"), 250)
    if answer is not None:
        page.set_explained(answer)
    assert {page.fact(name) for name in ("parameters", "macs", "predict", "train", "field")} == {UNKNOWN}


def test_what_an_engine_that_has_ended_was_asked_can_be_asked_again(page: ModelPage, qtbot: QtBot):
    page.give_up("the engine has ended")
    with qtbot.waitSignal(page.explanation_needed) as asked:
        qtbot.mouseClick(page.again_button, LEFT)
    assert asked.args == [256]
    assert not page.again_button.isVisible()
    page.set_explained(_explained())
    page.set_waiting()
    page.give_up("the engine has ended")
    assert page.source_text == "The engine has ended."
    assert page.explanation is EXPLANATION, "which was known already"
    assert not page.again_button.isVisible()
    with qtbot.waitSignal(page.maps_needed):
        qtbot.mouseClick(page.look_button, LEFT)


def test_a_click_on_a_box_asks_for_its_maps_and_shows_them(page: ModelPage, qtbot: QtBot):
    page.set_explained(_explained())
    assert page.source_text == CLICK
    box = page.diagram.box_of(2).center().toPoint()
    with qtbot.waitSignal(page.maps_needed) as asked:
        qtbot.mouseClick(page.diagram, LEFT, pos=box)
    assert asked.args == [2]
    page.set_maps(MAPS)
    assert page.scores.captions == ("background", "nerve")
    assert page.features.captions == ("map 4 of 16", "map 8 of 16")
    assert "run of 06:12" in page.source_text
    page.set_maps(ModelMaps(name="unet", key="a.png", maps=2, problem="a.png: cannot be read"))
    assert page.features.captions == ()
    assert "cannot be read" in page.source_text


def test_coarser_maps_are_lower_and_skips_are_level(page: ModelPage):
    page.set_explained(_explained())
    boxes = [page.diagram.box_of(number) for number in range(4)]
    assert boxes[1].top() > boxes[0].bottom()
    assert boxes[2].top() == boxes[0].top()
    assert all(a.right() < b.left() for a, b in itertools.pairwise(boxes))
    grab = page.diagram.grab().toImage()
    assert len({grab.pixel(x, 40 + 25) for x in range(0, grab.width(), 3)}) > 3


def test_what_lies_between_encoder_and_decoder_stands_beside_its_source(page: ModelPage):
    """Not one behind the other, which would make the picture half as wide again."""
    blocks = (
        _block("Encoder", (16, 128, 128), PICTURE, maps=0),
        _block("Encoder", (32, 64, 64), 0, maps=1),
        _block("In between", (8, 128, 128), 0, maps=2),
        _block("In between", (8, 64, 64), 1, maps=3),
        _block("Decoder", (16, 128, 128), 2, 3, maps=4),
        _block("Scores", (2, 128, 128), 4, maps=5),
    )
    page.set_explained(_explained(explanation=replace(EXPLANATION, blocks=blocks)))
    boxes = [page.diagram.box_of(number) for number in range(len(blocks))]
    assert boxes[2].left() == boxes[1].left()
    assert boxes[2].top() == boxes[0].top()
    for number, block in enumerate(blocks):
        for source in block.inputs:
            assert page.diagram.box_of(source).right() < boxes[number].left()
    assert not any(a.intersects(b) for a, b in itertools.combinations(boxes, 2))


def test_a_deep_diagram_is_seen_to_its_last_row_and_a_flat_one_leaves_room_for_maps(page: ModelPage):
    deep = tuple(
        _block("Encoder", (16, 256 >> level, 256 >> level), level - 1, maps=level) for level in range(6)
    )
    page.set_explained(_explained(explanation=replace(EXPLANATION, blocks=deep)))
    diagram = page.diagram
    seen = diagram.visibleRegion().boundingRect()
    assert seen.contains(diagram.box_of(5).toAlignedRect())
    page.set_explained(_explained(explanation=replace(EXPLANATION, blocks=EXPLANATION.blocks[:1])))
    assert diagram.visibleRegion().boundingRect().height() < seen.height() / 2


def test_what_cannot_be_explained_is_said(page: ModelPage):
    page.set_explained(_explained(explanation=None, problem="a tile of 8 pixels cannot be explained"))
    assert not page.look_button.isEnabled()
    assert page.explanation is None


def test_the_page_opens_beside_the_picker_and_follows_it(
    bench, image_folder: Callable[..., Path], qtbot: QtBot
):
    bench.open(image_folder(2))
    window, sent = bench.window, bench.trainer.sent
    setup = window.training.setup
    setup.model.setCurrentIndex(setup.model.findData("unet"))
    qtbot.mouseClick(setup.explain, LEFT)
    page = bench.dialog(ModelPage)
    asked = [command for command in sent if isinstance(command, ExplainModel)]
    assert asked[-1].name == "unet"
    window.controller.event_received.emit(_explained(encoder=asked[-1].encoder, tile=asked[-1].tile))
    assert page.explanation is EXPLANATION
    page.look_button.click()
    (maps,) = [command for command in sent if isinstance(command, ShowMaps)]
    assert maps.key == bench.session.current.entry.key
    page.field_box.setChecked(True)
    assert window.canvas.aids.field is not None
    assert (window.canvas.aids.field.width(), window.canvas.aids.field.left()) == (120, -50)
    window.canvas.grab()
    setup.model.setCurrentIndex(setup.model.findData("random_forest"))
    assert [command.name for command in sent if isinstance(command, ExplainModel)][-1] == "random_forest"
    assert window.canvas.aids.field is None, "that of the network before"
    assert not page.again_button.isVisible()
    bench.trainer.engine_state_changed.emit("crashed", "The engine crashed.")
    assert page.again_button.isVisible()
    asked = [command for command in sent if isinstance(command, ExplainModel)]
    answer = _explained(name="random_forest", encoder=asked[-1].encoder, tile=asked[-1].tile)
    window.controller.event_received.emit(answer)
    assert window.canvas.aids.field is not None
    assert not page.again_button.isVisible(), "it has been answered"
    page.close()
    assert window.canvas.aids.field is None


def test_maps_of_the_encoder_before_are_not_shown_and_a_stopped_engine_starts_for_new_ones(
    bench, image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    bench.open(image_folder(1))
    setup, trainer = bench.window.training.setup, bench.trainer
    setup.model.setCurrentIndex(setup.model.findData("unet"))
    setup.explain.click()
    page = bench.dialog(ModelPage)

    def explain() -> None:
        asked = [command for command in trainer.sent if isinstance(command, ExplainModel)][-1]
        trainer.event_received.emit(_explained(encoder=asked.encoder, tile=asked.tile))

    explain()
    starts = []
    monkeypatch.setattr(trainer, "start_engine", lambda: starts.append(1))
    page.look_button.click()
    assert starts
    asked = [command for command in trainer.sent if isinstance(command, ShowMaps)][-1]
    page.tile.setCurrentIndex(page.tile.currentIndex() - 1)
    late = replace(MAPS, name="unet", key=asked.key, maps=asked.maps)
    trainer.event_received.emit(late)
    assert "columns" not in page.source_text
    explain()
    page.look_button.click()
    trainer.event_received.emit(late)
    assert "columns" in page.source_text
    page.close()


@pytest.mark.parametrize(("device", "crop"), [("CPU, 2 threads", 256), ("NVIDIA RTX 4090", 384)])
def test_the_page_opens_at_the_crop_of_a_run_on_the_engines_device(
    bench, image_folder: Callable[..., Path], qtbot: QtBot, device: str, crop: int
):
    bench.open(image_folder(1))
    setup = bench.window.training.setup
    setup.model.setCurrentIndex(setup.model.findData("unet"))
    bench.trainer.event_received.emit(EngineReady(pid=1, device=device, torch="2"))
    qtbot.mouseClick(setup.explain, LEFT)
    page = bench.dialog(ModelPage)
    assert page.tile.currentData() == crop
    assert [command.tile for command in bench.trainer.sent if isinstance(command, ExplainModel)] == [crop]
    page.close()


def test_arrows_that_overlap_pass_at_heights_of_their_own():
    """The tile's arrow to the instant learner and the network's to both met in one line."""
    assert lanes([(PICTURE, 0), (PICTURE, 1), (0, 2), (1, 2)]) == {(PICTURE, 1): 0, (0, 2): 1}
    assert lanes([(0, 4), (1, 3), (4, 6)]) == {(1, 3): 0, (4, 6): 0, (0, 4): 1}


def test_of_both_learners_each_has_a_page_of_its_own(bench, image_folder: Callable[..., Path], qtbot: QtBot):
    bench.open(image_folder(1))
    window, sent = bench.window, bench.trainer.sent
    setup = window.training.setup
    setup.model.setCurrentIndex(setup.model.findData("auto"))
    qtbot.mouseClick(setup.explain, LEFT)
    page = bench.dialog(ModelPage)

    def asked() -> ExplainModel:
        return [command for command in sent if isinstance(command, ExplainModel)][-1]

    assert [page.parts.tabText(place) for place in range(3)] == ["Both together", "U-Net", "Instant learner"]
    assert asked().name == "blend"
    assert '"name": "unet"' in dict(asked().options)["deep"]
    blocks = (
        replace(_block("U-Net", (2, 256, 256), PICTURE, maps=-1), part="deep"),
        replace(_block("Instant learner", (2, 256, 256), PICTURE, maps=-1), part="instant"),
        replace(_block("Both", (2, 256, 256), 0, 1, maps=-1), part="blend"),
    )
    told = replace(EXPLANATION, name="blend", blocks=blocks)
    answer = _explained(name="blend", encoder=None, tile=asked().tile, explanation=told)
    window.controller.event_received.emit(answer)
    qtbot.mouseClick(page.diagram, LEFT, pos=page.diagram.box_of(2).center().toPoint())
    (maps,) = [command for command in sent if isinstance(command, ShowMaps)]  # of the page that is open
    assert maps.model.name == "blend"
    assert "looks at the image" in page.source_text
    qtbot.mouseClick(page.diagram, LEFT, pos=page.diagram.box_of(1).center().toPoint())
    assert asked().name == "instant"
    assert page.parts.tabText(page.parts.currentIndex()) == "Instant learner"
    page.parts.setCurrentIndex(1)
    assert (asked().name, asked().encoder) == ("unet", setup.encoder.currentData())
    setup.model.setCurrentIndex(setup.model.findData("segnet"))
    assert page.parts.isHidden()
    page.close()
