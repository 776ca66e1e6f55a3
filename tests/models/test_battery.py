"""What every network owes the program, checked on narrow builds of all that are registered.

A family that is added to the catalogue is in here by itself. Where its usual size is too much for a test, its
options get smaller values in `NARROW` or `NARROW_OF` of the conftest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from core.annotation.model import ClassList
from core.learning.config import TrainConfig
from core.learning.export import export_onnx
from core.learning.prediction.predict import Predictor
from core.learning.runs.weights import header_for, load_weights, save_weights
from core.learning.settings.preset import usual_rate
from core.learning.training.losses import loss_sums, training_loss
from core.models.hand_made import REACH
from core.models.network import Normalize, SegmentationNetwork
from core.models.registry import build, model_spec, model_specs
from core.models.specs import ModelSpec
from core.models.terms import Truth

Narrow = Callable[..., SegmentationNetwork]

CLASSES = 3
TILE = 64
STEPS = 120
"""In which every network learns four small images by heart, at most; coarser stages have a glance each."""
GLANCE = 6
"""Steps after which it is seen whether they are learned."""
LEARNED = 0.97
"""Share of their labelled pixels that says so."""
LIKE: dict[str, str] = {
    "unet": "blend",
    "instant": "blend",
    "fcn32s": "fcn8s",
    "fcn16s": "fcn8s",
    "fcn_resnet101": "fcn_resnet50",
    "fcdensenet67": "fcdensenet56",
    "fcdensenet103": "fcdensenet56",
    "random_forest": "the smaller one in test_random_forest.py",
}
"""Networks that are part of another, or another with more or fewer of the same layers: as making an ONNX
graph takes seconds, only the other's is made."""


@dataclass
class Entry:
    """A registered network, and what tests that only look at it share."""

    spec: ModelSpec
    fresh: Callable[[], SegmentationNetwork]
    shared: dict[str, SegmentationNetwork] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Of learning: like a run, networks without normalisation layers take smaller steps."""
        return 1e-2 * usual_rate(TrainConfig(), self.spec)

    @property
    def learned(self) -> SegmentationNetwork:
        """Trained on the four images (or begun to be), in evaluation mode. Not to be changed."""
        if "learned" not in self.shared:
            network = self.fresh()
            *coarser, last = network.stages()
            for stage in coarser:
                network.enter_stage(stage)
                train(network, steps=GLANCE, rate=self.rate)
            network.enter_stage(last)
            train(network, steps=STEPS, rate=self.rate, until=lambda: share_right(network) > LEARNED)
            self.shared["learned"] = network.eval()
        return self.shared["learned"]


@dataclass(frozen=True)
class Variant:
    name: str
    options: tuple[tuple[str, str], ...] = ()


VARIANTS = [Variant(spec.name) for spec in model_specs()] + [Variant("fcn8s", (("training", "at_once"),))]


@pytest.fixture(
    scope="module", params=VARIANTS, ids=lambda v: "-".join([v.name, *(value for _, value in v.options)])
)
def entry(request: pytest.FixtureRequest, narrow: Narrow) -> Entry:
    variant: Variant = request.param

    def fresh() -> SegmentationNetwork:
        torch.manual_seed(0)
        return narrow(variant.name, classes=CLASSES, **dict(variant.options))

    return Entry(model_spec(variant.name), fresh)


def four_images() -> tuple[Tensor, Tensor]:
    """Images (4, 3, 64, 96), 0..255, and their classes: stripes of three colours, top unlabelled."""
    targets = torch.zeros(4, 64, 96, dtype=torch.int64)
    targets[:3, :, 32:64] = 1
    targets[:3, :, 64:] = 2
    targets[1] = targets[1].flip(-1)
    targets[2] = 2 - targets[2]
    targets[3, 32:] = 2
    pixels = torch.rand(4, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 40
    pixels.scatter_add_(1, targets.unsqueeze(1), torch.full((4, 1, 64, 96), 180.0))
    targets[:, :8] = 255
    return pixels, targets


def loss_of(network: SegmentationNetwork) -> Tensor:
    """As a run computes it, with the terms a network has beside its scores."""
    pixels, targets = four_images()
    x = Normalize(network.normalization)(pixels)
    return training_loss(network, x, Truth.of(targets)).total


def share_right(network: SegmentationNetwork) -> float:
    """Share of the four images' labelled pixels that it sees as they are; it learns on afterwards."""
    pixels, targets = four_images()
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        predicted = network(Normalize(network.normalization)(pixels)).argmax(dim=1)
    network.train(was_training)
    return float((predicted == targets)[targets != 255].float().mean())


