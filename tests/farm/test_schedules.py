"""Films made at set times: when that is, what the server keeps, and that the runs come."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.schedules import IntervalSchedule

from flows.farm.deployments import ensure_deployments
from flows.farm.schedules import (
    FilmSchedule,
    list_scheduled,
    pause_film,
    remove_film,
    schedule_film,
)
from flows.farm.timing import next_runs, schedule_from, when_words
from media.errors import UsageError
from tests.farm.film_worker import film_worker
from tests.flows.films import command
from tests.flows.prefect_server import PrefectServer, running_server

T = TypeVar("T")

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)


def when(now: datetime = NOW, **timing: str) -> list[str]:
    """The next three runs as a clock on the wall of Berlin shows them."""
    schedule = schedule_from({"timezone": "Europe/Berlin", **timing}, now)
    return [f"{moment:%m-%d %H:%M %Z}" for moment in next_runs(schedule, now)]


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        ({"cron": "0 2 * * *"}, ["11-22 02:00 CET", "11-23 02:00 CET", "11-24 02:00 CET"]),
        ({"cron": "@daily"}, ["11-22 00:00 CET", "11-23 00:00 CET", "11-24 00:00 CET"]),
        ({"interval": "6h"}, ["11-21 18:00 CET", "11-22 00:00 CET", "11-22 06:00 CET"]),
        ({"interval": "90m"}, ["11-21 18:00 CET", "11-21 19:30 CET", "11-21 21:00 CET"]),
        ({"interval": "1d"}, ["11-22 00:00 CET", "11-23 00:00 CET", "11-24 00:00 CET"]),
        ({"interval": "2w"}, ["12-05 00:00 CET", "12-19 00:00 CET", "01-02 00:00 CET"]),
        (
            {"rrule": "FREQ=WEEKLY;BYDAY=MO;BYHOUR=2"},
            ["11-23 02:00 CET", "11-30 02:00 CET", "12-07 02:00 CET"],
        ),
    ],
)
def test_next_runs_are_in_the_time_zone(timing: dict[str, str], expected: list[str]) -> None:
    assert when(**timing) == expected


@pytest.mark.parametrize(
    "timing",
    [{"cron": "30 2 * * *"}, {"rrule": "FREQ=DAILY;BYHOUR=2;BYMINUTE=30"}, {"interval": "1d"}],
    ids=["cron", "rrule", "interval"],
)
@pytest.mark.parametrize("change", ["2026-03-29", "2026-10-25"], ids=["spring", "autumn"])
def test_one_run_a_night_when_the_clocks_change(timing: dict[str, str], change: str) -> None:
    start = datetime.fromisoformat(change).replace(tzinfo=BERLIN) - timedelta(days=3, hours=-12)
    schedule = schedule_from({"timezone": "Europe/Berlin", **timing}, start)
    runs = next_runs(schedule, start, count=7)
    assert [run.date() for run in runs] == [
        start.date() + timedelta(days=day) for day in range(1, 8)
    ]
    ordinary = [run for run in runs if str(run.date()) != change]
    assert len({(run.hour, run.minute) for run in ordinary}) == 1


def test_an_interval_of_days_keeps_its_hour_half_a_year_later() -> None:
    winter = datetime(2026, 1, 10, 12, tzinfo=BERLIN)
    schedule = schedule_from({"interval": "1d", "timezone": "Europe/Berlin"}, winter)
    summer = next_runs(schedule, datetime(2026, 7, 1, 12, tzinfo=BERLIN))
    assert {run.hour for run in summer} == {0}


def test_an_interval_of_hours_counts_real_hours() -> None:
    before = datetime(2026, 10, 24, 23, tzinfo=BERLIN)
    schedule = schedule_from({"interval": "6h", "timezone": "Europe/Berlin"}, before)
    runs = next_runs(schedule, before, count=5)
    steps = {(later.timestamp() - run.timestamp()) / 3600 for run, later in pairwise(runs)}
    assert steps == {6.0}


@pytest.mark.parametrize(
    ("timing", "said"),
    [
        ({}, 'expected one of --cron, --interval and --rrule, got none; .* --cron "0 2'),
        ({"cron": "0 2 * * *", "interval": "6h"}, "got 2"),
        (
            {"cron": "0 2 * * * *"},
            r"--cron: expected five fields \(minute 0-59, hour.*0 2 \* \* \*",
        ),
        ({"cron": "0 25 * * *"}, "--cron: expected five fields"),
        ({"cron": ""}, "--cron: expected five fields"),
        ({"cron": "0 0 30 2 *"}, "cron 0 0 30 2 .*: such a moment never comes"),
        ({"interval": "6"}, "--interval: expected minutes, .*--interval 6h"),
        ({"interval": "0h"}, "--interval: expected"),
        ({"interval": "10s"}, "--interval: expected"),
        ({"rrule": "every day"}, "--rrule: expected a recurrence rule .*BYDAY=MO"),
        ({"rrule": "FREQ=SECONDLY"}, "--rrule: expected a recurrence rule"),
        ({"rrule": "FREQ=DAILY;BYSECOND=1,2"}, "more than once a minute"),
        ({"rrule": "FREQ=DAILY;COUNT=3"}, "never comes"),
        ({"cron": "0 2 * * *", "timezone": "berlin"}, 'did you mean "Europe/Berlin"'),
        ({"cron": "0 2 * * *", "timezone": "Europe/Berln"}, 'did you mean "Europe/Berlin"'),
        ({"cron": "0 2 * * *", "timezone": "CET+1"}, "unknown time zone 'CET.1'"),
    ],
)
def test_what_cannot_be_is_one_line_with_an_example(timing: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        schedule_from(timing, NOW)
    assert "\n" not in str(caught.value)


FILM = """
version: 1
project: {code: NGT, title: "Night {{ city }}", fps: 24, size: 160x90}
defaults: {backend: animatic}
variables: {city: Oslo}
variants: rows.csv
scenes:
  - id: sc010
    slugline: EXT. BEACH - NIGHT
    shots: [{id: sh0010, size: LS, duration: 12f, action: The sea.}]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    home = tmp_path_factory.mktemp("prefect") / "server"
    with running_server(home, services=("SCHEDULER",)) as running:
        yield running


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "films" / "film.yaml"
    path.parent.mkdir()
    path.write_text(FILM, encoding="utf-8")
    (path.parent / "rows.csv").write_text("name,city\nbergen,Bergen\nrome,Rome\n", encoding="utf-8")
    return path


