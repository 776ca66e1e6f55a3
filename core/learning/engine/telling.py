"""What went wrong in the engine, as events: one sentence each."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from typing import Final

from core.errors import FileProblem, MaskloopError
from core.learning.events import Failed, Notice

MOST_PROBLEMS_TOLD: Final = 3
"""More broken files than this are counted, not listed."""


def failure(during: str, error: Exception) -> Failed:
    """That a command could not be done; where nobody foresaw it, with all details for the log."""
    detail = "".join(traceback.format_exception(error))
    if isinstance(error, MaskloopError):
        return Failed(during=during, text=str(error), detail="" if error.__cause__ is None else detail)
    text = f"Unexpected problem ({type(error).__name__}: {error or 'no further detail'})."
    return Failed(during=during, text=text, detail=detail)


def not_learned_from(problems: Sequence[FileProblem]) -> Iterator[Notice]:
    """Files of a project that cannot be learned from: the first by name, the rest counted."""
    for problem in problems[:MOST_PROBLEMS_TOLD]:
        yield Notice(text=f"Not learned from: {problem}", level="warning")
    if (untold := len(problems) - MOST_PROBLEMS_TOLD) > 0:
        text = f"{untold} more {'files' if untold > 1 else 'file'} cannot be learned from."
        yield Notice(text=text, level="warning")
