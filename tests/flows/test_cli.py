"""The command as people run it: exit codes, one clear line an error, JSON, Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.flows.films import (
    board,
    command,
    command_line,
    quiet_environment,
    tree,
    write_film,
)

FIVE_MISTAKES = """\
version: 1
project: {code: BAD, title: Bad, size: 160x90}
cast:
  mara: {description: woman, refs: {front: refs/nobody.png}}
scenes:
  - id: sc010
    slugline: EXT. SHORE - DAY
    shots:
      - {id: sh0010, size: HUGE, duration: 24f}
      - {id: sh0020, duration: -2s}
      - {id: sh0030, duration: 24f, cast: [mira]}
      - {id: sh0030, duration: 24f}
"""
PLACES = ("4:44", "9:28", "10:32", "11:44", "12:14")

Answer = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A film made by the command, and what it said."""
    path = write_film(tmp_path_factory.mktemp("made"))
    answer = command("produce", path, "--json", home=path.parent)
    assert answer.returncode == 0, answer.stderr
    return path, json.loads(answer.stdout)


def require_one_line(answer: Answer, code: int, *words: str) -> None:
    """It ended with `code` and said why in one line."""
    assert answer.returncode == code, answer.stderr
    assert "Traceback" not in answer.stdout + answer.stderr
    (line,) = answer.stderr.strip().splitlines()
    for word in words:
        assert word in line, line


def test_the_version_is_that_of_the_installation(tmp_path: Path) -> None:
    answer = command("--version", home=tmp_path)
    assert (answer.returncode, answer.stdout) == (0, f"takeboard {version('takeboard')}\n")
    assert "one storyboard becomes a finished" in command("--help", home=tmp_path).stdout


def test_five_mistakes_are_five_lines_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "film.yaml"
    path.write_text(FIVE_MISTAKES)
    before = tree(tmp_path)
    for name in ("check", "plan", "preview", "produce", "gc", "report"):
        answer = command(name, path, home=tmp_path)
        assert answer.returncode == 2
        assert answer.stdout == ""
        lines = answer.stderr.splitlines()
        starts = [f"{path}:{place}: " for place in PLACES]
        assert [line.startswith(start) for line, start in zip(lines, starts, strict=True)] == [
            True
        ] * 5, lines
    assert tree(tmp_path) == before
    assert [one.name for one in tmp_path.iterdir()] == ["film.yaml"]


