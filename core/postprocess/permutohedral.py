"""Gaussian filtering of points in a space of few dimensions, in time that grows with their number only.

Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010.
Points lie in the simplices of a lattice of d + 1 directions: their values are splatted onto the corners
(barycentric weights), corners are blurred along every direction, and points read their own corners again.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class PermutohedralLattice:
    """The lattice of some points; filters any values that they have.

    Args:
        features: (N, d) float32: where the points are, in standard deviations of the Gaussian.
    """

    def __init__(self, features: Tensor) -> None:
        corners, weights, strides = _corners(features.t().contiguous())
        sorted_corners, order = corners.view(-1).sort(stable=True)
        del corners
        keys, own, counts = torch.unique_consecutive(sorted_corners, return_inverse=True, return_counts=True)
        del sorted_corners
        index = torch.empty_like(order)
        index[order] = own
        self._corners = index.view(weights.shape)  # (N, d + 1)
        self._weights = weights
        # The same pairs of point and corner once more, corner by corner.
        self._point_weights = weights.view(-1)[order]
        self._points = order.div_(weights.shape[1], rounding_mode="floor")
        self._starts = counts.cumsum(0) - counts
        self._neighbours = [_neighbours(keys, step) for step in _steps(strides)]

    @property
    def corners(self) -> int:
        """How many corners of the lattice lie around the points."""
        return len(self._starts)

    def filter(self, values: Tensor) -> Tensor:
        """Values (N, C) float32, each the Gaussian-weighted sum of all, up to a common factor."""
        at_corners = F.embedding_bag(
            self._points, values, self._starts, mode="sum", per_sample_weights=self._point_weights
        )
        nothing = at_corners.new_zeros(1, values.shape[1])
        for before, after in self._neighbours:
            wide = torch.cat([at_corners, nothing])
            at_corners = torch.add(at_corners, wide[before] + wide[after], alpha=0.5)
        return F.embedding_bag(self._corners, at_corners, mode="sum", per_sample_weights=self._weights)


def _corners(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The simplex around each of the points (d, N).

    Returns:
        Its corners (N, d + 1) int64, one number for each place of the lattice; the points' barycentric
        weights (N, d + 1) float32; and what one step along each of the first d axes adds to such a number
        (d,).
    """
    d, points = features.shape
    # Onto the plane in d + 1 dimensions whose coordinates add up to 0, scaled so that one blur of the lattice
    # and the two interpolations have the variance of the Gaussian.
    elevated = features.new_zeros(d + 1, points)
    rest = features.new_zeros(points)
    for i in range(d, 0, -1):
        scaled = features[i - 1] * ((d + 1) * (2 / 3) ** 0.5 / (i * (i + 1)) ** 0.5)
        elevated[i] = rest - i * scaled
        rest = rest + scaled
    elevated[0] = rest
    # The nearest corner whose coordinates are multiples of d + 1, and the order of what is left over.
    nearest = torch.round(elevated / (d + 1))
    rank = nearest.sum(dim=0).to(torch.int8).repeat(d + 1, 1)
    nearest *= d + 1
    left = elevated - nearest
    for i in range(d + 1):
        for j in range(i + 1, d + 1):
            smaller = left[i] < left[j]
            rank[i] += smaller
            rank[j] += ~smaller
    wrapped = (rank < 0).to(torch.int8) - (rank > d).to(torch.int8)
    rank += (d + 1) * wrapped
    nearest += (d + 1) * wrapped
    places = rank.to(torch.int64)
    shares = torch.empty_like(left).scatter_(0, places, (elevated - nearest) / (d + 1))
    weights = torch.empty_like(shares)
    weights[0] = shares[d] + 1.0 - shares[0]
    for k in range(1, d + 1):
        weights[k] = shares[d - k] - shares[d + 1 - k]

    # Room for the steps to corners and neighbours, so that no number stands for two places.
    lowest = nearest[:d].amin(dim=1).to(torch.int64) - 3 * (d + 1)
    spans = nearest[:d].amax(dim=1).to(torch.int64) + 3 * (d + 1) + 1 - lowest
    strides = torch.ones_like(spans)
    for i in range(d - 2, -1, -1):
        strides[i] = strides[i + 1] * spans[i + 1]
    corners = torch.empty(d + 1, points, dtype=torch.int64, device=features.device)
    corners[0] = -(lowest * strides).sum()
    for i in range(d):
        corners[0] += nearest[i].to(torch.int64) * strides[i]
    # The k-th corner is a step further on along all axes, and d + 1 back along the k that rank highest.
    by_axis = torch.cat([strides, strides.new_zeros(1)])[:, None].expand(-1, points)
    by_rank = torch.empty_like(corners).scatter_(0, places, by_axis)
    for k in range(d):
        torch.sub(corners[k], by_rank[d - k], alpha=d + 1, out=corners[k + 1])
        corners[k + 1] += strides.sum()
    return corners.t().contiguous(), weights.t().contiguous(), strides


def _steps(strides: Tensor) -> list[int]:
    """What one step along each of the d + 1 directions of the lattice adds to a corner's number."""
    whole = int(strides.sum())
    return [(len(strides) + 1) * int(stride) - whole for stride in strides] + [-whole]


def _neighbours(keys: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Of the corners with these sorted numbers (M,), those before and after in one direction; M for none."""
    found = []
    for wanted in (keys - step, keys + step):
        place = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
        found.append(torch.where(keys[place] == wanted, place, len(keys)))
    return found[0], found[1]
