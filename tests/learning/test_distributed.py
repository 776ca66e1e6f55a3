"""Several processes train one network: as one process would, and no loss of one of them ends the run."""

from __future__ import annotations

import contextlib
import copy
import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from core.cli.beginning import divided
from core.cli.main import main
from core.errors import UsageError
from core.learning.events import Event
from core.learning.runs.checkpoint import load_checkpoint
from core.learning.runs.header import read_header
from core.learning.runs.run_status import unfinished
from core.learning.training.batch_statistics import SharedBatchStatistics
from core.learning.training.fit import TrainState, last_score
from core.project.project import Project
from tests.learning.test_folder_prediction import save_network, visible
from tests.patience import PATIENCE_S

NARROW = ["--encoder", "plain", "--option", "width=4", "--option", "encoder_width=4"]
TINY = [*NARROW, "--crop", "64", "--device", "cpu"]


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five images of a bright disc on noise, with index masks: images/ and masks/. One is held out."""
    folder = tmp_path_factory.mktemp("discs")
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    random = np.random.default_rng(0)
    for number in range(5):
        mask = np.zeros((72, 96), np.uint8)
        x, y = (int(value) for value in random.integers(20, 50, 2))
        cv2.circle(mask, (x, y), 15, 1, -1)
        pixels = random.integers(0, 80, (72, 96, 3)) + mask[..., None] * 150
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    return folder


@pytest.fixture
def project(discs: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A project of those images."""

    def make(name: str) -> Path:
        root = tmp_path / name
        assert main(["init", str(root), "--classes", "background,disc"]) == 0
        assert main(["import", str(root), str(discs), "--format", "masks"]) == 0
        return root

    return make


@dataclass
class Member:
    """One process of a job: what it is started with, how often, and the files it prints into."""

    arguments: list[str]
    folder: Path
    times: int = 1

    def work(self) -> None:
        """The command, the environment being a launcher's."""
        rank = os.environ["RANK"]
        torch.set_num_threads(1)
        (self.folder / f"pid-{rank}-{os.environ['TORCHELASTIC_RESTART_COUNT']}").write_text(str(os.getpid()))
        sys.stdout, sys.stderr = ((self.folder / f"{name}-{rank}").open("w") for name in ("out", "err"))
        code = max(main(self.arguments) for _ in range(self.times))
        sys.stdout.flush()
        sys.stderr.flush()
        if code:
            raise SystemExit(code)

    def said(self, rank: int) -> str:
        return (self.folder / f"out-{rank}").read_text()

    def complained(self, rank: int) -> str:
        return (self.folder / f"err-{rank}").read_text()

    def in_environment(self, **variables: str) -> None:
        os.environ.update(variables)
        self.work()

    def launched(self, processes: int, machines: int, endpoint: str) -> None:
        """What torchrun does with a command for so many processes, on one machine or on one of two."""
        settings = LaunchConfig(
            min_nodes=machines,
            max_nodes=machines,
            nproc_per_node=processes // machines,
            run_id="none",
            rdzv_backend="static" if machines == 1 else "c10d",
            rdzv_endpoint=endpoint,
            rdzv_configs={"rank": 0} if machines == 1 else {},
            max_restarts=1,
            start_method="fork",
            monitor_interval=0.05,
            local_addr="127.0.0.1",
        )
        elastic_launch(settings, self.work)()


# A new interpreter takes seconds to import torch; a fork of this one has it.
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def member(tmp_path: Path) -> Callable[..., Member]:
    """Train a tiny network on a project."""

    def make(root: Path, *arguments: str) -> Member:
        folder = tmp_path / "said"
        folder.mkdir()
        return Member(["train", str(root), *TINY, "--json", *arguments], folder)

    return make


@contextlib.contextmanager
def pair(member: Member) -> Iterator[tuple[BaseProcess, BaseProcess]]:
    """Two processes, as a launcher would start them: the leader and the other."""
    around = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    around["TORCHELASTIC_RESTART_COUNT"] = "0"
    with running(
        *(
            FORK.Process(target=member.in_environment, kwargs={**around, "RANK": rank, "LOCAL_RANK": rank})
            for rank in ("0", "1")
        )
    ) as (leader, other):
        yield leader, other


@contextlib.contextmanager
def running(*processes: BaseProcess) -> Iterator[tuple[BaseProcess, ...]]:
    for process in processes:
        process.start()
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def only_run(root: Path) -> Path:
    with Project.open(root, lock=False) as project:
        (run,) = project.layout.runs_by_time()
    return run


