"""A film flow that waits for a person on a real server: suspended, answered, gone on with."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)
from prefect.states import Pending, Running
from typer.testing import CliRunner

from flows.cli import app
from flows.produce import produce
from media.errors import WaitingError
from tests.flows.films import board, write_film
from tests.flows.prefect_server import PrefectServer, running_server

pytestmark = [pytest.mark.server, pytest.mark.timeout(150)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with (
        running_server(tmp_path_factory.mktemp("prefect") / "server") as running,
        temporary_settings(
            {
                PREFECT_API_URL: running.url,
                PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
                PREFECT_LOGGING_TO_API_ENABLED: False,
            }
        ),
    ):
        yield running


@pytest.fixture
def here(server: PrefectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the commands read."""
    monkeypatch.setenv("PREFECT_API_URL", server.url)
    monkeypatch.delenv("TAKEBOARD_STORE", raising=False)


@dataclass
class Film:
    """A film with a run of it, which this process works on as a worker would."""

    server: PrefectServer
    path: Path
    code: str
    client: SyncPrefectClient
    run: UUID

    def work(self) -> State[Any]:
        """Run the flow until it ends or is suspended; the state it is in then."""
        self.client.set_flow_run_state(self.run, Pending(), force=True)
        with suppress(Pause):
            run_flow(produce, flow_run=self.client.read_flow_run(self.run), return_type="state")
        return self.state()

    def state(self) -> State[Any]:
        state = self.client.read_flow_run(self.run).state
        assert state is not None
        return state

    def answer(self, **answer: object) -> None:
        """Fill in the form, as the UI sends it."""
        done = self.client.resume_flow_run(self.run, run_input=answer)
        assert done.status.value == "ACCEPT", done.details

    def form(self) -> tuple[dict[str, Any], str]:
        """The form's schema and what is asked there."""
        asked = f"{self.server.url}/flow_runs/{self.run}/input/filter"
        found = httpx.post(asked, json={"prefix": "suspended", "limit": 20}, timeout=20).json()
        key = f"suspended-{self.state().state_details.pause_key}"
        texts = {one["key"]: one["value"] for one in found}
        schema = json.loads(texts[f"{key}-schema"])
        return schema, schema["properties"]["decision"]["description"]

    def artifact(self, name: str) -> str:
        """What the run has shown last under that name."""
        latest = f"{self.server.url}/artifacts/{self.code.lower()}-{name}/latest"
        return str(httpx.get(latest, timeout=20).raise_for_status().json()["data"])

    def picks(self) -> str:
        return self.path.with_name("film.picks.yaml").read_text(encoding="utf-8")


def film_of(
    server: PrefectServer,
    folder: Path,
    code: str,
    *approve: str,
    only: tuple[str, ...] = (),
    named: str = "",
    **parameters: str,
) -> Film:
    """Two shots, the first with two takes; `named`: as the form names the storyboard."""
    path = write_film(folder, storyboard_of(code, *approve))
    client = get_client(sync_client=True)
    deployment = client.create_deployment(client.create_flow(produce), "farm")
    given = {"storyboard": named or str(path), "only": list(only), **parameters}
    run = client.create_flow_run_from_deployment(deployment, parameters=given)
    return Film(server, path, code, client, run.id)


def storyboard_of(code: str, *approve: str) -> dict[str, Any]:
    storyboard = board()
    storyboard["project"]["code"] = code
    storyboard["approve"] = list(approve)
    del storyboard["scenes"][1]
    first, second = storyboard["scenes"][0]["shots"]
    first["takes"] = 2
    del second["transition_out"]
    return storyboard


