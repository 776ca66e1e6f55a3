"""A project that was closed: the engine lets go of it, and finds everything again when it is opened anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.learning.commands import CloseProject, RateImages, Train
from core.learning.events import Failed, Finished, Prediction, StepDone
from tests import tiny
from tests.learning.engine_bench import SIDE, squares_bench


def test_a_closed_project_is_worked_on_no_more(tmp_path: Path) -> None:
    bench = squares_bench(tmp_path / "squares")
    bench.open()
    bench.do(bench.watch(0), RateImages(images={e.key: str(e.image_path) for e in bench.entries}))
    bench.do(Train(config=tiny.TINY))
    bench.run(lambda: bool(bench.got(StepDone)))
    bench.do(CloseProject())
    assert len(bench.got(Finished)) == 1, "its run is saved"
    assert not bench.engine.tick()
    bench.do(bench.labels(0, np.ones((SIDE, SIDE), np.uint8), 9), Train(config=tiny.TINY))
    assert bench.got(Failed)[-1].text.startswith("no project is open")
    assert not bench.engine.tick()
    bench.open()
    bench.do(bench.watch(0))
    bench.run()
    assert bench.got(Prediction)[-1].key == bench.entries[0].key
