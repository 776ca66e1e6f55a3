"""A huge image that comes next: nothing of it is predicted before it is on the screen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.images.pyramid import PYRAMIDS, open_pyramid
from core.learning.commands import Predict, Train, Watch
from core.learning.events import Failed, Prediction
from core.project.layout import ProjectLayout
from tests.learning.engine_bench import squares_bench
from tests.tiny import TINY


def test_a_huge_image_is_not_predicted_ahead_but_when_it_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.images.pyramid.HUGE_PIXELS", 10_000)
    bench = squares_bench(tmp_path / "squares")
    path = bench.root / "images" / "huge.png"
    Image.fromarray(np.full((150, 200, 3), 90, np.uint8)).save(path)
    pyramid = open_pyramid(path, ProjectLayout(bench.root).cache / PYRAMIDS)
    pyramid.prepare(lambda _share: None)
    pyramid.close()
    bench.open()
    bench.do(Train(config=TINY), bench.watch(0))
    bench.run(lambda: bool(bench.got(Prediction)))
    bench.do(Predict(key="images/huge.png", image_path=str(path)))
    for _ in range(3):
        bench.engine.tick()
    assert {prediction.key for prediction in bench.got(Prediction)} == {bench.entries[0].key}
    bench.do(Watch(key="images/huge.png", image_path=str(path), view=(0, 0, 200, 150)))
    bench.run(lambda: bench.got(Prediction)[-1].key == "images/huge.png")
    assert bench.got(Failed) == []