def wait_for_start(root: Path, *processes: BaseProcess) -> None:
    """Until the first checkpoint is on disk."""
    deadline = time.monotonic() + PATIENCE_S
    while not list((root / "runs").glob("*/last.ckpt")):
        assert all(process.is_alive() for process in processes), "a process ended by itself"
        assert time.monotonic() < deadline, "nothing was saved"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "norm, more",
    [
        ("group", []),
        ("group", ["--option", "supervised=2", "--set", "loss=ce+lovasz", "--set", "optimizer=sgd"]),
        # Torch's batch norm, which one process takes, rounds more than the shared one: a deeper network has
        # other gradients by 1e-4 for it, and AdamW makes whole steps of the last digits.
        ("batch", ["--option", "depth=1", "--set", "optimizer=sgd"]),
    ],
    ids=["usual", "more-losses", "batch-norm"],
)
def test_two_processes_learn_what_one_does(
    project: Callable[[str], Path], member: Callable[..., Member], norm: str, more: list[str]
) -> None:
    settings = ["--batch", "4", "--steps", "6", "--option", f"norm={norm}", *more]
    alone, shared = project("alone"), project("shared")
    assert main(["train", str(alone), *TINY, *settings]) == 0

    job = member(shared, *settings)
    with pair(job) as (leader, other):
        leader.join(PATIENCE_S)
        other.join(PATIENCE_S)
        assert (leader.exitcode, other.exitcode) == (0, 0), job.complained(0) + job.complained(1)

    assert json.loads(job.said(0))["steps"] == 6
    assert (job.said(1), job.complained(1)) == ("", "")  # only the leader prints
    one, two = (load_checkpoint(only_run(root) / "last.ckpt")["learner"] for root in (alone, shared))
    for part in ("network", "ema"):
        for name, value in one[part].items():
            torch.testing.assert_close(two[part][name], value, rtol=0, atol=1e-5, msg=f"{part}.{name}")
    assert one["load"] == two["load"]  # so that one process can go on with what two have begun
    assert_same_best(only_run(alone) / "best.safetensors", only_run(shared) / "best.safetensors")


def assert_same_best(one: Path, other: Path) -> None:
    """The leader scores alone, on the same images at the same steps: the same weights are the best."""
    said, says = read_header(one).metrics, read_header(other).metrics
    assert (said["on"], said["step"]) == (says["on"], says["step"])
    assert said["on"] == "validation"
    assert says["miou"] == pytest.approx(said["miou"], abs=1e-3)
    weights = load_file(other)
    for name, value in load_file(one).items():
        torch.testing.assert_close(weights[name], value, rtol=0, atol=1e-5, msg=name)


def test_any_process_may_be_asked_to_stop_and_all_end_with_everything_saved(
    project: Callable[[str], Path], member: Callable[..., Member]
) -> None:
    root = project("stopped")
    job = member(root, "--batch", "4", "--steps", "100000")
    with pair(job) as (leader, other):
        wait_for_start(root, leader, other)
        os.kill(other.pid or 0, signal.SIGTERM)
        leader.join(PATIENCE_S)
        other.join(PATIENCE_S)
        assert (leader.exitcode, other.exitcode) == (0, 0), job.complained(0) + job.complained(1)
    steps = json.loads(job.said(0))["steps"]
    assert steps < 100000
    assert load_checkpoint(only_run(root) / "last.ckpt")["step"] == steps


@pytest.mark.parametrize("processes, machines", [(1, 1), (2, 1), (2, 2)])
def test_a_run_outlives_a_killed_worker(
    project: Callable[[str], Path], member: Callable[..., Member], processes: int, machines: int
) -> None:
    root, endpoint = project("killed"), f"127.0.0.1:{free_port()}"
    job = member(root, "--batch", "4", "--steps", "40")
    launchers = [
        FORK.Process(target=job.launched, args=(processes, machines, endpoint)) for _ in range(machines)
    ]
    with running(*launchers):
        wait_for_start(root, *launchers)
        os.kill(int((job.folder / f"pid-{processes - 1}-0").read_text()), signal.SIGKILL)
        for launcher in launchers:
            launcher.join(PATIENCE_S)
            assert launcher.exitcode == 0, job.complained(0)
    finished = json.loads(job.said(0))
    assert finished["steps"] == 40
    assert finished["resumed_step"] is not None
    assert only_run(root) == Path(finished["run"])  # the same run, not a second one


def test_a_second_training_of_a_job_has_a_run_of_its_own(
    project: Callable[[str], Path], member: Callable[..., Member]
) -> None:
    root = project("twice")
    job = member(root, "--batch", "4", "--steps", "3")
    job.times = 2
    with running(FORK.Process(target=job.launched, args=(2, 1, f"127.0.0.1:{free_port()}"))) as (launcher,):
        launcher.join(PATIENCE_S)
        assert launcher.exitcode == 0, job.complained(0)
    assert len(list((root / "runs").glob("*/config.json"))) == 2


def test_a_run_that_lost_a_process_is_offered_to_go_on(
    project: Callable[[str], Path], member: Callable[..., Member]
) -> None:
    root = project("lost")
    job = member(root, "--batch", "4", "--steps", "100000")
    with pair(job) as (leader, other):
        wait_for_start(root, leader, other)
        other.kill()
        leader.join(PATIENCE_S)
        assert leader.exitcode == 1
    assert "lost the others" in job.complained(0)
    cut_short = unfinished([only_run(root)])
    assert cut_short is not None
    assert cut_short.step == load_checkpoint(only_run(root) / "last.ckpt")["step"]


