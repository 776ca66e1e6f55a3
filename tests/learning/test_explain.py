"""Networks taken apart: sizes, numbers, what a pixel depends on, and maps of an image."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from core.annotation.model import ClassList, LabelClass
from core.errors import UsageError
from core.learning.answers import ModelExplained, ModelMaps
from core.learning.commands import ExplainModel, ShowMaps
from core.learning.config import TrainConfig
from core.learning.engine.explainer import Explainer
from core.learning.explain.blend import same_deep_network
from core.learning.explain.explained import PICTURE, Block, Explanation
from core.learning.explain.network import AGAIN, MOST_BLOCKS, condensed, explaining
from core.learning.labels.data import LabelStore
from core.learning.machine.pieces import drained
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.weights import header_for, save_weights
from core.models.registry import build, model_specs
from core.models.specs import ModelSpec, Option
from core.project.project import Project
from tests.tiny import squares_project

CLASSES = ClassList((LabelClass(0, "background", "#000000"), LabelClass(1, "nerve", "#ff0000")), 0)
NARROW: dict[str, Option] = {
    "width": 4,
    "encoder_width": 4,
    "depth": 2,
    "fc": 16,
    "window": 2,
    "growth": 2,
    "stem": 4,
    "trees": 2,
    "leaves": 4,
    "deep": '{"name": "unet", "encoder": "plain", "options": {"encoder_width": 4, "width": 4}}',
    "instant_encoder": "plain",
}
SMALL = {"encoder": "plain", "options": {"encoder_width": 2, "width": 2}}


def explained(
    name: str,
    *,
    tile: int,
    classes: int = 2,
    encoder: str | None = None,
    options: dict[str, Option] | None = None,
) -> Explanation:
    """All of it at once."""
    return drained(explaining(name, tile=tile, classes=classes, encoder=encoder, options=options))


def test_a_unet_is_told_as_boxes_with_the_sizes_of_their_maps_and_its_skips():
    told = explained("unet", tile=128, classes=3, **SMALL)
    sizes = [block.shape[1:] for block in told.blocks]
    assert sizes[:6] == [(128, 128), (64, 64), (32, 32), (16, 16), (8, 8), (4, 4)]
    assert told.blocks[-1].shape == (3, 128, 128)
    assert told.blocks[0].inputs == (PICTURE,)
    # Every decoder block takes the one before it and the encoder's map of its own size.
    for number, block in enumerate(told.blocks):
        if block.title == "Decoder":
            skips = [source for source in block.inputs if source != number - 1]
            assert [sizes[source] for source in skips] == [sizes[number]]
    network = build("unet", classes=3, encoder="plain", **SMALL["options"])
    assert told.parameters == sum(p.numel() for p in network.parameters())
    assert told.parameters == sum(block.parameters for block in told.blocks)
    assert told.macs
    assert told.train_bytes
    assert told.train_bytes > told.predict_bytes > 4 * told.parameters


@pytest.mark.parametrize(
    "name, options",
    [
        ("unet_paper", {"width": 2, "depth": 2}),
        ("fcn8s", {"encoder_width": 2, "fc": 16}),
        ("segnet", {"encoder_width": 2}),
        ("random_forest", {"trees": 2, "leaves": 8}),
    ],
)
def test_the_receptive_field_holds_whatever_a_pixel_depends_on(name: str, options: dict[str, int]):
    """Change one place of the picture outside of it: the pixel's scores stay. Its border is not far off."""
    torch.manual_seed(0)
    encoder = "plain" if "encoder_width" in options else None
    field = explained(name, tile=256, encoder=encoder, options=options).field
    assert not field.whole
    network = build(name, classes=2, encoder=encoder, **options).eval()
    side = max(field.width, field.height) * 2 // 32 * 32 + 64
    x = torch.randint(0, 256, (1, 3, 32, side)).float()
    at = side // 64 * 32  # as the middle of the tile of 256, to which the field belongs
    with torch.inference_mode():
        before = network(x)[0, :, 16, at]
        outside = x.clone()
        outside[..., : at - field.left] = 128.0
        outside[..., at + field.width - field.left :] = 128.0
        assert torch.equal(network(outside)[0, :, 16, at], before)


def test_the_published_unet_sees_what_is_framed_though_it_mirrors_more_behind_a_tile_than_before_it():
    options: dict[str, Option] = {"width": 2, "depth": 4}
    field = explained("unet_paper", tile=256, options=options).field
    network = build("unet_paper", classes=2, **options).double().eval()
    network.encoder.pool = torch.nn.AvgPool2d(2)  # with this and positive weights nothing is hidden
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.1)
    picture = torch.rand(1, 3, 32, 256, dtype=torch.double, requires_grad=True)
    scores = network(picture)[0, 0, 16]
    seen = set()
    for place in range(128, 144):
        (gradient,) = torch.autograd.grad(scores[place], picture, retain_graph=True)
        columns = gradient[0].sum((0, 1)).nonzero().flatten().tolist()
        seen.add((place - columns[0], columns[-1] - columns[0] + 1))
    assert (field.left, field.width) in seen
    assert field.width == max(width for _, width in seen)


