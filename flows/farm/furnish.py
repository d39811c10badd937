"""Pools, queues, deployments and automations for the server: python -m flows.farm.furnish

A process of its own, so that `up` itself stays small and need not load Prefect.
"""

from __future__ import annotations

import asyncio
import os
import sys

from flows.farm.follow import end_with_parent
from flows.farm.server import wait_until_ready
from media.errors import TakeboardError

__all__ = ["main"]


def main() -> int:
    """Exit code. What is wrong stands in one line on standard error."""
    end_with_parent(after_s=0.0, within_s=2.0)
    # Loaded while the server that was started with us is still getting ready.
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectException

    from flows.farm.automations import ensure_automations
    from flows.farm.deployments import ensure_deployments

    async def furnish() -> None:
        async with get_client() as client:
            await ensure_deployments(client)
            await ensure_automations(client)

    try:
        wait_until_ready(os.environ["PREFECT_API_URL"])
        asyncio.run(furnish())
    except (TakeboardError, PrefectException, httpx.HTTPError) as error:
        print(f"{error or type(error).__name__}".partition("\n")[0], file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
