"""Errors in a widget's event handlers, told as any others are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")

_OTHER_HANDLERS: Final = frozenset({"event", "drawBackground", "drawForeground", "scrollContentsBy"})
"""Those whose names do not end in Event."""


class WholeErrors:
    """Mixin, named before the QWidget class: its event handlers raise what they raise in one piece.

    Python 3.11 keeps what C code raises (numpy, a division by zero) as a type and a text until somebody
    catches it. PySide 6.11 crashes, and the window with it, where such an error passes from one overridden
    handler through another: from `mousePressEvent` through `viewportEvent`, say.
    """

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        for name, handler in list(vars(cls).items()):
            if callable(handler) and (name.endswith("Event") or name in _OTHER_HANDLERS):
                setattr(cls, name, _whole(handler))


def _whole(handler: Callable[_Args, _Result]) -> Callable[_Args, _Result]:
    @functools.wraps(handler)
    def handle(*args: _Args.args, **kwargs: _Args.kwargs) -> _Result:
        try:
            return handler(*args, **kwargs)
        except Exception:  # noqa: TRY203 - caught once, it is whole
            raise

    return handle
