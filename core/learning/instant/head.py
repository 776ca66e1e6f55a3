"""Fitting the head: AdamW with one cycle of the rate on points drawn with balanced classes.

Fifteen hundred inputs remember two dozen drawn nuclei within a hundred steps, and tell them from all others
by where they lie: the longer the fit, the worse other images are seen. Two things stop that. Every step sees
half of the inputs only (Hinton et al. 2012, arXiv:1207.0580). And of the undrawn pixels that stand in for
background, those that the head itself holds to be something else are left out: there the guess is more likely
wrong than the head (the small-loss trick of Han et al. 2018, arXiv:1804.06872), unless it is none
(`Points.doubtful`).
"""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from core.learning.instant.points import BALANCE, Points
from core.learning.machine.randomness import present_numbers, put_numbers
from core.models.instant import InstantNetwork

BATCH: Final = 2048
STEPS: Final = 400
"""Of a fit from nothing."""
REFIT_STEPS: Final = 40
"""Of a fit that goes on from an earlier one after labels changed."""
RATE: Final = 5e-3
REFIT_RATE: Final = 1e-3
RISE: Final = 0.3
"""Of a fit, where its rate rises."""
START: Final = 0.04
"""Of the peak rate, where it begins."""
FEWEST_STEPS: Final = 2
"""Of a fit, however slow they are: the first has START of the rate, the second most of it."""
WEIGHT_DECAY: Final = 0.02
DROPPED: Final = 0.5
"""Of the inputs, in every step."""
MASKS: Final = 4
"""Different ones in a step, each for its part of the batch: one for each point costs as much as the step."""
FRESH_SHARE: Final = 0.25
"""Of a refit's points, those whose labels changed lately, while there are any."""


@dataclass(frozen=True, slots=True)
class FitStep:
    """One optimizer step of a head. `loss` stays a tensor until somebody reads it."""

    step: int
    steps: int
    loss: Tensor
    rate: float


