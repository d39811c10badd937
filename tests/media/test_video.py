import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray

from media.colour import i420_to_rgb
from media.errors import CancelledError, MediaError
from media.ffmpeg import run_ffmpeg
from media.video import (
    DELIVERY,
    DRAFT,
    MEZZANINE,
    WORKPRINT,
    Encoding,
    concat_copy,
    last_frame,
    probe,
    read_frame,
    read_frames,
    read_planes,
    write_planes,
    write_video,
)

U8 = NDArray[np.uint8]
FPS = Fraction(24)
SIZE = (64, 48)
PATCHES = [(r, g, b) for r in (16, 128, 240) for g in (16, 128, 240) for b in (16, 128, 240)]
PATCHES += [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)]


def counting(num_frames: int, first: int = 0, chunk: int = 7) -> Iterator[U8]:
    """Frames that carry their number: two grey halves, eight levels apart."""
    for start in range(0, num_frames, chunk):
        numbers = range(first + start, first + min(start + chunk, num_frames))
        frames = np.zeros((len(numbers), SIZE[1], SIZE[0], 3), np.uint8)
        for frame, number in zip(frames, numbers, strict=True):
            frame[:, :32], frame[:, 32:] = number % 25 * 10, number // 25 * 10
        yield frames


def number_of(frame: U8) -> int:
    return round(float(frame[8:40, 8:24].mean()) / 10) + 25 * round(
        float(frame[8:40, 40:56].mean()) / 10
    )


def write(path: Path, num_frames: int, first: int = 0, encoding: Encoding = DELIVERY) -> Path:
    write_video(path, counting(num_frames, first), size=SIZE, fps=FPS, encoding=encoding)
    return path


@pytest.mark.parametrize("encoding", [MEZZANINE, WORKPRINT, DELIVERY, DRAFT])
def test_colours_come_back(tmp_path: Path, encoding: Encoding) -> None:
    frames = np.stack([np.full((48, 64, 3), patch, np.uint8) for patch in PATCHES])
    path = tmp_path / "a.mp4"
    write_video(path, [frames], size=SIZE, fps=FPS, encoding=encoding)
    back = np.concatenate(list(read_frames(path)))
    assert np.abs(back.astype(int) - frames).max() <= 3
    # Most players and filters are not ours: ffmpeg must see the same colours by the tags.
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.colorspace == 1
        assert container.streams.video[0].codec_context.color_range == 1


@pytest.mark.parametrize("size", [(160, 90), (64, 50), (62, 48), (66, 54)])
def test_colours_lie_where_they_lay_at_every_even_size(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    width, height = size
    frames = np.zeros((3, height, width, 3), np.uint8)
    frames[:, : height // 2], frames[:, height // 2 :] = (200, 40, 40), (40, 40, 200)
    write_video(tmp_path / "c.mp4", [frames], size=size, fps=FPS, encoding=MEZZANINE)
    seen = read_frame(tmp_path / "c.mp4", 1).astype(int)
    off = np.abs(seen - frames[1]).max(axis=(1, 2))
    edge = height // 2
    assert off[: edge - 2].max() <= 3
    assert off[edge + 2 :].max() <= 3


def test_no_grey_drifts_when_a_shot_is_written_again(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8)[None, None, :, None], (1, 48, 1, 3))
    frames: U8 = ramp
    for generation in range(4):
        path = tmp_path / f"{generation}.mp4"
        write_video(path, [frames], size=(256, 48), fps=FPS, encoding=MEZZANINE)
        frames = next(read_frames(path))
    assert abs(float(frames.astype(float).mean() - ramp.mean())) < 0.5


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(24000, 1001), Fraction(25), Fraction(60)])
@pytest.mark.parametrize("num_frames", [1, 2, 49])
def test_frames_are_exact(tmp_path: Path, fps: Fraction, num_frames: int) -> None:
    path = tmp_path / "a.mp4"
    assert num_frames == write_video(
        path, counting(num_frames), size=SIZE, fps=fps, encoding=DELIVERY
    )
    found = probe(path, count_frames=True)
    assert (found.num_frames, found.fps, found.size) == (num_frames, fps, SIZE)
    assert found.duration_s == num_frames / fps
    assert (found.codec, found.pixel_format, found.audio_channels) == ("h264", "yuv420p", 0)
    with av.open(str(path)) as container:
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert times == [index / fps for index in range(num_frames)]


def test_seeking_is_frame_exact(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 150)
    for start in (0, 1, 47, 48, 49, 120, 149):
        assert number_of(read_frame(path, start)) == start
    assert number_of(last_frame(path)) == 149
    chunks = list(read_frames(path, start=40, num_frames=35, size=(32, 24)))
    assert [len(chunk) for chunk in chunks] == [16, 16, 3]
    assert chunks[0].shape[1:] == (24, 32, 3)
    numbers = [number_of(f) for chunk in read_frames(path, start=90) for f in chunk]
    assert numbers == list(range(90, 150))


