"""What a training run is told: one frozen configuration, the same for window, command line and tests.

Torch-free: the window builds it, the engine obeys it, `runs/<run>/config.json` keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

ClassWeighting: TypeAlias = Literal["none", "inverse_sqrt", "median_frequency"]
DeviceChoice: TypeAlias = Literal["auto", "cpu", "cuda"]
Preset: TypeAlias = Literal["fast", "balanced", "best"]
Optimizer: TypeAlias = Literal["adamw", "sgd", "rmsprop"]
Schedule: TypeAlias = Literal["cosine", "poly", "one_cycle", "plateau"]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]

AUTO_MODEL: Final = "auto"
DEFAULT_MODEL: Final = "unet"
INSTANT_MODEL: Final = "instant"
FOREST_MODEL: Final = "random_forest"
DEFAULT_ENCODER: Final = "tf_efficientnet_lite0"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Everything that decides a run, besides the labels.

    Attributes:
        model: a registry name; "auto" lets the program choose.
        encoder: encoder name for models that take one; None means the model's default.
        encoder_weights: "default" (what the registry names), "none", or a path to a file.
        steps: optimizer steps to do in all; None when a time budget decides.
        seconds: training time in seconds; with a resumed run, added to what it already had, and infinity
            takes its limit away. When both are None the run goes on until it is stopped.
        seed: seeds weights, crops and augmentation.
        preset: what `core.learning.settings.preset.resolve` fills the fields below with that are None.
        crop: side of the square training crop, pixels of the scaled image; for most networks a multiple of
            32; None: by preset.
        batch: crops a step; shrinks on out-of-memory with gradient accumulation; None: by preset.
        image_scale: factor images are resized by before the network sees them, in training and prediction
            alike (0.5 halves both sides); None: chosen from the sizes of images and labelled regions.
        optimizer: what moves the weights. momentum: of "sgd".
        schedule: how the rate falls after its rise: half a cosine, a power of what is left of the run, one
            cycle (a longer rise, momentum falling meanwhile), or step by step when scores do not improve.
        precision: "auto" computes in bfloat16 on a GPU and in float32 elsewhere.
        lr: peak learning rate; a pretrained encoder gets `encoder_lr_factor` of it; None: preset.
        warmup: share of the run with rising rate. freeze: share of the run with a frozen encoder.
        coarse_share: of a network trained in stages, the share of the run before the last and finest, and
            where there are two, the first gets two thirds of it; None: by what a step costs on this device.
        schedule_steps: steps of one fall of the rate, whatever the budget; None: the budget's.
        loss: what is minimised: losses joined by "+", see `core.learning.settings.loss_recipe`.
        dice: factor on the Dice term of `loss`.
        focal_gamma, tversky_beta: see `LossRecipe`.
        auxiliary: factor on the terms that a network has beside its scores (auxiliary heads, edges); 0 leaves
            them out.
        border_weight: how much more background between two objects counts where they nearly touch (U-Net's
            w0); 0 is off; None: the paper's 10 for "unet_paper", off for all others.
        border_sigma: pixels at training scale over which that weight fades (U-Net's sigma).
        class_weights: how much more a pixel of a rare class counts in cross-entropy: not at all; by the root
            of its rarity, and by that number's root at the end of the run; or, all through it, in full by its
            rarity in the images that show it (median-frequency balancing); at most `class_weight_cap`.
        rare_crops: share of the crops that are cut where learning lags: around fresh corrections and rare
            classes.
        weak_background: weight of undrawn pixels while less background is labelled than of all else together,
            less than a label's.
        ema: decay of the averaged weights, which are what is shown and saved.
        augment: vary the crops; `turns` also turns them by quarters and upside down, for pictures without an
            up (microscope, satellite). `zoom`, `rotation_deg`, `elastic`: how far, see `AugmentSettings`.
        light: how strongly brightness, contrast, colour, noise and sharpness vary: 0 not at all, 1 as usual.
        patience: validations in a row without a better score that end the run, in the last stage of a network
            trained in stages; None: only its budget does.
        folds: so many runs, each scored on other done images, before the one on all: see
            `core.learning.training.folds`; the budget is shared among them. None: one run.
        held_out: keys of the images that are held out, instead of those `validation` chooses.
        validation: "auto" holds out done images from five on; "none" scores training images and says so.
        join_instant: the instant learner takes part: see `training/joint.py`; set for the model "auto".
        threads: torch threads while the run goes on; None: as many as its process has.
    """

    model: str = AUTO_MODEL
    encoder: str | None = None
    encoder_weights: str = "default"
    preset: Preset = "balanced"
    device: DeviceChoice = "auto"
    steps: int | None = None
    seconds: float | None = None
    seed: int = 0
    crop: int | None = None
    batch: int | None = None
    image_scale: float | None = None
    optimizer: Optimizer = "adamw"
    momentum: float = 0.9
    schedule: Schedule = "cosine"
    precision: Precision = "auto"
    lr: float | None = None
    encoder_lr_factor: float = 0.1
    weight_decay: float = 0.02
    warmup: float = 0.05
    freeze: float = 0.12
    coarse_share: float | None = None
    schedule_steps: int | None = None
    clip_norm: float = 1.0
    loss: str = "ce+dice"
    dice: float = 1.0
    focal_gamma: float = 2.0
    tversky_beta: float = 0.7
    auxiliary: float = 1.0
    border_weight: float | None = None
    border_sigma: float = 5.0
    class_weights: ClassWeighting = "inverse_sqrt"
    class_weight_cap: float = 5.0
    rare_crops: float = 0.5
    weak_background: float = 0.1
    ema: float = 0.99
    augment: bool = True
    turns: bool = False
    zoom: float = 1.6
    rotation_deg: float = 15.0
    elastic: float = 0.03
    light: float = 1.0
    folds: int | None = None
    held_out: tuple[str, ...] = ()
    validation: Literal["auto", "none"] = "auto"
    validate_every_s: float = 15.0
    patience: int | None = None
    checkpoint_every_s: float = 10.0
    join_instant: bool = False
    threads: int | None = None
    model_options: tuple[tuple[str, str | int | float | bool], ...] = ()

    @property
    def network(self) -> str:
        """The registry name that `model` stands for: "auto" is the default network."""
        return DEFAULT_MODEL if self.model == AUTO_MODEL else self.model
