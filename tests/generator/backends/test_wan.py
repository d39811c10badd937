"""Wan's takes, made with tiny models from the real classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from shutil import copyfile
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from local_takes import asked, continued, frames_and_sound, picture, sha, with_key
from numpy.typing import NDArray

from generator.backends.base import (
    ContinueFrom,
    LoraWeight,
    Reference,
    RenderRequest,
    RenderTools,
    TakeMedia,
)
from generator.backends.wan import WanBackend
from generator.local.settings import LocalSettings, ModelSettings, PartSettings
from media.errors import CancelledError, RenderError
from tests.generator.local.tiny_wan import TinyWan, save_tiny_wan

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

U8 = NDArray[np.uint8]
SIZE = (64, 48)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyWan:
    return save_tiny_wan(tmp_path_factory.mktemp("wan"))


def backend(tiny: TinyWan, *parts: str, main: str = "text", **settings: Any) -> WanBackend:
    """Wan with the parts of these names; the main model is the attribute `main` of `tiny`."""
    folders = {
        "i2v": tiny.image,
        "vace": tiny.vace,
        "animate": tiny.animate,
        "lightning": tiny.lightning,
        "lightning_i2v": tiny.lightning,
    }
    if main == "text21":
        folders |= {"i2v": tiny.image21, "flf2v": tiny.first_last21}
    model = ModelSettings(
        source=str(getattr(tiny, main)),
        parts={name: PartSettings(source=str(folders[name])) for name in parts},
        **settings,
    )
    return WanBackend(LocalSettings(device="cpu", models={"wan": model}))


def shot(num_frames: int = 9, **changes: Any) -> RenderRequest:
    """A shot at Wan's own rate, in two steps."""
    return asked(size=SIZE, fps=Fraction(16), num_frames=num_frames, **changes)


def taken(wan: WanBackend, request: RenderRequest, tools: RenderTools | None = None) -> U8:
    """All frames of the snapped request."""
    return frames_and_sound(wan, wan.snap(request).request, tools)[0]


def unlike(one: U8, other: U8) -> bool:
    return one.shape == other.shape and not np.array_equal(one, other)


def test_a_seed_repeats_to_the_bit_and_another_differs(tiny: TinyWan) -> None:
    wan = backend(tiny)
    first = taken(wan, shot())
    assert np.array_equal(first, taken(wan, shot()))
    assert unlike(first, taken(wan, shot(seed=8)))
    assert unlike(first, taken(wan, shot(prompt="A desert at noon.")))
    assert unlike(first, taken(wan, shot(negative="red")))


def test_a_take_is_what_the_pipeline_makes_in_one_call(
    tiny: TinyWan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import UniPCMultistepScheduler, WanPipeline
    from diffusers.pipelines.wan import pipeline_wan

    # Prompts are cleaned with the package ftfy, which mends broken encodings and is not needed.
    fake = SimpleNamespace(fix_text=lambda text: text)
    monkeypatch.setattr(pipeline_wan, "ftfy", fake, raising=False)
    wan = backend(tiny)
    request = wan.snap(shot(options=(("steps", 4),))).request
    pipe = WanPipeline.from_pretrained(tiny.text)
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config, flow_shift=12.0)
    video = pipe(
        request.prompt,
        request.negative,
        width=SIZE[0],
        height=SIZE[1],
        num_frames=request.num_frames,
        num_inference_steps=4,
        guidance_scale=4.0,
        guidance_scale_2=3.0,
        generator=torch.Generator().manual_seed(request.seed),
    ).frames[0]
    assert np.array_equal(taken(wan, request), (video * 255).round().astype(np.uint8))


def test_prompts_encoded_before_give_the_same_take(tiny: TinyWan, tmp_path: Path) -> None:
    wan = backend(tiny)
    request = wan.snap(shot()).request
    tools = RenderTools({}, cache=tmp_path)
    wan.prepare([request], tools)
    kept, _, rendered = frames_and_sound(wan, request, tools)
    assert "encode_s" not in rendered.timings
    assert np.array_equal(kept, taken(wan, request))


