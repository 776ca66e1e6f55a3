"""What every test gets: an offscreen Qt, real data where it is at hand, few threads."""

from __future__ import annotations

import gc
import os
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
from hypothesis import HealthCheck, settings

from tests.patience import make_qtbot_patient
from tests.time_box import TimeBox

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

make_qtbot_patient()
# Where other programs run, a first example may take seconds: no fault of the test's.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--minutes", type=float, help="begin no test after so many and tell what is left")


def pytest_configure(config: pytest.Config) -> None:
    minutes = config.getoption("minutes")
    if minutes is not None:
        config.pluginmanager.register(TimeBox(minutes))


def pytest_collection_finish() -> None:
    """What is loaded by now stays: no collection, and no guard that looks at every object, looks at it again.

    There are half a million of them once torch is imported, and hundreds of tests collect when they end.
    """
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """What goes with the interpreter goes as it always does."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data sets (nerve, nuclei, camvid, labelme, ...); skips where there is none."""
    if not REAL_DATA.is_dir():
        pytest.skip("the real data sets are not beside this checkout")
    return REAL_DATA


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """Folder of pretrained weights for tests; skips where there is none."""
    folder = REAL_DATA.parent / "weights"
    if not folder.is_dir():
        pytest.skip("no pretrained weights are beside this checkout")
    return folder
