"""What a run needs before its first step: everything checked, chosen, built and filled with weights."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

import torch

from core.annotation.model import ClassList
from core.errors import TrainingError, WeightsFileError
from core.learning.config import DeviceChoice, TrainConfig
from core.learning.events import Event, Notice
from core.learning.instant.pace import paced
from core.learning.labels.data import LabelStore
from core.learning.labels.learnable import check_learnable
from core.learning.machine.memory import is_card_full, is_out_of_memory
from core.learning.prediction.predict import choose_device
from core.learning.runs.checkpoint import Checkpoint, load_checkpoint
from core.learning.runs.run_folder import RunFolder
from core.learning.settings.budget import Budget
from core.learning.settings.preset import resolve, small_crop
from core.learning.settings.sensible import check_sensible
from core.learning.training.prior import look_at_some, start_from_shares
from core.learning.training.sampler import drawn_from
from core.learning.validation.hold_out import Plan, plan_resumed, plan_validation
from core.models.network import SegmentationNetwork
from core.models.normalization import Normalization
from core.models.registry import build

R = TypeVar("R")

CARD_FULL: Final = "the graphics card is full: training begins on the CPU, more slowly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outfit:
    """The parts of a run that is about to begin or to go on.

    Attributes:
        config: with everything the preset decides filled in.
        run: its folder.
        network: built, with its encoder's weights, on the CPU.
        classes: what its channels mean.
        plan: which images are held out.
        pretrained: whether the encoder's weights were learned elsewhere.
    """

    config: TrainConfig
    run: RunFolder
    network: SegmentationNetwork
    classes: ClassList
    plan: Plan
    budget: Budget
    device: torch.device
    pretrained: bool


def where_it_fits(
    begin: Callable[[DeviceChoice], R], device: DeviceChoice, notify: Callable[[Event], None]
) -> R:
    """What `begin` makes on this device; where the graphics card is full, on the CPU.

    A run keeps the device that it was given in its configuration: when it goes on it tries the card again.

    Raises:
        TrainingError: the computer's own memory is too small.
    """
    try:
        return begin(device)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        full = is_card_full(error) and device != "cpu"
    # Out of the handler first: the error's traceback holds the tensors that filled the memory.
    if full:
        torch.cuda.empty_cache()
        notify(Notice(text=CARD_FULL, level="warning"))
        return where_it_fits(begin, "cpu", notify)
    raise TrainingError("there is not enough memory to begin; close other programs or choose a smaller model")


def outfit_new(
    config: TrainConfig,
    store: LabelStore,
    run_dir: Path,
    notify: Callable[[Event], None],
    *,
    on: DeviceChoice,
) -> Outfit:
    """For a new run in the folder `run_dir`, `on` this device; errors as `TrainState.create`."""
    check_sensible(config)
    check_learnable(store, config)
    device = choose_device(on)
    _prepare_torch(config, device)
    config = resolve(config, "cuda" if device.type == "cuda" else "cpu", store)
    if small := small_crop(config):
        notify(Notice(text=small, level="warning"))
    if config.border_weight and store.classes.background is None:
        text = "no class is the background: there is nothing between objects that border_weight could weigh"
        notify(Notice(text=text, level="warning"))
    torch.manual_seed(config.seed)
    network = build(
        config.model, classes=len(store.classes), encoder=config.encoder, **dict(config.model_options)
    )
    network.load_encoder_weights(
        config.encoder_weights, lambda text, progress: notify(Notice(text=text, progress=progress))
    )
    network, config = paced(network, replace(config, encoder=network.encoder_name), store, device)
    plan = plan_validation(store, config)
    learned_from = [key for key in store.labelled_keys() if key not in plan.held_out]
    start_from_shares(network, store, learned_from)
    look_at_some(network, store, learned_from, config.image_scale or 1.0)
    run = RunFolder(run_dir)
    run.write_config(config)
    return Outfit(
        config=config,
        run=run,
        network=network,
        classes=store.classes,
        plan=plan,
        budget=Budget(steps=config.steps, seconds=config.seconds, schedule_steps=config.schedule_steps),
        device=device,
        pretrained=network.pretrained,
    )


def outfit_restarted(
    run_dir: Path,
    store: LabelStore,
    config: TrainConfig,
    notify: Callable[[Event], None],
    *,
    on: DeviceChoice,
    as_chosen: bool,
) -> Outfit:
    """For a run that was cut short before anything of it was saved: from its start, in the same folder."""
    saved = RunFolder(run_dir).config
    again = _as_asked(saved, config, as_chosen=as_chosen)
    if config.steps is not None or config.seconds is not None:
        again = replace(again, steps=config.steps, seconds=_limit(config.seconds))
    return outfit_new(again, store, run_dir, notify, on=on if as_chosen else _device_again(on, saved))


def outfit_resumed(
    run_dir: Path, store: LabelStore, config: TrainConfig, *, on: DeviceChoice, as_chosen: bool
) -> tuple[Outfit, Checkpoint]:
    """For the run in `run_dir`, with the checkpoint it goes on from; errors as `TrainState.resume`."""
    run = RunFolder(run_dir)
    checkpoint = load_checkpoint(run.last_checkpoint)
    saved = run.config
    check_sensible(saved)
    check_sensible(config)
    check_learnable(store, saved)
    device = choose_device(on if as_chosen else _device_again(on, saved))
    merged = _as_asked(saved, config, as_chosen=as_chosen)
    steps, seconds, *noted = checkpoint["budget"]
    since_s = noted[0] if noted else 0.0  # checkpoints of earlier versions have none
    if config.steps is not None or config.seconds is not None:
        steps, given, since_s = config.steps, _limit(config.seconds), checkpoint["seconds"]
        seconds = None if given is None else checkpoint["seconds"] + given
        if as_chosen and steps is not None:
            steps += checkpoint["step"]
    merged = replace(merged, steps=steps, seconds=seconds)
    outfit = outfit_of(checkpoint, run, store, merged, device)
    return replace(outfit, budget=replace(outfit.budget, since_s=since_s)), checkpoint


def outfit_of(
    checkpoint: Checkpoint, run: RunFolder, store: LabelStore, merged: TrainConfig, device: torch.device
) -> Outfit:
    """For a run that goes on from a checkpoint, also one that another process has read or written.

    Raises:
        WeightsFileError: it is for other classes.
    """
    _prepare_torch(merged, device)
    classes = _resumed_classes(run.last_checkpoint, checkpoint, store.classes)
    network = build(merged.model, classes=len(classes), encoder=merged.encoder, **dict(merged.model_options))
    network.normalization = Normalization.from_json(json.loads(checkpoint["learner"]["normalization"]))
    plan = plan_resumed(store, checkpoint["held_out"], drawn_from(checkpoint["sampler"]), merged)
    return Outfit(
        config=merged,
        run=run,
        network=network,
        classes=classes,
        plan=plan,
        budget=Budget(steps=merged.steps, seconds=merged.seconds, schedule_steps=merged.schedule_steps),
        device=device,
        pretrained=checkpoint["learner"]["pretrained"],
    )


def _as_asked(saved: TrainConfig, asked: TrainConfig, *, as_chosen: bool) -> TrainConfig:
    """A run's own configuration, but for what is asked of its next part."""
    if as_chosen:
        return replace(saved, device=asked.device, threads=asked.threads, patience=asked.patience)
    return replace(
        saved,
        device=asked.device if asked.device != "auto" else saved.device,
        threads=saved.threads if asked.threads is None else asked.threads,
        patience=saved.patience if asked.patience is None else asked.patience,
    )


