"""What the values of foreign index masks mean: `classes.json` beside them, and the project's classes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import IGNORE_LABEL, MAX_CLASSES, UNLABELLED, ClassList
from core.errors import MaskFileError, ProjectFileError, UsageError
from core.formats.report import ImportReport
from core.project import schema
from core.project.layout import ProjectLayout
from core.project.project import Project

TABLE_NAME: Final = "classes.json"
UNKNOWN: Final = -1


def class_table(classes: ClassList) -> bytes:
    """classes.json of an export: index, name and colour of every class, and what is background."""
    table = {
        "classes": [{"index": c.index, "name": c.name, "color": c.color} for c in classes],
        "background": classes.background,
        "unlabelled": UNLABELLED,
    }
    return (json.dumps(table, indent=2, ensure_ascii=False) + "\n").encode()


def meaning_of_values(
    project: Project, folder: Path, used: Collection[int], report: ImportReport
) -> NDArray[np.int16]:
    """The project's class index for each value a foreign mask can have, (256,), or UNKNOWN.

    With a `classes.json`, or the project.json of another project, values are translated by name, and names
    that are used and no class yet become classes. Without one values are the project's own indices; only a
    project that has nothing but a background gets a class for each index that is used.
    """
    tables = (
        _read_table(p / TABLE_NAME, report) or _other_project(project, p) for p in (folder, folder.parent)
    )
    table = next(filter(None, tables), None)
    meaning = np.full(UNLABELLED + 1, UNKNOWN, np.int16)
    if table is not None:
        for row in table:
            if row.name == IGNORE_LABEL:
                meaning[row.index] = UNLABELLED
                continue
            label_class = project.classes.by_name(row.name)
            if row.background and label_class is None and project.classes.background is not None:
                label_class = project.classes.by_index(project.classes.background)
            if label_class is None and row.index in used:
                label_class = project.add_class(row.name, row.color)
                report.new_classes.append(label_class.name)
            if label_class is not None:
                meaning[row.index] = label_class.index
    else:
        if all(label_class.index == project.classes.background for label_class in project.classes):
            for index in sorted(set(used) - set(project.classes.indices) - {UNLABELLED}):
                added = project.add_class(f"class {index}", index=index)
                report.new_classes.append(added.name)
        meaning[list(project.classes.indices)] = project.classes.indices
    meaning[UNLABELLED] = UNLABELLED
    return meaning


def translated(
    path: Path, mask: NDArray[np.uint8], meaning: NDArray[np.int16], classes: ClassList
) -> NDArray[np.uint8]:
    """A mask (H, W) with the project's indices. Raises MaskFileError naming a value without a meaning."""
    indices = meaning[mask]
    unknown = np.unique(mask[indices == UNKNOWN]).tolist()
    if unknown:
        noun = "class index" if len(unknown) == 1 else "class indices"
        known = ", ".join(f"{c.index} {c.name}" for c in classes)
        raise MaskFileError(
            path,
            f"has the {noun} {', '.join(map(str, unknown[:5]))}, which no class of the project has "
            f"(classes: {known}); add the class first or correct the mask",
        )
    return indices.astype(np.uint8)


@dataclass(frozen=True, slots=True)
class _Row:
    index: int
    name: str
    color: str | None
    background: bool


def _read_table(path: Path, report: ImportReport) -> list[_Row] | None:
    """The rows of a classes.json; None without one. A broken one is reported and counts as none."""
    try:
        return list(_rows(json.loads(path.read_bytes())))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, UsageError) as error:
        report.problems.append(
            MaskFileError(path, f"is not a list of classes with index and name ({error}); it was left aside")
        )
        return None


def _other_project(project: Project, folder: Path) -> list[_Row] | None:
    """The classes of the project in this folder; None where there is none, or it is the same."""
    path = ProjectLayout(folder).project_file
    if folder == project.root:
        return None
    try:
        classes = schema.loads(path.read_bytes(), path).class_list
    except (OSError, ProjectFileError):
        return None
    return [_Row(c.index, c.name, c.color, c.index == classes.background) for c in classes]


def _rows(table: Any) -> Iterator[_Row]:
    """Rows of our own table, of a mapping of indices to names or records, or of a list of those."""
    background = table.get("background") if isinstance(table, dict) else None
    rows = table["classes"] if isinstance(table, dict) and "classes" in table else table
    pairs: Iterable[tuple[Any, Any]] = rows.items() if isinstance(rows, dict) else enumerate(rows)
    for key, row in pairs:
        record: dict[str, Any] = row if isinstance(row, dict) else {"name": row}
        index, name = int(record.get("index", key)), record["name"]
        if not isinstance(name, str) or not 0 <= index < MAX_CLASSES:
            raise ValueError(f"index {index}, name {name!r}")
        color = record.get("color")
        is_color = isinstance(color, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", color)
        yield _Row(index, name, color if is_color else None, index == background)
