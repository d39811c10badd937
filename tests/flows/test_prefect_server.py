"""Films recorded on a real Prefect server: what a person finds in its UI, and how runs end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.flows.films import command, command_line, quiet_environment
from tests.flows.prefect_server import PrefectServer, free_port, running_server

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

FILM = """
version: 1
project: {code: TIN, title: TITLE, fps: 24, size: 160x90}
defaults: {backend: animatic}
scenes:
  - id: sc010
    slugline: EXT. BEACH - DAY
    shots:
      - {id: sh0010, size: LS, duration: 12f, action: A tin rolls., ambience: surf}
      - {id: sh0020, size: CU, duration: 12f, action: The tin., sfx: [{cue: a kazoo choir}]}
      - {id: sh0030, size: ELS, duration: 12f, action: The sea takes it back.}
"""

FAILING = """
import flows.shots
from media.errors import RenderError
real = flows.shots.render_take
def render_take(job, *rest):
    if job.shot_id == "sc010/sh0020":
        raise RenderError("the brush broke", where=job.shot_id, todo="buy a new one")
    return real(job, *rest)
flows.shots.render_take = render_take
"""

WAITING = """
import time, flows.shots
from media.errors import CancelledError
real = flows.shots.render_take
def render_take(job, backend, store, tools):
    if job.shot_id != "sc010/sh0030":
        return real(job, backend, store, tools)
    print("waiting", flush=True)
    while not tools.should_stop():
        time.sleep(0.02)
    raise CancelledError("cancelled")
flows.shots.render_take = render_take
"""

HALTING = """
import sys, flows.shots
real = flows.shots.render_take
def render_take(job, *rest):
    if job.shot_id == "sc010/sh0030":
        print("waiting", flush=True)
        sys.stdin.readline()
    return real(job, *rest)
flows.shots.render_take = render_take
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with running_server(tmp_path_factory.mktemp("prefect") / "server") as running:
        yield running


@dataclass(frozen=True)
class MadeTwice:
    """A film made and made again: what the command printed, and the two flow runs."""

    folder: Path
    shown: tuple[subprocess.CompletedProcess[str], ...]
    runs: list[dict[str, Any]]


