"""Writing so that a crash leaves the old file or the new one, digests, safe names, and the project lock."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import re
import secrets
import socket
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import ProjectLockedError, StorageError

if TYPE_CHECKING:
    from filelock import BaseFileLock

TEMPORARY_PREFIX: Final = ".maskloop-"
"""Start of every temporary file's name: hidden, and never taken for an image or an annotation."""

_RENAME_PATIENCE_S: Final = 1.0
_DIGEST_BYTES: Final = 16
_WINDOWS_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a whole file or nothing: temporary file in the same folder, fsync, rename.

    Missing folders are made; a symbolic link keeps pointing at the file it points at; an existing file keeps
    its permissions.

    Args:
        path: the file.
        data: its content.
        durable: False leaves out the fsync, for what can be made again: after a power cut the file may be
            damaged.

    Raises:
        StorageError: it cannot be written; what was there is untouched.
    """
    try:
        target = path.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = write_temporary(target, data, durable=durable)
        try:
            replace_file(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StorageError.from_os_error(path, error) from error


def write_temporary(target: Path, data: bytes, *, durable: bool = True) -> Path:
    """Write `data`, durably by default, to a new hidden file beside `target`; return it. Raises OSError."""
    temporary = target.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}.tmp"
    # 0o666 less the umask, as any program's new file: tempfile's 0600 would hide annotations from colleagues.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            temporary.chmod(target.stat().st_mode & 0o7777)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def replace_file(temporary: Path, target: Path) -> None:
    """Rename over `target`; on Windows wait a moment for a reader that holds it open. Raises OSError."""
    give_up = time.monotonic() + _RENAME_PATIENCE_S
    while True:
        try:
            temporary.replace(target)
            return
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def is_file(path: Path) -> bool:
    """As `Path.is_file`; False too for a name that is too long, or a place that may not be looked into."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """As `Path.is_dir`; False too for a name that is too long, or a place that may not be looked into."""
    try:
        return path.is_dir()
    except OSError:
        return False


def carry_on() -> None:
    """The `check` of work that nobody wants to end early; another one ends it by raising."""


def walk(
    folder: Path, seen: set[str] | None = None, on_error: Callable[[OSError], None] | None = None
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """As `os.walk`, through links as well, but into each folder once, whatever links lead to it.

    Real paths that are in `seen` are left out; those walked join it. `on_error` hears of folders that cannot
    be read.
    """
    seen = set() if seen is None else seen
    for top, folders, files in os.walk(folder, onerror=on_error, followlinks=True):
        real = os.path.realpath(top)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield Path(top), folders, files


def digest(data: bytes) -> str:
    """Fingerprint of a file's content, hexadecimal (blake2b, 128 bits)."""
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


def file_digest(path: Path) -> str | None:
    """Fingerprint of the file's content; None when there is no such file.

    Raises:
        StorageError: the file exists and cannot be read.
    """
    fingerprint = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                fingerprint.update(block)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(path, f"cannot be read ({error.strerror or error})") from error
    return fingerprint.hexdigest()


def safe_name(text: str) -> str:
    """A file name that every operating system takes, as close to `text` as that allows; never empty."""
    name = unicodedata.normalize("NFC", text)
    name = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*]+', "_", name).strip(" .")
    if _WINDOWS_DEVICES.fullmatch(name):
        name = f"_{name}"
    return name[:100].rstrip(" .") or "_"


@dataclass(frozen=True, slots=True)
class LockNote:
    """Who holds a lock, as written beside it for people and other windows to read.

    Attributes:
        holder: "user@host". pid: process number there. program: what it runs. since: local time, ISO 8601.
    """

    holder: str
    pid: int
    program: str
    since: str

    @classmethod
    def of_this_process(cls, holder: str | None = None) -> LockNote:
        """The note this process leaves."""
        name = Path(sys.argv[0]).stem if sys.argv and sys.argv[0] else "python"
        program = "maskloop" if name == "__main__" else name
        now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        return cls(holder or _user_at_host(), os.getpid(), program, now)

    @classmethod
    def read(cls, path: Path) -> LockNote | None:
        """The note in a file; None when there is none or it is not one."""
        try:
            fields = json.loads(path.read_bytes())
            return cls(
                str(fields["holder"]), int(fields["pid"]), str(fields["program"]), str(fields["since"])
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def __str__(self) -> str:
        return f"{self.holder} ({self.program}, process {self.pid}, since {self.opened()})"

    def opened(self, now: datetime | None = None) -> str:
        """When, as people say it here: "14:02", or with the day where that is not today's."""
        try:
            since = datetime.fromisoformat(self.since).astimezone()
        except ValueError:
            return self.since
        today = (datetime.now() if now is None else now).date()
        return f"{since:%H:%M}" if since.date() == today else f"{since:%d %b, %H:%M}"

    def was_cut_short(self, now: datetime | None = None) -> str:
        """What to tell whoever takes over from a holder that ended without giving the lock back."""
        who = "" if self.holder == _user_at_host() else f" of {self.holder}"
        return (
            f"Last time (opened {self.opened(now)}) the program{who} ended without closing this project."
            " Everything that had been saved is here."
        )


def _user_at_host() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's numeric user without an entry in passwd
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


class ProjectLock:
    """One holder at a time: the operating system's file lock, and a note that says whose it is.

    The operating system frees the lock when its process ends, however it ends; the note then stays behind,
    which is how the next holder knows.

    Attributes:
        stale_holder: after `acquire`, who held the lock before and ended without releasing it; else None.
    """

    def __init__(self, path: Path, holder: str | None = None) -> None:
        self._path = path
        self._note_path = path.with_name(f"{path.name}.json")
        self._holder = holder
        self._lock: BaseFileLock | None = None
        self.stale_holder: LockNote | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._lock is not None

    def acquire(self) -> None:
        """Take the lock at once or not at all.

        Raises:
            ProjectLockedError: another process, or another object in this one, holds it.
            StorageError: the lock cannot be written.
        """
        if self._lock is not None:
            return
        from filelock import FileLock, Timeout  # 70 ms that only a window opening a project pays

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # thread_local=False: a window opens in a worker and closes in its main thread.
            lock = FileLock(self._path, thread_local=False)
            lock.acquire(timeout=0)
        except Timeout as timeout:
            raise ProjectLockedError(self._refusal()) from timeout
        except OSError as error:
            raise StorageError.from_os_error(self._path, error) from error
        self._lock = lock
        self.stale_holder = LockNote.read(self._note_path)
        note = json.dumps(asdict(LockNote.of_this_process(self._holder)))
        try:
            write_atomic(self._note_path, note.encode())
        except StorageError:
            self.release()
            raise

    def release(self) -> None:
        """Give the lock back; without it nothing happens."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            self._note_path.unlink(missing_ok=True)
        self._lock.release()
        self._lock = None

    def _refusal(self) -> str:
        note = LockNote.read(self._note_path)
        project = self._path.parent.parent
        by = f"by {note}" if note else "in another window"
        return f"{project}: the project is open {by}; close it there first"
