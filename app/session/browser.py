"""Which image is wanted, and which comes before and after it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence


class Browser:
    """Goes through the images in the order the list shows.

    Attributes:
        wanted: the image that is shown or on its way; None without one.
    """

    def __init__(self) -> None:
        self.wanted: str | None = None
        self._order: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[str, ...]:
        """Keys as listed; filtered images are not among them."""
        return self._order

    def set_order(self, keys: Iterable[str]) -> None:
        """List these."""
        self._order = tuple(keys)

    def neighbour(self, step: int, keys: Sequence[str]) -> str | None:
        """The image `step` places on, None beyond the ends; `keys` are all images in the project's order."""
        here, order = self.wanted, self._order
        if here is None:
            return order[0] if order else None
        if here in order:
            index = order.index(here) + step
        else:  # filtered away: go on from where its name belongs; a list in another order begins at its top
            place = {key: index for index, key in enumerate(keys)}
            places = [place.get(key, 0) for key in order]
            before = bisect_left(places, place.get(here, 0)) if places == sorted(places) else 0
            index = before if step > 0 else before - 1
        return order[index] if 0 <= index < len(order) else None
