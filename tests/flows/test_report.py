"""The report: everything that was made is on it, safely, and every address on it is right."""

import base64
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from flows import report
from flows.made import Delivered, MadeFilm
from flows.report import write_report
from generator.backends.base import (
    Capabilities,
    Description,
    FrameRule,
    Licence,
    Loss,
    Quote,
    RenderRequest,
)
from generator.plan import Plan, ShotJob, total_quote
from generator.requests import raster_of
from media.errors import StoreError
from media.video import DRAFT, write_video
from storyboards.fields import Angle, ShotSize
from storyboards.film import Film, film_shots
from storyboards.resolve import load_film
from storyboards.shot_schema import Camera

STORYBOARD = """\
version: 1
project: {code: HBR, title: %s, size: 128x72}
budget: {usd: 12}
cast: {ana: {description: woman}}
scenes:
  - id: sc010
    slugline: EXT. HARBOUR - DAWN
    shots:
      - id: sh0010
        size: ELS
        duration: 2s
        action: Boats come home.
        transition_out: {type: dissolve, duration: 12f}
      - {id: sh0020, size: MCU, duration: 2s, action: "She waves & <b>smiles</b>.", cast: [ana]}
"""
HARD_NAME = "a film #1? 100% \"best\" 'cut' & ünïcødé 港 <b>.mp4"
CAPTIONS = "1\n00:00:00,500 --> 00:00:01,500\nThey came back.\n"


class Page(HTMLParser):
    """A page's tags with their attributes, its words, and tags left open."""

    VOID = frozenset({"meta", "link", "img", "br", "track"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def addresses(self) -> list[str]:
        return [
            attributes[name]
            for _, attributes in self.tags
            for name in ("href", "src", "poster")
            if attributes.get(name)
        ]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., MadeFilm]:
    def make_film(title: str = "The Harbour", **changes: Any) -> MadeFilm:
        path = tmp_path / "film.yaml"
        path.write_text(STORYBOARD % title, encoding="utf-8")
        film = load_film(path)
        out = tmp_path / "deliveries"
        out.mkdir(exist_ok=True)
        made = MadeFilm(
            film=film,
            plan=plan_of(film),
            rendered=1,
            reused=1,
            deliveries=(delivered(out),),
            report=out / "report.html",
            wall_seconds=2.0,
        )
        return replace(made, **changes)

    return make_film


def backend(**licence: Any) -> Any:
    capabilities = Capabilities(
        tasks=frozenset({"text"}),
        max_references={},
        max_key_pictures=0,
        keyframe_positions="none",
        camera="exact",
        motion_areas=0,
        extension="none",
        native_audio=False,
        audio_rate=48_000,
        frame_rule=FrameRule(),
        size_multiple=2,
        max_size=(1920, 1080),
        fps=(),
        seeded=True,
        shots_per_generation=1,
        loras=False,
        edit=frozenset(),
        licence=Licence(**{"id": "Apache-2.0", **licence}),
        usd_per_second=0.0,
        gpu_seconds_per_second=0.0,
    )
    return SimpleNamespace(id="painter", revision="7", capabilities=capabilities)


@pytest.fixture(autouse=True)
def _painter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "backend_named", lambda id: backend())


def job(shot: str, **changes: Any) -> ShotJob:
    request = RenderRequest(
        prompt="",
        negative="",
        seed=4711,
        size=(128, 72),
        fps=Fraction(24),
        num_frames=48,
        profile="standard",
        description=Description("", "", ShotSize.MS, Angle.EYE, Camera(), 1),
    )
    facts: dict[str, Any] = {
        "shot_id": shot,
        "take": 1,
        "backend": "painter",
        "revision": "painter-7",
        "request": request,
        "key": f"key of {shot}",
        "num_frames": 48,
        "state": "cached",
        "stale_reason": "",
        "quote": Quote(),
        "adjustments": (),
        "losses": (),
        "waits_for": "",
    }
    return ShotJob(**{**facts, **changes})


def plan_of(film: Film, *jobs: ShotJob, **changes: Any) -> Plan:
    jobs = jobs or tuple(job(shot.id) for shot in film_shots(film))
    picked = {each.shot_id: each.take for each in jobs}
    return replace(Plan(film, raster_of(film), jobs, picked, (), ()), **changes)


def delivered(out: Path, film: str = "HBR_master_en.mp4", **changes: Any) -> Delivered:
    facts: dict[str, Any] = {
        "name": "master",
        "lang": "en",
        "film": out / film,
        "captions": (),
        "timelines": (out / "HBR_master_en.otio",),
        "contact_sheets": (out / "HBR_contact.jpg",),
        "stems": (),
        "size": (128, 72),
        "fps": Fraction(24),
        "num_frames": 84,
        "loudness_lufs": -14.1,
        "true_peak_db": -1.2,
        "segments_encoded": 2,
        "segments_reused": 1,
    }
    return Delivered(**{**facts, **changes})


