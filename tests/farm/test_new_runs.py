"""A run that is asked for once is made once, also when its server's answer is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_CSRF_SUPPORT_ENABLED,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)

from flows.farm.new_runs import new_run


def test_an_order_whose_answer_is_lost_is_no_second_one() -> None:
    with (
        losing_an_answer() as (url, asked),
        temporary_settings(
            {
                PREFECT_API_URL: url,
                PREFECT_CLIENT_MAX_RETRIES: 1,
                PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: False,
            }
        ),
        get_client(sync_client=True) as client,
    ):
        for name in ("The Tin", "The Tin again"):
            new_run(client, uuid4(), name=name, parameters={}, queue=None)
    assert [one["name"] for one in asked] == ["The Tin", "The Tin", "The Tin again"]
    first, again, other = (one["idempotency_key"] for one in asked)
    assert first == again != other


@contextmanager
def losing_an_answer() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that takes every order and does not answer the first, and what it was asked."""
    asked: list[dict[str, Any]] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if len(asked) == 1:
                return
            body = FlowRun(flow_id=uuid4()).model_dump_json().encode()
            self.send_response(201)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    server.daemon_threads = True
    serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/api", asked
    finally:
        server.shutdown()
        server.server_close()
        serving.join(5)
