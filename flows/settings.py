"""Facts about this machine, read once from the environment.

TAKEBOARD_STORE   where takes are: a folder, or an object store's URL such as s3://bucket/prefix;
                  default: `.takeboard` beside the storyboard
TAKEBOARD_JOBS    shots and segments made at a time; default: the number of CPU cores
TAKEBOARD_APPROVAL_DAYS   how long a suspended film waits for a person; default: 30
PREFECT_API_URL   a Prefect server that records runs (also from the active Prefect profile)
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from media.errors import UsageError
from media.shared_store import local_root

__all__ = ["Settings", "read_settings", "server_url"]

_MAX_JOBS = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says."""

    store: Path | None
    """The folder to work on; None: beside the storyboard."""
    jobs: int
    server_url: str
    """Address of the Prefect API; empty: none is configured."""
    approval_days: float = 30.0
    """How long a film on a worker waits for a person before its run fails."""

    def store_for(self, storyboard: Path) -> Path:
        """The store that a film made from `storyboard` uses."""
        return self.store or storyboard.resolve().parent / ".takeboard"


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this machine. Raises UsageError for values that cannot be."""
    store = environ.get("TAKEBOARD_STORE", "").strip()
    return Settings(
        store=local_root(store, environ) if store else None,
        jobs=_jobs(environ.get("TAKEBOARD_JOBS", "")),
        server_url=server_url(environ),
        approval_days=_days(environ.get("TAKEBOARD_APPROVAL_DAYS", "")),
    )


def server_url(environ: Mapping[str, str] = os.environ) -> str:
    """The Prefect API address from the environment, `./prefect.toml` or the active profile.

    Read here without importing prefect, which takes longer than planning a film; prefect itself
    reads the same places in the same order.
    """
    if url := environ.get("PREFECT_API_URL", "").strip():
        return url
    if url := _nested(_toml(Path("prefect.toml")), "api", "url"):
        return url
    home = Path(environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    profiles = _toml(Path(environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml")))
    active = environ.get("PREFECT_PROFILE") or _nested(profiles, "active")
    return _nested(profiles, "profiles", active, "PREFECT_API_URL") if active else ""


def _jobs(text: str) -> int:
    if not text.strip():
        return os.cpu_count() or 1
    if text.strip().isascii() and text.strip().isdigit() and 1 <= int(text) <= _MAX_JOBS:
        return int(text)
    raise UsageError(
        f"expected a number from 1 to {_MAX_JOBS}, got {text[:40]!r}", where="TAKEBOARD_JOBS"
    )


def _days(text: str) -> float:
    if not text.strip():
        return 30.0
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if 0 < days <= 3650:
        return days
    raise UsageError(
        f"expected a number of days, at most 3650, got {text[:40]!r}",
        where="TAKEBOARD_APPROVAL_DAYS",
    )


def _toml(path: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}  # absent or not ours to judge: prefect itself reports a broken profile


def _nested(table: object, *keys: str) -> str:
    for key in keys:
        if not isinstance(table, Mapping):
            return ""
        table = table.get(key)
    return table if isinstance(table, str) else ""
