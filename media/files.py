"""Files that are whole or absent: atomic writes, published folders, locks, content hashes.

A name in the store either holds everything or does not exist: what is written under a temporary
name is flushed to disk and then renamed, which POSIX makes one step.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from media.errors import CancelledError, StoreError, translate_os_errors

__all__ = [
    "TEMP_SUFFIX",
    "file_lock",
    "free_bytes",
    "publish_folder",
    "sha256_file",
    "temp_sibling",
    "write_atomic",
]

TEMP_SUFFIX = ".tmp"
"""Ends every temporary name made here: what still carries it after a crash is rubbish."""


def sha256_file(path: Path) -> str:
    """SHA-256 of the file's bytes, in hexadecimal.

    Remembered for as long as path, size and modification time stay the same, so that a plan of
    a thousand shots reads each reference once.
    """
    with translate_os_errors("read", path):
        stat = path.stat()
        return _sha256_of(str(path.absolute()), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=65536)
def _sha256_of(path: str, _size: int, _mtime_ns: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write `data` (text as UTF-8) so that `path` holds either what it held or all of it."""
    temp = temp_sibling(path)
    with translate_os_errors("write", path):
        try:
            with temp.open("xb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
                file.flush()
                os.fsync(file.fileno())
            temp.replace(path)
            _fsync(path.parent)
        finally:
            temp.unlink(missing_ok=True)


@contextmanager
def publish_folder(final: Path) -> Iterator[Path]:
    """A temporary folder beside `final`, which becomes `final` in one step on a clean exit.

    If somebody published `final` meanwhile, theirs stays and ours is dropped: a name stands for
    its content, so both hold the same. After an error nothing is left behind.
    """
    temp = temp_sibling(final)
    with translate_os_errors("make a folder", final):
        temp.mkdir(parents=True)
    try:
        yield temp
        with translate_os_errors("publish", final):
            _fsync_tree(temp)
            _rename_unless_there(temp, final)
            _fsync(final.parent)
    finally:
        shutil.rmtree(temp, ignore_errors=True)


@contextmanager
def file_lock(
    path: Path,
    *,
    timeout_s: float | None = None,
    poll_s: float = 0.1,
    should_stop: Callable[[], bool] | None = None,
) -> Iterator[None]:
    """Hold the lock at `path`; one holder at a time over threads and processes.

    The kernel lets go of the lock when its holder dies, however it dies. The lock file itself
    stays: removing it would let two holders lock two different files of one name. StoreError
    after `timeout_s`; CancelledError when `should_stop` says so while waiting.
    """
    with translate_os_errors("open the lock", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not _try_lock(descriptor, path):
            if should_stop is not None and should_stop():
                raise CancelledError("cancelled while waiting for a lock", where=str(path))
            if deadline is not None and time.monotonic() >= deadline:
                raise StoreError(
                    f"still locked by another run after {timeout_s:g} s",
                    where=str(path),
                    todo="wait for the other run to end, or stop it",
                )
            time.sleep(poll_s)
        yield
    finally:
        os.close(descriptor)


def free_bytes(path: Path) -> int:
    """Bytes that can still be written at `path`, or where it would be made."""
    there = path.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    with translate_os_errors("measure the free space", path):
        return shutil.disk_usage(there).free


def temp_sibling(path: Path) -> Path:
    """A name beside `path` that nobody else uses, on the same file system."""
    # File systems allow 255 bytes a name; a long one is cut, the random part makes it unique.
    return path.with_name(f".{path.name[:60]}.{uuid.uuid4().hex}{TEMP_SUFFIX}")


def _try_lock(descriptor: int, path: Path) -> bool:
    with translate_os_errors("lock", path):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _rename_unless_there(temp: Path, final: Path) -> None:
    try:
        temp.rename(final)
    except OSError as error:
        taken = error.errno in (errno.ENOTEMPTY, errno.EEXIST) and final.is_dir()
        if not taken:
            raise


def _fsync_tree(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            _fsync(Path(root, name))
        _fsync(Path(root))


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
