"""`maskloop models`: what can be trained. Imports no torch."""

from __future__ import annotations

import argparse
from typing import Any

from core.cli.output import answer, answer_json
from core.models.registry import encoder_spec, model_specs
from core.models.specs import ModelSpec


def models(arguments: argparse.Namespace) -> None:
    """List every model of the registry."""
    specs = model_specs()
    if arguments.json:
        answer_json({"models": [_fields(spec) for spec in specs]})
        return
    width = max(len(spec.name) for spec in specs)
    for spec in specs:
        encoders = ", ".join(f"{name} ({encoder_spec(name).licence})" for name in spec.encoders)
        answer(f"{spec.name:<{width}}  {spec.family}; {spec.parameters / 1e6:.1f} M parameters; {spec.paper}")
        answer(f"{'':<{width}}  encoders: {encoders or 'none'}")


def _fields(spec: ModelSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "title": spec.title,
        "family": spec.family,
        "paper": spec.paper,
        "year": spec.year,
        "parameters": spec.parameters,
        "licence": spec.licence,
        "encoders": [
            {
                "name": encoder.name,
                "title": encoder.title,
                "licence": encoder.licence,
                "source": encoder.source,
                "parameters": encoder.parameters,
            }
            for encoder in map(encoder_spec, spec.encoders)
        ],
    }
