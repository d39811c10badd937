"""Films from `/v1/videos` servers: what they are sent, what comes back, and what goes wrong."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract import Studio, request_for, scenic
from PIL import Image
from video_servers import Asked, Fault, StandIn, decoded, film_bytes, grey_of, running

from generator.backends.base import (
    Backend,
    ContinueFrom,
    EditOf,
    KeyPicture,
    LoraWeight,
    MotionArea,
    Reference,
    Rendered,
    RenderRequest,
    RenderTools,
    TakeMedia,
)
from generator.backends.hunyuanvideo import HunyuanVideo
from generator.backends.ltx2 import LTX2
from generator.backends.minimax_h3 import MiniMaxH3
from generator.backends.openai_video import OpenAIVideo
from generator.backends.video_api.ledger import Ledger
from generator.backends.video_api.wire import Patience
from generator.backends.wan import WanBackend
from generator.keys import request_key
from generator.local.settings import LocalSettings, ModelSettings
from generator.plan import PlanSettings, plan_shots
from generator.rendering import render_take, tools_for
from generator.requests import assets_for
from generator.takes import TakeStore
from media.errors import CancelledError, RefusalError, RenderError
from media.probe import probe
from media.sound import write_sound
from media.video import MEZZANINE, last_frame, write_video
from tests.factories import make_film, make_shot

DIALECTS = ("vllm_omni", "sglang")
QUICK = Patience(
    connect_s=2,
    read_s=5,
    answer_s=10,
    film_s=20,
    tries=4,
    backoff_s=0.01,
    longest_backoff_s=0.3,
    poll_s=0.01,
    longest_poll_s=0.05,
    stalled_s=5,
)
SIZE = (192, 112)


@pytest.fixture
def serve() -> Iterator[Any]:
    """Starts stand-ins that end with the test."""
    with ExitStack() as stack:
        yield lambda dialect="sglang", **more: stack.enter_context(
            running(StandIn(dialect, **more))
        )


def backend_for(server: StandIn, variant: str = "wan_t2v", **more: Any) -> OpenAIVideo:
    said = ModelSettings(url=server.url, dialect=server.dialect, variant=variant, **more)
    accepted = ("minimax-h3", "tencent-hunyuan-community")
    settings = LocalSettings(acknowledged=accepted, models={"openai_video": said})
    return OpenAIVideo(settings, {"VIDEO_KEY": server.key}, QUICK)


def small(num_frames: int = 17, **changes: Any) -> RenderRequest:
    return request_for(num_frames, **{"size": SIZE, "fps": Fraction(16), **changes})


def all_frames(rendered: Rendered) -> np.ndarray:
    return np.concatenate(list(rendered.frames))


def greys(frames: np.ndarray) -> list[int]:
    return [round(float(frame.mean())) for frame in frames]


def made(backend: Backend, request: RenderRequest, tools: RenderTools) -> tuple[Rendered, Any]:
    rendered = backend.render(backend.snap(request).request, tools)
    return rendered, all_frames(rendered)


def as_picture(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def extra_of(job: Asked) -> dict[str, Any]:
    """What a form says beyond its own fields, but how to encode the film."""
    extra: dict[str, Any] = json.loads(job.fields["extra_params"])
    del extra["video_codec_options"]
    return extra


# What comes back


@pytest.mark.parametrize("dialect", DIALECTS)
def test_asks_waits_and_fetches(serve: Any, dialect: str, tmp_path: Path) -> None:
    server = serve(dialect)
    backend = backend_for(server, model="Wan-AI/Wan2.2-T2V-A14B")
    steps: list[tuple[int, int]] = []
    tools = RenderTools({}, cache=tmp_path, on_step=lambda done, total: steps.append((done, total)))
    request = small(17, seed=12, negative="blur", options=(("steps", 4),))
    rendered, frames = made(backend, request, tools)
    assert frames.shape == (17, 112, 192, 3)
    expected = [grey_of(12, n) for n in range(17)]
    assert np.abs(np.array(greys(frames)) - expected).max() <= 2
    assert (rendered.num_frames, rendered.fps, rendered.size) == (17, 16, SIZE)
    assert rendered.seed == 12
    assert not rendered.warnings
    assert rendered.versions == {"server": dialect, "model": "Wan-AI/Wan2.2-T2V-A14B"}
    assert rendered.peak_memory_mb() == 1234.5
    assert rendered.timings == {"server_s": 2.5}
    assert rendered.audio() is None
    assert steps == sorted(steps)
    assert steps[-1] == (100, 100)
    (job,) = server.asked
    fields = {name: str(value) for name, value in job.fields.items()}
    assert fields["prompt"] == "dusk"
    assert fields["negative_prompt"] == "blur"
    assert (fields["seed"], fields["num_frames"], fields["fps"]) == ("12", "17", "16")
    assert fields["num_inference_steps"] == "4"
    assert fields["model"] == "Wan-AI/Wan2.2-T2V-A14B"
    if dialect == "sglang":
        assert fields["size"] == "192x112"
        assert fields["output_quality"] == "high"
    else:
        assert json.loads(fields["extra_params"])["video_codec_options"]["crf"] == "12"
        assert (fields["width"], fields["height"]) == ("192", "112")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_sound_is_as_long_as_the_frames(serve: Any, dialect: str, tmp_path: Path) -> None:
    server = serve(dialect, sound=True)
    backend = backend_for(server, "ltx2")
    request = small(25, fps=Fraction(24), audio="native")
    rendered, frames = made(backend, request, RenderTools({}, cache=tmp_path))
    sound = rendered.audio()
    assert sound is not None
    assert sound.shape == (2, len(frames) * 2000)
    assert 0.2 < float(np.abs(sound).max()) <= 1.0
    assert not rendered.warnings
    silent = backend.render(backend.snap(replace(request, audio="none")).request, RenderTools({}))
    list(silent.frames)
    assert silent.audio() is None


def test_missing_sound_is_told(serve: Any, tmp_path: Path) -> None:
    backend = backend_for(serve("sglang"), "ltx2")
    request = small(25, fps=Fraction(24), audio="native")
    rendered, _ = made(backend, request, RenderTools({}, cache=tmp_path))
    assert rendered.audio() is None
    assert rendered.warnings == ["the server's film has no sound"]


def test_a_size_that_the_server_rounds_is_scaled_and_told(serve: Any, tmp_path: Path) -> None:
    backend = backend_for(serve("sglang", makes_size=(190, 112)))
    rendered, frames = made(backend, small(), RenderTools({}, cache=tmp_path))
    assert frames.shape[1:] == (112, 192, 3)
    assert rendered.warnings == ["the server made 190x112, scaled to 192x112"]


@pytest.mark.parametrize(
    "wrong", [{"frames_fewer": 4}, {"makes_fps": Fraction(24)}, {"makes_size": (112, 192)}]
)
def test_another_film_than_ordered_is_an_error(
    serve: Any, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    server = serve("sglang", **wrong)
    backend = backend_for(server)
    with pytest.raises(RenderError, match="at least 17 frames of 192x112 at 16 fps"):
        made(backend, small(), RenderTools({}, cache=tmp_path))
    assert server.count("POST") == 1


def test_surplus_frames_are_left_out(serve: Any, tmp_path: Path) -> None:
    server = serve("sglang", frames_fewer=-8)
    _, frames = made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert len(frames) == 17


# What the server is given


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_first_picture_arrives(serve: Any, dialect: str, tmp_path: Path) -> None:
    server = serve(dialect)
    backend = backend_for(server, "wan_i2v")
    request, tools = Studio(tmp_path).keyed(small(), 0)
    made(backend, request, replace(tools, cache=tmp_path))
    (job,) = server.asked
    if dialect == "sglang":
        (data,) = [decoded(job.fields["reference_url"])]
    else:
        (data,) = job.materials("image_reference")
    assert np.array_equal(as_picture(data), scenic(*SIZE))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_h3_takes_references_of_every_kind(serve: Any, dialect: str, tmp_path: Path) -> None:
    server = serve(dialect, h3=True, sound=True)
    backend = backend_for(server, "minimax_h3")
    request, tools, picture = h3_request(tmp_path)
    rendered = backend.render(backend.snap(request).request, tools)
    assert rendered.num_frames == 107
    assert next(rendered.frames).shape == (16, 768, 1344, 3)
    assert rendered.warnings == ["the server made 168x96, scaled to 1344x768"]
    assert rendered.licence == "minimax-h3"
    (job,) = server.asked
    if dialect == "sglang":
        sent = [(one["type"], decoded(one["uri"])) for one in job.fields["conditions"]]
        assert job.fields["task"] == "ref2va"
        assert job.fields["target"]["aspect_ratio"] == "16:9"
        assert round(job.fields["target"]["duration_seconds"] * 24) == 107
    else:
        sent = [
            (kind, data)
            for kind in ("image", "video", "audio")
            for data in job.materials(f"{kind}_reference")
        ]
        assert extra_of(job) == {"task": "ref2va"}
        assert job.fields["generate_sound"] == "true"
    assert sorted(kind for kind, _ in sent) == ["audio", "image", "video"]
    by_kind = dict(sent)
    assert np.array_equal(as_picture(by_kind["image"]), picture)
    clip = tmp_path / "sent.mp4"
    clip.write_bytes(by_kind["video"])
    assert (probe(clip).num_frames, probe(clip).fps) == (50, 24)
    assert not probe(clip).audio_channels
    voice = tmp_path / "sent.wav"
    voice.write_bytes(by_kind["audio"])
    assert float(probe(voice).duration_s) == pytest.approx(3.0, abs=0.1)
    prompt = job.fields["prompt"]
    assert prompt.endswith("dusk")
    for said in ("<Picture 1> shows Mara.", "<Audio 1> is the voice of Mara.", "<Video 1> shows"):
        assert said in prompt


def h3_request(folder: Path) -> tuple[RenderRequest, RenderTools, np.ndarray]:
    """A request with a picture, a voice and a clip to move like; its tools; the picture."""
    picture = scenic(320, 300)
    studio = Studio(folder)
    image, image_path = studio.picture("mara", picture)
    voice_path, clip_path = folder / "mara.wav", folder / "walk.mp4"
    times = np.arange(48_000 * 3) / 48_000
    write_sound(voice_path, (0.3 * np.sin(times * 2000))[None].astype(np.float32))
    write_video(
        clip_path,
        (np.full((1, 96, 168, 3), n, np.uint8) for n in range(50)),
        size=(168, 96),
        fps=Fraction(24),
        encoding=MEZZANINE,
    )
    digests = {
        path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (voice_path, clip_path)
    }
    references = (
        Reference("image", "character", image, "Mara"),
        Reference("audio", "voice", digests[voice_path], "Mara"),
        Reference("video", "motion", digests[clip_path]),
    )
    request = small(96, fps=Fraction(24), audio="native", references=references)
    assets = {image: image_path} | {digest: path for path, digest in digests.items()}
    return request, RenderTools(assets, cache=folder / "store"), picture


@pytest.mark.parametrize("dialect", DIALECTS)
def test_h3_takes_first_and_last_pictures(serve: Any, dialect: str, tmp_path: Path) -> None:
    server = serve(dialect, h3=True)
    backend = backend_for(server, "minimax_h3")
    noise = np.random.default_rng(5).integers(0, 256, (768, 1344, 3)).astype(np.uint8)
    first, first_path = Studio(tmp_path).picture("first", noise)
    last, last_path = Studio(tmp_path).picture("last", noise[::-1].copy())
    request = small(
        107,
        size=(1344, 768),
        fps=Fraction(24),
        key_pictures=(KeyPicture(0, first), KeyPicture(106, last)),
    )
    snapped = backend.snap(request)
    assert not snapped.losses
    backend.render(
        snapped.request, RenderTools({first: first_path, last: last_path}, cache=tmp_path)
    )
    (job,) = server.asked
    if dialect == "sglang":
        assert [one["frame_index"] for one in job.fields["conditions"]] == [0, -1]
        sent = [decoded(one["uri"]) for one in job.fields["conditions"]]
        assert job.fields["task"] == "fl2va"
    else:
        # Two pictures of this size are more than a field of text holds: they come as files.
        sent = job.materials("input_references")
        assert extra_of(job) == {"task": "fl2va", "frame_indices": [0, -1]}
    assert np.array_equal(as_picture(sent[0]), noise)
    assert np.array_equal(as_picture(sent[1]), noise[::-1])


def test_vace_takes_a_list_of_pictures(serve: Any, tmp_path: Path) -> None:
    server = serve("vllm_omni")
    backend = backend_for(server, "wan_vace")
    studio = Studio(tmp_path)
    files = [studio.picture("one", scenic(200, 100)), studio.picture("two", scenic(900, 900) // 8)]
    references = tuple(Reference("image", "character", digest, "Mara") for digest, _ in files)
    made(backend, small(references=references), RenderTools(dict(files), cache=tmp_path))
    (job,) = server.asked
    one, two = (as_picture(data) for data in job.materials("image_reference"))
    assert one.shape == (100, 200, 3)
    assert np.abs(one.astype(int) - scenic(200, 100)).mean() < 12
    assert two.shape == (832, 832, 3)
    assert job.fields["prompt"] == "dusk"


def test_too_much_for_a_form_is_refused_before_it_is_sent(serve: Any, tmp_path: Path) -> None:
    server = serve("vllm_omni")
    rng = np.random.default_rng(4)
    files = [
        Studio(tmp_path).picture(f"noise{n}", rng.integers(0, 256, (832, 832, 3)).astype(np.uint8))
        for n in range(3)
    ]
    references = tuple(Reference("image", "character", digest) for digest, _ in files)
    with pytest.raises(RefusalError, match="larger than the server's form takes"):
        made(
            backend_for(server, "wan_vace"),
            small(references=references),
            RenderTools(dict(files), cache=tmp_path),
        )
    assert not server.seen


def test_a_recorded_line_drives_h3_where_it_is_spoken(serve: Any, tmp_path: Path) -> None:
    server = serve("vllm_omni", h3=True)
    path = tmp_path / "line.wav"
    write_sound(path, np.full((1, 48_000), 0.5, np.float32))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    request = small(107, fps=Fraction(24), audio="driven", audio_sha256=digest)
    backend = backend_for(server, "minimax_h3")
    snapped = backend.snap(request).request
    rendered = backend.render(snapped, RenderTools({digest: path}, cache=tmp_path))
    assert rendered.audio() is None
    (job,) = server.asked
    assert extra_of(job) == {"task": "t2va", "audio_mode": "lock_source"}
    (sent,) = job.materials("input_references")
    (tmp_path / "sent.wav").write_bytes(sent)
    from media.sound import read_sound

    heard = np.flatnonzero(np.abs(read_sound(tmp_path / "sent.wav")[0]) > 0.1)
    assert (heard[0], heard[-1]) == (2 * 2000, 2 * 2000 + 47_999)


# Going on from takes


@pytest.mark.parametrize("dialect", DIALECTS)
def test_goes_on_from_the_last_frame(serve: Any, dialect: str, tmp_path: Path) -> None:
    server = serve(dialect, sound=True)
    backend = backend_for(server, "ltx2")
    request, tools, picture = Studio(tmp_path).continued(
        small(24, size=(192, 128), fps=Fraction(24), seed=5)
    )
    rendered, frames = made(
        backend, replace(request, audio="native"), replace(tools, cache=tmp_path / "store")
    )
    assert len(frames) == 24
    # The server made the picture again as its first frame; the take starts with the one after.
    assert np.abs(np.array(greys(frames)) - [grey_of(5, 1 + n) for n in range(24)]).max() <= 2
    sound = rendered.audio()
    assert sound is not None
    assert sound.shape[1] == 24 * 2000
    (job,) = server.asked
    assert int(job.fields["num_frames"]) == 25
    if dialect == "sglang":
        data = decoded(job.fields["reference_url"])
    else:
        (data,) = job.materials("image_reference")
    assert np.array_equal(as_picture(data), picture)


def test_a_shared_frame_is_kept(serve: Any, tmp_path: Path) -> None:
    server = serve("sglang")
    backend = backend_for(server, "wan_i2v")
    request, tools, _ = Studio(tmp_path).continued(small(17, seed=5))
    shared = replace(request, continue_from=ContinueFrom("t" * 64, "shared_keyframe", 1))
    _, frames = made(backend, shared, replace(tools, cache=tmp_path / "store"))
    assert abs(greys(frames)[0] - grey_of(5, 0)) <= 2
    assert server.asked[0].fields["num_frames"] == 17


def test_a_tail_at_hand_is_used_as_it_was_made(serve: Any, tmp_path: Path) -> None:
    server = serve("sglang")
    backend = backend_for(server, "wan_i2v")
    tail = np.stack([scenic(*SIZE), scenic(*SIZE)[::-1]])
    going_on = small(16, continue_from=ContinueFrom("t" * 64, "extend", 1))
    takes = {"t" * 64: TakeMedia(tmp_path / "none.mp4", None, 40, tail)}
    made(backend, going_on, RenderTools({}, takes, cache=tmp_path))
    sent = as_picture(decoded(server.asked[0].fields["reference_url"]))
    assert np.array_equal(sent, scenic(*SIZE)[::-1])


def test_a_take_longer_than_one_call_is_made_in_segments(serve: Any, tmp_path: Path) -> None:
    server = serve("sglang", polls_to_finish=0)
    backend = backend_for(server, "wan_ti2v")
    request = small(150, size=(192, 128), fps=Fraction(24), seed=3)
    rendered, frames = made(backend, request, RenderTools({}, cache=tmp_path))
    assert len(frames) == rendered.num_frames == 150
    first, second = server.asked
    assert "reference_url" not in first.fields
    assert first.fields["seed"] != second.fields["seed"]
    given = as_picture(decoded(second.fields["reference_url"]))
    seam = int(first.fields["num_frames"])
    assert seam - 1 < 121
    assert np.abs(given.astype(int) - frames[seam - 1]).max() <= 1
    # Around the seam colours are matched; the end is as the second call made it, one frame on.
    assert abs(greys(frames)[-1] - grey_of(int(second.fields["seed"]), 150 - seam)) <= 2
    again, _ = made(backend, request, RenderTools({}, cache=tmp_path))
    assert server.count("POST") == 2
    assert again.num_frames == 150


def test_a_missing_take_or_file_is_named(serve: Any, tmp_path: Path) -> None:
    server = serve("sglang")
    backend = backend_for(server, "wan_i2v")
    going_on = small(continue_from=ContinueFrom("t" * 64, "extend", 1))
    with pytest.raises(RenderError, match="tttttttttttt"):
        made(backend, going_on, RenderTools({}, cache=tmp_path))
    keyed = small(key_pictures=(KeyPicture(0, "d" * 64),))
    with pytest.raises(RenderError, match="dddddddddddd"):
        made(backend, keyed, RenderTools({}, cache=tmp_path))
    assert not server.seen


# What goes wrong


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "faults",
    [
        [Fault("POST", "create", 429, {"Retry-After": "0.2"}, {"detail": "busy"})],
        [Fault("POST", "create", 503), Fault("POST", "create", 500, {}, "<html>oops</html>")],
        [Fault("GET", "look", 500), Fault("GET", "look", 502), Fault("GET", "look", 429)],
        [Fault("GET", "look", kind="drop"), Fault("GET", "content", kind="drop")],
        [Fault("GET", "content", 503, {"Retry-After": "Sat, 01 Jan 2022 00:00:00 GMT"})],
        [Fault("GET", "content", 404, {}, {"detail": "Generation is still in-progress"})],
        [Fault("GET", "content", kind="short")],
        [Fault("GET", "content", kind="cut"), Fault("GET", "content", kind="cut")],
    ],
    ids=lambda faults: "+".join(f"{one.route}-{one.status or one.kind}" for one in faults),
)
def test_passing_faults_are_outlived_without_making_it_twice(
    serve: Any, dialect: str, faults: list[Fault], tmp_path: Path
) -> None:
    server = serve(dialect, faults=list(faults))
    rendered, frames = made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert len(frames) == 17
    assert not server.faults
    assert not rendered.warnings
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("asked", "least", "most"), [("0.25", 0.25, 1.0), ("9999", 0.3, 1.0), ("nan", 0.0, 0.2)]
)
def test_retry_after_is_honoured_within_reason(
    serve: Any, tmp_path: Path, asked: str, least: float, most: float
) -> None:
    server = serve("sglang", faults=[Fault("POST", "create", 429, {"Retry-After": asked})])
    backend = backend_for(server)
    backend.render(backend.snap(small()).request, RenderTools({}, cache=tmp_path))
    first, second = (one.at for one in server.seen if one.method == "POST")
    assert least <= second - first < most


def test_a_server_that_stays_busy_is_an_error(serve: Any, tmp_path: Path) -> None:
    busy = [Fault("POST", "create", 429, {}, {"detail": "queue is full"}) for _ in range(9)]
    server = serve("sglang", faults=busy)
    with pytest.raises(RenderError, match="429 queue is full") as error:
        made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert not isinstance(error.value, RefusalError)
    assert server.count("POST") == QUICK.tries
    assert not list(tmp_path.rglob("*.json"))


def test_a_server_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = StandIn("sglang", url=f"http://127.0.0.1:{port}")
    with pytest.raises(RenderError, match="cannot be reached") as error:
        made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert f"127.0.0.1:{port}" in str(error.value)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, {"detail": "size is not supported"}, "size is not supported"),
        (422, {"detail": [{"loc": ["body", "fps"], "msg": "too\nlarge"}]}, "body.fps: too large"),
        (413, {"error": {"message": "body too large", "code": 413}}, "body too large"),
        (401, {"detail": "who are you"}, "does not let us in"),
        (404, {"detail": "Not Found"}, "no /v1/videos"),
        (400, "\x1b[31mred\x07 " + "x" * 5000, "…"),
    ],
)
def test_a_refusal_is_told_in_the_servers_words(
    serve: Any, tmp_path: Path, status: int, body: Any, words: str
) -> None:
    server = serve("sglang", faults=[Fault("POST", "create", status, {}, body)])
    with pytest.raises(RefusalError) as error:
        made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert words in str(error.value)
    assert len(str(error.value)) < 700
    assert str(error.value).isprintable()
    assert server.count("POST") == 1
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("code", [400, 404, 500])
def test_a_failed_job_says_why(serve: Any, dialect: str, code: int, tmp_path: Path) -> None:
    server = serve(dialect, fails_with={"code": code, "message": "out of memory on cuda:0"})
    with pytest.raises(RenderError, match="the shot: out of memory on cuda:0") as error:
        made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert isinstance(error.value, RefusalError) == (code < 500)
    assert server.count("POST") == 1
    server.fails_with = None
    _, frames = made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert len(frames) == 17


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("route", ["look", "content"])
def test_a_lost_job_is_asked_again(serve: Any, dialect: str, route: str, tmp_path: Path) -> None:
    server = serve(dialect, faults=[Fault("GET", route, kind="forget")])
    rendered, frames = made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert len(frames) == 17
    assert server.count("POST") == 2
    assert [text for text in rendered.warnings if "lost job video_gen_0001" in text]


def test_a_server_that_loses_every_job_is_given_up(serve: Any, tmp_path: Path) -> None:
    server = serve("sglang", faults=[Fault("GET", "look", kind="forget") for _ in range(9)])
    with pytest.raises(RenderError, match="lost the job 3 times"):
        made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert server.count("POST") == 3


def test_a_lost_answer_is_found_in_the_list(serve: Any, tmp_path: Path) -> None:
    server = serve("vllm_omni", faults=[Fault("POST", "create", kind="drop")])
    rendered, frames = made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert len(frames) == 17
    assert server.count("POST") == 1
    assert not rendered.warnings


def test_a_lost_answer_of_a_server_that_lists_no_prompts_is_told(
    serve: Any, tmp_path: Path
) -> None:
    server = serve("sglang", faults=[Fault("POST", "create", kind="drop")])
    rendered, frames = made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert len(frames) == 17
    assert server.count("POST") == 2
    assert [text for text in rendered.warnings if "not known what became" in text]


def test_a_slow_answer_to_a_job_is_waited_for(serve: Any, tmp_path: Path) -> None:
    server = serve("sglang", slow_create_s=0.6)
    backend = backend_for(server)
    backend._patience = replace(QUICK, read_s=0.3)
    made(backend, small(), RenderTools({}, cache=tmp_path))
    assert server.count("POST") == 1


@pytest.mark.parametrize("kind", ["drop", "deaf"])
def test_somebody_elses_job_is_not_taken(serve: Any, kind: str, tmp_path: Path) -> None:
    """Two takes share a prompt: one's job must not become the other's film."""
    server = serve("vllm_omni")
    backend, tools = backend_for(server), RenderTools({}, cache=tmp_path)
    made(backend, small(seed=21), tools)
    server.faults.append(Fault("POST", "create", kind=kind))
    _, frames = made(backend, small(seed=2), tools)
    assert [int(job.fields["seed"]) for job in server.asked] == [21, 2]
    assert server.count("POST") == {"drop": 2, "deaf": 3}[kind]
    assert abs(greys(frames)[0] - grey_of(2, 0)) <= 2


def test_a_film_that_never_arrives_whole_is_an_error(serve: Any, tmp_path: Path) -> None:
    server = serve("sglang", faults=[Fault("GET", "content", kind="cut") for _ in range(3)])
    with pytest.raises(RenderError, match="arrives damaged"):
        made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    _, frames = made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert len(frames) == 17
    assert server.count("POST") == 1


def test_a_job_without_progress_is_given_up_and_kept(serve: Any, tmp_path: Path) -> None:
    server = serve("sglang", polls_to_finish=10**6)
    backend = backend_for(server)
    backend._patience = replace(QUICK, stalled_s=0.2)
    server.told = lambda job: StandIn.told(server, replace(job, polls=1))
    with pytest.raises(RenderError, match="no progress"):
        made(backend, small(), RenderTools({}, cache=tmp_path))
    del server.told
    server.polls_to_finish = 2
    made(backend, small(), RenderTools({}, cache=tmp_path))
    assert server.count("POST") == 1


def test_redirects_to_others_are_not_followed(serve: Any, tmp_path: Path) -> None:
    other = serve("sglang", key="other")
    there = {"Location": f"{other.url}/v1/videos/x"}
    for fault in (Fault("GET", "look", 307, there), Fault("POST", "create", 307, there)):
        server = serve("sglang", key="canary-key", faults=[fault])
        backend = backend_for(server, key_env="VIDEO_KEY")
        with pytest.raises(RefusalError, match="redirects to http://127"):
            made(backend, small(), RenderTools({}, cache=tmp_path / fault.method))
    assert not other.seen


def test_a_redirect_within_the_server_is_followed(serve: Any, tmp_path: Path) -> None:
    there = {"Location": "/v1/videos/video_gen_0001/content"}
    server = serve("sglang", faults=[Fault("GET", "content", 302, there)])
    _, frames = made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert len(frames) == 17
    server = serve("sglang")
    server.faults = [Fault("GET", "content", 302, there) for _ in range(9)]
    with pytest.raises(RenderError, match="redirects without end"):
        made(backend_for(server), small(), RenderTools({}, cache=tmp_path / "round"))


@pytest.mark.parametrize(
    "body", ["not json", "[]", {"id": "../../etc", "status": "queued"}, {"status": "queued"}]
)
def test_an_answer_that_is_no_job_is_an_error(serve: Any, tmp_path: Path, body: Any) -> None:
    server = serve("sglang", faults=[Fault("POST", "create", 200, {}, body)])
    with pytest.raises(RenderError, match="expected a job"):
        made(backend_for(server), small(), RenderTools({}, cache=tmp_path))


def test_an_endless_answer_is_cut_off(serve: Any, tmp_path: Path) -> None:
    flood = [Fault("GET", "look", 200, {}, "x" * (9 * 2**20)) for _ in range(QUICK.tries)]
    server = serve("sglang", faults=flood)
    with pytest.raises(RenderError, match="does not do its work"):
        made(backend_for(server), small(), RenderTools({}, cache=tmp_path))


# Cancelling and going on


@pytest.mark.parametrize("dialect", DIALECTS)
def test_cancelling_removes_the_job(serve: Any, dialect: str, tmp_path: Path) -> None:
    server = serve(dialect, polls_to_finish=10**6)
    tools = RenderTools({}, cache=tmp_path, should_stop=lambda: server.count("GET") >= 3)
    with pytest.raises(CancelledError):
        made(backend_for(server), small(), tools)
    assert server.count("DELETE", "video_gen_0001") == 1
    assert [job.removed for job in server.gone] == [True]
    assert not list(tmp_path.rglob("*.json"))


def test_a_job_that_cannot_be_removed_is_kept_for_later(serve: Any, tmp_path: Path) -> None:
    stuck = [Fault("DELETE", "remove", 409, {}, {"detail": "in progress"}) for _ in range(3)]
    server = serve("vllm_omni", polls_to_finish=6, faults=stuck)
    tools = RenderTools({}, cache=tmp_path, should_stop=lambda: server.count("GET") >= 3)
    with pytest.raises(CancelledError):
        made(backend_for(server), small(), tools)
    _, frames = made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert len(frames) == 17
    assert server.count("POST") == 1


def test_asked_to_stop_before_it_begins_it_asks_nobody(serve: Any, tmp_path: Path) -> None:
    server = serve("sglang")
    with pytest.raises(CancelledError):
        made(backend_for(server), small(), RenderTools({}, should_stop=lambda: True))
    assert not server.seen


class _KilledError(BaseException):
    """What no code of ours catches, like the end of the process."""


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_killed_run_is_gone_on_with(serve: Any, dialect: str, tmp_path: Path) -> None:
    server = serve(dialect, polls_to_finish=4)

    def killed(done: int, total: int) -> None:
        raise _KilledError

    with pytest.raises(_KilledError):
        made(backend_for(server), small(), RenderTools({}, cache=tmp_path, on_step=killed))
    assert server.count("POST") == 1
    _, frames = made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert len(frames) == 17
    assert server.count("POST") == 1


def test_a_film_that_is_here_is_not_fetched_again(serve: Any, tmp_path: Path) -> None:
    server = serve("sglang")
    backend = backend_for(server)
    backend.render(backend.snap(small()).request, RenderTools({}, cache=tmp_path))
    seen = len(server.seen)
    _, frames = made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert len(frames) == 17
    assert len(server.seen) == seen
    (film,) = tmp_path.rglob("*.mp4")
    film.write_bytes(film.read_bytes()[:-100])
    _, frames = made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert len(frames) == 17
    assert (server.count("POST"), server.count("GET", "content")) == (1, 2)


def test_a_film_that_cannot_be_decoded_is_fetched_again_by_the_next_run(
    serve: Any, tmp_path: Path
) -> None:
    server = serve("sglang", faults=[Fault("GET", "content", kind="garbled")])
    backend = backend_for(server)
    with pytest.raises(RenderError, match="cannot be decoded"):
        made(backend, small(), RenderTools({}, cache=tmp_path))
    _, frames = made(backend, small(), RenderTools({}, cache=tmp_path))
    assert len(frames) == 17
    assert server.count("POST") == 1


def test_two_runs_at_once_ask_once(serve: Any, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    server = serve("sglang", polls_to_finish=5)
    with ThreadPoolExecutor(2) as pool:
        tools = RenderTools({}, cache=tmp_path)
        both = list(pool.map(lambda _: made(backend_for(server), small(), tools)[1], range(2)))
    assert np.array_equal(*both)
    assert server.count("POST") == 1


def test_another_server_is_asked_anew(serve: Any, tmp_path: Path) -> None:
    """Its jobs may have the same numbers: one of them is somebody else's film."""
    first, second = serve("sglang", polls_to_finish=10**6), serve("sglang")
    made(backend_for(second), small(seed=40), RenderTools({}))

    def killed(done: int, total: int) -> None:
        raise _KilledError

    with pytest.raises(_KilledError):
        made(backend_for(first), small(), RenderTools({}, cache=tmp_path, on_step=killed))
    _, frames = made(backend_for(second), small(), RenderTools({}, cache=tmp_path))
    assert abs(greys(frames)[0] - grey_of(7, 0)) <= 2
    assert second.count("POST") == 2


