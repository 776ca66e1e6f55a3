"""Networks and encoders in words, for somebody who chooses one."""

from __future__ import annotations

from core.models.catalog.about import ABOUT
from core.models.specs import EncoderSpec, ModelSpec


def about_network(spec: ModelSpec) -> str:
    """In a sentence, where it is from, what it can stand on."""
    stands = f"{len(spec.encoders)} encoders" if len(spec.encoders) > 1 else "its own encoder"
    facts = f"{spec.family}, {spec.parameters / 1e6:.1f} million parameters, {stands}, licence {spec.licence}"
    return "\n".join((*((about,) if (about := ABOUT.get(spec.name)) else ()), spec.paper, facts))


def short_title(encoder: EncoderSpec) -> str:
    """The title without what its parentheses explain."""
    return encoder.title.partition(" (")[0]


def provenance(encoder: EncoderSpec) -> str:
    """Where its weights come from, and under which licence."""
    sources = {
        "embedded": "comes with the program, no download",
        "torchvision": "downloaded from torchvision on first use",
        "timm": "downloaded from the Hugging Face hub on first use",
        "smp": "downloaded from the Hugging Face hub on first use",
        "none": "starts from random weights",
    }
    return f"{encoder.title}: {sources.get(encoder.source, encoder.source)}; licence {encoder.licence}"


def is_restricted(encoder: EncoderSpec) -> bool:
    """Whether its weights may not be used commercially."""
    return "-NC-" in encoder.licence or "not for commercial" in encoder.licence
