"""Stand-in `/v1/videos` servers on real sockets, one a dialect, that make small real films.

They accept and refuse what vLLM-Omni 0.30.0 and SGLang 0.5.23 do: forms with a limit on fields of
text, JSON with H3's task, conditions and target, jobs in memory, failures told with the status of
the failure, cancelling that aborts or does not. `faults` are played in order, each once.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import numpy as np

from media.video import MEZZANINE, write_video

__all__ = ["Asked", "Fault", "Seen", "StandIn", "decoded", "film_bytes", "grey_of", "running"]

MOST_FIELD_BYTES = 1024 * 1024

H3_SHAPES = {"21:9": 16 / 7, "16:9": 1.75, "4:3": 4 / 3, "1:1": 1.0, "3:4": 3 / 4, "9:16": 4 / 7}
"""Aspects of H3's canvases: 1536x672, 1344x768, 1024x768, 768x768 and upright."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong once, on the first request that it fits."""

    method: str
    route: str
    """`create`, `look`, `content`, `list` or `remove`."""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = ""
    kind: str = "answer"
    """`answer`, `drop` (act, then hang up), `deaf` (hang up without acting), `short` (fewer bytes
    than announced), `cut` (no length, and only a part), `garbled` (as long as announced, and
    nothing that decodes), `forget` (the job is lost)."""


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    at: float
    """Seconds, on a clock that only runs forward."""


@dataclass
class Asked:
    """A job: what it was asked for with, and how far it is."""

    id: str
    fields: dict[str, Any]
    files: list[tuple[str, str, str, bytes]]
    """Field, file name, media type, bytes."""
    created_at: float
    polls: int = 0
    error: dict[str, Any] | None = None
    removed: bool = False

    def materials(self, name: str) -> list[bytes]:
        """The decoded files of a list of references or of the uploads of that field."""
        uploads = [data for field_name, _, _, data in self.files if field_name == name]
        if uploads:
            return uploads
        listed = json.loads(self.fields[name])
        return [decoded(next(iter(one.values()))) for one in listed]


def decoded(uri: str) -> bytes:
    """The bytes of a data URL."""
    head, _, data = uri.partition(";base64,")
    assert head.startswith("data:")
    return base64.b64decode(data, validate=True)


