"""A random forest (Breiman 2001) as a network: trees in tensors, asked about every pixel's features.

Each tree asks at most `depth` questions of the form "is this feature more than that?"; the leaf in which a
pixel ends says how likely each class is there, and the trees' probabilities are averaged. All trees take each
step together. `core.learning.training.forest` grows them; until then their questions are random and their
leaves know nothing, which they could learn by gradient as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.models.hand_made import ASKED_AT_FIRST, HandMadeFeatures
from core.models.network import SegmentationNetwork

NEVER: Final = 1e9
"""Threshold of a leaf: no feature is more."""
LEAST: Final = 1e-6
"""Probability of what a leaf has never seen."""
MOST_AT_ONCE: Final = 1 << 13
"""Pixels that are asked about at a time: with all trees, what fits into a processor's cache."""


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree, whatever has grown it.

    Attributes:
        feature: (nodes,), int: what is asked about.
        threshold: (nodes,), float: whether the feature is more than this.
        left, right: (nodes,), int: where a "no" and a "yes" lead; left is -1 at a leaf.
        probability: (nodes, classes), float: of each class; of a leaf it counts.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    probability: NDArray[np.float64]


class Trees(nn.Module):
    """So many trees: what they say of every pixel.

    Nodes of all trees stand in one row, a tree after the other; the two that a question leads to are
    neighbours, the "yes" behind the "no", and a leaf leads to itself.

    Args:
        classes: to tell apart.
        trees: how many. leaves, depth: of each at most.

    Attributes:
        feature, threshold, child: of every node, (trees * nodes,).
        votes: log-probabilities of every node, (trees * nodes, classes).
    """

    feature: Tensor
    threshold: Tensor
    child: Tensor

    def __init__(self, *, classes: int, trees: int, leaves: int, depth: int) -> None:
        super().__init__()
        self.classes, self.trees, self.leaves, self.depth = classes, trees, leaves, depth
        self.nodes = 2 * leaves - 1
        number = torch.arange(self.nodes)
        # Breadth first: all levels are full but for the last one.
        inner = (2 * number + 2 < self.nodes) & (number + 1 < 2**depth)
        child = torch.where(inner, 2 * number + 1, number).repeat(trees)
        starts = torch.arange(trees).repeat_interleave(self.nodes) * self.nodes
        asked = torch.tensor(ASKED_AT_FIRST, dtype=torch.int32)
        feature = asked[torch.randint(len(ASKED_AT_FIRST), (trees * self.nodes,))]
        threshold = torch.where(inner.repeat(trees), torch.rand(trees * self.nodes) * 255, NEVER)
        self.register_buffer("feature", feature)
        self.register_buffer("threshold", threshold)
        self.register_buffer("child", (child + starts).int())
        self.votes = nn.Parameter(torch.zeros(trees * self.nodes, classes))

    def forward(self, maps: Tensor) -> Tensor:
        """Log-probabilities (N, classes, h, W) of features (N, F, h, W).

        All numbers stand in one row and are taken from it by their 32-bit places: indexing with several
        64-bit tensors, as one would write it, takes four times as long.
        """
        count, features, height, width = maps.shape
        values = maps.permute(0, 2, 3, 1).reshape(-1)  # a pixel's features, then the next one's
        pixels = torch.arange(count * height * width, device=maps.device)
        first = (pixels * features).int()[:, None].expand(-1, self.trees).reshape(-1)  # (P * trees,)
        roots = (torch.arange(self.trees, device=maps.device) * self.nodes).int()
        node = roots[None].expand(count * height * width, -1).reshape(-1)
        for _ in range(self.depth):
            value = values.index_select(0, first + self.feature.index_select(0, node))
            answer = value > self.threshold.index_select(0, node)
            node = self.child.index_select(0, node) + answer.int()
        votes = self.votes.index_select(0, node).view(-1, self.trees, self.classes)
        mean = votes.logsumexp(dim=1) - log(self.trees)  # (P, classes)
        return mean.view(count, height, width, self.classes).permute(0, 3, 1, 2)

    @torch.no_grad()
    def plant(self, grown: Sequence[Tree], beside: int = 0) -> None:
        """Take over trees that were grown; if they are fewer than there is room for, they vote alone.

        Args:
            grown: the new ones.
            beside: so many that stand already, which stay.

        Raises:
            ValueError: more trees, nodes or classes than it has room for, or none.
        """
        standing = beside + len(grown)
        if not 1 <= standing <= self.trees:
            raise ValueError(f"{standing} trees for a forest of {self.trees}")
        for number in range(beside, self.trees):
            first = number * self.nodes
            if number >= standing:
                self.child[first], self.threshold[first] = first, NEVER
                self.votes[first] = log(LEAST) * 2  # next to nothing in a mean
                continue
            tree = grown[number - beside]
            count = len(tree.feature)
            if count > self.nodes or tree.probability.shape != (count, self.classes):
                raise ValueError(f"a tree of {count} nodes for a forest of trees with {self.nodes}")
            order, child = _side_by_side(tree)
            leaf = tree.left[order] < 0
            own = slice(first, first + count)
            self.feature[own] = torch.from_numpy(np.where(leaf, 0, tree.feature[order])).int()
            self.threshold[own] = torch.from_numpy(np.where(leaf, NEVER, tree.threshold[order])).float()
            self.child[own] = torch.from_numpy(child + first).int()
            self.votes[own] = torch.from_numpy(np.log(np.maximum(tree.probability[order], LEAST))).float()


class ForestNetwork(SegmentationNetwork):
    """Trees over hand-made features.

    Attributes:
        in_bands: ask about some rows at a time; it changes nothing but the time and memory it takes.
    """

    size_multiple = 1

    def __init__(self, *, classes: int, trees: int, leaves: int, depth: int) -> None:
        super().__init__(HandMadeFeatures(), classes)
        self.in_bands = True
        self.forest = Trees(classes=classes, trees=trees, leaves=leaves, depth=depth)

    def logits(self, x: Tensor) -> Tensor:
        """Log-probabilities (N, classes, H, W) of grey levels x (N, 3, H, W)."""
        maps = self.encoder(x)[0]  # (N, 59, H, W)
        rows = max(1, MOST_AT_ONCE // int(x.shape[-1]))
        if torch.compiler.is_exporting() or x.is_meta or not self.in_bands:
            rows = int(x.shape[-2])  # every band would be a graph of its own
        bands = [self.forest(band) for band in maps.split(rows, dim=-2)]
        return bands[0] if len(bands) == 1 else torch.cat(bands, dim=-2)


def _side_by_side(tree: Tree) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Nodes in an order in which "yes" follows "no": which node stands where, and where each one leads."""
    order, child = [0], []
    for place, node in enumerate(order):  # it grows meanwhile
        if tree.left[node] < 0:
            child.append(place)
        else:
            child.append(len(order))
            order += [int(tree.left[node]), int(tree.right[node])]
    return np.array(order), np.array(child)


def random_forest(*, classes: int, encoder: str, trees: int, leaves: int, depth: int) -> ForestNetwork:
    """Build for the registry."""
    del encoder  # there is one
    return ForestNetwork(classes=classes, trees=trees, leaves=leaves, depth=depth)