def test_check_and_plan_write_nothing(tmp_path: Path) -> None:
    path = write_film(tmp_path)
    before = tree(tmp_path)
    checked = command("check", path, home=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.strip().endswith("2 scenes, 5 shots, 3.2 s")
    facts = json.loads(command("check", path, "--json", home=tmp_path).stdout)
    assert (facts["shots"], facts["frames"]) == (5, 78)
    assert command("plan", path, home=tmp_path).returncode == 0
    assert command("check", path, "--quiet", home=tmp_path).stdout == ""
    assert tree(tmp_path) == before


def test_brackets_and_colons_of_a_title_are_printed_as_they_are(tmp_path: Path) -> None:
    """In a terminal's markup `[/red]` alone is an error, and `:x:` a picture."""
    folder = tmp_path / "my [/red] film"
    assert command("new", folder, "--title", "A [bold]Red[/] :x: Door", home=tmp_path).stdout
    checked = command("check", folder / "storyboard.yaml", home=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert f"{folder}/storyboard.yaml: good. A [bold]Red[/] :x: Door: " in checked.stdout
    missing = command("check", "a:x:b.yaml", home=tmp_path)
    assert missing.stderr.startswith("a:x:b.yaml:1:1: ")


def test_the_plan_is_json_and_always_the_same(tmp_path: Path) -> None:
    path = write_film(tmp_path)
    first, second = (command("plan", path, "--json", home=tmp_path).stdout for _ in range(2))
    assert first == second
    jobs = json.loads(first)["jobs"]
    assert [job["state"] for job in jobs] == ["new"] * 5
    assert [job["num_frames"] for job in jobs] == [24, 12, 12, 10, 24]


def test_produce_says_what_it_made(made: tuple[Path, list[dict[str, Any]]]) -> None:
    path, (facts,) = made
    (deliverable,) = facts["deliverables"]
    assert (facts["rendered"], facts["reused"], deliverable["frames"]) == (5, 0, 78)
    for file in (deliverable["film"], facts["report"], *deliverable["contact_sheets"]):
        assert Path(file).is_file()
    again = command("produce", path, home=path.parent)
    assert "0 takes rendered, 5 reused" in again.stdout
    assert "takeboard up" in again.stdout
    assert again.stderr == "", "nothing was done, so nothing is counted"
    silent = command("produce", path, "--quiet", home=path.parent)
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "")
    report = command("report", path, home=path.parent)
    assert report.stdout.strip() == facts["report"]


def test_an_edit_is_stale_with_its_reason(made: tuple[Path, list[dict[str, Any]]]) -> None:
    path, _ = made
    before = path.read_text()
    path.write_text(before.replace("A wave.", "A gull."))
    jobs = json.loads(command("plan", path, "--json", home=path.parent).stdout)["jobs"]
    path.write_text(before)
    states = {job["shot"]: (job["state"], job["stale_reason"]) for job in jobs}
    assert states.pop("sc010/sh0020") == ("stale", "action changed")
    assert set(states.values()) == {("cached", "")}


def test_gc_shows_before_it_deletes(made: tuple[Path, list[dict[str, Any]]]) -> None:
    path, _ = made
    before = tree(path.parent / ".takeboard")
    shown = command("gc", path, "--older-than", 0, home=path.parent)
    assert "would delete 0 entries" in shown.stdout
    text = path.read_text()
    path.write_text(text.replace("A wave.", "A gull."))
    try:
        shown = command("gc", path, "--older-than", 0, home=path.parent)
    finally:
        path.write_text(text)
    assert "add --run to delete them" in shown.stdout
    assert tree(path.parent / ".takeboard") == before


def test_all_variants_are_made_in_one_go(tmp_path: Path) -> None:
    storyboard = board()
    storyboard["variables"] = {"place": "shore"}
    storyboard["variants"] = "table.csv"
    storyboard["project"]["title"] = "By the {{ place }}"
    path = write_film(tmp_path, storyboard)
    (tmp_path / "table.csv").write_text("name,place\nsea,sea\nlake,lake\npond,pond\n")
    answer = command("produce", path, "--all-variants", "--json", home=tmp_path)
    assert answer.returncode == 0, answer.stderr
    facts = json.loads(answer.stdout)
    assert [one["variant"] for one in facts] == ["sea", "lake", "pond"]
    films = {one["deliverables"][0]["film"] for one in facts}
    assert len(films) == 3
    assert all(Path(film).is_file() for film in films)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "{folder}/none.yaml"), "cannot read the file: no such file"),
        (("plan", "{film}", "--only", "sc010/sh0021"), 'did you mean "sc010/sh0020"'),
        (("pick", "{film}", "sc010/sh0011", "1"), 'did you mean "sc010/sh0010"'),
        (("pick", "{film}", "sc010/sh0010", "2"), "expected a take from 1 to 1, got 2"),
        (("produce", "{film}", "--set", "title"), "expected NAME=VALUE"),
        (("plan", "{film}", "--variant", "blue"), 'unknown variant "blue"'),
        (("produce", "{film}", "--variant", "red", "--all-variants"), "got both"),
        (("report", "{film}"), "no report yet"),
        (("new", "{folder}"), ""),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_2(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    path = write_film(tmp_path)
    before = tree(tmp_path)
    arguments = [word.format(film=path, folder=tmp_path) for word in words]
    require_one_line(command(*arguments, home=tmp_path), 2, said)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "words", [("direct",), ("check",), ("check", "x", "--loud"), ("produce", "x", "-j", "0")]
)
def test_an_unknown_word_is_exit_code_2(tmp_path: Path, words: tuple[str, ...]) -> None:
    answer = command(*words, home=tmp_path)
    assert answer.returncode == 2
    assert "Usage:" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_wrong_environment_is_one_line(tmp_path: Path) -> None:
    path = write_film(tmp_path)
    jobs = command("produce", path, home=tmp_path, TAKEBOARD_JOBS="many")
    require_one_line(jobs, 2, "TAKEBOARD_JOBS: expected a number from 1 to 256")
    server = command("produce", path, home=tmp_path, PREFECT_API_URL="http://127.0.0.1:9/api")
    require_one_line(server, 2, "no Prefect server answers", "--local")


def inject_backend(folder: Path, *, usd: float = 0.0, fails: str = "False") -> None:
    """Add a backend `dear`, which fails on some `seed`s, to commands started from `folder`."""
    (folder / "sitecustomize.py").write_text(
        "from generator.backends import registry\n"
        'registry._CLASSES = {**registry._CLASSES, "dear": "dear:Dear"}\n'
    )
    (folder / "dear.py").write_text(
        "from tests.fakes import FakeBackend\n\n"
        "class Dear(FakeBackend):\n"
        "    def __init__(self):\n"
        f'        super().__init__("dear", usd={usd})\n\n'
        "    def render(self, request, tools):\n"
        "        seed = request.seed\n"
        f"        if {fails}:\n"
        '            raise ValueError("the model fell over")\n'
        "        return super().render(request, tools)\n"
    )


def with_dear_shot(folder: Path, **changes: Any) -> Path:
    storyboard = board() | {"defaults": {"backend": "animatic"}} | changes
    storyboard["scenes"][0]["shots"][1]["backend"] = "dear"
    return write_film(folder, storyboard)