@dataclass
class StandIn:
    """One server and what it saw."""

    dialect: str
    h3: bool = False
    sound: bool = False
    key: str = ""
    faults: list[Fault] = field(default_factory=list)
    polls_to_finish: int = 2
    fails_with: dict[str, Any] | None = None
    """Every job ends with this error."""
    slow_create_s: float = 0.0
    """How long it reads a job before it answers."""
    frames_fewer: int = 0
    makes_fps: Fraction | None = None
    makes_size: tuple[int, int] | None = None
    jobs: dict[str, Asked] = field(default_factory=dict)
    gone: list[Asked] = field(default_factory=list)
    """Jobs that were removed; SGLang goes on working at them."""
    seen: list[Seen] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, method: str, part: str = "") -> int:
        """How many requests of a method whose path holds `part` arrived."""
        return sum(one.method == method and part in one.path for one in self.seen)

    @property
    def asked(self) -> list[Asked]:
        """Every job that was taken on, in order."""
        return sorted([*self.jobs.values(), *self.gone], key=lambda job: int(job.id[-4:]))

    def fault(self, method: str, route: str) -> Fault | None:
        """The fault that is due, taken from the list."""
        with self.lock:
            for one in self.faults:
                if (one.method, one.route) == (method, route):
                    self.faults.remove(one)
                    return one
        return None

    def take_on(self, fields: dict[str, Any], files: list[tuple[str, str, str, bytes]]) -> Asked:
        with self.lock:
            number = len(self.jobs) + len(self.gone) + 1
            job = Asked(f"video_gen_{number:04d}", fields, files, time.time())
            self.jobs[job.id] = job
        return job

    def told(self, job: Asked) -> dict[str, Any]:
        """The job as the engine tells of it."""
        done = job.polls >= self.polls_to_finish
        status = "completed" if done else "in_progress" if job.polls else "queued"
        if done and self.fails_with:
            status, job.error = "failed", self.fails_with
        told: dict[str, Any] = {
            "id": job.id,
            "object": "video",
            "model": job.fields.get("model") or "served/model",
            "status": status,
            "progress": 100 if done else 20 * job.polls,
            "created_at": int(job.created_at),
            "error": job.error,
            "peak_memory_mb": 1234.5,
            "inference_time_s": 2.5,
        }
        if self.dialect == "vllm_omni":
            told |= {"prompt": job.fields["prompt"], "file_name": f"{job.id}.mp4" if done else None}
        return told

    def film(self, job: Asked) -> bytes:
        """What the job makes."""
        fields = job.fields
        if self.h3 and self.dialect == "sglang":
            target = fields["target"]
            size = (round(96 * H3_SHAPES[target["aspect_ratio"]]) // 2 * 2, 96)
            fps, num_frames = Fraction(24), round(target["duration_seconds"] * 24)
        elif self.dialect == "sglang":
            width, height = map(int, fields["size"].split("x"))
            size, fps, num_frames = (width, height), Fraction(fields["fps"]), fields["num_frames"]
        else:
            size = (int(fields["width"]), int(fields["height"]))
            fps, num_frames = Fraction(fields["fps"]), int(fields["num_frames"])
        if self.h3 and self.dialect == "vllm_omni":
            size = (size[0] // 8, size[1] // 8)
        return film_bytes(
            self.makes_size or size,
            self.makes_fps or fps,
            num_frames - self.frames_fewer,
            int(fields["seed"]),
            self.sound,
        )


def grey_of(seed: int, frame: int) -> int:
    """The grey of a film's frame: neighbours are told apart by more than encoding changes."""
    return 30 + (seed % 50 + 5 * frame) % 190


def film_bytes(
    size: tuple[int, int], fps: Fraction, num_frames: int, seed: int, sound: bool
) -> bytes:
    """An mp4: frame n is all `grey_of(seed, n)`, with a tone under it when it sounds."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        silent, whole = Path(folder, "silent.mp4"), Path(folder, "whole.mp4")
        write_video(
            silent,
            (
                np.full((1, size[1], size[0], 3), grey_of(seed, n), np.uint8)
                for n in range(num_frames)
            ),
            size=size,
            fps=fps,
            encoding=MEZZANINE,
        )
        if not sound:
            return silent.read_bytes()
        seconds = float(num_frames / fps)
        _add_tone(silent, whole, seconds)
        return whole.read_bytes()


def _add_tone(silent: Path, whole: Path, seconds: float) -> None:
    rate = 32_000
    times = np.arange(int(seconds * rate)) / rate
    tone = (0.4 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    with av.open(str(silent)) as source, av.open(str(whole), "w", format="mp4") as target:
        picture = target.add_stream_from_template(source.streams.video[0])
        voice = target.add_stream("aac", rate=rate, layout="stereo")
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = picture
                target.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", "stereo")
        frame.sample_rate, frame.pts = rate, 0
        target.mux(voice.encode(frame))
        target.mux(voice.encode(None))


@contextmanager
def running(stand_in: StandIn) -> Iterator[StandIn]:
    """The server on a free port of loopback, until the block is left."""

    class Handler(_Handler):
        server_is = stand_in

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    stand_in.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


class _Refused(Exception):
    def __init__(self, status: int, detail: Any) -> None:
        self.status, self.detail = status, detail


class _Handler(BaseHTTPRequestHandler):
    server_is: StandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("content-length", 0)))
        self._handle("create", lambda: self._create(data))

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/v1/videos":
            self._handle("list", self._list)
        elif path.endswith("/content"):
            self._handle("content", lambda: self._content(path.split("/")[3]))
        else:
            self._handle("look", lambda: self._look(path.split("/")[3]))

    def do_DELETE(self) -> None:
        self._handle("remove", lambda: self._remove(self.path.split("/")[3]))

    def _handle(self, route: str, act: Any) -> None:
        it = self.server_is
        headers = {name.lower(): value for name, value in self.headers.items()}
        it.seen.append(Seen(self.command, self.path, headers, time.monotonic()))
        fault = it.fault(self.command, route)
        try:
            if it.key and headers.get("authorization") != f"Bearer {it.key}":
                raise _Refused(401, "Unauthorized")
            if fault and fault.kind == "forget":
                it.gone += it.jobs.values()
                it.jobs.clear()
            if fault and fault.kind == "answer":
                body = fault.body if isinstance(fault.body, str) else json.dumps(fault.body)
                self._answer(fault.status, body.encode(), fault.headers)
                return
            deaf = fault is not None and fault.kind == "deaf"
            status, body, media_type = (0, b"", "") if deaf else act()
            if fault and fault.kind in ("drop", "deaf"):
                self.close_connection = True
                self.connection.close()
                return
            self._answer(status, body, {"Content-Type": media_type}, fault)
        except _Refused as refused:
            self._answer(refused.status, json.dumps({"detail": refused.detail}).encode(), {})

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str], fault: Fault | None = None
    ) -> None:
        kind = fault.kind if fault else ""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if kind == "cut":
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if kind == "garbled":
            body = _garbled(body)
        if kind in ("cut", "short"):
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)

    def _create(self, data: bytes) -> tuple[int, bytes, str]:
        it = self.server_is
        form = self.headers.get("content-type", "").startswith("multipart/form-data")
        if it.dialect == "vllm_omni":
            if not form:
                raise _Refused(422, [{"loc": ["body", "prompt"], "msg": "Field required"}])
            fields, files = _parsed_form(self.headers["content-type"], data)
            _require_form(fields, files, it.h3)
        else:
            if form:
                raise _Refused(400, "the stand-in reads JSON alone")
            fields, files = json.loads(data), []
            _require_json(fields, it.h3)
        job = it.take_on(fields, files)
        time.sleep(it.slow_create_s)
        return 200, json.dumps(it.told(job)).encode(), "application/json"

    def _job(self, id: str) -> Asked:
        job = self.server_is.jobs.get(id)
        if job is None:
            raise _Refused(404, "Video not found")
        return job

    def _look(self, id: str) -> tuple[int, bytes, str]:
        it, job = self.server_is, self._job(id)
        told = it.told(job)
        job.polls += 1
        status = 200
        if told["status"] == "failed" and it.dialect == "vllm_omni":
            status = told["error"]["code"]
        return status, json.dumps(told).encode(), "application/json"

    def _list(self) -> tuple[int, bytes, str]:
        it = self.server_is
        told = [it.told(job) for job in reversed(it.jobs.values())]
        return 200, json.dumps({"object": "list", "data": told}).encode(), "application/json"

    def _content(self, id: str) -> tuple[int, bytes, str]:
        it, job = self.server_is, self._job(id)
        if job.polls < it.polls_to_finish:
            raise _Refused(404, "Generation is still in-progress")
        return 200, it.film(job), "video/mp4"

    def _remove(self, id: str) -> tuple[int, bytes, str]:
        it, job = self.server_is, self._job(id)
        it.gone.append(it.jobs.pop(id))
        job.removed = True
        told = (
            {"id": id, "deleted": True, "object": "video.deleted"}
            if it.dialect == "vllm_omni"
            else it.told(job) | {"status": "deleted"}
        )
        return 200, json.dumps(told).encode(), "application/json"


def _garbled(film: bytes) -> bytes:
    """The film with its index as it was and its pictures wiped."""
    start = film.index(b"mdat") + 4
    size = int.from_bytes(film[start - 8 : start - 4], "big") - 8
    return film[:start] + b"\0" * size + film[start + size :]


def _parsed_form(
    content_type: str, data: bytes
) -> tuple[dict[str, Any], list[tuple[str, str, str, bytes]]]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + data)
    fields: dict[str, Any] = {}
    files: list[tuple[str, str, str, bytes]] = []
    for part in message.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        if part.get_filename():
            files.append((name, str(part.get_filename()), part.get_content_type(), payload))
            continue
        if len(payload) > MOST_FIELD_BYTES:
            raise _Refused(400, "Part exceeded maximum size of 1024KB.")
        fields[name] = payload.decode()
    return fields, files


def _require_form(
    fields: dict[str, Any], files: list[tuple[str, str, str, bytes]], h3: bool
) -> None:
    for name in ("prompt", "width", "height", "num_frames", "fps", "seed"):
        if name not in fields:
            raise _Refused(422, [{"loc": ["body", name], "msg": "Field required"}])
    listed = {name for name in fields if name.endswith("_reference")}
    if files and listed:
        raise _Refused(400, "Provide input_references alone")
    if not h3:
        return
    extra = json.loads(fields["extra_params"])
    if extra["task"] == "t2va" and fields.get("aspect_ratio") not in H3_SHAPES:
        raise _Refused(400, "t2va requires an explicit aspect_ratio")
    if "negative_prompt" in fields or "guidance_scale" in fields:
        raise _Refused(400, "H3 has neither guidance nor a negative prompt")


def _require_json(fields: dict[str, Any], h3: bool) -> None:
    if not fields.get("prompt"):
        raise _Refused(400, "Invalid request body: prompt")
    if not h3:
        return
    if fields.get("task") not in ("t2va", "fl2va", "ref2va"):
        raise _Refused(400, "task is required for MiniMax H3")
    for name in ("num_frames", "fps", "negative_prompt", "guidance_scale", "size"):
        if name in fields:
            raise _Refused(400, f"{name} is not supported")
    target = fields["target"]
    if target["aspect_ratio"] not in H3_SHAPES or not 4 <= target["duration_seconds"] <= 15:
        raise _Refused(400, f"target {target}")
    roles = [one["role"] for one in fields["conditions"]]
    indices = [one["frame_index"] for one in fields["conditions"] if one["role"] == "keyframe"]
    if fields["task"] == "fl2va" and indices not in ([0], [-1], [0, -1]):
        raise _Refused(400, f"conditions for task 'fl2va': frame_index {indices}")
    if fields["task"] == "t2va" and roles:
        raise _Refused(400, "conditions must be empty for task 't2va'")
    if fields["task"] == "ref2va" and set(roles) != {"reference"}:
        raise _Refused(400, "conditions must be references")
    for one in fields["conditions"]:
        unknown = set(one) - {"type", "uri", "role", "frame_index", "start_time_seconds"}
        if unknown:
            raise _Refused(400, f"unknown fields {unknown}")
