"""Films that wait for a person in a plain run: what is shown, what is spent, and what goes on."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from flows import commands
from flows.approval import Approval
from flows.cli import app
from flows.made import MadeFilm
from flows.options import FilmOptions
from flows.planning import plan_film
from flows.progress import Progress
from flows.settings import read_settings
from generator.picks_file import picks_path, read_choices
from generator.plan import Plan
from media.errors import UsageError, WaitingError
from storyboards.resolve import load_film
from tests.fakes import FakeBackend
from tests.flows.films import board, command, install, make, write_film

AMBER = (255, 196, 84)


def film_of(folder: Path, *approve: str, **more: Any) -> Path:
    storyboard = board()
    storyboard["approve"] = list(approve)
    storyboard["scenes"][0]["shots"][1]["takes"] = 2
    return write_film(folder, {**storyboard, **more})


def run(*words: object) -> str:
    """What the command prints."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def plan_of(path: Path) -> Plan:
    options = FilmOptions(store=path.parent / "store", out=path.parent / "out", jobs=2)
    return plan_film(load_film(path), options)


def said(path: Path, *words: object) -> str:
    first, *others = words
    return run(first, path, *others, "--store", path.parent / "store")


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("TAKEBOARD_HOME", str(tmp_path / "home"))


def test_picks_are_waited_for_after_the_takes_and_before_the_cut(tmp_path: Path) -> None:
    path = film_of(tmp_path, "picks")
    with pytest.raises(WaitingError) as caught:
        make(path)
    assert str(caught.value) == (
        f"film.yaml: waiting for approval of the picks: 5 shots (see {tmp_path}/out/takes.jpg); "
        f"to approve: takeboard approve {path}; then run again"
    )
    assert caught.value.exit_code == 7
    assert plan_of(path).missing == ()
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["takes.jpg"]
    assert "approved: the picks of 5 shots" in said(path, "approve", "--name", "mara")
    made = make(path)
    assert (made.rendered, made.reused, len(made.deliveries)) == (0, 6, 1)
    approvals = {pick.approved.split(",")[0] for pick in read_choices(made.film).shots.values()}
    assert approvals == {"mara"}


def test_the_budget_is_waited_for_before_anything_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dear = FakeBackend("dear", usd=1.5)
    install(monkeypatch, dear)
    path = film_of(tmp_path, "budget", defaults={"backend": "dear", "audio": "none"})
    with pytest.raises(WaitingError, match=r"of the budget: 6 takes for 9\.00 USD and 0 s of GPU"):
        make(path)
    assert dear.renders == []
    assert "approved: 9.00 USD" in said(path, "approve")
    make(path, only=("sc010/sh0010",))
    assert make(path).rendered == 5
    said(path, "retake", "sc010/sh0010", "--note", "less smile")
    assert make(path).rendered == 1, "a retake costs less than what was approved"
    dear.usd = 20.0
    said(path, "retake", "sc010/sh0010")
    with pytest.raises(WaitingError, match=r"1 take for 20\.00 USD.*: 9\.00 USD.* was approved"):
        make(path)
    assert len(dear.renders) == 7


def test_a_retake_renders_one_take_and_waits_for_it_alone(tmp_path: Path) -> None:
    path = film_of(tmp_path, "picks")
    with pytest.raises(WaitingError):
        make(path)
    said(path, "approve")
    make(path)
    answer = said(path, "retake", "sh0050", "--note", "slower, less smile")
    assert answer == "sc020/sh0050: take 2 will be made: slower, less smile (film.picks.yaml)\n"
    [job] = plan_of(path).missing
    assert (job.shot_id, job.take) == ("sc020/sh0050", 2)
    with pytest.raises(WaitingError, match="picks: sc020/sh0050 has a retake since"):
        make(path)
    with Image.open(tmp_path / "out/takes.jpg") as sheet:
        assert sheet.width < 900, "one shot with two takes"
    assert "the picks of 1 shot" in said(path, "approve")
    assert make(path).plan.picked["sc020/sh0050"] == 2


def test_approving_with_other_picks(tmp_path: Path) -> None:
    path = film_of(tmp_path, "picks")
    with pytest.raises(WaitingError):
        make(path)
    with pytest.raises(UsageError, match="expected a take from 1 to 2, got 3"):
        said(path, "approve", "--pick", "sc010/sh0020=3")
    assert not picks_path(load_film(path)).exists()
    said(path, "approve", "--pick", "sh0020=2")
    assert make(path).plan.picked["sc010/sh0020"] == 2


def test_a_pick_that_others_go_on_from_has_them_made_and_approved_again(tmp_path: Path) -> None:
    storyboard = board()
    storyboard["approve"] = "picks"
    storyboard["scenes"][1]["shots"][0]["takes"] = 2
    path = write_film(tmp_path, storyboard)
    with pytest.raises(WaitingError):
        make(path)
    answer = said(path, "approve", "--pick", "sc020/sh0030=2")
    assert "the picks of 4 shots; still to be made and approved: sc020/sh0040" in answer
    with pytest.raises(WaitingError, match="sc020/sh0040 is new since"):
        make(path)
    said(path, "approve")
    assert make(path).rendered == 0


