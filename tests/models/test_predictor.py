"""Predictions of any image size, the same whether in one pass or in tiles, and when memory is short."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.annotation.model import ClassList
from core.errors import DeviceError, MaskloopError
from core.images.rows import WholePicture
from core.learning.labels.data import resized
from core.learning.prediction.predict import Predictor, choose_device, open_predictor
from core.learning.runs.header import WeightsHeader
from core.learning.runs.weights import header_for, save_weights
from core.models.network import Normalize, SegmentationNetwork

INDICES = np.array([0, 3, 7], np.uint8)


def coloured(height: int, width: int, *, block: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An image of blocks whose red is 0, 100 or 200, and the class index of every pixel."""
    channels = np.random.default_rng(seed).integers(0, 3, size=(-(-height // block), -(-width // block)))
    channels = np.kron(channels, np.ones((block, block), np.int64))[:height, :width]
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = channels * 100
    return image, INDICES[channels]


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 40), (5, 3), (37, 5000), (64, 64), (300, 200)])
@pytest.mark.parametrize("tile", [None, 64])
def test_images_of_any_size_become_class_indices(colour_network, colour_header, size_hw, tile):
    image, expected = coloured(*size_hw)
    predicted = Predictor(colour_network(), colour_header, tile=tile).predict(image)
    assert predicted.classes.dtype == np.uint8
    np.testing.assert_array_equal(predicted.classes, expected)
    assert predicted.confidence.shape == size_hw
    assert predicted.confidence.min() > 250


def test_tiles_never_exceed_their_size_and_a_row_is_all_that_is_held(colour_network, colour_header):
    network = colour_network()
    Predictor(network, colour_header, tile=64).predict(coloured(500, 300)[0])
    assert {shape[-2:] for shape in network.seen} == {(64, 64)}
    assert max(shape[0] for shape in network.seen) == 1


def test_small_images_go_in_one_pass(colour_network, colour_header):
    network = colour_network()
    Predictor(network, colour_header).predict(coloured(500, 300)[0])
    assert network.seen == [(1, 3, 512, 320)]


@pytest.mark.parametrize("size_hw", [(300, 260), (129, 400), (97, 31)])
def test_tiles_give_exactly_what_one_pass_gives(colour_network, colour_header, size_hw):
    """A quarter of the overlap covers the 5 x 5 receptive field: no tile's border can be seen."""
    image = np.random.default_rng(0).integers(0, 256, size=(*size_hw, 3), dtype=np.uint8)
    network = colour_network(blur=True)
    whole = Predictor(network, colour_header).predict(image, probabilities=True)
    tiled = Predictor(network, colour_header, tile=96, overlap=32).predict(image, probabilities=True)
    assert whole.probabilities is not None
    assert tiled.probabilities is not None
    np.testing.assert_allclose(tiled.probabilities, whole.probabilities, atol=2e-3)
    assert (tiled.classes == whole.classes).mean() > 0.9999


@pytest.mark.parametrize("size_hw", [(64, 1200), (1200, 64)])
def test_a_real_network_in_tiles_gives_what_one_pass_gives(
    narrow: Callable[..., SegmentationNetwork], classes: ClassList, size_hw: tuple[int, int]
):
    """U-Net's receptive field reaches some 220 pixels; a quarter of an overlap of 928 is more."""
    network = narrow("unet", width=2, encoder_width=2)
    image = np.random.default_rng(0).integers(0, 256, size=(*size_hw, 3), dtype=np.uint8)
    network.train()
    with torch.no_grad():  # batch statistics as after some training
        for _ in range(30):
            network(Normalize(network.normalization)(torch.from_numpy(image).permute(2, 0, 1)[None]))
    header = header_for(network.eval(), classes=classes, tile=64)
    whole = Predictor(network, header, tile=1216).predict(image, probabilities=True)
    tiled = Predictor(network, header, tile=1024, overlap=928).predict(image, probabilities=True)
    assert whole.probabilities is not None
    assert tiled.probabilities is not None
    assert whole.probabilities.std(axis=(1, 2)).max() > 0.01  # or the comparison would say nothing
    np.testing.assert_allclose(tiled.probabilities, whole.probabilities, atol=2e-3)


@pytest.mark.parametrize("scale", [0.5, 0.375, 0.3, 2.0])
@pytest.mark.parametrize("tile", [None, 64])
def test_predictions_at_another_scale_come_back_at_the_images_size(
    colour_network, colour_header, scale, tile
):
    image, expected = coloured(301, 417, block=48)
    predicted = Predictor(colour_network(), replace(colour_header, scale=scale), tile=tile).predict(image)
    assert predicted.classes.shape == (301, 417)
    # Only along the edges of blocks may a smaller image be wrong; class 1 lies between 0 and 2 there.
    assert (predicted.classes == expected).mean() > 0.9


def test_interpolation_has_no_seams(colour_network, colour_header, monkeypatch):
    """Bands of rows are brought to size one after the other: as if all had been at once."""
    monkeypatch.setattr("core.learning.prediction.tiling.UPSAMPLED_VALUES", 3 * 500 * 7)
    image = np.random.default_rng(0).integers(0, 256, size=(430, 500, 3), dtype=np.uint8)
    network = colour_network(blur=True)
    header = replace(colour_header, scale=0.4)
    found = Predictor(network, header, tile=64, overlap=32).predict(image, probabilities=True).probabilities
    small = resized(image, 0.4)
    x = (
        torch.from_numpy(np.pad(small, ((0, 20), (0, 24), (0, 0)), mode="reflect"))
        .permute(2, 0, 1)[None]
        .float()
    )
    logits = network.logits(x)[..., :172, :200]
    expected = F.interpolate(logits, size=(430, 500), mode="bilinear").softmax(dim=1)[0]
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=2e-3)


