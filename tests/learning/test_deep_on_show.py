"""Which deep network is on show, and what asks it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import torch

from core.learning.events import Notice
from core.learning.overlay.deep_on_show import DeepOnShow
from core.learning.training.state import TrainState


class _Run:
    """Trains on a card that has no room for predictions."""

    def __init__(self, folder: Path) -> None:
        self.step, self.weights_version, self.temperature = 1, 1, 1.0
        self.device = torch.device("cuda")
        self.run = SimpleNamespace(path=folder, best_weights=folder / "best.safetensors")
        self.made = 0

    def predictor(self) -> SimpleNamespace:
        self.made += 1
        return SimpleNamespace(device=self.device, temperature=1.0)


def test_what_has_left_a_full_card_is_not_sent_there_again_at_every_refresh(tmp_path: Path) -> None:
    told: list[Notice] = []
    run = _Run(tmp_path)
    deep = DeepOnShow(told.append, lambda: None)
    deep.use_run(cast(TrainState, run))
    asked = deep.predictor
    asked.device = torch.device("cpu")  # it stepped down, and said so
    run.weights_version = 2
    assert deep.predictor is asked
    run.device = torch.device("cpu")  # now the run itself has left the card
    assert deep.predictor is not asked
    assert run.made == 2
