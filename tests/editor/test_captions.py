"""Captions can be read, never collide, and no line of dialogue can break a file."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from editor.captions import GAP_FRAMES, SpokenLine, captions_for, write_srt, write_vtt
from editor.timeline import Caption

FPS = Fraction(24)

LONG = (
    "We kept it burning through the war, through the winter of forty-seven, and through every "
    "letter that told us to stop. Nobody asked us why. Then the last keeper left, and there was "
    "only me."
)
CHINESE = "灯塔四十年来从未熄灭，哪怕是在最冷的冬天，哪怕再也没有船经过这里。我一直在等。"

SRT = """1
00:00:01,000 --> 00:00:02,000
Good evening.

2
00:00:02,125 --> 00:00:03,625
- Did you see it?
- No.

"""
VTT = """WEBVTT

1
00:00:01.000 --> 00:00:02.000
<v Mara>Good evening.

2
00:00:02.125 --> 00:00:03.625
<v Mara / Tomas>- Did you see it?
- No.

"""


def line(text: str, start: int, end: int, who: str = "Mara") -> SpokenLine:
    return SpokenLine(who, text, start, end)


def texts(captions: tuple[Caption, ...]) -> str:
    return " ".join(" ".join(caption.text.split()) for caption in captions)


def test_goldens(tmp_path: Path) -> None:
    lines = [
        line("Good evening.", 24, 40),
        line("Did you see it?", 51, 80),
        line("No.", 70, 87, "Tomas"),
    ]
    captions = captions_for(lines, lang="en", fps=FPS, num_frames=240)
    write_srt(tmp_path / "a.srt", captions, FPS)
    write_vtt(tmp_path / "a.vtt", captions, FPS)
    assert (tmp_path / "a.srt").read_text("utf-8") == SRT
    assert (tmp_path / "a.vtt").read_text("utf-8") == VTT


def test_a_long_line_is_cut_where_one_breathes() -> None:
    captions = captions_for([line(LONG, 0, 300)], lang="en", fps=FPS, num_frames=400)
    assert texts(captions) == LONG
    assert len(captions) >= 3
    for caption in captions:
        rows = caption.text.split("\n")
        assert len(rows) <= 2
        assert max(map(len, rows)) <= 42
        assert len(caption.text) > 15, "an orphan"
        assert len(caption.text) / (caption.num_frames / 24) <= 20
    assert any(caption.text.endswith((".", ",")) for caption in captions[:-1])


def test_chinese_breaks_between_characters_but_not_before_a_mark() -> None:
    captions = captions_for([line(CHINESE, 0, 240)], lang="zh", fps=FPS, num_frames=300)
    rows = [row for caption in captions for row in caption.text.split("\n")]
    assert "".join(rows) == CHINESE
    assert max(map(len, rows)) <= 16
    assert not any(row[0] in "，。" for row in rows)


def test_word_times_place_the_pieces() -> None:
    words = (("First I waited. ", 0.0, 1.2), ("Then, much later, it came.", 4.0, 6.0))
    text = "First I waited. Then, much later, it came."
    captions = captions_for(
        [SpokenLine("Mara", text, 48, 48 + 144, words)], lang="en", fps=FPS, num_frames=400
    )
    assert [caption.text for caption in captions] == [
        "First I waited.",
        "Then, much later, it came.",
    ]
    assert captions[1].start_frame == 48 + 96
    assert captions[0].start_frame + captions[0].num_frames < 48 + 60


@given(
    spans=st.lists(
        st.tuples(st.integers(0, 700), st.integers(1, 300), st.text(max_size=200)), max_size=12
    ),
    fps=st.sampled_from([FPS, Fraction(24000, 1001), Fraction(60)]),
    lang=st.sampled_from(["en", "ja"]),
)
def test_captions_never_meet_and_stay_in_the_film(
    spans: list[tuple[int, int, str]], fps: Fraction, lang: str
) -> None:
    lines = [line(text, start, start + length) for start, length, text in spans]
    captions = captions_for(lines, lang=lang, fps=fps, num_frames=800)
    for caption in captions:
        assert caption.num_frames >= 1
        assert caption.text.count("\n") <= 1
        assert caption.start_frame + caption.num_frames <= 800
        assert caption.num_frames <= 7 * fps + 1
    for before, after in pairwise(captions):
        assert before.start_frame + before.num_frames <= after.start_frame


def test_a_gap_is_kept_where_there_is_room() -> None:
    lines = [line("One.", 0, 60), line("Two.", 60, 120)]
    first, second = captions_for(lines, lang="en", fps=FPS, num_frames=240)
    assert second.start_frame - first.start_frame - first.num_frames == GAP_FRAMES


HOSTILE = [
    "It went --> that way",
    "Say <b>bold</b> & <i>it</i>",
    r"{\an8}up there {b}",
    r"C:\new\Night \h \N",
    "\"Quoted\" 'single' “curly”",
    "Ça va? 灯塔 🕯️ Ω",
    "1\n00:00:01,000 --> 00:00:02,000\nfake",
    "WEBVTT\n\nNOTE x",
    "\x00\x07bell",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_lines_do_no_harm(tmp_path: Path, text: str) -> None:
    captions = captions_for(
        [line(text, 24, 72), line("After.", 100, 140)], lang="en", fps=FPS, num_frames=240
    )
    write_srt(tmp_path / "a.srt", captions, FPS)
    write_vtt(tmp_path / "a.vtt", captions, FPS)
    srt, vtt = ((tmp_path / f"a.{form}").read_text("utf-8") for form in ("srt", "vtt"))
    assert srt.count("-->") == vtt.count("-->") == len(captions) == 2
    for document in (srt, vtt):
        read = pysubs2.SSAFile.from_string(document)
        assert len(read) == 2
        assert read[1].plaintext.endswith("After.")
    bare = srt.replace("\u2060", "")
    visible = "".join(mark for mark in text if mark >= " " or mark == "\n")
    assert " ".join(bare.split("\n\n")[0].split()[4:]) == " ".join(visible.split())
    assert "<b>" not in srt
    assert r"{\an8" not in srt
    assert "<b>" not in vtt
