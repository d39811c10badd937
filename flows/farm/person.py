"""Asking the farm's server for a person: what goes wrong is one line that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client

from flows.farm.asking import is_token_race
from media.errors import UsageError

__all__ = ["farm_client"]


@contextmanager
def farm_client() -> Iterator[SyncPrefectClient]:
    """A client of the server that is configured.

    UsageError when it does not answer or refuses, wherever in the context that comes out.
    """
    client: SyncPrefectClient
    try:
        with get_client(sync_client=True) as client:
            yield client
    except httpx.HTTPStatusError as error:
        code = error.response.status_code
        todo = "set PREFECT_API_AUTH_STRING to its password" if code in (401, 403) else ""
        if is_token_race(error.response):
            todo = "run it again"
        raise UsageError(
            f"the Prefect server refuses ({code})", where=str(error.request.url), todo=todo
        ) from error
    except httpx.HTTPError as error:
        raise UsageError(
            f"no Prefect server answers ({type(error).__name__})",
            where=str(client.api_url),
            todo="start the farm with `takeboard up`, or leave --farm out",
        ) from error