def test_confidence_is_the_winning_probability(colour_network, colour_header):
    image = np.zeros((32, 32, 3), np.uint8)
    image[..., 0] = 45  # between 0 and 100, a little nearer to 0
    predicted = Predictor(colour_network(), colour_header).predict(image, probabilities=True)
    expected = torch.tensor([-4.5, -5.5, -15.5]).softmax(dim=0)
    assert predicted.probabilities is not None
    np.testing.assert_allclose(predicted.probabilities[:, 5, 5], expected, atol=1e-3)
    assert (predicted.confidence == round(255 * expected[0].item())).all()


def test_a_network_in_training_is_left_in_training(narrow, classes: ClassList):
    network = narrow("unet").train()
    header = header_for(network, classes=classes, tile=64)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    Predictor(network, header).predict(coloured(40, 40)[0])
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_out_of_memory_takes_smaller_tiles_and_says_so(colour_network, colour_header):
    image, expected = coloured(700, 600)
    network = colour_network(most_pixels=256 * 256)
    told: list[str] = []
    predictor = Predictor(network, colour_header, notify=lambda text, _: told.append(text))
    np.testing.assert_array_equal(predictor.predict(image).classes, expected)
    assert len(told) == 2
    assert "tiles of 256 pixels on the CPU" in told[-1]

    network.seen.clear()
    predictor.predict(image)
    assert len(told) == 2
    assert max(side for shape in network.seen for side in shape[-2:]) == 256


def test_without_memory_for_the_smallest_tile_there_is_a_sentence(colour_network, colour_header):
    predictor = Predictor(colour_network(most_pixels=100), colour_header)
    with pytest.raises(MaskloopError, match="not enough memory to predict an image of 200 x 300 pixels"):
        predictor.predict(coloured(300, 200)[0])


def test_other_errors_are_not_taken_for_a_lack_of_memory(colour_network, colour_header, monkeypatch):
    network = colour_network()
    monkeypatch.setattr(network, "logits", lambda x: x @ x)
    with pytest.raises(RuntimeError, match=r"size|shape|match"):
        Predictor(network, colour_header).predict(coloured(32, 64)[0])


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 4), (4, 4, 4)])
def test_what_is_no_image_is_refused(colour_network, colour_header, shape):
    with pytest.raises(ValueError, match="an image is"):
        Predictor(colour_network(), colour_header).predict(np.zeros(shape, np.uint8))


def test_read_only_images_are_fine(colour_network, colour_header, recwarn):
    image, expected = coloured(64, 64)
    image.flags.writeable = False
    np.testing.assert_array_equal(Predictor(colour_network(), colour_header).predict(image).classes, expected)
    assert not [str(w.message) for w in recwarn if "writable" in str(w.message)]


def test_a_predictor_opens_from_a_file(narrow, classes: ClassList, tmp_path: Path):
    network = narrow("unet").eval()
    header = header_for(network, classes=classes, tile=64)
    save_weights(tmp_path / "w.safetensors", network, header)
    opened = open_predictor(tmp_path / "w.safetensors", device="cpu", classes=classes)
    image = coloured(50, 70)[0]
    np.testing.assert_array_equal(
        opened.predict(image).classes, Predictor(network, header).predict(image).classes
    )
    assert opened.header == header


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said():
    assert choose_device("auto").type == "cpu"
    with pytest.raises(DeviceError, match="there is no CUDA GPU"):
        choose_device("cuda")


@pytest.mark.gpu
def test_the_gpu_sees_what_the_cpu_sees(narrow, classes: ClassList, colour_header: WeightsHeader):
    network = narrow("unet").eval()
    header = header_for(network, classes=classes, tile=64)
    image = coloured(700, 900)[0]
    on_cpu = Predictor(network, header, "cpu").predict(image)
    on_gpu = Predictor(network, header, "cuda").predict(image)
    assert (on_cpu.classes == on_gpu.classes).mean() > 0.98


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_picture_in_rows_gives_what_the_whole_gives(colour_network, colour_header, scale):
    """With breath between two passes, and never more than a row of tiles in memory."""
    image = np.random.default_rng(0).integers(0, 256, size=(300, 260, 3), dtype=np.uint8)
    header = replace(colour_header, scale=scale)
    predictor = Predictor(colour_network(blur=True), header, tile=96, overlap=32)
    parts = list(predictor.stepwise(WholePicture(image)))
    assert sum(part is None for part in parts) >= (4 if scale == 1.0 else 2)
    rows = [part for part in parts if part is not None]
    assert [part.top for part in rows] == np.cumsum([0, *(len(part.classes) for part in rows[:-1])]).tolist()
    classes = np.concatenate([part.classes for part in rows])
    assert (classes == predictor.predict(image).classes).mean() > 0.99


def test_inference_mode_is_not_left_on_between_two_passes(colour_network, colour_header):
    for _ in Predictor(colour_network(), colour_header, tile=64).stepwise(
        WholePicture(coloured(200, 100)[0])
    ):
        assert not torch.is_inference_mode_enabled()


def test_rows_come_again_from_the_top_when_memory_runs_out(colour_network, colour_header, monkeypatch):
    network = colour_network()
    predictor = Predictor(network, colour_header, tile=256)
    forward, calls = network.forward, []

    def short(pixels):
        calls.append(pixels.shape[-1])
        if len(calls) == 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return forward(pixels)

    monkeypatch.setattr(network, "forward", short)
    image, expected = coloured(500, 200)
    rows = [part for part in predictor.stepwise(WholePicture(image)) if part is not None]
    last = max(n for n, part in enumerate(rows) if part.top == 0)
    np.testing.assert_array_equal(np.concatenate([part.classes for part in rows[last:]]), expected)
    assert calls[-1] == 128
