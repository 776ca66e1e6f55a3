"""One temperature from held-out pixels goes into weights, checkpoints, predictions, exports and scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from core.learning.events import Event, Validated
from core.learning.export import export_onnx
from core.learning.prediction.predict import Predictor, open_predictor
from core.learning.runs.checkpoint import load_checkpoint
from core.learning.runs.header import WeightsHeader, read_header
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.weights import load_weights, save_weights
from core.learning.scores.calibration import Calibration
from core.learning.training.fit import TrainState
from core.learning.validation.evaluate import LabelledPixels, evaluate
from core.models.network import Normalize

Start = Callable[..., TrainState]
Run = Callable[[TrainState], list[Event]]


@pytest.fixture
def scored(world, start: Start, run: Run) -> tuple[TrainState, Calibration]:
    """A run of some steps with held-out images, and what its last score says about its confidence."""
    world.put_done(*range(1, 9))
    state = start(steps=25, validation="auto", validate_every_s=1e9)
    events = run(state)
    calibration = [event for event in events if isinstance(event, Validated)][-1].calibration
    assert calibration is not None
    return state, calibration


def test_a_run_tells_how_far_its_confidence_can_be_believed(scored) -> None:
    state, calibration = scored
    assert calibration.pixels > 1000
    assert 0 <= calibration.error <= calibration.error_before + 0.05
    rows = [row for row in RunFolder(state.run.path).read_metrics() if row.get("val_ece") is not None]
    assert rows[-1]["val_ece"] == pytest.approx(calibration.error)
    assert rows[-1]["val_ece_before"] == pytest.approx(calibration.error_before)
    assert rows[-1]["temperature"] == pytest.approx(calibration.temperature)


def test_weights_and_checkpoint_keep_the_temperature(scored, resume) -> None:
    state, calibration = scored
    header = read_header(state.run.best_weights)
    assert header.temperature == pytest.approx(calibration.temperature)
    assert header.metrics["ece"] == pytest.approx(calibration.error)
    assert load_checkpoint(state.run.last_checkpoint)["calibration"] == pytest.approx(
        [calibration.temperature, calibration.error_before, calibration.error, calibration.pixels]
    )
    assert resume(steps=30).temperature == pytest.approx(calibration.temperature)


def test_scores_on_training_images_say_nothing_about_confidence(world, start: Start, run: Run) -> None:
    world.put_done(1, 2)
    state = start(steps=3, validation="none")
    validated = [event for event in run(state) if isinstance(event, Validated)]
    assert validated
    assert all(event.calibration is None for event in validated)
    assert state.temperature == 1.0
    assert read_header(state.run.best_weights).temperature == 1.0


def warmed(path: Path, temperature: float) -> Predictor:
    """The same weights, saved with another temperature."""
    network, header = load_weights(path)
    warmer = path.with_name("warmer.safetensors")
    text = WeightsHeader.from_json(header.to_json())
    save_weights(warmer, network, replace_temperature(text, temperature))
    return open_predictor(warmer, device="cpu")


def replace_temperature(header: WeightsHeader, temperature: float) -> WeightsHeader:
    from dataclasses import replace

    return replace(header, temperature=temperature)


def test_a_temperature_changes_confidence_and_neither_classes_nor_raw_probabilities(scored, world) -> None:
    state, _ = scored
    pixels = world.store.pixels("1.png")
    plain = warmed(state.run.best_weights, 1.0).predict(pixels, probabilities=True)
    warm = warmed(state.run.best_weights, 3.0).predict(pixels, probabilities=True)
    assert np.array_equal(plain.classes, warm.classes)
    assert plain.probabilities is not None
    assert warm.probabilities is not None
    assert np.array_equal(plain.probabilities, warm.probabilities)
    raised = plain.probabilities.astype(np.float32) ** (1 / 3)
    expected = raised.max(axis=0) / raised.sum(axis=0) * 255
    assert np.abs(warm.confidence - expected).max() < 2
    assert warm.confidence.mean() < plain.confidence.mean()


def test_evaluating_reports_the_error_with_and_without_the_temperature(scored, world) -> None:
    state, _ = scored
    pairs = [LabelledPixels(world.store.pixels(key), world.store.get(key).mask) for key in ("1.png", "2.png")]
    plain = evaluate(warmed(state.run.best_weights, 1.0), pairs)
    warm = evaluate(warmed(state.run.best_weights, 8.0), pairs)
    assert plain.ece == plain.ece_uncalibrated
    assert warm.ece_uncalibrated == pytest.approx(plain.ece, abs=0.01)
    assert warm.ece != pytest.approx(plain.ece, abs=0.05)
    assert warm.as_dict()["temperature"] == 8.0
    assert warm.as_dict()["ece"] == warm.ece


def test_an_exported_network_gives_calibrated_logits(scored, tmp_path: Path) -> None:
    state, _ = scored
    network, header = load_weights(state.run.best_weights)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 3, 64, 64)).astype(np.float32)
    path = export_onnx(network, replace_temperature(header, 4.0), tmp_path / "warm.onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"pixels": pixels})
    with torch.inference_mode():
        plain = network.eval()(Normalize(header.normalization)(torch.from_numpy(pixels)))
    np.testing.assert_allclose(4 * logits, plain.numpy(), rtol=1e-3, atol=1e-3)


def test_weights_of_before_have_the_temperature_1(scored) -> None:
    state, _ = scored
    text = read_header(state.run.best_weights).to_json()
    assert '"temperature"' in text
    before, _, after = text.partition(',"temperature"')
    older = before + after[after.index("}") :]
    assert WeightsHeader.from_json(older).temperature == 1.0