@pytest.mark.parametrize("num_frames", [5, 6, 8, 17])
def test_gives_exactly_the_frames(tiny: TinyWan, num_frames: int) -> None:
    wan = backend(tiny, "vace")
    request = shot(num_frames)
    assert len(taken(wan, request)) >= num_frames
    going_on, tools = continued(request)
    snapped = wan.snap(going_on).request
    assert snapped.num_frames == num_frames
    assert len(taken(wan, snapped, tools)) == num_frames


@pytest.mark.parametrize(
    ("main", "variant"), [("text", "2.2"), ("text21", "2.1"), ("ti2v", "2.2-5b")]
)
def test_a_first_picture_reaches_the_take(
    tiny: TinyWan, tmp_path: Path, main: str, variant: str
) -> None:
    parts = () if main == "ti2v" else ("i2v",)
    wan = backend(tiny, *parts, main=main, variant=variant)
    request = shot(9) if main != "ti2v" else asked(size=(64, 64), num_frames=9)
    seen = [
        taken(wan, *with_key(request, picture(tmp_path, f"p{level}", level), 0))
        for level in (40, 200)
    ]
    assert unlike(*seen)
    assert unlike(seen[0], taken(wan, request))


@pytest.mark.parametrize(("main", "variant"), [("text", "2.2"), ("text21", "2.1")])
def test_a_last_picture_reaches_the_take(
    tiny: TinyWan, tmp_path: Path, main: str, variant: str
) -> None:
    parts = ("i2v", "flf2v") if main == "text21" else ("i2v",)
    wan = backend(tiny, *parts, main=main, variant=variant)
    opened = with_key(shot(9), picture(tmp_path, "first", 40), 0)
    seen = [taken(wan, *opened)]
    for level in (90, 200):
        both = with_key(opened[0], picture(tmp_path, f"l{level}", level), 8, opened[1])
        seen.append(taken(wan, *both))
    assert unlike(seen[0], seen[1])
    assert unlike(seen[1], seen[2])


def test_a_picture_in_the_middle_reaches_the_take(tiny: TinyWan, tmp_path: Path) -> None:
    wan = backend(tiny, "vace")
    page = picture(tmp_path, "mid", 200)
    seen = [taken(wan, *with_key(shot(9), page, frame)) for frame in (3, 5)]
    assert unlike(*seen)


def test_references_reach_the_take(tiny: TinyWan, tmp_path: Path) -> None:
    wan = backend(tiny, "vace")
    seen = []
    for levels in ((40,), (200,), (40, 200)):
        pages = [picture(tmp_path, f"r{level}", level) for level in levels]
        references = tuple(
            Reference("image", "character", sha(page), f"who{at}") for at, page in enumerate(pages)
        )
        tools = RenderTools({sha(page): page for page in pages})
        seen.append(taken(wan, shot(9, references=references), tools))
    assert unlike(seen[0], seen[1])
    assert unlike(seen[0], seen[2])


@pytest.mark.parametrize(("parts", "frames"), [(("vace",), 5), (("i2v",), 1)])
def test_the_tail_of_a_take_reaches_the_next(
    tiny: TinyWan, parts: tuple[str, ...], frames: int
) -> None:
    wan = backend(tiny, *parts)
    rng = np.random.default_rng(1)
    tail = rng.integers(0, 255, (frames, SIZE[1], SIZE[0], 3), np.uint8)
    going_on = shot(8, continue_from=ContinueFrom("t" * 64, "extend", frames))

    def after(tail: U8) -> U8:
        take = TakeMedia(Path("no such file"), None, 24, tail=tail)
        return taken(wan, going_on, RenderTools({}, {"t" * 64: take}))

    changed = tail.copy()
    changed[0] = 255 - changed[0]
    assert np.array_equal(after(tail), after(tail))
    assert unlike(after(tail), after(changed))


