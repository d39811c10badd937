"""A folder per key, whole or absent: where takes, sounds and pieces of film are kept.

    root/kind/ab/abcd…/            the files of one entry
    root/kind/ab/abcd…/manifest.json   written last; without a valid one the entry does not exist
    root/kind/locks/abcd…          held while an entry is made or removed
    root/kind/quarantine/          what was found damaged

A key stands for its content, so an entry is never changed, only made, found and removed. The
manifest's modification time says when the entry was last of use.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from media.errors import StoreError, translate_os_errors
from media.files import TEMP_SUFFIX, file_lock, publish_folder, sha256_file, write_atomic

__all__ = ["ContentStore", "Damage", "Entry"]

MANIFEST = "manifest.json"
MANIFEST_VERSION = 1

_KEY = re.compile(r"[0-9a-f]{64}")

# Long names are cut in temporary ones (media.files.temp_sibling); locks are cut alike, so that
# the name of an abandoned temporary folder leads to its lock.
_LOCK_NAME_CHARS = 60
_TEMP_FOLDER = re.compile(rf"\.([0-9a-f]{{{_LOCK_NAME_CHARS}}})\..*{re.escape(TEMP_SUFFIX)}")

_TOUCH_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One key's files and what its maker wrote down about them."""

    key: str
    folder: Path
    files: Mapping[str, Path]
    """By name inside the folder; the manifest is not among them."""
    details: Mapping[str, Any]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Damage:
    """An entry that did not pass its check, and where it was moved (None: it could not be)."""

    key: str
    reason: str
    moved_to: Path | None