def train(
    network: SegmentationNetwork, steps: int, rate: float = 1e-2, until: Callable[[], bool] = lambda: False
) -> None:
    """Adam on the four images, until it says so, which is asked now and then."""
    network.train()
    optimizer = torch.optim.Adam((p for p in network.parameters() if p.requires_grad), lr=rate)
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        loss_of(network).backward()
        optimizer.step()
        if step % GLANCE == 0 and until():
            break


# --- sizes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_hw", [(1, 1), (37, 50), (33, 97)])
def test_any_image_size_gives_logits_of_that_size(entry: Entry, size_hw: tuple[int, int]):
    network = entry.learned
    with torch.inference_mode():
        assert network(torch.randn(2, 3, *size_hw)).shape == (2, CLASSES, *size_hw)


def test_the_declared_sizes_need_no_padding(entry: Entry):
    network, multiple = entry.learned, entry.spec.size_multiple
    assert network.size_multiple == multiple
    side = -(-TILE // multiple) * multiple
    with torch.inference_mode():
        x = torch.randn(1, 3, side, side + multiple)
        scores = network.logits(x)
        assert scores.shape == (1, CLASSES, side, side + multiple)
        torch.testing.assert_close(network(x), scores)


def test_an_image_does_not_change_the_prediction_of_another(entry: Entry):
    network, x = entry.learned, torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network(x)[:1], network(x[:1]), rtol=1e-4, atol=1e-3)


def test_predict_pads_or_tiles_what_the_declared_sizes_are_not(entry: Entry, classes: ClassList):
    network = entry.learned
    image = np.random.default_rng(0).integers(0, 256, size=(45, 150, 3), dtype=np.uint8)
    header = header_for(network, classes=classes, tile=TILE)
    for predictor in (Predictor(network, header), Predictor(network, header, tile=TILE)):
        found = predictor.predict(image).classes
        assert found.shape == (45, 150)
        assert set(np.unique(found)) <= set(classes.indices)


@pytest.mark.parametrize("spec", model_specs(), ids=lambda spec: spec.name)
def test_the_number_of_parameters_is_the_one_stated_and_the_papers(spec: ModelSpec):
    with torch.device("meta"):
        network = build(spec.name, classes=2)
    assert sum(p.numel() for p in network.parameters()) == spec.parameters
    if spec.published is None:
        return
    paper = spec.published
    with torch.device("meta"):
        network = build(spec.name, classes=paper.classes, encoder=paper.encoder, **dict(paper.options))
    own = sum(p.numel() for p in network.parameters())
    assert abs(own - paper.parameters) <= paper.rounding / 2, own


# --- learning ---------------------------------------------------------------------------------------------


def test_after_one_step_every_parameter_learns(entry: Entry):
    network = entry.fresh()
    reached: set[str] = set()
    for stage in network.stages():
        network.enter_stage(stage)
        # One step first: score layers that start at zero let no gradient pass.
        train(network, steps=1)
        network.zero_grad()
        loss_of(network).backward()
        for name, parameter in network.named_parameters():
            if parameter.grad is not None and parameter.requires_grad:
                assert parameter.grad.isfinite().all(), name
                assert parameter.grad.abs().sum() > 0, f"{name} in stage {stage}"
                reached.add(name)
    assert reached == {name for name, p in network.named_parameters() if p.requires_grad}


def test_encoder_and_decoder_share_no_parameter_and_leave_none_out(entry: Entry):
    network = entry.learned
    encoder = [id(p) for p in network.encoder_parameters()]
    decoder = [id(p) for p in network.decoder_parameters()]
    assert encoder or entry.spec.family == "Classical"
    assert decoder
    assert sorted(encoder + decoder) == sorted(id(p) for p in network.parameters())


def test_four_small_images_are_learned_by_heart(entry: Entry):
    assert share_right(entry.learned) > 0.95


def test_a_frozen_encoder_keeps_weights_and_statistics(entry: Entry):
    network = entry.fresh()
    network.train()
    network.freeze_encoder(True)
    before = {name: value.clone() for name, value in network.encoder.state_dict().items()}
    learning = {id(p) for p in network.parameters() if p.requires_grad}
    assert learning <= {id(p) for p in network.decoder_parameters()}
    train(network, steps=2)
    assert all(torch.equal(before[name], value) for name, value in network.encoder.state_dict().items())

    network.freeze_encoder(False)
    if entry.spec.family in ("Instant", "Classical"):
        return  # their encoders never learn
    train(network, steps=2)
    changed = [not torch.equal(before[name], value) for name, value in network.encoder.state_dict().items()]
    assert any(changed)


