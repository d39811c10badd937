"""What this machine has made and could not publish, because the store was away for too long.

It lies in the store's local copy, whole. A worker publishes it as soon as the store is back,
though nobody asks this machine for it again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import anyio

from media.errors import TakeboardError
from media.shared_kind import SHARED_KINDS
from media.store import ContentStore

__all__ = ["keep_published"]

_EVERY_S = 60.0


async def keep_published(root: Path, *, every_s: float = _EVERY_S) -> None:
    """Publish what is left over in the store at `root`, again and again, until cancelled."""
    log = logging.getLogger("takeboard.store")
    stopped = anyio.Event()
    try:
        while True:
            try:
                num = await anyio.to_thread.run_sync(
                    _publish, root, stopped.is_set, abandon_on_cancel=True
                )
                if num:
                    log.warning("published %d entries that the store did not take before", num)
            except TakeboardError as error:
                log.info("%s", error)  # still away: whoever needs it now says so
            await anyio.sleep(every_s)
    finally:
        stopped.set()


def _publish(root: Path, should_stop: Callable[[], bool]) -> int:
    return sum(
        ContentStore(root, kind).publish_pending(should_stop=should_stop)
        for kind in sorted(SHARED_KINDS)
    )
