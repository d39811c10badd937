"""Takes at another rate and size: exact in number, true in motion, flat in memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from generator.finish import (
    FINISHED,
    FinishedFilm,
    FinishRecipe,
    finish_key,
    finish_take,
    finished_picture,
    recipe_for,
)
from generator.finishing.interpolation import retimed
from generator.finishing.lanczos import scaled
from generator.finishing.spandrel import (
    OVERLAP,
    ImageModel,
    SpandrelEnlarger,
    enlarger_of,
    read_image_model,
)
from generator.local.settings import LocalSettings, ModelSettings
from generator.takes import Take
from media.colour import i420_to_rgb, rgb_to_i420
from media.errors import CancelledError, MediaError, RenderError, UsageError
from media.ffmpeg import ffmpeg_exe
from media.store import ContentStore
from media.video import MEZZANINE, probe, read_frames, read_planes, write_video

U8 = NDArray[np.uint8]

SIZE = (160, 96)
RATES = tuple(map(Fraction, ("16", "24000/1001", "24", "25", "30", "48", "50", "60")))


def scenery(seed: int = 3) -> U8:
    """A picture with detail of every size, `(96, 160, 3) uint8 RGB`."""
    import cv2

    noise = np.random.default_rng(seed).normal(0, 1, (96, 160, 3))
    layers = sum(cv2.GaussianBlur(noise, (0, 0), 2.0**n) * 2.0**n for n in range(1, 5))
    return np.clip(110 + 28 * layers, 0, 255).astype(np.uint8)


def travelling(num_frames: int, pixels_a_frame: float = 4) -> U8:
    """A bright patch that crosses the scenery at an even pace, `(n, 96, 160, 3) uint8 RGB`."""
    frames = np.repeat(scenery()[None] // 2, num_frames, axis=0)
    for index, frame in enumerate(frames):
        left = 10 + round(pixels_a_frame * index)
        frame[30:62, left : left + 32] = 205 + scenery(9)[30:62, :32] // 6
    return frames


def patch_centre(luma: U8) -> float:
    """Column that the bright patch is centred on."""
    bright = np.clip(luma[30:62].astype(float) - 150, 0, None).sum(axis=0)
    return float((bright * np.arange(luma.shape[1])).sum() / bright.sum())


def planes_of(frames: U8) -> Iterator[U8]:
    """As decoders hand them on: all in one array."""
    array: U8 | None = None
    for rgb in frames:
        array = rgb_to_i420(rgb, array)
        yield array


def at_rate(frames: U8, fps: int, to_fps: int, num_frames: int) -> list[U8]:
    """Luma of the re-timed frames."""
    made = retimed(planes_of(frames), Fraction(fps), Fraction(to_fps), num_frames)
    return [planes[: frames.shape[1]].copy() for planes in made]


def take_of(folder: Path, frames: U8, fps: Fraction = Fraction(24), key: str = "a" * 64) -> Take:
    path = folder / f"{key[:6]}.mp4"
    size = (frames.shape[2], frames.shape[1])
    write_video(path, [frames], size=size, fps=fps, encoding=MEZZANINE)
    return Take(key, path, folder / "sound.wav", len(frames), fps, size, {"seed": 7})


# Re-timing


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.sampled_from(RATES), st.sampled_from(RATES))
def test_there_are_exactly_as_many_frames_as_the_seconds_hold(
    num_frames: int, fps: Fraction, to_fps: Fraction
) -> None:
    still = np.zeros((num_frames, 48, 64, 3), np.uint8)
    wanted = max(1, int(Fraction(num_frames) / fps * to_fps))
    made = sum(1 for _ in retimed(planes_of(still), fps, to_fps, wanted))
    assert made == wanted


def test_frames_between_show_one_patch_half_way() -> None:
    frames = travelling(8)
    made = at_rate(frames, 24, 48, 15)
    centres = [patch_centre(luma) for luma in made]
    for index, centre in enumerate(centres):
        assert centre == pytest.approx(centres[0] + 2 * index, abs=0.6)
    # A mix of two frames would have edges of half the contrast, 4 pixels apart.
    between, whole = made[7][46].astype(int), made[6][46].astype(int)
    assert np.abs(np.diff(between)).max() > 0.75 * np.abs(np.diff(whole)).max()


def test_motion_keeps_its_pace_at_odd_ratios() -> None:
    for fps, to_fps, num_frames in ((16, 24, 18), (24, 60, 28), (50, 24, 6), (25, 24, 11)):
        frames = travelling(13)
        centres = [patch_centre(luma) for luma in at_rate(frames, fps, to_fps, num_frames)]
        pace = np.diff(centres)
        assert pace == pytest.approx(np.full(len(pace), 4 * fps / to_fps), abs=0.8)


def test_frames_that_are_there_are_shown_as_they_are() -> None:
    frames = travelling(9)
    luma = [planes[:96].copy() for planes in planes_of(frames)]
    doubled = at_rate(frames, 24, 48, 17)
    assert all((made == own).all() for made, own in zip(doubled[::2], luma, strict=True))
    halved = at_rate(frames, 50, 25, 5)
    assert all((made == own).all() for made, own in zip(halved, luma[::2], strict=True))


def test_two_shots_in_one_take_are_not_mixed() -> None:
    before, after = scenery(1), 255 - scenery(2)
    frames = np.stack([before] * 3 + [after] * 3)
    luma = [planes[:96].copy() for planes in planes_of(frames[2:4])]
    for made in at_rate(frames, 24, 60, 14):
        assert min(np.abs(made.astype(int) - own).mean() for own in luma) < 1


def test_a_still_stays_still() -> None:
    frames = np.repeat(scenery()[None], 5, axis=0)
    made = at_rate(frames, 24, 60, 12)
    assert all(np.abs(luma.astype(int) - made[0]).max() <= 1 for luma in made)


def test_a_take_may_lack_what_rounding_takes_and_no_more() -> None:
    frames = travelling(10)
    assert len(at_rate(frames, 24, 48, 24)) == 24
    with pytest.raises(MediaError, match="10 frames at 24 fps, too few for 40 at 48 fps"):
        at_rate(frames, 24, 48, 40)


def test_only_two_frames_are_read_ahead() -> None:
    read = 0

    def source() -> Iterator[U8]:
        nonlocal read
        for planes in planes_of(np.repeat(travelling(10), 30, axis=0)):
            read += 1
            yield planes

    for index, _ in enumerate(retimed(source(), Fraction(24), Fraction(48), 599)):
        assert read <= index // 2 + 2


# Size


def test_enlarging_is_ffmpegs_own_lanczos(tmp_path: Path) -> None:
    take = take_of(tmp_path, travelling(4))
    ours = np.stack([planes.copy() for planes in scaled(read_planes(take.picture), (320, 192))])
    shown = subprocess.run(
        [ffmpeg_exe(), "-v", "error", "-i", str(take.picture), "-vf",
         "scale=320:192:flags=lanczos+accurate_rnd+full_chroma_int", "-f", "rawvideo",
         "-pix_fmt", "yuv420p", "-"],
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    theirs = np.frombuffer(shown.stdout, np.uint8).reshape(4, 288, 320)
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_colours_stay_what_they_are() -> None:
    colours = np.zeros((1, 96, 160, 3), np.uint8)
    colours[0, :, :80], colours[0, :, 80:] = (200, 40, 60), (20, 160, 90)
    large = i420_to_rgb(next(scaled(planes_of(colours), (640, 384))))
    assert large.shape == (384, 640, 3)
    assert np.abs(large[200, 100].astype(int) - (200, 40, 60)).max() <= 3
    assert np.abs(large[200, 540].astype(int) - (20, 160, 90)).max() <= 3


# What a take must become


FILM = FinishedFilm((1280, 720), 1, Fraction(24))
LARGE = FinishedFilm((1280, 720), 2, Fraction(48))


@pytest.mark.parametrize(
    ("size", "fps", "frames", "film", "becomes"),
    [
        ((1280, 720), 24, 96, FILM, None),
        ((832, 480), 24, 96, FILM, None),
        ((832, 480), 16, 96, FILM, ((832, 480), 24, 96)),
        ((1280, 720), 24, 96, LARGE, ((2560, 1440), 48, 192)),
        ((832, 480), 16, 96, LARGE, ((2560, 1478), 48, 192)),
        ((704, 480), 24, 97, LARGE, ((2560, 1746), 48, 194)),
        ((3840, 2160), 48, 96, LARGE, None),
        ((1280, 720), 24, 97, FinishedFilm((1280, 720), 1, Fraction(60)), ((1280, 720), 60, 243)),
    ],
)
def test_a_take_covers_the_finished_raster_for_as_long_as_the_cut_needs(
    size: tuple[int, int],
    fps: int,
    frames: int,
    film: FinishedFilm,
    becomes: tuple[tuple[int, int], int, int] | None,
) -> None:
    recipe = recipe_for(size, Fraction(fps), Fraction(frames, 24), film)
    expected = (
        None if becomes is None else FinishRecipe(becomes[0], Fraction(becomes[1]), becomes[2])
    )
    assert recipe == expected


# Finished takes


def test_a_finished_take_is_made_once_and_kept_apart(tmp_path: Path) -> None:
    take = take_of(tmp_path, travelling(12))
    recipe = FinishRecipe((320, 192), Fraction(48), 24)
    steps: list[tuple[int, int]] = []
    store = tmp_path / "store"
    made = finish_take(take, recipe, store, on_step=lambda *step: steps.append(step))
    facts = probe(made.picture, count_frames=True)
    assert (facts.size, facts.fps, facts.num_frames) == ((320, 192), 48, 24)
    assert (made.size, made.fps, made.num_frames, made.sound) == ((320, 192), 48, 24, take.sound)
    assert made.key == finish_key(take.key, recipe)
    assert made.picture == finished_picture(made.key, store)
    assert made.manifest["seed"] == 7
    assert steps[-1] == (24, 24)
    steps.clear()
    again = finish_take(take, recipe, store, on_step=lambda *step: steps.append(step))
    assert again == made
    assert not steps


def test_the_picture_of_a_finished_take_is_the_takes(tmp_path: Path) -> None:
    take = take_of(tmp_path, travelling(12))
    made = finish_take(take, FinishRecipe((320, 192), Fraction(48), 24), tmp_path)
    small = np.concatenate(list(read_frames(made.picture, size=SIZE)))[::2]
    own = np.concatenate(list(read_frames(take.picture)))
    assert np.abs(small.astype(int) - own).mean() < 3


def test_everything_that_changes_a_finished_take_is_in_its_key() -> None:
    recipe = FinishRecipe((320, 192), Fraction(48), 24)
    keys = {
        finish_key("a" * 64, recipe),
        finish_key("b" * 64, recipe),
        finish_key("a" * 64, FinishRecipe((322, 192), Fraction(48), 24)),
        finish_key("a" * 64, FinishRecipe((320, 192), Fraction(50), 24)),
        finish_key("a" * 64, FinishRecipe((320, 192), Fraction(48), 25)),
        finish_key("a" * 64, recipe, Doubling("x")),
        finish_key("a" * 64, recipe, Doubling("y")),
    }
    assert len(keys) == 7


def test_a_take_too_short_or_a_cancelled_finish_leaves_nothing(tmp_path: Path) -> None:
    take = take_of(tmp_path, travelling(6))
    store = ContentStore(tmp_path / "store", FINISHED)
    for recipe in (FinishRecipe(SIZE, Fraction(48), 40), FinishRecipe((320, 192), take.fps, 8)):
        with pytest.raises(RenderError, match=r"the take aaaaaaaaaaaa cannot be finished: .*6"):
            finish_take(take, recipe, store.root)
    recipe = FinishRecipe((320, 192), Fraction(24), 6)
    with pytest.raises(CancelledError):
        finish_take(take, recipe, store.root, should_stop=lambda: True)
    assert list(store.keys()) == []
    assert store.litter() == []
    assert finish_take(take, recipe, store.root).num_frames == 6


@dataclass
class Doubling:
    """Each pixel four times, and 40 levels redder, so that it is seen to have been there."""

    identity: str = "doubling"
    seen: list[tuple[int, ...]] = field(default_factory=list)

    def enlarged(self, rgb: U8, size: tuple[int, int]) -> U8:
        while rgb.shape[1] < size[0]:
            self.seen.append(rgb.shape)
            rgb = rgb.repeat(2, axis=0).repeat(2, axis=1)
        redder = np.minimum(rgb[..., :1].astype(int) + 40, 255).astype(np.uint8)
        return np.concatenate([redder, rgb[..., 1:]], axis=2)


def test_a_model_enlarges_each_frame_once_before_others_are_made_between(tmp_path: Path) -> None:
    take = take_of(tmp_path, np.full((6, 96, 160, 3), 90, np.uint8))
    model = Doubling()
    recipe = FinishRecipe((480, 288), Fraction(48), 12)
    made = finish_take(take, recipe, tmp_path, enlarger=model)
    assert model.seen == [(96, 160, 3), (192, 320, 3)] * 6
    facts = probe(made.picture, count_frames=True)
    assert (facts.size, facts.num_frames) == ((480, 288), 12)
    red, green, blue = next(read_frames(made.picture))[0][100, 100].astype(int)
    assert (red - green, abs(green - blue) < 4) == (pytest.approx(40, abs=4), True)
    finish_take(take, FinishRecipe(SIZE, Fraction(48), 12), tmp_path, enlarger=model)
    assert len(model.seen) == 12


PEAK_OF = """
import resource, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from generator.finish import FinishRecipe, finish_take
from generator.takes import Take
from media.video import MEZZANINE, write_video
folder, seconds = Path(sys.argv[1]), int(sys.argv[2])
def chunks():
    noise = np.random.default_rng(1).integers(0, 255, (96, 160, 3), np.uint8)
    for second in range(seconds):
        yield np.stack([np.roll(noise, 2 * n, axis=1) for n in range(24)])
