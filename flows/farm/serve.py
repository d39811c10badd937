"""The Prefect server that `takeboard up` starts: python -m flows.farm.serve HOST PORT

The same as `prefect server start`, which would ask questions on a terminal; but it ends when `up`
does, also when that was killed, its writers do not refuse each other on SQLite, it serves what was
delivered inside TAKEBOARD_ROOTS, and without a password it answers to its own names alone.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from flows.farm.follow import end_with_parent
from flows.farm.roots import read_roots

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["main"]

_WORKERS_FIRST_S = 5.0
"""How long a server without `up` stays for the workers, which hand back what they were doing."""
_LAST_ANSWERS_S = 5


def main() -> None:
    """Serve until SIGTERM."""
    end_with_parent(after_s=_WORKERS_FIRST_S, within_s=2.0 * _LAST_ANSWERS_S)
    host, port = sys.argv[1:3]
    # As Prefect's own command says to a server that is alone in its process: saves 50 MB.
    os.environ["PREFECT__SERVER_FINAL"] = "1"

    import uvicorn

    from flows.farm.sqlite import begin_immediate

    begin_immediate()
    uvicorn.run(
        partial(_whole, host),
        factory=True,
        host=host,
        port=int(port),
        log_level="warning",
        timeout_graceful_shutdown=_LAST_ANSWERS_S,
    )


def _whole(host: str) -> ASGIApp:
    """Prefect's application, and the films beside it."""
    from prefect.server.api.server import create_app
    from prefect.settings import (
        PREFECT_SERVER_API_AUTH_STRING,
        PREFECT_SERVER_CORS_ALLOWED_ORIGINS,
    )

    from flows.farm.deliveries import Deliveries, beside
    from flows.farm.own_names import asked_by_name, own_names

    server: ASGIApp = create_app()
    password = PREFECT_SERVER_API_AUTH_STRING.value() or None
    if roots := read_roots():
        server = beside(server, Deliveries(roots, password))
    if password is None:
        names = own_names(host, PREFECT_SERVER_CORS_ALLOWED_ORIGINS.value())
        server = asked_by_name(server, names)
    return server


if __name__ == "__main__":
    main()
