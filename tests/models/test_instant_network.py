"""The instant learner's network: fast arithmetic, the same numbers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from core.models.blend import BlendNetwork, pixels_of
from core.models.encoders import build_encoder
from core.models.instant import InstantNetwork, point_features
from core.models.network import Normalize
from core.models.normalization import Normalization
from core.models.registry import build


@pytest.fixture
def network() -> InstantNetwork:
    made = InstantNetwork(build_encoder("plain", width=4), classes=3, hidden=8).eval()
    inputs = sum(made.feature_channels)
    made.standardize(torch.randn(inputs), torch.rand(inputs) + 0.5)
    return made


def _stacked(groups: list[torch.Tensor]) -> torch.Tensor:
    """All groups upsampled to the finest and stacked: the head's input as a textbook would have it."""
    size = groups[0].shape[-2:]
    return torch.cat([F.interpolate(group, size=size, mode="bilinear") for group in groups], dim=1)


def test_scores_are_those_of_the_head_on_all_features_at_once(network) -> None:
    with torch.no_grad():
        groups = network.features(torch.randn(2, 3, 128, 192))
        slow = network.point_logits(_stacked(groups).permute(0, 2, 3, 1).reshape(-1, len(network.mean)))
        quick = network.grid_logits(groups)
    expected = slow.reshape(2, 32, 48, 3).permute(0, 3, 1, 2)
    torch.testing.assert_close(quick, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("views", ["1,0.5", "0.5"])
def test_a_network_that_looks_less_closely_gives_scores_of_the_same_grid(network, views) -> None:
    quick = InstantNetwork.with_encoder_of(network, views)
    assert sum(quick.feature_channels) < sum(network.feature_channels)
    assert quick.encoder is network.encoder
    with torch.no_grad():
        groups = quick.features(torch.randn(1, 3, 64, 128))
        assert quick.grid_logits(groups).shape == (1, 3, 16, 32)


def test_groups_halve_from_stride_four_to_sixty_four(network) -> None:
    groups = network.features(torch.randn(1, 3, 128, 192))
    assert [tuple(group.shape[-2:]) for group in groups] == [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
    assert tuple(group.shape[1] for group in groups) == network.feature_channels


def test_features_of_a_point_are_those_of_the_cell_it_lies_in_the_middle_of(network) -> None:
    with torch.no_grad():
        groups = network.features(torch.randn(1, 3, 64, 64))
    row, column = 5, 9
    centre = torch.tensor([[4 * column + 1.5, 4 * row + 1.5]])
    found = point_features(groups, centre, (64, 64))[0]
    torch.testing.assert_close(found, _stacked(groups)[0, :, row, column], rtol=1e-4, atol=1e-4)


def test_the_encoder_never_learns(network) -> None:
    network.freeze_encoder(False)
    network.train()
    network(torch.randn(1, 3, 64, 64)).sum().backward()
    assert all(parameter.grad is None for parameter in network.encoder.parameters())
    assert all(parameter.grad is not None for parameter in network.head_parameters())


def test_pixels_come_back_from_what_the_network_sees() -> None:
    pixels = torch.randint(0, 256, (1, 3, 4, 4)).float()
    for normalization in (
        Normalization(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.1)),
        Normalization(order="bgr", scale=1.0, mean=(103.9, 116.8, 123.7), std=(1.0, 1.0, 1.0)),
    ):
        seen = Normalize(normalization)(pixels)
        torch.testing.assert_close(pixels_of(seen, normalization), pixels, atol=1e-3, rtol=1e-4)


def test_a_blend_gives_both_a_say(network) -> None:
    deep = build("unet", classes=3, encoder="plain", width=4, encoder_width=4).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        alone = {0: F.log_softmax(deep(x), 1), 100: F.log_softmax(network(x), 1)}
        blends = {share: BlendNetwork(deep, network, share).eval()(x) for share in (0, 50, 100)}
    for share, expected in alone.items():
        torch.testing.assert_close(blends[share], expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(blends[50], (alone[0] + alone[100]) / 2, rtol=1e-4, atol=1e-4)


def test_a_mirrored_blend_says_the_same_of_a_picture_and_its_mirror_image(network) -> None:
    deep = build("unet", classes=3, encoder="plain", width=4, encoder_width=4).eval()
    made = BlendNetwork(deep, network, 50, mirrored=True).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        one, other = made(x), made(x.flip(-1)).flip(-1)
        apart = BlendNetwork(deep, network, 50).eval()
        torch.testing.assert_close(one, (apart(x) + apart(x.flip(-1)).flip(-1)) / 2)
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert made.options["mirrored"] == 1


def test_networks_of_other_classes_are_not_blended(network) -> None:
    deep = build("unet", classes=2, encoder="plain", width=4, encoder_width=4)
    with pytest.raises(ValueError, match="2 and 3 classes"):
        BlendNetwork(deep, network, 50)