@pytest.mark.parametrize("spec", model_specs(), ids=lambda spec: spec.name)
def test_every_network_of_the_registry_has_a_page(spec: ModelSpec):
    """Taken apart with few channels."""
    narrow = {option.name: NARROW[option.name] for option in spec.options if option.name in NARROW}
    encoder = "plain" if "plain" in spec.encoders else None
    told = explained(spec.name, tile=64, encoder=encoder, options=narrow)
    assert told.blocks[told.scores].shape == (2, 64, 64)
    assert all(block.inputs for block in told.blocks)
    assert all(block.layers for block in told.blocks), "each box says what is done in it"
    assert len(told.blocks) <= MOST_BLOCKS
    grown = spec.name == "random_forest"
    assert (told.macs is None, told.train_bytes is None) == (grown, grown)
    # What only helps to learn, an auxiliary head, is counted and has no box.
    assert 0 < sum(block.parameters for block in told.blocks) <= told.parameters


def test_many_blocks_become_few():
    blocks = [
        Block(
            part="encoder" if number < 6 else "head",
            title="Encoder" if number < 6 else "Scores",
            shape=(1, 8, 8),
            layers=("2 x convolution 3 x 3", "ReLU"),
            parameters=10,
            inputs=(number - 1,),
            maps=number,
        )
        for number in range(7)
    ]
    encoder, head = condensed(blocks, 4)
    assert (encoder.layers, encoder.parameters, encoder.inputs) == (
        ("12 x convolution 3 x 3", "6 x ReLU"),
        60,
        (PICTURE,),
    )
    assert (encoder.maps, head.inputs) == (5, (0,))


def test_of_many_blocks_those_of_the_most_divided_part_become_one():
    parts = "encoder", "encoder", "refined", "refined", "refined", "head"
    blocks = [
        Block(
            part=part, title=part, shape=(4, 8, 8), layers=(), parameters=1, inputs=(number - 1,), maps=number
        )
        for number, part in enumerate(parts)
    ]
    assert [block.part for block in condensed(blocks, 4)] == ["encoder", "encoder", "refined", "head"]
    assert [block.inputs for block in condensed(blocks, 4)] == [(PICTURE,), (0,), (1,), (2,)]
    assert [block.part for block in condensed(blocks, 1)] == ["encoder", "refined", "head"]


def test_a_tile_out_of_bounds_is_refused():
    with pytest.raises(UsageError, match="take 32 to 4096: 32"):
        explained("unet", tile=8)


# --- asked by the window ----------------------------------------------------------------------------------


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(path)
    return path


def _answers(explainer: Explainer, heard: list) -> list:
    while explainer.tick():
        pass
    return heard


def test_a_click_on_any_box_shows_maps_of_its_size(picture):
    heard: list = []
    explainer = Explainer(heard.append)
    options = (("encoder_width", 2), ("width", 2))
    model = ExplainModel(name="unet", tile=48, encoder="plain", options=options)
    told = explained("unet", tile=48, encoder="plain", options=dict(options))
    for block in told.blocks:
        explainer.show(
            ShowMaps(model=model, key="a.png", image_path=str(picture), maps=block.maps), CLASSES, []
        )
        assert _answers(explainer, heard)[-1].shape == block.shape


def test_another_question_drops_maps_of_what_was_asked_before(picture):
    heard: list = []
    explainer = Explainer(heard.append)
    model = ExplainModel(name="unet", tile=48, encoder="plain", options=(("encoder_width", 2), ("width", 2)))
    explainer.show(ShowMaps(model=model, key="a.png", image_path=str(picture), maps=0), CLASSES, [])
    explainer.explain(ExplainModel(name="no_such", tile=64), None)
    assert [type(answer) for answer in _answers(explainer, heard)] == [ModelExplained]


def test_the_engine_tells_what_a_network_is_made_of_and_what_is_wrong():
    heard: list = []
    explainer = Explainer(heard.append)
    explainer.explain(ExplainModel(name="no_such", tile=64), None)
    explainer.explain(ExplainModel(name="unet", tile=64, encoder="plain"), None)  # instead of the first
    (answer,) = _answers(explainer, heard)
    assert isinstance(answer, ModelExplained)
    assert answer.explanation is not None
    explainer.explain(ExplainModel(name="unet", tile=64, encoder="no_such"), None)
    assert "no_such" in _answers(explainer, heard)[-1].problem


