"""One run at a time in a deliveries folder, swept of what a run that was killed left there.

And what is known of such a folder without the planner: the names in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

from media.files import TEMP_SUFFIX, file_lock

__all__ = ["RECORD", "REPORT", "WORK_PREFIX", "delivered_names", "hold_delivery_folder"]

RECORD = "deliveries.json"
"""What was delivered into the folder: `flows/handover.py` writes and reads all of it."""
REPORT = "report.html"

WORK_PREFIX = ".cutting-"
"""Begins the name of the folder in which a deliverable is put together."""

_LEFT_OVER = re.compile(rf"{re.escape(WORK_PREFIX)}.*|\..+\.[0-9a-f]{{32}}{re.escape(TEMP_SUFFIX)}")


@contextmanager
def hold_delivery_folder(out: Path, store: Path, stop: Event) -> Iterator[None]:
    """Hold `out` for this run; what an earlier one left under temporary names is removed.

    A second run of the same film waits here and then finds the first one's files. The lock is
    kept in the store, so that nothing but films lies beside the films. StoreError when the store
    cannot be written, CancelledError when `stop` is set while waiting.
    """
    name = hashlib.sha256(os.fsencode(out.resolve())).hexdigest()[:32]
    with file_lock(store / "deliveries" / f"{name}.lock", should_stop=stop.is_set):
        _sweep(out)
        yield


def delivered_names(folder: Path) -> frozenset[str]:
    """Files that were delivered into `folder`, as paths from there; none when it is no such."""
    try:
        table = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        deliveries = table["deliveries"].values()
        return frozenset(name for entry in deliveries for name in entry["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return frozenset()


def _sweep(out: Path) -> None:
    if not out.is_dir():
        return
    for path in out.iterdir():
        if not _LEFT_OVER.fullmatch(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            # A folder that cannot be written is reported by whoever writes a film into it.
            with suppress(OSError):
                path.unlink()
