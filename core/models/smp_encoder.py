"""The encoders of segmentation_models_pytorch, under names such as `smp:resnet18`."""

from __future__ import annotations

import warnings
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import UsageError
from core.models.downloads import importing_hub_client
from core.models.encoders import STRIDES, Encoder
from core.models.normalization import IMAGENET, Normalization
from core.models.specs import EncoderSpec

_PROBE: Final = 512
"""Side of the picture that strides are measured on."""


class SmpEncoder(Encoder):
    """One of theirs, giving six maps like ours.

    Some of theirs have no map at stride 2 (Mix Transformers begin at 4): the image itself, averaged, is in
    its place. Attention over the image's mean (SKNet) cannot be trained on a batch of one.

    Attributes:
        repository, revision: of the default weights on the Hugging Face hub.
    """

    def __init__(self, spec: EncoderSpec, *, output_stride: int) -> None:
        smp = _library(spec.name)
        name, _, weights = spec.origin.partition("/")
        try:
            settings = smp.encoders[name]["pretrained_settings"][weights]
        except KeyError as error:
            raise UsageError(
                f"the segmentation_models_pytorch that is installed has no encoder {name} with weights"
                f" {weights}: install version 0.5 or later, or choose another encoder than {spec.name!r}"
            ) from error
        self.repository: str = settings["repo_id"]
        self.revision: str = settings["revision"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of the `timm-` names, which are theirs
            body: Any = smp.get_encoder(name, weights=None, output_stride=output_stride)
            if output_stride < STRIDES[-1]:
                with torch.device("meta"):
                    _dilate_as_trained(body, smp.get_encoder(name, weights=None), output_stride)
        super().__init__(
            spec.name,
            tuple(channels or 3 for channels in body.out_channels),
            IMAGENET,
            output_stride=output_stride,
        )
        self.body: nn.Module = body

    @property
    def published(self) -> nn.Module:
        """The encoder of segmentation_models_pytorch itself."""
        return self.body

    def forward(self, x: Tensor) -> list[Tensor]:
        """The six maps of the body."""
        maps: list[Tensor] = self.body(x)
        halved = F.avg_pool2d(x, 2)
        return [feature if feature.shape[1] else halved for feature in maps]


def _dilate_as_trained(body: nn.Module, usual: nn.Module, output_stride: int) -> None:
    """Give each convolution of `body` the rate at which its weights see what they were trained to see.

    The library dilates all of a stage alike: also the convolution that does not halve its map any more and
    those before it, which see a map as fine as ever.

    Args:
        body: with the output stride.
        usual: the same with one of 32, on the meta device: what comes in tells the stride it is at.
        output_stride: below 32.
    """
    names = {module: name for name, module in usual.named_modules() if isinstance(module, nn.Conv2d)}
    strides: dict[nn.Conv2d, int] = {}

    def note(convolution: nn.Conv2d, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        strides[convolution] = _PROBE // inputs[0].shape[-1]

    hooks = [convolution.register_forward_hook(note) for convolution in names]
    usual.eval()(torch.empty(1, 3, _PROBE, _PROBE, device="meta"))
    for hook in hooks:
        hook.remove()
    for trained, stride in strides.items():
        convolution = body.get_submodule(names[trained])
        assert isinstance(convolution, nn.Conv2d)
        rate = max(1, stride // output_stride) * trained.dilation[0]
        if convolution.dilation != (rate, rate):
            convolution.dilation = rate, rate
            convolution.padding = tuple(rate * (side // 2) for side in convolution.kernel_size)


def _library(wanted: str) -> Any:
    """The library's encoders. Raises UsageError, naming the one that is wanted, where it is not installed."""
    try:
        with importing_hub_client():
            from segmentation_models_pytorch import encoders  # takes seconds to import
    except ImportError as error:
        raise UsageError(
            f"the encoder {wanted!r} needs the Python package segmentation-models-pytorch, which is not"
            " installed: install it, or choose an encoder whose name does not begin with smp:"
        ) from error
    return encoders


def normalization_of(settings: dict[str, Any]) -> Normalization:
    """What the `config.json` beside weights says they want. Raises ValueError, KeyError, TypeError."""
    top = float(settings.get("input_range", [0, 1])[1])
    return Normalization(
        order="bgr" if settings.get("input_space", "RGB") == "BGR" else "rgb",
        scale=top / 255.0,
        mean=_triple(settings["mean"]),
        std=_triple(settings["std"]),
    )


def _triple(values: list[float]) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
