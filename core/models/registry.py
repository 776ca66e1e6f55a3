"""Every network and encoder this program knows, without importing torch.

The window and `maskloop models` read the specs; `build` imports the family's module when a network is
really wanted (by name, so that no module of the window's process depends on torch).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from core.errors import UsageError
from core.models.catalog import ENCODERS, MODELS
from core.models.specs import EncoderSpec, ModelSpec, Option, OptionSpec, listed

if TYPE_CHECKING:
    from core.models.network import SegmentationNetwork

__all__ = [
    "EncoderSpec",
    "ModelSpec",
    "Option",
    "OptionSpec",
    "build",
    "encoder_spec",
    "encoder_specs",
    "model_spec",
    "model_specs",
    "register",
    "register_encoder",
]

_encoders: dict[str, EncoderSpec] = {}
_models: dict[str, ModelSpec] = {}


def encoder_spec(name: str) -> EncoderSpec:
    """The encoder of this name. Raises UsageError that lists the known ones."""
    if name not in _encoders:
        raise UsageError(f"there is no encoder {name!r}; known are {listed(tuple(_encoders))}")
    return _encoders[name]


def encoder_specs() -> tuple[EncoderSpec, ...]:
    """All encoders, in the order they are offered."""
    return tuple(_encoders.values())


def model_spec(name: str) -> ModelSpec:
    """The model of this name. Raises UsageError that lists the known ones."""
    if name not in _models:
        raise UsageError(f"there is no model {name!r}; known are {', '.join(_models)}")
    return _models[name]


def model_specs() -> tuple[ModelSpec, ...]:
    """All models, in the order they are offered."""
    return tuple(_models.values())


def register_encoder(spec: EncoderSpec) -> None:
    """Add an encoder. Raises ValueError for a name that is taken."""
    if spec.name in _encoders:
        raise ValueError(f"an encoder named {spec.name!r} is registered already")
    _encoders[spec.name] = spec


def register(spec: ModelSpec) -> None:
    """Add a model. Raises ValueError for a name that is taken or an encoder that is unknown."""
    if spec.name in _models:
        raise ValueError(f"a model named {spec.name!r} is registered already")
    unknown = [name for name in spec.encoders if name not in _encoders]
    if unknown or not spec.encoders:
        raise ValueError(f"model {spec.name!r} names unknown encoders: {', '.join(unknown) or 'none given'}")
    _models[spec.name] = spec


def build(name: str, *, classes: int, encoder: str | None = None, **options: Option) -> SegmentationNetwork:
    """A network with random weights, on the CPU, in training mode.

    Args:
        name: of a model.
        classes: output channels, 1..255.
        encoder: of the model's encoders; None is its default.
        options: of the model's options.

    Raises:
        UsageError: an unknown name, encoder or option, or a value outside its range.
    """
    spec = model_spec(name)
    if not 1 <= classes <= 255:
        raise UsageError(f"{name}: a network needs 1 to 255 classes, not {classes}")
    chosen = spec.checked_encoder(encoder)
    spec.check_together(chosen, options)
    values = spec.checked_options(options)
    network = _builder(spec)(classes=classes, encoder=chosen, **values)
    # The width of an encoder that is not there would only confuse the reader of a weights file.
    described = {key: value for key, value in values.items() if key != "encoder_width" or chosen == "plain"}
    network.describe(architecture=name, options=described)
    return network


def _builder(spec: ModelSpec) -> Callable[..., SegmentationNetwork]:
    module, _, function = spec.build_from.partition(":")
    builder: Callable[..., SegmentationNetwork] = getattr(importlib.import_module(module), function)
    return builder


for _encoder in ENCODERS:
    register_encoder(_encoder)
for _model in MODELS:
    register(_model)
