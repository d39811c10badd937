"""What a shared store costs a take, against a plain folder on the same machine.

python -m bench.store                  60 takes of 4 MB, and plans of 1,000 keys
python -m bench.store --quick          a sixth of it

The object store is localbucket on loopback, in a process of its own (from the extra `dev`), so
that what is measured is the sharing itself: no network, and an object store that does nothing
else. A real one adds its round trips; the row `requests` says how many.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from media.shared_store import local_root
from media.store import ContentStore

__all__ = ["main"]

TAKE_BYTES = 4_000_000
PLAN_KEYS = 1000


def main() -> None:
    """Print a table of milliseconds a take."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    num_takes = 10 if parser.parse_args().quick else 60
    with tempfile.TemporaryDirectory(prefix="takeboard-bench-") as name:
        folder = Path(name)
        with _object_server(folder) as log:
            first, second = (_copy(folder / machine) for machine in ("first", "second"))
            plain = ContentStore(folder / "plain", "takes")
            keys = [_key(number) for number in range(num_takes)]
            _make(first, _key("warm"))  # opens the connection, and tries the store once
            requests = _requests(log)
            rows = {
                "make a take": (_each(keys, lambda k: _make(plain, k)),
                                _each(keys, lambda k: _make(first, k))),
                "requests a take": (0.0, (_requests(log) - requests) / num_takes),
                "find it where it was made": (_each(keys, plain.find), _each(keys, first.find)),
                "find it on another machine": (0.0, _each(keys, second.find)),
                f"plan of {PLAN_KEYS} keys": (_plan(plain), _plan(_copy(folder / "third"))),
            }  # fmt: skip
    print(f"{num_takes} takes of {TAKE_BYTES / 1e6:g} MB, median milliseconds")
    print(f"{'':<28}{'folder':>10}{'shared':>10}")
    for what, (alone, shared) in rows.items():
        print(f"{what:<28}{alone:>10.1f}{shared:>10.1f}")


def _each(keys: list[str], do: Callable[[str], object]) -> float:
    """Median milliseconds of doing it with one key."""
    spent = []
    for key in keys:
        started = time.perf_counter()
        do(key)
        spent.append(time.perf_counter() - started)
    return 1000 * statistics.median(spent)


def _make(store: ContentStore, key: str) -> None:
    def build(folder: Path) -> dict[str, object]:
        (folder / "picture.mp4").write_bytes(os.urandom(TAKE_BYTES))
        return {}

    store.make(key, build)


def _plan(store: ContentStore) -> float:
    """Milliseconds of one plan's looks, in all."""
    started = time.perf_counter()
    for number in range(PLAN_KEYS):
        store.peek(_key(number))
    return 1000 * (time.perf_counter() - started)


def _key(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def _copy(folder: Path) -> ContentStore:
    root = local_root("s3://bench/store", {"TAKEBOARD_STORE_COPY": str(folder)})
    return ContentStore(root, "takes")


def _requests(log: Path) -> int:
    """How many the server has answered."""
    return len(re.findall(r'"(GET|PUT|HEAD|POST|DELETE) ', log.read_text()))


@contextmanager
def _object_server(folder: Path) -> Iterator[Path]:
    """A running object store that the environment names; its log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "objects" / "bench").mkdir(parents=True)
    log = folder / "server.log"
    os.environ.update(
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
        AWS_ACCESS_KEY_ID="bench",
        AWS_SECRET_ACCESS_KEY="bench",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
    )
    command = [sys.executable, "-m", "localbucket", str(folder / "objects"), "--port", str(port)]
    with log.open("w") as said:
        server = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        deadline = time.monotonic() + 20
        while not _answers(port):
            if time.monotonic() > deadline:
                raise SystemExit("the object store did not start")
            time.sleep(0.05)
        yield log
    finally:
        server.kill()
        server.wait(10)


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main()
