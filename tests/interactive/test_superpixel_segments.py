"""Superpixels: connected, numbered without gaps, the same every time, true to edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.interactive.superpixels import connected_segments, superpixels


def is_connected(labels) -> bool:
    return all(
        cv2.connectedComponents((labels == name).astype(np.uint8), connectivity=4)[0] == 2
        for name in range(int(labels.max()) + 1)
    )


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))),
    st.sampled_from([4, 7, 12, 60]),
    st.sampled_from([2.0, 10.0, 50.0]),
)
@settings(max_examples=30, deadline=None)
def test_segments_are_connected_and_numbered_without_gaps(image, size, compactness) -> None:
    labels = superpixels(image, size, compactness)
    assert labels.shape == image.shape[:2]
    assert labels.dtype == np.int32
    assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1))
    assert is_connected(labels)
    assert np.array_equal(labels, superpixels(image, size, compactness))


@given(
    arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3)),
    st.integers(1, 9),
)
@settings(max_examples=60, deadline=None)
def test_fragments_join_neighbours(labels, smallest) -> None:
    joined = connected_segments(labels, smallest=smallest)
    assert is_connected(joined)
    if smallest == 1:  # nothing is joined: the parts are those of the labels
        across = (labels[:, 1:] == labels[:, :-1]) == (joined[:, 1:] == joined[:, :-1])
        assert across.all()


def test_segments_do_not_cross_a_clear_edge(disc) -> None:
    image, truth = disc()
    labels = superpixels(image, 12)
    inside = np.bincount(labels.ravel(), weights=truth.ravel()) / np.bincount(labels.ravel())
    assert (np.abs(inside[labels] - truth) < 0.5).mean() > 0.99


def test_a_compact_cut_of_one_colour_is_a_grid() -> None:
    labels = superpixels(np.full((60, 80, 3), 77, np.uint8), 20)
    assert labels.max() + 1 == 12
    assert set(np.bincount(labels.ravel())) == {400}


def test_segments_have_about_the_size_asked_for(disc) -> None:
    labels = superpixels(disc()[0], 16)
    assert 0.5 < (120 * 160 / 16**2) / (labels.max() + 1) < 2


@pytest.mark.parametrize(("size", "compactness", "reason"), [(3, 5, "at least 4"), (9, 0, "above 0")])
def test_senseless_sizes_are_refused(size, compactness, reason) -> None:
    with pytest.raises(ValueError, match=reason):
        superpixels(np.zeros((9, 9, 3), np.uint8), size, compactness)


def test_segments_compose_real_nuclei(nuclei_images) -> None:
    """The best choice of whole segments covers the nuclei."""
    scores = []
    for image, truth in nuclei_images:
        labels = superpixels(image, 8)
        nucleus = truth > 0
        chosen = (np.bincount(labels.ravel(), weights=nucleus.ravel()) / np.bincount(labels.ravel()) > 0.5)[
            labels
        ]
        scores.append((chosen & nucleus).sum() / (chosen | nucleus).sum())
    assert np.mean(scores) > 0.8
