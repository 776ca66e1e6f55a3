"""A stable split into training and validation images.

Which side an image falls on depends on a hash of its name (or of its group's), never on the others: adding an
image moves none that was there before, except in small sets, where one side would be empty or too small.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Final

SMALLEST_SPLIT: Final = 5
"""Groups from which on at least one is held out."""


def split(
    keys: Iterable[str], share: float = 0.2, group_of: Callable[[str], str] | None = None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide image keys into training and validation.

    Args:
        keys: image keys, in any order.
        share: expected share of groups held out, between 0 and 1.
        group_of: images of one group (the frames of one video, say) stay together; None: each is its own.

    Returns:
        Training and validation keys, each sorted. Validation is empty below `SMALLEST_SPLIT` groups or with
        share 0; from there on it has at least one group, and where chance gives it more than half of a small
        set, half.
    """
    groups: dict[str, list[str]] = {}
    for key in sorted(set(keys)):
        groups.setdefault(key if group_of is None else group_of(key), []).append(key)
    everything = tuple(key for members in groups.values() for key in members)
    if len(groups) < SMALLEST_SPLIT or share <= 0:
        return tuple(sorted(everything)), ()
    ranked = sorted(groups, key=_position)
    count = sum(_position(group) < share for group in ranked)
    held_out = set(ranked[: min(max(count, 1), max(1, len(ranked) // 2))])
    validation = sorted(key for group in held_out for key in groups[group])
    training = sorted(key for group in groups if group not in held_out for key in groups[group])
    return tuple(training), tuple(validation)


def _position(group: str) -> float:
    """A place in [0, 1) that only the name decides."""
    return int.from_bytes(hashlib.blake2b(group.encode(), digest_size=8).digest(), "big") / 2**64
