"""What is known about a network or an encoder before it is built. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from core.errors import UsageError

Option: TypeAlias = str | int | float | bool
EncoderSource: TypeAlias = Literal["embedded", "torchvision", "timm", "smp", "none"]
PLAIN: Final = "plain"
"""The encoder of plain convolutions, which is built as wide and deep as one likes."""
SMP_PREFIX: Final = "smp:"
"""Of the names of segmentation_models_pytorch's encoders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSpec:
    """One feature extractor.

    Attributes:
        licence: of its pretrained weights.
        source: where those come from; "none" for an encoder that starts from random weights.
        parameters: how many numbers it learns.
        activation_bytes: what training keeps per input pixel and image, in float32 (measured).
        macs_per_pixel: multiplications and additions of a forward pass per input pixel (counted).
        channels: of its coarsest map.
        dilated: activation bytes and multiplications with output strides of 16 and 8, where it can have them.
        width: channels of its first maps, which the others go with, where it can have any; 0: it cannot.
        origin: the name its source knows it by.
        output_strides: what it can be built with; 32 is the classifier's own. None: it is no network's but
            one model's own, and gives one map at full resolution.
    """

    name: str
    title: str
    licence: str
    source: EncoderSource
    parameters: int
    activation_bytes: int
    macs_per_pixel: int
    channels: int = 1
    dilated: tuple[tuple[int, int], ...] = ()
    width: int = 0
    origin: str = ""
    output_strides: tuple[int, ...] = (32, 16, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionSpec:
    """One thing about a network that can be chosen: a number in a range, one of some words, or any text.

    Attributes:
        numbers: the only ones between `minimum` and `maximum` that make sense; () for all of them.
        plain_only: values that only the encoder "plain" can take, with `plain_why`, as in "option depth is 3,
            which ..."; None for all values.
        noted: training writes it down in the weights it saves; nobody chooses it.
        usual: what a default of 0 comes to, where what the network costs goes with it.
    """

    name: str
    help: str
    default: Option
    choices: tuple[str, ...] = ()
    minimum: int = 0
    maximum: int = 0
    numbers: tuple[int, ...] = ()
    text: bool = False
    plain_only: tuple[Option, ...] | None = ()
    plain_why: str = ""
    noted: bool = False
    usual: int = 0

    def number_in(self, options: Mapping[str, Option]) -> int:
        """A whole number as it is chosen there, in range or not; what is none counts as the default."""
        chosen = str(options.get(self.name, self.default))
        return int(chosen) if chosen.isdecimal() else int(self.default)

    def multiple_in(self, options: Mapping[str, Option]) -> float:
        """The number that is chosen there, as a multiple of the default; out of range 1."""
        chosen, default = self.number_in(options) or self.usual, int(self.default) or self.usual
        return chosen / default if chosen and default else 1.0

    def belongs_to(self, encoder: str) -> bool:
        """Whether a network on this encoder has it at all."""
        return self.plain_only is not None or encoder == PLAIN

    def checked(self, value: Option, model: str) -> Option:
        """`value` in the option's type. Raises UsageError that names the option and what it takes."""
        if self.text:
            return str(value)
        if self.choices:
            if value in self.choices:
                return value
            raise UsageError(f"{model}: option {self.name} is {value!r}; it can be {', '.join(self.choices)}")
        try:
            number = int(value)
            exact = float(value) == number and not isinstance(value, bool)
        except (ValueError, OverflowError):
            number, exact = 0, False
        if not exact or not self.minimum <= number <= self.maximum:
            raise UsageError(
                f"{model}: option {self.name} is {value!r};"
                f" it must be a whole number from {self.minimum} to {self.maximum}"
            )
        if self.numbers and number not in self.numbers:
            allowed = ", ".join(map(str, self.numbers))
            raise UsageError(f"{model}: option {self.name} is {number}; it can be {allowed}")
        return number

    def check_encoder(self, value: Option, model: str, encoder: str) -> None:
        """Raise UsageError for a value that this encoder cannot take."""
        if not self.belongs_to(encoder):
            raise UsageError(f"{model}: option {self.name} belongs to the encoder {PLAIN}, not to {encoder}")
        if encoder != PLAIN and value in (self.plain_only or ()):
            raise UsageError(
                f"{model}: option {self.name} is {value!r}, {self.plain_why}: choose the encoder {PLAIN}"
                f" instead of {encoder}, or another {self.name}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSize:
    """How many numbers a paper says its network learns, and which network that is here.

    Attributes:
        parameters: as published, such as 9_400_000 for "9.4 M".
        rounding: the unit of its last digit, such as 100_000.
        classes: of the paper's network.
        encoder: it stands on; None is the model's default.
        options: that make it the paper's, by name; the others have their defaults.
    """

    parameters: int
    rounding: int
    classes: int
    encoder: str | None = None
    options: tuple[tuple[str, Option], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One architecture.

    Attributes:
        parameters: with the default encoder, default options and two classes.
        encoders: names it can be built on, the default first.
        size_multiple: inputs are padded to a multiple of this, inside the network.
        build_from: "module:function" that builds it.
        activation_bytes: what training keeps per input pixel and image besides the encoder's, in float32
            (measured with the default encoder).
        macs_per_pixel: multiplications and additions of a forward pass per input pixel, besides the encoder's
            (counted with the default encoder); 0: next to nothing.
        cost_by: options that the weights besides the encoder's go with, and as which power of them.
        cost_by_channels: as which power of the channels of the encoder's coarsest map they do.
        cost_by_pixels: as which power of that map's pixels what they compute does.
        plain_as: the encoder whose shape `plain` has in it; "": its own, which is counted with the rest.
        widened_by: the option that is its encoder's width, where that can have any.
        trained_by: "person" for what can be chosen for a run; "auto" for what comes out of runs of both
            learners.
        licence: of the code; the encoder's weights have their own.
        published: the number of parameters in the paper, where it says it.
        normalized: whether layers of it, or of its default encoder, normalise what passes; without any it
            learns in smaller steps.
        drops: it has dropout whatever its options are; one that has an option for it says so there.
        least_crop: side of training crops below which it computes surroundings that it makes up, more than
            picture, and is no cheaper; with default options; 0: there is none.
        least_crop_by: the option that it grows with.
        least_batch: crops a step below which it learns badly.
    """

    name: str
    title: str
    family: str
    paper: str
    year: int
    parameters: int
    encoders: tuple[str, ...]
    size_multiple: int
    build_from: str
    activation_bytes: int
    macs_per_pixel: int = 0
    cost_by: tuple[tuple[str, float], ...] = ()
    cost_by_channels: float = 0.0
    cost_by_pixels: float = 0.0
    plain_as: str = PLAIN
    widened_by: str = "encoder_width"
    options: tuple[OptionSpec, ...] = ()
    trained_by: Literal["person", "auto"] = "person"
    licence: str = "Apache-2.0"
    published: PublishedSize | None = None
    normalized: bool = True
    drops: bool = False
    least_crop: int = 0
    least_crop_by: str = ""
    least_batch: int = 2

    def least_crop_with(self, options: Mapping[str, Option]) -> int:
        """`least_crop` with these options, a multiple of 32; what they cannot be counts as the default."""
        for option in self.options:
            if option.name == self.least_crop_by:
                side = min(option.number_in(options), option.maximum)
                return -(-self.least_crop * side // (32 * int(option.default))) * 32
        return self.least_crop

    def has_dropout(self, options: Mapping[str, Option]) -> bool:
        """Whether a network with these options leaves anything out while it learns."""
        return self.drops or bool(self.checked_options(options).get("dropout", 0))

    @property
    def default_encoder(self) -> str:
        """The encoder that is used when none is named."""
        return self.encoders[0]

    def checked_options(self, given: Mapping[str, Option]) -> dict[str, Option]:
        """All options with their values, defaults filled in. Raises UsageError."""
        known = {option.name: option for option in self.options}
        for name in given:
            if name not in known:
                raise UsageError(f"{self.name} has no option {name!r}; it has {', '.join(known) or 'none'}")
        return {
            name: option.checked(given[name], self.name) if name in given else option.default
            for name, option in known.items()
        }

    def check_together(self, encoder: str, given: Mapping[str, Option]) -> None:
        """Raise UsageError for options that the network has, but cannot have on this encoder."""
        values = self.checked_options(given)
        for option in self.options:
            if option.name in given:
                option.check_encoder(values[option.name], self.name, encoder)

    def checked_encoder(self, name: str | None) -> str:
        """`name`, or the default for None. Raises UsageError for an encoder it cannot stand on."""
        if name is None:
            return self.default_encoder
        if name not in self.encoders:
            raise UsageError(
                f"{self.name} cannot stand on the encoder {name!r}; choose {listed(self.encoders, self.name)}"
            )
        return name


def listed(encoders: Sequence[str], model: str = "unet") -> str:
    """Names for a sentence; those of segmentation_models_pytorch, dozens, stand behind their number.

    Args:
        encoders: their names.
        model: that can stand on all of them.
    """
    own = [name for name in encoders if not name.startswith(SMP_PREFIX)]
    theirs = [name for name in encoders if name.startswith(SMP_PREFIX)]
    more = f", and {len(theirs)} more such as {theirs[0]} (see maskloop models {model})" if theirs else ""
    return ", ".join(own) + more
