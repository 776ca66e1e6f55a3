"""Memory that is kept between two steps is not asked for again."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from core.learning.machine.allocator import give_back, keep_freed_memory

def resident_mb():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(16 << 20, np.float32)
    np.ones(12 << 20, np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = min(new_pages() for _ in range(3))
assert keep_freed_memory()
kept = min(new_pages() for _ in range(3))
grown = resident_mb()
give_back()
print(usual, kept, grown - resident_mb())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of the GNU C library")
def test_large_arrays_get_the_pages_of_those_before_until_they_are_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    usual, kept, given_back_mb = (float(word) for word in done.stdout.split())
    assert kept < usual / 10
    assert given_back_mb > 50
