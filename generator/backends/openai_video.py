"""Models behind a `/v1/videos` server of one's own: vLLM-Omni or SGLang.

    [models.openai_video]
    url = "http://127.0.0.1:8000"       # without /v1
    dialect = "sglang"                  # or vllm_omni
    model = "MiniMaxAI/MiniMax-H3"      # what the server calls it
    variant = "minimax_h3"              # the kind of model, where its name does not tell
    revision = "2026-11"                # a word of one's own: changed, every take is made anew
    key_env = "VIDEO_SERVER_KEY"        # the variable that holds the server's key, if it has one

Such servers keep their jobs in memory: the job's number is written down before it is waited for,
so that a run that was killed goes on with it, and a job that the server has lost is asked again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, get_args
from urllib.parse import urlsplit

import numpy as np

from generator.backends.base import (
    Capabilities,
    Frames,
    Quote,
    Rendered,
    RenderRequest,
    RenderTools,
    Snapped,
)
from generator.backends.retired import retired_note
from generator.backends.video_api.served_models import (
    SERVED_MODELS,
    UNKNOWN_MODEL,
    Dialect,
    capabilities_of,
    model_named,
)
from generator.keys import request_key
from generator.local.settings import LocalSettings, ModelSettings, local_settings
from media.errors import CancelledError, MediaError, RefusalError, RenderError

if TYPE_CHECKING:
    from generator.backends.video_api.jobs import Received
    from generator.backends.video_api.ledger import Ledger
    from generator.backends.video_api.wire import Patience

__all__ = ["OpenAIVideo"]

_CODE_REVISION = "1"
_OVERLAP = 1
"""Frames that a call goes on from: both engines take the last one as a first picture."""


class OpenAIVideo:
    """One server with one model, as `models.toml` says."""

    id = "openai_video"

    def __init__(
        self,
        settings: LocalSettings | None = None,
        environ: Mapping[str, str] = os.environ,
        patience: Patience | None = None,
    ) -> None:
        self._local = local_settings(environ) if settings is None else settings
        self._environ, self._patience = environ, patience
        self._settings = self._local.model(self.id) or ModelSettings()
        self._dialect: Dialect = "vllm_omni" if self._settings.dialect == "vllm_omni" else "sglang"
        told = model_named(self._settings.variant, self._settings.model)
        self._model = told or UNKNOWN_MODEL
        self.capabilities: Capabilities = capabilities_of(self._model, self._dialect)

    @property
    def revision(self) -> str:
        """Engine, model and the owner's own word for its state; the address does not matter."""
        served = self._settings.model or self._model.id
        return f"{_CODE_REVISION}/{self._dialect}/{served}@{self._settings.revision}"

    @property
    def unready(self) -> str:
        """What is missing or wrong in the settings; whether the server runs is seen when asked."""
        said = self._settings
        if not said.url:
            return (
                "models.toml names no server: add [models.openai_video] with url and dialect "
                "(vllm_omni or sglang)"
            )
        if retired := retired_note(said.model):
            return f"{retired}, or give another model in models.toml"
        if wrong := _wrong_url(said.url):
            return f"openai_video in models.toml: {wrong}"
        if said.dialect not in get_args(Dialect):
            return (
                "openai_video in models.toml: expected dialect to be vllm_omni or sglang, "
                f"got {said.dialect!r}"
            )
        if model_named(said.variant, said.model) is None:
            known = ", ".join(model.id for model in SERVED_MODELS)
            return f"openai_video in models.toml: there is no variant {said.variant!r}; {known}"
        licence = self._model.licence
        if licence.needs_acknowledgement and licence.id not in self._local.acknowledged:
            return (
                f"the licence {licence.id} excludes {', '.join(licence.excluded_territories)}, "
                f'its films included: read it and add acknowledged = ["{licence.id}"] to '
                "models.toml where you may use it"
            )
        return self._wrong_key()

    def snap(self, request: RenderRequest) -> Snapped:
        """The request as the server's model makes it; nothing is asked of the server."""
        from generator.backends.video_api.snapping import snap_for

        if self.unready:
            raise RefusalError(self.unready)
        return snap_for(request, self._model, self._dialect, self.capabilities)

    def quote(self, request: RenderRequest) -> Quote:
        """Seconds of the server's GPU, in proportion to frames and pixels."""
        share = request.size[0] * request.size[1] / (1280 * 720)
        seconds = request.num_frames / request.fps
        gpu_seconds = float(seconds) * share * self.capabilities.gpu_seconds_per_second
        return Quote(gpu_seconds=round(gpu_seconds, 3))

    def prepare(self, requests: Sequence[RenderRequest], tools: RenderTools) -> None:
        """Jobs share nothing: the server keeps its model warm by itself."""

    def render(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        """Have it made and fetched; what is left to `frames` is decoding."""
        from generator.backends.video_api.ledger import Ledger
        from generator.segments import render_in_segments, segments_of

        if self.unready:
            raise RefusalError(self.unready)
        if tools.should_stop():
            raise CancelledError("cancelled before the server was asked")
        room = None if tools.cache else TemporaryDirectory(prefix="takeboard-")
        ledger = Ledger(tools.cache or Path(room.name if room else ""))
        ledger.sweep()
        take = request_key(request, self.id, self.revision)

        def render_one(part: RenderRequest, part_tools: RenderTools) -> Rendered:
            return self._render_one(part, part_tools, _Keeping(ledger, take, room))

        segments = segments_of(request, self.capabilities.frame_rule, _OVERLAP)
        return render_in_segments(request, tools, segments, render_one)

    def _render_one(
        self, request: RenderRequest, tools: RenderTools, keeping: _Keeping
    ) -> Rendered:
        continued = request.continue_from
        lead = 1 if continued is not None and continued.mode == "extend" else 0
        needed = lead + request.num_frames
        asked = self.capabilities.frame_rule.snap(needed)
        if asked < needed:
            raise RefusalError(
                f"expected at most {asked - lead} frames that go on from a take, "
                f"got {request.num_frames}",
                todo="shorten the shot",
            )
        received = self._received(request, tools, keeping, asked, needed)
        warnings = list(received.warnings)
        held_late = any(key.frame == request.num_frames - 1 > 0 for key in request.key_pictures)
        if held_late and asked > needed:
            warnings.append(f"the last picture stands {asked - needed} frames after the take's end")
        clip = _Clip(received.path, lead, request, keeping)
        sounding = clip.sounds(warnings)
        clip.note_size(warnings)
        return Rendered(
            frames=clip.frames(tools),
            num_frames=request.num_frames,
            fps=request.fps,
            size=request.size,
            seed=request.seed,
            revision=self.revision,
            audio=clip.sound if sounding else lambda: None,
            versions={
                "server": self._dialect,
                "model": received.row.model or self._settings.model or self._model.id,
            },
            licence=self._model.licence.id,
            warnings=warnings,
            timings={"server_s": received.row.server_s},
            peak_memory_mb=lambda: max(received.row.peak_memory_mb, clip.held_mb),
        )

    def _received(
        self,
        request: RenderRequest,
        tools: RenderTools,
        keeping: _Keeping,
        asked: int,
        least_frames: int,
    ) -> Received:
        # A plan talks to nobody: it must not wait for what talks.
        from generator.backends.video_api.client import VideoServer
        from generator.backends.video_api.dialects import Asking, body_for
        from generator.backends.video_api.jobs import FilmOrder, receive_film
        from generator.backends.video_api.materials import materials_of
        from generator.backends.video_api.wire import Body, Patience

        def asking() -> Asking:
            return Asking(
                prompt=request.prompt,
                negative=request.negative,
                seed=request.seed,
                size=request.size,
                fps=request.fps,
                num_frames=asked,
                sound=request.audio == "native",
                materials=materials_of(request, tools, self._model),
                options=tuple(pair for pair in request.options if "." not in pair[0]),
            )

        def body() -> Body:
            return body_for(asking(), self._dialect, self._model, self._settings.model)

        order = FilmOrder(
            key=request_key(request, self.id, self.revision),
            take=keeping.take,
            body=body,
            prompt=request.prompt,
            size=request.size,
            fps=request.fps,
            least_frames=least_frames,
            lists_prompts=self._dialect == "vllm_omni",
        )
        patience = self._patience or Patience()
        with VideoServer(self._settings.url, self._key, patience, tools.should_stop) as server:
            return receive_film(
                order,
                server,
                keeping.ledger,
                should_stop=tools.should_stop,
                on_progress=lambda percent: tools.on_step(percent, 100),
            )

    @property
    def _key(self) -> str:
        named = self._settings.key_env
        return self._environ.get(named, "").strip() if named else ""

    def _wrong_key(self) -> str:
        named = self._settings.key_env
        if not named:
            return ""
        if not self._key:
            return f"the variable {named} (key_env in models.toml) holds no key: set it"
        if not all("!" <= char <= "~" for char in self._key):
            return f"the key in {named} holds signs that no key has: set it again"
        return ""


def _wrong_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        there = parts.hostname
        _ = parts.port
    except ValueError:
        return "url is no address"
    if parts.scheme not in ("http", "https") or not there:
        return "expected url to begin with http:// or https:// and name a host"
    if parts.username or parts.password:
        return "a key does not belong into url: put it into a variable and name that in key_env"
    if parts.query or parts.fragment:
        return "expected url without ? and #"
    if parts.path.rstrip("/").endswith(("/v1", "/v1/videos")):
        return "expected url without /v1, which is added"
    return ""


@dataclass(frozen=True, slots=True)
class _Keeping:
    """Where what belongs to a take is kept meanwhile."""

    ledger: Ledger
    take: str
    room: TemporaryDirectory[str] | None
    """Goes away with the last who holds it."""


@dataclass(slots=True)
class _Clip:
    """A film that has come: the frames and the sound of it that the take is made of."""

    path: Path
    lead: int
    """Frames at its start that belong to the take before."""
    request: RenderRequest
    keeping: _Keeping
    held_mb: float = 0.0

    def frames(self, tools: RenderTools) -> Iterator[Frames]:
        """Exactly as many as asked for, `(frames, height, width, 3) uint8 RGB`."""
        from media.video import read_frames

        size, num_frames = self.request.size, self.request.num_frames
        try:
            for chunk in read_frames(self.path, start=self.lead, num_frames=num_frames, size=size):
                if tools.should_stop():
                    raise CancelledError("cancelled while decoding a film")
                self.held_mb = max(self.held_mb, chunk.nbytes / 2**20)
                yield chunk
        except MediaError as error:
            self.path.unlink(missing_ok=True)
            raise RenderError(
                f"the film that the server sent cannot be decoded: {error.what}",
                todo="run again to fetch it again",
            ) from error

    def sound(self) -> np.ndarray | None:
        """`(channels, samples) float32`, 48 kHz, exactly as long as the frames."""
        from media.sound import read_sound
        from media.timebase import samples_at

        start = samples_at(self.lead, self.request.fps)
        length = samples_at(self.lead + self.request.num_frames, self.request.fps) - start
        heard = read_sound(self.path)[:, start : start + length]
        whole: np.ndarray = np.pad(heard, ((0, 0), (0, length - heard.shape[1])))
        return whole

    def sounds(self, warnings: list[str]) -> bool:
        """Whether the film's sound is the take's; a model's own that is missing is told."""
        from media.probe import probe

        if self.request.audio != "native":
            return False
        if probe(self.path).audio_channels:
            return True
        warnings.append("the server's film has no sound")
        return False

    def note_size(self, warnings: list[str]) -> None:
        """Tell when the server rounded the size to its own multiples."""
        from media.probe import probe

        size = probe(self.path).size or (0, 0)
        if size != self.request.size:
            (have, high), (wide, tall) = size, self.request.size
            warnings.append(f"the server made {have}x{high}, scaled to {wide}x{tall}")
