"""The instant learner, and what comes out of it and a deep network together."""

from __future__ import annotations

from typing import Final

from core.models.catalog.common import ENCODER_WIDTH, FEATURE_ENCODERS, SMP_NAMES
from core.models.catalog.encoders import ENCODERS
from core.models.specs import ModelSpec, OptionSpec

_HIDDEN: Final = OptionSpec(
    name="hidden", help="units of the head's hidden layer", default=128, minimum=4, maximum=1024
)
_VIEWS: Final = OptionSpec(
    name="views",
    help="zooms at which images are looked at; the first of three costs three quarters of the time",
    default="2,1,0.5",
    choices=("2,1,0.5", "1,0.5", "0.5"),
)


INSTANT: Final = (
    ModelSpec(
        name="instant",
        title="Instant learner",
        family="Instant",
        paper="A head on frozen multi-scale features, fitted in seconds; this program's own",
        year=2026,
        parameters=3_155_842,
        encoders=FEATURE_ENCODERS,
        size_multiple=64,
        build_from="core.models.instant:instant",
        activation_bytes=200,
        macs_per_pixel=32_574,
        options=(_HIDDEN, _VIEWS, ENCODER_WIDTH),
    ),
    ModelSpec(
        name="blend",
        title="Instant learner and deep network",
        family="Instant",
        paper="The geometric mean of both learners' probabilities; this program's own",
        year=2026,
        parameters=8_354_324,
        encoders=(*(encoder.name for encoder in ENCODERS), *SMP_NAMES),
        size_multiple=64,
        build_from="core.models.blend:blend",
        activation_bytes=979,
        macs_per_pixel=76_865,
        trained_by="auto",
        options=(
            OptionSpec(
                name="deep",
                help="the deep network, as JSON",
                default='{"name": "unet", "encoder": null, "options": {}}',
                text=True,
            ),
            OptionSpec(
                name="instant_encoder",
                help="what the instant learner stands on",
                default=FEATURE_ENCODERS[0],
                choices=FEATURE_ENCODERS,
            ),
            _HIDDEN,
            _VIEWS,
            OptionSpec(
                name="share", help="of the instant learner, percent", default=50, minimum=0, maximum=100
            ),
            OptionSpec(
                name="mirrored", help="1: look at mirrored images as well", default=0, minimum=0, maximum=1
            ),
        ),
    ),
)
