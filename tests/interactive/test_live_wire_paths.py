"""The live wire follows edges, and a network's borders where there is one."""

from __future__ import annotations

import math

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.interactive.live_wire import RADIUS, Boundary, EdgeMap, boundary_map, edge_map, map_box
from core.interactive.window import Pixels


def wire_from(
    xy: tuple[float, float], image: Pixels, boundary: Boundary | None = None, *, radius: int = RADIUS
) -> EdgeMap:
    """The paths from an anchor, as the tool asks for them."""
    x0, y0, x1, y1 = map_box(xy, image.shape[:2], radius)
    likely = None if boundary is None else boundary[y0:y1, x0:x1]
    return edge_map(image[y0:y1, x0:x1], likely, xy, origin=(x0, y0))


def off_circle(path, center=(80.0, 60.0), radius=25.0) -> float:
    """Mean distance of a path from a circle."""
    return float(np.abs(np.hypot(*(path - center).T) - radius).mean())


def on_circle(angle: float, center=(80.0, 60.0), radius=25.0) -> tuple[float, float]:
    return center[0] + radius * math.cos(angle), center[1] + radius * math.sin(angle)


def test_a_path_between_two_points_of_a_disc_follows_its_rim(disc) -> None:
    image, _ = disc()
    wire = wire_from(on_circle(0.2), image)
    path = wire.path_to(on_circle(1.9))
    assert off_circle(path) < 1.5
    assert len(path) > 25


@given(st.floats(0, 159.9), st.floats(0, 119.9), st.floats(-40, 200), st.floats(-40, 160))
@settings(max_examples=40, deadline=None)
def test_a_path_runs_from_the_anchor_to_the_mouse_without_jumps(ax, ay, x, y) -> None:
    rng = np.random.default_rng(1)
    wire = wire_from((ax, ay), rng.integers(0, 255, (120, 160, 3), dtype=np.uint8))
    path = wire.path_to((x, y))
    assert tuple(path[0]) == (math.floor(ax) + 0.5, math.floor(ay) + 0.5)
    assert tuple(path[-1]) == (math.floor(x) + 0.5, math.floor(y) + 0.5)
    if 0 <= x < 160 and 0 <= y < 120:
        assert np.abs(np.diff(path, axis=0)).max(initial=0) <= 1


def test_a_boundary_map_leads_where_the_image_shows_nothing(disc) -> None:
    _, truth = disc()
    flat = np.full((120, 160, 3), 128, np.uint8)
    classes = truth.astype(np.uint8)
    straight = wire_from(on_circle(0.2), flat)
    led = wire_from(on_circle(0.2), flat, boundary_map(classes))
    assert off_circle(led.path_to(on_circle(2.4))) < 1.5
    assert off_circle(straight.path_to(on_circle(2.4))) > 4


def test_a_wide_window_is_followed_at_a_coarser_resolution() -> None:
    image = np.zeros((1500, 1500, 3), np.uint8)
    cv2.circle(image, (750, 750), 500, (200, 200, 200), -1)
    wire = wire_from(on_circle(0.0, (750, 750), 500), image, radius=1500)
    path = wire.path_to(on_circle(1.5, (750, 750), 500))
    assert off_circle(path, (750, 750), 500) < 6
    assert len(path) < 700


def test_past_the_window_the_path_goes_straight_on(disc) -> None:
    wire = wire_from((80, 60), disc()[0], radius=20)
    path = wire.path_to((150.5, 60.5))
    assert tuple(path[-1]) == (150.5, 60.5)
    assert np.abs(np.diff(path, axis=0)).max() > 40


def test_an_image_of_one_colour_has_paths_too() -> None:
    wire = wire_from((5, 5), np.full((40, 40, 3), 9, np.uint8))
    assert len(wire.path_to((30, 30))) >= 2


def test_doubt_counts_less_than_a_border() -> None:
    classes = np.zeros((20, 20), np.uint8)
    classes[:, 10:] = 1
    confidence = np.full((20, 20), 255, np.uint8)
    confidence[:, 3] = 128
    likely = boundary_map(classes, confidence)
    assert likely[10, 10] > 0.9
    assert 0.2 < likely[10, 3] < 0.3
    assert likely[10, 18] < 0.05
    assert boundary_map(np.zeros((5, 5), np.uint8)).max() == 0
