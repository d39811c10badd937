"""ffmpeg that fails midway, and takes that rot on the disk: noticed, said, made good."""

from __future__ import annotations

import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.options import FilmRun
from flows.progress import Progress
from media.errors import BudgetError, MediaError
from media.ffmpeg import ffmpeg_exe
from tests.fakes import FakeBackend
from tests.flows.films import Tree, board, command, install, make, picture_digests, tree, write_film

WRAPPER = """#!/bin/sh
echo call >> {log}
if [ "$(wc -l < {log})" -eq {fails_at} ]; then
    {failure}
fi
exec {ffmpeg} "$@"
"""


def wrapper(folder: Path, fails_at: int, failure: str) -> tuple[Path, Path]:
    """An ffmpeg that fails at one of its calls, and the log of its calls."""
    program, log = folder / "ffmpeg", folder / "calls"
    words = WRAPPER.format(log=log, fails_at=fails_at, failure=failure, ffmpeg=ffmpeg_exe())
    program.write_text(words)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program, log


def calls_of_a_film(folder: Path) -> int:
    """How often a tiny film starts ffmpeg."""
    folder.mkdir()
    program, log = wrapper(folder, 0, ":")
    path = write_film(folder)
    assert (
        command("produce", path, "-q", home=folder, TAKEBOARD_FFMPEG=str(program)).returncode == 0
    )
    return len(log.read_text().split())


