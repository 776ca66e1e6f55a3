"""`fit()` against its bound: the same network and optimizer fed one resident batch, nothing else.

`python tests/bench/fit_bound.py [--steps N] [--rounds N] [--device cpu]`

Both are timed in turn in one process, round by round, so that a machine whose speed drifts slows both; the
ratio of each round is what counts. Validation and checkpoints are switched off in `fit()` here: they are
counted apart.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program does, before torch is loaded

import torch
from machine import describe, quantile

from core.learning.config import TrainConfig
from core.learning.data import LabelStore
from core.learning.events import StepDone
from core.learning.fit import TrainState, fit
from core.learning.losses import segmentation_loss
from core.project.project import Project
from core.project.sample import copy_sample


def images_per_s_of_fit(state: TrainState, steps: int) -> float:
    """Crops a second through the real loop."""
    events = iter(fit(state))
    first = last = next(event for event in events if isinstance(event, StepDone))
    started = time.perf_counter()
    for event in events:
        if isinstance(event, StepDone):
            last = event
            if last.step - first.step >= steps:
                break
    return (last.step - first.step) * state.batch / (time.perf_counter() - started)


def images_per_s_of_bound(state: TrainState, steps: int) -> float:
    """Crops a second of forward, loss, backward and step on one batch that is already there."""
    pixels, targets, weights = state.resident_batch()
    learner = state.learner
    network, optimizer = learner.network, learner.optimizer
    network.train()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with learner.autocast():
            logits = network(learner.normalize(pixels))
        segmentation_loss(logits, targets, weights, dice=state.config.dice).total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), state.config.clip_norm)
        optimizer.step()

    step()
    _synchronize(state.device)
    started = time.perf_counter()
    for _ in range(steps):
        step()
    _synchronize(state.device)
    return steps * state.batch / (time.perf_counter() - started)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="unet")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    print(describe("torch", "torchvision", "timm"))
    config = TrainConfig(
        model=options.model, device=options.device, freeze=0.0, validate_every_s=1e9, checkpoint_every_s=1e9
    )
    with tempfile.TemporaryDirectory() as folder:
        with Project.open(copy_sample(Path(folder) / "project")) as project:
            store = LabelStore.from_project(project)
        ratios = []
        for number in range(options.rounds):
            state = TrainState.create(
                replace(config, seed=number),
                store,
                Path(folder) / f"run-{number}",
                notify=lambda _event: None,
            )
            bound = images_per_s_of_bound(state, options.steps)
            real = images_per_s_of_fit(state, options.steps)
            ratios.append(real / bound)
            print(f"round {number + 1}: fit {real:.2f}, bound {bound:.2f} crops/s, ratio {ratios[-1]:.3f}")
    print(f"median ratio {quantile(ratios, 0.5):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
