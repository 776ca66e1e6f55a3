"""The settings of a run beyond the choices of the panel: how they are called, what they do, what is usual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Final, Literal, TypeAlias

from core.errors import UsageError
from core.learning.config import TrainConfig
from core.learning.settings.sensible import check_sensible

Value: TypeAlias = int | float | bool | str | None
Kind: TypeAlias = Literal["whole", "number", "switch", "choice", "count"]


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One setting.

    Attributes:
        name: of the field of `TrainConfig`, or of the network's option.
        title: for people. explanation: a sentence or two.
        kind: how it is edited; "whole" and "number" may be empty, which is the default.
        default: what a new configuration has. least, most: of a "count".
        choices: of a "choice": value and title.
        empty: what an empty field stands for where the default is None; "" where the preset decides.
    """

    name: str
    title: str
    explanation: str
    kind: Kind
    choices: tuple[tuple[Value, str], ...] = ()
    empty: str = ""
    default: Value = None
    least: int = 0
    most: int = 0


_DEFAULTS: Final[Mapping[str, Value]] = {
    field.name: field.default for field in fields(TrainConfig) if field.default is not MISSING
}


def F(
    name: str,
    title: str,
    explanation: str,
    kind: Kind,
    choices: tuple[tuple[str, str], ...] = (),
    *,
    empty: str = "",
) -> FieldSpec:
    """A field of `TrainConfig`, with its default."""
    return FieldSpec(name, title, explanation, kind, choices, empty, _DEFAULTS[name])


