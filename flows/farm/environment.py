"""What the server and the workers find in their environment: safe defaults, and no more secrets
than each needs.

A value that is set already stays, so every default can be overruled from outside.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from flows.farm.home import Home, find_home
from flows.farm.roots import require_inside_roots
from flows.settings import server_url
from media.errors import UsageError

__all__ = [
    "connect_to_farm",
    "connect_with_person",
    "require_reachable",
    "server_environment",
    "worker_environment",
]

DATABASE = "PREFECT_API_DATABASE_CONNECTION_URL"
PASSWORD = "PREFECT_SERVER_API_AUTH_STRING"
CLIENT_PASSWORD = "PREFECT_API_AUTH_STRING"
WITH_UP = "TAKEBOARD_WITH_UP"
"""Set by `up` for its workers: they end when it does."""

_QUIET = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}

_SERVER = {
    **_QUIET,
    # A page on another port or host than the server thinks would ask the wrong address.
    "PREFECT_SERVER_UI_API_URL": "/api",
    # The second UI asks an analytics host on its own; the first shows films as well.
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # Without it any web page that is open in a browser of this machine can start films here.
    "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
    # Those in memory are lost with the server, and their slots with them.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    # Every event of the last week, every run of the last 90 days.
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P7D",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(90 * 24 * 3600),
}

_CLIENT = {
    **_QUIET,
    # The crash automation waits for three of them (flows/farm/automations.py).
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    # After 2, 4, 8 … seconds: eight times are over eight minutes without a server.
    "PREFECT_CLIENT_MAX_RETRIES": "8",
}

_PERSON = {"PREFECT_CLIENT_MAX_RETRIES": "1", "PREFECT_API_REQUEST_TIMEOUT": "15"}
"""For somebody who waits at a terminal: a server that has gone is asked once more, and no longer
than a busy one needs."""

_SERVER_INHERITS = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LC_\w+|TZ|TMPDIR|VIRTUAL_ENV|PYTHON\w*|LD_LIBRARY_PATH|"
    r"SSL_CERT_\w+|REQUESTS_CA_BUNDLE|PG\w+|(HTTPS?|ALL|NO)_PROXY|(https?|all|no)_proxy|"
    r"DO_NOT_TRACK|PREFECT_\w+"
)
"""Keys of providers and of the object store are for the workers alone."""

_NOT_SERVER = ("PREFECT_API_URL", "PREFECT_API_KEY", CLIENT_PASSWORD, "PREFECT_PROFILE",
               "PREFECT_PROFILES_PATH")  # fmt: skip


def server_environment(
    environ: Mapping[str, str], home: Home, *, database: str, password: str, origin: str
) -> dict[str, str]:
    """For the Prefect server; an empty `password` lets everybody in who reaches it."""
    inherited = {
        name: text
        for name, text in environ.items()
        if _SERVER_INHERITS.fullmatch(name) and name not in _NOT_SERVER
    }
    chosen = {
        "PREFECT_HOME": str(home.prefect),
        DATABASE: database or f"sqlite+aiosqlite:///{home.database}",
    }
    if password:
        chosen[PASSWORD] = password
    # Its own pages ask it from its own address; no other page has business here.
    return {**_SERVER, "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origin, **inherited, **chosen}


def worker_environment(
    environ: Mapping[str, str], home: Home, *, url: str, password: str
) -> dict[str, str]:
    """For a worker of `up`: how to reach the server, but not how the server keeps its data."""
    inherited = {
        name: text
        for name, text in environ.items()
        if not name.startswith("PREFECT_SERVER_") and name != DATABASE
    }
    chosen = {
        "PREFECT_HOME": str(home.prefect),
        "PREFECT_API_URL": url,
        "TAKEBOARD_HOME": str(home.folder),
        WITH_UP: "1",
    }
    if password:
        chosen[CLIENT_PASSWORD] = password
    made = {**_CLIENT, **inherited, **chosen}
    _reach_directly(made)
    return made


def connect_to_farm(environ: MutableMapping[str, str] = os.environ) -> str:
    """The address of the farm's server, which Prefect then uses in this process.

    The one that is configured for Prefect, or the one that `takeboard up` runs on this machine.
    To be called before prefect is imported, which reads its environment once.
    """
    for name, text in _CLIENT.items():
        environ.setdefault(name, text)
    if url := server_url(environ):
        environ["PREFECT_API_URL"] = url
        return url
    running = find_home(environ).running()
    if running is None or not running.up.runs():
        raise UsageError(
            "no farm runs on this machine and none is configured",
            todo="start one with `takeboard up`, or set PREFECT_API_URL to the address of its API",
        )
    environ["PREFECT_API_URL"] = running.url
    if password := _password(running.password_file, environ):
        environ.setdefault(CLIENT_PASSWORD, password)
    _reach_directly(environ)
    return running.url


def connect_with_person(environ: MutableMapping[str, str] = os.environ) -> str:
    """As `connect_to_farm`, for a command that asks a few questions while a person waits."""
    for name, text in _PERSON.items():
        environ.setdefault(name, text)
    return connect_to_farm(environ)


def require_reachable(storyboard: Path, environ: Mapping[str, str] = os.environ) -> None:
    """UsageError when the farm that `takeboard up` runs on this machine would refuse to read it.

    Of a farm elsewhere only its workers know their folders, and say so when they take the film.
    """
    running = find_home(environ).running()
    if running is None or not running.roots or not running.up.runs():
        return
    if running.url == environ.get("PREFECT_API_URL"):
        require_inside_roots(storyboard, running.roots, "storyboard")


def _password(file: Path | None, environ: Mapping[str, str]) -> str:
    if file is None:
        return environ.get(PASSWORD, "")
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise UsageError(
            f"cannot read the password of the farm's API: {error.strerror}", where=str(file)
        ) from error


def _reach_directly(environ: MutableMapping[str, str]) -> None:
    """A proxy for the wide world must not be asked for this machine."""
    for name in ("NO_PROXY", "no_proxy"):
        kept = [host for host in environ.get(name, "").split(",") if host.strip()]
        environ[name] = ",".join(dict.fromkeys([*kept, "127.0.0.1", "localhost", "::1"]))
