"""Fetching large files so that a connection that breaks costs what was under way, not what had come."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ipaddress
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

from core.errors import StorageError, UsageError

Notify: TypeAlias = Callable[[str, float | None], None]
"""Called with one line for the person and, where it is known, the share that is done, 0..1."""

ATTEMPTS: Final = 3
"""In a row that brought something; after them the person is told, and the next try goes on from there."""
HUB_ADDRESS: Final = "HF_ENDPOINT"
"""The environment variable that names another server than the Hugging Face hub."""
_CHUNK_BYTES: Final = 1 << 20
_TIMEOUT_S: Final = 30.0
_LOOK_AGAIN_S: Final = 1.0
_PARTIAL_CONTENT: Final = 206
_RANGE_REFUSED: Final = 416


def download(url: str, path: Path, text: str, notify: Notify) -> None:
    """Bring a file to `path`, where it appears only when it is whole.

    What came before a connection broke, or the process ended, lies beside it as `.part`, and the rest is
    asked for: at once, and by the next call. Of two processes that want the same file, one waits for the
    other. Where a file is what its name promises (`is_as_promised`), nothing is done; one that is not is
    replaced, and removed if it has just come.

    Raises:
        URLError, TimeoutError, ConnectionError: the network.
        ValueError: what came is not the file its name promises.
        StorageError: the cache folder cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with _alone(path, text, notify):
            if is_as_promised(path):  # by whoever was waited for
                return
            part.touch()
            try:
                _complete(url, part, text, notify)
                if not is_as_promised(part):
                    part.unlink()
                    raise ValueError(
                        f"{path.name} came otherwise than it should be, and was removed: try again"
                    )
                part.replace(path)
            finally:
                _remove_empty(part)
    except OSError as error:
        if isinstance(error, urllib.error.URLError | TimeoutError | ConnectionError):
            raise
        raise StorageError.from_os_error(path, error) from error


def is_as_promised(path: Path) -> bool:
    """Whether there is a file that can be read and has the SHA-256 of its name.

    Names such as `vgg16-397923af.pth` carry its first digits; others promise nothing.
    """
    promised = re.search(r"-([0-9a-f]{8,})\.", path.name)
    try:
        return path.is_file() and (promised is None or sha256(path).startswith(promised[1]))
    except OSError:
        return False


def sha256(path: Path) -> str:
    """Of a file's bytes, 64 digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _alone(path: Path, text: str, notify: Notify) -> Iterator[None]:
    """Nobody else brings this file meanwhile; the operating system ends the claim of a process that dies."""
    from filelock import FileLock, Timeout  # 70 ms that only those pay who download

    folder = path.parent / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{path.name}.lock")
    while True:
        try:
            lock.acquire(timeout=_LOOK_AGAIN_S)
            break
        except Timeout:
            notify(f"{text}, as another process does already", None)
    try:
        yield
    finally:
        lock.release()


def _remove_empty(part: Path) -> None:
    with contextlib.suppress(OSError):
        if not part.stat().st_size:
            part.unlink()


def _complete(url: str, part: Path, text: str, notify: Notify) -> None:
    """Append to `part` until it is whole, as long as each connection brings something."""
    for _ in range(ATTEMPTS):
        before = part.stat().st_size
        try:
            with part.open("ab") as file:
                _append(url, file, text, notify)
        except (http.client.HTTPException, TimeoutError, ConnectionError):
            if part.stat().st_size <= before:
                break
        else:
            return
    # Out of the handler: what the client said first ("IncompleteRead") is nothing for a person.
    come = part.stat().st_size / 1e6
    raise ConnectionError(f"the connection broke after {come:.1f} MB, which are kept for the next try")


def _append(url: str, file: BinaryIO, text: str, notify: Notify) -> None:
    """Write what is missing to the end of a file. Raises IncompleteRead where the connection ends early."""
    done = file.seek(0, os.SEEK_END)
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = _opened(request)
    except urllib.error.HTTPError as error:
        if error.code != _RANGE_REFUSED or not done:
            raise
        # What lies there is as long as the file, or longer: its digest decides, or it starts again.
        if int((error.headers.get("Content-Range") or "*/-1").rpartition("/")[2]) == done:
            return
        file.truncate(0)
        response = _opened(urllib.request.Request(url))
    with response:
        if response.status != _PARTIAL_CONTENT:
            file.truncate(0)  # a server that knows no ranges sends all of it
        done = file.seek(0, os.SEEK_END)
        coming = int(response.headers.get("Content-Length") or 0)
        size = done + coming if coming else 0
        while chunk := _received(response):
            file.write(chunk)
            done += len(chunk)
            notify(text, done / size if size else None)
        if size and done != size:
            raise http.client.IncompleteRead(b"", size - done)


def _opened(request: urllib.request.Request) -> http.client.HTTPResponse:
    with _of_the_network():
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
        return response


def _received(response: http.client.HTTPResponse) -> bytes:
    with _of_the_network():
        return response.read(_CHUNK_BYTES)


@contextlib.contextmanager
def _of_the_network() -> Iterator[None]:
    """Tell what fails there from a disk that fails: broken TLS has the number of a forbidden file."""
    try:
        yield
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        raise
    except OSError as error:
        raise ConnectionError(str(error)) from error


def malformed_hub() -> str:
    """What is wrong with the hub's address that the environment names; "" for nothing.

    The hub's client fails with a malformed one in many ways, and not the same in each of its versions.
    """
    address = os.environ.get(HUB_ADDRESS)
    if address is None or _is_address(address):
        return ""
    return f"the environment variable {HUB_ADDRESS} is {address!r}, which is no address of a server"


@contextlib.contextmanager
def importing_hub_client() -> Iterator[None]:
    """Around an import that brings the hub's client, which may take the address apart at once.

    Raises:
        UsageError: the address is so malformed that the import failed.
    """
    try:
        yield
    except ValueError as error:
        if problem := malformed_hub():
            raise UsageError(f"{problem}: correct or remove it") from error
        raise


def _is_address(text: str) -> bool:
    # The client fills in braces, and refuses control characters.
    if not re.fullmatch(r"(?i:https?)://[^\s{}\x00-\x1f\x7f]+", text):
        return False
    try:
        parts = urllib.parse.urlsplit(text)
        host, _ = parts.hostname or "", parts.port
        if re.fullmatch(r"[\d.]+|.*:.*", host):
            ipaddress.ip_address(host)
        return bool(host.encode("idna"))
    except ValueError:
        return False


def progress_bar(text: str, notify: Notify) -> type[Any]:
    """A progress bar class for the hub's client that reports to `notify` instead of a terminal."""
    from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

    class Reporter(tqdm):  # type: ignore[type-arg, misc, unused-ignore]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            super().__init__(*args, **{**kwargs, "file": _Sink(), "disable": False})

        def update(self, n: float | None = 1) -> bool | None:
            shown: bool | None = super().update(n)
            notify(text, min(1.0, self.n / self.total) if self.total else None)
            return shown

    return Reporter


class _Sink:
    """A terminal that shows nothing."""

    def write(self, _text: str) -> None: ...

    def flush(self) -> None: ...
