"""labels.txt: the list of labels that labelme users keep beside their images, one a line."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

FILE_NAME: Final = "labels.txt"
_MOST_BYTES: Final = 1 << 16


def read_labels(path: Path) -> tuple[str, ...]:
    """The labels of a labels.txt in order, blank lines left out; nothing if it cannot be read."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8-sig", errors="replace")
    except OSError:
        return ()
    return tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def listed_labels(folders: Iterable[Path], used: Collection[str]) -> tuple[str, ...]:
    """The labels of the labels.txt that belongs to these folders; nothing if none does.

    Looked for in the folders, then one level up, where labelme's users put it. It belongs to them if it
    lists a label that is in use: a file of that name can be about anything.
    """
    folders = list(folders)
    for folder in dict.fromkeys([*folders, *(folder.parent for folder in folders)]):
        labels = read_labels(folder / FILE_NAME)
        if any(label in used for label in labels):
            return labels
    return ()