def test_what_belongs_to_a_whole_take_is_cleared_away(serve: Any, tmp_path: Path) -> None:
    server = serve("sglang")
    backend, store = backend_for(server), TakeStore(tmp_path)
    shots = [make_shot(f"sc010/sh00{n}0", backends=("openai_video",), seeds=(n,)) for n in (1, 2)]
    film = make_film(shots)
    plan = plan_shots(film, {"openai_video": backend}, store.entries, {}, PlanSettings())
    kept = []
    for job in plan.jobs:
        tools = tools_for(job, assets_for(film), store, RenderTools({}))
        take = render_take(job, backend, store, replace(tools, cache=tmp_path))
        assert take.num_frames == job.request.num_frames
        kept.append({path.stem for path in (tmp_path / "openai_video").glob("??/*")})
    assert kept == [{plan.jobs[0].key}, {plan.jobs[1].key}]
    assert server.count("POST") == 2


def test_without_a_store_nothing_is_left(serve: Any) -> None:
    server = serve("sglang")
    rendered, frames = made(backend_for(server), small(), RenderTools({}))
    assert len(frames) == 17
    assert rendered.warnings == []


# Keys


def test_the_key_is_sent_and_appears_nowhere(
    serve: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    canary = "canary-4f1d9a77c0"
    caplog.set_level(logging.DEBUG)
    echo = {"detail": f"bad header Bearer {canary}, see https://cdn.example/f.mp4?sig=abc123"}
    server = serve(
        "sglang",
        key=canary,
        faults=[Fault("POST", "create", 400, {}, echo), Fault("GET", "look", kind="drop")],
    )
    backend = backend_for(server, key_env="VIDEO_KEY")
    said: list[str] = [repr(backend), backend.revision, backend.unready]
    with pytest.raises(RefusalError) as refused:
        made(backend, small(), RenderTools({}, cache=tmp_path))
    said.append("".join(traceback.format_exception(refused.value)))
    assert "https://cdn.example/f.mp4" in str(refused.value)
    store = TakeStore(tmp_path)
    film = make_film([make_shot("sc010/sh0010", backends=("openai_video",))])
    (job,) = plan_shots(film, {"openai_video": backend}, store.entries, {}).jobs
    take = render_take(job, backend, store, RenderTools({}, cache=tmp_path))
    said += [json.dumps(dict(take.manifest)), caplog.text]
    said += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert all(one.headers["authorization"] == f"Bearer {canary}" for one in server.seen)
    assert not [text for text in said if canary in text or "abc123" in text]
    wrong = backend_for(server, key_env="VIDEO_KEY")
    wrong._environ = {"VIDEO_KEY": "another-canary-88"}
    with pytest.raises(RefusalError, match="does not let us in") as error:
        made(wrong, small(seed=99), RenderTools({}, cache=tmp_path))
    assert "another-canary-88" not in "".join(traceback.format_exception(error.value))


def test_the_machines_proxies_are_not_told(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve("sglang")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    server = serve("sglang")
    made(backend_for(server), small(), RenderTools({}, cache=tmp_path))
    assert not proxy.seen


# What is asked of it, and what it says it is


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "names no server"),
        ({"url": "ftp://here"}, "http:// or https://"),
        ({"url": "http://me:secret@here"}, "does not belong into url"),
        ({"url": "http://here/v1", "dialect": "sglang"}, "without /v1"),
        ({"url": "http://here:port", "dialect": "sglang"}, "no address"),
        ({"url": "http://here"}, "vllm_omni or sglang"),
        ({"url": "http://here", "dialect": "sora"}, "got 'sora'"),
        ({"url": "http://here", "dialect": "sglang", "variant": "wan"}, "no variant 'wan'"),
        ({"url": "http://here", "dialect": "sglang", "model": "sora-2"}, "retired on 2026-09-24"),
        ({"url": "http://here", "dialect": "sglang", "key_env": "NO_KEY"}, "holds no key"),
        ({"url": "http://here", "dialect": "sglang", "key_env": "BAD_KEY"}, "no key has"),
        ({"url": "http://here", "dialect": "sglang", "model": "MiniMaxAI/MiniMax-H3"}, "USA"),
    ],
)
def test_says_what_is_missing_before_it_is_asked(said: dict[str, str], words: str) -> None:
    models = {"openai_video": ModelSettings(**said)} if said else {}
    backend = OpenAIVideo(LocalSettings(models=models), {"BAD_KEY": "a\nsecret b"})
    assert words in backend.unready
    assert "secret" not in backend.unready
    for act in (backend.snap, lambda request: backend.render(request, RenderTools({}))):
        with pytest.raises(RefusalError, match=r".") as error:
            act(small())
        assert words in str(error.value)


