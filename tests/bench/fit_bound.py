"""`fit()` beside its bound and beside a plain training loop: the same network, crops of the same images.

`python tests/bench/fit_bound.py [--steps N] [--rounds N] [--model unet] [--device cpu] [--batch N]`

- bound: one batch that stays on the device: forward, loss, backward, step, nothing else
- fit: the program's own loop, with everything it does but validation and checkpoints, which are timed apart
- plain: segmentation_models_pytorch's `TrainEpoch` on torch's `DataLoader` (tests/bench/smp_loop.py)

All three take turns in one process, round by round, so that a machine whose speed drifts slows them alike;
the ratio of each round is what counts. Memory is the peak while each of them ran, with what the process holds
anyway: on a CPU its resident memory, on a GPU what torch had allocated.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program does, before torch is loaded

import torch
from machine import describe, quantile
from smp_loop import SmpLoop
from usage import Usage, measured

from core.learning.config import TrainConfig
from core.learning.events import Event, StepDone
from core.learning.labels.data import LabelStore
from core.learning.prediction.predict import choose_device
from core.learning.training.fit import TrainState, fit, save_now
from core.learning.training.losses import training_loss
from core.models.registry import build
from core.models.terms import Truth
from core.project.project import Project
from core.project.sample import copy_sample

WARM_UP = 2
"""Steps before each measurement: kernels are chosen, memory is allocated, loading processes start."""


@dataclass(slots=True)
class Measured:
    """One way to train, over the rounds: crops a second, and what else it took."""

    rates: list[float] = field(default_factory=list)
    usages: list[Usage] = field(default_factory=list)

    def add(self, crops: int, usage: Usage) -> None:
        self.rates.append(crops / usage.seconds)
        self.usages.append(usage)

    def __str__(self) -> str:
        largest = max(self.usages, key=lambda usage: usage.peak_bytes or 0)
        return f"{quantile(self.rates, 0.5):8.2f} crops/s  {largest}"


def time_fit(state: TrainState, steps: int, into: Measured) -> None:
    """Steps through the real loop."""
    with closing(fit(state)) as events:  # type: ignore[type-var]
        _until(events, state, WARM_UP)
        begun = state.step
        with measured(state.device) as usage:
            _until(events, state, begun + steps)
        into.add((state.step - begun) * state.batch, usage)


def _until(events: Iterator[Event], state: TrainState, step: int) -> None:
    while state.step < step:
        next(event for event in events if isinstance(event, StepDone))


def time_bound(state: TrainState, steps: int, into: Measured) -> None:
    """Forward, loss, backward and step on one batch that is already there."""
    pixels, targets, weights = state.resident_batch()
    truth = Truth.of(targets, weights, state.class_weights)
    learner = state.learner
    network, optimizer = learner.network, learner.optimizer
    network.train()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with learner.autocast():
            loss = training_loss(network, learner.normalize(pixels), truth, learner.recipe)
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), state.config.clip_norm)
        optimizer.step()

    _measure(step, steps, state, into)


def time_plain(state: TrainState, steps: int, workers: int, into: Measured) -> None:
    """The same architecture, crops, batch and scale in another library's loop."""
    config = state.config
    network = build(config.network, classes=len(state.channels.classes), encoder=config.encoder)
    loop = SmpLoop(
        network,
        state.store,
        state.device,
        scale=state.scale,
        crop=state.learner.load.crop,
        batch=state.batch,
        lr=config.lr or 1e-3,
        workers=workers,
    )
    loop.run(WARM_UP)
    with measured(state.device) as usage:
        loop.run(steps)
    into.add(steps * state.batch, usage)


def _measure(step: Callable[[], None], steps: int, state: TrainState, into: Measured) -> None:
    for _ in range(WARM_UP):
        step()
    with measured(state.device) as usage:
        for _ in range(steps):
            step()
    into.add(steps * state.batch, usage)


def time_apart(state: TrainState) -> str:
    """What is not in the figures above: one validation and one checkpoint."""
    with measured(state.device) as validation:
        score = state.validator.score(state.predictor(), state.clock.seconds)
    with measured(state.device) as checkpoint:
        for _ in save_now(state):
            pass
    return (
        f"apart from that: a validation of {score.images} images {validation.seconds:.2f} s ({validation}),"
        f" a checkpoint {checkpoint.seconds:.2f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=12, help="of each of the three in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="unet")
    parser.add_argument("--encoder", default=None)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--crop", type=int, default=None)
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--project", type=Path, default=None, help="instead of the sample project")
    parser.add_argument("--workers", type=int, default=None, help="loading processes of the plain loop")
    options = parser.parse_args()
    print(describe("torch", "torchvision", "timm", "segmentation_models_pytorch"))
    on_gpu = choose_device(options.device).type == "cuda"
    # On a CPU loading processes would take the cores from the network.
    workers = (min(8, os.cpu_count() or 1) if on_gpu else 0) if options.workers is None else options.workers
    config = TrainConfig(
        model=options.model,
        encoder=options.encoder,
        device=options.device,
        crop=options.crop,
        batch=options.batch,
        freeze=0.0,
        validate_every_s=1e9,
        checkpoint_every_s=1e9,
    )
    fitted, bound, plain = Measured(), Measured(), Measured()
    with tempfile.TemporaryDirectory() as folder:
        root = options.project or copy_sample(Path(folder) / "project")
        with Project.open(root, lock=options.project is None) as project:
            store = LabelStore.from_project(project)
        apart = ""
        for number in range(options.rounds):
            state = TrainState.create(
                replace(config, seed=number),
                store,
                Path(folder) / f"run-{number}",
                notify=lambda _event: None,
            )
            if not number:
                print(
                    f"{state.config.network}, {state.batch} crops of {state.learner.load.crop} pixels on"
                    f" {state.device}, images at scale {state.scale:g}, {workers} loading processes for plain"
                )
            time_bound(state, options.steps, bound)
            time_fit(state, options.steps, fitted)
            if not number:
                apart = time_apart(state)
            time_plain(state, options.steps, workers, plain)
            print(
                f"round {number + 1}: bound {bound.rates[-1]:.2f}, fit {fitted.rates[-1]:.2f},"
                f" plain {plain.rates[-1]:.2f} crops/s"
            )
            del state
            gc.collect()
    for name, found in (("bound", bound), ("fit", fitted), ("plain", plain)):
        print(f"{name:6}{found}")
    print(apart)
    for name, other in (("the bound", bound), ("the plain loop", plain)):
        ratios = [a / b for a, b in zip(fitted.rates, other.rates, strict=True)]
        median = quantile(ratios, 0.5)
        print(f"fit to {name}: median ratio {median:.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
