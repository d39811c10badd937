"""One machine's farm, for real: it comes up, mends itself, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from flows.farm.automations import AUTOMATIONS
from flows.farm.processes import Identity
from tests.farm.one_machine import Machine, environment, machine_up, takeboard, until
from tests.flows.prefect_server import free_port

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]

OURS = {one.name for one in AUTOMATIONS}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    home = tmp_path_factory.mktemp("machine") / "home"
    with machine_up(home, "--root", str(home.parent)) as machine:
        yield machine
        after = [machine.process.pid, *machine.processes().values()]
    assert [pid for pid in after if Identity.of(pid)] == []
    assert machine.lines()[-2:] == [
        "stopping: the workers hand back what they are doing",
        "ended",
    ]
    assert not (home / "up.json").exists()


def test_it_says_where_it_is_and_what_to_type(machine: Machine) -> None:
    text = "\n".join(machine.lines())
    assert f"Takeboard is up: {machine.url.removesuffix('/api')}\n" in text
    assert f"films    in {machine.home.parent}\n" in text
    assert f"logs     {machine.home / 'logs'}\n" in text
    assert f"workers  {socket.gethostname()}-cpu\n" in text
    assert "Next: takeboard produce FILM --farm." in text
    assert "password" not in text


def test_the_home_is_private_and_the_server_tells_nobody(machine: Machine) -> None:
    assert oct(machine.home.stat().st_mode)[-3:] == "700"
    assert (machine.home / "prefect" / "prefect.db").is_file()
    settings = httpx.get(machine.url.removesuffix("/api") + "/ui-settings").json()
    assert settings["api_url"] == "/api"
    assert settings["default_ui"] == "v1"
    found = Path(f"/proc/{machine.processes()['server']}/environ").read_bytes().split(b"\0")
    assert {b"PREFECT_SERVER_ANALYTICS_ENABLED=false", b"DO_NOT_TRACK=1"} <= set(found)


def test_pools_deployments_and_automations_stand_once(machine: Machine) -> None:
    def standing() -> tuple[set[str], list[str], dict[str, dict[str, object]]]:
        pools = {one["name"] for one in machine.ask("work_pools")}
        deployments = [one["entrypoint"] for one in machine.ask("deployments")]
        automations = {one["name"]: one for one in machine.ask("automations")}
        return pools, deployments, automations

    before = standing()
    assert before[0] >= {"cpu", "gpu"}
    assert "flows.produce.produce" in before[1]
    assert set(before[2]) == OURS
    # Somebody has made ours slower, and switched it off.
    (silent,) = (before[2][one.name] for one in AUTOMATIONS)
    patience_s = silent["trigger"]["within"]  # type: ignore[index]
    _change(machine, silent, trigger={**silent["trigger"], "within": 9000.0}, enabled=False)  # type: ignore[dict-item]
    _furnish(machine)
    after = standing()
    assert after[:2] == before[:2]
    assert after[2][str(silent["name"])]["trigger"]["within"] == patience_s  # type: ignore[index]
    assert after[2][str(silent["name"])]["enabled"] is False


def test_a_web_page_elsewhere_cannot_start_a_film(machine: Machine) -> None:
    # What a browser sends without asking first: no content type, no token.
    answer = httpx.post(f"{machine.url}/flows/", content=b'{"name": "x"}')
    assert answer.status_code == 403
    asked = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    assert (
        "access-control-allow-origin"
        not in httpx.options(f"{machine.url}/flows/", headers=asked).headers
    )


def test_a_second_up_says_that_it_is_up_and_where(machine: Machine) -> None:
    shown = takeboard(machine.home, "up")
    assert shown.returncode == 2
    where = machine.url.removesuffix("/api")
    assert shown.stderr.startswith(f"{where}: Takeboard is up already (process ")
    assert len(shown.stderr.splitlines()) == 1


def test_a_port_in_use_is_one_line(machine: Machine, tmp_path: Path) -> None:
    port = machine.url.split(":")[2].partition("/")[0]
    shown = takeboard(tmp_path / "home", "up", "--port", port)
    assert shown.returncode == 2
    assert shown.stderr == (
        f"127.0.0.1:{port}: cannot listen there: address already in use; "
        "choose another with --port and --host, or end what uses it\n"
    )
    assert not (tmp_path / "home" / "up.json").exists()


def test_a_gpu_that_is_not_there_is_one_line_before_anything_starts(tmp_path: Path) -> None:
    shown = takeboard(tmp_path / "home", "up", "--gpus", "7", "--port", str(free_port()))
    assert (shown.returncode, len(shown.stderr.splitlines())) == (2, 1)
    assert shown.stderr.startswith("--gpus: no GPU '7'; this machine has ")
    assert "starting the server" not in shown.stdout
    assert not (tmp_path / "home" / "logs" / "server.log").exists()


@pytest.mark.parametrize(
    "words", [("produce", "--farm", "--detach"), ("schedule", "--cron", "@daily")]
)
def test_a_storyboard_that_no_worker_may_read_is_refused_at_once(
    machine: Machine, tmp_path: Path, words: tuple[str, ...]
) -> None:
    made = takeboard(machine.home, "new", str(tmp_path / "outside"))
    assert made.returncode == 0, made.stderr
    path = tmp_path / "outside" / "storyboard.yaml"
    asked = len(machine.ask("flow_runs"))
    command, *options = words
    shown = takeboard(machine.home, command, str(path), *options)
    assert shown.returncode == 2
    assert shown.stderr == (
        f"{path}: the storyboard is outside this worker's roots; put it into "
        f"{machine.home.parent}, or start the worker (`takeboard up`) with --root\n"
    )
    assert len(machine.ask("flow_runs")) == asked


def test_commands_find_the_server_in_the_home(machine: Machine) -> None:
    code = (
        "import os; from flows.farm.environment import connect_to_farm; print(connect_to_farm());"
        "import prefect.settings as s; print(s.PREFECT_API_URL.value())"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], env=environment(machine.home), cwd=machine.home.parent,
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert shown.stdout.split() == [machine.url, machine.url]


def test_what_dies_is_started_again_and_said(machine: Machine) -> None:
    worker = f"{socket.gethostname()}-cpu"
    before = machine.processes()
    for name in (worker, "server"):
        os.kill(before[name], signal.SIGKILL)
        until(lambda name=name: machine.processes()[name] != before[name] or None)
    assert any(f"{worker} ended (SIGKILL); it starts again in 1 s" in x for x in machine.lines())
    until(lambda: _healthy(machine))
    assert machine.process.poll() is None
    assert machine.ask("automations")


@pytest.mark.slow
def test_up_that_is_killed_takes_everything_with_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with machine_up(home) as first:
        started = first.processes()
        first.process.kill()
        until(lambda: not any(map(Identity.of, started.values())) or None, 60.0)
        assert (home / "up.json").exists()
        with machine_up(home, "--no-worker") as second:
            assert set(second.processes()) == {"server"}
            shown = takeboard(home, "down")
            assert (shown.returncode, shown.stdout) == (
                0, f"ended {second.url.removesuffix('/api')}\n",
            )  # fmt: skip
            assert second.process.wait(timeout=10) == 0
        assert takeboard(home, "down").stdout == f"Takeboard is not up ({home})\n"


def _change(machine: Machine, automation: dict[str, object], **change: object) -> None:
    read_only = ("id", "created", "updated")
    body = {name: value for name, value in automation.items() if name not in read_only}
    answer = httpx.put(
        f"{machine.url}/automations/{automation['id']}",
        json={**body, **change}, headers=machine._csrf, timeout=20.0,
    )  # fmt: skip
    assert answer.status_code == 204, answer.text


def _furnish(machine: Machine) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "flows.farm.furnish"],
        env=environment(machine.home, PREFECT_API_URL=machine.url),
        stdin=subprocess.PIPE,  # open for as long as it works
        cwd=machine.home.parent,
    ) as furnishing:
        try:
            assert furnishing.wait(timeout=90) == 0
        finally:
            furnishing.kill()


def _healthy(machine: Machine) -> bool | None:
    try:
        return httpx.get(f"{machine.url}/health", timeout=2).is_success or None
    except httpx.HTTPError:
        return None