def settled(variant: str, dialect: str = "sglang", **more: Any) -> OpenAIVideo:
    return backend_for(StandIn(dialect, url="http://127.0.0.1:1"), variant, **more)


def test_is_a_backend_whose_revision_follows_what_is_served() -> None:
    backend = settled("wan_t2v")
    assert isinstance(backend, Backend)
    assert not backend.unready
    assert backend.capabilities.remote
    revisions = {
        settled("wan_t2v").revision,
        settled("wan_t2v", "vllm_omni").revision,
        settled("ltx2").revision,
        settled("ltx2", model="Lightricks/LTX-2.5").revision,
        settled("ltx2", model="Lightricks/LTX-2.5", revision="b").revision,
    }
    assert len(revisions) == 5


@pytest.mark.parametrize(
    ("variant", "backend_class"),
    [
        ("minimax_h3", MiniMaxH3),
        ("ltx2", LTX2),
        ("wan_vace", WanBackend),
        ("hunyuanvideo_i2v", HunyuanVideo),
    ],
)
def test_weights_have_the_same_licence_behind_a_server(variant: str, backend_class: Any) -> None:
    here = backend_class(LocalSettings()).capabilities.licence
    assert settled(variant).capabilities.licence == here


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("MiniMaxAI/MiniMax-H3", "minimax_h3"),
        ("/models/minimax-h3/ref2va", "minimax_h3_ref2va"),
        ("Wan-AI/Wan2.2-I2V-A14B-Diffusers", "wan_i2v"),
        ("Wan-AI/Wan2.2-TI2V-5B-Diffusers", "wan_ti2v"),
        ("Wan-AI/Wan2.1-VACE-14B-diffusers", "wan_vace"),
        ("Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "wan_t2v"),
        ("Lightricks/LTX-2.5", "ltx2"),
        ("hunyuanvideo-community/HunyuanVideo-1.5-480p_i2v", "hunyuanvideo_i2v"),
        ("somebody/else", "unknown"),
    ],
)
def test_tells_the_kind_of_model_from_its_name(model: str, told: str) -> None:
    from generator.backends.video_api.served_models import model_named

    row = model_named("", model)
    assert row is not None
    assert row.id == told


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "variant",
    ["minimax_h3", "minimax_h3_fl2va", "wan_vace", "wan_ti2v", "wan_t2v", "ltx2", "hunyuanvideo"],
)
def test_snap_is_pure_settles_and_names_what_it_drops(variant: str, dialect: str) -> None:
    backend = settled(variant, dialect)
    able = backend.capabilities
    request = small(
        96,
        size=(193, 109),
        fps=Fraction(30000, 1001),
        negative="blur",
        references=(
            Reference("image", "character", "a" * 64, "ada"),
            Reference("audio", "voice", "b" * 64, "ada"),
            Reference("video", "motion", "c" * 64, strength=0.5),
            Reference("image", "layer", "e" * 64),
        ),
        key_pictures=(KeyPicture(40, "d" * 64),),
        motion=(MotionArea((0, 0, 1, 1), "", ()),),
        loras=(LoraWeight("b" * 64, 1.0, "ada"),),
        edit=EditOf("t" * 64, "relight", "make it dawn"),
        audio="native",
        options=(("no_such_option", 1), ("motion_from.start_s", "1"), ("steps", 8)),
    )
    once = backend.snap(request)
    assert backend.snap(request) == once
    again = backend.snap(once.request)
    assert again.request == once.request
    assert not again.adjustments
    assert not again.losses
    assert [edge % able.size_multiple for edge in once.request.size] == [0, 0]
    assert once.request.fps in able.fps
    assert able.frame_rule.snap(once.request.num_frames) == once.request.num_frames
    assert once.adjustments
    named = {loss.field for loss in once.losses}
    assert {"options.no_such_option", "edit", "motion", "cast.ada.lora", "frames.mid"} <= named
    assert "location.layers" in named
    assert ("cast.ada.refs" in named) == (not able.max_references["image"])
    assert ("cast.ada.voice.ref" in named) == (not able.max_references["audio"])
    assert ("motion_from" in named) == (not able.max_references["video"])
    assert ("motion_from.strength" in named) == bool(able.max_references["video"])
    assert ("audio" in named) == (not able.native_audio)
    assert ("negative" in named) == (variant.startswith("minimax"))
    assert not once.request.loras
    assert once.request.edit is None
    quote = backend.quote(once.request)
    assert quote.gpu_seconds > 0
    assert quote.usd == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"num_frames": 0},
        {"num_frames": 10**7},
        {"size": (4, 4)},
        {"key_pictures": (KeyPicture(99, "c" * 64),)},
        {"options": (("steps", "many"),)},
        {"continue_from": ContinueFrom("t" * 64, "extend", 8)},
    ],
)
def test_refuses_in_snap_what_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(RefusalError):
        settled("wan_t2v").snap(replace(small(), **changes))


