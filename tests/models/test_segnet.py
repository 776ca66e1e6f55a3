"""SegNet: VGG16 and its mirror image, and nothing but the places of maxima between them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from core.errors import WeightsFileError
from core.models.network import SegmentationNetwork
from core.models.registry import build

Narrow = Callable[..., SegmentationNetwork]
VGG16 = "vgg16_features_fp16.safetensors"


@pytest.fixture
def paper() -> SegmentationNetwork:
    with torch.device("meta"):
        return build("segnet", classes=11)


def recorded(layer: nn.Module, *, inputs: bool = False) -> list[Tensor]:
    """What goes into a layer, or comes out of it, from now on."""
    found: list[Tensor] = []
    layer.register_forward_hook(lambda _m, x, y: found.append((x[0] if inputs else y).clone()))
    return found


def channels_of(kind: type[nn.Module], network: nn.Module) -> list[int]:
    return [m.out_channels for m in network.modules() if isinstance(m, kind)]  # type: ignore[misc]


def test_the_decoder_is_the_encoder_mirrored(paper: SegmentationNetwork):
    encoder = channels_of(nn.Conv2d, paper.encoder)
    decoder = channels_of(nn.Conv2d, paper.units) + channels_of(nn.Conv2d, nn.ModuleList([paper.head]))  # type: ignore[arg-type]
    assert encoder == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    assert decoder == [512] * 5 + [256] * 3 + [128] * 2 + [64] * 2 + [11]
    # Every convolution but the classifier has batch normalisation.
    assert sum(isinstance(m, nn.BatchNorm2d) for m in paper.modules()) == 13 + 12


def test_it_has_the_published_size(paper: SegmentationNetwork):
    """29.5 M for CamVid's eleven classes, which counts the running statistics as well."""
    numbers = [*paper.parameters(), *(b for b in paper.buffers() if b.ndim == 1)]
    assert round(sum(n.numel() for n in numbers) / 1e6, 1) == 29.5


def test_all_weights_are_drawn_as_by_he_and_others(narrow: Narrow):
    """The classifier's too, of which torch's own would be less than half as large."""
    convolutions = [m for m in narrow("segnet", encoder_width=32).modules() if isinstance(m, nn.Conv2d)]
    for layer in convolutions:
        expected = (2 / (9 * layer.in_channels)) ** 0.5
        assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=0.15)


def test_only_the_places_of_maxima_reach_the_decoder(narrow: Narrow):
    """Two images whose maxima lie alike and whose deepest map is alike get the same scores.

    Without offsets an image of twice the numbers has maps of twice the numbers, and maxima in the same
    places; the deepest of them is halved again.
    """
    network = narrow("segnet").eval()
    for layer in network.encoder.features:  # type: ignore[union-attr]
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has a bias
    deepest, unpooled, finest = (
        recorded(network.norms[-1]),  # type: ignore[index]
        recorded(network.units[0], inputs=True),  # type: ignore[index]
        recorded(network.norms[0]),  # type: ignore[index]
    )
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        scores = network(x)
        other_places = network(x.flip(-1))
        halving = network.norms[-1].register_forward_hook(lambda _m, _x, y: y * 0.5)  # type: ignore[index, union-attr]
        same_places = network(2 * x)
        halving.remove()
    assert torch.equal(finest[2], 2 * finest[0])
    assert torch.equal(deepest[2], 2 * deepest[0])
    assert torch.equal(unpooled[2], unpooled[0])
    assert torch.equal(same_places, scores)
    assert not torch.equal(other_places, scores)

    assert unpooled[0].shape == (1, 64, 4, 4)
    windows = unpooled[0].unfold(2, 2, 2).unfold(3, 2, 2).flatten(-2)
    assert (windows != 0).sum(dim=-1).max() <= 1  # one value a window, zeros around it


def test_the_places_of_maxima_do_reach_the_decoder(narrow: Narrow, monkeypatch: pytest.MonkeyPatch):
    network = narrow("segnet").eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        scores = network(x[:1])
        first, places = network.contract(x[:1])  # type: ignore[operator]
        _, others = network.contract(x[1:])  # type: ignore[operator]
        for given, same in ((places, True), (others, False)):
            monkeypatch.setattr(network, "contract", lambda *_, given=given: (first, given))
            assert torch.equal(network(x[:1]), scores) == same


def test_vgg16_weights_fill_its_encoder(shared_weights: Path):
    network = build("segnet", classes=2)
    network.load_encoder_weights(str(shared_weights / VGG16))
    assert network.pretrained
    assert network.normalization.order == "bgr"
    with safe_open(shared_weights / VGG16, framework="pt") as file:
        names = [name for name in file.keys() if name.endswith("weight")]  # noqa: SIM118 - not a dict
        convolutions = [m for m in network.encoder.modules() if isinstance(m, nn.Conv2d)]
        assert len(names) == len(convolutions) == 13
        for name, layer in zip(sorted(names, key=lambda n: int(n.split(".")[1])), convolutions, strict=True):
            assert torch.equal(layer.weight.half(), file.get_tensor(name).half())


def test_weights_of_another_width_are_refused(shared_weights: Path):
    network = build("segnet", classes=2, encoder="plain", encoder_width=8)
    with pytest.raises(WeightsFileError, match="does not fit the encoder plain"):
        network.load_encoder_weights(str(shared_weights / VGG16))


def test_the_norms_learn_while_the_encoder_is_frozen(narrow: Narrow):
    """Published VGG16 weights have none: a frozen encoder must not keep them from settling."""
    network = narrow("segnet")
    network.freeze_encoder(True)
    norm = network.norms[0]  # type: ignore[index]
    before = norm.running_mean.clone()  # type: ignore[union-attr, operator]
    network(torch.randn(2, 3, 32, 32)).mean().backward()
    assert not torch.equal(norm.running_mean, before)  # type: ignore[union-attr, arg-type]
    assert norm.weight.requires_grad  # type: ignore[union-attr]
    assert not next(network.encoder.parameters()).requires_grad


def test_bayesian_segnet_varies_while_it_drops_out(narrow: Narrow):
    x = torch.randn(1, 3, 64, 64)
    for dropout, varies in ((0, False), (50, True)):
        network = narrow("segnet", dropout=dropout).eval()
        network.dropout.train()  # type: ignore[operator, union-attr]
        with torch.inference_mode():
            assert torch.equal(network(x), network(x)) != varies