@dataclass(slots=True)
class ContentStore:
    """Entries of one kind under `root`, shared by every thread, process and run that uses it."""

    root: Path
    kind: str
    damage: list[Damage] = field(default_factory=list)
    """What was found damaged through this object."""

    @property
    def folder(self) -> Path:
        """Of this kind."""
        return self.root / self.kind

    def peek(self, key: str) -> bool:
        """Whether the entry seems to be there: one look at the disk, for plans of many shots."""
        return (self.entry_folder(key) / MANIFEST).exists()

    def find(self, key: str, *, verify: bool = True) -> Entry | None:
        """The entry, or None when it is absent or damaged.

        Every file must be there with its size; with `verify` its SHA-256 must be right too,
        which is read once a process for each state of a file. What is damaged is moved to
        quarantine and noted in `damage`.
        """
        entry = self._read(key, verify)
        if isinstance(entry, str):
            try:
                # Whoever holds the lock is making this entry anew, and deals with the old one.
                with file_lock(self._lock(key), timeout_s=0):
                    return self._find_locked(key, verify)
            except StoreError:
                self.damage.append(Damage(key, entry, None))
                return None
        return entry

    def make(
        self,
        key: str,
        build: Callable[[Path], Mapping[str, Any]],
        *,
        should_stop: Callable[[], bool] | None = None,
    ) -> Entry:
        """The entry, made by `build` when it is absent.

        `build` fills the empty folder it is given and returns the details, ready for JSON. One
        build at a time for a key: a second caller, here or in another process, waits and takes
        the first one's result. If the build fails, or its process dies, nothing is there and
        the next caller builds.
        """
        found = self.find(key)
        if found is not None:
            return found
        with file_lock(self._lock(key), should_stop=should_stop):
            found = self._find_locked(key, verify=True)
            if found is not None:
                return found
            self._sweep(key)
            what = f"make an entry of {self.kind}"
            with (
                publish_folder(self.entry_folder(key)) as temp,
                translate_os_errors(what, self.folder),
            ):
                details = build(temp)
                self._write_manifest(key, temp, details)
            made = self._read(key, verify=False)
        if made is None or isinstance(made, str):
            raise StoreError(
                f"the entry {key[:12]} went away as soon as it was made",
                where=str(self.folder),
                todo="check the disk",
            )
        return made

    def keys(self) -> Iterator[str]:
        """Every key that seems to be there, in order."""
        if not self.folder.is_dir():
            return
        with translate_os_errors("list", self.folder):
            shelves = sorted(shelf for shelf in self.folder.iterdir() if len(shelf.name) == 2)
            for shelf in shelves:
                for folder in sorted(shelf.iterdir()):
                    if _KEY.fullmatch(folder.name) and self.peek(folder.name):
                        yield folder.name

    def size_bytes(self, key: str) -> int:
        """Bytes on disk of the entry; 0 when absent."""
        return _folder_bytes(self.entry_folder(key))

    def last_used(self, key: str) -> float:
        """When the entry was made or last found, in seconds since 1970; 0 when absent."""
        try:
            return (self.entry_folder(key) / MANIFEST).stat().st_mtime
        except OSError:
            return 0.0

    def touch(self, key: str) -> None:
        """Note that the entry is of use now; a store that cannot be written stays as it is."""
        with suppress(OSError):
            os.utime(self.entry_folder(key) / MANIFEST)

    def remove(self, key: str, *, used_before: float) -> int | None:
        """Remove the entry and return its bytes; None when it is in use or was used since."""
        with ExitStack() as held:
            try:
                held.enter_context(file_lock(self._lock(key), timeout_s=0))
            except StoreError:
                if not os.access(self.folder, os.W_OK):
                    raise
                return None
            if not self.peek(key) or self.last_used(key) >= used_before:
                return None
            num_bytes = self.size_bytes(key)
            with translate_os_errors("remove", self.entry_folder(key)):
                # Without its manifest it no longer exists, whatever happens next.
                (self.entry_folder(key) / MANIFEST).unlink()
                shutil.rmtree(self.entry_folder(key))
            return num_bytes

    def litter(self) -> list[Path]:
        """Temporary folders whose makers are gone, half-removed entries, and the quarantine."""
        found = sorted((self.folder / "quarantine").glob("*"))
        for temp in sorted(self.folder.glob(f"??/.*{TEMP_SUFFIX}")):
            match = _TEMP_FOLDER.fullmatch(temp.name)
            if match and not self._is_locked(match[1]):
                found.append(temp)
        for folder in sorted(self.folder.glob("??/*")):
            whole = (folder / MANIFEST).exists()
            if _KEY.fullmatch(folder.name) and not whole and not self._is_locked(folder.name):
                found.append(folder)
        return found

    def sweep(self) -> int:
        """Remove the litter and return its bytes."""
        num_bytes = 0
        for path in self.litter():
            num_bytes += _folder_bytes(path)
            shutil.rmtree(path, ignore_errors=True)
        return num_bytes

    def entry_folder(self, key: str) -> Path:
        """Where the entry is or would be."""
        if not _KEY.fullmatch(key):
            raise StoreError(f"expected a key of 64 hexadecimal digits, got {key[:80]!r}")
        return self.folder / key[:2] / key

    def _lock(self, key: str) -> Path:
        return self.folder / "locks" / key[:_LOCK_NAME_CHARS]

    def _is_locked(self, key: str) -> bool:
        try:
            with file_lock(self._lock(key), timeout_s=0):
                return False
        except StoreError:
            return True

    def _find_locked(self, key: str, verify: bool) -> Entry | None:
        entry = self._read(key, verify)
        if isinstance(entry, str):
            self._quarantine(key, entry)
            return None
        return entry

    def _read(self, key: str, verify: bool) -> Entry | str | None:
        """The entry, None when absent, or what is wrong with it."""
        folder = self.entry_folder(key)
        try:
            text = (folder / MANIFEST).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            # An entry that is being removed, or was when the machine stopped, is absent.
            return None
        except OSError as error:
            return f"its manifest cannot be read: {(error.strerror or str(error)).lower()}"
        listed = _parse_manifest(text, self.kind, key)
        if isinstance(listed, str):
            return listed
        files: dict[str, Path] = {}
        size_bytes = len(text)
        for name, (num_bytes, digest) in listed.files.items():
            wrong = _wrong_file(folder / name, num_bytes, digest if verify else "")
            if wrong:
                return f"{name} {wrong}"
            files[name] = folder / name
            size_bytes += num_bytes
        if time.time() - self.last_used(key) > _TOUCH_EVERY_S:
            self.touch(key)
        return Entry(key, folder, files, listed.details, size_bytes)

    def _write_manifest(self, key: str, folder: Path, details: Mapping[str, Any]) -> None:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {
            path.relative_to(folder).as_posix(): {
                "bytes": path.stat().st_size,
                "sha256": sha256_file(path),
            }
            for path in paths
        }
        manifest = {
            "version": MANIFEST_VERSION,
            "kind": self.kind,
            "key": key,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "files": files,
            "details": details,
        }
        text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
        write_atomic(folder / MANIFEST, text + "\n")

    def _quarantine(self, key: str, reason: str) -> None:
        """Called with the key's lock held."""
        folder = self.entry_folder(key)
        target = self.folder / "quarantine" / f"{key}.{time.time_ns()}"
        with translate_os_errors("put a damaged entry aside", folder):
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)
        self.damage.append(Damage(key, reason, target))

    def _sweep(self, key: str) -> None:
        """Remove what earlier makers of `key` left when they died; its lock is held."""
        shelf = self.entry_folder(key).parent
        for temp in shelf.glob(f".{key[:_LOCK_NAME_CHARS]}.*{TEMP_SUFFIX}"):
            shutil.rmtree(temp, ignore_errors=True)
        if self.entry_folder(key).exists():
            # Without a manifest: its removal was cut short.
            shutil.rmtree(self.entry_folder(key), ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Listed:
    files: Mapping[str, tuple[int, str]]
    details: Mapping[str, Any]


def _parse_manifest(text: bytes, kind: str, key: str) -> _Listed | str:
    try:
        manifest = json.loads(text)
        expected = (MANIFEST_VERSION, kind, key)
        found = (manifest["version"], manifest["kind"], manifest["key"])
        if found != expected:
            return f"its manifest says {found}, expected {expected}"
        files = {
            str(name): (int(facts["bytes"]), str(facts["sha256"]))
            for name, facts in manifest["files"].items()
        }
        if any(".." in name.split("/") or name.startswith("/") for name in files):
            return "its manifest names files outside its folder"
        return _Listed(files, dict(manifest["details"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "its manifest is damaged"


def _wrong_file(path: Path, num_bytes: int, digest: str) -> str:
    """What is wrong with the file, or nothing; an empty `digest` is not compared."""
    try:
        size = path.stat().st_size
        if size != num_bytes:
            return f"has {size} bytes, expected {num_bytes}"
        if digest and sha256_file(path) != digest:
            return "is not what was written"
    except (OSError, StoreError):
        return "is missing or cannot be read"
    return ""


def _folder_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_size if path.is_file() else 0
    return total
