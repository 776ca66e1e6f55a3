"""Copies of networks."""

from __future__ import annotations

import torch

from core.models.copies import copy_on_cpu
from core.models.registry import build


def test_a_copy_says_the_same_and_shares_nothing() -> None:
    network = build("unet", classes=2, encoder="plain", width=4, encoder_width=4).eval()
    network.head.bias.requires_grad_(False)
    x = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        before = network(x)
    copied = copy_on_cpu(network)
    assert type(copied) is type(network)
    assert not copied.head.bias.requires_grad
    assert not copied.training
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.zero_()
    with torch.inference_mode():
        torch.testing.assert_close(copied(x), before)
    assert len(list(copied.parameters())) == len(list(network.parameters()))


def test_nothing_is_copied_where_the_network_is() -> None:
    """On the meta device, as if it were a full card, no clone has numbers: those would come from there."""
    linear = torch.nn.Linear(3, 2)
    made: list[torch.device] = []
    clone = torch.Tensor.__deepcopy__

    def noted(tensor: torch.Tensor, memo: dict[int, object]) -> torch.Tensor:
        made.append(tensor.device)
        return clone(tensor, memo)

    torch.Tensor.__deepcopy__ = noted  # type: ignore[method-assign]
    try:
        copy_on_cpu(linear)
    finally:
        torch.Tensor.__deepcopy__ = clone  # type: ignore[method-assign]
    assert not made, "every tensor was there before torch's own copying began"
