"""The part of a run that computes: network, average, optimizer, augmentation, and the device they are on."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from core.errors import WeightsFileError
from core.learning.config import TrainConfig
from core.learning.machine.memory import SMALLEST_CROP, Load, is_device_lost, is_out_of_memory
from core.learning.runs.checkpoint import Checkpoint
from core.learning.settings.budget import (
    COARSE_SHARE,
    ENDLESS_FLOOR,
    ENDLESS_WARMUP,
    FLOOR,
    frozen_at,
    rate_factor,
    stage_at,
)
from core.learning.settings.loss_recipe import LossRecipe
from core.learning.settings.preset import least_crop
from core.learning.training.augment import Augmenter, AugmentSettings, Crops
from core.learning.training.distributed import Place
from core.learning.training.ema import Ema
from core.learning.training.optimizers import cycle_momentum, new_optimizer
from core.learning.training.plateau import Plateau
from core.learning.training.sampler import Windows
from core.models.network import Normalize, SegmentationNetwork

FEW_CROPS: Final = 8
"""Batch statistics of fewer are not worth more than those an encoder was pretrained with."""
SETTLED_STEPS: Final = 16
"""After which the running statistics of a decoder say more than those of few crops."""


class Learner:
    """Trains one network, as far as its memory allows.

    Args:
        config: with everything the preset decides filled in.
        pretrained: whether the encoder has learned weights, so that it waits for the decoder at first.

    Attributes:
        network, optimizer: what learns. ema: its average, which is shown, scored and saved.
        recipe: what is minimised.
        normalize: pixels 0..255 as the network wants them.
        load: how much of a batch is computed at a time, and where.
        lr: rate of the decoder at present.
        plateau: hears the scores, and lowers the rate where the schedule is to follow them.
        stage: of the network's `stages()`, by position.
    """

    def __init__(
        self, config: TrainConfig, network: SegmentationNetwork, device: torch.device, *, pretrained: bool
    ) -> None:
        self.config = config
        self.recipe = LossRecipe.of(config)
        self.device = device
        self.load = Load(
            config.crop or 0,
            config.batch or 0,
            "cuda" if device.type == "cuda" else "cpu",
            least=max(SMALLEST_CROP, least_crop(config)),
        )
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.ema = Ema(self.network, config.ema)
        self.optimizer = new_optimizer(self.network, self.config)
        self.normalize = Normalize(network.normalization).to(device)
        self.augment_settings = AugmentSettings.of(config)
        self.augment = self._new_augmenter()
        self.lr = 0.0
        self.plateau = Plateau()
        self.stage = 0
        self._world = 1
        self._pretrained = pretrained
        self._frozen: bool | None = None
        self._settled = False
        self._rate_cut = 1.0
        self._ahead_since = math.inf
        self._enter_stage(0)

    @property
    def in_last_stage(self) -> bool:
        """Whether the whole network is trained, as it is to be in the end."""
        return self.stage == len(self.network.stages()) - 1

    @property
    def window_margin(self) -> float:
        """Side of the source windows the augmentation wants, as a multiple of the crop's."""
        return 1.0 if self.augment_settings is None else self.augment_settings.window_margin

    def crops(self, windows: Windows) -> Crops:
        """A batch, or a piece of one, as the network gets it, but for the normalisation."""
        return self.augment(windows, self.load.crop)

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """By itself bf16 on CUDA only: on a CPU without AMX it is two to three times slower than float32."""
        precision = self.config.precision
        if precision == "bfloat16" or (precision == "auto" and self.device.type == "cuda"):
            return torch.autocast(self.device.type, torch.bfloat16)
        return contextlib.nullcontext()

    def apply_gradients(self) -> Tensor:
        """Clip, step, average. Returns the gradient's norm, unread, on the device."""
        learning = [parameter for parameter in self.network.parameters() if parameter.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(learning, self.config.clip_norm)
        self.optimizer.step()
        self.ema.update(self.network)
        return norm

    def is_finite(self) -> bool:
        """Whether all weights are numbers, the averaged ones as well; waits for the device."""
        both = [*self.network.state_dict().values(), *self.ema.network.state_dict().values()]
        tensors = [value for value in both if value.is_floating_point()]
        return bool(torch.stack(torch._foreach_norm(tensors)).isfinite().all())

    # --- schedule ------------------------------------------------------------------------------------------

    def prepare(self, progress: float, *, endless: bool) -> str | None:
        """Set stage, freezing and rate for the next step; returns the name of a stage just entered.

        Args:
            progress: share of the run that is done.
            endless: the run has no budget: the rate does not go to zero.
        """
        stages = self.network.stages()
        coarse = COARSE_SHARE if self.config.coarse_share is None else self.config.coarse_share
        stage, _ = stage_at(progress, len(stages), coarse)
        entered = stage > self.stage
        if entered:
            self._enter_stage(stage)
        elif stage < self.stage:  # a longer budget has moved the share back
            self._ahead_since = min(self._ahead_since, progress)
        # An encoder that has been set free stays free, also where a longer budget moves the share back.
        frozen = (
            self._pretrained
            and self._frozen is not False
            and frozen_at(progress, freeze=self.config.freeze, stages=len(stages), coarse=coarse)
        )
        settled = not frozen and self.ema.updates >= SETTLED_STEPS
        if (frozen, settled) != (self._frozen, self._settled):
            self._frozen, self._settled = frozen, settled
            self._set_modes()
        factor = self._rate_cut * rate_factor(
            progress,
            warmup=min(self.config.warmup, ENDLESS_WARMUP) if endless else self.config.warmup,
            stages=len(stages),
            coarse=coarse,
            floor=ENDLESS_FLOOR if endless else FLOOR,
            schedule=self.config.schedule,
            ahead=None if self._ahead_since == math.inf else (self.stage, self._ahead_since),
        )
        if self.config.schedule == "one_cycle":
            cycle_momentum(self.optimizer, factor)
        elif self.config.schedule == "plateau":
            factor *= max(self.plateau.factor, FLOOR)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
        self.lr = (self.config.lr or 0.0) * factor
        return stages[stage] if entered else None

    def _enter_stage(self, stage: int) -> None:
        self.stage = stage
        self._ahead_since = math.inf
        self.plateau.begin_anew()
        name = self.network.stages()[stage]
        self.network.enter_stage(name)
        self.ema.enter_stage(name)

    def _set_modes(self) -> None:
        """Train, except what is frozen, and except batch statistics of too few crops.

        From one crop they would only be noise. From fewer than FEW_CROPS a pretrained encoder keeps those it
        came with, which its weights were made for: a U-Net on 60 ultrasound images had a mean IoU of 0.537
        after 100 steps of four crops, and 0.490 with statistics that follow the crops. Its decoder keeps
        those of the first steps once the encoder learns with it. Otherwise it would learn to see each picture
        beside three others, and fail where it sees one alone: docs/decisions/0017.
        """
        self.network.freeze_encoder(bool(self._frozen))
        self.network.train()
        crops = self.load.piece * self._world
        held = self.network if crops == 1 or self._settled else self.network.encoder
        if crops == 1 or (self._pretrained and crops < FEW_CROPS):
            for module in held.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    # --- several processes ---------------------------------------------------------------------------------

    def take_place(self, place: Place) -> None:
        """Compute the part of every batch that is this process's."""
        self._world = place.world
        self.network.share_batches(place.world)
        self.augment.place = place
        self.load = replace(
            self.load, piece=max(1, min(self.load.piece, (self.config.batch or 0) // place.world))
        )
        self._set_modes()

    # --- memory --------------------------------------------------------------------------------------------

    def step_down(self) -> str | None:
        """After out-of-memory: compute less at a time. One line that says what, None at the ladder's end."""
        self.optimizer.zero_grad(set_to_none=True)
        self._drop_what_a_step_has_not_finished()
        lower = self.load.lighter()
        if lower is None:
            return None
        text = self.load.step_down_text(lower)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self._carry(lower)
        return text

    def _drop_what_a_step_has_not_finished(self) -> None:
        """Memory may run out while an optimizer's first step makes its averages: some are there, some not."""
        state = self.optimizer.state
        most = max((len(known) for known in state.values()), default=0)
        for parameter in [parameter for parameter, known in state.items() if len(known) < most]:
            del state[parameter]

    def _carry(self, load: Load) -> None:
        """Compute this much at a time from now on, and where it says."""
        self.load = load
        if load.device != self.device.type:
            self.device = torch.device(load.device)
            optimizer_state = self.optimizer.state_dict()
            self.network.to(self.device)
            self.ema.network.to(self.device)
            self.normalize.to(self.device)
            self.optimizer = new_optimizer(self.network, self.config)
            self.optimizer.load_state_dict(optimizer_state)
            self.augment = self._new_augmenter()
        self._set_modes()

    # --- checkpoints ---------------------------------------------------------------------------------------

    def state(self) -> Checkpoint:
        """What `restore` needs: tensors, numbers and texts."""
        rng = {"torch": torch.get_rng_state(), "augment": self.augment.generator.get_state()}
        if self.device.type == "cuda":
            rng["cuda"] = torch.cuda.get_rng_state(self.device)
        return {
            "network": self.network.state_dict(),
            "ema": self.ema.network.state_dict(),
            "ema_updates": self.ema.updates,
            "optimizer": self.optimizer.state_dict(),
            "normalization": json.dumps(self.network.normalization.to_json()),
            "pretrained": self._pretrained,
            "stage": self.stage,
            "ahead_since": self._ahead_since,
            "frozen": self._frozen,
            "rate_cut": self._rate_cut,
            "plateau": self.plateau.state(),
            "load": [self.load.crop, self.load.piece * self._world, self.load.device],
            "rng": rng,
        }

    def restore(self, state: Mapping[str, Any], path: Path) -> None:
        """Go on from `state()`, which was read from `path`. Raises WeightsFileError when it does not fit."""
        self._pretrained = state["pretrained"]
        self._frozen = state["frozen"]
        self._rate_cut = state["rate_cut"]
        self._enter_stage(state["stage"])
        self._ahead_since = state.get("ahead_since", math.inf)  # older runs have none
        self.plateau.restore(state.get("plateau", [0, 0]))  # older runs have none
        crop, piece, device = state["load"]
        if device == self.device.type:
            self._carry(replace(self.load, crop=crop, piece=max(1, piece // self._world)))
        self._set_modes()
        self._fill(state, path)
        rng = state["rng"]
        torch.set_rng_state(rng["torch"])
        if ("cuda" in rng) == (self.device.type == "cuda"):
            self.augment.generator.set_state(rng["augment"])
            if "cuda" in rng:
                torch.cuda.set_rng_state(rng["cuda"], self.device)

    def go_back(self, state: Mapping[str, Any], path: Path) -> None:
        """Take the weights of `state`, at half the rate; random numbers go on, so that other crops come."""
        self._fill(state, path)
        self._rate_cut *= 0.5

    def _fill(self, state: Mapping[str, Any], path: Path) -> None:
        try:
            self.network.load_state_dict(state["network"])
            self.ema.network.load_state_dict(state["ema"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            if is_out_of_memory(error) or is_device_lost(error):
                raise
            problem = "does not fit the run's config.json; start a new run"
            raise WeightsFileError(path, problem) from error
        self.ema.updates = state["ema_updates"]

    # --- parts ---------------------------------------------------------------------------------------------

    def _new_augmenter(self) -> Augmenter:
        return Augmenter(
            self.augment_settings,
            device=self.device,
            seed=self.config.seed,
            weak_weight=self.config.weak_background,
        )
