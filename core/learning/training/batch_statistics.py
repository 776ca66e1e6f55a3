"""Batch norms whose batch is spread over several processes.

torch's own `SyncBatchNorm` needs GPUs and replaces the network's modules. Here the modules stay as they are:
within `SharedBatchStatistics` whatever calls `torch.nn.functional.batch_norm` in training gets the mean and
variance of all processes' crops, and gradients through them, as from one process with the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

AddUp = Callable[[Tensor], Tensor]
"""Replaces a tensor by its sum over all processes."""


class SharedBatchStatistics(TorchFunctionMode):
    """A context in which batch statistics are those of all processes.

    Args:
        add_up: the sum over all processes.
        world: how many they are; each has as many crops of the same size.
    """

    def __init__(self, add_up: AddUp, world: int) -> None:
        super().__init__()
        self._add_up = add_up
        self._world = world

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Every function of torch comes by here; batch norms are kept."""
        del types
        if func is F.batch_norm:
            return self._batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _batch_norm(
        self,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        """As `torch.nn.functional.batch_norm`, of x (N, C, H, W)."""
        if not training:
            return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
        count = self._world * x.numel() // x.shape[1]
        with torch.no_grad():
            own_var, own_mean = torch.var_mean(x.to(torch.float32), dim=(0, 2, 3), correction=0)
            own_mean, own_var = own_mean.double(), own_var.double()
            # In double precision, or the difference of two squares would have no digits left.
            both = self._add_up(torch.stack([own_mean, own_var + own_mean**2])) / self._world
            mean, var = both[0], both[1] - both[0] ** 2
            if running_mean is not None and running_var is not None:
                running_mean.lerp_(mean.to(running_mean.dtype), momentum)
                unbiased = var * (count / max(count - 1, 1))
                running_var.lerp_(unbiased.to(running_var.dtype), momentum)
        weight = torch.ones_like(mean, dtype=torch.float32) if weight is None else weight
        bias = torch.zeros_like(mean, dtype=torch.float32) if bias is None else bias
        normalized: Tensor = _BatchNorm.apply(
            x, weight, bias, mean.float(), var.float(), eps, count, self._add_up
        )
        return normalized


class _BatchNorm(torch.autograd.Function):
    """Normalisation by given statistics of `count` values, with the gradient through the statistics."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        var: Tensor,
        eps: float,
        count: int,
        add_up: AddUp,
    ) -> Tensor:
        inv_std = (var + eps).rsqrt()
        ctx.save_for_backward(x, weight, mean, inv_std)
        ctx.count, ctx.add_up = count, add_up
        return F.batch_norm(x, mean, var, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, inv_std = ctx.saved_tensors
        mean, inv_std, scale = (values.view(1, -1, 1, 1) for values in (mean, inv_std, weight * inv_std))
        standard = (x.to(torch.float32) - mean) * inv_std  # (N, C, H, W)
        by_bias = gradient.sum(dim=(0, 2, 3), dtype=torch.float32)
        by_weight = (gradient * standard).sum(dim=(0, 2, 3), dtype=torch.float32)
        sums = ctx.add_up(torch.stack([by_bias, by_weight])) / ctx.count
        along_bias, along_weight = sums[0].view_as(mean), sums[1].view_as(mean)
        by_x = (gradient - along_bias - standard * along_weight) * scale
        return by_x.to(x.dtype), by_weight, by_bias, None, None, None, None, None