def test_a_run_that_lost_a_process_in_its_last_score_is_offered_to_go_on(
    project: Callable[[str], Path], member: Callable[..., Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = project("late")
    job = member(root, "--batch", "4", "--steps", "3")

    def scored_while_the_other_dies(state: TrainState) -> Iterator[Event]:
        os.kill(int((job.folder / "pid-1-0").read_text()), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGTERM)  # as a launcher does
        yield from last_score(state)

    monkeypatch.setattr("core.learning.training.fit.last_score", scored_while_the_other_dies)
    with pair(job) as (leader, _other):
        leader.join(PATIENCE_S)
        assert leader.exitcode == 1
    assert "lost the others" in job.complained(0)
    assert unfinished([only_run(root)]) is not None


def test_two_processes_predict_a_folder_together(discs: Path, tmp_path: Path) -> None:
    weights, out, said = save_network(tmp_path / "net.safetensors"), tmp_path / "out", tmp_path / "said"
    said.mkdir()
    command = ["predict", str(weights), str(discs / "images"), "--out", str(out), "--device", "cpu", "--json"]
    job = Member(command, said)
    with pair(job) as processes:
        for process in processes:
            process.join(PATIENCE_S)
        assert [process.exitcode for process in processes] == [0, 0], job.complained(0) + job.complained(1)
    shares = [sorted(Path(file).name for file in json.loads(job.said(rank))["files"]) for rank in (0, 1)]
    assert shares == [["0.png", "2.png", "4.png"], ["1.png", "3.png"]]
    assert "share 1 of 2" in job.complained(0)
    assert "share 2 of 2" in job.complained(1)
    assert visible(out) == [f"{number}.png" for number in range(5)]
    assert main(["predict", *command[1:3], "--out", str(tmp_path / "alone"), "--device", "cpu"]) == 0
    for path in out.glob("*.png"):
        assert path.read_bytes() == (tmp_path / "alone" / path.name).read_bytes()


@pytest.mark.parametrize("channels_last", [False, True])
def test_statistics_of_two_processes_are_those_of_the_whole_batch(channels_last: bool) -> None:
    torch.manual_seed(0)
    x = 3.0 + 2.0 * torch.randn(4, 5, 6, 7)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    toward = torch.randn(4, 5, 6, 7)
    whole = torch.nn.BatchNorm2d(5)
    torch.nn.init.uniform_(whole.weight)
    expected = x.clone().requires_grad_()
    whole(expected).backward(toward)

    meeting = Meeting(2)
    norms = [copy.deepcopy(torch.nn.BatchNorm2d(5)) for _ in range(2)]
    parts = [part.clone().requires_grad_() for part in x.split(2)]

    def one_process(rank: int) -> None:
        norms[rank].load_state_dict({**norms[rank].state_dict(), "weight": whole.weight.detach()})
        with SharedBatchStatistics(meeting.add_up, 2):
            y = norms[rank](parts[rank])
        y.backward(toward.split(2)[rank])

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(one_process, range(2)))
    close = partial(torch.testing.assert_close, rtol=1e-5, atol=1e-5)
    close(torch.cat([part.grad for part in parts]), expected.grad)
    close(sum(norm.weight.grad for norm in norms), whole.weight.grad)
    close(sum(norm.bias.grad for norm in norms), whole.bias.grad)
    for norm in norms:
        close(norm.running_mean, whole.running_mean)
        close(norm.running_var, whole.running_var)


class Meeting:
    """Threads in place of processes: each brings a tensor and takes the sum away."""

    def __init__(self, count: int) -> None:
        self._barrier = threading.Barrier(count)
        self._brought: list[torch.Tensor] = []

    def add_up(self, tensor: torch.Tensor) -> torch.Tensor:
        self._brought.append(tensor)
        self._barrier.wait(PATIENCE_S)
        total = torch.stack(self._brought[-2:]).sum(dim=0)
        self._barrier.wait(PATIENCE_S)
        return total


@pytest.mark.parametrize(
    "asked, sentence",
    [
        ({"batch": 5}, "a batch of 5 crops cannot be divided evenly among 2 processes; take --batch 4"),
        ({"model": "instant"}, "the instant learner is fitted in one process"),
    ],
)
def test_what_cannot_be_shared_is_refused(world, config, asked: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        divided(config(**asked), world.store, 2)


def test_a_batch_left_to_the_preset_can_always_be_shared(world, config) -> None:
    world.put_done(1)
    assert divided(config(batch=None), world.store, 3).batch == 6  # the preset's 4, and up
    assert divided(config(batch=None), world.store, 1).batch is None