GROUPS: Final[tuple[tuple[str, tuple[FieldSpec, ...]], ...]] = (
    ("What a step sees", (
        F("crop", "Crop", "Side of the square pieces the network learns from, in pixels of the scaled "
          "image; for most networks a multiple of 32. Larger shows more surroundings and takes more "
          "memory.", "whole"),
        F("batch", "Crops a step", "More make steadier steps and take more memory; when it runs out, "
          "fewer are computed at a time.", "whole"),
        F("image_scale", "Scale", "Images are resized by this before the network sees them, in training "
          "and prediction alike: 0.5 halves both sides.", "number"),
    )),
    ("How it learns", (
        F("lr", "Learning rate", "The highest rate of what is not pretrained. Lower if the loss jumps, "
          "higher if it hardly moves.", "number"),
        F("encoder_lr_factor", "Rate of the encoder", "As a share of the learning rate: pretrained layers "
          "need smaller steps. One that is not pretrained learns at the whole rate.", "number"),
        F("weight_decay", "Weight decay", "Pulls weights towards zero; more of it overfits less.",
          "number"),
        F("optimizer", "Optimizer", "What moves the weights along their gradients.", "choice",
          (("adamw", "AdamW"),
           ("sgd", "SGD with momentum"),
           ("rmsprop", "RMSprop"))),
        F("momentum", "Momentum", "Of SGD: how much of the last step goes on in the next.", "number"),
        F("schedule", "Fall of the rate", "How the learning rate comes down after its rise.", "choice",
          (("cosine", "Cosine"),
           ("poly", "Polynomial, power 0.9"),
           ("one_cycle", "One cycle: a long rise, then a fall"),
           ("plateau", "Halved when scores stand still"))),
        F("warmup", "Warm-up", "Share of the run, 0 to 1, in which the rate rises.", "number"),
        F("freeze", "Frozen encoder", "Share of the run, 0 to 1, in which a pretrained encoder stays as "
          "it is.", "number"),
        F("coarse_share", "Coarse stages", "Of a network trained in stages (FCN), the share of the run "
          "before the finest; of two stages, the first gets two thirds of it.", "number"),
        F("schedule_steps", "Schedule", "Steps of one fall of the rate.", "whole",
          empty="as long as the run"),
        F("clip_norm", "Gradient limit", "Longer gradients are cut to this length.", "number"),
        F("ema", "Averaging", "How much of the averaged weights, which are shown and saved, stays at each "
          "step; closer to 1 is steadier and slower.", "number"),
        F("precision", "Precision", "Half precision is faster on a GPU and slower on most processors.",
          "choice",
          (("auto", "Half on a GPU, else full"),
           ("float32", "Full: float32"),
           ("bfloat16", "Half: bfloat16"))),
    )),
    ("Losses", (
        F("loss", "Loss", "What is minimised. Cross-entropy counts pixels; Dice, Tversky and Lovász count "
          "overlap, class by class; focal turns to the pixels that are still wrong.", "choice",
          (("ce+dice", "Cross-entropy and Dice"),
           ("ce", "Cross-entropy"),
           ("dice", "Dice"),
           ("focal", "Focal"),
           ("focal+dice", "Focal and Dice"),
           ("ce+lovasz", "Cross-entropy and Lovász"),
           ("lovasz", "Lovász"),
           ("ce+tversky", "Cross-entropy and Tversky"),
           ("tversky", "Tversky"))),
        F("dice", "Dice", "Weight of the overlap term beside cross-entropy; it counts classes, not "
          "pixels. 0 leaves it out.", "number"),
        F("focal_gamma", "Focus", "Of the focal loss: higher turns more to pixels that are still wrong; 0 is "
          "cross-entropy.", "number"),
        F("tversky_beta", "Missed pixels", "Of the Tversky loss, 0 to 1: above 0.5 a missed pixel counts "
          "more than a false one.", "number"),
        F("auxiliary", "Terms of the network", "Factor on what a network is trained on beside its scores: "
          "auxiliary heads, edges. 0 leaves them out.", "number"),
        F("border_weight", "Borders", "How much more the background between two objects counts where they "
          "nearly touch; U-Net's authors took 10. 0 is off. An object is a polygon, or a group of them.",
          "number"),
        F("border_sigma", "Width of borders", "Over how many pixels of the scaled image that fades.",
          "number"),
    )),
    ("Classes and labels", (
        F("class_weights", "Class weights", "How much more a pixel of a rare class counts in the loss.",
          "choice",
          (("none", "None: every pixel alike"),
           ("inverse_sqrt", "Root: rare ones count more"),
           ("median_frequency", "Median frequency: in full"))),
        F("class_weight_cap", "Limit of class weights", "No class counts more than this, or less than its "
          "inverse.", "number"),
        F("rare_crops", "Crops of rare classes", "Share of the crops, 0 to 1, that are cut where learning "
          "lags: around rare classes and fresh corrections.", "number"),
        F("weak_background", "Weak background", "What undrawn pixels count as background while none is "
          "drawn, 0 to 0.99.", "number"),
    )),
    ("Augmentation", (
        F("augment", "Vary the crops", "Flips, zoom, rotation, bending, light and noise.", "switch"),
        F("turns", "Any way up", "Also quarter turns and upside down: for microscope and satellite images.",
          "switch"),
        F("zoom", "Zoom", "Largest magnification, 1 to 4; its inverse is the smallest. 1 keeps the size of "
          "things, which a microscope knows.", "number"),
        F("rotation_deg", "Rotation", "Degrees to either side.", "number"),
        F("elastic", "Bending", "Largest displacement, 0 to 0.2 of a crop's side.", "number"),
        F("light", "Light and noise", "How strongly brightness, contrast, colour, noise and sharpness vary: "
          "0 not at all, 1 as usual, 2 twice as much.", "number"),
    )),
    ("The run", (
        F("validation", "Validation", "Whether done images are held out, from five on.", "choice",
          (("auto", "A fifth of the done images"),
           ("none", "None; learn from all"))),
        F("folds", "Folds", "For small sets: so many runs, each scored on other done images, then one "
          "on all; the time is shared among them.", "whole", empty="none: one run"),
        F("validate_every_s", "Score every", "Seconds of training between two scores, at least.",
          "number"),
        F("patience", "Patience", "So many scores in a row without a better one end the run, of a "
          "network trained in stages in its last one.", "whole",
          empty="only the time does"),
        F("checkpoint_every_s", "Save every", "Seconds of training that a crash can cost.", "number"),
        F("steps", "Steps", "Ends the run after so many steps; one that is continued does so many "
          "more.", "whole", empty="only the time does"),
        F("seed", "Seed", "The same seed, labels and threads give the same run on a CPU.", "whole"),
        F("threads", "Threads", "Processor threads for the network.", "whole", empty="all of them"),
    )),
)  # fmt: skip

FIELDS: Final = {spec.name: spec for _, group in GROUPS for spec in group}


def changed(config: TrainConfig) -> dict[str, Value]:
    """The settings that are a person's own."""
    values = {name: getattr(config, name) for name in FIELDS}
    return {name: value for name, value in values.items() if value != FIELDS[name].default}


def back_to_preset(config: TrainConfig) -> TrainConfig:
    """The configuration with all these settings, and the network's options, as they are by default."""
    usual = {name: spec.default for name, spec in FIELDS.items()}
    return replace(config, model_options=(), **usual)  # type: ignore[arg-type]


def read(spec: FieldSpec, text: str) -> Value:
    """What a person typed, checked; empty is the default.

    Raises:
        UsageError: no number, or one that no run could make sense of; the sentence says what works.
    """
    text = text.strip().replace(",", ".")
    if not text:
        return spec.default
    try:
        value: Value = int(text) if spec.kind == "whole" else float(text)
    except ValueError:
        what = "a whole number" if spec.kind == "whole" else "a number"
        raise UsageError(f"{spec.title} is {text}; it must be {what}") from None
    try:
        check_sensible(replace(TrainConfig(), **{spec.name: value}))  # type: ignore[arg-type]
    except UsageError as error:
        raise UsageError(str(error).replace(spec.name, spec.title, 1)) from None
    return value


def written(value: Value) -> str:
    """A value as it stands in its field."""
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
