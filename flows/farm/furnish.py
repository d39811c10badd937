"""Pools, queues, deployments and automations for the server: python -m flows.farm.furnish

A process of its own for `up`, which itself stays small and need not load Prefect. A worker for
films does the same as it starts, so a server that was started otherwise needs nothing more.
"""

from __future__ import annotations

import asyncio
import os
import sys

from flows.farm.follow import end_with_parent
from flows.farm.server import wait_until_ready
from media.errors import TakeboardError

__all__ = ["furnish", "main"]


def furnish(url: str) -> None:
    """Put on the server at `url`, which Prefect is set up to use, what of ours is missing there.

    TakeboardError when it does not answer in time, does not let us in or does not take it.
    """
    # Loaded while a server that was started with us is still getting ready.
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectException

    from flows.farm.asking import shut_out
    from flows.farm.automations import ensure_automations
    from flows.farm.deployments import ensure_deployments

    async def put() -> None:
        async with get_client() as client:
            await ensure_deployments(client)
            await ensure_automations(client)

    wait_until_ready(url)
    try:
        asyncio.run(put())
    except (PrefectException, httpx.HTTPError) as error:
        if (refused := shut_out(error)) is not None:
            raise refused from error
        what = f"{error or type(error).__name__}".partition("\n")[0]
        raise TakeboardError(
            f"the server did not take the deployments: {what}", where=url
        ) from error


def main() -> int:
    """Exit code. What is wrong stands in one line on standard error."""
    end_with_parent(after_s=0.0, within_s=2.0)
    try:
        furnish(os.environ["PREFECT_API_URL"])
    except TakeboardError as error:
        print(error.what, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
