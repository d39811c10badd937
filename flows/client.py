"""Prefect's client in a process that a person started, set up before prefect is imported."""

from __future__ import annotations

import os

__all__ = ["set_up_client"]

_CLIENT_DEFAULTS = {
    "DO_NOT_TRACK": "1",
    # Often enough for a server that takes the silent for dead: see farm/automations.py.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    # Our own progress is on the terminal; Prefect's lines go to the server's log of the run.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    # What its services could not send is one line of ours, not an essay of theirs each.
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    # A server that has gone is asked again once, after 2 seconds: by default each of the several
    # requests at the end of a run would be held for a minute, and by a silent server for six.
    "PREFECT_CLIENT_MAX_RETRIES": "1",
    "PREFECT_API_REQUEST_TIMEOUT": "15",
}


def set_up_client(url: str) -> None:
    """Have Prefect use the server at `url`, in our manner where nothing else was chosen."""
    for name, value in _CLIENT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    os.environ["PREFECT_API_URL"] = url
