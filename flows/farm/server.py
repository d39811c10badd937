"""Where the farm's server listens, whether it can, and whether it answers."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from media.errors import TakeboardError, UsageError

__all__ = ["Listening", "require_database", "wait_until_ready"]

_DATABASE_WITHIN_S = 15.0
_READY_WITHIN_S = 180.0
_POLL_S = 0.25
_DRIVERS = {"postgresql+asyncpg", "sqlite+aiosqlite"}


@dataclass(frozen=True, slots=True)
class Listening:
    """An address to listen on."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Address of the API from this machine."""
        return f"{self.origin}/api"

    @property
    def origin(self) -> str:
        """Address of the pages from this machine."""
        every = {"0.0.0.0": "127.0.0.1", "::": "::1"}
        host = every.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def is_private(self) -> bool:
        """Whether only this machine can reach it."""
        return all(ipaddress.ip_address(address).is_loopback for address in self._addresses())

    def require_free(self) -> None:
        """UsageError when nothing can listen there."""
        address = self._addresses()[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as probe:
            # As the server does: a port whose last connections are still closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, self.port))
            except OSError as error:
                raise UsageError(
                    f"cannot listen there: {(error.strerror or str(error)).lower()}",
                    where=f"{self.host}:{self.port}",
                    todo="choose another with --port and --host, or end what uses it",
                ) from error

    def _addresses(self) -> list[str]:
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", "") or str(error)
            raise UsageError(f"no such host: {reason}", where=f"--host {self.host}") from error
        return [str(address[0]) for *_, address in found]


def require_database(url: str) -> None:
    """UsageError when the database does not answer; its password is never shown."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError
    from sqlalchemy.ext.asyncio import create_async_engine

    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UsageError(
            "expected an address such as postgresql+asyncpg://user:password@host/name",
            where="--database",
        ) from None
    shown = parsed.render_as_string(hide_password=True)
    if parsed.drivername not in _DRIVERS:
        raise UsageError(
            f"expected {' or '.join(sorted(_DRIVERS))}, got {parsed.drivername}", where=shown
        )

    async def connect() -> None:
        if parsed.drivername.startswith("sqlite"):
            sqlite3.connect(parsed.database or "", timeout=_DATABASE_WITHIN_S).close()
            return
        engine = create_async_engine(parsed)
        try:
            async with asyncio.timeout(_DATABASE_WITHIN_S), engine.connect():
                pass
        finally:
            await engine.dispose()

    try:
        asyncio.run(connect())
    except (OSError, TimeoutError, SQLAlchemyError, sqlite3.Error) as error:
        said = str(error.__cause__ or error).partition("\n")[0] or "it took too long"
        raise UsageError(
            f"the database does not answer ({said})",
            where=shown,
            todo="start it or correct --database; without it SQLite in the farm's home is used",
        ) from None


def wait_until_ready(url: str, died: Callable[[], str] = lambda: "") -> None:
    """Return when the server at `url` answers. TakeboardError when it has `died` or never does."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        if how := died():
            raise TakeboardError(f"the server did not start: {how}", where=url)
        if _answers(url):
            return
        time.sleep(_POLL_S)
    raise TakeboardError(f"the server did not answer within {_READY_WITHIN_S:.0f} s", where=url)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False
