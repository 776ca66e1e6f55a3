"""FCN is trained coarse to fine: each stage goes on from where the last one was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from core.annotation.model import ClassList
from core.learning.runs.weights import header_for, load_weights, read_header, save_weights
from core.models.fcn import FCN
from core.models.layers import bilinear_kernel
from core.models.network import SegmentationNetwork
from core.models.registry import build

Narrow = Callable[..., SegmentationNetwork]


@pytest.fixture
def fcn(narrow: Narrow) -> FCN:
    """FCN-8s whose coarse scores are not zero any more, as after training the first stage."""
    network = narrow("fcn8s")
    assert isinstance(network, FCN)
    torch.nn.init.normal_(network.score.weight, std=0.5)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "strides", "upsamplings"),
    [
        ("fcn32s", [32], [(64, 32, 16)]),
        ("fcn16s", [32, 16], [(4, 2, 1), (32, 16, 8)]),
        ("fcn8s", [32, 16, 8], [(4, 2, 1), (4, 2, 1), (16, 8, 4)]),
    ],
)
def test_streams_are_scored_where_the_paper_does_and_raised_with_its_kernels(
    name: str,
    strides: list[int],
    upsamplings: list[tuple[int, int, int]],
    monkeypatch: pytest.MonkeyPatch,
):
    """Kernels are twice the stride; the padding that makes maps fit without cropping is half of it."""
    with torch.device("meta"):
        network = build(name, classes=21)
    assert isinstance(network, FCN)
    sizes: list[tuple[int, ...]] = []
    for layer in network.score_layers:
        layer.register_forward_hook(lambda _m, _x, y: sizes.append(tuple(y.shape)))
    raised: list[tuple[int, int, int]] = []
    transposed = F.conv_transpose2d

    def noted(x, weight, bias=None, stride=1, padding=0, *others, **named):
        height, width = weight.shape[-2:]
        assert height == width
        (step,), (margin,) = (set(torch.nn.modules.utils._pair(value)) for value in (stride, padding))
        raised.append((height, step, margin))
        return transposed(x, weight, bias, stride, padding, *others, **named)

    monkeypatch.setattr(F, "conv_transpose2d", noted)
    assert network(torch.empty(1, 3, 64, 96, device="meta")).shape == (1, 21, 64, 96)
    assert sizes == [(1, 21, 64 // stride, 96 // stride) for stride in strides]
    assert raised == upsamplings


def test_each_family_member_has_its_stages(narrow: Narrow):
    assert narrow("fcn8s").stages() == ("fcn32s", "fcn16s", "fcn8s")
    assert narrow("fcn16s").stages() == ("fcn32s", "fcn16s")
    assert narrow("fcn32s").stages() == ("fcn32s",)
    assert narrow("fcn8s", training="at_once").stages() == ("all",)
    assert narrow("unet").stages() == ("all",)


def test_a_new_network_knows_nothing_and_says_so(narrow: Narrow):
    assert narrow("fcn8s")(torch.randn(1, 3, 64, 64)).abs().max() == 0


def test_entering_a_stage_carries_the_prediction_on(fcn: FCN):
    x = torch.randn(1, 3, 192, 192)
    with torch.inference_mode():
        fcn.enter_stage("fcn32s")
        before = fcn(x)
        for stage in ("fcn16s", "fcn8s"):
            fcn.enter_stage(stage)
            after = fcn(x)
            # Bilinear upsampling in two steps is not quite one step: near, not equal.
            assert (after - before).abs().mean() < 0.1 * before.abs().mean()
            before = after


def test_a_stage_learns_only_its_own_skips(fcn: FCN):
    fcn.enter_stage("fcn16s")
    fcn(torch.randn(1, 3, 64, 64)).square().mean().backward()
    assert fcn.score_skips[0].weight.grad is not None
    assert fcn.score_skips[1].weight.grad is None
    assert fcn.up_skips[1].weight.grad is None


def test_each_stage_adds_finer_detail(fcn: FCN):
    for layer in fcn.score_skips:
        torch.nn.init.normal_(layer.weight, std=0.5)
    x = torch.randn(1, 3, 96, 96)
    with torch.inference_mode():
        results = []
        for stage in fcn.stages():
            fcn.enter_stage(stage)
            results.append(fcn(x))
    steps = [result.diff(dim=-1).abs().mean() for result in results]
    assert steps[0] < steps[1] < steps[2]


def test_at_once_scales_the_skips_down(narrow: Narrow):
    staged, at_once = narrow("fcn8s"), narrow("fcn8s", training="at_once")
    for layer in staged.score_skips:
        torch.nn.init.normal_(layer.weight)
    at_once.load_state_dict(staged.state_dict())
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        pools = staged.eval().encoder(x)
        pool4 = staged.score_skips[0](pools[-2] * 0.01)
        pool3 = staged.score_skips[1](pools[-3] * 0.0001)
        expected = F.interpolate(staged.up_skips[1](pool4) + pool3, scale_factor=8.0, mode="bilinear")
        found = at_once.eval()(x)
    torch.testing.assert_close(found[..., 8:-8, 8:-8], expected[..., 8:-8, 8:-8], rtol=1e-4, atol=1e-5)


def test_weights_saved_in_the_middle_of_a_run_remember_the_stage(
    fcn: FCN, classes: ClassList, tmp_path: Path
):
    path = tmp_path / "w.safetensors"
    header = header_for(fcn, classes=classes, tile=64)
    fcn.enter_stage("fcn32s")
    save_weights(path, fcn, header)
    assert read_header(path).options["stage"] == "fcn32s"
    loaded, _ = load_weights(path)
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert torch.equal(loaded(x), fcn(x))


@pytest.mark.parametrize("stride", [2, 8, 32])
def test_the_first_upsampling_is_bilinear(stride: int):
    scores = torch.randn(1, 1, 6, 7)
    kernel = bilinear_kernel(stride)[None, None]
    found = F.conv_transpose2d(scores, kernel, stride=stride, padding=stride // 2)
    expected = F.interpolate(scores, scale_factor=float(stride), mode="bilinear")
    assert found.shape == expected.shape
    inner = (..., slice(stride, -stride), slice(stride, -stride))
    torch.testing.assert_close(found[inner], expected[inner])