def test_a_tail_is_read_from_the_take_where_it_is_not_at_hand(
    tiny: TinyWan, tmp_path: Path
) -> None:
    from generator.backends.wan_parts.inputs import tail_of
    from media.video import MEZZANINE, write_video

    # At another rate and in another size: by time, not by number.
    clip = np.stack([np.full((96, 128, 3), 4 * at, np.uint8) for at in range(48)])
    path = tmp_path / "take.mp4"
    write_video(path, [clip], size=(128, 96), fps=asked().fps, encoding=MEZZANINE)
    request = shot(8, continue_from=ContinueFrom("t" * 64, "extend", 3))
    tools = RenderTools({}, {"t" * 64: TakeMedia(path, None, 48)})
    tail = tail_of(request, tools)
    assert tail is not None
    assert tail.shape == (3, SIZE[1], SIZE[0], 3)
    levels = tail.mean(axis=(1, 2, 3)) / 4
    assert np.abs(levels - [43.5, 45, 46.5]).max() < 1.1


def test_a_shared_frame_is_the_takes_first(tiny: TinyWan) -> None:
    wan = backend(tiny, "i2v")
    going_on, tools = continued(shot(9))
    assert going_on.continue_from is not None
    shared = replace(
        going_on, continue_from=replace(going_on.continue_from, mode="shared_keyframe")
    )
    extended = taken(wan, replace(going_on, num_frames=8), tools)
    assert np.array_equal(taken(wan, shared, tools)[1:], extended)


def test_a_long_take_is_made_in_segments_that_go_on(tiny: TinyWan) -> None:
    wan = backend(tiny, "vace")
    request = wan.snap(shot(100)).request
    steps: list[tuple[int, int]] = []
    tools = RenderTools({}, on_step=lambda done, total: steps.append((done, total)))
    frames, _, rendered = frames_and_sound(wan, request, tools)
    assert len(frames) == 100
    assert rendered.versions["seams"].startswith("frame ")
    assert rendered.versions["seams"].count("frame ") == 1
    assert steps[-1][0] == steps[-1][1]


def test_stops_at_a_step_and_can_go_on_afterwards(tiny: TinyWan) -> None:
    wan = backend(tiny)
    request = wan.snap(shot(options=(("steps", 6),))).request
    done: list[int] = []
    tools = RenderTools(
        {}, should_stop=lambda: len(done) >= 2, on_step=lambda step, total: done.append(step)
    )
    with pytest.raises(CancelledError, match="after step 2 of 6"):
        wan.render(request, tools)
    assert done == [1, 2]
    assert np.array_equal(taken(wan, request), taken(wan, request))


def test_adapters_of_characters_count_by_their_weight(tiny: TinyWan, tmp_path: Path) -> None:
    wan = backend(tiny)

    def wearing(*weights: float) -> U8:
        loras = tuple(LoraWeight(sha(tiny.lora), weight, "mara") for weight in weights)
        return taken(wan, shot(loras=loras), RenderTools({sha(tiny.lora): tiny.lora}))

    bare = wearing()
    assert unlike(bare, wearing(1.0))
    assert unlike(wearing(0.5), wearing(1.0))
    assert np.array_equal(bare, wearing())
    foreign = tmp_path / "foreign.safetensors"
    from safetensors.torch import save_file

    save_file({"diffusion_model.none.lora_A.weight": torch.zeros(2, 2)}, str(foreign))
    request = shot(loras=(LoraWeight(sha(foreign), 1.0, "mara"),))
    with pytest.raises(RenderError, match="adapter for this Wan"):
        taken(wan, request, RenderTools({sha(foreign): foreign}))


def test_few_steps_are_four_without_guidance(tiny: TinyWan) -> None:
    wan = backend(tiny, "lightning")
    steps: list[tuple[int, int]] = []
    tools = RenderTools({}, on_step=lambda done, total: steps.append((done, total)))
    few = wan.snap(shot(options=())).request
    quick = frames_and_sound(wan, few, tools)[0]
    assert steps[:4] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    # Switched off again for a take that is not in few steps, and the same as without the part.
    fine = shot(options=(("steps", 2),))
    assert np.array_equal(taken(wan, fine), taken(backend(tiny), fine))
    assert np.array_equal(quick, taken(wan, few))


