"""`maskloop models`: what can be trained, as a table, or one network in full. Imports no torch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, Final

from core.cli.output import answer, answer_json
from core.models.cost import encoder_cost, estimate_memory
from core.models.registry import (
    EncoderSpec,
    ModelSpec,
    OptionSpec,
    encoder_spec,
    model_spec,
    model_specs,
)
from core.models.specs import PLAIN, EncoderSource

CROP: Final = 256
BATCH: Final = 4
"""The training step that the memory column is about."""
SOURCES: Final[dict[EncoderSource, str]] = {
    "embedded": "bundled",
    "torchvision": "torchvision",
    "timm": "timm",
    "smp": "smp-hub",
    "none": "none",
}
"""Where pretrained weights come from; all encoders also take a file."""


def models(arguments: argparse.Namespace) -> None:
    """List every model of the registry, or tell all about one. Raises UsageError for an unknown name."""
    if arguments.name is not None:
        spec = model_spec(arguments.name)
        if arguments.json:
            answer_json(_fields(spec))
        else:
            answer("\n".join(_page(spec)))
    elif arguments.json:
        answer_json({"models": [_fields(spec) for spec in model_specs()]})
    else:
        answer("\n".join(_table([_HEAD, *map(_row, model_specs())])))
        answer(
            f"\nParameters with the default encoder and two classes; memory of a training step on {BATCH}"
            f" crops of {CROP} x {CROP} pixels,\nroughly; sides of tiles are padded to a multiple of the last"
            " number. `maskloop models NAME` tells more."
        )


_HEAD: Final = ("name", "family", "paper", "parameters", "encoder", "licence", "memory", "tile")


def _row(spec: ModelSpec) -> tuple[str, ...]:
    more = f" and {len(spec.encoders) - 1} more" if len(spec.encoders) > 1 else ""
    return (
        spec.name,
        spec.family,
        _cited(spec),
        _millions(spec.parameters),
        spec.default_encoder + more,
        spec.licence,
        _gigabytes(estimate_memory(spec, CROP, BATCH)),
        str(spec.size_multiple),
    )


def _page(spec: ModelSpec) -> list[str]:
    """Everything about one model: what it is, what of it can be chosen, what it can stand on."""
    padded = f"a multiple of {spec.size_multiple}" if spec.size_multiple > 1 else "any size"
    memory = _gigabytes(estimate_memory(spec, CROP, BATCH))
    facts = (
        ("family", spec.family),
        ("paper", f"{spec.paper} ({spec.year})"),
        ("licence", f"{spec.licence} (the code; weights of encoders have their own)"),
        ("parameters", f"{_millions(spec.parameters)} with {spec.default_encoder} and two classes"),
        ("memory", f"{memory} with default options for {BATCH} crops of {CROP} x {CROP}"),
        ("tile", f"sides are padded to {padded}" if spec.size_multiple > 1 else padded),
    )
    lines = [f"{spec.name}: {spec.title}", "", *_table(facts)]
    chosen = [option for option in spec.options if not option.noted]
    if chosen:
        options = [(f"  {option.name}", str(option.default), _allowed(option)) for option in chosen]
        lines += ["", "options (train --option NAME=VALUE), their defaults and what they can be"]
        for row, option in zip(_table(options), chosen, strict=True):
            lines += [row, f"      {option.help}"]
    rows = [("  name", "parameters", "memory", "weights", "licence of the weights")]
    rows += [_encoder_row(spec, encoder_spec(name)) for name in spec.encoders]
    return [*lines, "", "encoders (train --encoder NAME), the default first", *_table(rows)]


def _encoder_row(spec: ModelSpec, encoder: EncoderSpec) -> tuple[str, str, str, str, str]:
    return (
        f"  {encoder.name}",
        "-" if (size := _size(spec, encoder)) is None else _millions(size),
        _gigabytes(estimate_memory(spec, CROP, BATCH, encoder.name)),
        SOURCES[encoder.source],
        encoder.licence,
    )


def _size(spec: ModelSpec, encoder: EncoderSpec) -> int | None:
    """How many numbers an encoder learns in this network; None where it is the network's own and no part."""
    if encoder.name == PLAIN and not spec.plain_as:
        return None
    return round(encoder_cost(spec, encoder.name).parameters)


def _allowed(option: OptionSpec) -> str:
    if option.text:
        return "text"
    return ", ".join((*option.choices, *map(str, option.numbers))) or f"{option.minimum} to {option.maximum}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with their columns below each other."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _cited(spec: ModelSpec) -> str:
    """The paper in a few words: its first author and year."""
    authors, colon, _ = spec.paper.partition(": ")
    if not colon:
        return f"this program {spec.year}"
    first, comma, _ = authors.partition(",")
    return f"{first}{' et al.' if comma else ''} {spec.year}"


def _millions(parameters: int) -> str:
    return f"{parameters / 1e6:.1f} M"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def _fields(spec: ModelSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "title": spec.title,
        "family": spec.family,
        "paper": spec.paper,
        "year": spec.year,
        "parameters": spec.parameters,
        "licence": spec.licence,
        "memory_bytes": estimate_memory(spec, CROP, BATCH),
        "tile_multiple": spec.size_multiple,
        "options": [
            {
                "name": option.name,
                "default": option.default,
                "allowed": _allowed(option),
                "help": option.help,
            }
            for option in spec.options
            if not option.noted
        ],
        "encoders": [
            {
                "name": encoder.name,
                "title": encoder.title,
                "licence": encoder.licence,
                "source": encoder.source,
                "parameters": _size(spec, encoder),
            }
            for encoder in map(encoder_spec, spec.encoders)
        ],
    }