def test_the_page_says_what_was_made(make: Callable[..., MadeFilm]) -> None:
    made = make()
    assert write_report(made) == made.report
    page = Page(made.report)
    assert not page.open
    for words in (
        "The Harbour", "HBR", "2 in 1 scene", "1 made, 1 kept", "1.8× real time", "sc010",
        "EXT. HARBOUR - DAWN", "sh0020", "Boats come home.", "seed 4711", "00:00:03:12",
        "−14.1 LUFS", "true peak −1.2 dB", "$12.00", "painter-7", "Apache-2.0", "painter",
    ):  # fmt: skip
        assert words in page.words, words


def test_the_second_shot_starts_inside_the_dissolve(make: Callable[..., MadeFilm]) -> None:
    page = Page(write_report(make()))
    assert "00:00:01:12" in page.words


def test_nothing_on_the_page_reaches_out_or_runs(make: Callable[..., MadeFilm]) -> None:
    page = Page(write_report(make()))
    assert not page.all("script")
    assert not page.all("iframe")
    for address in page.addresses():
        assert address.startswith(("#", "data:")) or ":" not in address, address
    text = make().report.read_text(encoding="utf-8")
    assert "@import" not in text
    assert "url(" not in text
    policy = [tag for tag in page.all("meta") if tag.get("http-equiv")]
    assert "script-src 'none'" in policy[0]["content"]


def test_words_of_people_never_become_markup(make: Callable[..., MadeFilm]) -> None:
    evil = "<script>alert(1)</script>"
    made = make(f'"{evil}"')
    jobs = [
        job(
            shot.id,
            state="stale",
            stale_reason=f"{evil} changed",
            losses=(Loss(evil, evil),),
            adjustments=(evil,),
        )
        for shot in film_shots(made.film)
    ]
    one = replace(made.deliveries[0], remarks=(evil,))
    page = Page(write_report(replace(made, plan=plan_of(made.film, *jobs), deliveries=(one,))))
    assert not page.all("script")
    assert page.words.count(evil) >= 6
    assert "She waves & <b>smiles</b>." in page.words


def test_addresses_are_relative_and_encoded(make: Callable[..., MadeFilm], tmp_path: Path) -> None:
    made = make()
    out = made.report.parent
    stem = tmp_path / "other folder" / "dialogue;1.wav"
    one = delivered(out, HARD_NAME, stems=(stem,), contact_sheets=(out / "javascript:x.jpg",))
    page = Page(write_report(replace(made, deliveries=(one,))))
    (video,) = page.all("video")
    assert set(video["src"]).isdisjoint("#? \"'<>&")
    assert unquote(video["src"]) == HARD_NAME
    hrefs = [link["href"] for link in page.all("a")]
    assert "../other%20folder/dialogue%3B1.wav" in hrefs
    assert "javascript%3Ax.jpg" in hrefs
    assert HARD_NAME in page.words


def test_a_name_that_is_not_utf8_is_shown_and_linked(make: Callable[..., MadeFilm]) -> None:
    made = make()
    name = b"caf\xe9.mp4".decode(errors="surrogateescape")
    one = delivered(made.report.parent, name)
    page = Page(write_report(replace(made, deliveries=(one,))))
    assert page.all("video")[0]["src"] == "caf%E9.mp4"
    assert "caf\N{REPLACEMENT CHARACTER}.mp4" in page.words


def test_captions_stand_in_the_page_as_webvtt(make: Callable[..., MadeFilm]) -> None:
    made = make()
    captions = made.report.parent / "HBR_master_en.srt"
    captions.write_text(CAPTIONS, encoding="utf-8")
    one = delivered(made.report.parent, captions=(captions,))
    page = Page(write_report(replace(made, deliveries=(one,))))
    (track,) = page.all("track")
    kind, _, data = track["src"].partition(",")
    assert kind == "data:text/vtt;base64"
    text = base64.b64decode(data).decode()
    assert text.startswith("WEBVTT")
    assert "They came back." in text
    assert track["srclang"] == "en"
    assert captions.name in page.words


def test_no_captions_no_track(make: Callable[..., MadeFilm]) -> None:
    assert not Page(write_report(make())).all("track")


def test_a_still_of_the_film_stands_in_the_player(make: Callable[..., MadeFilm]) -> None:
    made = make()
    frames = np.full((16, 72, 128, 3), 90, np.uint8)
    film = made.deliveries[0].film
    write_video(film, [frames] * 6, size=(128, 72), fps=Fraction(24), encoding=DRAFT)
    (video,) = Page(write_report(made)).all("video")
    assert video["poster"].startswith("data:image/jpeg;base64,")
    assert base64.b64decode(video["poster"].partition(",")[2]).startswith(b"\xff\xd8")


