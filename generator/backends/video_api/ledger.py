"""What was asked of a server and not yet brought home, so that nothing is made twice.

    cache/openai_video/ab/abcd….json   one job: written before it is waited for
    cache/openai_video/ab/abcd….mp4    its film, whole, until the take is in the store

The name is the key of what the job makes. A row goes away when its take is whole.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from media.errors import translate_os_errors
from media.files import TEMP_SUFFIX, file_lock, sha256_file, write_atomic
from media.store import ContentStore

__all__ = ["Ledger", "Row"]

_KEEP_S = 14 * 86_400.0
"""A film that nobody has come for is removed after two weeks."""


class Row(BaseModel):
    """One job, as it is written down."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    take: str
    """Key of the take that it is a part of, or all of."""
    server: str
    """Scheme, host and port that it was asked of."""
    job_id: str = ""
    """Empty: it is not known whether the server took the job."""
    asked_at: float = 0.0
    """When it was submitted, in seconds since 1970; 0: never."""
    submits: int = Field(0, ge=0)
    """How often, since lost jobs are submitted again."""
    sha256: str = ""
    """Of its film, once that is here and found whole."""
    model: str = ""
    """As the server calls it."""
    peak_memory_mb: float = 0.0
    server_s: float = 0.0
    """How long the server worked at it."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The rows beside the takes of the store at `root`."""

    root: Path

    @property
    def folder(self) -> Path:
        """Of rows and films."""
        return self.root / "openai_video"

    def film(self, key: str) -> Path:
        """Where the film of a job is or would be."""
        return self.folder / key[:2] / f"{key}.mp4"

    @contextmanager
    def held(self, key: str, should_stop: Callable[[], bool]) -> Iterator[None]:
        """One at a time for a key, over threads and processes."""
        with file_lock(self.folder / "locks" / key[:60], should_stop=should_stop):
            yield

    def read(self, key: str) -> Row | None:
        """The row, or None when there is none that can be read."""
        return _read(self._path(key))

    def write(self, row: Row) -> None:
        """Write the row so that it outlives a crash."""
        path = self._path(row.key)
        with translate_os_errors("write the ledger of jobs", path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(row.model_dump(), indent=1) + "\n")

    def forget(self, key: str) -> None:
        """Remove the row and its film."""
        for path in (self._path(key), self.film(key)):
            with suppress(OSError):
                path.unlink()

    def has_film(self, row: Row) -> bool:
        """Whether the film of `row` is here as it was when it was found whole."""
        path = self.film(row.key)
        return bool(row.sha256) and path.is_file() and sha256_file(path) == row.sha256

    def job_ids(self, server: str) -> frozenset[str]:
        """Every job of `server` that somebody answers for."""
        rows = (_read(path) for path in self.folder.glob("??/*.json"))
        return frozenset(row.job_id for row in rows if row and row.server == server)

    def litter(self) -> list[Path]:
        """What belongs to whole takes, and what nobody came for in two weeks."""
        takes = ContentStore(self.root, "takes")
        oldest = time.time() - _KEEP_S
        found: list[Path] = []
        for path in sorted(self.folder.glob("??/*.json")):
            row = _read(path)
            if row is None or takes.peek(row.take) or row.asked_at < oldest:
                found += [one for one in (path, self.film(path.stem)) if one.exists()]
        for part in sorted(self.folder.glob(f"??/*{TEMP_SUFFIX}")):
            with suppress(OSError):
                if part.stat().st_mtime < oldest:
                    found.append(part)
        return found

    def sweep(self) -> int:
        """Remove the litter and return its bytes."""
        num_bytes = 0
        for path in self.litter():
            with suppress(OSError):
                size = path.stat().st_size
                path.unlink()
                num_bytes += size
        return num_bytes

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def _read(path: Path) -> Row | None:
    try:
        return Row.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