path = folder / f"{seconds}.mp4"
fps = Fraction(24)
write_video(path, chunks(), size=(160, 96), fps=fps, encoding=MEZZANINE)
take = Take("a" * 64, path, None, 24 * seconds, fps, (160, 96), {})
recipe = FinishRecipe((320, 192), Fraction(48), 48 * seconds)
finish_take(take, recipe, folder / f"store{seconds}")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts in kilobytes on Linux")
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    def peak_mb(seconds: int) -> int:
        shown = subprocess.run(
            [sys.executable, "-c", PEAK_OF, str(tmp_path), str(seconds)],
            capture_output=True, text=True, timeout=120, check=True,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        return int(shown.stdout)

    short, long = peak_mb(10), peak_mb(60)
    # Holding the 2,400 further frames of 320x192 would take 221 MB as planes.
    assert long - short < 30


# Enlarging by a model


def tiny_model(torch: Any, scale: int = 2) -> Callable[[Path, str], ImageModel]:
    """Reads a real network: a 5x5 convolution and a pixel shuffle, with weights from the file."""

    def read(weights: Path, device: str) -> ImageModel:
        network = torch.nn.Sequential(
            torch.nn.Conv2d(3, 3 * scale * scale, 5, padding=2, padding_mode="replicate"),
            torch.nn.PixelShuffle(scale),
        )
        network.load_state_dict(torch.load(weights, weights_only=True))
        return ImageModel(network.eval(), scale, device or "cpu", torch.float32)

    return read


def weights_of(torch: Any, path: Path, scale: int = 2) -> Path:
    torch.manual_seed(5)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 3 * scale * scale, 5), torch.nn.PixelShuffle(1)
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.rand_like(parameter) / 75)
    torch.save(network.state_dict(), path)
    return path


