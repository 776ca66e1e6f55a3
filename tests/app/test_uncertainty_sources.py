"""What uncertainty is taken from is chosen in the View menu, and remembered."""

from __future__ import annotations

import numpy as np
import torch
from PySide6.QtCore import Qt

from app.wiring.uncertainty_sources import INSTANT_ALONE, NO_DROPOUT, ONE_RUN, Reasons, reasons
from core.annotation.model import ClassList, LabelClass
from core.learning.commands import WantUncertainty
from core.learning.config import TrainConfig
from core.learning.overlay.doubt_sources import dropouts
from core.learning.runs.run_folder import RunFolder
from core.models.registry import build, model_specs
from tests.app.engine_events import prediction


def test_another_source_makes_the_map_anew_and_is_remembered(opened, settings):
    bench = opened
    actions = bench.window.actions_
    assert actions["view.uncertainty_tta"].isChecked()

    def wanted() -> list[tuple[bool, str]]:
        sent = bench.trainer.sent
        return [(command.on, command.source) for command in sent if isinstance(command, WantUncertainty)]

    actions["view.uncertainty_ensemble"].trigger()
    assert not wanted(), "nothing is shown yet"
    bench.key(Qt.Key.Key_U)
    assert wanted() == [(True, "ensemble")]
    actions["view.uncertainty_mc_dropout"].trigger()
    assert wanted()[1:] == [(True, "mc_dropout")]
    assert not actions["view.uncertainty_ensemble"].isChecked()
    assert settings.uncertainty_source == "mc_dropout"


def test_what_cannot_be_asked_is_grey_and_says_why(opened, qtbot):
    actions = opened.window.actions_
    height, width = opened.session.current.size_hw
    instant = prediction(
        opened.session.current.entry.key, np.zeros((height, width), np.uint8), source="Instant learner"
    )
    opened.window.controller.prediction_changed.emit(instant)
    several = actions["view.uncertainty_ensemble"]
    qtbot.waitUntil(lambda: not several.isEnabled())
    assert several.text().endswith(INSTANT_ALONE)
    assert actions["view.uncertainty_tta"].isEnabled()
    assert actions["view.uncertainty_mc_dropout"].isEnabled(), "its head has dropout"


def test_a_run_tells_what_its_network_can_be_asked(tmp_path):
    classes = ClassList((LabelClass(0, "background", "#000000"),), 0)
    for name, options in (("a", ()), ("b", (("dropout", 20),))):
        (tmp_path / name).mkdir()
        RunFolder(tmp_path / name).write_config(TrainConfig(model="unet", model_options=options))
    assert reasons(tmp_path / "a", classes, False) == Reasons(NO_DROPOUT, ONE_RUN)
    assert reasons(tmp_path / "b", classes, False).mc_dropout == ""
    assert reasons(tmp_path / "a", classes, True).mc_dropout == "", "the instant learner drops"
    assert reasons(None, classes, False) == Reasons()


def test_networks_with_dropout_are_known_without_building_them():
    for spec in model_specs():
        if spec.trained_by != "person" or spec.name in ("instant", "random_forest", "fcdensenet103"):
            continue
        with torch.device("meta"):
            network = build(spec.name, classes=2, encoder="plain" if "plain" in spec.encoders else None)
        assert spec.has_dropout({}) == bool(dropouts(network)), spec.name