def test_planes_are_the_frames(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 60)
    frames = np.concatenate(list(read_frames(path, start=20, num_frames=30)))
    again = [i420_to_rgb(planes) for planes in read_planes(path, start=20, num_frames=30)]
    assert np.array_equal(frames, np.stack(again))
    copy = tmp_path / "b.mp4"
    # One array for all frames, changed behind the encoder's back: it must have read each by then.
    count = write_planes(copy, read_planes(path), size=SIZE, fps=FPS, encoding=MEZZANINE)
    assert count == 60
    assert [number_of(f) for chunk in read_frames(copy) for f in chunk] == list(range(60))
    with pytest.raises(MediaError, match="expected 6 frames from frame 55, found 5"):
        list(read_planes(path, start=55, num_frames=6))


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuvj420p"])
def test_planes_of_other_peoples_footage_are_709(tmp_path: Path, pixels: str) -> None:
    path = tmp_path / "other.mp4"
    colours = [(200, 40, 60), (30, 180, 90), (120, 120, 120)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 24, {"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = 66, 50, pixels
        for colour in colours:
            picture = np.full((50, 66, 3), colour, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame.reformat(format=pixels)))
        container.mux(stream.encode(None))
    for colour, planes in zip(colours, read_planes(path), strict=True):
        assert planes.shape == (75, 66)
        assert np.abs(i420_to_rgb(planes).astype(int) - colour).max() <= 6


def test_a_clip_that_ends_early_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 10)
    with pytest.raises(MediaError, match="expected 6 frames from frame 5, found 5"):
        list(read_frames(path, start=5, num_frames=6))
    with pytest.raises(MediaError, match="found 0"):
        read_frame(path, 10)


def test_pieces_join_exactly_by_copy(tmp_path: Path) -> None:
    lengths = [1, 2, 3, 49, 24, 5]
    pieces, first = [], 0
    for index, length in enumerate(lengths):
        pieces.append(write(tmp_path / f'pi\'ece "é" {index}.mp4', length, first))
        first += length
    out = tmp_path / "film.mp4"
    concat_copy(pieces, out, fps=FPS)
    assert [number_of(f) for chunk in read_frames(out) for f in chunk] == list(range(sum(lengths)))
    assert number_of(read_frame(out, 60)) == 60
    with av.open(str(out)) as container:
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert times == [index / FPS for index in range(sum(lengths))]


def test_four_hundred_pieces_stay_on_the_grid(tmp_path: Path) -> None:
    rate = Fraction(24000, 1001)
    piece = tmp_path / "a.mp4"
    write_video(piece, counting(5), size=SIZE, fps=rate, encoding=DELIVERY)
    out = tmp_path / "film.mp4"
    concat_copy([piece] * 400, out, fps=rate)
    with av.open(str(out)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        times = sorted(packet.pts * packet.time_base for packet in packets)
    assert times == [index / rate for index in range(2000)]


def test_a_piece_made_by_ffmpeg_joins_ours(tmp_path: Path) -> None:
    ours, theirs = write(tmp_path / "a.mp4", 20), tmp_path / "b.mp4"
    source = ffmpeg.input(str(ours))
    run_ffmpeg(
        ffmpeg.output(source, str(theirs), t=10, **DELIVERY.ffmpeg_options()),
        what="encode",
        timeout_s=60,
    )
    concat_copy([ours, theirs], tmp_path / "c.mp4", fps=FPS)
    numbers = [number_of(f) for chunk in read_frames(tmp_path / "c.mp4") for f in chunk]
    assert numbers == [*range(20), *range(20)]


def test_pieces_encoded_otherwise_are_refused(tmp_path: Path) -> None:
    pieces = [write(tmp_path / "a.mp4", 5), write(tmp_path / "b.mp4", 5, encoding=DRAFT)]
    with pytest.raises(MediaError, match=r"encoded like a\.mp4"):
        concat_copy(pieces, tmp_path / "c.mp4", fps=FPS)
    with pytest.raises(MediaError, match="uniform 25 fps"):
        concat_copy(pieces[:1], tmp_path / "c.mp4", fps=Fraction(25))
    assert not list(tmp_path.glob("*c.mp4*"))


def test_what_the_frames_raise_passes_and_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[U8]:
        yield from counting(20)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_video(tmp_path / "a.mp4", failing(), size=SIZE, fps=FPS, encoding=DRAFT)
    stops = iter([False, False, True])
    with pytest.raises(CancelledError):
        write_video(
            tmp_path / "a.mp4",
            counting(70),
            size=SIZE,
            fps=FPS,
            encoding=DRAFT,
            should_stop=lambda: next(stops),
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("frames", "size", "expected"),
    [
        ([], SIZE, "no frames"),
        ([np.zeros((1, 48, 64, 4), np.uint8)], SIZE, "expected frames of"),
        ([np.zeros((1, 48, 64, 3), np.float32)], SIZE, "expected frames of"),
        ([np.zeros((1, 47, 63, 3), np.uint8)], (63, 47), "even"),
    ],
)
def test_frames_that_do_not_fit_are_refused(
    tmp_path: Path, frames: list[U8], size: tuple[int, int], expected: str
) -> None:
    with pytest.raises(MediaError, match=expected):
        write_video(tmp_path / "a.mp4", frames, size=size, fps=FPS, encoding=DRAFT)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path) -> None:
    # A limit on the size of files makes every write past it fail, as a full disk does.
    code = """
import resource, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from media.errors import MediaError
from media.video import MEZZANINE, write_video
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
noise = np.random.default_rng(0).integers(0, 256, (16, 96, 128, 3), dtype=np.uint8)
try:
    write_video(Path(sys.argv[1]), [noise] * 4, size=(128, 96), fps=Fraction(24),
                encoding=MEZZANINE)
except MediaError as error:
    print("MediaError", error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.mp4")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "MediaError" in done.stdout, done.stderr
    assert "cannot write" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.mp4", b"", "empty"),
        ("a.mp4", b"not a film at all\n" * 100, "cannot read|expected a clip"),
        ("a.m3u8", b"#EXTM3U\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n", "cannot read|expected a clip"),
        ("a.ffconcat", b"ffconcat version 1.0\nfile 'b.mp4'\n", "cannot read|expected a clip"),
    ],
)
def test_what_is_no_clip_is_refused(tmp_path: Path, name: str, content: bytes, found: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MediaError, match=found):
        probe(path)


def test_a_clip_cut_short_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 50)
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(MediaError):
        probe(path)
    with pytest.raises(MediaError, match="no such file"):
        probe(tmp_path / "b.mp4")