@pytest.mark.parametrize(
    ("main", "variant", "parts", "keyed"),
    [
        ("ti2v", "2.2-5b", ("lightning",), True),
        ("text", "2.2", ("i2v", "lightning_i2v"), True),
        ("text21", "2.1", ("vace", "lightning"), False),
    ],
)
def test_few_step_adapters_reach_every_pipeline(
    tiny: TinyWan,
    tmp_path: Path,
    main: str,
    variant: str,
    parts: tuple[str, ...],
    keyed: bool,
) -> None:
    options = (("few_steps", True),) if keyed else (("few_steps", True), ("pipeline", "vace"))
    request, tools = replace(shot(5, options=options), size=(64, 64)), RenderTools({})
    if keyed:
        request, tools = with_key(request, picture(tmp_path, "page", 90), 0)
    names = ("high_noise_model.safetensors", "low_noise_model.safetensors")
    seen = []
    for name, own in zip(("as they are", "swapped"), (names, names[::-1]), strict=True):
        other = TinyWan(tiny.text.parent)
        other.lightning = tmp_path / name
        other.lightning.mkdir()
        # One transformer has one adapter, two experts have one each.
        for source, target in list(zip(own, names, strict=True))[: 1 if main != "text" else 2]:
            copyfile(tiny.lightning / source, other.lightning / target)
        wan = backend(other, *parts, main=main, variant=variant)
        seen.append(taken(wan, request, tools))
    assert unlike(*seen)


def test_both_experts_work_each_at_its_noise(tiny: TinyWan) -> None:
    from generator.backends.wan_parts.family import WanFamily
    from generator.backends.wan_parts.models import wan_of
    from generator.local.family import Placing, Sources

    family = WanFamily(Sources(str(tiny.text)), wan_of(None))
    request = backend(tiny).snap(shot(options=(("steps", 10),))).request
    encoded = family.encode(family.load_encoder(Placing()), request)
    denoiser = family.load_denoiser(Placing(variant="main"))
    noise: list[list[float]] = [[], []]
    for at, expert in enumerate(denoiser.experts):

        def heard(_module: Any, _args: Any, options: dict[str, Any], at: int = at) -> None:
            noise[at].append(float(options["timestep"][0]))

        expert.register_forward_pre_hook(heard, with_kwargs=True)
    family.denoise(denoiser, request, encoded, RenderTools({}))
    assert len(noise[0]) + len(noise[1]) == 20
    assert min(noise[0]) >= 875 > max(noise[1])


@pytest.mark.parametrize("settings", [{"offload": "group"}, {"offload": "sequential"}])
def test_offloaded_weights_make_the_same_take(tiny: TinyWan, settings: dict[str, str]) -> None:
    away = taken(backend(tiny, "vace", **settings), shot(options=(("pipeline", "vace"),)))
    assert np.array_equal(away, taken(backend(tiny, "vace"), shot(options=(("pipeline", "vace"),))))


@pytest.mark.parametrize("settings", [{"offload": "group"}, {"offload": "sequential"}])
def test_offloaded_weights_wear_adapters_take_after_take(
    tiny: TinyWan, settings: dict[str, str]
) -> None:
    tools = RenderTools({sha(tiny.lora): tiny.lora})
    away = backend(tiny, "lightning", **settings)
    for options in ((("steps", 2),), ()):
        request = shot(5, loras=(LoraWeight(sha(tiny.lora), 1.0, "mara"),), options=options)
        first, again = (taken(away, request, tools) for _ in range(2))
        assert np.array_equal(first, again)
        assert np.array_equal(first, taken(backend(tiny, "lightning"), request, tools))


def test_a_step_cache_leaves_out_work_and_nothing_behind(tiny: TinyWan) -> None:
    wan = backend(tiny, step_cache="pyramid")
    request = shot(options=(("steps", 8),))
    cached = taken(wan, request)
    assert np.array_equal(cached, taken(wan, request))
    assert unlike(cached, taken(backend(tiny), request))


def poses(folder: Path, name: str, shift: int) -> Path:
    """A clip of 40 frames in which a bar moves."""
    from media.video import MEZZANINE, write_video

    clip = np.zeros((40, SIZE[1], SIZE[0], 3), np.uint8)
    for at, frame in enumerate(clip):
        left = (at * 2 + shift) % (SIZE[0] - 8)
        frame[8:40, left : left + 8] = (255, 80 + shift, 0)
    path = folder / f"{name}.mp4"
    write_video(path, [clip], size=SIZE, fps=Fraction(16), encoding=MEZZANINE)
    return path


