"""`maskloop`: a command runs headless, anything else opens the window."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from multiprocessing import freeze_support
from pathlib import Path

HEADLESS_COMMANDS = frozenset({"init", "import", "train", "predict", "evaluate", "export", "models"})
HELP_FLAGS = frozenset({"-h", "--help"})


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script. Returns the exit code."""
    freeze_support()
    let_threads_sleep()
    arguments = list(sys.argv[1:] if argv is None else argv)
    first = arguments[0] if arguments else None
    if first == "--version":
        from importlib.metadata import version

        print(f"maskloop {version('maskloop')}")
        return 0
    if first == "demo":
        return _demo(arguments)
    if first in HEADLESS_COMMANDS or first in HELP_FLAGS:
        return _headless(arguments)
    if len(arguments) > 1 or (first is not None and first.startswith("-")):
        print(f"maskloop: {' '.join(arguments)} is not understood; see maskloop --help", file=sys.stderr)
        return 2
    if not has_display():
        from core.files import is_file, is_folder

        if first is not None and not (is_file(Path(first)) or is_folder(Path(first))):
            print(f"maskloop: {first} is no command, file or folder; see maskloop --help", file=sys.stderr)
            return 1
        print(
            "maskloop: there is no display to open a window on; the commands of maskloop --help need none",
            file=sys.stderr,
        )
        return 1
    return _window(None if first is None else Path(first))


def let_threads_sleep() -> None:
    """Make torch's threads sleep, not spin, while they wait for each other; its processes inherit this.

    Spinning threads take the processor from whatever shares it. With other programs at work on two cores the
    same sixty training steps took 30 to 42 s spinning and 13 to 14 s sleeping.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read once, when torch is loaded


def has_display() -> bool:
    """Whether a window could appear: always on Windows and macOS, elsewhere with X11 or Wayland."""
    if sys.platform in ("win32", "darwin"):
        return True
    if os.environ.get("QT_QPA_PLATFORM"):
        return True  # the person chose a platform; Qt says so if it does not work
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _headless(arguments: Sequence[str]) -> int:
    from core.cli.main import main as command_line
    from core.learning.machine.allocator import keep_freed_memory

    keep_freed_memory()
    return command_line(arguments)


def _demo(arguments: list[str]) -> int:
    if HELP_FLAGS & set(arguments) or "--headless" in arguments:
        return _headless(arguments)
    if not has_display():
        print("no display: running the demo headless", file=sys.stderr)
        return _headless([*arguments, "--headless"])
    from app.demo import open_demo
    from core.errors import MaskloopError

    try:
        return open_demo(arguments)
    except MaskloopError as error:  # before there is a window to say it in
        print(f"maskloop: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"maskloop: {place}{error.strerror or error}", file=sys.stderr)
        return 1


def _window(path: Path | None) -> int:
    from app.application import run_window

    return run_window(path)


if __name__ == "__main__":
    sys.exit(main())
