"""The program's own command line, each call a process of its own, with the load of the machine meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

LOOK_S: Final = 2.0
"""Between two looks at the load average."""


class CommandLineError(Exception):
    """A command failed; its words are in the message."""


def maskloop(*arguments: str | Path) -> tuple[str, float]:
    """Run one command; its standard output, and the mean load average meanwhile.

    Raises:
        CommandLineError: its exit code was not 0.
    """
    command = [sys.executable, "-m", "app", *map(str, arguments)]
    # To files: a full pipe that nobody reads would hold it up.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
        child = subprocess.Popen(command, stdout=out, stderr=error)
        loads = [os.getloadavg()[0]]
        while True:
            try:
                child.wait(LOOK_S)
                break
            except subprocess.TimeoutExpired:
                loads.append(os.getloadavg()[0])
        for file in (out, error):
            file.seek(0)
        if child.returncode:
            raise CommandLineError(f"{' '.join(command)} ended with {child.returncode}:\n{error.read()}")
        return out.read(), sum(loads) / len(loads)
