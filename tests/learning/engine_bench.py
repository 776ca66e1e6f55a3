"""An engine in this process, on a project of squares, with a record of what it said."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from core.annotation.model import AnnotationState
from core.learning.commands import Command, LabelsChanged, LearnLive, OpenProject, Watch
from core.learning.engine.engine import Engine
from core.learning.events import Event
from core.learning.inbox import Inbox
from core.learning.instant import crossfit, head, live, setup
from core.learning.labels.packed_mask import PackedMask
from core.models.encoders import build_encoder
from core.models.instant import InstantNetwork
from core.project.project import ImageEntry
from tests.tiny import squares_project

E = TypeVar("E")

SIDE = 64


@dataclass
class EngineBench:
    """An engine, the project it works on, and what it said."""

    root: Path
    entries: list[ImageEntry]
    inbox: Inbox = field(default_factory=Inbox)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seconds = itertools.count()
        # Every look at the clock is a second later: the watched image is refreshed after every event.
        self.engine = Engine(self.events.append, self.inbox, clock=lambda: float(next(self.seconds)))

    def do(self, *commands: Command) -> None:
        for command in commands:
            self.engine.handle(command)

    def open(self) -> None:
        self.do(OpenProject(root=str(self.root)))

    def run(self, until: Callable[[], bool] | None = None, most: int = 400) -> None:
        """Tick until something holds, or until there is nothing to do."""
        for _ in range(most):
            if until is not None and until():
                return
            if not self.engine.tick():
                assert until is None or until(), f"idle too early: {self.events[-3:]}"
                return
        raise AssertionError(f"no end in sight: {self.events[-3:]}")

    def got(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def watch(self, number: int) -> Watch:
        entry = self.entries[number]
        return Watch(key=entry.key, image_path=str(entry.image_path))

    def labels(self, number: int, mask: NDArray[np.uint8], revision: int) -> LabelsChanged:
        entry = self.entries[number]
        return LabelsChanged(
            key=entry.key,
            image_path=str(entry.image_path),
            revision=revision,
            state=AnnotationState.DONE,
            mask=PackedMask.pack(mask),
        )

    def again(self) -> EngineBench:
        """Another engine on the same project, which it has opened."""
        other = EngineBench(self.root, self.entries)
        other.open()
        return other


def squares_bench(root: Path, images: int = 4, labelled: int | None = None) -> EngineBench:
    """Images with a bright square each; all but the last are labelled, or as many as said."""
    boxes = [(10, 10 + number, 39, 39) for number in range(images)]
    return EngineBench(
        root, squares_project(root, boxes, side=SIDE, labelled=images - 1 if labelled is None else labelled)
    )


def live_squares_bench(root: Path, watched: int | None = None) -> EngineBench:
    """Four of them, and the instant learner switched on.

    Args:
        root: of the project.
        watched: the image on show, which it has predicted and has nothing left to do; None: it has not begun.
    """
    bench = squares_bench(root, images=4)
    bench.do(LearnLive(on=True))
    bench.open()
    if watched is not None:
        bench.do(bench.watch(watched))
        bench.run()
    return bench


def shrink_instant_learner(
    monkeypatch: pytest.MonkeyPatch,
    *,
    first_steps: int,
    more_fits: int,
    more_steps: int = 5,
    scored_steps: int,
) -> None:
    """A plain encoder, for the bundled one takes seconds to load, and short fits, on slow machines, too.

    The steps are those of `core.learning.instant.live`, and of each fit of a cross-fitting.
    """

    def network(classes: int, *_: object, **__: object) -> InstantNetwork:
        return InstantNetwork(build_encoder("plain", width=8), classes=classes, hidden=16).eval()

    monkeypatch.setattr(setup, "instant_network", network)
    monkeypatch.setattr(live, "FIRST_STEPS", first_steps)
    for limit in ("FIRST_FIT_S", "AT_ONCE_S"):
        monkeypatch.setattr(live, limit, None)
    monkeypatch.setattr(live, "MORE_FITS", more_fits)
    monkeypatch.setattr(live, "MORE_STEPS", more_steps)
    monkeypatch.setattr(crossfit, "STEPS", scored_steps)
    monkeypatch.setattr(head, "BATCH", 256)
