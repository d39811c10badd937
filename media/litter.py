"""What dead makers and damage leave in a store's folder."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from media.files import TEMP_SUFFIX
from media.manifest import MANIFEST

__all__ = ["LOCK_NAME_CHARS", "clear_after", "folder_bytes", "litter_in"]

LOCK_NAME_CHARS = 60
"""Long names are cut in temporary ones (media.files.temp_sibling); locks are cut alike, so that
the name of an abandoned temporary folder leads to its lock."""

_TEMP_FOLDER = re.compile(rf"\.([0-9a-f]{{{LOCK_NAME_CHARS}}})\..*{re.escape(TEMP_SUFFIX)}")
_KEY = re.compile(r"[0-9a-f]{64}")


def litter_in(folder: Path, is_locked: Callable[[str], bool]) -> list[Path]:
    """Temporary folders whose makers are gone, half-removed entries, and the quarantine.

    `is_locked` tells of a key, or of the beginning of one, whether somebody holds its lock.
    """
    found = sorted((folder / "quarantine").glob("*"))
    for temp in sorted(folder.glob(f"??/.*{TEMP_SUFFIX}")):
        match = _TEMP_FOLDER.fullmatch(temp.name)
        if match and not is_locked(match[1]):
            found.append(temp)
    for entry in sorted(folder.glob("??/*")):
        whole = (entry / MANIFEST).exists()
        if _KEY.fullmatch(entry.name) and not whole and not is_locked(entry.name):
            found.append(entry)
    return found


def clear_after(entry: Path) -> None:
    """Remove what earlier makers of the entry left when they died; its lock is held."""
    for temp in entry.parent.glob(f".{entry.name[:LOCK_NAME_CHARS]}.*{TEMP_SUFFIX}"):
        shutil.rmtree(temp, ignore_errors=True)
    if entry.exists() and not (entry / MANIFEST).exists():
        # Its removal was cut short.
        shutil.rmtree(entry, ignore_errors=True)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in it, as far as they can be seen."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_size if path.is_file() else 0
    return total