def moved_by(clip: Path, who: Path, num_frames: int = 13) -> tuple[RenderRequest, RenderTools]:
    """A shot of somebody whose movement is that of the clip."""
    request = shot(
        num_frames,
        references=(
            Reference("image", "character", sha(who), "ada"),
            Reference("video", "motion", sha(clip), "ada"),
        ),
        options=(("motion_clip", "pose"), ("motion_from.start_s", "0"), ("steps", 2)),
    )
    return request, RenderTools({sha(clip): clip, sha(who): who})


def test_poses_reach_the_take(tiny: TinyWan, tmp_path: Path) -> None:
    wan = backend(tiny, "animate")
    ada, ben = (picture(tmp_path, f"who{level}", level) for level in (40, 200))
    walk, run = poses(tmp_path, "walk", 0), poses(tmp_path, "run", 21)
    first = taken(wan, *moved_by(walk, ada))
    assert len(first) == 13
    assert np.array_equal(first, taken(wan, *moved_by(walk, ada)))
    assert unlike(first, taken(wan, *moved_by(run, ada)))
    assert unlike(first, taken(wan, *moved_by(walk, ben)))


def test_poses_are_read_from_where_the_shot_starts(tiny: TinyWan, tmp_path: Path) -> None:
    from generator.backends.wan_parts.inputs import pose_clip

    clip = poses(tmp_path, "walk", 0)
    request, tools = moved_by(clip, picture(tmp_path, "ada", 40))
    whole = pose_clip(request, tools, 13)
    options = tuple(
        (name, "1/4" if name == "motion_from.start_s" else value) for name, value in request.options
    )
    later = pose_clip(replace(request, options=options), tools, 9)
    assert np.array_equal(later, whole[4:])
    # Under a tail that lies before the clip's beginning, its first pose stands.
    going_on = replace(request, continue_from=ContinueFrom("t" * 64, "extend", 5))
    led_in = pose_clip(going_on, tools, 18)
    assert np.array_equal(led_in[5:], whole)
    assert all(np.array_equal(frame, whole[0]) for frame in led_in[:5])


def test_a_take_by_poses_goes_on_from_another(tiny: TinyWan, tmp_path: Path) -> None:
    wan = backend(tiny, "animate")
    request, tools = moved_by(poses(tmp_path, "walk", 0), picture(tmp_path, "ada", 40), 20)
    rng = np.random.default_rng(1)
    seen = []
    for _ in range(2):
        tail = rng.integers(0, 255, (5, SIZE[1], SIZE[0], 3), np.uint8)
        take = TakeMedia(Path("no such file"), None, 24, tail=tail)
        going_on = replace(request, continue_from=ContinueFrom("t" * 64, "extend", 5))
        seen.append(taken(wan, going_on, replace(tools, takes={"t" * 64: take})))
    assert len(seen[0]) == 20
    assert unlike(*seen)


def embeds(tiny: TinyWan, request: RenderRequest) -> dict[str, Any]:
    """The request's words as a pipeline takes them."""
    from generator.backends.wan_parts.family import WanFamily
    from generator.backends.wan_parts.models import wan_of
    from generator.local.family import Placing, Sources

    family = WanFamily(Sources(str(tiny.text)), wan_of(None))
    encoded = family.encode(family.load_encoder(Placing()), request)
    return {
        "prompt_embeds": encoded["prompt"],
        "negative_prompt_embeds": encoded["negative"],
        "width": SIZE[0],
        "height": SIZE[1],
        "num_inference_steps": 2,
        "generator": torch.Generator().manual_seed(request.seed),
    }