def test_ffmpeg_dies_at_one_of_its_calls(tmp_path: Path) -> None:
    calls = calls_of_a_film(tmp_path / "whole")
    assert calls >= 3
    store = tmp_path / "whole/.takeboard"
    for number in (1, calls // 2, calls):
        folder = tmp_path / f"call{number}"
        path = write_film(folder)
        shutil.copytree(store, folder / ".takeboard")
        failure = 'echo "[x] Invalid data found" >&2; kill -9 $$' if number % 2 else "exit 1"
        program, _ = wrapper(folder, number, failure)
        answer = command("produce", path, "-q", home=folder, TAKEBOARD_FFMPEG=str(program))
        assert answer.returncode == 5, answer.stderr
        (line,) = answer.stderr.strip().splitlines()
        assert line.startswith("cannot "), line
        assert "ffmpeg" in line
        out = folder / "deliveries/TNY"
        assert not list(out.rglob("*")), "nothing half-written is left"
        again = make(path, store=folder / ".takeboard")
        assert again.rendered == 0
        assert again.deliveries[0].film.is_file()


def test_ffmpeg_hangs_and_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_film(tmp_path)
    program, _ = wrapper(tmp_path, 1, "exec sleep 60")
    monkeypatch.setenv("TAKEBOARD_FFMPEG", str(program))
    shorten_every_patience(monkeypatch)
    began = time.monotonic()
    with pytest.raises(MediaError, match="ffmpeg was stopped after 1 s"):
        make(path)
    assert time.monotonic() - began < 30
    assert not list((tmp_path / "out").rglob("*"))
    monkeypatch.delenv("TAKEBOARD_FFMPEG")
    assert make(path).rendered == 0


def shorten_every_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """One second for every ffmpeg run, wherever it is started."""
    from editor import deliver, loudness
    from media import concat, ffmpeg

    def impatient(graph: object, *, what: str, timeout_s: float, **limits: int) -> str:
        return ffmpeg.run_ffmpeg(graph, what=what, timeout_s=min(timeout_s, 1.0), **limits)

    for module in (deliver, loudness, concat):
        if hasattr(module, "run_ffmpeg"):
            monkeypatch.setattr(module, "run_ffmpeg", impatient)


def flip_a_bit(take: Path) -> None:
    picture = take / "picture.mp4"
    data = bytearray(picture.read_bytes())
    data[len(data) // 2] ^= 1
    picture.write_bytes(data)


def truncate(take: Path) -> None:
    picture = take / "picture.mp4"
    picture.write_bytes(picture.read_bytes()[:100])


def lose_picture(take: Path) -> None:
    (take / "picture.mp4").unlink()


def lose_manifest(take: Path) -> None:
    (take / "manifest.json").unlink()


def empty_manifest(take: Path) -> None:
    (take / "manifest.json").write_text("")


def lose_all(take: Path) -> None:
    shutil.rmtree(take)


@pytest.mark.parametrize(
    ("damage", "put_aside"),
    [
        (flip_a_bit, True),
        (truncate, True),
        (lose_picture, True),
        (empty_manifest, True),
        (lose_manifest, False),
        (lose_all, False),
    ],
)
def test_a_damaged_take_is_put_aside_and_made_anew_at_once(
    tmp_path: Path, damage: Callable[[Path], None], put_aside: bool
) -> None:
    path = write_film(tmp_path)
    first = make(path)
    pictures = picture_digests(first.deliveries[0].film)
    key = first.plan.job("sc010/sh0020").key
    damage(tmp_path / f"store/takes/{key[:2]}/{key}")
    others = takes_but(key, tmp_path)
    shutil.rmtree(tmp_path / "out")
    notes = Notes()
    again = make(path, FilmRun(notes))
    assert (again.rendered, again.reused) == (1, 4)
    assert again.plan.job("sc010/sh0020").state == ("stale" if put_aside else "new")
    said = "sc010/sh0020 take 1: the take was damaged on the disk and has been put aside"
    assert [note.startswith(said) for note in notes.read] == [True] * put_aside
    assert len(list((tmp_path / "store/takes/quarantine").glob("*"))) == put_aside
    assert picture_digests(again.deliveries[0].film) == pictures
    after = takes_but(key, tmp_path)
    assert {name: after[name] for name in others} == others
    assert make(path).rendered == 0


class Notes(Progress):
    """Remembers what a person should read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def note(self, text: str) -> None:
        self.read.append(text)


def takes_but(key: str, folder: Path) -> Tree:
    files = tree(folder / "store/takes").items()
    return {name: state for name, state in files if key[:60] not in name}


def test_a_damaged_take_that_another_goes_on_from_is_made_before_it(tmp_path: Path) -> None:
    path = write_film(tmp_path)
    first = make(path)
    pictures = picture_digests(first.deliveries[0].film)
    before, after = (first.plan.job(shot).key for shot in ("sc020/sh0030", "sc020/sh0040"))
    flip_a_bit(tmp_path / f"store/takes/{before[:2]}/{before}")
    lose_all(tmp_path / f"store/takes/{after[:2]}/{after}")
    again = make(path)
    assert (again.rendered, again.reused) == (2, 3)
    assert picture_digests(again.deliveries[0].film) == pictures


def test_a_dear_take_that_rotted_is_not_paid_for_past_the_cap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, FakeBackend("dear", usd=3.0))
    storyboard = board() | {"budget": {"usd": 3.5}, "defaults": {"backend": "animatic"}}
    storyboard["scenes"][0]["shots"][1]["backend"] = "dear"
    path = write_film(tmp_path, storyboard)
    key = make(path).plan.job("sc010/sh0020").key
    storyboard["budget"] = {"usd": 2.5}
    path = write_film(tmp_path, storyboard)
    for damage in (flip_a_bit, truncate):
        damage(tmp_path / f"store/takes/{key[:2]}/{key}")
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        with pytest.raises(BudgetError, match=r"costs 3\.00 USD; the cap is 2\.50 USD"):
            make(path)
        storyboard["budget"] = {"usd": 3.5}
        assert make(write_film(tmp_path, storyboard)).rendered == 1
        storyboard["budget"] = {"usd": 2.5}
        write_film(tmp_path, storyboard)


def test_a_damaged_piece_of_film_is_encoded_anew(tmp_path: Path) -> None:
    path = write_film(tmp_path)
    first = make(path)
    pictures = picture_digests(first.deliveries[0].film)
    for piece in (tmp_path / "store/segments").glob("??/*"):
        truncate(piece)
    for sound in (tmp_path / "store/sounds").glob("??/*/sound.wav"):
        sound.write_bytes(b"RIFF")
    shutil.rmtree(tmp_path / "out")
    again = make(path)
    assert again.rendered == 0
    assert picture_digests(again.deliveries[0].film) == pictures
