"""From the command to a usable window: `python tests/bench/startup.py [PROJECT] [--runs N]`.

Starts `python -m app PROJECT` that many times after one warm-up (files in the page cache), each in a process
of its own with MASKLOOP_REPORT_START set: the window then prints the moment it has painted its first image
and can take a click, and leaves.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe, quantile

from core.project.sample import copy_sample

MARK = "usable "


def start_once(project: Path) -> float:
    """Seconds from spawning the process to its usable window."""
    environment = {**os.environ, "MASKLOOP_REPORT_START": "1"}
    environment.setdefault("QT_QPA_PLATFORM", "offscreen")
    started = time.time()
    result = subprocess.run(
        [sys.executable, "-m", "app", str(project)],
        env=environment, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    line = next(line for line in result.stdout.splitlines() if line.startswith(MARK))
    return float(line.removeprefix(MARK)) - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("project", type=Path, nargs="?")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    print(describe("PySide6-Essentials", "numpy"))
    with tempfile.TemporaryDirectory() as folder:
        project = options.project or copy_sample(Path(folder) / "project")
        start_once(project)
        seconds = [start_once(project) for _ in range(options.runs)]
    print(
        f"usable window after {quantile(seconds, 0.5):.2f} s (median of {len(seconds)}; "
        f"{min(seconds):.2f} to {max(seconds):.2f} s)"
    )


if __name__ == "__main__":
    main()
