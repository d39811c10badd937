"""The PostgreSQL that farm tests use: it answers, and it ends with whoever started it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.farm.postgres import running_postgres

pytestmark = pytest.mark.server


def test_it_has_what_prefects_migrations_ask_for() -> None:
    async def ask(url: str) -> str:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=20)
        try:
            await connection.execute("CREATE EXTENSION pg_trgm")
            return str(await connection.fetchval("SELECT show_trgm('wan')::text"))
        finally:
            await connection.close()

    with running_postgres() as url:
        assert "wan" in asyncio.run(ask(url))
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(ask(url))


def test_it_ends_when_its_starter_is_killed() -> None:
    program = (
        "import time\nfrom tests.farm.postgres import running_postgres\n"
        "with running_postgres() as url:\n    print(url, flush=True)\n    time.sleep(60)\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    port = urlsplit(starter.stdout.readline()).port
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait(timeout=10)
    deadline = time.monotonic() + 20
    while _listens(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _listens(port)


def _listens(port: int | None) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port or 0)) == 0
