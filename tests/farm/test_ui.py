"""What a person sees and does in Prefect's UI: real pages of a real farm, in a headless Chromium.

A film is started by filling in the form, watched while it is made, approved twice in the form
that it waits with, and looked at when it is done. Each fixture is one of these moments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import yaml
from prefect.utilities.callables import parameter_schema
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from flows.farm.automations import AUTOMATIONS
from flows.farm.deployments import POOLS
from flows.farm.links import served_address
from flows.produce import produce
from tests.farm.browser import chromium
from tests.farm.one_machine import takeboard, until
from tests.farm.ui_film import Front, front_of_a_farm, pixels, width_of

pytestmark = [
    pytest.mark.server,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not chromium(), reason="no Chromium is installed: apt install chromium"),
]

BAR = "document.querySelector('img[src^=\"data:image/svg\"]')"
SHEET = "document.querySelector('img[src^=\"data:image/jpeg\"]')"
NARROW, WIDE = (480, 1000), (1500, 1200)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with front_of_a_farm(tmp_path_factory.mktemp("ui")) as front:
        yield front


@pytest.fixture(scope="module")
def film(front: Front) -> str:
    """The run of a film that was started from the form, and waits for its budget."""
    front.open_deployment("produce")
    front.browser.click("Run")
    front.browser.click("Custom run")
    front.browser.see("Shots at a time")
    front.browser.write("Storyboard", '"tin/film.yaml"\n')
    front.browser.choose("Urgency", "urgent")
    front.browser.press_in("Slates", "[role=switch]")
    front.browser.write("Shots at a time", "2")
    front.browser.rest()
    front.browser.click("Submit")
    run = str(front.run("The Tin")["id"])
    front.suspended(run)
    return run


@dataclass(frozen=True)
class Watched:
    """A film whose budget was approved, as it was seen while its takes were made."""

    run: str
    shot: str
    """The run of a take."""
    words: tuple[str, str]
    """On the bar's page, earlier and later."""
    bars: tuple[Path, Path]


