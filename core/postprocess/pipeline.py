"""What is done to a prediction after the network, as data and as text. Torch-free: the window uses it too.

As text: steps joined by `;`, each with its parameters: `tta=4;crf:iterations=5,sxy=60;min_region=64`.
What stands directly behind a step's name is its first parameter. Steps are done in the order of the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Final, Self, TypeAlias

from core.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """The image is looked at mirrored and turned as well, and the answers are averaged.

    Attributes:
        looks: so many in all; see `core.learning.prediction.looks`.
    """

    looks: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseCrf:
    """Neighbouring pixels of similar colour get the same class; see `core.postprocess.dense_crf`.

    Attributes:
        iterations: of mean field.
        sxy, srgb: how near (pixels) and how alike (0..255) pixels must be; weight: what that counts.
        spatial, spatial_weight: how near (pixels) pixels of any colour must be, and what that counts.
    """

    iterations: int = 5
    sxy: float = 60.0
    srgb: float = 5.0
    weight: float = 4.0
    spatial: float = 3.0
    spatial_weight: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallRegions:
    """Regions of fewer `pixels` become what surrounds them."""

    pixels: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class FillHoles:
    """Holes of at most so many `pixels` become what they are in."""

    pixels: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Watershed:
    """Touching objects of one class are parted by a line of background.

    Attributes:
        distance: pixels that the middles of two objects are apart at least.
        neck: objects are parted where the neck between them is at most this share of the smaller one's width.
    """

    distance: int = 6
    neck: float = 0.8


Step: TypeAlias = Looks | DenseCrf | SmallRegions | FillHoles | Watershed
Number: TypeAlias = int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSpec:
    """One parameter of a step: what it may be, and how a person is told of it.

    Attributes:
        name: of the step's attribute and in the text. whole: only whole numbers.
    """

    name: str
    title: str
    least: float
    most: float
    whole: bool
    unit: str = ""
    tip: str = ""

    def parsed(self, step: str, text: str) -> Number:
        """The value that is written. Raises UsageError that says what it must be."""
        try:
            value: Number = int(text) if self.whole else float(text)
        except ValueError:
            value = float("nan")
        if not (isfinite(value) and self.least <= value <= self.most):
            kind = "a whole number" if self.whole else "a number"
            limits = f"from {self.least:g} to {self.most:g}"
            raise UsageError(f"{step}: {self.name} is {text or 'nothing'}; it must be {kind} {limits}")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec:
    """One kind of step.

    Attributes:
        name: in the text. kind: its class, whose attributes are the parameters.
    """

    name: str
    title: str
    kind: type[Step]
    parameters: tuple[ParameterSpec, ...]
    tip: str

    def made(self, values: Mapping[str, Number]) -> Step:
        """The step with these parameters, the others as usual."""
        return self.kind(**values)  # type: ignore[arg-type]  # `ParameterSpec.parsed` made them

    def values(self, step: Step) -> dict[str, Number]:
        """The parameters of a step of this kind, by name."""
        return {parameter.name: getattr(step, parameter.name) for parameter in self.parameters}

    def written(self, step: Step) -> str:
        """The step as text: its first parameter, and those that are not as usual."""
        values, usual = self.values(step), self.values(self.kind())
        first = self.parameters[0].name
        others = [
            f"{name}={_digits(value)}"
            for name, value in values.items()
            if name != first and value != usual[name]
        ]
        if not others:
            return f"{self.name}={_digits(values[first])}"
        return f"{self.name}:" + ",".join([f"{first}={_digits(values[first])}", *others])


def _digits(value: Number) -> str:
    """The number, none of its digits lost, and no more of them than it has."""
    return str(int(value)) if value == int(value) else repr(value)


_P = ParameterSpec

STEPS: Final[tuple[StepSpec, ...]] = (
    StepSpec(
        name="tta",
        title="Average several looks",
        kind=Looks,
        tip="The image is looked at mirrored and turned as well (test-time augmentation), and that takes as"
        " many times longer",
        parameters=(
            _P(
                name="looks",
                title="Looks",
                least=2,
                most=8,
                whole=True,
                tip="2: also mirrored; 4: also upside down; 8: also on its side, for images without an up and"
                " down",
            ),
        ),
    ),
    StepSpec(
        name="crf",
        title="Dense CRF",
        kind=DenseCrf,
        tip="Borders follow the colours of the image: neighbouring pixels that look alike get the same class",
        parameters=(
            _P(
                name="iterations",
                title="Iterations",
                least=1,
                most=50,
                whole=True,
                tip="More follow colours further",
            ),
            _P(
                name="sxy",
                title="Reach",
                least=1,
                most=1000,
                whole=False,
                unit="px",
                tip="How near pixels must be to count as neighbours",
            ),
            _P(
                name="srgb",
                title="Colour",
                least=1,
                most=255,
                whole=False,
                tip="How far colours may differ, of 255",
            ),
            _P(
                name="weight",
                title="Weight",
                least=0,
                most=100,
                whole=False,
                tip="What neighbours of like colour count",
            ),
            _P(
                name="spatial",
                title="Smoothing",
                least=0.5,
                most=50,
                whole=False,
                unit="px",
                tip="Reach of smoothing whatever the colours",
            ),
            _P(
                name="spatial_weight",
                title="Its weight",
                least=0,
                most=100,
                whole=False,
                tip="What smoothing counts",
            ),
        ),
    ),
    StepSpec(
        name="min_region",
        title="Remove small regions",
        kind=SmallRegions,
        tip="Regions of fewer pixels become what surrounds them",
        parameters=(_P(name="pixels", title="Fewer than", least=1, most=100_000_000, whole=True, unit="px"),),
    ),
    StepSpec(
        name="fill_holes",
        title="Fill holes",
        kind=FillHoles,
        tip="Holes of at most so many pixels become what they are in",
        parameters=(_P(name="pixels", title="Up to", least=1, most=100_000_000, whole=True, unit="px"),),
    ),
    StepSpec(
        name="watershed",
        title="Part touching objects",
        kind=Watershed,
        tip="Objects of one class that touch are parted at their necks by a line of background",
        parameters=(
            _P(
                name="distance",
                title="Middles apart",
                least=1,
                most=1000,
                whole=True,
                unit="px",
                tip="Nearer middles belong to one object",
            ),
            _P(
                name="neck",
                title="Neck",
                least=0.05,
                most=1,
                whole=False,
                tip="Parted where the neck is at most this share of the smaller object's width",
            ),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Steps, in the order they are done; none: the prediction stays as it is. `str` gives its text."""

    steps: tuple[Step, ...] = ()

    @classmethod
    def parsed(cls, text: str) -> Self:
        """The steps of a text. Raises UsageError, one sentence that says what works."""
        steps: list[Step] = []
        for part in text.split(";"):
            if not part.strip():
                continue
            name, step = _step(part.strip())
            if any(type(step) is type(known) for known in steps):
                raise UsageError(f"{name} is in the post-processing twice; each step may be there once")
            if steps and isinstance(step, Looks):
                raise UsageError("tta must be the first step: all others work on what it gives")
            if any(not isinstance(before, Looks) for before in steps) and isinstance(step, DenseCrf):
                raise UsageError(
                    "crf must be the first step, or behind tta: it works on probabilities, the others on"
                    " classes"
                )
            steps.append(step)
        return cls(tuple(steps))

    @property
    def looks(self) -> int:
        """How often an image is looked at."""
        return next((step.looks for step in self.steps if isinstance(step, Looks)), 1)

    @property
    def on_maps(self) -> tuple[Step, ...]:
        """The steps that are done to what the network has said."""
        return tuple(step for step in self.steps if not isinstance(step, Looks))

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __str__(self) -> str:
        return ";".join(spec_of(step).written(step) for step in self.steps)


