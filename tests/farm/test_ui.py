"""What a person sees in Prefect's UI: pages of a real server in a headless Chromium, offline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.farm.browser import Browser, chromium, open_browser
from tests.flows.films import command
from tests.flows.prefect_server import PrefectServer, running_server

pytestmark = [
    pytest.mark.server,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not chromium(), reason="no Chromium is installed: apt install chromium"),
]

FILM = """
version: 1
project: {code: TIN, title: The Tin, fps: 24, size: 160x90}
budget: {usd: 5}
defaults: {backend: animatic}
scenes:
  - id: sc010
    slugline: EXT. BEACH - DAY
    shots:
      - {id: sh0010, size: LS, duration: 12f, action: A tin rolls., negative: rust}
      - {id: sh0020, size: CU, duration: 12f, action: The tin., takes: 2}
"""

SLOW_AND_FAILING = """
import time
import flows.shots, flows.live_progress
from media.errors import RenderError
flows.live_progress.LiveBoard.__init__.__kwdefaults__["worth_s"] = 0.3
real = flows.shots.render_take
def render_take(job, backend, store, tools):
    if job.take == 2:
        raise RenderError("the brush broke", where=job.shot_id, todo="buy a new one")
    for step in range(20):
        time.sleep(0.1)
        tools.on_step(step + 1, 20)
    return real(job, backend, store, tools)
flows.shots.render_take = render_take
"""


@dataclass(frozen=True)
class Seen:
    """A film's run, and a browser in front of the server that recorded it."""

    server: PrefectServer
    run: str
    browser: Browser

    def open(self, path: str) -> None:
        """Go to a page of the UI."""
        self.browser.open(self.server.url.removesuffix("/api") + path)

    def artifact(self, key: str) -> str:
        """The path of the page that shows it."""
        return f"/artifacts/artifact/{self.server.artifacts(self.run)[key]['id']}"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("ui")
    services = ["EVENT_PERSISTER"]
    with running_server(folder / "server", services=services) as server:
        _make_film(folder, server)
        (run,) = server.flow_runs("The Tin")
        with open_browser(folder / "browser") as browser:
            yield Seen(server, run["id"], browser)


def test_the_run_shows_its_name_tags_tasks_and_pages(seen: Seen, tmp_path: Path) -> None:
    seen.open(f"/runs/flow-run/{seen.run}")
    seen.browser.see("The Tin", "Completed", "film:TIN", "plan: 3 takes, 3 to render")
    _check_drawn(seen.browser.picture(tmp_path / "run.png"))
    seen.browser.click("Artifacts")
    seen.browser.see(
        "tin-costs", "tin-failures", "tin-film", "tin-plan", "tin-progress", "tin-rendering-1",
        "sc010/sh0010 take 1: done in",
    )  # fmt: skip
    seen.browser.click("Task Runs")
    seen.browser.see("TIN sc010/sh0010 take 1", "shot:sc010/sh0020", "Failed")


def test_costs_stand_against_the_cap(seen: Seen) -> None:
    seen.open(seen.artifact("tin-costs"))
    seen.browser.see("Quote", "Budget", "cap", "5.00", "Made in this run", "2 made for 0.00 USD")


def test_failures_say_why_and_what_to_do(seen: Seen) -> None:
    seen.open(seen.artifact("tin-failures"))
    seen.browser.see("1 take could not be made", "the brush broke", "What to do", "buy a new one")


def test_what_is_lacking_is_said_with_its_shots(seen: Seen) -> None:
    seen.open(seen.artifact("tin-loss-report"))
    seen.browser.see("negative", "sc010/sh0010", "words could keep away")


def test_the_film_shows_its_contact_sheet_and_where_its_files_are(
    seen: Seen, tmp_path: Path
) -> None:
    seen.open(seen.artifact("tin-film"))
    seen.browser.see("TIN_master_en.mp4", "report.html", "running time", "1.0 s")
    width = seen.browser.run(
        "[...document.images].filter(i => i.src.startsWith('data:image/jpeg'))[0]?.naturalWidth"
    )
    assert int(width or 0) >= 400
    _check_drawn(seen.browser.picture(tmp_path / "film.png"))


def test_events_tell_of_takes_and_films(seen: Seen) -> None:
    seen.server.events("takeboard.film.delivered", expected=1)
    seen.open("/events")
    seen.browser.see("takeboard.shot.finished", "takeboard.film.delivered", "TIN sc010/sh0010")


def test_nothing_is_asked_of_other_machines(seen: Seen) -> None:
    seen.open("/dashboard")
    seen.browser.see("Flow Runs")
    assert seen.browser.foreign == []


def _make_film(folder: Path, server: PrefectServer) -> None:
    (folder / "film.yaml").write_text(FILM, encoding="utf-8")
    made = command(
        "produce", "film.yaml", "--jobs", 2,
        home=folder, before=SLOW_AND_FAILING, PREFECT_API_URL=server.url,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr


def _check_drawn(picture: Path) -> None:
    """That a page is there: words in light and dark, and not one grey."""
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape[0] > 600
    assert pixels.std() > 10
    assert len(np.unique(pixels)) > 50
