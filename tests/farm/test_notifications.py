"""The automations of docs/notifications.yaml on a real server, whose messages arrive here."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.flows.films import command, quiet_environment
from tests.flows.prefect_server import PrefectServer, heard, running_server

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

REPOSITORY = Path(__file__).parents[2]
AUTOMATIONS = REPOSITORY / "docs" / "notifications.yaml"

FILM = """
version: 1
project: {code: TIN, title: TITLE, fps: 24, size: 160x90}
defaults: {backend: animatic}
scenes:
  - id: sc010
    slugline: EXT. BEACH - DAY
    shots: [{id: sh0010, size: LS, duration: 12f, action: A tin rolls.}]
"""

FAILING = """
import flows.shots
from media.errors import RenderError
def render_take(job, *rest):
    raise RenderError("the brush broke", where=job.shot_id, todo="buy a new one")
flows.shots.render_take = render_take
"""

BLOCK = """
import sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock
block = CustomWebhookNotificationBlock(
    name="studio", url=sys.argv[1], json_data={"text": "{{subject}}\\n{{body}}"}
)
print(block.save("studio"))
"""


def test_messages_arrive_of_a_film_delivered_and_of_one_failed(tmp_path: Path) -> None:
    services = ["EVENT_PERSISTER", "TRIGGERS"]
    with (
        _mailbox() as (address, messages),
        running_server(tmp_path / "server", services=services) as server,
    ):
        block = _python(BLOCK, address, server=server, home=tmp_path).strip()
        chosen = tmp_path / "chosen.yaml"
        chosen.write_text(AUTOMATIONS.read_text().replace("BLOCK_ID", block))
        made = _run("-m", "prefect", "automation", "create", "--from-file", chosen,
                    server=server, home=tmp_path)  # fmt: skip
        assert made.stdout.count("takeboard: film") == 3, made
        time.sleep(2)  # the triggers are read again when an automation is made

        film = _write_film(tmp_path, "The Tin")
        done = command("produce", film, home=tmp_path, PREFECT_API_URL=server.url)
        assert done.returncode == 0, done.stderr
        delivered = heard(lambda: next((m for m in messages if "is delivered" in m), None))
        assert delivered.splitlines() == [
            "The Tin is delivered",
            "Running time 0.5 s; takes made: 1, reused: 0, 0.0 USD.",
            str(tmp_path / "deliveries/TIN/TIN_master_en.mp4"),
            f"Report: {tmp_path / 'deliveries/TIN/report.html'}",
        ]

        film.write_text(film.read_text().replace("A tin rolls", "A tin falls"))
        broken = command("produce", film, home=tmp_path, before=FAILING, PREFECT_API_URL=server.url)
        assert broken.returncode == 4
        failed = heard(lambda: next((m for m in messages if "failed" in m), None))
        assert failed.startswith("The Tin failed\n")
        assert "the brush broke; buy a new one" in failed
        assert "None" not in failed


@contextmanager
def _mailbox() -> Iterator[tuple[str, list[str]]]:
    """The address of a webhook on this machine, and the texts that have arrived there."""
    texts: list[str] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            texts.append(str(json.loads(self.rfile.read(size))["text"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/films", texts
    finally:
        server.shutdown()
        server.server_close()


def _write_film(folder: Path, title: str) -> Path:
    path = folder / "film.yaml"
    path.write_text(FILM.replace("TITLE", title), encoding="utf-8")
    return path


def _python(code: str, *words: str, server: PrefectServer, home: Path) -> str:
    done = _run("-c", code, *words, server=server, home=home)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _run(*words: object, server: PrefectServer, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, words)],
        env=quiet_environment(home, PREFECT_API_URL=server.url), cwd=home,
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
