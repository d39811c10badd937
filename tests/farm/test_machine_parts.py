"""What `takeboard up` looks at before it starts anything, and how it tends what it has started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.farm.environment import (
    CLIENT_PASSWORD,
    DATABASE,
    PASSWORD,
    connect_to_farm,
    require_reachable,
    server_environment,
    worker_environment,
)
from flows.farm.gpus import find_gpus, parse_gpus
from flows.farm.home import Home, Running, find_home, open_home
from flows.farm.processes import Identity, Tended, end_all
from flows.farm.server import Listening, require_database, wait_until_ready
from flows.farm.stopping import Stop
from flows.farm.up import UpOptions, _Farm
from media.errors import TakeboardError, UsageError
from tests.flows.prefect_server import free_port

LISTING = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-11111111-aaaa)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-22222222-bbbb)
  MIG 3g.20gb     Device  0: (UUID: MIG-33333333-cccc)
  MIG 3g.20gb     Device  1: (UUID: MIG-44444444-dddd)
GPU 2: NVIDIA L4 (UUID: GPU-55555555-eeee)
"""


def test_gpus_are_named_and_a_divided_one_counts_by_its_parts() -> None:
    assert [(gpu.name, gpu.uuid) for gpu in parse_gpus(LISTING)] == [
        ("gpu0", "GPU-11111111-aaaa"),
        ("gpu2", "GPU-55555555-eeee"),
        ("gpu1.0", "MIG-33333333-cccc"),
        ("gpu1.1", "MIG-44444444-dddd"),
    ]
    assert parse_gpus("") == ()


@pytest.mark.parametrize(
    ("asked", "variable", "names"),
    [
        (None, None, ["gpu0", "gpu2", "gpu1.0", "gpu1.1"]),
        (None, "GPU-55555555-eeee", ["gpu2"]),
        (None, "", []),
        ("all", "0", ["gpu0", "gpu2", "gpu1.0", "gpu1.1"]),
        ("2,0", None, ["gpu2", "gpu0"]),
        ("1.1", None, ["gpu1.1"]),
        ("none", None, []),
    ],
)
def test_gpus_can_be_chosen(
    fake_smi: dict[str, str], asked: str | None, variable: str | None, names: list[str]
) -> None:
    environ = {} if variable is None else {"CUDA_VISIBLE_DEVICES": variable}
    assert [gpu.name for gpu in find_gpus(asked, environ)] == names


def test_a_gpu_that_is_not_there_is_one_line(fake_smi: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"--gpus: no GPU '7'; this machine has 0 \(NVIDIA H100"):
        find_gpus("7", {})


@pytest.fixture
def fake_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{LISTING}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return {}


def test_home_is_made_private_and_stays_so(tmp_path: Path) -> None:
    home = open_home({"XDG_DATA_HOME": str(tmp_path)})
    assert home.folder == tmp_path / "takeboard"
    assert oct(home.folder.stat().st_mode)[-3:] == "700"
    assert open_home({"TAKEBOARD_HOME": str(home.folder)}) == home
    home.folder.chmod(0o750)
    with pytest.raises(UsageError, match=r"can be read by others.*chmod 700"):
        open_home({"TAKEBOARD_HOME": str(home.folder)})


def test_home_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(UsageError, match="belongs to user"):
        open_home({"TAKEBOARD_HOME": str(tmp_path)})


def test_home_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(UsageError, match="cannot use it as the farm's home"):
        open_home({"TAKEBOARD_HOME": str(tmp_path / "home")})


def test_password_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    made = home.password()
    assert made.startswith("takeboard:")
    assert len(made) > 40
    assert home.password() == made
    assert oct(home.password_file.stat().st_mode)[-3:] == "600"


@pytest.mark.parametrize(
    ("host", "private", "url"),
    [
        ("127.0.0.1", True, "http://127.0.0.1:4200/api"),
        ("localhost", True, "http://localhost:4200/api"),
        ("::1", True, "http://[::1]:4200/api"),
        ("0.0.0.0", False, "http://127.0.0.1:4200/api"),
        ("::", False, "http://[::1]:4200/api"),
        ("192.0.2.7", False, "http://192.0.2.7:4200/api"),
    ],
)
def test_only_loopback_is_private(host: str, private: bool, url: str) -> None:
    assert Listening(host, 4200).is_private is private
    assert Listening(host, 4200).url == url