class PointSet:
    """Points, ready to be drawn from: of those that are fresh FRESH_SHARE.

    Args:
        parts: by image.
        device: where the head is fitted.

    Attributes:
        random: what is drawn with.
    """

    def __init__(self, parts: Sequence[Points], *, device: torch.device, seed: int = 0) -> None:
        self.features = torch.cat([part.features for part in parts]).to(device)
        self.targets = torch.cat([part.targets for part in parts]).to(device)
        self.weights = torch.cat([part.weights for part in parts]).to(device)
        self.doubtful = torch.cat([part.doubtful for part in parts]).to(device)
        fresh = torch.cat([part.fresh for part in parts]).to(device)
        counts = torch.bincount(self.targets).double()
        chance = torch.where(counts > 0, counts, 1.0).pow(-BALANCE)[self.targets]
        self._draws = [(1.0, _ladder(chance))]
        if fresh.any() and not fresh.all():
            self._draws = [(1.0 - FRESH_SHARE, _ladder(chance)), (FRESH_SHARE, _ladder(chance * fresh))]
        self.random = torch.Generator(device).manual_seed(seed)

    def __len__(self) -> int:
        return len(self.targets)

    def draw(self, count: int) -> Tensor:
        """Positions (count,), int64, of points drawn with repetition."""
        done, chosen = 0.0, []
        for share, ladder in self._draws:
            start, done = done, done + share
            chosen.append(self._pick(ladder, round(count * done) - round(count * start)))
        if len(chosen) == 1:
            return chosen[0]
        # Every one of a step's MASKS should get some of each.
        mixed = torch.randperm(count, device=chosen[0].device, generator=self.random)
        return torch.cat(chosen)[mixed]

    def _pick(self, ladder: Tensor, count: int) -> Tensor:
        at = torch.rand(count, dtype=torch.double, device=ladder.device, generator=self.random)
        return torch.searchsorted(ladder, at).clamp_max(len(ladder) - 1)

    def name(self) -> str:
        """Of these points: others have another one. Of the features a part is looked at."""
        whole = hashlib.blake2b(digest_size=16)
        some = self.features.flatten()[:: max(1, self.features.numel() >> 16)]
        for tensor in (self.targets, self.weights, self.doubtful, some):
            whole.update(tensor.cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return f"{tuple(self.features.shape)} {whole.hexdigest()}"

    def standardization(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of every feature, (inputs,) each, float32."""
        some = self.features[:: max(1, len(self) // 16384)].float()
        return some.mean(dim=0), some.std(dim=0) if len(some) > 1 else torch.ones_like(some[0])


class _Batch:
    """Room for the inputs of one step, made once: new memory for each costs more than what is done in it."""

    def __init__(self, points: PointSet, network: InstantNetwork) -> None:
        self._features = points.features
        self._mean, self._per_spread = network.mean, network.std.reciprocal()
        inputs, device = self._features.shape[1], self._features.device
        seen = inputs - int(DROPPED * inputs)
        self._stored = torch.empty((BATCH, inputs), dtype=self._features.dtype, device=device)
        self._standardized = torch.empty((BATCH, inputs), dtype=self._mean.dtype, device=device)
        self._seen = torch.empty((MASKS, BATCH // MASKS, seen), dtype=self._mean.dtype, device=device)
        self._product_dtype = product_dtype(device)

    def of(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """What a step sees of these points; good until the next call.

        Returns:
            Standardised features (MASKS, BATCH / MASKS, seen), and which inputs they are, (MASKS, seen).
        """
        torch.index_select(self._features, 0, chosen, out=self._stored)
        self._standardized.copy_(self._stored).sub_(self._mean).mul_(self._per_spread)
        order = torch.rand(MASKS, self._features.shape[1], device=chosen.device).argsort(1)
        kept = order[:, : self._seen.shape[2]].sort(dim=1).values  # in order, so that memory is read in order
        whole = self._standardized.view(MASKS, -1, self._features.shape[1])
        for part, columns, seen in zip(whole, kept, self._seen, strict=True):
            torch.index_select(part, 1, columns, out=seen)
        return self._seen.to(self._product_dtype), kept


def product_dtype(device: torch.device) -> torch.dtype:
    """What large products are computed in: bfloat16 where the machine has it, at twice the speed or more."""
    if device.type == "cuda":
        has = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # Not in every torch we take.
        able: Mapping[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        has = able.get("avx512_bf16", False) or able.get("amx_bf16", False)
    return torch.bfloat16 if has else torch.float32


def _ladder(chances: Tensor) -> Tensor:
    return chances.cumsum(0) / chances.sum()


class HeadFit(Iterator[FitStep]):
    """A fit of the head of `network` in place, a step at a time; in between others may have their turn.

    Args:
        network: whose head learns.
        points: what it learns from.
        steps: at most.
        rate: at its peak; RATE for a head that knows nothing yet.
        seconds: that its steps may take together; its rate goes down in them as in all steps. What is done
            between two steps does not count.
        clock: of these, seconds; it stands still where a step is held.

    Attributes:
        over: whether the last step is done.
        elapsed_s: what its steps took, with those before an interruption.
    """

    def __init__(
        self,
        network: InstantNetwork,
        points: PointSet,
        *,
        steps: int,
        rate: float,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.over = steps < 1
        self.elapsed_s = 0.0
        self._network, self._points = network, points
        self._steps, self._rate, self._seconds = steps, rate, seconds
        self._clock = clock
        self._step = 0
        self._device = points.features.device
        self._batch = _Batch(points, network)
        parameters = list(network.head_parameters())
        self._optimizer = torch.optim.AdamW(parameters, rate, weight_decay=WEIGHT_DECAY)

    def __next__(self) -> FitStep:
        if self.over:
            raise StopIteration
        began = self._clock()
        steps = self._steps_in_time()
        cycle = one_cycle(self._step / steps)
        self._step += 1
        self.over = self._step >= steps
        rate = self._rate * cycle
        # Less momentum where the rate is high (Smith 2018, arXiv:1803.09820).
        self._optimizer.param_groups[0].update(lr=rate, betas=(0.95 - 0.1 * cycle, 0.999))
        loss = self._learn()
        self.elapsed_s += self._clock() - began
        return FitStep(self._step, self._step if self.over else self._steps, loss, rate)

    def _steps_in_time(self) -> float:
        """How many there are in all, by what those that are done took."""
        if self._seconds is None or not self._step:
            return self._steps
        in_time = self._seconds * self._step / max(self.elapsed_s, 1e-9)
        return min(self._steps, max(in_time, self._step, FEWEST_STEPS))

    def _learn(self) -> Tensor:
        network, points = self._network, self._points
        network.dropout.train()  # all there is to switch: the whole network would walk through its encoder
        chosen = points.draw(BATCH)
        targets, weights = points.targets[chosen], points.weights[chosen]
        logits = network.logits_of_some(*self._batch.of(chosen))
        losses = F.cross_entropy(logits, targets, reduction="none")
        weights = without_doubted(weights, points.doubtful[chosen], targets, logits.detach())
        loss = (losses * weights).sum() / weights.sum().clamp_min(1e-6)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        network.dropout.eval()
        return loss.detach()

    # --- kept on disk -------------------------------------------------------------------------------------

    def name(self) -> str:
        """Of the fit: one of other points, of other length or rate, or of another head has another name.

        So has one on another kind of device, whose random numbers are others.
        """
        whole = hashlib.blake2b(digest_size=16)
        whole.update(f"{self._device.type} {self._steps} {self._rate} {self._points.name()}".encode())
        for parameter in self._network.head_parameters():
            whole.update(str(tuple(parameter.shape)).encode())
        return whole.hexdigest()

    def state(self) -> dict[str, Any]:
        """What `restore` needs, while the fit's random numbers are in place: tensors and numbers."""
        return {
            "step": self._step,
            "over": self.over,
            "seconds": self.elapsed_s,
            "head": [parameter.detach() for parameter in self._network.head_parameters()],
            "optimizer": self._optimizer.state_dict(),
            "drawn": self._points.random.get_state(),
            "random": present_numbers(self._device),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state()` of a fit of the same name.

        Raises:
            ValueError: it does not fit; nothing has changed then.
        """
        before = copy.deepcopy(self.state())
        try:
            self._go_on_from(state)
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            self._go_on_from(before)
            raise ValueError(f"this fit cannot go on from there ({error})") from error

    @torch.no_grad()
    def _go_on_from(self, state: Mapping[str, Any]) -> None:
        self._points.random.set_state(state["drawn"])
        put_numbers(state["random"], self._device)
        self._optimizer.load_state_dict(state["optimizer"])
        for parameter, kept in zip(self._network.head_parameters(), state["head"], strict=True):
            parameter.copy_(kept)
        self._step, self.over, self.elapsed_s = state["step"], state["over"], state["seconds"]


def without_doubted(weights: Tensor, doubtful: Tensor, targets: Tensor, logits: Tensor) -> Tensor:
    """Nothing for doubtful pixels that the head holds to be of another class.

    That other class must have more than half of the probability: a head that knows nothing doubts nothing.

    Args:
        weights: (P,).
        doubtful: (P,), bool: those that only stand in for a class.
        targets: (P,), what they are taken for.
        logits: (P, channels), what the head thinks.
    """
    most, favourite = logits.softmax(dim=1).max(dim=1)
    return weights * (~doubtful | (favourite == targets) | (most <= 0.5))


def one_cycle(done: float) -> float:
    """The rate as a share of its peak: it rises over the first three tenths and falls to nothing after."""
    if done < RISE:
        return START + (1.0 - START) * 0.5 * (1.0 - math.cos(math.pi * done / RISE))
    return 0.5 * (1.0 + math.cos(math.pi * (done - RISE) / (1.0 - RISE)))
