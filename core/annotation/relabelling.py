"""Edits of the past when a class got another name: what they put back has to have the new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from core.annotation.command import Command
from core.annotation.model import Shape


def relabelled(command: Command, names: Mapping[str, str]) -> Command:
    """The same edit with labels replaced, in every shape it takes, makes or puts back.

    Args:
        command: it stays as it is.
        names: new names by old ones.
    """
    changed: Command = _relabelled(command, names)
    return changed


def _relabelled(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Shape):
        return value.with_(label=names[value.label]) if value.label in names else value
    if type(value) is tuple:
        parts = tuple(_relabelled(part, names) for part in value)
        return parts if any(new is not old for new, old in zip(parts, value, strict=True)) else value
    if isinstance(value, Command) and is_dataclass(value):
        changes = {}
        for field in fields(value):
            old = getattr(value, field.name)
            new = names.get(old, old) if field.name == "label" else _relabelled(old, names)
            if new is not old:
                changes[field.name] = new
        return replace(value, **changes) if changes else value
    return value