def seeing(folder: Path) -> dict[str, str]:
    """An environment in which the injected backend is found."""
    return {"PYTHONPATH": f"{folder}:{quiet_environment(folder)['PYTHONPATH']}"}


def test_over_budget_is_exit_code_3_and_nothing_is_rendered(tmp_path: Path) -> None:
    inject_backend(tmp_path, usd=3.0)
    path = with_dear_shot(tmp_path, budget={"usd": 2, "on_exceed": "stop"})
    plan = command("plan", path, "--json", home=tmp_path, **seeing(tmp_path))
    assert plan.returncode == 0, "a plan spends nothing, so no cap stops it"
    answer = command("produce", path, home=tmp_path, **seeing(tmp_path))
    require_one_line(answer, 3, "the film costs 3.00 USD; the cap is 2.00 USD")
    assert not (tmp_path / ".takeboard").exists()


def test_held_takes_are_exit_code_3_and_the_rest_is_kept(tmp_path: Path) -> None:
    inject_backend(tmp_path, usd=3.0)
    path = with_dear_shot(tmp_path, budget={"usd": 2, "on_exceed": "hold"})
    answer = command("produce", path, "--quiet", home=tmp_path, **seeing(tmp_path))
    require_one_line(answer, 3, "1 of 5 takes are held back by the budget")
    kept = list((tmp_path / ".takeboard/takes").glob("??/*/manifest.json"))
    assert len(kept) == 4
    assert not (tmp_path / "deliveries").exists()


def test_a_shot_that_fails_is_exit_code_4_and_the_rest_is_kept(tmp_path: Path) -> None:
    inject_backend(tmp_path, fails="True")
    path = with_dear_shot(tmp_path)
    answer = command("produce", path, "--quiet", home=tmp_path, **seeing(tmp_path))
    require_one_line(answer, 4, "sc010/sh0020 take 1", "the model fell over", "run again")
    assert len(list((tmp_path / ".takeboard/takes").glob("??/*/manifest.json"))) == 4


def test_a_take_that_fails_and_is_not_the_pick_is_said_and_the_film_is_made(
    tmp_path: Path,
) -> None:
    inject_backend(tmp_path, fails="seed == 7")
    storyboard = board() | {"defaults": {"backend": "animatic"}}
    takes = {"count": 2, "seeds": [6, 7]}
    storyboard["scenes"][0]["shots"][1] |= {"backend": "dear", "takes": takes}
    path = write_film(tmp_path, storyboard)
    answer = command("produce", path, home=tmp_path, **seeing(tmp_path))
    assert answer.returncode == 0, answer.stderr
    said = "failed: sc010/sh0020 take 2: dear failed: ValueError: the model fell over"
    assert said in answer.stdout
    assert said in answer.stderr
    facts = json.loads(command("produce", path, "--json", home=tmp_path, **seeing(tmp_path)).stdout)
    assert facts[0]["failed"] == [said]
    assert Path(facts[0]["deliverables"][0]["film"]).is_file()


def test_no_ffmpeg_is_exit_code_5(tmp_path: Path) -> None:
    path = write_film(tmp_path)
    answer = command("produce", path, "--quiet", home=tmp_path, TAKEBOARD_FFMPEG="/no/ffmpeg")
    require_one_line(answer, 5, "TAKEBOARD_FFMPEG is not a program that can be run")


def test_a_store_that_is_no_folder_is_exit_code_6(tmp_path: Path) -> None:
    path = write_film(tmp_path)
    (tmp_path / "store").write_text("a file")
    answer = command("produce", path, "--store", tmp_path / "store", "--quiet", home=tmp_path)
    require_one_line(answer, 6, "store")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_in_order_and_the_next_run_goes_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    path = write_film(tmp_path)
    takes = tmp_path / ".takeboard/takes"
    process = subprocess.Popen(
        command_line("produce", path, "--quiet", "--jobs", 1),
        env=quiet_environment(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(takes.glob("??/*/manifest.json")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    require_one_line(
        Answer(process.args, process.returncode, output, errors), 130, "cancelled", "run again"
    )
    assert not [one for one in tmp_path.rglob("*") if ".tmp" in one.name]
    again = json.loads(command("produce", path, "--json", home=tmp_path).stdout)[0]
    assert again["rendered"] + again["reused"] == 5
    assert again["reused"] >= 1


def test_a_second_ctrl_c_waits_for_no_thread(tmp_path: Path) -> None:
    code = (
        "import sys, threading, time\n"
        "import flows.cli as cli\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "cli.app = lambda: sys.exit(130)\n"
        "print('cancelled')\n"
        "cli.main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=quiet_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "cancelled\n", "")