def test_maps_of_an_image_come_from_the_newest_run_of_the_network_else_untrained(picture, tmp_path):
    heard: list = []
    explainer = Explainer(heard.append)
    options = (("trees", 2), ("leaves", 8))
    asked = ShowMaps(
        model=ExplainModel(name="random_forest", tile=32, options=options),
        key="a.png",
        image_path=str(picture),
        maps=0,
    )
    other, run = (RunFolder(tmp_path / name) for name in ("other", "run"))
    explainer.show(asked, CLASSES, [other])
    answer = _answers(explainer, heard)[-1]
    assert isinstance(answer, ModelMaps)
    assert answer.problem == ""
    assert answer.source.startswith("untrained")
    assert answer.box == (16, 8, 48, 40)
    assert answer.scores is not None
    assert answer.scores.array().shape == (2, 32, 32)

    network = build("random_forest", classes=2, **dict(options))
    run.path.mkdir()
    save_weights(run.best_weights, network, header_for(network, classes=CLASSES, tile=32, scale=0.5))
    told = explained("random_forest", tile=32, options=dict(options))
    for block in told.blocks:
        explainer.show(
            ShowMaps(model=asked.model, key="a.png", image_path=str(picture), maps=block.maps), CLASSES, [run]
        )
        answer = _answers(explainer, heard)[-1]
        assert answer.source == run.spoken_name()
        assert answer.box == (0, 0, 64, 48)
        assert answer.shape == (block.shape[0], 24, 32)
        assert answer.features is not None
        assert len(answer.features) == len(answer.channels) == min(24, block.shape[0])
    explainer.show(
        ShowMaps(model=asked.model, key="a.png", image_path=str(tmp_path / "gone.png"), maps=0), CLASSES, []
    )
    assert "gone.png" in _answers(explainer, heard)[-1].problem


def test_a_network_in_an_early_stage_shows_the_boxes_of_its_diagram(picture, tmp_path):
    heard: list = []
    explainer = Explainer(heard.append)
    options = (("encoder_width", 2), ("fc", 16))
    network = build("fcn8s", classes=2, encoder="plain", **dict(options), stage="fcn32s")
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    save_weights(run.best_weights, network, header_for(network, classes=CLASSES, tile=32))
    told = explained("fcn8s", tile=32, encoder="plain", options=dict(options))
    for block in told.blocks:
        model = ExplainModel(name="fcn8s", tile=32, encoder="plain", options=options)
        asked = ShowMaps(model=model, key="a.png", image_path=str(picture), maps=block.maps)
        explainer.show(asked, CLASSES, [run])
        answer = _answers(explainer, heard)[-1]
        assert answer.problem == ""
        assert answer.shape == block.shape
        assert answer.source == f"{run.spoken_name()}, trained as far as fcn32s"


def test_images_are_seen_at_the_scale_of_a_run_that_would_be_started(picture, tmp_path):
    heard: list = []
    explainer = Explainer(heard.append)
    options = (("encoder_width", 2), ("width", 2))
    squares_project(tmp_path / "squares", [(10, 10, 40, 40)] * 2, side=64, labelled=2)
    with Project.open(tmp_path / "squares") as project:
        store = LabelStore.from_project(project)
    for scale in (1.0, 0.5):
        asked = ExplainModel(
            name="unet", tile=32, encoder="plain", options=options, config=TrainConfig(image_scale=scale)
        )
        explainer.explain(asked, store)
        assert _answers(explainer, heard)[-1].scale == scale
        explainer.show(
            ShowMaps(model=asked, key="a.png", image_path=str(picture), maps=0), CLASSES, [], store
        )
        answer = _answers(explainer, heard)[-1]
        x0, _, x1, _ = answer.box
        assert x1 - x0 == min(64, 32 / scale)


# --- both learners ----------------------------------------------------------------------------------------


def test_weights_that_blocks_share_are_counted_once():
    told = explained("instant", tile=64, encoder="plain", options={"encoder_width": 2, "hidden": 4})
    assert sum(block.parameters for block in told.blocks) == told.parameters
    again = [(block.part, block.shape[1]) for block in told.blocks if AGAIN in block.layers]
    assert [part for part, _ in again if part] == ["encoder", "encoder"], "one encoder sees three zooms"
    between = [pixels for part, pixels in again if not part]
    assert between == [8, 4, 2], "the head's first layer, of each coarser scale by itself"


def test_a_blend_is_two_networks_and_what_joins_them():
    deep = {"name": "unet", "encoder": "plain", "options": {"width": 2, "encoder_width": 2}}
    told = explained("blend", tile=64, options={"deep": json.dumps(deep), "share": 30})
    first, second, both = told.blocks
    assert (first.title, second.title, both.inputs) == ("U-Net", "Instant learner", (0, 1))
    assert first.inputs == second.inputs == (PICTURE,)
    assert both.layers[1] == "the instant learner counts 30 %, the deep network 70 %"
    assert first.parameters + second.parameters == told.parameters
    assert all(block.shape == (2, 64, 64) for block in told.blocks)
    named = {"deep": json.dumps(deep | {"options": {"width": 2}})}
    assert same_deep_network(told.options, named)
    assert not same_deep_network(told.options, {"deep": json.dumps(deep | {"options": {"width": 4}})})
