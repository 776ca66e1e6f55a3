"""Dispatch: arguments in, exit code out. The boundary where errors become one sentence."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Sequence

from core.cli.parser import make_parser
from core.errors import MaskloopError, UsageError


def main(argv: Sequence[str]) -> int:
    """Run one headless command.

    Returns:
        0 on success, 1 on failure (one sentence on standard error), 2 on bad usage.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # no work is lost for a name that a console cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        arguments = make_parser().parse_args(argv)
        _handler(arguments.command)(arguments)
    except UsageError as error:
        print(f"maskloop: {error}", file=sys.stderr)
        return 2
    except MaskloopError as error:
        print(f"maskloop: {error}", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        print(f"maskloop: {_why(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("maskloop: stopped", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1  # the reader of our output has left; nothing is left to say
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"maskloop: {place}{error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _why(error: MemoryError | RuntimeError) -> str:
    """What a person can do about it, in one sentence; an error that nobody has foreseen is raised again."""
    from core.cli.lost_card import lost_card  # torch, which is there where it fails so
    from core.learning.machine.memory import why_given_up

    if lost := lost_card(error):
        return f"{lost}; try again, or with --device cpu"
    return f"{why_given_up(error)}; close other programs and try again"


def _handler(command: str) -> Callable[[argparse.Namespace], None]:
    # Imported per command: listing models or showing a usage error must not wait seconds for torch.
    if command in ("init", "import"):
        from core.cli import projects

        return projects.init if command == "init" else projects.import_
    if command == "models":
        from core.cli.models import models

        return models
    if command == "demo":
        from core.cli.demo import demo

        return demo
    if command == "train":
        from core.cli.train import train

        return train
    if command == "export":
        from core.cli.export import export

        return export
    from core.cli import predict

    return predict.predict if command == "predict" else predict.evaluate
