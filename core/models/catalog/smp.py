"""The encoders of segmentation_models_pytorch 0.6, as `smp:NAME`.

Their figures were measured (`smp_rows.py`); a test compares the names with the library's own.
"""

from __future__ import annotations

from typing import Final

from core.models.catalog.smp_rows import DILATED, ROWS
from core.models.specs import EncoderSpec

_NON_COMMERCIAL: Final = ("instagram", "ssl", "swsl")
"""Weights trained on a billion pictures of Instagram and the like: CC-BY-NC-4.0."""


def _licence(name: str, weights: str) -> str:
    """Of code and weights, as far as the library says it."""
    code = "MIT"
    if name.startswith("mit_"):
        code = "NVIDIA Source Code License, not for commercial use"
    elif name.startswith("mobileone_"):
        code = "Apple sample code licence"
    elif name.startswith("efficientnet-"):
        code = "Apache-2.0"
    page = f"huggingface.co/smp-hub/{name}.{weights.replace('+', '-')}"
    terms = "CC-BY-NC-4.0" if weights in _NON_COMMERCIAL else f"see {page}"
    return f"{code}; weights {terms}"


def _spec(
    name: str,
    weights: str,
    parameters: int,
    activation_bytes: int,
    macs_per_pixel: int,
    channels: int,
) -> EncoderSpec:
    dilated = DILATED.get(name, ())
    return EncoderSpec(
        name=f"smp:{name}",
        title=f"smp: {name} (segmentation_models_pytorch, weights {weights})",
        licence=_licence(name, weights),
        source="smp",
        parameters=parameters,
        activation_bytes=activation_bytes,
        macs_per_pixel=macs_per_pixel,
        channels=channels,
        dilated=dilated,
        origin=f"{name}/{weights}",
        output_strides=(32, 16, 8) if dilated else (32,),
    )


SMP_ENCODERS: Final = tuple(_spec(*row) for row in ROWS)
