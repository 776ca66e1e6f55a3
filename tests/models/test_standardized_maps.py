"""Decoders see the encoder's maps at one mean and spread, found before they learn."""

import numpy as np
import pytest
import torch

from core.annotation.model import AnnotationState, ClassList, LabelClass
from core.learning.labels.data import LabelStore
from core.learning.training.prior import look_at_some
from core.models.registry import build
from core.models.standardized_maps import SMALLEST_SPREAD, StandardizedMaps

SIDE = 64


def _narrow(name: str) -> StandardizedMaps:
    made = build(name, classes=2, encoder="plain", encoder_width=4, width=4)
    assert isinstance(made, StandardizedMaps)
    return made


@pytest.fixture(params=["unet", "refinenet"])
def network(request: pytest.FixtureRequest) -> StandardizedMaps:
    """Narrow, its encoder's maps far from mean 0 and spread 1."""
    torch.manual_seed(0)
    made = _narrow(request.param)
    made.encoder.pretrained = True
    original = made.encoder.forward
    made.encoder.forward = lambda x: [found * 7.0 + 3.0 for found in original(x)]  # type: ignore[method-assign]
    return made.eval()


def _maps(network: StandardizedMaps, image: torch.Tensor) -> list[torch.Tensor]:
    with torch.no_grad():
        return network.standardized_maps(image)[1:]


def _values(network: StandardizedMaps, images: list[torch.Tensor]) -> list[torch.Tensor]:
    """All values of each map's channels, (C, N)."""
    levels = zip(*(_maps(network, image) for image in images), strict=True)
    return [torch.cat([level.flatten(2) for level in maps], dim=2)[0] for maps in levels]


def test_maps_have_mean_0_and_spread_1_on_images_that_were_looked_at(network) -> None:
    images = [torch.randn(1, 3, SIDE, SIDE) for _ in range(3)]
    assert all(float(found.mean().abs()) > 1.0 for found in _maps(network, images[0]))
    before = _values(network, images)
    network.look_at(images)
    for raw, values in zip(before, _values(network, images), strict=True):
        alive = raw.std(dim=1) > 1.01 * SMALLEST_SPREAD  # a channel that hardly ever changes stays nearly so
        assert alive.any()
        assert torch.allclose(values.mean(dim=1), torch.zeros(len(values)), atol=1e-3)
        assert torch.allclose(values.std(dim=1)[alive], torch.ones(int(alive.sum())), atol=0.05)


def test_weights_remember_it_and_older_ones_learned_without(network) -> None:
    image = torch.randn(1, 3, SIDE, SIDE)
    before = network(image)
    old = {name: value.clone() for name, value in network.state_dict().items() if "map_" not in name}
    network.look_at([image])
    looked = network(image)
    assert not torch.allclose(before, looked)
    again = _narrow(network.architecture).eval()
    again.encoder.forward = network.encoder.forward
    again.load_state_dict(network.state_dict())
    assert torch.equal(again.map_std_1, network.map_std_1)
    older = _narrow(network.architecture).eval()
    older.load_state_dict(old)
    assert torch.equal(older.map_mean_3, torch.zeros_like(older.map_mean_3))
    assert torch.equal(older.map_std_3, torch.ones_like(older.map_std_3))


def test_an_encoder_that_learns_from_nothing_keeps_its_maps(network) -> None:
    network.encoder.pretrained = False
    network.look_at([torch.randn(1, 3, SIDE, SIDE)])
    assert torch.equal(network.map_mean_1, torch.zeros_like(network.map_mean_1))


def test_a_run_looks_at_eight_images_and_past_those_that_cannot_be_read(tmp_path, network) -> None:
    classes = ClassList(
        (LabelClass(0, "background", "#000000"), LabelClass(1, "disc", "#ff0000")), background=0
    )
    store = LabelStore(classes)
    for number in range(20):
        path = tmp_path / f"{number:02}.png"
        if number:
            from PIL import Image

            Image.fromarray(np.random.default_rng(number).integers(0, 255, (80, 500, 3), np.uint8)).save(path)
        store.put(f"{number:02}", path, np.zeros((80, 500), np.uint8), AnnotationState.DONE)
    seen: list[tuple[int, ...]] = []
    network.look_at = lambda images: seen.extend(tuple(image.shape) for image in images)  # type: ignore[method-assign]
    look_at_some(network, store, store.labelled_keys(), 1.0)
    assert 5 <= len(seen) <= 8
    assert set(seen) == {(1, 3, 80, 384)}