def test_a_take_with_a_tail_and_references_is_what_the_pipeline_makes(
    tiny: TinyWan, tmp_path: Path
) -> None:
    from diffusers import UniPCMultistepScheduler, WanVACEPipeline
    from PIL import Image

    wan = backend(tiny, "vace")
    pages = [picture(tmp_path, f"r{level}", level) for level in (40, 200)]
    references = tuple(
        Reference("image", "character", sha(page), f"who{at}") for at, page in enumerate(pages)
    )
    tail = np.random.default_rng(1).integers(0, 255, (5, SIZE[1], SIZE[0], 3), np.uint8)
    request = wan.snap(
        shot(7, references=references, continue_from=ContinueFrom("t" * 64, "extend", 5))
    ).request
    take = TakeMedia(Path("no such file"), None, 24, tail=tail)
    tools = RenderTools({sha(page): page for page in pages}, {"t" * 64: take})

    grey = np.full((8, SIZE[1], SIZE[0], 3), 0.5, np.float32)
    known = np.concatenate([tail.astype(np.float32) / 255, grey])
    mask = np.ones((13, SIZE[1], SIZE[0], 1), np.float32)
    mask[:5] = 0
    pipe = WanVACEPipeline.from_pretrained(tiny.vace)
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config, flow_shift=16.0)
    video = pipe(
        video=[known],
        mask=[mask],
        reference_images=[Image.open(page).convert("RGB") for page in pages],
        num_frames=13,
        guidance_scale=5.0,
        **embeds(tiny, request),
    ).frames[0]
    whole = (video * 255).round().astype(np.uint8)
    assert np.array_equal(taken(wan, request, tools), whole[5 : 5 + 7])


def test_a_take_between_two_pictures_is_what_the_pipeline_makes(
    tiny: TinyWan, tmp_path: Path
) -> None:
    from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline
    from PIL import Image

    from generator.references import fitted

    wan = backend(tiny, "i2v")
    first, last = (picture(tmp_path, f"p{level}", level, SIZE) for level in (40, 200))
    request, tools = with_key(shot(9), first, 0)
    request, tools = with_key(request, last, 8, tools)
    request = wan.snap(request).request
    pipe = WanImageToVideoPipeline.from_pretrained(tiny.image)
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config, flow_shift=5.0)
    video = pipe(
        image=Image.fromarray(fitted(first, SIZE)),
        last_image=Image.fromarray(fitted(last, SIZE)),
        num_frames=9,
        guidance_scale=3.5,
        **embeds(tiny, request),
    ).frames[0]
    assert np.array_equal(taken(wan, request, tools), (video * 255).round().astype(np.uint8))


def test_a_take_by_poses_is_what_the_pipeline_makes(tiny: TinyWan, tmp_path: Path) -> None:
    from diffusers import UniPCMultistepScheduler, WanAnimatePipeline
    from PIL import Image

    from generator.backends.wan_parts.inputs import pose_clip, reference_pictures

    wan = backend(tiny, "animate")
    request, tools = moved_by(poses(tmp_path, "walk", 0), picture(tmp_path, "ada", 40))
    request = wan.snap(request).request
    pipe = WanAnimatePipeline.from_pretrained(tiny.animate)
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config, flow_shift=5.0)
    video = pipe(
        image=reference_pictures(request, tools)[0],
        pose_video=[Image.fromarray(frame) for frame in pose_clip(request, tools, 13)],
        face_video=[Image.new("RGB", (16, 16))] * 13,
        segment_frame_length=13,
        guidance_scale=1.0,
        **embeds(tiny, request),
    ).frames[0]
    assert np.array_equal(taken(wan, request, tools), (video * 255).round().astype(np.uint8))


@pytest.mark.parametrize(
    ("main", "part", "kind"),
    [
        ("text", "", "text"),
        ("text21", "i2v", "first"),
        ("text", "i2v", "first"),
        ("text", "vace", "first"),
        ("text", "animate", "poses"),
        ("ti2v", "", "first"),
    ],
)
def test_half_precision_and_quantised_weights_go_with_an_exact_vae(
    tiny: TinyWan, tmp_path: Path, main: str, part: str, kind: str
) -> None:
    variant = {"text": "2.2", "text21": "2.1", "ti2v": "2.2-5b"}[main]
    page = picture(tmp_path, "page", 90)
    size = (64, 64) if main == "ti2v" else SIZE
    request, tools = replace(shot(13), size=size), RenderTools({})
    if kind == "first":
        request, tools = with_key(request, page, 0)
    elif kind == "poses":
        request, tools = moved_by(poses(tmp_path, "walk", 0), page)
    parts = (part,) if part else ()
    for precision in ("bf16", "fp8"):
        wan = backend(tiny, *parts, main=main, variant=variant, precision=precision)
        assert taken(wan, request, tools).std() > 1
