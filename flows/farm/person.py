"""Asking the farm's server for a person: what goes wrong is one line that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client

from flows.farm.asking import is_token_race
from media.errors import UsageError

__all__ = ["farm_client", "no_answer"]


@contextmanager
def farm_client(within_s: float | None = None) -> Iterator[SyncPrefectClient]:
    """A client of the server that is configured, which waits so long for an answer.

    UsageError when it does not answer or refuses, wherever in the context that comes out.
    """
    client: SyncPrefectClient
    chosen = {"timeout": within_s} if within_s else None
    try:
        with get_client(sync_client=True, httpx_settings=chosen) as client:
            yield client
    except httpx.HTTPError as error:
        raise no_answer(error, str(client.api_url)) from error


def no_answer(error: httpx.HTTPError, url: str) -> UsageError:
    """What to tell a person of a server at `url` that did not do what it was asked."""
    if not isinstance(error, httpx.HTTPStatusError):
        return UsageError(
            f"no Prefect server answers ({type(error).__name__})",
            where=url,
            todo="start the farm with `takeboard up`, or see that PREFECT_API_URL is right",
        )
    code = error.response.status_code
    todo = "set PREFECT_API_AUTH_STRING to its password" if code in (401, 403) else ""
    if is_token_race(error.response):
        todo = "run it again"
    return UsageError(
        f"the Prefect server refuses ({code})",
        where=str(error.request.url.copy_with(query=None)),
        todo=todo,
    )