@pytest.fixture
def nightly(film: Path) -> FilmSchedule:
    timing = schedule_from({"cron": "0 2 * * *", "timezone": "Europe/Berlin"}, NOW)
    return FilmSchedule("NGT", film, "Night", "NGT", timing)


def ask(server: PrefectServer, what: Callable[[PrefectClient], Awaitable[T]]) -> T:
    """What the client answers."""

    async def asked() -> T:
        async with PrefectClient(server.url) as client:
            return await what(client)

    return asyncio.run(asked())


@pytest.mark.server
def test_a_scheduled_film_is_a_deployment_of_its_own(
    server: PrefectServer, nightly: FilmSchedule
) -> None:
    asked = replace(nightly, name="own", variables={"city": "Narvik"}, missed="skip")
    assert not ask(server, lambda client: schedule_film(client, asked))
    (one,) = [one for one in server.ask("deployments") if one["name"] == "own"]
    assert (one["work_pool_name"], one["work_queue_name"]) == ("cpu", "later")
    assert one["parameters"] == {"storyboard": str(nightly.film), "variables": {"city": "Narvik"}}
    assert one["tags"] == ["film:NGT", "missed:skip"]
    assert one["schedules"][0]["schedule"]["cron"] == "0 2 * * *"
    ask(server, lambda client: remove_film(client, "own"))


@pytest.mark.server
def test_scheduled_again_it_is_changed_and_of_another_film_refused(
    server: PrefectServer, nightly: FilmSchedule
) -> None:
    again = replace(
        nightly, schedule=schedule_from({"interval": "6h", "timezone": "Europe/Berlin"}, NOW)
    )
    other = replace(nightly, film=nightly.film.with_name("other.yaml"))
    ask(server, lambda client: schedule_film(client, nightly))
    assert ask(server, lambda client: schedule_film(client, again))
    (one,) = ask(server, list_scheduled)
    assert (one.name, one.when) == ("NGT", "every 6h, Europe/Berlin")
    with pytest.raises(UsageError, match=r"NGT is the schedule of .*film\.yaml; choose another"):
        ask(server, lambda client: schedule_film(client, other))
    with pytest.raises(UsageError, match="and not farm, got 'farm'"):
        ask(server, lambda client: schedule_film(client, replace(nightly, name="farm")))
    ask(server, lambda client: remove_film(client, "NGT"))


@pytest.mark.server
def test_paused_resumed_forgotten(server: PrefectServer, nightly: FilmSchedule) -> None:
    ask(server, lambda client: schedule_film(client, nightly))
    ask(server, lambda client: pause_film(client, "NGT", paused=True))
    assert [one.paused for one in ask(server, list_scheduled)] == [True]
    ask(server, lambda client: pause_film(client, "NGT", paused=False))
    assert [one.paused for one in ask(server, list_scheduled)] == [False]
    with pytest.raises(UsageError, match="no film is scheduled as 'a/b'; there are: NGT"):
        ask(server, lambda client: remove_film(client, "a/b"))
    with pytest.raises(UsageError, match="no film is scheduled as 'NGX'; there are: NGT"):
        ask(server, lambda client: remove_film(client, "NGX"))
    ask(server, lambda client: remove_film(client, "NGT"))
    assert not ask(server, list_scheduled)


