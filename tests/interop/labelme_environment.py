"""Where labelme runs: an environment of its own, made once and kept; never a dependency of this project.

labelme 7 needs Python 3.12 and brings its own Qt, so it gets its own interpreter. The environment variable
MASKLOOP_LABELME_PYTHON may name one: of an environment that has labelme already, or a Python 3.12 or later to
make one with.
"""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock

VARIABLE: Final = "MASKLOOP_LABELME_PYTHON"
OLDEST: Final = (3, 12)
NAMES: Final = ("python3.14", "python3.13", "python3.12", "python3", "python")
REQUIREMENT: Final = "labelme>=7,<8"
INSTALL_LIMIT_S: Final = 900


class LabelmeAbsentError(Exception):
    """labelme cannot be had on this machine; the message is the reason."""


def labelme_python() -> Path:
    """The interpreter of an environment that has labelme; makes the environment where it must.

    Raises:
        LabelmeAbsentError: no interpreter that is new enough, no uv, no package index, or it does not start.
    """
    base, version = _interpreter()
    if _starts(base) is None:
        return base
    folder = Path(tempfile.gettempdir()) / f"maskloop-labelme-{getpass.getuser()}-{version}"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    with FileLock(f"{folder}.lock"):
        if python.exists() and _starts(python) is None:
            return python
        _install(base, folder, python)
        problem = _starts(python)
    if problem is not None:
        raise LabelmeAbsentError(f"labelme was installed in {folder} and does not start: {problem}")
    return python


@contextmanager
def surroundings() -> Iterator[dict[str, str]]:
    """Environment variables for a process of labelme's: offscreen, in a home of its own.

    Its configuration and window layout must be neither the person's nor those of an earlier run.
    """
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    with tempfile.TemporaryDirectory(prefix="labelme-home-") as home:
        homes = dict.fromkeys(("HOME", "USERPROFILE", "XDG_CONFIG_HOME"), home)
        yield kept | homes | {"QT_QPA_PLATFORM": "offscreen"}


def _interpreter() -> tuple[Path, str]:
    """A Python that is new enough, and its version."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        version = _version(Path(named))
        if version is None:
            raise LabelmeAbsentError(f"{VARIABLE} names {named}, which is no Python 3.12 or later")
        return Path(named), version
    for candidate in _candidates():
        version = _version(candidate)
        if version is not None:
            return candidate, version
    raise LabelmeAbsentError(
        f"labelme 7 needs Python 3.12 or later and none is on PATH; name one in {VARIABLE} to run this"
    )


def _candidates() -> Iterator[Path]:
    if sys.version_info >= OLDEST:
        yield Path(sys.executable)
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            yield Path(found)


def _version(python: Path) -> str | None:
    """Its version as "3.13", None if it does not run (a shim of nothing) or is too old."""
    code = "import sys; print(*sys.version_info[:2])"
    try:
        told = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=30, check=True)
        major, minor = map(int, told.stdout.split())
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return f"{major}.{minor}" if (major, minor) >= OLDEST else None


def _starts(python: Path) -> str | None:
    """None if labelme's window can be imported there, else the last thing it said."""
    command = [python, "-c", "import labelme._app"]
    try:
        with surroundings() as variables:
            subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=True)
    except subprocess.CalledProcessError as error:
        return _last_line(error.stderr)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None


def _install(base: Path, folder: Path, python: Path) -> None:
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        raise LabelmeAbsentError("labelme gets an environment of its own made by uv, and uv is not on PATH")
    for arguments in (
        ["venv", "--quiet", "--clear", "--python", base, folder],
        ["pip", "install", "--quiet", "--python", python, REQUIREMENT],
    ):
        try:
            subprocess.run(
                [uv, *arguments],
                cwd=tempfile.gettempdir(),  # where no pyproject.toml of ours constrains it
                capture_output=True,
                text=True,
                timeout=INSTALL_LIMIT_S,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise LabelmeAbsentError(
                f"uv cannot install labelme (is the package index reachable?): {_last_line(error.stderr)}"
            ) from error
        except subprocess.TimeoutExpired as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise LabelmeAbsentError(
                f"uv did not install labelme within {INSTALL_LIMIT_S} s (is the package index slow?)"
            ) from error


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "no message"
