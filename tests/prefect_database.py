"""An empty database of a Prefect server, made once on a machine and copied for each test server.

Making one runs over a hundred migrations: half of the time that a server takes to start.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from media.files import file_lock

__all__ = ["place_database"]

_MADE_WITHIN_S = 240


def place_database(target: Path) -> None:
    """Put an empty database at `target`, unless there is one."""
    if target.exists():
        return
    folder = Path(tempfile.gettempdir()) / f"takeboard-tests-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    template = folder / f"prefect-{version('prefect')}.db"
    with file_lock(folder / "lock"):
        if not template.exists():
            _make(template)
    _copy(template, target)


def _make(template: Path) -> None:
    with tempfile.TemporaryDirectory(dir=template.parent) as home:
        made = Path(home) / "made.db"
        kept = {name: text for name, text in os.environ.items() if not name.startswith("PREFECT_")}
        subprocess.run(
            [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"],
            env={
                **kept,
                "PREFECT_HOME": home,
                "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{made}",
            },
            cwd=home, capture_output=True, timeout=_MADE_WITHIN_S, check=True,
        )  # fmt: skip
        whole = Path(home) / "whole.db"
        _copy(made, whole)
        whole.rename(template)


def _copy(source: Path, target: Path) -> None:
    """What is still in the write-ahead log goes with it."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
