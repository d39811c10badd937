"""Beyond loopback the API asks for a password, and no secret is ever written down."""

from __future__ import annotations

import os
import secrets
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.farm.links import served_address
from tests.farm.one_machine import START, Machine, environment, machine_up

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]

FILM = """
version: 1
project: {code: TIN, title: The Tin, fps: 24, size: 160x90}
defaults: {backend: animatic}
scenes:
  - id: sc010
    slugline: EXT. BEACH - DAY
    shots:
      - {id: sh0010, size: LS, duration: 12f, action: A tin rolls., ambience: surf}
      - {id: sh0020, size: CU, duration: 12f, action: The tin., backend: sketch}
"""

SEEN_BY_OTHERS = """
from flows.farm.server import Listening
Listening.is_private = property(lambda self: False)
"""
"""As if it listened for other machines, which a test must not."""

SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "OPENAI_API_KEY", "VIDEO_SERVER_TOKEN",
           "PREFECT_API_KEY", "HF_TOKEN")  # fmt: skip


@dataclass(frozen=True)
class Exposed:
    """A farm that others can reach, after it has made a film and failed at another."""

    machine: Machine
    folder: Path
    secrets: dict[str, str]
    """By what they are."""
    anonymous: dict[str, int]
    """Status codes of what was asked without the password."""
    states: dict[str, dict[str, Any]]
    """How the runs ended, by storyboard."""
    link: str
    """To the film, as its run's page has it."""
    served: dict[str, int]
    """Status codes of what was asked for there."""
    printed: str


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Exposed:
    folder = tmp_path_factory.mktemp("exposed")
    home = folder / "home"
    films = folder / "films"
    films.mkdir()
    (films / "film.yaml").write_text(FILM)
    (films / "wrong.yaml").write_text(FILM.replace("12f", "-1f"))
    (folder / "outside.yaml").write_text(FILM)
    keys = {name: f"canary-{secrets.token_hex(12)}" for name in SECRETS}
    plugin = {"PYTHONPATH": os.pathsep.join((str(Path(__file__).parent / "plugin"), _sources()))}
    with (
        machine_up(home, "--root", str(films), before=SEEN_BY_OTHERS, **keys, **plugin) as machine,
        _gpu_worker(home, films, **keys, **plugin) as worker_log,
    ):
        anonymous = _without_password(machine.url)
        machine.password = (home / "api-password").read_text().strip()
        asked = (films / "film.yaml", films / "wrong.yaml", folder / "outside.yaml")
        runs = {path.stem: machine.start_film("produce", storyboard=str(path)) for path in asked}
        states = {name: machine.ended(run, 120.0) for name, run in runs.items()}
        asked_for = machine.ask("flow_runs", flows={"name": {"any_": ["shot"]}})
        link = _film_link(machine, runs["film"])
        served = _served(machine, link)
    states["shots"] = {run["name"]: run["state"]["type"] for run in asked_for}
    keys["password of the API"] = machine.password.partition(":")[2]
    printed = machine.printed.read_text() + worker_log.read_text()
    return Exposed(machine, folder, keys, anonymous, states, link, served, printed)


def test_beyond_loopback_nobody_gets_in_without_the_password(exposed: Exposed) -> None:
    assert exposed.anonymous == {
        "health": 200,
        "flow_runs": 401,
        "wrong password": 401,
    }
    assert f"password in {exposed.machine.home / 'api-password'}" in exposed.printed
    assert "put TLS in front" in exposed.printed


def test_workers_and_commands_get_in_by_the_file_in_the_home(exposed: Exposed) -> None:
    assert exposed.states["film"]["type"] == "COMPLETED", exposed.states
    assert list(exposed.states["shots"].values()) == ["COMPLETED"]
    assert (exposed.folder / "films/deliveries/TIN/TIN_master_en.mp4").is_file()


def test_films_are_served_to_who_has_the_password(exposed: Exposed) -> None:
    film = exposed.folder / "films/deliveries/TIN/TIN_master_en.mp4"
    assert exposed.link == f"[{film}]({served_address(film)})"
    assert exposed.served == {
        "without": 401,
        "wrong password": 401,
        "with": 200,
        "with, another host": 200,
        "with, the storyboard": 404,
    }


def test_a_film_outside_the_roots_is_refused_in_words(exposed: Exposed) -> None:
    state = exposed.states["outside"]
    assert state["type"] == "FAILED"
    assert "the storyboard is outside this worker's roots" in state["message"]
    assert not (exposed.folder / "deliveries").exists()


def test_no_secret_is_in_logs_database_store_or_films(exposed: Exposed) -> None:
    database = exposed.machine.home / "prefect" / "prefect.db"
    with sqlite3.connect(database) as db:
        # What a write-ahead log still holds, and pages that are free again, are looked at as well.
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert db.execute("SELECT count(*) FROM log").fetchone()[0] > 10
        assert db.execute("SELECT count(*) FROM artifact").fetchone()[0] > 0
    files = [path for path in exposed.folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert database in files
    assert any(path.is_relative_to(exposed.folder / "films" / ".takeboard") for path in files)
    assert any(path.suffix == ".log" and path.stat().st_size > 500 for path in files)
    for name, secret in exposed.secrets.items():
        found = [path for path in files if secret.encode() in path.read_bytes()]
        allowed = (
            {exposed.machine.home / "api-password"} if name == "password of the API" else set()
        )
        assert set(found) == allowed, name
        assert secret not in exposed.printed


def test_the_password_is_its_owners_alone(exposed: Exposed) -> None:
    assert oct((exposed.machine.home / "api-password").stat().st_mode)[-3:] == "600"
    assert len(exposed.secrets["password of the API"]) > 30


def _without_password(url: str) -> dict[str, int]:
    wrong = httpx.BasicAuth("takeboard", "guess")
    return {
        "health": httpx.get(f"{url}/health").status_code,
        "flow_runs": httpx.get(f"{url}/csrf-token?client=x").status_code,
        "wrong password": httpx.get(f"{url}/csrf-token?client=x", auth=wrong).status_code,
    }


def _film_link(machine: Machine, run: str) -> str:
    found = machine.ask("artifacts", flow_runs={"id": {"any_": [run]}})
    return next((str(one["data"]) for one in found if one["key"] == "tin-film-master-en"), "")


def _served(machine: Machine, link: str) -> dict[str, int]:
    address = machine.url.removesuffix("/api") + link.partition("](")[2].removesuffix(")")
    user, _, password = machine.password.partition(":")
    right, wrong = httpx.BasicAuth(user, password), httpx.BasicAuth(user, "guess")
    proxied = {"Host": "films.example"}
    storyboard = address.partition("/deliveries/TIN/")[0] + "/film.yaml"
    return {
        "without": httpx.get(address).status_code,
        "wrong password": httpx.get(address, auth=wrong).status_code,
        "with": httpx.get(address, auth=right).status_code,
        "with, another host": httpx.get(address, auth=right, headers=proxied).status_code,
        "with, the storyboard": httpx.get(storyboard, auth=right).status_code,
    }


@contextmanager
def _gpu_worker(home: Path, films: Path, **variables: str) -> Iterator[Path]:
    """A GPU worker on this machine that was started by hand."""
    log = home.with_name("worker.printed")
    words = ("worker", "--pool", "gpu", "--name", f"{socket.gethostname()}-canary")
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", START, *words, "--root", str(films)],
            env=environment(home, **variables), cwd=films, stdin=subprocess.DEVNULL,
            stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        yield log
    finally:
        process.terminate()
        try:
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()


def _sources() -> str:
    return str(Path(__file__).parents[2])
