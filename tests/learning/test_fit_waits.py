"""Between two reports the training loop never waits for its device: no step reads what it has computed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from core.learning.events import StepDone
from core.learning.labels import corrections
from core.learning.machine.late_reading import LateReading
from core.learning.training import fit
from core.learning.training.fit import step

READING = ("item", "tolist", "numpy", "cpu", "__array__", "__bool__", "__float__", "__int__")
"""Methods of a tensor that bring values of a GPU to the program, and wait for them."""
WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal", "_linalg_check_errors"}
"""Operations of which the size or the value of the result has to be known at once."""


class _Operations(TorchDispatchMode):
    """Notes down operations that would wait for a GPU."""

    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self._seen = seen

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        bool_index = name == "index" and any(
            i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1]
        )
        if name in WAITING or bool_index:
            self._seen.append(name)
        return func(*args, **(kwargs or {}))


@contextmanager
def _watched(monkeypatch: pytest.MonkeyPatch, seen: list[str]) -> Iterator[None]:
    with monkeypatch.context() as patched, _Operations(seen):
        for name in READING:
            known = getattr(torch.Tensor, name)

            def noted(self, *args, _name=name, _known=known, **kwargs):
                seen.append(_name)
                return _known(self, *args, **kwargs)

            patched.setattr(torch.Tensor, name, noted)
        yield


@pytest.mark.parametrize(
    "settings",
    [{}, {"loss": "ce+lovasz", "border_weight": 5.0}, {"optimizer": "sgd", "schedule": "poly"}],
    ids=["default", "another loss", "another optimizer"],
)
def test_no_step_reads_what_the_device_computes(world, start, monkeypatch, settings) -> None:
    world.put_done(1, 2)
    world.put_drawn(3, 3)
    state = start(steps=50, **settings)
    monkeypatch.setattr(LateReading, "tolist", lambda reading: [1.0] * len(reading._values))
    list(state.keep_up())
    step(state)  # the optimizer makes its state
    seen: list[str] = []
    with _watched(monkeypatch, seen):
        for _ in range(3 * corrections.LATE):
            list(state.keep_up())
            assert step(state) is None
    assert seen == []
    assert state.step == 3 * corrections.LATE + 1


def test_the_watch_notices_a_value_that_is_read(world, start, monkeypatch) -> None:
    world.put_done(1, 2)
    state = start(steps=50)
    seen: list[str] = []
    with _watched(monkeypatch, seen):
        state.tally.read()
        bool(torch.ones(3).sum() > 2)
    assert {"tolist", "_local_scalar_dense"} <= set(seen)


def test_losses_at_pixels_are_read_steps_later(world, start, monkeypatch) -> None:
    world.put_done(1, 2)
    state = start(steps=12)
    read_at: list[int] = []
    real = LateReading.tolist
    made: dict[int, int] = {}

    class Noted(LateReading):
        def __init__(self, values: torch.Tensor) -> None:
            super().__init__(values)
            made[id(self)] = state.step

        def tolist(self) -> list[float]:
            if sys._getframe(1).f_code.co_name == "take_in":
                read_at.append(state.step - made[id(self)])
            return real(self)

    monkeypatch.setattr(fit, "LateReading", Noted)
    assert any(isinstance(event, StepDone) for event in list(fit.fit(state)))
    assert read_at
    assert min(read_at) >= corrections.LATE


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_on_a_gpu_no_step_waits(world, start) -> None:
    world.put_done(1, 2)
    state = start(steps=50, device="cuda")
    for _ in range(2):
        list(state.keep_up())
        step(state)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3 * corrections.LATE):
            list(state.keep_up())
            assert step(state) is None
    finally:
        torch.cuda.set_sync_debug_mode("default")
