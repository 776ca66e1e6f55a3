"""DeepLab, PSPNet, RefineNet and Gated-SCNN are the networks of their papers."""

from __future__ import annotations

import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from core.errors import UsageError
from core.learning.training.losses import training_loss
from core.models.context import Pooled, averaging
from core.models.deeplab import DeepLabV2, DeepLabV3Plus
from core.models.gscnn import GatedConvolution
from core.models.pspnet import PSPNet
from core.models.refinenet import ChainedPooling, Fusion, RefineNet, ResidualUnit
from core.models.registry import build
from core.models.terms import Truth


def meta(name: str, classes: int = 21, **options):
    """A network of full size, of which only the shapes exist."""
    with torch.device("meta"):
        return build(name, classes=classes, **options)


def size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def dilations(module: nn.Module) -> list[int]:
    """Of the 3x3 convolutions, in order, those of single channels included."""
    return [m.dilation[0] for m in module.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]


# --- DeepLab ----------------------------------------------------------------------------------------------


def test_deeplabv2_adds_the_scores_of_four_rates_at_stride_8():
    network = meta("deeplabv2")
    assert network.encoder_name == "resnet101"
    assert dilations(network.pyramid) == [6, 12, 18, 24]
    maps = network.encoder(torch.empty(1, 3, 64, 64, device="meta"))
    assert maps[-1].shape == (1, 2048, 8, 8)
    assert size(network) == size(network.encoder) + 4 * (2048 * 9 * 21 + 21)

    network = build("deeplabv2", classes=2, encoder="plain", encoder_width=4).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        deepest = network.encoder(x)[-1]
        added = sum(layer(deepest) for layer in network.pyramid)
        whole = F.interpolate(added, scale_factor=8, mode="bilinear", align_corners=False)
        torch.testing.assert_close(network(x), whole)
    assert isinstance(network, DeepLabV2)


def test_deeplabv3_is_torchvisions_but_for_a_convolution_the_paper_has_not():
    ours = meta("deeplabv3", encoder="resnet50")
    with torch.device("meta"):
        theirs = torchvision.models.segmentation.deeplabv3_resnet50(
            weights_backbone=None, num_classes=21, aux_loss=False
        )
    extra = 256 * 256 * 9 + 2 * 256  # behind the pyramid, with its normalisation
    pooled = 2 * 256 - 256  # theirs is normalised, ours has a bias
    assert size(ours) == size(theirs) - extra - pooled


def test_deeplabv3plus_is_smps_but_for_the_pooled_branch():
    ours = meta("deeplabv3plus", encoder="resnet50")
    with torch.device("meta"):
        theirs = smp.DeepLabV3Plus("resnet50", encoder_weights=None, classes=21)
    # smp convolves once behind the joined low-level map, as some codes do; the paper has two.
    second = 9 * 256 + 256 * 256 + 2 * 256
    # smp puts a separable convolution behind the pyramid as well.
    behind = 9 * 256 + 256 * 256 + 2 * 256
    assert size(ours) + behind + 2 * 256 - 256 == size(theirs) + second


@pytest.mark.parametrize(("stride", "rates"), [(16, [6, 12, 18]), (8, [12, 24, 36]), (32, [3, 6, 9])])
def test_the_pyramid_looks_as_far_whatever_the_output_stride(stride: int, rates: list[int]):
    network = meta("deeplabv3", encoder="resnet50", output_stride=stride)
    assert dilations(network.pyramid) == rates


@pytest.mark.parametrize(("stride", "rates"), [(16, [3, 6, 9, 12]), (32, [1, 3, 4, 6])])
def test_the_published_rates_of_deeplabv2_are_those_at_stride_8(stride: int, rates: list[int]):
    assert dilations(meta("deeplabv2", encoder="resnet50", output_stride=stride).pyramid) == rates


