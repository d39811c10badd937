"""What a real Prefect server hears of a film beside its runs: events, costs, failures, progress."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.flows.films import command, command_line, quiet_environment
from tests.flows.prefect_server import PrefectServer, heard, running_server

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

FILM = """
version: 1
project: {code: TIN, title: TITLE, fps: 24, size: 160x90}
budget: {usd: 5}
defaults: {backend: animatic}
scenes:
  - id: sc010
    slugline: EXT. BEACH - DAY
    shots:
      - {id: sh0010, size: LS, duration: 12f, action: A tin rolls., negative: rust}
      - {id: sh0020, size: CU, duration: 12f, action: The tin., takes: 2, negative: rust}
"""

SLOW = """
import time, flows.shots
real = flows.shots.render_take
def render_take(job, backend, store, tools):
    for step in range(400):
        if tools.should_stop():
            break
        time.sleep(0.05)
        tools.on_step(step + 1, 400)
    return real(job, backend, store, tools)
flows.shots.render_take = render_take
print("rendering", flush=True)
"""

FAILING = """
import flows.shots
from media.errors import RenderError
real = flows.shots.render_take
def render_take(job, *rest):
    if job.take == 2:
        raise RenderError("the brush | broke", where=job.shot_id, todo="buy a <b>new</b> one")
    return real(job, *rest)
flows.shots.render_take = render_take
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    home = tmp_path_factory.mktemp("prefect") / "server"
    with running_server(home, services=["EVENT_PERSISTER"]) as running:
        yield running


def test_a_film_is_told_from_quote_to_delivery(server: PrefectServer, tmp_path: Path) -> None:
    film = _write_film(tmp_path, "The Tin")
    broken = command("produce", film, PREFECT_API_URL=server.url, home=tmp_path, before=FAILING)
    assert broken.returncode == 0, broken.stderr  # the take that fails is not the pick
    mended = command("produce", film, PREFECT_API_URL=server.url, home=tmp_path)
    assert mended.returncode == 0, mended.stderr
    first, second = server.flow_runs("The Tin")

    assert first["tags"] == second["tags"] == ["film:TIN"]
    _check_events(server.events("takeboard.", expected=10), first["id"], tmp_path)
    shown = server.artifacts(first["id"])
    _check_pages({key: str(one["data"]) for key, one in shown.items()})
    assert shown["tin-progress"]["data"] == 100
    bar, _, words = shown["tin-progress"]["description"].partition(") ")
    assert bar.startswith("![100 %](data:image/svg+xml;base64,")
    assert words.startswith("done in ")
    again = server.artifacts(second["id"])
    assert again["tin-failures"]["data"].endswith("Nothing failed.")
    assert "1 take to make for 0.00 USD" in again["tin-costs"]["data"]

    picked = command("pick", film, "sc010/sh0020", 2, PREFECT_API_URL=server.url, home=tmp_path)
    assert (picked.returncode, picked.stderr) == (0, "")
    (event,) = server.events("takeboard.shot.picked", expected=1)
    assert event["resource"]["prefect.resource.id"] == "takeboard.shot.TIN.sc010.sh0020"
    assert event["payload"]["take"] == 2
    assert len(event["payload"]["key"]) == 64


def _check_events(events: list[dict[str, Any]], run: str, folder: Path) -> None:
    happened = [(one["event"], one["resource"]["prefect.resource.id"]) for one in events]
    tin, can = "takeboard.shot.TIN.sc010.sh0010", "takeboard.shot.TIN.sc010.sh0020"
    assert happened.count(("takeboard.shot.started", tin)) == 1
    assert happened.count(("takeboard.shot.started", can)) == 3
    assert happened.count(("takeboard.shot.finished", can)) == 2
    assert happened.count(("takeboard.shot.failed", can)) == 1
    assert happened.count(("takeboard.film.delivered", "takeboard.film.TIN")) == 2

    failed = next(one for one in events if one["event"] == "takeboard.shot.failed")
    roles = {one["prefect.resource.role"]: one for one in failed["related"]}
    assert roles["film"]["prefect.resource.id"] == "takeboard.film.TIN"
    assert roles["flow-run"]["prefect.resource.id"] == f"prefect.flow-run.{run}"
    assert failed["payload"]["take"] == 2
    assert "the brush | broke" in failed["payload"]["reason"]
    finished = next(one for one in events if one["event"] == "takeboard.shot.finished")
    assert Path(finished["payload"]["path"]).is_file()
    delivered = next(one for one in events if one["event"] == "takeboard.film.delivered")
    assert delivered["payload"]["films"] == [
        str(folder / "deliveries" / "TIN" / "TIN_master_en.mp4")
    ]


def _check_pages(pages: dict[str, str]) -> None:
    assert "**3 takes to make for 0.00 USD**; 2 made for 0.00 USD." in pages["tin-costs"]
    assert "| animatic | 3 | 3 | 0.00 |" in pages["tin-costs"]
    assert "| **cap** | **5.00** | **none** |" in pages["tin-costs"]
    assert pages["tin-takes-made"].count('"made"') == 2
    assert pages["tin-takes-made"].count('"not made"') == 1
    assert pages["tin-failures"].splitlines()[2:7] == [
        "## the brush | broke",
        "",
        "**What to do:** buy a &lt;b>new&lt;/b> one.",
        "",
        "- `sc010/sh0020 take 2`, animatic",
    ]
    assert "away (2 shots)\\\n  sc010/sh0010, sc010/sh0020" in pages["tin-loss-report"]
    assert "failed: sc010/sh0020: the brush | broke" in pages["tin-film"]


def test_a_run_cancelled_on_the_server_stops_at_its_next_step(
    server: PrefectServer, tmp_path: Path
) -> None:
    film = _write_film(tmp_path, "The Unwanted")
    process = subprocess.Popen(
        command_line("produce", film, "--jobs", 1, before=SLOW),
        env=quiet_environment(tmp_path, PREFECT_API_URL=server.url), cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "rendering\n"
        run = _running(server, "The Unwanted")
        answer = httpx.post(
            f"{server.url}/flow_runs/{run}/set_state",
            json={"state": {"type": "CANCELLING"}},
            timeout=20.0,
        )
        assert answer.json()["status"] == "ACCEPT"
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, errors
    assert "cancelled on the Prefect server" in errors
    (ended,) = server.flow_runs("The Unwanted")
    assert ended["state"]["type"] == "CANCELLED"
    assert not (tmp_path / "deliveries").exists()


def _running(server: PrefectServer, name: str) -> str:
    def found() -> str | None:
        runs = server.flow_runs(name)
        return str(runs[0]["id"]) if runs and runs[0]["state"]["type"] == "RUNNING" else None

    return heard(found)


def _write_film(folder: Path, title: str) -> Path:
    path = folder / "film.yaml"
    path.write_text(FILM.replace("TITLE", title), encoding="utf-8")
    return path
