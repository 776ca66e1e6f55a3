"""The options of a network as settings: how they are called, what they may be, which are a person's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.panels.training_fields import FieldSpec, Value
from app.readable import capital, sentence
from core.errors import UsageError
from core.models.specs import ModelSpec, Option, OptionSpec

_TITLES: Final[Mapping[str, str]] = {
    "auxiliary": "Auxiliary head",
    "context": "Context module",
    "encoder_width": "Width of the plain encoder",
    "fc": "Width of fc6 and fc7",
    "growth": "Growth rate",
    "hidden": "Hidden units",
    "leaves": "Leaves of a tree",
    "norm": "Normalisation",
    "stem": "Width of the stem",
    "supervised": "Deep supervision",
    "training": "Training of stages",
    "window": "Window of fc6",
}
"""Where the name alone would not do."""


def option_fields(spec: ModelSpec) -> tuple[FieldSpec, ...]:
    """What can be chosen of a network, in its own order."""
    return tuple(_field(option) for option in spec.options if not option.noted and not option.text)


def title_of(option: str) -> str:
    """How people call an option."""
    return _TITLES.get(option) or _words(option)


def check_option(spec: ModelSpec, encoder: str, name: str, value: Value) -> None:
    """Raise UsageError, a sentence for people, for a value that the network cannot have on this encoder."""
    assert value is not None
    try:
        spec.check_together(encoder, {name: value})
    except UsageError as error:
        raise UsageError(str(error).replace(f"{spec.name}: option {name}", title_of(name), 1)) from None


def own_options(spec: ModelSpec, options: Mapping[str, Option]) -> dict[str, Option]:
    """Those that are a person's own: the network has them, and they are not as usual."""
    usual = {option.name: option.default for option in spec.options}
    return {name: value for name, value in options.items() if name in usual and value != usual[name]}


def problem_of(spec: ModelSpec, encoder: str, options: Mapping[str, Option]) -> str:
    """Why a network cannot be built so, in one sentence; "" if it can be."""
    for name, value in options.items():
        try:
            check_option(spec, encoder, name, value)
        except UsageError as error:
            return sentence(str(error))
    return ""


def _field(option: OptionSpec) -> FieldSpec:
    numbers = tuple((number, str(number)) for number in option.numbers)
    words = tuple((choice, _words(choice)) for choice in option.choices)
    allowed = "" if numbers or words else f"{option.minimum:,} to {option.maximum:,}, "
    usual = dict((*numbers, *words)).get(option.default, option.default)
    return FieldSpec(
        name=option.name,
        title=title_of(option.name),
        explanation=f"{_first_up(sentence(option.help))} {capital(f'{allowed}by default {usual}.')}",
        kind="choice" if numbers or words else "count",
        choices=numbers or words,
        default=option.default,
        least=option.minimum,
        most=option.maximum,
    )


def _words(name: str) -> str:
    """A name of the program's as people write it: "resize_convolution" as "Resize convolution"."""
    return capital(name.replace("_", " "))


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]
