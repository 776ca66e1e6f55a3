"""Which images of a folder are predicted, and what their results are called. Torch-free."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import MaskloopError
from core.files import walk
from core.images.pages import image_file, image_stem, page_names
from core.learning.prediction.prediction_journal import identity
from core.project.image_folders import is_image_name
from core.project.layout import ProjectLayout
from core.project.scan import natural_order


@dataclass(frozen=True, slots=True)
class Source:
    """An image to predict, and the folders below which its result goes, with `/`; "" for none."""

    path: Path
    place: str = ""


def sources(
    paths: Iterable[str],
    *,
    subfolders: bool = False,
    without: Path | None = None,
    results: Collection[Path] = (),
) -> list[Source]:
    """The images that are named, and those in the folders that are named, in natural order, each once.

    Args:
        paths: images, and folders of them.
        subfolders: look into folders of folders; of a project only into those with images.
        without: a folder in one of these that is passed over: the one of the results.
        results: files in them that are passed over, as resolved: what was predicted into the same folder.

    Raises:
        MaskloopError: one of them is not there, or a folder holds no image.
    """
    found: dict[str, Source] = {}
    for text in paths:
        path = Path(text)
        if path.is_dir():
            images = _inside(path, subfolders, without, results)
            inside = sorted(images, key=lambda source: natural_order(str(source.path)))
            if not inside:
                raise MaskloopError(f"{path}: there is no image in this folder")
        elif image_file(path).exists():
            inside = [Source(path)]
        else:
            raise MaskloopError(f"{path}: there is no such image")
        for source in inside:
            found.setdefault(identity(source.path), source)
    return list(found.values())


def _inside(
    folder: Path, subfolders: bool, without: Path | None, results: Collection[Path]
) -> Iterator[Source]:
    hidden = None if without is None else without.resolve()
    skipped = ProjectLayout.SKIPPED if ProjectLayout(folder).project_file.is_file() else frozenset()
    for place, folders, files in walk(folder):
        relative, real = place.relative_to(folder).as_posix(), place.resolve()
        for name in files:
            if is_image_name(name) and real / name not in results:
                for page in page_names(place / name):
                    yield Source(place / page, "" if relative == "." else relative)
        if not subfolders:
            return
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".")
            and not (place == folder and name in skipped)
            and (place / name).resolve() != hidden
        ]


def planned_names(everything: Sequence[Source], known: Mapping[str, str], suffix: str) -> dict[Path, str]:
    """The result's name for each image; equal stems get a number.

    The plan is made over all images, so that programs that share the work agree on it, and what has a name
    keeps it.

    Args:
        everything: all images, in order.
        known: names that images have from before, by absolute path.
        suffix: of the names.
    """
    names = {s.path: known[identity(s.path)] for s in everything if identity(s.path) in known}
    taken = {name.casefold() for name in names.values()}
    for source in everything:
        if source.path in names:
            continue
        stem = f"{source.place}/{image_stem(source.path)}".lstrip("/")
        name, number = f"{stem}{suffix}", 2
        while name.casefold() in taken:
            name, number = f"{stem}_{number}{suffix}", number + 1
        names[source.path] = name
        taken.add(name.casefold())
    return names
