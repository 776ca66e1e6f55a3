"""Copies of networks that take no room on a graphics card."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


def copy_on_cpu(module: M) -> M:
    """The module once more, its tensors on the CPU, none of them copied anywhere else on the way."""
    there: dict[int, Tensor] = {}
    for parameter in module.parameters():
        there[id(parameter)] = nn.Parameter(parameter.detach().cpu().clone(), parameter.requires_grad)
    for buffer in module.buffers():
        there[id(buffer)] = buffer.detach().cpu().clone()
    return copy.deepcopy(module, dict(there))