def test_a_model_that_needs_a_picture_refuses_words_alone() -> None:
    with pytest.raises(RefusalError, match="first picture"):
        settled("wan_i2v").snap(small())
    with pytest.raises(RefusalError, match="references"):
        settled("minimax_h3_ref2va").snap(small())


def test_a_model_of_unknown_kind_says_how_to_tell_it() -> None:
    backend = settled("", model="somebody/else")
    keyed = replace(small(), key_pictures=(KeyPicture(0, "a" * 64),))
    (loss,) = backend.snap(keyed).losses
    assert loss.field == "frames.first"
    assert "variant in models.toml" in loss.reason


def test_pictures_shut_references_out_and_it_is_said() -> None:
    backend = settled("minimax_h3")
    request = small(
        107,
        fps=Fraction(24),
        key_pictures=(KeyPicture(0, "a" * 64, 0.5), KeyPicture(106, "b" * 64)),
        references=(Reference("image", "character", "c" * 64, "ada"),),
    )
    snapped = backend.snap(request)
    assert [key.frame for key in snapped.request.key_pictures] == [0, 106]
    assert not snapped.request.references
    assert {loss.field for loss in snapped.losses} == {"cast.ada.refs", "frames.first.strength"}


def test_a_last_picture_that_comes_after_the_cut_is_said() -> None:
    backend = settled("minimax_h3")
    request = small(100, fps=Fraction(24), key_pictures=(KeyPicture(99, "b" * 64),))
    snapped = backend.snap(request)
    assert [key.frame for key in snapped.request.key_pictures] == [106]
    (loss,) = snapped.losses
    assert (loss.field, "7 frames after" in loss.reason) == ("frames.last", True)


