"""A random forest on hand-made features: what segmentation was before networks, as a baseline."""

from __future__ import annotations

from typing import Final

from core.models.specs import EncoderSpec, ModelSpec, OptionSpec

HAND_MADE: Final = EncoderSpec(
    name="hand_made",
    title="Hand-made features (smoothed brightness and colour, edges, blobs, ridges, texture)",
    licence="Apache-2.0",
    source="none",
    parameters=0,
    activation_bytes=0,
    macs_per_pixel=0,
    output_strides=(),
)
RANDOM_FOREST: Final = ModelSpec(
    name="random_forest",
    title="Random forest",
    family="Classical",
    paper="Breiman: Random Forests, Machine Learning 45, 2001, doi:10.1023/A:1010933404324; grown by"
    " scikit-learn on hand-made features of every pixel",
    year=2001,
    parameters=81_840,
    encoders=(HAND_MADE.name,),
    size_multiple=1,
    build_from="core.models.random_forest:random_forest",
    activation_bytes=0,
    options=(
        OptionSpec(name="trees", help="how many vote", default=40, minimum=1, maximum=1000),
        OptionSpec(
            name="leaves",
            help="of each tree at most, the most telling questions first",
            default=512,
            minimum=2,
            maximum=65_536,
        ),
        OptionSpec(
            name="depth",
            help="questions from a tree's root to a leaf at most",
            default=14,
            minimum=1,
            maximum=32,
        ),
    ),
)
