"""Features on disk: whose they are, which of them make room for others, and what a crash leaves there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.files import TEMPORARY_PREFIX
from core.learning.instant.features import FeatureCache, Features
from core.learning.instant.tensor_folder import LEFT_OVER_S
from core.models.encoders import build_encoder
from core.models.instant import InstantNetwork

CPU = torch.device("cpu")
IMAGE = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "features"


@pytest.fixture
def cache(network: InstantNetwork, folder: Path) -> Callable[..., FeatureCache]:
    """One that has not looked into the folder yet."""
    return lambda **settings: FeatureCache(network, CPU, scale=1.0, folder=folder, **settings)


def _image() -> NDArray[np.uint8]:
    return IMAGE


def _same(some: Features, others: Features) -> bool:
    return all(torch.equal(a, b) for a, b in zip(some.groups, others.groups, strict=True))


@pytest.mark.parametrize("width", [8, 4])
def test_features_of_another_encoders_weights_are_kept_apart(
    network: InstantNetwork, folder: Path, width: int
) -> None:
    first = FeatureCache(network, CPU, scale=1.0, folder=folder)
    first.get("a", "1", _image)
    torch.manual_seed(1)
    other = InstantNetwork(build_encoder("plain", width=width), classes=3, hidden=32).eval()
    second = FeatureCache(other, CPU, scale=1.0, folder=folder)
    assert not second.holds("a")
    assert _same(second.get("a", "1", _image), second.compute(IMAGE))
    assert FeatureCache(network, CPU, scale=1.0, folder=folder).holds("a")


def _age(folder: Path) -> None:
    """All that is there was used longer ago than anything now."""
    for path in folder.iterdir():
        before = path.stat().st_mtime - 10
        os.utime(path, (before, before))


@pytest.mark.parametrize("in_memory", [False, True])
def test_what_is_used_stays_on_disk_while_others_make_room(cache, folder: Path, in_memory: bool) -> None:
    one = cache().compute(IMAGE).nbytes
    filled = cache(disk_bytes=round(3.5 * one))
    for key in ("labelled", "seen", "seen later"):
        filled.get(key, "1", _image)
        _age(folder)
    (filled if in_memory else cache()).get("labelled", "1", _image)
    filled.get("seen just now", "1", _image)
    assert cache().holds("labelled")
    assert not cache().holds("seen")
    assert cache().holds("seen later")


def test_nobody_waits_for_the_disk(cache, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    cache().get("a", "1", _image)
    assert cache().holds("a")
    assert not synced


def test_a_file_that_never_reached_the_disk_as_a_whole_is_computed_again(cache, folder: Path) -> None:
    right = cache().get("a", "1", _image)
    (path,) = folder.iterdir()
    data = bytearray(path.read_bytes())
    data[-512:] = bytes(512)  # as long as it should be
    path.write_bytes(data)
    again = cache().get("a", "1", _image)
    assert all(torch.allclose(a, b) for a, b in zip(again.groups, right.groups, strict=True))
    assert _same(cache().get("a", "1", lambda: np.zeros_like(IMAGE)), again), "and is whole on disk now"


def test_what_killed_writes_have_left_is_removed(cache, folder: Path) -> None:
    folder.mkdir()
    left, under_way = folder / f"{TEMPORARY_PREFIX}1.tmp", folder / f"{TEMPORARY_PREFIX}2.tmp"
    for path in (left, under_way):
        path.write_bytes(b"half of it")
    long_ago = time.time() - LEFT_OVER_S - 60
    os.utime(left, (long_ago, long_ago))
    cache().get("a", "1", _image)
    assert not left.exists()
    assert under_way.exists(), "another process may be at it"
