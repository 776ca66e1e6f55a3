"""What uncertainty is taken from is chosen in the View menu, and remembered."""

from __future__ import annotations

from PySide6.QtCore import Qt

from core.learning.commands import WantUncertainty


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
