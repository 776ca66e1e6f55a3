"""The encoders and architectures that come with the program, a file a family; `registry` serves them.

`parameters`, `activation_bytes` and `macs_per_pixel` are measured, not guessed; tests hold the networks
against them.
"""

from __future__ import annotations

from typing import Final

from core.models.catalog.deeplab import DEEPLAB
from core.models.catalog.densenet import DENSENET
from core.models.catalog.dilatednet import DILATEDNET
from core.models.catalog.encoders import ENCODERS as DECODED
from core.models.catalog.fcn import FCN
from core.models.catalog.fcn_resnet import FCN_RESNET
from core.models.catalog.gscnn import GSCNN
from core.models.catalog.instant import INSTANT
from core.models.catalog.pspnet import PSPNET
from core.models.catalog.random_forest import HAND_MADE, RANDOM_FOREST
from core.models.catalog.refinenet import REFINENET
from core.models.catalog.smp import SMP_ENCODERS
from core.models.catalog.unet import UNET
from core.models.catalog.unpooling import UNPOOLING
from core.models.specs import EncoderSpec, ModelSpec

__all__ = ["ENCODERS", "MODELS"]

ENCODERS: Final[tuple[EncoderSpec, ...]] = (*DECODED, *SMP_ENCODERS, HAND_MADE)
MODELS: Final[tuple[ModelSpec, ...]] = (
    *UNET,
    *FCN,
    *FCN_RESNET,
    *UNPOOLING,
    *DENSENET,
    *DILATEDNET,
    *DEEPLAB,
    *PSPNET,
    *REFINENET,
    *GSCNN,
    *INSTANT,
    RANDOM_FOREST,
)
