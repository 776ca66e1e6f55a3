"""What is taken of undrawn pixels while nobody has said what background is."""

from __future__ import annotations

import torch

from core.learning.labels.likeness import LIKE_NONE, NOTHING_SAID, alike

INPUTS = 40


def pixels(count: int, texture: float, own: int | None = None, seed: int = 0) -> torch.Tensor:
    """Features of one object: six inputs know its texture, one (`own`) only this one, the rest is noise."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, INPUTS, generator=generator)
    features[:, :6] += texture
    if own is not None:
        features[:, own] += 3.0
    return features


def test_objects_like_the_drawn_one_are_found_and_the_rest_is_not() -> None:
    drawn = pixels(200, 3.0, own=20)
    others = torch.cat([pixels(100, 3.0, own=21 + k, seed=k) for k in range(3)])
    ground = pixels(1500, -1.0, seed=9)
    like = alike(drawn, torch.ones(200, dtype=torch.long), torch.cat([others, ground]))
    assert (like[:300] == 1).float().mean() > 0.85
    assert (like[300:] == LIKE_NONE).float().mean() > 0.98


def test_two_classes_are_told_apart() -> None:
    bright, dark = pixels(150, 4.0), pixels(150, -4.0, seed=1)
    undrawn = torch.cat([pixels(80, 4.0, seed=2), pixels(80, -4.0, seed=3), pixels(800, 0.0, seed=4)])
    like = alike(torch.cat([bright, dark]), torch.tensor([1] * 150 + [2] * 150), undrawn)
    assert (like[:80] == 1).float().mean() > 0.8
    assert (like[80:160] == 2).float().mean() > 0.8
    assert (like[160:] == LIKE_NONE).float().mean() > 0.95


def test_beside_a_class_that_does_not_stand_out_nothing_is_background_for_sure() -> None:
    drawn = torch.cat([pixels(150, 4.0), pixels(150, -0.3, seed=1)])
    undrawn = torch.cat([pixels(80, 4.0, seed=2), pixels(800, -0.5, seed=4)])
    like = alike(drawn, torch.tensor([1] * 150 + [2] * 150), undrawn)
    assert (like[:80] == 1).float().mean() > 0.8
    assert (like[80:] == NOTHING_SAID).float().mean() > 0.95


def test_what_does_not_stand_out_says_nothing_about_the_rest() -> None:
    like = alike(pixels(300, 0.4), torch.ones(300, dtype=torch.long), pixels(2000, 0.0, seed=1))
    assert (like == NOTHING_SAID).all()


def test_a_handful_of_points_or_none_say_nothing() -> None:
    few = alike(pixels(5, 3.0), torch.ones(5, dtype=torch.long), pixels(100, 3.0, seed=1))
    assert (few == NOTHING_SAID).all()
    for undrawn in (0, 1, 2, 15):
        like = alike(pixels(50, 3.0), torch.ones(50, dtype=torch.long), pixels(undrawn, 3.0, seed=1))
        assert like.tolist() == [NOTHING_SAID] * undrawn
    none = alike(torch.empty(0, INPUTS), torch.empty(0, dtype=torch.long), pixels(50, 3.0))
    assert (none == NOTHING_SAID).all()