def spec_of(step: Step) -> StepSpec:
    """What is known of a step's kind."""
    return next(spec for spec in STEPS if spec.kind is type(step))


def _step(part: str) -> tuple[str, Step]:
    """The step that is written as `name`, `name=value` or `name:parameter=value,...`."""
    head, colon, rest = part.partition(":")
    name, equals, value = (each.strip() for each in head.partition("="))
    spec = next((spec for spec in STEPS if spec.name == name), None)
    if spec is None:
        names = [spec.name for spec in STEPS]
        near = get_close_matches(name, names, n=1)
        meant = f"is it {near[0]}?" if near else f"there are {', '.join(names)}"
        raise UsageError(f"there is no post-processing step {name or 'without a name'}; {meant}")
    values: dict[str, Number] = {}
    if equals:
        values[spec.parameters[0].name] = spec.parameters[0].parsed(name, value)
    for setting in rest.split(",") if colon else ():
        which, _, value = (each.strip() for each in setting.partition("="))
        parameter = next((p for p in spec.parameters if p.name == which), None)
        if parameter is None:
            known = ", ".join(p.name for p in spec.parameters)
            raise UsageError(f"{name} has no parameter {which or 'without a name'}; there are {known}")
        if which in values:
            raise UsageError(f"{name} has {which} twice; once is enough")
        values[which] = parameter.parsed(name, value)
    return name, spec.made(values)
