"""One process at a time on a device: two that load their models onto one GPU both fail."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from media.errors import StoreError
from media.files import file_lock

__all__ = ["DeviceLock", "runtime_folder"]


class DeviceLock:
    """The lock of a device, held while a process has models on it.

    Whoever waits for it holds a second lock, the queue, by which the holder sees that it is
    wanted. The kernel lets go of both when a process dies.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._device, self._queue = folder / f"{name}.lock", folder / f"{name}.queue"
        self._held: ExitStack | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the device."""
        return self._held is not None

    def hold(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Wait until the device is ours. CancelledError when `should_stop` says so meanwhile."""
        if self._held is not None:
            return
        with file_lock(self._queue, should_stop=should_stop), ExitStack() as stack:
            stack.enter_context(file_lock(self._device, should_stop=should_stop))
            self._held = stack.pop_all()

    def release(self) -> None:
        """Let others have the device."""
        held, self._held = self._held, None
        if held is not None:
            held.close()

    @property
    def wanted(self) -> bool:
        """Whether another process waits for the device."""
        try:
            with file_lock(self._queue, timeout_s=0):
                return False
        except StoreError:
            return True


def runtime_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """This user's folder for what lives as long as the machine runs."""
    runtime = environ.get("XDG_RUNTIME_DIR", "").strip()
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "takeboard"
    return Path(tempfile.gettempdir()) / f"takeboard-{os.getuid()}"
