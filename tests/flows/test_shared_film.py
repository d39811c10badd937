"""A film on two machines that share an object store: made once, known to both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from films import board, command, write_film

from flows.costs import cost_record
from flows.options import FilmOptions
from flows.planning import plan_film
from flows.recorder import Recorder
from flows.sweep import sweep
from generator.budget import Allowance
from generator.takes import TakeStore, record_plan, spent_usd
from media.patience import patient
from media.store import ContentStore
from storyboards.resolve import load_film
from tests.media.object_server import Farm, ObjectServer, object_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    with object_server(tmp_path_factory.mktemp("objects")) as started:
        yield started


@pytest.fixture
def farm(server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Farm:
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    return Farm(server, tmp_path)


def takeboard(farm: Farm, machine: str, *words: object, code: int = 0, store: str = "") -> str:
    """What the command says on that machine, which has only its own home."""
    home = farm.folder / machine
    home.mkdir(exist_ok=True)
    answer = command(
        *words,
        home=home,
        TAKEBOARD_STORE=store or farm.url,
        TAKEBOARD_STORE_COPY=str(home),
        **farm.server.environ,
    )
    assert answer.returncode == code, answer.stderr
    return answer.stdout if code == 0 else answer.stderr


@pytest.mark.slow
def test_a_film_is_rendered_once_for_all_machines(farm: Farm) -> None:
    paths = {name: write_film(farm.folder / name / "work" / "tiny") for name in "ab"}
    first = json.loads(takeboard(farm, "a", "produce", paths["a"], "--json"))[0]
    assert (first["rendered"], first["reused"]) == (5, 0)
    planned = json.loads(takeboard(farm, "b", "plan", paths["b"], "--json"))
    assert [job["state"] for job in planned["jobs"]] == ["cached"] * 5
    second = json.loads(takeboard(farm, "b", "produce", paths["b"], "--json"))[0]
    assert (second["rendered"], second["reused"]) == (0, 5)
    assert farm.objects("/leases/") == []
    assert {name.split("/")[1] for name in farm.objects()} == {"history", "takes"}

    # What changes on one machine is known by its reason on the other, without a download.
    changed: dict[str, Any] = board()
    changed["scenes"][0]["shots"][1]["camera"] = {"move": "pull_out"}
    write_film(paths["b"].parent, changed)
    planned = json.loads(takeboard(farm, "c", "plan", paths["b"], "--json"))
    states = {job["shot"]: (job["state"], job["stale_reason"]) for job in planned["jobs"]}
    assert states["sc010/sh0020"] == ("stale", "camera changed")
    assert not list((farm.folder / "c").rglob("picture.mp4"))


def test_what_no_film_uses_goes_for_all_machines(farm: Farm) -> None:
    film = load_film(write_film(farm.folder / "a" / "tiny"))
    options = {
        name: FilmOptions(store=farm.root(name), out=farm.folder / "out", jobs=1) for name in "ab"
    }
    plan = plan_film(film, options["a"])
    store = TakeStore(farm.root("a"))
    used, unused = plan.jobs[0].key, "e" * 64
    for key in (used, unused):
        store.entries.make(key, lambda folder: {})
    record_plan(plan, store)
    swept = sweep([(film, options["b"])], older_than_days=0, run=True)
    assert [one["key"] for one in swept["entries"]] == [unused]
    assert swept["store"] == farm.url
    assert set(TakeStore(farm.root("c")).entries.keys()) == {used}
    assert farm.objects(unused) == []


def test_what_one_machine_spent_counts_on_the_other(farm: Farm) -> None:
    films = {name: load_film(write_film(farm.folder / name / "tiny")) for name in "ab"}
    stores = {name: TakeStore(farm.root(name)) for name in "ab"}
    out = farm.folder / "out"
    for name, usd in (("a", 1.5), ("b", 2.0)):
        plan = plan_film(films[name], FilmOptions(store=farm.root(name), out=out, jobs=1))
        job = plan.jobs[0 if name == "a" else 1]
        stores[name].entries.make(job.key, lambda folder, paid=usd: {"cost_usd": paid})  # type: ignore[misc]
        record_plan(plan, stores[name])
    fresh = TakeStore(farm.root("c"))
    for name, store in (*stores.items(), ("a", fresh)):
        assert spent_usd(films[name], store) == pytest.approx(3.5)
    assert not list((farm.folder / "c").rglob("manifest.json"))
    assert len(farm.objects("history/")) == 1


def test_costs_are_told_of_a_film_that_was_stopped(farm: Farm) -> None:
    film = load_film(write_film(farm.folder / "a" / "tiny"))
    plan = plan_film(film, FilmOptions(store=farm.root("a"), out=farm.folder / "out", jobs=1))
    pages: list[str] = []

    class Clerk(Recorder):
        @property
        def seen(self) -> bool:
            return True

        def markdown(self, key: str, text: str, title: str) -> None:
            pages.append(text)

    def run(stop: Event) -> None:
        store, allowed = TakeStore(farm.root("a")), Allowance(plan.jobs, ())
        with patient(stop.is_set), cost_record(plan, allowed, store, Clerk()):
            stop.set()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(Event())
    assert "; 0 made for 0.00 USD" in pages[-1]


def test_what_is_wrong_with_the_store_is_one_line(farm: Farm) -> None:
    path = write_film(farm.folder / "a" / "tiny")
    for store, code, said in (
        ("s3://no-such-bucket/x", 6, "s3://no-such-bucket/x: cannot list"),
        ("s3://key:hunter2@films/x", 2, "store: expected a URL such as s3://bucket/prefix"),
        ("gs://films/x", 2, "store: gs:// needs a library that is not installed"),
    ):
        (line,) = takeboard(farm, "a", "plan", path, code=code, store=store).splitlines()
        assert line.startswith(said)
        assert "hunter2" not in line
    (line,) = takeboard(
        farm, "a", "plan", path, "--store", "s3://no-such-bucket/y", code=6
    ).splitlines()
    assert "there is no such bucket; make the bucket" in line


def test_a_plain_folder_is_not_bound(tmp_path: Path) -> None:
    store = ContentStore(tmp_path, "takes")
    store.make("a" * 64, lambda folder: {})
    assert not (tmp_path / "takes" / "pending").exists()
    assert store.publish_pending() == 0
