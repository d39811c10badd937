"""The Prefect server that `takeboard up` starts: python -m flows.farm.serve HOST PORT

The same as `prefect server start`, which would ask questions on a terminal; but it ends when `up`
does, also when that was killed, and its writers do not refuse each other on SQLite.
"""

from __future__ import annotations

import os
import sys

from flows.farm.follow import end_with_parent

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
        "prefect.server.api.server:create_app",
        factory=True,
        host=host,
        port=int(port),
        log_level="warning",
        timeout_graceful_shutdown=_LAST_ANSWERS_S,
    )


if __name__ == "__main__":
    main()