def test_tiles_meet_without_a_seam(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    weights = weights_of(torch, tmp_path / "tiny.pth")
    whole = SpandrelEnlarger(weights, "cpu", tiny_model(torch))
    tiled = SpandrelEnlarger(weights, "cpu", tiny_model(torch), tile=OVERLAP * 2)
    large = whole.enlarged(scenery(), (320, 192))
    assert large.shape == (192, 320, 3)
    assert large.std() > 3
    assert np.abs(tiled.enlarged(scenery(), (320, 192)).astype(int) - large).max() <= 1
    assert whole.enlarged(scenery(), (321, 192)).shape == (384, 640, 3)


def test_a_tile_too_large_for_the_device_is_halved(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    weights = weights_of(torch, tmp_path / "tiny.pth")
    read = tiny_model(torch)

    def cramped(path: Path, device: str) -> ImageModel:
        model = read(path, device)

        def run(picture: Any) -> Any:
            if max(picture.shape[2:]) > 128 + 2 * OVERLAP:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return model.run(picture)

        return ImageModel(run, 2, "cpu", torch.float32)

    frame = np.tile(scenery(), (4, 3, 1))
    enlarger = SpandrelEnlarger(weights, "cpu", cramped)
    expected = SpandrelEnlarger(weights, "cpu", read).enlarged(frame, (960, 768))
    assert np.abs(enlarger.enlarged(frame, (960, 768)).astype(int) - expected).max() <= 1
    assert enlarger.tile == 128

    def hopeless(path: Path, device: str) -> ImageModel:
        def run(picture: Any) -> Any:
            raise torch.OutOfMemoryError("CUDA out of memory")

        return ImageModel(run, 2, "cpu", torch.float32)

    with pytest.raises(RenderError, match="no room for tiles of 128 pixels"):
        SpandrelEnlarger(weights, "cpu", hopeless).enlarged(frame, (960, 768))


def test_what_a_model_gets_wrong_is_said(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    weights = weights_of(torch, tmp_path / "tiny.pth")
    restoring = SpandrelEnlarger(
        weights, "cpu", lambda path, device: ImageModel(lambda x: x, 1, "cpu", torch.float32)
    )
    with pytest.raises(RenderError, match=r"tiny.pth: the model makes pictures no larger"):
        restoring.enlarged(scenery(), (320, 192))

    def fails(picture: Any) -> Any:
        raise ValueError("odd shape")

    failing = SpandrelEnlarger(
        weights, "cpu", lambda path, device: ImageModel(fails, 2, "cpu", torch.float32)
    )
    with pytest.raises(RenderError, match="the model failed: ValueError: odd shape"):
        failing.enlarged(scenery(), (320, 192))


def test_the_models_file_names_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "4x.safetensors"
    asked = LocalSettings(device="cpu", models={"spandrel": ModelSettings(source=str(weights))})
    assert enlarger_of(LocalSettings()) is None
    with pytest.raises(UsageError, match=r"4x\.safetensors: expected a file of weights"):
        enlarger_of(asked)
    weights.write_bytes(b"one")
    monkeypatch.setattr("generator.finishing.spandrel.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"not installed; pip install takeboard\[upscale\]"):
        enlarger_of(asked)
    monkeypatch.setattr("generator.finishing.spandrel.find_spec", lambda name: object())
    first = enlarger_of(asked)
    assert first is not None
    before = first.identity
    weights.write_bytes(b"another")
    assert first.identity != before


def test_spandrel_reads_real_weights(tmp_path: Path) -> None:
    """A tiny Compact network (Real-ESRGAN's small architecture), found from its weights alone."""
    torch = pytest.importorskip("torch")
    spandrel = pytest.importorskip("spandrel")
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(1)
    network = Compact(num_in_ch=3, num_out_ch=3, num_feat=8, num_conv=2, upscale=2)
    weights = tmp_path / "2x_tiny.pth"
    torch.save(network.state_dict(), weights)
    model = read_image_model(weights, "cpu")
    assert isinstance(model.run, spandrel.ImageModelDescriptor)
    assert model.scale == 2
    large = SpandrelEnlarger(weights, "cpu").enlarged(scenery(), (320, 192))
    assert large.shape == (192, 320, 3)
    # The architecture adds its residual to the nearest neighbour.
    near = scenery().repeat(2, axis=0).repeat(2, axis=1)
    assert np.corrcoef(large.ravel(), near.ravel())[0, 1] > 0.5
    weights.write_bytes(b"not weights")
    with pytest.raises(RenderError, match="cannot load the upscaling model"):
        read_image_model(weights, "cpu")