def test_an_unknown_stage_is_refused(entry: Entry):
    with pytest.raises(ValueError, match="has no stage 'fcn4s'"):
        entry.fresh().enter_stage("fcn4s")


# --- files ------------------------------------------------------------------------------------------------


def test_weights_come_back_as_the_same_network(entry: Entry, classes: ClassList, tmp_path: Path):
    network = entry.learned
    header = header_for(
        network, classes=classes, tile=64, scale=0.5, metrics={"miou": 0.5}, data_digest="abc"
    )
    save_weights(tmp_path / "w.safetensors", network, header)
    loaded, read = load_weights(tmp_path / "w.safetensors", classes=classes)
    assert read == header
    assert loaded.normalization == network.normalization
    x = torch.randn(1, 3, 45, 64)
    with torch.inference_mode():
        assert torch.equal(loaded(x), network(x))


def test_onnxruntime_sees_what_torch_sees(
    entry: Entry, classes: ClassList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Without the exporter's last pass, a quarter of its time: test_export_onnx.py has it."""
    monkeypatch.setattr(torch.onnx, "export", partial(torch.onnx.export, optimize=False))
    if (like := LIKE.get(entry.spec.name)) is not None:
        pytest.skip(f"its graph is made of the same layers as that of {like}")
    network = entry.learned
    path = export_onnx(network, header_for(network, classes=classes, tile=TILE), tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    side = session.get_inputs()[0].shape[-1]
    for count in (1, 3):
        pixels = np.random.default_rng(1).uniform(0, 255, size=(count, 3, side, side)).astype(np.float32)
        found = session.run(["logits"], {"pixels": pixels})[0]
        with torch.inference_mode():
            expected = network(Normalize(network.normalization)(torch.from_numpy(pixels))).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-3 * max(1.0, np.abs(expected).max()))
        assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.999


# --- tiles ------------------------------------------------------------------------------------------------

WIDEST_REACH = 512


def reach(network: SegmentationNetwork) -> int | None:
    """How many columns from a pixel the scores there may come from; None where that is the whole image."""
    width = 2 * WIDEST_REACH + 64
    x = torch.randn(1, 3, 32, width, requires_grad=True)
    middle = slice(WIDEST_REACH, WIDEST_REACH + 64)  # some columns, for the maxima of a pool hide others
    scores = network(x)[..., middle]
    (gradient,) = torch.autograd.grad((scores * torch.randn_like(scores)).sum(), x, allow_unused=True)
    if gradient is None:
        return REACH  # the steps of trees have no slope
    columns = gradient.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
    first, last = int(columns[0]), int(columns[-1])
    if first < 32 or last >= width - 32:
        return None
    return max(middle.start - first, last - middle.stop + 1)


def test_tiles_give_what_the_whole_image_gives(entry: Entry, classes: ClassList):
    network = entry.learned
    seen = reach(network)
    if seen is None:
        pytest.skip("its scores come from the whole image, or from farther than a tile can show")
    # The outer quarter of an overlap is dropped; what is behind it must not be seen.
    overlap = 4 * (seen + 32)
    tile = overlap + 128
    image = np.random.default_rng(0).integers(0, 256, size=(32, tile + 512, 3), dtype=np.uint8)
    header = header_for(network, classes=classes, tile=64)
    whole = Predictor(network, header).predict(image, probabilities=True)
    tiled = Predictor(network, header, tile=tile, overlap=overlap).predict(image, probabilities=True)
    np.testing.assert_allclose(tiled.probabilities, whole.probabilities, atol=2e-3)
    assert (tiled.classes == whole.classes).mean() > 0.999


# --- devices ----------------------------------------------------------------------------------------------


@pytest.mark.gpu
def test_bf16_on_a_gpu_sees_and_learns_what_float32_does(entry: Entry):
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA GPU")
    pixels, targets = (tensor.cuda() for tensor in four_images())
    network = entry.fresh().cuda()
    normalize = Normalize(network.normalization).cuda()
    for stage in network.stages():
        network.enter_stage(stage)
    network.load_state_dict(entry.learned.state_dict())
    with torch.inference_mode():
        network.eval()
        single = network(normalize(pixels)).argmax(dim=1)
        with torch.autocast("cuda", torch.bfloat16):
            half = network(normalize(pixels)).argmax(dim=1)
    assert (single == half).float().mean() > 0.98
    network.train()
    # As in fit(): the network computes in bfloat16, the loss and a network's own terms do not.
    with torch.autocast("cuda", torch.bfloat16):
        output = network.training_output(normalize(pixels))
    truth = Truth.of(targets)
    loss = loss_sums(output.logits, truth, terms=network.loss_terms(output, truth)).loss().total
    loss.backward()
    assert loss.isfinite()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
