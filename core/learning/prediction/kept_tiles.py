"""What predicting a large image in two goes can be spared: the logits of tiles that were computed before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

TILE_BYTES: Final = 384 << 20
"""Logits of tiles kept until a large image is known whole: 36 tiles of 768 x 768 in four classes."""


class KeptTiles:
    """Logits of some tiles of one image, of which a part was asked for ahead of the rest.

    Args:
        budget_bytes: what comes first is kept, and nothing beyond this.
    """

    def __init__(self, budget_bytes: int = TILE_BYTES) -> None:
        self._budget_bytes = budget_bytes
        self._of: object = None
        self._tiles: dict[object, Tensor] = {}
        self._bytes = 0

    def begin(self, of: object) -> None:
        """Keep tiles of this image and these weights; what is kept of others is forgotten."""
        if of != self._of:
            self.clear()
            self._of = of

    def get(self, tile: object) -> Tensor | None:
        """Logits of these tiles of the image."""
        return self._tiles.get(tile)

    def keep(self, tile: object, logits: Tensor) -> None:
        """Keep them, if there is room."""
        size = logits.numel() * logits.element_size()
        if self._bytes + size <= self._budget_bytes:
            self._tiles[tile] = logits
            self._bytes += size

    def clear(self) -> None:
        """Forget everything."""
        self._of, self._tiles, self._bytes = None, {}, 0
