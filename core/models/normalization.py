"""How a network wants its pixels: channel order, scale, mean and standard deviation. Torch-free.

Normalisation belongs to the encoder's weights, not to the architecture: the same VGG16 wants RGB 0..1 with
torchvision's weights and BGR 0..255 with weights that came by way of Caffe. It therefore travels in the
header of the weights (`core.learning.runs.header`); `core.models.network.Normalize` is the one place that
applies it, in training, in prediction and inside an exported ONNX graph.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final, Literal, TypeAlias, cast

Order: TypeAlias = Literal["rgb", "bgr"]
Triple: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalization:
    """`(pixels[order] * scale - mean) / std` for RGB pixels 0..255.

    Attributes:
        order: channel order the network was pretrained with.
        scale: factor on 0..255, before the mean: 1/255 or 1.
        mean, std: per channel, in `order`.
    """

    order: Order = "rgb"
    scale: float = 1.0 / 255.0
    mean: Triple = (0.5, 0.5, 0.5)
    std: Triple = (0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
        if self.order not in ("rgb", "bgr"):
            raise ValueError(f"order is {self.order!r}, it must be 'rgb' or 'bgr'")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != 3:
                raise ValueError(f"{name} has {len(values)} values, it must have one per channel, 3")
        if not all(map(isfinite, (self.scale, *self.mean, *self.std))):
            raise ValueError("scale, mean and std must be numbers, and none without end")
        if min(self.std) <= 0 or self.scale <= 0:
            raise ValueError("std and scale must be positive")

    def to_json(self) -> dict[str, object]:
        """Plain values for a file's header."""
        return {"order": self.order, "scale": self.scale, "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, values: object) -> Normalization:
        """Read what `to_json` wrote. Raises ValueError naming the field."""
        if not isinstance(values, Mapping):
            raise ValueError("normalization is not an object")  # noqa: TRY004 - bad data, not a bad call
        order, scale = values.get("order"), values.get("scale")
        if not isinstance(scale, int | float):
            raise ValueError("normalization.scale is not a number")  # noqa: TRY004
        return cls(
            order=cast(Order, order),
            scale=float(scale),
            mean=_triple(values, "mean"),
            std=_triple(values, "std"),
        )


IMAGENET: Final = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""What torchvision's and most of timm's ImageNet weights were trained with."""
SYMMETRIC: Final = Normalization()
"""-1..1: what TensorFlow's EfficientNets were trained with, and what networks without pretraining get."""

_DESCRIPTION: Final = re.compile(
    r"^(?P<order>RGB|BGR) 0-(?P<top>255|1)"
    r"(?: minus \((?P<mean>[^)]*)\))?(?: (?:over|divided by) \((?P<std>[^)]*)\))?$",
    re.IGNORECASE,
)


def parse_description(text: str) -> Normalization:
    """Read a sentence such as `BGR 0-255 minus (103.939,116.779,123.68) over (1,1,1)`.

    Converted Caffe weights carry it under the key `input` of their header. Raises ValueError when it says
    anything else.
    """
    found = _DESCRIPTION.match(text.strip())
    if found is None:
        raise ValueError(f"the input description {text!r} is not understood")
    return Normalization(
        order="bgr" if found["order"].lower() == "bgr" else "rgb",
        scale=1.0 if found["top"] == "255" else 1.0 / 255.0,
        mean=_numbers(found["mean"]) if found["mean"] else (0.0, 0.0, 0.0),
        std=_numbers(found["std"]) if found["std"] else (1.0, 1.0, 1.0),
    )


def _numbers(text: str) -> Triple:
    return _as_triple([float(part) for part in text.split(",")], "the input description")


def _triple(values: Mapping[str, object], name: str) -> Triple:
    found = values.get(name)
    if not isinstance(found, Sequence) or not all(isinstance(value, int | float) for value in found):
        raise ValueError(f"normalization.{name} is not a list of numbers")
    return _as_triple([float(value) for value in found], f"normalization.{name}")


def _as_triple(values: Sequence[float], name: str) -> Triple:
    if len(values) != 3:
        raise ValueError(f"{name} has {len(values)} values, it must have 3")
    return values[0], values[1], values[2]
