"""A graphics card that is lost in the middle of a command, in a sentence. Imports torch."""

from __future__ import annotations

from core.cli.output import say
from core.learning.machine.memory import is_device_lost


def lost_card(error: BaseException) -> str:
    """What happened to the graphics card; "" where the error says nothing of it."""
    if not is_device_lost(error):
        return ""
    reason = str(error).partition("\n")[0]
    return f"the graphics card reported an error ({reason})"


def say_lost(error: RuntimeError, work: str) -> None:
    """Tell that the card is lost and this work goes on on the CPU; any other error is raised again."""
    lost = lost_card(error)
    if not lost:
        raise error
    say(f"warning: {lost}: {work} goes on on the CPU")