def test_an_edit_after_the_approval_asks_again(tmp_path: Path) -> None:
    path = film_of(tmp_path, "picks")
    with pytest.raises(WaitingError):
        make(path)
    said(path, "approve")
    storyboard = board()
    storyboard["approve"] = "picks"
    storyboard["scenes"][0]["shots"][1].update(takes=2, camera={"move": "pull_out"})
    write_film(tmp_path, storyboard)
    with pytest.raises(WaitingError, match="picks: sc010/sh0020 has changed since"):
        make(path)


def test_neither_a_preview_nor_single_shots_wait_for_picks(tmp_path: Path) -> None:
    path = film_of(tmp_path, "picks")
    assert make(path, only=("sc010/sh0010",)).rendered == 1
    assert make(film_of(tmp_path, "picks", "budget"), preview=True).deliveries


def test_the_command_exits_with_a_code_of_its_own(tmp_path: Path) -> None:
    path = film_of(tmp_path, "budget")
    done = command("produce", path, "--quiet", home=tmp_path)
    assert (done.returncode, done.stdout) == (7, "")
    assert done.stderr == (
        "film.yaml: waiting for approval of the budget: 6 takes for no money and no GPU time: "
        "nobody has approved it; to approve: takeboard approve film.yaml; then run again\n"
    )


def test_one_variant_that_waits_does_not_hold_up_the_others(tmp_path: Path) -> None:
    storyboard = board()
    storyboard["variables"] = {"weather": "sun"}
    storyboard["variants"] = "variants.yaml"
    storyboard["approve"] = "picks"
    (tmp_path / "variants.yaml").write_text("wet: {weather: rain}\ndry: {weather: sun}\n")
    path = write_film(tmp_path, storyboard)
    choice = commands.Choice(path, store=tmp_path / "store", all_variants=True)

    def produce() -> tuple[MadeFilm, ...]:
        return commands.make(choice, read_settings(), Progress(), Event())

    with pytest.raises(WaitingError, match=r"2 of 2 films wait for approval"):
        produce()
    said(path, "approve", "--variant", "dry")
    with pytest.raises(WaitingError, match=r"1 of 2 films .* --variant wet"):
        produce()
    assert list((tmp_path / "deliveries/TNY-dry").glob("*.mp4"))
    said(path, "approve", "--variant", "wet")
    assert len(produce()) == 2


def test_nothing_to_approve(tmp_path: Path) -> None:
    path = film_of(tmp_path)
    with pytest.raises(UsageError, match="the storyboard asks for no approval"):
        said(path, "approve")
    assert "nothing new to approve" in said(film_of(tmp_path, "picks"), "approve")


def test_a_server_that_is_away_costs_nothing(tmp_path: Path) -> None:
    path = film_of(tmp_path, "budget")
    away = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    # A process of its own: Prefect reads where its server is when it is imported.
    done = command("approve", path, home=tmp_path, **away)
    assert done.returncode == 0, done.stderr
    assert "approved: no money" in done.stdout
    assert "no Prefect server answers at http://127.0.0.1:9/api" in done.stdout
    assert "the film's next run sees it" in done.stdout
    assert read_choices(load_film(path)).budget is not None


def test_status_in_words_of_the_trade(tmp_path: Path) -> None:
    path = film_of(tmp_path, "picks")

    def states() -> list[str]:
        facts = json.loads(said(path, "status", "--json"))
        assert sum(facts["states"].values()) == 5
        return [one["state"] for one in facts["shots"]]

    assert states() == ["todo"] * 5
    with pytest.raises(WaitingError):
        make(path)
    assert states() == ["waiting for approval"] * 5
    said(path, "approve")
    assert states() == ["done"] * 5
    said(path, "retake", "sc020/sh0030", "--note", "slower")
    assert states() == ["done", "done", "retake", "todo", "done"]
    table = said(path, "status")
    assert "slower" in table
    assert "Tiny: 5 shots: 1 todo, 1 retake, 3 done." in table


def test_what_workers_make_is_wip(tmp_path: Path) -> None:
    from flows.status import film_status

    path = film_of(tmp_path)
    choice = commands.Choice(path, store=tmp_path / "store")
    options = commands.options_for(choice, read_settings(), load_film(path))
    found = film_status(load_film(path), options, {("sc010/sh0020", 2)})
    assert [one.state for one in found.shots] == ["todo", "wip", "todo", "todo", "todo"]


def test_the_sheet_marks_the_picks(tmp_path: Path) -> None:
    with pytest.raises(WaitingError):
        make(film_of(tmp_path, "picks"))
    with Image.open(tmp_path / "out/takes.jpg") as sheet:
        pixels = np.asarray(sheet.convert("RGB"), np.int16)
    amber = (np.abs(pixels - np.array(AMBER)) < 40).all(axis=2)
    frames = amber.sum(axis=1).max()
    assert frames >= 2 * 380, "two picked tiles side by side"


def test_a_run_that_can_be_suspended_is_asked_instead(tmp_path: Path) -> None:
    asked = []

    class Asking(Approval):
        def wait(self, waiting: Any, options: FilmOptions) -> None:
            asked.append(waiting.subject)

    from flows.options import FilmRun

    assert make(film_of(tmp_path, "picks", "budget"), FilmRun(approval=Asking())).deliveries
    assert asked == ["budget", "picks"]