@pytest.fixture(scope="module")
def watched(front: Front, film: str, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    front.resume(film)
    front.browser.write("Your name", "Jo")
    front.browser.click("Submit")
    shot = str(front.run("TIN sc010/sh0010 take 1")["id"])
    folder = tmp_path_factory.mktemp("bars")
    seen = []
    for step in (2, 3):
        front.let_go_on(step)
        words = f"step {step} of 4"
        until(lambda words=words: words in _bar_words(front, shot) or None)
        front.open_artifact(shot, None)
        front.browser.see(words)
        bar = front.browser.picture(folder / f"{step}.png", BAR)
        seen.append((front.browser.text(), bar))
    front.let_go_on(4)
    (early, short), (late, long) = seen
    return Watched(film, shot, (early, late), (short, long))


@pytest.fixture(scope="module")
def waiting(front: Front, watched: Watched) -> str:
    """The run, once all takes are there and their picks are asked about."""
    front.suspended(watched.run, before="budget")
    until(lambda: "picks" in front.suspended(watched.run) or None)
    return watched.run


@pytest.fixture(scope="module")
def finished(front: Front, waiting: str) -> str:
    front.resume(waiting)
    front.browser.write("Your name", "Mara")
    front.browser.press_in("Other picks", ".p-draggable-list__create-button")
    front.browser.choose("Shot", "sc010/sh0020")
    front.browser.write("Take", "2")
    front.browser.click("Submit")
    front.browser.see("Flow run resumed")
    assert front.machine.ended(waiting)["type"] == "COMPLETED"
    return waiting


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_form_has_every_parameter_in_words(
    front: Front, size: tuple[int, int], tmp_path: Path
) -> None:
    front.browser.resize(*size)
    fields = parameter_schema(produce).properties
    (farm,) = front.machine.ask("deployments", flows={"name": {"any_": ["produce"]}})
    front.open(f"/deployments/deployment/{farm['id']}/run")
    words = [text for field in fields.values() for text in (field["title"], field["description"])]
    text = front.browser.see(*words)
    places = [text.index(f"{field['description']}") for field in fields.values()]
    assert places == sorted(places), "the order of the flow's parameters"
    kinds = {
        "Urgency": "SELECT", "Slates": "INPUT", "Every variant": "INPUT",
        "Storyboard": "TEXTAREA", "Shots at a time": "INPUT", "Only these shots": "BUTTON",
    }  # fmt: skip
    for title, kind in kinds.items():
        assert kind in front.browser.kinds(title), title
    assert front.cut_off() == []
    _check_drawn(front.browser.picture(tmp_path / "form.png"))
    front.browser.resize(*WIDE)


def test_a_film_started_from_the_form_is_made_as_it_was_filled_in(front: Front, film: str) -> None:
    run = front.run("The Tin")
    given = run["parameters"]
    assert given["storyboard"].strip() == '"tin/film.yaml"'
    assert (given["urgency"], given["slates"], given["jobs"]) == ("urgent", False, 2)
    assert "film:TIN" in run["tags"]


def test_the_form_for_a_budget_says_what_it_costs(front: Front, film: str) -> None:
    front.resume(film)
    front.browser.see(
        "3 takes for 0.00 USD", "GPU seconds", "sketch", "in all", "stop: end the run"
    )
    front.browser.see(f"takeboard approve {front.films}/tin/film.yaml")
    assert front.cut_off() == []


def test_bars_grow_while_a_take_is_made(watched: Watched) -> None:
    early, late = watched.words
    assert "sc010/sh0010 take 1, 45 %: step 2 of 4" in early
    assert "sc010/sh0010 take 1, 68 %: step 3 of 4" in late
    short, long = map(width_of, watched.bars)
    assert short == pytest.approx(0.45, abs=0.02)
    assert long == pytest.approx(0.675, abs=0.02)


def test_the_film_has_a_bar_on_its_runs_own_page(front: Front, watched: Watched) -> None:
    front.open(f"/runs/flow-run/{watched.run}")
    front.browser.see("The Tin", "film:TIN")
    front.browser.click("Artifacts")
    front.browser.see("tin-progress", "tin-plan", "tin-costs")
    front.browser.click("Subflow Runs")
    front.browser.see("TIN sc010/sh0010 take 1", "backend:sketch", "shot:sc010/sh0010")


def test_the_form_for_picks_shows_the_takes(front: Front, waiting: str, tmp_path: Path) -> None:
    front.resume(waiting)
    front.browser.see(
        "2 shots to approve", "approve: the picked takes, which are framed", "Other picks",
        "Retakes", "Shots to render once more.",
    )  # fmt: skip
    shown = front.browser.picture(tmp_path / "sheet.png", SHEET)
    _check_same(shown, front.films / "tin/deliveries/TIN/takes.jpg", least=400)
    front.browser.press_in("Retakes", ".p-draggable-list__create-button")
    front.browser.see("Note", "Such as: slower, less smile. Empty: another seed.")
    shown = front.browser.picture(tmp_path / "still.png", SHEET)
    _check_same(shown, front.films / "tin/deliveries/TIN/takes.jpg", least=400)


def test_what_the_form_says_is_written_beside_the_storyboard(front: Front, finished: str) -> None:
    said = yaml.safe_load((front.films / "tin/film.picks.yaml").read_text(encoding="utf-8"))
    assert said["budget"]["approved"].startswith("Jo, ")
    assert said["sc010/sh0020"]["take"] == 2
    assert [said[f"sc010/{shot}"]["approved"][:6] for shot in ("sh0010", "sh0020")] == [
        "Mara, "
    ] * 2
    assert (front.films / "tin/deliveries/TIN/TIN_master_en.mp4").stat().st_size > 1000


def test_the_finished_film_shows_its_sheet_and_its_files(
    front: Front, finished: str, tmp_path: Path
) -> None:
    made = front.films / "tin/deliveries/TIN"
    front.open_artifact(finished, "tin-film")
    front.browser.see(str(made / "TIN_master_en.mp4"), str(made / "report.html"), "1.0 s")
    shown = front.browser.picture(tmp_path / "sheet.png", SHEET)
    (sheet,) = made.glob("*contact*.jpg")
    _check_same(shown, sheet, least=600)
    for key, file in {
        "tin-report": "report.html",
        "tin-film-master-en": "TIN_master_en.mp4",
    }.items():
        front.open_artifact(finished, key)
        front.browser.see(str(made / file))


def test_a_click_opens_the_report_with_its_pictures(front: Front, finished: str) -> None:
    report = front.films / "tin/deliveries/TIN/report.html"
    front.open_artifact(finished, "tin-report")
    front.browser.click(str(report))
    with front.browser.opened() as page:
        page.see("TAKEBOARD REPORT", "The Tin", "They lie beside this page")
        assert page.run("location.pathname") == served_address(report)
        page.run("document.querySelector('#contact').scrollIntoView()")
        until(lambda: page.run("document.images[0].naturalWidth") == 706 or None)
        assert page.run("getComputedStyle(document.querySelector('header')).padding") != "0px"
        page.press("document.querySelector('video')")
        until(lambda: page.run("document.querySelector('video').ended") or None)
    assert front.browser.foreign == []


def test_no_page_there_runs_a_script(front: Front, finished: str) -> None:
    """On one origin with the API it could use it."""
    report = front.films / "tin/deliveries/TIN/report.html"
    kept = report.read_bytes()
    page = "<h1>Forged</h1><script>document.title = 'ran'</script>"
    report.write_text(page + "<img src=x onerror=\"document.title = 'ran'\">")
    try:
        front.open(served_address(report))
        front.browser.see("Forged")
        until(lambda: front.browser.run("document.readyState") == "complete" or None)
        assert front.browser.run("document.title") == ""
    finally:
        report.write_bytes(kept)


def test_a_click_plays_the_film(front: Front, finished: str) -> None:
    film = front.films / "tin/deliveries/TIN/TIN_master_en.mp4"
    front.open_artifact(finished, "tin-film")
    front.browser.click("play")
    with front.browser.opened() as page:
        until(lambda: page.run("document.querySelector('video')?.ended") or None)
        address = page.run("location.href")
        assert page.run("document.contentType") == "video/mp4"
        assert page.run("document.querySelector('video').duration") == pytest.approx(1.0, abs=0.1)
    assert str(address).endswith(served_address(film))
    part = httpx.get(address, headers={"Range": "bytes=16-31"}, timeout=60.0)
    assert (part.status_code, part.headers["content-type"]) == (206, "video/mp4")
    assert part.content == film.read_bytes()[16:32]


def test_nothing_else_of_the_films_folder_is_served(front: Front, finished: str) -> None:
    origin = front.machine.url.removesuffix("/api")
    storyboard = origin + served_address(front.films / "tin/film.yaml")
    assert httpx.get(storyboard, timeout=60.0).status_code == 404
    report = origin + served_address(front.films / "tin/deliveries/TIN/report.html")
    assert httpx.get(report, timeout=60.0).status_code == 200


def test_a_page_of_another_name_gets_nothing(front: Front, finished: str) -> None:
    report = served_address(front.films / "tin/deliveries/TIN/report.html")
    origin = urlsplit(front.machine.url)
    for path in (report, "/api/health", "/"):
        address = f"http://127.0.0.1:{origin.port}{path}"
        assert httpx.get(address, headers={"Host": "rebound.example"}).status_code == 421
    socket = create_connection(("127.0.0.1", origin.port or 0), timeout=60.0)
    with pytest.raises(InvalidStatus, match="421"):
        connect(f"ws://rebound.example:{origin.port}/api/events/in", sock=socket)
    socket.close()


def test_costs_stand_against_the_cap(front: Front, finished: str) -> None:
    front.open_artifact(finished, "tin-costs")
    front.browser.see("Quote", "Budget", "cap", "5.00", "left under the cap")
    assert front.cut_off() == []


def test_what_is_lacking_is_said_with_its_shots(front: Front, finished: str) -> None:
    front.open_artifact(finished, "tin-loss-report")
    front.browser.see("negative", "sc010/sh0020", "words could keep away")


def test_failures_say_why_and_what_to_do(front: Front) -> None:
    run = front.machine.start_film("produce", storyboard="tin/broken.yaml")
    assert front.machine.ended(run)["type"] == "FAILED"
    front.open(f"/runs/flow-run/{run}")
    front.browser.see("The Rip", "Failed", "failed: sc010/sh0010 take 1: the paint ran")
    front.open_artifact(run, "rip-failures")
    text = front.browser.see("1 take could not be made", "the film needs it")
    assert "the paint ran\n" in text, "and not what to do as well"
    assert "What to do: use thicker paint." in text


def test_a_schedule_stands_with_its_film(front: Front) -> None:
    film = front.films / "tin/film.yaml"
    when = ("--cron", "0 2 * * *", "--timezone", "Europe/Berlin")
    shown = takeboard(front.machine.home, "schedule", str(film), *when)
    if "ReadTimeout" in shown.stderr:  # SQLite on a busy machine; one does as one is told
        shown = takeboard(front.machine.home, "schedule", str(film), *when)
    assert shown.returncode == 0, shown.stderr
    front.open("/deployments")
    front.browser.see("TIN", "film:TIN", "missed:once", "At 02:00 AM every day")
    front.browser.click("TIN")
    front.browser.click("Upcoming")
    front.browser.see("auto-scheduled", "Scheduled for")
    front.browser.click("Description")
    front.browser.see("The Tin: ", "Europe/Berlin")


def test_pools_say_what_they_are_for_and_queues_stand_in_their_order(front: Front) -> None:
    front.open("/work-pools")
    front.browser.see(*POOLS, *POOLS.values())
    front.open("/work-pools/work-pool/gpu?tab=Work%20Queues")
    text = front.browser.see("urgent", "normal", "later", "Priority")
    assert text.index("urgent") < text.index("normal") < text.index("later")
    front.open("/work-pools/work-pool/gpu?tab=Workers")
    front.browser.see("-gpu0", "Online")


def test_deployments_tell_what_becomes_of_a_run(front: Front) -> None:
    front.open_deployment("produce")
    front.browser.click("Description")
    front.browser.see("cuts the finished film", "CODE-progress", "Suspended", "Schedule")
    assert front.cut_off() == []


def test_what_is_silent_is_watched_for(front: Front) -> None:
    front.open("/automations")
    for automation in AUTOMATIONS:
        front.browser.see(automation.name, automation.description)


def test_events_tell_of_takes_and_films(front: Front, finished: str) -> None:
    front.open("/events?events=takeboard.*")
    front.browser.see(
        "Takeboard shot started", "Takeboard shot finished", "Takeboard film delivered",
        "TIN sc010/sh0010", "The Tin",
    )  # fmt: skip


def test_nothing_is_asked_of_other_machines(front: Front) -> None:
    front.open("/dashboard")
    front.browser.see("Flow Runs")
    assert front.browser.foreign == []


def _bar_words(front: Front, run: str) -> str:
    return str(front.artifacts(run).get(None, {}).get("description", ""))


def _check_drawn(picture: Path) -> None:
    """That a page is there: words in light and dark, and not one grey."""
    grey = pixels(picture).mean(axis=2)
    assert grey.shape[0] > 600
    assert grey.std() > 10
    assert len(np.unique(grey.round())) > 50


def _check_same(shown: Path, sheet: Path, least: int) -> None:
    """That what is shown is the sheet, all of it, at least so many pixels wide."""
    seen = pixels(shown)
    height, width = seen.shape[:2]
    assert width >= least
    there = pixels(sheet)
    assert height / width == pytest.approx(there.shape[0] / there.shape[1], rel=0.02)
    small = (160, round(160 * height / width))
    difference = np.abs(pixels(shown, small) - pixels(sheet, small))
    assert difference.mean() < 4, "another picture, or a part of it"
