"""Scores against an independent implementation, and the cases where conventions differ."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score, MulticlassJaccardIndex

from core.learning.scores.metrics import BoundaryScore, ConfusionMatrix

CLASSES = 4


def random_maps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.integers(0, CLASSES, size=(40, 50), dtype=np.uint8)
    predicted = np.where(random.random((40, 50)) < 0.6, truth, random.integers(0, CLASSES, size=(40, 50)))
    truth[:5] = 255
    return truth, predicted.astype(np.uint8)


def test_scores_agree_with_torchmetrics():
    matrix = ConfusionMatrix(CLASSES)
    settings = {"num_classes": CLASSES, "ignore_index": 255, "average": None}
    oracles = MulticlassJaccardIndex(**settings), MulticlassF1Score(**settings)
    accuracy = MulticlassAccuracy(num_classes=CLASSES, ignore_index=255, average="micro")
    for seed in range(3):
        truth, predicted = random_maps(seed)
        matrix.update(truth, predicted)
        for oracle in (*oracles, accuracy):
            oracle.update(torch.from_numpy(predicted).long(), torch.from_numpy(truth).long())
    iou, dice = (oracle.compute().numpy() for oracle in oracles)
    np.testing.assert_allclose(matrix.iou(), iou, rtol=1e-5)
    np.testing.assert_allclose(matrix.dice(), dice, rtol=1e-5)
    assert matrix.pixel_accuracy() == pytest.approx(accuracy.compute().item())
    assert matrix.miou() == pytest.approx(iou.mean(), rel=1e-5)
    assert matrix.mean_dice() == pytest.approx(dice.mean(), rel=1e-5)


def test_a_class_without_a_true_pixel_has_no_score_but_costs_the_others():
    truth = np.array([[0, 0, 1, 1]], dtype=np.uint8)
    predicted = np.array([[0, 2, 1, 1]], dtype=np.uint8)
    matrix = ConfusionMatrix(3)
    matrix.update(truth, predicted)
    assert matrix.iou() == (0.5, 1.0, None)
    assert matrix.dice() == (pytest.approx(2 / 3), 1.0, None)
    assert matrix.miou() == 0.75


def test_unlabelled_pixels_count_nowhere():
    truth = np.array([[255, 255, 1, 1]], dtype=np.uint8)
    predicted = np.array([[0, 1, 1, 1]], dtype=np.uint8)
    matrix = ConfusionMatrix(2)
    matrix.update(truth, predicted)
    assert matrix.iou() == (None, 1.0)
    assert matrix.counts.sum() == 2


def test_without_any_label_there_is_no_score():
    matrix = ConfusionMatrix(2)
    matrix.update(np.full((3, 3), 255, np.uint8), np.zeros((3, 3), np.uint8))
    assert matrix.iou() == (None, None)
    assert matrix.miou() is None
    assert matrix.pixel_accuracy() is None


def test_class_indices_may_have_gaps():
    matrix = ConfusionMatrix((7, 3))
    matrix.update(np.array([[7, 3, 3]], np.uint8), np.array([[7, 3, 7]], np.uint8))
    assert matrix.counts.tolist() == [[1, 0], [1, 1]]


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([[0, 5]], [[0, 0]], "the truth has the value 5"),
        ([[0, 1]], [[0, 255]], "the prediction has the value 255"),
        ([[0, 1]], [[0]], r"the truth is \(1, 2\) and the prediction \(1, 1\)"),
    ],
)
def test_values_of_no_class_are_refused(truth: list, predicted: list, message: str):
    with pytest.raises(ValueError, match=message):
        ConfusionMatrix(2).update(np.array(truth, np.uint8), np.array(predicted, np.uint8))


# --- boundaries -------------------------------------------------------------------------------------------


def boundary_f1(truth: np.ndarray, predicted: np.ndarray, classes: int) -> float | None:
    """Of one image."""
    score = BoundaryScore(classes)
    score.update(truth, predicted)
    return score.mean_f1()


def square(shift: int = 0, value: int = 1) -> np.ndarray:
    mask = np.zeros((100, 120), np.uint8)
    mask[30:70, 40 + shift : 80 + shift] = value
    return mask


def test_equal_masks_have_equal_boundaries():
    assert boundary_f1(square(), square(), 2) == 1.0


def test_a_shift_within_the_tolerance_costs_nothing_and_beyond_it_does():
    # The diagonal of 100 x 120 is 156 pixels, 0.75 % of it 1.2: the least tolerance of 2 pixels holds.
    assert boundary_f1(square(), square(shift=2), 2) == 1.0
    score = BoundaryScore(2)
    score.update(square(), square(shift=10))
    found = score.f1()[1]
    # Of the square's 156 boundary pixels the two horizontal sides keep most of their match, the others none.
    assert found is not None
    assert 0.35 < found < 0.5


def test_the_tolerance_grows_with_the_image():
    large = np.kron(square(), np.ones((8, 8), np.uint8))
    shifted = np.roll(large, 9, axis=1)  # 0.75 % of a diagonal of 1250 pixels is 9.4
    assert boundary_f1(large, shifted, 2) == 1.0
    assert boundary_f1(large, np.roll(large, 11, axis=1), 2) < 1.0


def test_a_missed_region_has_no_recall():
    score = BoundaryScore(2)
    score.update(square(), np.zeros((100, 120), np.uint8))
    assert score.f1() == (0.0, 0.0)


def test_regions_of_absent_classes_do_not_enter_the_mean():
    score = BoundaryScore(3)
    score.update(square(), square(value=2))
    assert score.f1()[2] is None
    assert score.f1()[1] == 0.0


def test_unlabelled_makes_no_boundary():
    truth = square()
    truth[:, 60:] = 255
    predicted = square()
    predicted[:, 90:] = 1  # nonsense where nothing is known
    assert boundary_f1(truth, predicted, 2) == 1.0


def test_images_are_pooled():
    pooled = BoundaryScore(2)
    pooled.update(square(), square())
    pooled.update(square(), np.zeros((100, 120), np.uint8))
    foreground = pooled.f1()[1]
    assert foreground == pytest.approx(2 / 3)  # precision 1, recall 1/2


def test_one_class_everywhere_has_no_boundary_to_score():
    assert boundary_f1(np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8), 1) is None
