"""Whose a prediction is, in words."""

from __future__ import annotations

import pytest

from core.learning.overlay.origin import Origin, of_both, of_instant


@pytest.mark.parametrize(
    ("deep", "told"),
    [
        ("U-Net, step 840", "Instant learner and U-Net, step 840"),
        ("Instant learner, run of 06:12", "Instant learner now, and that of the run of 06:12"),
        (
            "Instant learner and deep network, run of 06:12",
            "Instant learner now, and both learners of the run of 06:12",
        ),
    ],
)
def test_the_instant_learner_goes_on_beside_what_a_run_came_to(deep: str, told: str) -> None:
    assert of_both(Origin(deep, None), of_instant(None), None).source == told
