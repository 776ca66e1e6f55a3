"""Errors in a view's event handlers, told as any others are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


def whole_errors(handler: Callable[_Args, _Result]) -> Callable[_Args, _Result]:
    """Raise what an event handler raises in one piece.

    Python 3.11 keeps what C code raises (numpy, a division by zero) as a type and a text until somebody
    catches it. PySide 6.11 crashes, and the window with it, where such an error passes from one overridden
    handler through another: from `mousePressEvent` through `viewportEvent`, say.
    """

    @functools.wraps(handler)
    def handle(*args: _Args.args, **kwargs: _Args.kwargs) -> _Result:
        try:
            return handler(*args, **kwargs)
        except Exception:  # noqa: TRY203 - caught once, it is whole
            raise

    return handle