@pytest.fixture(scope="module")
def made(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> MadeTwice:
    folder = tmp_path_factory.mktemp("film")
    film = _write_film(folder, "The Tin")
    shown = tuple(
        command("produce", film, PREFECT_API_URL=server.url, home=folder) for _ in range(2)
    )
    assert [one.returncode for one in shown] == [0, 0], shown
    return MadeTwice(folder, shown, server.flow_runs("The Tin"))


def test_film_is_one_flow_run_with_a_task_run_a_shot(
    server: PrefectServer, made: MadeTwice
) -> None:
    run, shown = made.runs[0], made.shown[0]
    assert len(made.runs) == 2
    assert run["state"]["type"] == "COMPLETED"
    assert run["state"]["message"] == "3 takes rendered, 0 reused; running time 1.5 s"

    tasks = server.task_runs(run["id"], expected=5)
    assert sorted(tasks) == [
        "TIN sc010/sh0010 take 1",
        "TIN sc010/sh0020 take 1",
        "TIN sc010/sh0030 take 1",
        "TIN_master_en picture",
        "TIN_master_en sound",
    ]
    shot = tasks["TIN sc010/sh0010 take 1"]
    assert set(shot["tags"]) == {"shot:sc010/sh0010", "take:1", "backend:animatic"}
    assert {task["state"]["type"] for task in tasks.values()} == {"COMPLETED"}
    assert re.search(r"frames 12, key [0-9a-f]{12}$", shot["state"]["message"])
    assert f"/runs/flow-run/{run['id']}\n" in shown.stderr


def test_log_of_the_run_says_what_matters_and_the_terminal_stays_quiet(
    server: PrefectServer, made: MadeTwice
) -> None:
    log = server.log(made.runs[0]["id"], expected="Finished in state Completed('3 takes")
    assert "plan: 3 takes, 3 to render for 0.00 USD and 0 s of GPU" in log
    for stage in ("shots", "sound", "picture"):
        assert sum(line.startswith(f"{stage} done in") for line in log) == 1, stage
    printed = made.shown[0].stderr + made.shown[0].stdout
    assert not re.search(r"prefect|INFO|\d\d:\d\d:\d\d", printed.replace(str(made.folder), ""))


def test_artifacts_show_plan_losses_contact_sheet_and_links(
    server: PrefectServer, made: MadeTwice
) -> None:
    found = server.artifacts(made.runs[0]["id"])
    assert set(found) == {
        "tin-plan", "tin-loss-report", "tin-costs", "tin-takes-made", "tin-progress",
        "tin-film", "tin-report", "tin-film-master-en",
    }  # fmt: skip
    assert found["tin-plan"]["type"] == "table"
    assert all(word in found["tin-plan"]["data"] for word in ("sc010/sh0030", "animatic", "new"))
    assert "kazoo" in found["tin-loss-report"]["data"]
    assert "![contact sheet](data:image/jpeg;base64,/9j/" in found["tin-film"]["data"]
    master = made.folder / "deliveries" / "TIN" / "TIN_master_en.mp4"
    assert master.as_uri() in found["tin-film-master-en"]["data"]
    assert (master.parent / "report.html").as_uri() in found["tin-report"]["data"]


def test_second_run_renders_nothing_and_says_so(server: PrefectServer, made: MadeTwice) -> None:
    run = made.runs[1]
    assert run["state"]["message"] == "0 takes rendered, 3 reused; running time 1.5 s"
    log = server.log(run["id"], expected="Finished in state")
    assert "plan: 3 takes, 0 to render for 0.00 USD and 0 s of GPU" in log
    assert server.task_runs(run["id"], expected=0) == {}
    assert "0 takes rendered" in server.artifacts(run["id"])["tin-film"]["data"]


def test_what_a_flow_returns_is_not_written_to_disk(server: PrefectServer, made: MadeTwice) -> None:
    assert (made.folder / ".prefect").is_dir()
    assert not list((made.folder / ".prefect" / "storage").glob("*"))
    assert not list((server.home / "storage").glob("*"))


def test_failed_shot_fails_its_task_and_the_flow_in_one_line(
    server: PrefectServer, tmp_path: Path
) -> None:
    film = _write_film(tmp_path, "The Broken")
    shown = command("produce", film, PREFECT_API_URL=server.url, home=tmp_path, before=FAILING)
    assert shown.returncode == 4
    (run,) = server.flow_runs("The Broken")
    states = {
        name: (task["state"]["type"], task["state"]["message"])
        for name, task in server.task_runs(run["id"], expected=3).items()
    }
    assert states.pop("TIN sc010/sh0020 take 1") == (
        "FAILED", "sc010/sh0020: the brush broke; buy a new one",
    )  # fmt: skip
    assert {kind for kind, _ in states.values()} == {"COMPLETED"}
    message = "sc010/sh0020: 1 of 3 takes could not be made; the first: the brush broke"
    assert run["state"]["type"] == "FAILED"
    assert run["state"]["message"] == f"{message}; buy a new one"
    assert message in shown.stderr
    log = server.log(run["id"], expected="Finished in state Failed")
    assert "failed: sc010/sh0020: the brush broke; buy a new one" in log
    assert not any("Traceback" in line for line in [*log, shown.stderr])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_cancelled_run_ends_cancelled_and_resumes(
    server: PrefectServer, tmp_path: Path, number: signal.Signals
) -> None:
    title = f"The {number.name}"
    film = _write_film(tmp_path, title)
    process = subprocess.Popen(
        command_line("produce", film, "--jobs", 1, before=WAITING),
        env=quiet_environment(tmp_path, PREFECT_API_URL=server.url), cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    (run,) = server.flow_runs(title)
    assert run["state"]["type"] == "CANCELLED"
    tasks = server.task_runs(run["id"], expected=3)
    assert sorted(task["state"]["type"] for task in tasks.values()) == [
        "CANCELLED", "COMPLETED", "COMPLETED",
    ]  # fmt: skip
    if number == signal.SIGTERM:
        return  # what was kept does not depend on the signal
    assert command("produce", film, PREFECT_API_URL=server.url, home=tmp_path).returncode == 0
    again = server.flow_runs(title)[-1]
    assert again["state"]["message"].startswith("1 take rendered, 2 reused")


def test_wrong_storyboard_makes_no_flow_run(server: PrefectServer, tmp_path: Path) -> None:
    film = _write_film(tmp_path, "The Wrong")
    film.write_text(film.read_text().replace("duration: 12f", "duration: -1f"))
    assert command("produce", film, PREFECT_API_URL=server.url, home=tmp_path).returncode == 2
    assert server.flow_runs("The Wrong") == []


def test_dead_server_is_one_line_and_local_runs(tmp_path: Path) -> None:
    film = _write_film(tmp_path, "Alone")
    url = f"http://127.0.0.1:{free_port()}/api"
    started = time.monotonic()
    shown = command("produce", film, PREFECT_API_URL=url, home=tmp_path)
    assert time.monotonic() - started < 10
    assert shown.returncode == 2
    assert len(shown.stderr.splitlines()) == 1
    assert shown.stderr.startswith(f"{url}: no Prefect server answers")
    assert "--local" in shown.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.yaml"]
    assert command("produce", film, "--local", PREFECT_API_URL=url, home=tmp_path).returncode == 0


def test_a_server_that_dies_in_mid_run_costs_the_record_and_not_the_film(tmp_path: Path) -> None:
    film = _write_film(tmp_path, "The Lonely")
    with running_server(tmp_path / "server") as dying:
        process = subprocess.Popen(
            command_line("produce", film, "--jobs", 1, before=HALTING),
            env=quiet_environment(tmp_path, PREFECT_API_URL=dying.url), cwd=tmp_path, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
    died = time.monotonic()
    try:
        shown, errors = process.communicate("go on\n", timeout=60)
    finally:
        process.kill()
        process.wait()
    took_s = time.monotonic() - died
    assert process.returncode == 0, errors
    made = re.search(r"3 takes rendered, 0 reused, in ([\d.]+) s", shown)
    assert made is not None, shown
    assert (tmp_path / "deliveries/TIN/TIN_master_en.mp4").is_file()
    assert "the Prefect server has gone" in errors
    assert "its record there is incomplete" in errors
    assert "Traceback" not in errors
    # The wait for the server and the film's own seconds overlap: both are well within this.
    assert took_s < 20 + float(made[1])


def test_without_a_server_prefect_is_not_imported(tmp_path: Path) -> None:
    film = _write_film(tmp_path, "Alone")
    tail = "\nimport sys; print(sorted(name for name in sys.modules if 'prefect' in name))"
    code = f"from flows.cli import app; app(standalone_mode=False){tail}"
    shown = subprocess.run(
        [sys.executable, "-c", code, "produce", str(film), "--quiet"],
        env=quiet_environment(tmp_path), cwd=tmp_path, capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    assert shown.stdout == "[]\n"
    assert not (tmp_path / ".prefect").exists()


def test_run_forms_explain_every_parameter(tmp_path: Path) -> None:
    code = (
        "import json; from flows.produce import produce; from flows.preview import preview;"
        "print(json.dumps([flow.parameters.model_dump() for flow in (produce, preview)]))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], env=quiet_environment(tmp_path), cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    for form in json.loads(shown.stdout):
        assert form["required"] == ["storyboard"]
        assert all(field["description"] for field in form["properties"].values())
        assert form["properties"]["storyboard"]["format"] == "path"
        assert form["properties"]["slates"]["type"] == "boolean"
        jobs = form["properties"]["jobs"]
        assert (jobs["type"], jobs["minimum"], jobs["maximum"]) == ("integer", 0, 256)


def _write_film(folder: Path, title: str) -> Path:
    path = folder / "film.yaml"
    path.write_text(FILM.replace("TITLE", title), encoding="utf-8")
    return path
