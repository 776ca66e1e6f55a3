"""Where classes meet: edges of labels and of scores, and losses that bring the two together.

The losses are those of Gated-SCNN (Takikawa et al. 2019, arXiv:1907.05740), from its equations. All of them
leave out pixels near which nothing is labelled: whether there is an edge, nobody has said.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from core.models.terms import LossTerm, Truth

EDGE_RADIUS: Final = 2
"""A pixel is on an edge where another class is as near as this, in rows and columns."""
SLOPE_RADIUS: Final = 3
"""How far `slopes` looks."""
SURE_EDGE: Final = 0.8
"""Probability from which a predicted edge counts as one (the paper's threshold)."""
_TINY: Final = 1e-6
_ROOT: Final = 1e-3
"""The square root of `_TINY`."""
_SMOOTHING: Final = (1.0, 4.0, 6.0, 4.0, 1.0)
"""Binomial, the nearest to a Gaussian in five points."""


def image_gradients(x: Tensor) -> Tensor:
    """Sobel's gradient of images (N, C, H, W): its magnitude (N, 1, H, W), the mean over the channels."""
    smooth, difference = torch.tensor([0.25, 0.5, 0.25]), torch.tensor([-0.5, 0.0, 0.5])
    edged = F.pad(x, (1, 1, 1, 1), mode="replicate")
    across = _separable(edged, smooth, difference)
    down = _separable(edged, difference, smooth)
    return (across.square() + down.square() + _TINY).sqrt().mean(dim=1, keepdim=True)


def true_edges(truth: Truth, radius: int = EDGE_RADIUS) -> tuple[Tensor, Tensor]:
    """Where classes meet, and where that is known: (N, 1, H, W), bool, both.

    It is known where two classes are in reach, and where all pixels in reach are labelled.
    """
    window = 2 * radius + 1
    labelled = truth.labelled.unsqueeze(1)
    classes = truth.targets.unsqueeze(1).to(torch.float32)
    never = 1e4  # above every class
    highest = _highest(torch.where(labelled, classes, -never), window)
    lowest = -_highest(torch.where(labelled, -classes, -never), window)
    edges = (highest > lowest) & (highest >= 0)
    unlabelled_near = _highest((~labelled).to(torch.float32), window) > 0
    return edges, edges | ~unlabelled_near


def edge_term(logits: Tensor, truth: Truth, factor: float) -> LossTerm:
    """Cross-entropy of predicted edges (N, 1, H, W), edges and their absence counting the same in each crop.

    As in the paper's baseline (Xie and Tu 2015, arXiv:1504.06375) each kind weighs as much as the other kind
    has pixels; the mean is over all known pixels.
    """
    edges, known = true_edges(truth)
    counted = known.to(torch.float32) * truth.pixel_weights.ne(0).unsqueeze(1)
    own = edges.to(torch.float32) * counted
    total = counted.sum(dim=(1, 2, 3), keepdim=True)
    share = own.sum(dim=(1, 2, 3), keepdim=True) / total.clamp_min(1.0)  # of edges, by crop
    weights = torch.where(edges, 1.0 - share, share) * counted
    losses = F.binary_cross_entropy_with_logits(logits.to(torch.float32), own, reduction="none")
    return LossTerm((losses * weights).sum(), total.sum(), factor)


def slopes(planes: Tensor) -> Tensor:
    """How steeply one class turns into another, (N, 1, H, W), 0 inside a class.

    The length of the gradient of smoothed one-hot planes (N, C, H, W), over the square root of 2: where class
    turns into class, two planes change.
    """
    smooth = torch.tensor(_SMOOTHING) / sum(_SMOOTHING)
    difference = torch.tensor([-0.5, 0.0, 0.5])
    identity = torch.tensor([0.0, 1.0, 0.0])
    edged = F.pad(planes, (SLOPE_RADIUS,) * 4, mode="replicate")
    smoothed = _separable(edged, smooth, smooth)
    across = _separable(smoothed, identity, difference)
    down = _separable(smoothed, difference, identity)
    squares = (across.square() + down.square()).sum(dim=1, keepdim=True) / 2.0
    # The root is infinitely steep at 0.
    root: Tensor = (squares + _TINY).sqrt()
    return root - _ROOT


def slope_term(logits: Tensor, truth: Truth, factor: float) -> LossTerm:
    """The edges of what is predicted should be those of the labels: the mean difference of their slopes.

    Over pixels where either is steep. The prediction is the best class of each pixel; its gradient is that of
    a softmax with Gumbel noise (Jang et al. 2017, arXiv:1611.01144).
    """
    logits = logits.to(torch.float32)
    classes = torch.arange(logits.shape[1], device=logits.device).view(1, -1, 1, 1)
    noise = -torch.log(-torch.log(torch.rand_like(logits).clamp(_TINY, 1.0 - _TINY)))
    soft = (logits + noise).softmax(dim=1)
    hard = (logits.argmax(dim=1, keepdim=True) == classes).to(torch.float32)
    predicted = slopes(hard + soft - soft.detach())
    actual = slopes((truth.channels.unsqueeze(1) == classes).to(torch.float32))
    known = _highest((~truth.labelled).unsqueeze(1).to(torch.float32), 2 * SLOPE_RADIUS + 1) == 0
    steep = ((predicted.detach() > _TINY) | (actual > _TINY)) & known
    weights = steep * truth.pixel_weights.unsqueeze(1)
    return LossTerm(((predicted - actual).abs() * weights).sum(), weights.sum(), factor)


def sure_edge_term(logits: Tensor, edge_logits: Tensor, truth: Truth, factor: float) -> LossTerm:
    """Cross-entropy of the scores (N, C, H, W) once more, where the predicted edges are sure."""
    log_probabilities = F.log_softmax(logits.to(torch.float32), dim=1)
    losses = -log_probabilities.gather(1, truth.channels.unsqueeze(1))  # (N, 1, H, W)
    sure = edge_logits.detach().to(torch.float32).sigmoid() > SURE_EDGE
    weights = sure * truth.entropy_weights.unsqueeze(1)
    return LossTerm((losses * weights).sum(), weights.sum(), factor)


def _separable(x: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Each channel by itself, no padding: (N, C, H, W) -> (N, C, H - len(down) + 1, W - len(across) + 1)."""
    channels = x.shape[1]
    rows = down.to(x).view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    columns = across.to(x).view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    return F.conv2d(F.conv2d(x, rows, groups=channels), columns, groups=channels)


def _highest(x: Tensor, window: int) -> Tensor:
    return F.max_pool2d(x, window, stride=1, padding=window // 2)
