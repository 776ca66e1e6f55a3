"""What the process that leads a run tells the others."""

from __future__ import annotations

import pytest
import torch

from core.learning.labels.data import LabelStore
from core.learning.training.distributed import Place
from core.learning.training.following import follow
from core.learning.training.sharing import share_state
from core.learning.training.team import Order, Team, Word


class Spoken(Team):
    """Two processes in one: what one has said is what the other hears."""

    device = torch.device("cpu")

    def __init__(self, place: Place, words: list[Word]) -> None:
        super().__init__(place)
        self.words = words

    @property
    def world(self) -> int:
        return 2

    def announce(self, order: Order, *, progress: float = 0.0, mark: int = 0, message=None) -> bool:
        self.words.append(Word(order, progress, False, False, message))
        return False

    def hear(self, mark: int = 0) -> Word:
        return self.words.pop(0)


@pytest.mark.parametrize("begun", [False, True])
def test_an_image_that_only_the_leader_found_unreadable_ends_no_run(world, start, *, begun: bool) -> None:
    """Its instant learner has looked at all images before the others are told anything."""
    world.put_done(1, 2, 3)
    theirs = LabelStore(world.store.classes)
    for labels in map(world.store.get, world.store.labelled_keys()):
        theirs.put(labels.key, labels.image_path, labels.mask, labels.state)
    state = start(steps=2)
    state.team = Spoken(Place(rank=0, world=2), [])
    if begun:
        share_state(state)
    world.store.remove("2.png")
    share_state(state)
    state.team.announce(Order.END)
    follow(Spoken(Place(rank=1, world=2), state.team.words), theirs)
    assert theirs.labelled_keys() == world.store.labelled_keys()
