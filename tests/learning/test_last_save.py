"""A disk that is full when a run ends: the result is held in memory until there is room, and saved then."""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core.cli.main import main
from core.errors import StorageError
from core.learning.commands import Stop, Train
from core.learning.events import Checkpointed, Failed, Finished, Notice, Prediction
from core.learning.runs import deep_part
from core.learning.runs.run_folder import RunFolder
from core.learning.training import safekeeping
from core.learning.training.fit import fit
from tests import tiny
from tests.learning.engine_bench import EngineBench, squares_bench


@dataclass
class Disk:
    """Where runs are saved; `full` refuses checkpoints and weights."""

    full: bool = False


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """With room on it; whoever waits for more does so without sleeping."""
    found = Disk()
    for module, name in ((safekeeping, "save_checkpoint"), (deep_part, "save_weights")):
        usual = getattr(module, name)

        def save(path: Path, *rest: object, usual=usual) -> None:
            if found.full:
                raise StorageError.from_os_error(path, OSError(errno.ENOSPC, "No space left on device"))
            usual(path, *rest)

        monkeypatch.setattr(module, name, save)
    monkeypatch.setattr("core.learning.training.fit.WAIT_S", 0.0)
    monkeypatch.setattr("core.learning.training.fit.WAITS", 3)
    return found


def _waits(events: list) -> list[Notice]:
    return [event for event in events if isinstance(event, Notice) and "held in memory" in event.text]


def test_a_result_waits_for_room_and_is_saved(world, start, disk) -> None:
    world.put_done(1, 2)
    state = start(steps=3)
    disk.full = True
    events = []
    for event in fit(state):
        events.append(event)
        if len(_waits(events)) == 8:
            disk.full = False
    (told,) = [event for event in _waits(events) if event.progress is None]
    assert "the disk is full; free some space" in told.text
    assert told.text.endswith("saving it is tried again for 5 minutes")
    assert isinstance(events[-1], Finished)
    assert [event.step for event in events if isinstance(event, Checkpointed)] == [3]
    assert state.run.best_weights.is_file()
    assert state.run.last_checkpoint.is_file()


def test_after_a_wait_in_vain_the_run_goes_on_from_what_was_saved_before(
    world, start, resume, run, disk
) -> None:
    world.put_done(1, 2)
    state = start(steps=4, checkpoint_every_s=0.0)
    state.keeping.patience_s = 0.0
    saved = []

    def to_the_end() -> None:
        for event in fit(state):
            if isinstance(event, Checkpointed):
                saved.append(event.step)
                disk.full = event.step >= 2

    with pytest.raises(StorageError, match=r"the disk is full.*can be resumed from step 2$"):
        to_the_end()
    assert saved[-1] == 2
    disk.full = False
    again = resume()
    assert again.resumed_step == 2
    assert run(again)[-1].steps == 4


@pytest.fixture
def bench(tmp_path: Path) -> EngineBench:
    return squares_bench(tmp_path / "project")


def _waiting(bench: EngineBench, disk: Disk) -> None:
    """The engine has trained, and holds a result that the full disk does not take."""
    disk.full = True
    bench.open()
    bench.do(Train(config=replace(tiny.TINY, steps=4)))


def test_in_the_window_it_waits_and_everything_else_goes_on(bench: EngineBench, disk: Disk) -> None:
    _waiting(bench, disk)
    bench.do(bench.watch(3))
    bench.run(until=lambda: len(_waits(bench.events)) > 8)
    assert _waits(bench.events)[0].text.endswith("saving it is tried again until you stop the run")
    bench.events.clear()
    bench.do(bench.watch(2))
    bench.run(until=lambda: bool(bench.got(Prediction)))
    assert bench.got(Prediction)[-1].key == bench.entries[2].key
    assert not bench.got(Failed)
    disk.full = False
    bench.run(until=lambda: bool(bench.got(Finished)))
    assert RunFolder(Path(bench.got(Finished)[0].run)).best_weights.is_file()


def test_in_the_window_a_stop_ends_the_wait(bench: EngineBench, disk: Disk) -> None:
    _waiting(bench, disk)
    bench.run(until=lambda: bool(_waits(bench.events)))
    bench.do(Stop())
    bench.run(until=lambda: bool(bench.got(Failed)), most=5)
    assert "the disk is full" in bench.got(Failed)[0].text
    assert not bench.engine.training


def test_another_project_does_not_wait(bench: EngineBench, disk: Disk) -> None:
    _waiting(bench, disk)
    bench.run(until=lambda: bool(_waits(bench.events)))
    bench.open()
    assert len(bench.got(Failed)) == 1
    assert not bench.engine.training


def test_on_the_command_line_it_ends_with_a_sentence(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "squares"
    tiny.squares_project(root, [(8, 8, 39, 39 + n) for n in range(3)], side=64, labelled=3)
    monkeypatch.setattr(safekeeping, "PATIENCE_S", 0.05)
    disk.full = True
    small = ["--encoder", "plain", "--option", "width=4", "--option", "encoder_width=4", "--crop", "64"]
    assert main(["train", str(root), "--model", "unet", *small, "--steps", "2"]) == 1
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("maskloop: ")
    assert "the disk is full; free some space" in last
