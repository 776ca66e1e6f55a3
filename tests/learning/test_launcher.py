"""Which of several processes this one is, and where those of one start meet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from torch.distributed import HashStore, Store, TCPStore

from core.errors import LostProcessError, UsageError
from core.learning.training.distributed import Place
from core.learning.training.launcher import Launcher, store_of_this_start


def test_without_a_launcher_a_process_is_alone_and_leads() -> None:
    place = Place.here({"RANK": "1", "WORLD_SIZE": "4"})  # some schedulers say so to any program
    assert place == Place()
    assert place.leads
    assert place.share("abc") == ["a", "b", "c"]


def test_processes_share_a_list_without_gaps() -> None:
    said = {"WORLD_SIZE": "3", "MASTER_ADDR": "here", "MASTER_PORT": "1", "TORCHELASTIC_RUN_ID": "j"}
    places = [Place.here({**said, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(3)]
    assert [place.leads for place in places] == [True, False, False]
    shares = [place.share(range(10)) for place in places]
    assert sorted(item for share in shares for item in share) == list(range(10))


@pytest.mark.parametrize("changes", [{"RANK": "2"}, {"RANK": "first"}, {"WORLD_SIZE": "0"}])
def test_a_muddled_environment_is_refused(changes: dict[str, str]) -> None:
    said = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "here", "MASTER_PORT": "1"}
    with pytest.raises(UsageError, match="must be"):
        Place.here(said | changes)


def test_only_processes_of_one_start_meet_in_a_store_that_outlives_it() -> None:
    launcher = HashStore()
    with ThreadPoolExecutor(3) as threads:

        def met() -> list[Store]:
            places = [Place(rank, 3) for rank in range(3)]
            return list(threads.map(partial(store_of_this_start, launcher), places))

        for start in ("first", "second"):  # nothing of an earlier one is taken for an answer
            stores = met()
            assert not any(store.check(["began"]) for store in stores)
            stores[0].set("began", start)
            assert [store.get("began").decode() for store in stores] == [start] * 3


def test_a_launcher_remembers_a_run_until_it_has_ended_and_is_known_as_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    servers = [TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)]
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(servers[0].port))
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    first = Launcher(Place())
    assert first.noted_run() is None
    first.note_run("2026-01-01")
    again = Launcher(Place())
    assert again.noted_run() == "2026-01-01"
    again.note_run("")
    assert again.noted_run() is None
    servers.clear()
    with pytest.raises(LostProcessError, match="lost its launcher"):
        again.noted_run()
