"""project.json: what it holds, how it is checked, and how older schemas become this one.

People edit this file by hand, so every refusal names the field, and keys this program does not know are
written back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from core.annotation.model import IGNORE_LABEL, MAX_CLASSES, ClassList, JsonValue, LabelClass
from core.errors import ProjectFileError

SCHEMA: Final = 1
RETIRED_KEY: Final = "retired_indices"
"""In `settings`: indices of deleted classes, which old masks still mean and no class gets again."""
SLOTS_KEY: Final = "annotation_folders"
"""In `settings`: which folder below `annotations/` has the labels of which image root outside the project."""

_MIGRATIONS: Final[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {}
"""From schema n to n + 1."""

_COLOR: Final = r"^#[0-9a-fA-F]{6}$"


class ClassRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One class as the file has it."""

    index: Annotated[int, msgspec.Meta(ge=0, le=MAX_CLASSES - 1)]
    name: Annotated[str, msgspec.Meta(min_length=1)]
    color: Annotated[str, msgspec.Meta(pattern=_COLOR)]


class ProjectFile(msgspec.Struct, frozen=True, kw_only=True):
    """The content of project.json. `extra` holds the top-level keys that are not ours."""

    schema: int = SCHEMA
    name: str
    classes: tuple[ClassRecord, ...]
    background: int | None
    image_roots: tuple[Annotated[str, msgspec.Meta(min_length=1)], ...]
    settings: dict[str, Any] = {}
    extra: dict[str, Any] = {}

    @property
    def class_list(self) -> ClassList:
        """The classes as the rest of the program knows them."""
        classes = tuple(LabelClass(record.index, record.name, record.color) for record in self.classes)
        return ClassList(classes, self.background)

    def with_classes(self, classes: ClassList, *, retired: Sequence[int] = ()) -> ProjectFile:
        """The same project with other classes; `retired` indices are never given again."""
        records = tuple(ClassRecord(index=c.index, name=c.name, color=c.color) for c in classes)
        settings = dict(self.settings)
        if retired:
            settings[RETIRED_KEY] = sorted({*self.retired_indices, *retired})
        return msgspec.structs.replace(
            self, classes=records, background=classes.background, settings=settings
        )

    @property
    def retired_indices(self) -> tuple[int, ...]:
        """Indices of deleted classes."""
        return tuple(self.settings.get(RETIRED_KEY, ()))

    @property
    def slots(self) -> dict[str, str]:
        """For each image root outside the project, and any that was one, its folder below `annotations/`."""
        return dict(self.settings.get(SLOTS_KEY, {}))

    def next_index(self) -> int | None:
        """The index for a new class; None when all 255 are used up."""
        used = {record.index for record in self.classes} | set(self.retired_indices)
        index = max(used, default=-1) + 1
        if index < MAX_CLASSES:
            return index
        never_used = sorted(set(range(MAX_CLASSES)) - used)
        return never_used[0] if never_used else None


def loads(data: bytes, path: Path) -> ProjectFile:
    """Read project.json.

    Raises:
        ProjectFileError: not JSON, of a newer schema, or a field is missing or wrong; the message names it.
    """
    raw = _parsed(data, path)
    raw = _migrated(raw, path)
    known = {field.name for field in msgspec.structs.fields(ProjectFile)} - {"extra"}
    try:
        project = msgspec.convert({key: raw[key] for key in known & raw.keys()}, ProjectFile, strict=True)
    except msgspec.ValidationError as error:
        raise ProjectFileError(path, _sentence(str(error))) from error
    _check(project, path)
    extra = {key: value for key, value in raw.items() if key not in known}
    return msgspec.structs.replace(project, extra=extra)


def dumps(project: ProjectFile) -> bytes:
    """The bytes of project.json: UTF-8, indented, unknown keys last."""
    record: dict[str, JsonValue] = {
        "schema": SCHEMA,
        "name": project.name,
        "classes": [{"index": c.index, "name": c.name, "color": c.color} for c in project.classes],
        "background": project.background,
        "image_roots": list(project.image_roots),
        "settings": project.settings,
        **project.extra,
    }
    return (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()


def _parsed(data: bytes, path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ProjectFileError(path, f"is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except json.JSONDecodeError as error:
        raise ProjectFileError(
            path,
            f"is not valid JSON ({error.msg}, line {error.lineno}, column {error.colno}); mend it there, or "
            "move it away to begin a new project over the same annotations",
        ) from error
    except RecursionError as error:
        raise ProjectFileError(path, "is nested too deeply to be a project file") from error
    if not isinstance(raw, dict) or "schema" not in raw:
        raise ProjectFileError(
            path, "schema: is missing, so this is no Maskloop project file; move it away to begin a project"
        )
    return raw


def _migrated(raw: dict[str, Any], path: Path) -> dict[str, Any]:
    schema = raw["schema"]
    if type(schema) is not int or schema < 1:
        raise ProjectFileError(path, f"schema: must be a whole number from 1 on, not {schema!r}")
    if schema > SCHEMA:
        raise ProjectFileError(
            path, f"schema: {schema} is of a newer Maskloop (this one knows up to {SCHEMA}); update Maskloop"
        )
    while schema < SCHEMA:
        raw = _MIGRATIONS[schema](raw)
        schema += 1
    return raw


def _sentence(message: str) -> str:
    """The sentence of msgspec ("Expected `int`, got `str` - at `$.name`") with the field in front."""
    problem, _, where = message.partition(" - at ")
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", problem):
        inside = where.strip("`").removeprefix("$").removeprefix(".")
        return f"{inside + '.' if inside else ''}{missing[1]}: is missing"
    field = where.strip("`").removeprefix("$").removeprefix(".")
    if _COLOR in problem:
        problem = 'must be a colour like "#e69f00"'
    return f"{field}: {problem[:1].lower()}{problem[1:]}"


def _check(project: ProjectFile, path: Path) -> None:
    """What types alone do not say."""
    indices: set[int] = set()
    names: set[str] = set()
    for position, record in enumerate(project.classes):
        if record.index in indices:
            raise ProjectFileError(
                path, f"classes[{position}].index: {record.index} is the index of another class too"
            )
        if record.name in names:
            raise ProjectFileError(
                path, f"classes[{position}].name: {record.name!r} is the name of another class too"
            )
        if record.name == IGNORE_LABEL:
            raise ProjectFileError(
                path, f"classes[{position}].name: {IGNORE_LABEL!r} means pixels without a class; rename it"
            )
        indices.add(record.index)
        names.add(record.name)
    if project.background is not None and project.background not in indices:
        raise ProjectFileError(path, f"background: {project.background} is the index of no class")
    retired = project.settings.get(RETIRED_KEY, [])
    if not isinstance(retired, list) or not all(type(index) is int for index in retired):
        raise ProjectFileError(path, f"settings.{RETIRED_KEY}: must be a list of class indices")
    slots = project.settings.get(SLOTS_KEY, {})
    if not isinstance(slots, dict) or not all(_is_folder_name(slot) for slot in slots.values()):
        raise ProjectFileError(
            path, f"settings.{SLOTS_KEY}: must give a folder name for each image root outside the project"
        )


def _is_folder_name(value: JsonValue) -> bool:
    return isinstance(value, str) and value not in ("", ".", "..") and not set(value) & set("/\\")
