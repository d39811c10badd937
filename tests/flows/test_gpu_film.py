"""The example with shots on models: LTX-2 with its own sound, silent Wan, the animatic; one film.

The models are tiny and their weights random, the classes and the way through them are the real
ones: models file, plan, phases, takes, finish, cut.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from films import make, sound_of

from flows.film import plan_film
from flows.made import MadeFilm
from flows.options import FilmOptions
from generator.takes import TakeStore
from media.probe import probe
from media.video import read_frames
from storyboards.film import film_shots
from storyboards.resolve import load_film
from tests.generator.local.tiny_ltx2 import save_pipeline
from tests.generator.local.tiny_wan import save_tiny_wan

EXAMPLE = Path(__file__).parents[2] / "storyboards" / "examples" / "lighthouse"


@dataclass(frozen=True)
class Studio:
    """The storyboard at a size that a CPU denoises, and the film made of it."""

    film: Path
    made: MadeFilm

    @property
    def options(self) -> FilmOptions:
        return FilmOptions(store=self.film.parent / "store", out=self.film.parent / "out", jobs=2)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("studio")
    wan = save_tiny_wan(root / "wan")
    models = {
        "ltx2": {"source": save_pipeline(root / "ltx2", "2.5")},
        "wan": {"source": wan.text, "parts": {"i2v": {"source": wan.image}}},
    }
    (root / "models.toml").write_text(
        "\n".join(
            f"[models.{name}]\nsource = {json.dumps(str(one['source']))}\n"
            + "".join(
                f"[models.{name}.parts.{part}]\nsource = {json.dumps(str(where['source']))}\n"
                for part, where in one.get("parts", {}).items()
            )
            for name, one in models.items()
        ),
        encoding="utf-8",
    )
    film = root / "board" / "on_gpus.yaml"
    shutil.copytree(EXAMPLE, film.parent)
    board = yaml.safe_load(film.read_text(encoding="utf-8"))
    board["project"]["size"] = "192x108"
    film.write_text(yaml.safe_dump(board, sort_keys=False), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAKEBOARD_MODELS", str(root / "models.toml"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield Studio(film, make(film))


def test_every_shot_is_made_by_its_model(studio: Studio) -> None:
    jobs = studio.made.plan.jobs
    assert [job.backend for job in jobs] == ["wan", "ltx2", "ltx2", "animatic"]
    takes = TakeStore(studio.options.store)
    for job in jobs:
        take = takes.find(job.key)
        assert take is not None
        assert take.manifest["backend"] == job.backend
        assert take.num_frames == job.request.num_frames
    assert takes.find(jobs[0].key).fps == 16  # type: ignore[union-attr]


def test_the_film_is_exact_whatever_its_takes_are(studio: Studio) -> None:
    (delivered,) = studio.made.deliveries
    film = load_film(studio.film)
    wanted = sum(shot.num_frames for shot in film_shots(film)) - 12
    found = probe(delivered.film, count_frames=True)
    assert (found.num_frames, found.fps, found.size) == (wanted, Fraction(24), (192, 108))
    assert delivered.num_frames == wanted
    sound = sound_of(delivered.film)
    assert abs(len(sound) - wanted * 2000) <= 1024
    assert delivered.loudness_lufs == pytest.approx(-14, abs=0.3)


def test_the_model_s_own_sound_is_heard_under_its_shots(studio: Studio) -> None:
    takes = TakeStore(studio.options.store)
    _, first, going_on, drawn = studio.made.plan.jobs
    for job in (first, going_on):
        take = takes.find(job.key)
        assert take is not None
        assert take.sound is not None
    last = takes.find(drawn.key)
    assert last is not None
    assert last.sound is None
    film = sound_of(studio.made.deliveries[0].film)
    # From the end of the silent shot's dissolve on, LTX-2's random weights hiss.
    assert np.sqrt(np.mean(film[4 * 48_000 : 5 * 48_000] ** 2)) > 1e-3


def test_what_the_model_says_is_captioned(studio: Studio) -> None:
    (captions,) = studio.made.deliveries[0].captions
    text = captions.read_text(encoding="utf-8")
    assert "It never went out." in text
    # The line is asked for 1.5 s into a shot that begins at 2.5 s.
    assert "00:00:04,000 -->" in text


def test_the_extension_begins_after_the_take_it_goes_on_from(studio: Studio) -> None:
    job = studio.made.plan.job("sc020/sh0030")
    parent = studio.made.plan.job("sc020/sh0020")
    assert job.waits_for == parent.key
    takes = TakeStore(studio.options.store)
    made, before = takes.find(job.key), takes.find(parent.key)
    assert made is not None
    assert before is not None
    first = next(iter(read_frames(made.picture)))
    tail = next(iter(read_frames(before.picture, start=before.num_frames - 1)))
    assert not np.array_equal(first, tail)


def test_nothing_is_made_twice(studio: Studio) -> None:
    again = make(studio.film)
    assert (again.rendered, again.reused) == (0, 4)
    assert all(job.state == "cached" for job in plan_film(again.film, studio.options).jobs)


def test_the_report_names_licences_and_what_is_lost(studio: Studio) -> None:
    report = studio.made.report.read_text(encoding="utf-8")
    assert "LTX-2-Community" in report
    assert "10,000,000" in report
    assert "wan is silent" in report


def test_without_a_model_the_shot_is_drawn_and_the_plan_says_why(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    models = tmp_path / "models.toml"
    models.write_text("")
    monkeypatch.setenv("TAKEBOARD_MODELS", str(models))
    plan = plan_film(load_film(studio.film), studio.options)
    assert {job.backend for job in plan.jobs} == {"animatic"}
    told = {loss.field: loss.reason for job in plan.jobs for loss in job.losses}
    assert "ltx2" in told["backend"] or "wan" in told["backend"]
    assert "Lightricks/LTX-2.5" in " ".join(loss.reason for job in plan.jobs for loss in job.losses)