@pytest.mark.parametrize("name", ["deeplabv2", "refinenet"])
def test_a_decoder_without_norms_refuses_groups_of_them_on_a_pretrained_encoder(name: str):
    with pytest.raises(UsageError, match="norm is 'group', and this decoder has nothing that normalises"):
        build(name, classes=2, encoder="resnet18", norm="group")
    build(name, classes=2, encoder="plain", encoder_width=8, norm="group")


def test_low_level_features_are_48_of_304_channels():
    network = meta("deeplabv3plus", encoder="resnet50")
    assert isinstance(network, DeepLabV3Plus)
    assert network.decoder.reduced[0].out_channels == 48
    assert [m.in_channels for m in network.decoder.refined.modules() if isinstance(m, nn.Conv2d)] == [
        304,
        304,
        256,
        256,
    ]


def test_an_output_stride_that_no_encoder_has_is_refused():
    with pytest.raises(UsageError, match="output_stride is 12; it can be 8, 16, 32"):
        meta("deeplabv3", output_stride=12)


# --- PSPNet -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
@pytest.mark.parametrize("size_hw", [(8, 12), (5, 4), (16, 9)])
def test_averages_over_parts_are_torchs_adaptive_pooling(bins: int, size_hw: tuple[int, int]):
    x = torch.randn(2, 3, *size_hw)
    rows, columns = averaging(bins, size_hw[0]), averaging(bins, size_hw[1])
    torch.testing.assert_close(rows @ x @ columns.T, F.adaptive_avg_pool2d(x, bins))
    assert Pooled(3, 5, "batch", bins=bins).eval()(x).shape == (2, 5, *size_hw)


def test_pspnet_doubles_its_features_by_four_pooled_quarters():
    network = meta("pspnet", encoder="resnet50")
    assert isinstance(network, PSPNet)
    assert [pooled.bins for pooled in network.pyramid] == [1, 2, 3, 6]
    assert network.joined[0].in_channels == 2 * 2048
    x = torch.empty(2, 3, 64, 64, device="meta")
    assert network.encoder(x)[-1].shape == (2, 2048, 8, 8)
    assert network.training_output(x).extras["auxiliary"].shape == (2, 21, 64, 64)
    assert network.auxiliary[0][0].in_channels == 1024


def test_the_auxiliary_head_has_0_4_of_the_loss_in_training_and_no_say_later():
    network = build("pspnet", classes=3, encoder="plain", encoder_width=4, width=8, norm="group")
    network.dropout.p = network.auxiliary[1].p = 0.0
    x = torch.randn(2, 3, 50, 64)
    targets = torch.randint(0, 3, (2, 50, 64))
    targets[:, :9] = 255
    output = network.training_output(x)
    assert output.logits.shape == output.extras["auxiliary"].shape == (2, 3, 50, 64)
    main, auxiliary = (
        F.cross_entropy(scores, targets, ignore_index=255)
        for scores in (output.logits, output.extras["auxiliary"])
    )
    loss = training_loss(network, x, Truth.of(targets))
    torch.testing.assert_close(loss.total, main + loss.dice + 0.4 * auxiliary)
    assert network.eval().training_output(x).extras == {}


def test_levels_of_a_unet_can_be_supervised():
    usual = build("unet", classes=3, encoder="plain", encoder_width=4, width=4)
    network = build("unet", classes=3, encoder="plain", encoder_width=4, width=4, supervised=2)
    assert size(network) == size(usual) + 3 * (8 + 1) + 3 * (16 + 1)
    output = network.training_output(torch.randn(2, 3, 64, 64))
    assert set(output.extras) == {"level 1", "level 2"}
    training_loss(network, torch.randn(2, 3, 64, 64), Truth.of(torch.ones(2, 64, 64).long())).total.backward()
    assert all(head.weight.grad.abs().sum() > 0 for head in network.supervised.values())


# --- RefineNet --------------------------------------------------------------------------------------------