def test_host_that_does_not_exist_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"--host no\.\.host: no such host"):
        Listening("no..host", 4200).require_free()


def test_database_that_does_not_answer_is_one_line_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql+asyncpg://film:geheim@127.0.0.1:{free_port()}/farm"
    with pytest.raises(UsageError, match="the database does not answer") as refused:
        require_database(url)
    assert "geheim" not in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(UsageError, match="the database does not answer"):
        require_database(f"sqlite+aiosqlite:///{tmp_path}/missing/farm.db")
    with pytest.raises(UsageError, match=r"expected postgresql\+asyncpg or .*got postgresql$"):
        require_database("postgresql://film:geheim@127.0.0.1/farm")
    with pytest.raises(UsageError, match="expected an address such as"):
        require_database("geheim")
    require_database(f"sqlite+aiosqlite:///{tmp_path}/farm.db")


def test_server_gets_no_keys_of_others_and_workers_none_of_the_servers(tmp_path: Path) -> None:
    environ = {
        "PATH": "/bin",
        "AWS_SECRET_ACCESS_KEY": "aws",
        "OPENAI_API_KEY": "provider",
        "PREFECT_API_KEY": "cloud",
        DATABASE: "postgresql+asyncpg://film:geheim@db/farm",
        PASSWORD: "takeboard:geheim",
        "PREFECT_SERVER_LOGGING_LEVEL": "INFO",
        "NO_PROXY": "intranet",
    }
    home = Home(tmp_path)
    server = server_environment(
        environ, home, database=environ[DATABASE], password=environ[PASSWORD], origin="http://x"
    )
    assert not {"aws", "provider", "cloud"} & set(server.values())
    assert server["PREFECT_SERVER_LOGGING_LEVEL"] == "INFO"
    assert server["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == "http://x"
    worker = worker_environment(environ, home, url="http://x/api", password="takeboard:geheim")
    assert {DATABASE, PASSWORD}.isdisjoint(worker)
    assert worker[CLIENT_PASSWORD] == "takeboard:geheim"
    assert worker["AWS_SECRET_ACCESS_KEY"] == "aws"
    assert worker["NO_PROXY"] == "intranet,127.0.0.1,localhost,::1"
    alone = server_environment({}, home, database="", password="", origin="http://x")
    assert alone[DATABASE] == f"sqlite+aiosqlite:///{tmp_path}/prefect/prefect.db"
    assert PASSWORD not in alone


def test_commands_use_the_server_that_is_configured_else_that_of_up(tmp_path: Path) -> None:
    home = Home(tmp_path)
    me = Identity.of(os.getpid())
    assert me is not None
    environ = {"TAKEBOARD_HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path)}
    with pytest.raises(UsageError, match="no farm runs on this machine"):
        connect_to_farm(environ)
    home.note(Running(up=me, url="http://127.0.0.1:4200/api", password_file=home.password_file))
    password = home.password()
    found = dict(environ)
    assert connect_to_farm(found) == "http://127.0.0.1:4200/api"
    assert found[CLIENT_PASSWORD] == password
    configured = {**environ, "PREFECT_API_URL": "http://farm/api"}
    assert connect_to_farm(configured) == "http://farm/api"
    assert CLIENT_PASSWORD not in configured
    # Of an `up` that was killed, nothing is left to talk to.
    home.note(Running(up=Identity(pid=me.pid, started="earlier"), url="x", password_file=None))
    with pytest.raises(UsageError, match="no farm runs on this machine"):
        connect_to_farm(dict(environ))


def test_only_what_the_workers_of_up_refuse_is_refused_at_once(tmp_path: Path) -> None:
    home, films = Home(tmp_path / "home"), tmp_path / "films"
    home.folder.mkdir()
    environ = {"TAKEBOARD_HOME": str(home.folder), "PREFECT_API_URL": "http://10.0.0.5:4200/api"}
    me = Identity.of(os.getpid())
    assert me is not None
    running = Running(up=me, url="http://10.0.0.5:4200/api", password_file=None, roots=(films,))
    home.note(running)
    with pytest.raises(UsageError, match="the storyboard is outside this worker's roots"):
        require_reachable(tmp_path / "film.yaml", environ)
    require_reachable(films / "film.yaml", environ)
    require_reachable(tmp_path / "film.yaml", {**environ, "PREFECT_API_URL": "http://else/api"})
    # Another server has come where an `up` was killed.
    killed = Identity(pid=me.pid, started="earlier")
    home.note(running.model_copy(update={"up": killed}))
    require_reachable(tmp_path / "film.yaml", environ)


@pytest.mark.parametrize("workers", [True, False])
def test_an_up_without_workers_has_no_roots(tmp_path: Path, workers: bool) -> None:
    listening = Listening("127.0.0.1", 4200)
    options = UpOptions(listening, (tmp_path,), workers=workers)
    farm = _Farm(open_home({"TAKEBOARD_HOME": str(tmp_path)}), options, print, Stop())
    assert farm._running.roots == ((tmp_path,) if workers else ())
    farm.end()


def test_server_that_died_is_not_waited_for() -> None:
    with pytest.raises(TakeboardError, match="the server did not start: it fell"):
        wait_until_ready(f"http://127.0.0.1:{free_port()}/api", lambda: "it fell")


def test_a_process_is_not_taken_for_another_of_its_number() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        identity = Identity.of(process.pid)
        assert identity is not None
        assert identity.runs()
        other = Identity(pid=process.pid, started="earlier")
        assert end_all([other], within_s=1) == []
        assert identity.runs()
        process.kill()
        _wait_until_dead(identity)  # though nobody has waited for it yet


def test_what_does_not_end_is_killed_with_its_group(tmp_path: Path) -> None:
    stubborn = (
        "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen(['sleep', '60']); print(child.pid, flush=True); child.wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", stubborn], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        child = Identity.of(int(process.stdout.readline()))
        identity = Identity.of(process.pid)
        assert child is not None
        assert identity is not None
        assert end_all([identity], within_s=0.3) == [identity]
        assert process.wait(timeout=10) == -signal.SIGKILL
    _wait_until_dead(child)


def test_a_process_that_keeps_dying_is_started_later_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    one = Tended(
        "gpu0", (sys.executable, "-c", "raise SystemExit(3)"), os.environ, tmp_path / "log"
    )
    pauses = []
    for _ in range(9):
        one.start(0)
        assert one.process is not None
        one.process.wait(timeout=30)
        died = one.death()
        assert died.startswith("gpu0 ended (exit code 3); it starts again in ")
        pauses.append(died.split(" in ")[1].split(" s")[0])
        assert not one.is_due()
        now += 60.0
        assert one.is_due()
    assert pauses == ["1", "2", "4", "8", "16", "32", "60", "60", "60"]


def test_a_long_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.farm.processes._LOG_BYTES", 1000)
    log = tmp_path / "gpu0.log"
    one = Tended("gpu0", (), {}, log)
    with log.open("ab") as writing:
        for _ in range(30):
            writing.write(b"x" * 99 + b"\n")
            writing.flush()
            one.bound_log()
    assert log.stat().st_size <= 1100
    assert (tmp_path / "gpu0.log.1").stat().st_size <= 1100


def test_a_process_ends_with_the_one_that_started_it() -> None:
    code = (
        "import time; from flows.farm.follow import end_with_parent;"
        "end_with_parent(after_s=0.0, within_s=5.0); print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.stdin.close()
        assert process.wait(timeout=10) == -signal.SIGTERM


def test_home_without_a_choice_is_where_data_of_users_goes() -> None:
    assert find_home({}).folder == Path("~/.local/share/takeboard").expanduser()


def _wait_until_dead(process: Identity) -> None:
    deadline = time.monotonic() + 10
    while process.runs():
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.05)