def test_references_of_a_long_take_are_held_at_first_only() -> None:
    request = small(
        700, fps=Fraction(24), references=(Reference("image", "character", "c" * 64, "ada"),)
    )
    (loss,) = settled("minimax_h3").snap(request).losses
    assert loss.field == "cast.ada.refs"
    assert "14.4 s only" in loss.reason


def test_a_draft_is_small() -> None:
    backend = settled("ltx2")
    size = {
        profile: backend.snap(small(size=(1920, 1080), profile=profile)).request.size
        for profile in ("draft", "standard")
    }
    assert size["draft"][0] * size["draft"][1] <= 832 * 480
    assert size["standard"] == (1920, 1088)


def test_a_plan_asks_nobody(serve: Any, tmp_path: Path) -> None:
    server = serve("sglang")
    backend = backend_for(server)
    film = make_film([make_shot("sc010/sh0010", backends=("openai_video",))])
    plan = plan_shots(film, {"openai_video": backend}, TakeStore(tmp_path).entries, {})
    assert plan.jobs[0].key == request_key(plan.jobs[0].request, backend.id, backend.revision)
    assert not server.seen


def test_rows_that_cannot_be_read_are_no_rows(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    path = tmp_path / "openai_video" / "aa" / f"{'a' * 64}.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    assert ledger.read("a" * 64) is None
    ledger.sweep()
    assert not path.exists()


def test_the_stand_in_makes_the_film_that_tests_expect(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film_bytes((64, 48), Fraction(24), 9, 3, True))
    assert (probe(path).num_frames, probe(path).fps, probe(path).audio_channels) == (9, 24, 2)
    assert abs(float(last_frame(path).mean()) - grey_of(3, 8)) <= 2