def test_refinenet_has_four_cascades_from_stride_32_to_4():
    network = meta("refinenet", encoder="resnet101")
    assert isinstance(network, RefineNet)
    assert [layer.in_channels for layer in network.reduced] == [2048, 1024, 512, 256]
    assert [layer.out_channels for layer in network.reduced] == [512, 256, 256, 256]
    for cascade in network.cascades:
        assert len(cascade.adapted) == 2
        assert len(cascade.pooling.convolutions) == 2
        assert cascade.pooling.pool.kernel_size == 5
        assert isinstance(cascade.output, ResidualUnit)
    assert not hasattr(network.cascades[0], "fusion")
    x = torch.empty(1, 3, 64, 96, device="meta")
    maps = network.encoder(x)
    coarsest = network.cascades[0](network.reduced[0](maps[5]))
    assert coarsest.shape == (1, 512, 2, 3)
    assert network.cascades[1](network.reduced[1](maps[4]), coarsest).shape == (1, 256, 4, 6)


def test_residual_units_and_chained_pooling_are_their_formulas():
    x = torch.randn(2, 6, 9, 9)
    unit, chain = ResidualUnit(6), ChainedPooling(6)
    torch.testing.assert_close(unit(x), x)  # both begin as the identity, behind a ReLU at most
    torch.testing.assert_close(chain(x), F.relu(x))
    for parameter in (*unit.parameters(), *chain.parameters()):
        nn.init.normal_(parameter, std=0.1)
    torch.testing.assert_close(unit(x), x + unit.second(F.relu(unit.first(F.relu(x)))))
    one, two = chain.convolutions
    first = one(F.max_pool2d(F.relu(x), 5, 1, 2))
    torch.testing.assert_close(chain(x), F.relu(x) + first + two(F.max_pool2d(first, 5, 1, 2)))


@pytest.mark.parametrize(("coarse", "fine"), [(6, 4), (4, 6)])
def test_fusion_convolves_both_to_the_fewer_channels_and_adds_them_at_the_finer_size(coarse: int, fine: int):
    fusion = Fusion(coarse, fine)
    weights = fusion.coarse.weight, fusion.fine.weight
    assert [tuple(weight.shape) for weight in weights] == [(4, coarse, 3, 3), (4, fine, 3, 3)]
    low, high = torch.randn(2, coarse, 5, 6), torch.randn(2, fine, 10, 12)
    up = F.interpolate(F.conv2d(low, weights[0], padding=1), size=(10, 12), mode="bilinear")
    torch.testing.assert_close(fusion(low, high), up + F.conv2d(high, weights[1], padding=1))


# --- Gated-SCNN -------------------------------------------------------------------------------------------


def test_the_shape_stream_gets_narrower_at_three_gates():
    network = meta("gscnn", encoder="resnet50")
    shapes = network.shapes
    assert shapes.first.in_channels == 64 + 1  # the first convolution, and the image's gradients
    assert [block.seen[0].in_channels for block in shapes.blocks] == [64, 32, 16]
    assert [gate.weighed.out_channels for gate in shapes.gates] == [32, 16, 8]
    assert [gate.of_regular.in_channels for gate in shapes.gates] == [256, 512, 2048]
    assert network.pyramid.joined[0].in_channels == 6 * 256  # the edges are the sixth branch
    output = network.training_output(torch.empty(2, 3, 50, 64, device="meta"))
    assert output.extras["edges"].shape == (2, 1, 50, 64)


def test_a_gate_weighs_shapes_by_both_streams():
    """Alpha is a 1x1 convolution of shapes and upsampled regular features, side by side."""
    gate = GatedConvolution(4, 6, 3, "batch").eval()
    shapes, regular = torch.randn(2, 4, 8, 8), torch.randn(2, 6, 2, 2)
    up = F.interpolate(regular, size=(8, 8), mode="bilinear", align_corners=False)
    weight = torch.cat([gate.of_shapes.weight, gate.of_regular.weight], dim=1)
    alpha = torch.sigmoid(gate.normalized(F.conv2d(torch.cat([shapes, up], dim=1), weight)))
    torch.testing.assert_close(gate(shapes, regular), gate.weighed(shapes * alpha + shapes))