def test_losses_are_said_once_for_all_their_shots(make: Callable[..., MadeFilm]) -> None:
    made = make()
    loss = Loss("cast.ana.lora", "adapter weights need a model")
    jobs = [job(shot.id, losses=(loss,)) for shot in film_shots(made.film)]
    of_film = (Loss("finish.grain", "no grain is added"),)
    plan = plan_of(made.film, *jobs, losses=of_film, notes=("a pick no longer counts",))
    page = Page(write_report(replace(made, plan=plan)))
    assert page.words.count(loss.reason) == 1
    assert "no grain is added" in page.words
    assert "a pick no longer counts" in page.words
    assert "sc010/sh0010, sc010/sh0020" in page.words
    assert "Nothing was left out" not in page.words
    assert "Nothing was left out" in Page(write_report(make())).words


def test_loudness_off_its_target_is_marked(make: Callable[..., MadeFilm]) -> None:
    made = make()

    def words(lufs: float | None) -> str:
        one = delivered(made.report.parent, loudness_lufs=lufs)
        return Page(write_report(replace(made, deliveries=(one,)))).words

    assert "+1.5 LU off target" in words(-12.5)
    assert "off target" not in words(-13.7)
    assert "silent" in words(None)


def test_quotes_count_every_take_and_spend_only_what_was_missing(
    make: Callable[..., MadeFilm],
) -> None:
    made = make()
    first, second = (shot.id for shot in film_shots(made.film))
    jobs = [
        job(first, quote=Quote(usd=1.5)),
        job(second, quote=Quote(usd=2.25)),
        job(second, quote=Quote(usd=2.75), state="new", take=2, key="second take"),
    ]
    plan = plan_of(made.film, *jobs)
    page = Page(write_report(replace(made, plan=plan, spent=total_quote(jobs))))
    for of in ("this run $2.75", "the shot $5.00", "every take $6.50"):
        assert of.split()[-1] in page.words, of
    assert "2 of 2" in page.words


def test_licence_terms_are_said(
    make: Callable[..., MadeFilm], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()
    terms = {"revenue_cap_usd": 10_000_000, "excluded_territories": ("EU",)}
    strict = backend(id="P-1", url="https://example.org/p-1?a=1&b=2", **terms)
    monkeypatch.setattr(report, "backend_named", lambda id: strict)
    page = Page(write_report(made))
    assert "up to $10,000,000 of revenue" in page.words
    assert "not in EU" in page.words
    assert "https://example.org/p-1?a=1&b=2" in [link["href"] for link in page.all("a")]
    evil = backend(id="P-2", url="javascript:alert(1)")
    monkeypatch.setattr(report, "backend_named", lambda id: evil)
    assert "javascript" not in write_report(made).read_text(encoding="utf-8")


def test_a_report_is_written_again_only_when_it_says_something_else(
    make: Callable[..., MadeFilm], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()
    first, second = (shot.id for shot in film_shots(made.film))
    fresh = plan_of(made.film, job(first, state="new"), job(second, quote=Quote(usd=1.5)))
    write_report(replace(made, plan=fresh, spent=Quote(usd=1.5)))
    before = made.report.read_bytes()
    kept = plan_of(made.film, job(first), job(second, quote=Quote(usd=1.5)))
    uncut = replace(made.deliveries[0], segments_encoded=0, segments_reused=3)
    later = replace(
        made, plan=kept, rendered=0, reused=2, wall_seconds=0.1, deliveries=(uncut,), spent=Quote()
    )

    def refuse(path: Path, data: object) -> None:
        raise StoreError("cannot write: read-only")

    with monkeypatch.context() as patch:
        patch.setattr(report, "write_atomic", refuse)
        assert write_report(later) == made.report
        for other in (
            replace(later, rendered=1),
            replace(later, failed=("a take failed",)),
            replace(later, deliveries=(replace(uncut, loudness_lufs=-15.0),)),
            replace(later, plan=plan_of(made.film, job(first), job(second))),
        ):
            with pytest.raises(StoreError):
                write_report(other)
    assert made.report.read_bytes() == before
    made.report.unlink()
    assert write_report(later).is_file()


def test_a_run_of_some_shots_has_a_report_without_a_film(make: Callable[..., MadeFilm]) -> None:
    made = make()
    first, _ = (shot.id for shot in film_shots(made.film))
    plan = plan_of(made.film, job(first, state="new"))
    page = Page(write_report(replace(made, plan=plan, deliveries=())))
    assert not page.all("video")
    assert "No film was cut" in page.words
    assert "not asked for in this run" in page.words
    links = [link["href"][1:] for link in page.all("a") if link["href"].startswith("#")]
    assert set(links) <= {attributes.get("id") for _, attributes in page.tags}


def test_a_folder_that_cannot_be_written_ends_in_one_clear_error(
    make: Callable[..., MadeFilm], tmp_path: Path
) -> None:
    made = make(report=tmp_path / "gone" / "report.html")
    with pytest.raises(StoreError, match="cannot write"):
        write_report(made)
