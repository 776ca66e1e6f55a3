"""Small networks: narrow builds of every registered architecture, and one that only looks at colour."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from core.annotation.model import ClassList, LabelClass
from core.learning.runs.header import WeightsHeader
from core.models.encoders import Encoder
from core.models.network import SegmentationNetwork
from core.models.normalization import Normalization
from core.models.registry import build, model_spec
from core.models.specs import Option

NARROW: dict[str, Option] = {
    "width": 4,
    "encoder_width": 4,
    "fc": 32,
    "window": 2,
    "growth": 2,
    "stem": 4,
    "deep": '{"name": "unet", "encoder": "plain", "options": {"encoder_width": 4, "width": 4}}',
    "instant_encoder": "plain",
}
"""Smaller values of options that several models have."""
NARROW_OF: dict[str, dict[str, Option]] = {
    "unet_paper": {"width": 6, "depth": 2},
    "segnet": {"encoder_width": 8},  # narrower ones learn by luck: there are no skips
    "deconvnet": {"encoder_width": 8},
    "deeplabv3": {"width": 8},
    "deeplabv3plus": {"width": 8},
    "pspnet": {"width": 8},
    "refinenet": {"width": 8},
    "gscnn": {"width": 16, "norm": "group"},
    "fcdensenet56": {"depth": 2},
    "fcdensenet67": {"depth": 2},
    "fcdensenet103": {"depth": 2},
    "random_forest": {"trees": 24, "leaves": 64, "depth": 6},
}
"""What single architectures need besides, or instead."""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)  # threads only wait for each other on networks this small


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def classes() -> ClassList:
    """Three classes whose indices have gaps, as after a deletion."""
    return ClassList(
        (
            LabelClass(0, "background", "#000000"),
            LabelClass(3, "nerve", "#ff4040"),
            LabelClass(7, "vessel", "#40a0ff"),
        ),
        background=0,
    )


@pytest.fixture(scope="session")
def narrow() -> Callable[..., SegmentationNetwork]:
    """Builds a registered architecture on a few channels, on the plain encoder if it can, untrained."""

    def build_narrow(name: str, classes: int = 3, **options: Option) -> SegmentationNetwork:
        spec = model_spec(name)
        known = {option.name for option in spec.options}
        width = {key: value for key, value in (NARROW | NARROW_OF.get(name, {})).items() if key in known}
        encoder = "plain" if "plain" in spec.encoders else spec.default_encoder
        return build(name, classes=classes, encoder=encoder, **(width | options))

    return build_narrow


class _Image(Encoder):
    """An encoder that passes the image on."""

    def __init__(self) -> None:
        super().__init__("plain", (3,) * 6, Normalization(scale=1.0, mean=(0, 0, 0), std=(1, 1, 1)))

    def forward(self, x: Tensor) -> list[Tensor]:
        return [x]


class ColourNetwork(SegmentationNetwork):
    """Class k where red is nearest to 100 k; its receptive field is one pixel, or 5 x 5 with `blur`.

    It runs out of memory above `most_pixels` a tile.
    """

    def __init__(self, classes: int = 3, *, blur: bool = False, most_pixels: int | None = None) -> None:
        super().__init__(_Image(), classes)
        self.describe(architecture="colour", options={})
        self.levels = nn.Parameter(torch.arange(classes, dtype=torch.float32) * 100)
        self.blur = nn.AvgPool2d(5, stride=1, padding=2) if blur else nn.Identity()
        self.most_pixels = most_pixels
        self.seen: list[tuple[int, ...]] = []

    def logits(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape))
        if self.most_pixels is not None and x.shape[-1] * x.shape[-2] > self.most_pixels:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        red = self.blur(self.encoder(x)[0][:, :1])
        return -(red - self.levels.view(1, -1, 1, 1)).abs() / 10


@pytest.fixture
def colour_network() -> type[ColourNetwork]:
    return ColourNetwork


@pytest.fixture
def colour_header(classes: ClassList) -> WeightsHeader:
    return WeightsHeader(
        architecture="colour",
        encoder="plain",
        classes=classes,
        normalization=Normalization(scale=1.0, mean=(0, 0, 0), std=(1, 1, 1)),
        tile=64,
    )