def _device_again(asked: DeviceChoice, saved: TrainConfig) -> DeviceChoice:
    """What is asked for now; else what the run was started on, unless that has gone meanwhile."""
    return "cpu" if asked == "auto" and saved.device == "cpu" else asked


def _limit(seconds: float | None) -> float | None:
    """Infinity takes the limit of a run away."""
    return None if seconds is None or math.isinf(seconds) else seconds


def _prepare_torch(config: TrainConfig, device: torch.device) -> None:
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32
        torch.backends.cudnn.benchmark = True


def _resumed_classes(path: Path, checkpoint: Checkpoint, present: ClassList) -> ClassList:
    """The run's channels by the project's present names. Raises WeightsFileError if classes came or went."""
    indices: list[int] = checkpoint["classes"]
    if set(indices) != set(present.indices):
        gone = [str(index) for index in indices if present.by_index(index) is None]
        new = [c.name for c in present if c.index not in indices]
        changes = [f"{', '.join(new)} came"] if new else []
        changes += [f"index {', '.join(gone)} went"] if gone else []
        problem = f"the project's classes have changed since ({'; '.join(changes)}); start a new run"
        raise WeightsFileError(path, problem)
    return ClassList(tuple(present.by_index(index) for index in indices), present.background)  # type: ignore[misc]