@pytest.mark.server
def test_the_command_schedules_shows_and_forgets(
    server: PrefectServer, film: Path, tmp_path: Path
) -> None:
    def takeboard(*words: object) -> Any:
        return command("schedule", *words, home=tmp_path, PREFECT_API_URL=server.url)

    made = takeboard(
        film, "--cron", "0 2 * * *", "--timezone", "Europe/Berlin", "--variant", "rome"
    )
    assert made.returncode == 0, made.stderr
    first, *runs = made.stdout.splitlines()
    assert first.startswith("Scheduled NGT-rome: Night Rome, cron 0 2 * * *, Europe/Berlin; missed")
    assert [run.split()[0] for run in runs] == ["next"] * 3
    assert all(" 02:00 CE" in run for run in runs)
    (one,) = json.loads(takeboard("--list", "--json").stdout)
    assert (one["name"], one["which"], one["film"]) == ("NGT-rome", "rome", str(film))
    wide = {"PREFECT_API_URL": server.url, "COLUMNS": "160"}
    listed = command("schedule", "--list", home=film.parent, **wide).stdout.splitlines()
    assert listed[0].split() == ["name", "film", "when", "next", "missed", "queue"]
    assert listed[1].startswith(f"NGT-rome  {film.name}, rome  cron 0 2 * * *, Europe/Berlin  ")
    assert takeboard("--remove", "NGT-rome").stdout == "NGT-rome is forgotten\n"


@pytest.mark.server
def test_a_wrong_storyboard_is_not_scheduled(
    server: PrefectServer, film: Path, tmp_path: Path
) -> None:
    film.write_text(FILM.replace("size: LS", "size: XXL"), encoding="utf-8")
    answer = command(
        "schedule", film, "--interval", "6h", "--all-variants",
        home=tmp_path, PREFECT_API_URL=server.url,
    )  # fmt: skip
    assert answer.returncode == 2
    assert "film.yaml:10:" in answer.stderr
    assert not ask(server, list_scheduled)


def test_one_thing_is_asked_for(tmp_path: Path) -> None:
    answer = command("schedule", "--list", "--remove", "NGT", home=tmp_path)
    assert answer.returncode == 2
    assert "expected one of FILM, --list, --remove, --pause and --resume" in answer.stderr


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_schedule_fires_and_every_variant_is_made(
    server: PrefectServer, film: Path, tmp_path: Path, nightly: FilmSchedule
) -> None:
    """It is what fails when a newer SQLAlchemy keeps Prefect's scheduler from making runs."""
    film.write_text(FILM + "approve: [picks]\n", encoding="utf-8")
    soon = IntervalSchedule(
        interval=timedelta(minutes=5), anchor_date=datetime.now(UTC) + timedelta(seconds=10)
    )
    asked = replace(nightly, name="NGT-all", all_variants=True, schedule=soon)
    ask(server, ensure_deployments)
    ask(server, lambda client: schedule_film(client, asked))
    with film_worker(server.url, root=film.parent, home=tmp_path / "worker"):
        waiting = _until(lambda: _ended(server, 3))
        for variant in ("bergen", "rome"):
            answer = ["approve", film, "--variant", variant]
            said = command(*answer, home=tmp_path, PREFECT_API_URL=server.url)
            assert said.returncode == 0, said.stderr
        made = _until(lambda: _ended(server, 3, paused=False))
    fired = {run["name"]: run for run in made if run["auto_scheduled"]}
    assert [(name, run["state"]["message"]) for name, run in fired.items()] == [
        ("NGT, every variant", "2 films submitted, one a variant: each is a run of its own")
    ]
    films = {run["name"]: run for run in made if not run["auto_scheduled"]}
    assert set(films) == {"Night Bergen, bergen", "Night Rome, rome"}
    assert {run["work_queue_name"] for run in films.values()} == {"later"}
    assert {run["state_type"] for run in waiting} == {"COMPLETED", "PAUSED"}
    assert {run["state_type"] for run in made} == {"COMPLETED"}
    (page,) = server.ask("artifacts", artifacts={"key": {"any_": ["ngt-variants"]}})
    for name, run in films.items():
        assert f"[{name}](/runs/flow-run/{run['id']})" in page["data"]
    for variant in ("bergen", "rome"):
        assert list((film.parent / "deliveries" / f"NGT-{variant}").glob("*.mp4"))
    ask(server, lambda client: remove_film(client, "NGT-all"))


def _ended(server: PrefectServer, count: int, paused: bool = True) -> list[dict[str, Any]]:
    states = ["COMPLETED", "FAILED", "CRASHED", *(["PAUSED"] if paused else [])]
    found = list(server.ask("flow_runs", flow_runs={"state": {"type": {"any_": states}}}))
    return found if len(found) >= count else []


def _until(look: Callable[[], T], within_s: float = 120.0) -> T:
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.3)
    return found


def test_words_for_when_are_what_was_typed() -> None:
    for timing, words in (
        ({"cron": "0 2 * * *"}, "cron 0 2 * * *"),
        ({"interval": "90m"}, "every 90m"),
        ({"interval": "6h"}, "every 6h"),
        ({"interval": "1d"}, "every 1d"),
        ({"rrule": "FREQ=WEEKLY;BYDAY=MO"}, "rrule FREQ=WEEKLY;BYDAY=MO"),
    ):
        assert when_words(schedule_from(timing, NOW)) == words
