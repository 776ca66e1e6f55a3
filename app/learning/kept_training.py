"""What a person has chosen for training, as project.json keeps it: only what is not as usual. No Qt.

The device is not kept there: it belongs to the machine, and a project may be opened on another one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final, get_type_hints

import msgspec

from core.errors import UsageError
from core.learning.config import DeviceChoice, TrainConfig
from core.models.registry import Option, model_spec

log = logging.getLogger(__name__)

KEY: Final = "training"
"""In the settings of project.json."""
USUAL: Final = TrainConfig(seconds=300.0)
_NOT_KEPT: Final = frozenset({"device", "held_out", "join_instant"})


def kept(config: TrainConfig) -> dict[str, Any]:
    """A configuration as JSON values."""
    names = [field.name for field in fields(TrainConfig) if field.name not in _NOT_KEPT]
    own = {name: getattr(config, name) for name in names if getattr(config, name) != getattr(USUAL, name)}
    return dict(msgspec.to_builtins(own))


def restored(values: object, device: DeviceChoice = "auto") -> TrainConfig:
    """What `kept` gave, on this device; what nobody understands (of a newer program, say) is as usual."""
    hints = get_type_hints(TrainConfig)
    config = replace(USUAL, device=device)
    for name, value in values.items() if isinstance(values, Mapping) else ():
        if name not in hints or name in _NOT_KEPT:
            log.info("project.json: the training setting %s is not known here.", name)
            continue
        try:
            config = replace(config, **{name: msgspec.convert(value, hints[name])})
        except msgspec.ValidationError as error:
            log.info("project.json: the training setting %s: %s", name, error)
    return _with_known_options(config)


def _with_known_options(config: TrainConfig) -> TrainConfig:
    """Without options that the network does not have, or not so."""
    known: list[tuple[str, Option]] = []
    for name, value in config.model_options:
        try:
            known.append((name, model_spec(config.network).checked_options({name: value})[name]))
        except UsageError as error:
            log.info("project.json: an option of the network: %s", error)
    return replace(config, model_options=tuple(known))
