"""A process that ends when the one that started it does, even when that one was killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

__all__ = ["end_with_parent"]


def end_with_parent(*, after_s: float, within_s: float) -> None:
    """From now on, end `after_s` after our standard input has closed, as on SIGTERM.

    What is still there `within_s` later ends at once. The parent holds the other end of the pipe
    and writes nothing; the kernel closes it when the parent dies.
    """

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        time.sleep(after_s)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(within_s)
        os._exit(1)

    threading.Thread(target=wait, name="end with parent", daemon=True).start()
