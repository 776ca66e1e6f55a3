"""Both learners together, told as two networks and what joins them: each has a page of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from torch import nn

from core.learning.explain.explained import PICTURE, Block
from core.models.blend import BlendNetwork
from core.models.registry import encoder_spec, model_spec
from core.models.specs import Option

BLEND: Final = "blend"
DEEP: Final = "deep"
INSTANT: Final = "instant"
NO_MAPS: Final = -1
"""Of a block whose maps are on another page."""


def blocks_of_blend(network: BlendNetwork, tile: int) -> tuple[Block, ...]:
    """The deep network, the instant learner, and the scores that come of both."""
    zooms = network.instant.views.replace(",", ", ")
    mirrored = ("the picture's mirror image is looked at as well",) if network.mirrored else ()

    def block(part: str, title: str, *layers: str, of: nn.Module | None = None) -> Block:
        return Block(
            part=part,
            title=title,
            shape=(network.classes, tile, tile),
            layers=layers,
            parameters=0 if of is None else sum(parameter.numel() for parameter in of.parameters()),
            inputs=(0, 1) if of is None else (PICTURE,),
            maps=NO_MAPS,
        )

    return (
        block(
            DEEP,
            model_spec(network.deep.architecture).title,
            f"stands on {_encoder(network.deep.encoder_name)}",
            "all of it is trained, for minutes",
            of=network.deep,
        ),
        block(
            INSTANT,
            "Instant learner",
            f"{_encoder(network.instant.encoder_name)}, as it was pretrained, sees zooms {zooms}",
            f"a head of {network.instant.hidden.out_features} units is fitted in seconds",
            of=network.instant,
        ),
        block(
            BLEND,
            "Both together",
            "logarithms of both probabilities are averaged",
            f"the instant learner counts {network.share} %, the deep network {100 - network.share} %",
            *mirrored,
        ),
    )


def same_deep_network(options: Mapping[str, Option], others: Mapping[str, Option]) -> bool:
    """Whether two blends have one kind of deep network: its name, its encoder, its options."""
    return _described(options) == _described(others)


def _described(options: Mapping[str, Option]) -> tuple[str, str, dict[str, Option]]:
    about = json.loads(str(options["deep"]))
    spec = model_spec(about["name"])
    values = spec.checked_options(about["options"])
    noted = {option.name for option in spec.options if option.noted or option.name == "encoder_width"}
    return (
        spec.name,
        about["encoder"] or spec.default_encoder,
        {name: value for name, value in values.items() if name not in noted},
    )


def _encoder(name: str) -> str:
    return encoder_spec(name).title.partition(" (")[0]