def takeboard(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    return done.output


def test_the_form_picks_asks_for_a_retake_and_approves(
    server: PrefectServer, here: None, tmp_path: Path
) -> None:
    film = film_of(server, tmp_path, "FRM", "picks")
    state = film.work()
    assert (state.type, state.name) == (StateType.PAUSED, "Suspended")
    wait_s = state.state_details.pause_timeout.timestamp() - time.time()  # type: ignore[union-attr]
    assert wait_s == pytest.approx(30 * 86400, abs=600)
    sheet = film.artifact("takes")
    assert "![takes, page 1](data:image/jpeg;base64," in sheet
    assert "| sc010/sh0010 | 2 |  | animatic |" in sheet

    schema, words = film.form()
    assert list(schema["properties"]) == ["decision", "name", "picks", "retakes"]
    assert schema["definitions"]["Retake"]["properties"]["shot"]["enum"] == [
        "sc010/sh0010",
        "sc010/sh0020",
    ]
    assert f"takeboard approve {film.path}" in words

    film.answer(
        decision="approve",
        name="mara",
        picks=[{"shot": "sc010/sh0010", "take": 2}],
        retakes=[{"shot": "sc010/sh0020", "note": "slower, less smile"}],
    )
    assert film.work().name == "Suspended", "the retake is to be seen first"
    assert 'sc010/sh0020: {retakes: ["slower, less smile"]}' in film.picks()
    assert "sc010/sh0020 has a retake since" in film.form()[1]
    sheet = film.artifact("takes")
    assert "| sc010/sh0020 | 2 | **picked** | animatic |" in sheet
    assert "slower, less smile" in sheet
    assert "| sc010/sh0010 |" not in sheet, "it is approved"

    film.answer(decision="approve", name="jo")
    assert film.work().type == StateType.COMPLETED
    assert film.picks().count("mara, ") == film.picks().count("jo, ") == 1
    assert list((tmp_path / "deliveries/FRM").glob("*.mp4"))


def test_an_answer_that_says_nothing_is_asked_again(
    server: PrefectServer, here: None, tmp_path: Path
) -> None:
    film = film_of(server, tmp_path, "NIL", "picks")
    film.work()
    film.answer(decision="retake")
    assert film.work().name == "Suspended"
    assert "of no shot" in film.form()[1]
    film.answer(decision="retake", picks=[{"shot": "sc010/sh0010", "take": 9}])
    assert film.work().name == "Suspended"
    assert "expected a take from 1 to 2, got 9" in film.form()[1]
    assert not film.path.with_name("film.picks.yaml").exists()


def test_the_command_answers_a_suspended_run(
    server: PrefectServer, here: None, tmp_path: Path
) -> None:
    film = film_of(server, tmp_path, "CMD", "picks", "budget")
    assert film.work().name == "Suspended"
    assert not (tmp_path / ".takeboard/takes").exists(), "nothing is made before the budget"
    assert "the run Tiny goes on" in takeboard("approve", film.path)
    assert film.work().name == "Suspended"
    answer = takeboard("retake", film.path, "sc010/sh0020", "--note", "slower")
    assert "take 2 will be made: slower" in answer
    assert "the run Tiny goes on" in answer
    assert film.work().name == "Suspended"
    assert takeboard("status", film.path).count("waiting for approval") == 3
    answer = takeboard("approve", film.path, "--pick", "sc010/sh0010=2", "--name", "mara")
    assert "the run Tiny goes on" in answer
    assert film.work().type == StateType.COMPLETED
    assert "no run of it waits" in takeboard("retake", film.path, "sc010/sh0010")


def test_the_command_finds_a_run_that_names_its_film_from_a_root_on(
    server: PrefectServer, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = film_of(server, tmp_path, "REL", "budget", named="film.yaml")
    monkeypatch.setenv("TAKEBOARD_ROOTS", str(tmp_path))
    assert film.work().name == "Suspended"
    monkeypatch.delenv("TAKEBOARD_ROOTS")
    assert "the run Tiny goes on" in takeboard("approve", film.path)


def test_a_run_of_a_plain_command_ends_and_says_so(
    server: PrefectServer, here: None, tmp_path: Path
) -> None:
    storyboard = storyboard_of("PLN", "budget")
    storyboard["project"]["title"] = "Plain"
    path = write_film(tmp_path, storyboard)
    with pytest.raises(WaitingError, match="waiting for approval of the budget"):
        takeboard("produce", path, "--quiet")
    [run] = server.flow_runs("Plain")
    assert run["state"]["name"] == "Waiting for approval"
    assert "to approve: takeboard approve" in run["state"]["message"]


def test_what_a_worker_makes_is_wip(server: PrefectServer, here: None, tmp_path: Path) -> None:
    film = film_of(server, tmp_path, "WIP")
    making = ["film:WIP", "shot:sc010/sh0010", "take:2"]
    film.client.create_flow_run(produce, tags=making, state=Running())
    facts = json.loads(takeboard("status", film.path, "--json"))
    assert [one["state"] for one in facts["shots"]] == ["wip", "todo"]


def test_a_storyboard_edited_meanwhile_is_planned_anew(
    server: PrefectServer, here: None, tmp_path: Path
) -> None:
    film = film_of(server, tmp_path, "EDT", "picks")
    film.work()
    edited = storyboard_of("EDT", "picks")
    edited["scenes"][0]["shots"][1]["camera"] = {"move": "pull_out"}
    write_film(tmp_path, edited)
    film.answer(decision="approve")
    assert film.work().name == "Suspended", "the answer was about another take"
    assert not film.path.with_name("film.picks.yaml").exists()


def test_a_budget_that_is_not_approved_ends_the_run(
    server: PrefectServer, here: None, tmp_path: Path
) -> None:
    film = film_of(server, tmp_path, "STP", "budget")
    film.work()
    assert set(film.form()[0]["properties"]) == {"decision", "name"}
    assert '"takes": 3' in film.artifact("budget")
    film.answer(decision="stop", name="jo")
    state = film.work()
    assert state.type == StateType.FAILED
    assert "film.yaml: jo, " in (state.message or "")
    assert "the budget was not approved: 3 takes" in (state.message or "")


def test_the_next_night_asks_nobody_the_same_again(
    server: PrefectServer, here: None, tmp_path: Path
) -> None:
    film = film_of(server, tmp_path, "NGT", "picks")
    assert film.work().name == "Suspended"
    next_night = film_of(server, tmp_path, "NGT", "picks")
    state = next_night.work()
    assert (state.type, state.name) == (StateType.CANCELLED, "Waiting for approval")
    assert f"answer the run Tiny, {server.url.removesuffix('/api')}/runs/" in (state.message or "")
    assert str(film.run) in (state.message or "")
    # A film that goes elsewhere is another one, and one that was edited another question.
    elsewhere = film_of(server, tmp_path, "NGT", "picks", out=str(tmp_path / "elsewhere"))
    assert elsewhere.work().name == "Suspended"
    edited = film_of(server, tmp_path, "NGT", "picks")
    storyboard = yaml.safe_load(film.path.read_text())
    storyboard["scenes"][0]["shots"][0]["action"] = "The sea alone."
    film.path.write_text(yaml.safe_dump(storyboard))
    assert edited.work().name == "Suspended"
    for run in (film, edited):
        run.answer(decision="approve", name="jo")
    # What was asked of the first is gone: it is asked anew, and is not sent to the other.
    assert film.work().name == "Suspended"
    assert edited.work().type == StateType.COMPLETED


def test_a_run_that_nobody_answers_fails_and_a_later_yes_still_counts(
    server: PrefectServer, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAKEBOARD_APPROVAL_DAYS", str(1 / 86400))
    film = film_of(server, tmp_path, "LTE", "budget")
    film.work()
    time.sleep(1.1)
    answer = takeboard("approve", film.path)
    assert "approved: no money" in answer
    assert "the run Tiny does not go on" in answer
    assert film.state().type == StateType.FAILED
    assert "never resumed" in (film.state().message or "")
    again = film_of(server, tmp_path, "LTE", "budget", only=("sc010/sh0020",))
    assert again.work().type == StateType.COMPLETED
