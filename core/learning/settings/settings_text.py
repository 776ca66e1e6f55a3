"""Settings of a run as a command line gives them: `--set ema=0.995`. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec

from core.errors import UsageError
from core.learning.config import TrainConfig
from core.models.registry import model_specs

_NOT_HERE: Final = frozenset({"model_options", "held_out", "join_instant"})
_KINDS: Final = ((bool, "true or false"), (int, "a whole number"), (float, "a number"))


def configured(config: TrainConfig, settings: Iterable[tuple[str, str]]) -> TrainConfig:
    """The configuration with these fields set, by name; "none" leaves one to the preset.

    Raises:
        UsageError: no such field, or a value of the wrong kind. Whether it makes sense says `check_sensible`.
    """
    hints = {name: hint for name, hint in get_type_hints(TrainConfig).items() if name not in _NOT_HERE}
    for name, text in settings:
        if name not in hints:
            if any(name == option.name for spec in model_specs() for option in spec.options):
                raise UsageError(f"{name} is no setting of a run but of the network: --option {name}={text}")
            near = get_close_matches(name, hints, n=1)
            meant = f"; is it {near[0]}?" if near else f"; there are {', '.join(sorted(hints))}"
            raise UsageError(f"there is no setting {name}{meant}")
        config = replace(config, **{name: _value(name, text, hints[name])})
    return config


def _value(name: str, text: str, hint: Any) -> Any:
    if type(None) in get_args(hint) and text.lower() == "none":
        return None
    try:
        return msgspec.convert(text, hint, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"{name} is {text}; it must be {_wanted(hint)}") from error


def _wanted(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(get_args(hint))
    kinds = (hint, *get_args(hint))
    return next((words for kind, words in _KINDS if kind in kinds), "a text")
