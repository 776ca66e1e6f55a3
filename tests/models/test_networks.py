"""What every architecture owes the training loop, checked on narrow builds of all that are registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.annotation.model import ClassList
from core.learning.export import export_onnx
from core.learning.losses import segmentation_loss
from core.learning.weights import header_for, load_weights, save_weights
from core.models.network import Normalize, SegmentationNetwork
from core.models.registry import model_spec, model_specs

Narrow = Callable[..., SegmentationNetwork]


@dataclass(frozen=True)
class Variant:
    name: str
    options: tuple[tuple[str, str], ...] = ()


VARIANTS = [Variant(spec.name) for spec in model_specs()] + [
    Variant("unet", (("norm", "group"),)),
    Variant("fcn8s", (("training", "at_once"),)),
]


@pytest.fixture(params=VARIANTS, ids=lambda v: "-".join([v.name, *(value for _, value in v.options)]))
def network(request: pytest.FixtureRequest, narrow: Narrow) -> SegmentationNetwork:
    variant: Variant = request.param
    return narrow(variant.name, **dict(variant.options))


def halves() -> tuple[Tensor, Tensor]:
    """Three images (3, 3, 64, 96), 0..255, and their classes: stripes of three colours, top unlabelled."""
    targets = torch.zeros(3, 64, 96, dtype=torch.int64)
    targets[..., 32:64] = 1
    targets[..., 64:] = 2
    targets[1] = targets[1].flip(-1)
    targets[2] = 2 - targets[2]
    pixels = torch.rand(3, 3, 64, 96) * 40
    pixels.scatter_add_(1, targets.unsqueeze(1), torch.full((3, 1, 64, 96), 180.0))
    targets[:, :8] = 255
    return pixels, targets


RATES = {"unet_paper": 3e-3}
"""Of networks without normalisation layers, which take smaller steps."""


def train(network: SegmentationNetwork, steps: int) -> float:
    """Adam on three images; returns the last loss."""
    pixels, targets = halves()
    rate = RATES.get(network.architecture, 1e-2)
    x = Normalize(network.normalization)(pixels)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    loss = 0.0
    for _ in range(steps):
        optimizer.zero_grad()
        total = segmentation_loss(network(x), targets).total
        total.backward()
        optimizer.step()
        loss = total.item()
    return loss


@pytest.mark.parametrize("size_hw", [(1, 1), (37, 50), (64, 32), (33, 97)])
def test_any_image_size_gives_logits_of_that_size(network: SegmentationNetwork, size_hw: tuple[int, int]):
    network.eval()
    with torch.inference_mode():
        assert network(torch.randn(2, 3, *size_hw)).shape == (2, 3, *size_hw)


def test_after_one_step_every_parameter_learns(network: SegmentationNetwork):
    # One step first: FCN's score layers start at zero, which lets no gradient pass them.
    train(network, steps=1)
    pixels, targets = halves()
    network.zero_grad()
    segmentation_loss(network(Normalize(network.normalization)(pixels)), targets).total.backward()
    learning = [
        (name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad
    ]
    assert learning
    for name, parameter in learning:
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_encoder_and_decoder_share_no_parameter_and_leave_none_out(network: SegmentationNetwork):
    encoder = [id(p) for p in network.encoder_parameters()]
    decoder = [id(p) for p in network.decoder_parameters()]
    assert encoder
    assert decoder
    assert sorted(encoder + decoder) == sorted(id(p) for p in network.parameters())


def test_three_small_images_are_learned_by_heart(network: SegmentationNetwork):
    train(network, steps=60)
    pixels, targets = halves()
    network.eval()
    with torch.inference_mode():
        predicted = network(Normalize(network.normalization)(pixels)).argmax(dim=1)
    labelled = targets != 255
    assert (predicted == targets)[labelled].float().mean() > 0.95


def test_a_frozen_encoder_keeps_weights_and_statistics(network: SegmentationNetwork):
    network.train()
    network.freeze_encoder(True)
    before = {name: value.clone() for name, value in network.encoder.state_dict().items()}
    train_only = [p for p in network.parameters() if p.requires_grad]
    assert {id(p) for p in train_only} <= {id(p) for p in network.decoder_parameters()}
    train(network, steps=2)
    assert all(torch.equal(before[name], value) for name, value in network.encoder.state_dict().items())

    network.freeze_encoder(False)
    if model_spec(network.architecture).family == "Instant":
        return  # its encoder never learns
    train(network, steps=2)
    changed = [not torch.equal(before[name], value) for name, value in network.encoder.state_dict().items()]
    assert any(changed)


def test_weights_come_back_as_the_same_network(
    network: SegmentationNetwork, classes: ClassList, tmp_path: Path
):
    train(network, steps=2)
    network.eval()
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


def test_onnxruntime_sees_what_torch_sees(network: SegmentationNetwork, classes: ClassList, tmp_path: Path):
    train(network, steps=3)
    network.eval()
    path = export_onnx(network, header_for(network, classes=classes, tile=64), tmp_path / "network.onnx")
    pixels = np.random.default_rng(1).uniform(0, 255, size=(3, 3, 64, 64)).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(["logits"], {"pixels": pixels})[0]
    with torch.inference_mode():
        expected = network(Normalize(network.normalization)(torch.from_numpy(pixels))).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3 * max(1.0, np.abs(expected).max()))
    assert [entry.name for entry in tmp_path.iterdir()] == ["network.onnx"]


def test_an_image_does_not_change_the_prediction_of_another(network: SegmentationNetwork):
    network.eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert F.mse_loss(network(x)[:1], network(x[:1])) < 1e-10


def test_an_unknown_stage_is_refused(network: SegmentationNetwork):
    for stage in network.stages():
        network.enter_stage(stage)
    with pytest.raises(ValueError, match="has no stage 'fcn4s'"):
        network.enter_stage("fcn4s")
