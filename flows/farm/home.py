"""The private folder where `takeboard up` keeps its server's data, its logs and what it runs.

prefect/      what the Prefect server stores, its SQLite database among it
logs/         one log each process, bounded
up.lock       held by the `up` that runs
up.json       its address and its processes, for `down` and for the commands that submit films
api-password  name and password of the API, when it needs them
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from flows.farm.processes import Identity
from media.errors import UsageError, translate_os_errors
from media.files import write_atomic

__all__ = ["Home", "Running", "find_home", "open_home"]

_PRIVATE = 0o700


class Running(BaseModel, frozen=True):
    """What an `up` writes down about itself."""

    up: Identity
    url: str
    """Address of the API from this machine."""
    password_file: Path | None
    processes: dict[str, Identity] = {}
    """The server and the workers by name."""
    roots: tuple[Path, ...] = ()
    """Folders in which its workers allow storyboards, films and stores; none: it has none."""

    @property
    def ui(self) -> str:
        """Address of the pages that people look at."""
        return self.url.removesuffix("/api")


@dataclass(frozen=True, slots=True)
class Home:
    """Where things are in the folder; it need not exist."""

    folder: Path

    @property
    def prefect(self) -> Path:
        """Prefect's own home."""
        return self.folder / "prefect"

    @property
    def database(self) -> Path:
        """Of a server that was given no other."""
        return self.prefect / "prefect.db"

    @property
    def logs(self) -> Path:
        """One file each process."""
        return self.folder / "logs"

    @property
    def lock(self) -> Path:
        """Held for as long as an `up` lives."""
        return self.folder / "up.lock"

    @property
    def password_file(self) -> Path:
        """Readable by its owner only."""
        return self.folder / "api-password"

    def running(self) -> Running | None:
        """What an `up` wrote down last, whether it still runs or was killed; None: it ended."""
        try:
            return Running.model_validate_json((self.folder / "up.json").read_bytes())
        except (OSError, ValidationError):
            return None

    def note(self, running: Running) -> None:
        """Write down what runs."""
        write_atomic(self.folder / "up.json", running.model_dump_json(indent=1) + "\n")

    def forget(self) -> None:
        """Nothing runs any more."""
        (self.folder / "up.json").unlink(missing_ok=True)

    def password(self) -> str:
        """Name and password of the API, made up when there are none yet."""
        with translate_os_errors("keep the API's password", self.password_file, UsageError):
            if self.password_file.exists():
                return self.password_file.read_text(encoding="ascii").strip()
            made = f"takeboard:{secrets.token_urlsafe(32)}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(self.password_file, flags, 0o600), "w") as file:
                file.write(made + "\n")
        return made


def find_home(environ: Mapping[str, str] = os.environ) -> Home:
    """Where the home is or would be: $TAKEBOARD_HOME, or `takeboard` where data of users goes."""
    if chosen := environ.get("TAKEBOARD_HOME", "").strip():
        return Home(Path(chosen).expanduser().absolute())
    data = environ.get("XDG_DATA_HOME", "").strip() or "~/.local/share"
    return Home(Path(data).expanduser().absolute() / "takeboard")


def open_home(environ: Mapping[str, str] = os.environ) -> Home:
    """The home, made when it is absent. UsageError when others can look into it or own it."""
    home = find_home(environ)
    with translate_os_errors("use it as the farm's home", home.folder, UsageError):
        home.folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        found = home.folder.stat()
        if found.st_uid != os.geteuid():
            raise UsageError(
                f"the farm's home belongs to user {found.st_uid}, not to you",
                where=str(home.folder),
                todo="choose another folder with TAKEBOARD_HOME",
            )
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise UsageError(
                "the farm's home can be read by others, and holds a password and a database",
                where=str(home.folder),
                todo=f"close it with `chmod 700 {home.folder}`, or choose another TAKEBOARD_HOME",
            )
        for folder in (home.prefect, home.logs):
            folder.mkdir(mode=_PRIVATE, exist_ok=True)
    return home
