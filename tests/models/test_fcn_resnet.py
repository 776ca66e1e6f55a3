"""FCN-ResNet is torchvision's network, and takes torchvision's weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models.segmentation.fcn import FCN, FCNHead

from core.errors import UsageError
from core.models.auxiliary import SupervisedNetwork
from core.models.network import SegmentationNetwork
from core.models.registry import build

Narrow = Callable[..., SegmentationNetwork]


def as_torchvision_names_it(network: SegmentationNetwork) -> dict[str, Tensor]:
    """Our tensors under torchvision's names."""
    renamed = {}
    for name, tensor in network.state_dict().items():
        name = name.removeprefix("encoder.").replace("auxiliary.", "aux_classifier.")
        renamed[name] = tensor
    return renamed


def test_its_tensors_are_those_of_torchvisions_network():
    from torchvision.models.segmentation import fcn_resnet50

    with torch.device("meta"):
        theirs = fcn_resnet50(weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
        ours = build("fcn_resnet50", classes=21)
    shapes = {name: tensor.shape for name, tensor in theirs.state_dict().items()}
    assert {name: tensor.shape for name, tensor in as_torchvision_names_it(ours).items()} == shapes


def test_its_scores_are_those_of_torchvisions_network(narrow: Narrow):
    from torchvision.models._utils import IntermediateLayerGetter

    ours = narrow("fcn_resnet50").eval()
    body = IntermediateLayerGetter(ours.encoder.backbone, {"layer4": "out", "layer3": "aux"})
    theirs = FCN(body, FCNHead(128, 3), FCNHead(64, 3)).eval()
    theirs.load_state_dict(as_torchvision_names_it(ours))
    x = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        expected = theirs(x)
        torch.testing.assert_close(ours(x), expected["out"])
        assert isinstance(ours, SupervisedNetwork)
        ours.train()
        for norm in ours.modules():
            norm.training = False  # statistics as above, while the auxiliary head speaks
        ours.training = True
        extras = ours.training_output(x).extras
    torch.testing.assert_close(extras["auxiliary"], expected["aux"])


def test_published_weights_fill_the_heads_but_not_their_score_layers(narrow: Narrow, tmp_path: Path):
    published, ours = narrow("fcn_resnet50", classes=5), narrow("fcn_resnet50", classes=3)
    save_file(as_torchvision_names_it(published), tmp_path / "coco.safetensors")
    ours.load_encoder_weights(str(tmp_path / "coco.safetensors"))
    assert ours.pretrained
    own, given = ours.state_dict(), published.state_dict()
    different = {name for name in own if own[name].shape != given[name].shape}
    assert different == {
        f"{head}.4.{part}" for head in ("classifier", "auxiliary") for part in ("weight", "bias")
    }
    assert all(torch.equal(own[name], given[name]) for name in own.keys() - different)


def test_a_width_without_pretrained_weights_says_so(narrow: Narrow):
    with pytest.raises(UsageError, match="option width is 4, for which there are no pretrained weights"):
        narrow("fcn_resnet101").load_encoder_weights("default")


def test_the_auxiliary_head_can_be_left_out(narrow: Narrow):
    network = narrow("fcn_resnet50", auxiliary="no").train()
    assert network.training_output(torch.randn(2, 3, 32, 32)).extras == {}
    assert not any("auxiliary" in name for name, _ in network.named_parameters())
