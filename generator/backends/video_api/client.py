"""One `/v1/videos` server over HTTP: jobs asked for, looked at, fetched and removed.

Every request is bounded in time and in bytes, goes to the configured address only, and is
repeated only where that cannot make anything twice. The key is sent in one header and is in no
message: third-party errors, which may hold it, are not passed on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from generator.backends.video_api.wire import Body, Job, Patience
from generator.backends.video_api.words import spoken_words
from media.errors import CancelledError, RefusalError, RenderError, translate_os_errors
from media.files import temp_sibling

__all__ = ["VideoServer"]

_MOST_ANSWER_BYTES = 8 * 2**20
_MOST_FILM_BYTES = 8 * 2**30
_MOST_REDIRECTS = 3
_MOST_REMOVALS = 3
_REDIRECTS = (301, 302, 303, 307, 308)

_LOOK_UP_S = 0.1
"""How often a pause asks whether to stop."""

_GONE = (404, 410)

_BUSY = (429, 503)
"""The request was turned away, so that it may be sent again."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx.Headers
    data: bytes


class _UnclearError(Exception):
    """The request was sent and no answer came: nobody knows whether it was acted on."""


class VideoServer:
    """A server at `url`. Close it by leaving its `with` block."""

    def __init__(
        self, url: str, key: str, patience: Patience, should_stop: Callable[[], bool]
    ) -> None:
        self.patience, self._key, self._should_stop = patience, key, should_stop
        self._base = httpx.URL(url.rstrip("/"))
        headers = {"Accept-Encoding": "identity", "User-Agent": "takeboard"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        # No proxies and no .netrc of the machine: the key goes to this address and nowhere else.
        self._http = httpx.Client(
            headers=headers,
            trust_env=False,
            follow_redirects=False,
        )

    def __enter__(self) -> VideoServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return _origin(self._base)

    def create(self, body: Body) -> Job | None:
        """The new job, or None when the server's answer was lost on the way.

        RefusalError with the server's words when it will not make this.
        """
        try:
            answer = self._ask("POST", "/v1/videos", body)
        except _UnclearError:
            return None
        if answer.status in (502, 504):
            # Said by what stands before the server, which may have passed the request on.
            return None
        return self._job(answer)

    def look(self, job_id: str) -> Job | None:
        """The job as it stands, or None when the server does not know it (any more)."""
        answer = self._ask("GET", f"/v1/videos/{quote(job_id, safe='')}")
        gone = answer.status in _GONE and not _is_job(answer)
        return None if gone else self._job(answer)

    def listed(self) -> tuple[Job, ...]:
        """The newest jobs of the server, at most a hundred."""
        answer = self._ask("GET", "/v1/videos?limit=100&order=desc")
        self._require_good(answer)
        try:
            return _Jobs.model_validate_json(answer.data).data
        except ValidationError:
            return ()

    def fetch(self, job_id: str, path: Path) -> bool:
        """Put the job's film at `path`, as long as announced; False when it is no longer there.

        RenderError when it does not arrive.
        """
        target = f"/v1/videos/{quote(job_id, safe='')}/content"
        why = ""
        wait_s = 0.0
        for attempt in range(self.patience.tries):
            self.pause(max(wait_s, self._backoff(attempt)))
            wait_s = 0.0
            part = temp_sibling(path)
            try:
                answer = self._download(target, part)
                if answer.status == 200:
                    with translate_os_errors("keep a film", path):
                        part.replace(path)
                    return True
            except httpx.HTTPError as error:
                why = type(error).__name__
                continue
            finally:
                part.unlink(missing_ok=True)
            if answer.status == 404 and "progress" not in self._words(answer).lower():
                return False
            if answer.status not in (404, 429) and answer.status < 500:
                self._require_good(answer)
            why = f"{answer.status} {self._words(answer)}".strip()
            wait_s = self._asked_pause(answer)
        raise RenderError(
            f"the film of job {job_id} does not arrive: {why}",
            where=self.origin,
            todo="run again: the job is kept",
        )

    def remove(self, job_id: str) -> bool:
        """Ask the server to stop and forget the job; whether it has."""
        target = f"/v1/videos/{quote(job_id, safe='')}"
        for attempt in range(_MOST_REMOVALS):
            if attempt:
                time.sleep(min(1.0, self.patience.backoff_s * 2**attempt))
            try:
                answer = self._once("DELETE", target, Body(), self.patience.remove_s)
            except (httpx.HTTPError, RenderError):
                continue
            if answer.status in _GONE or answer.status < 300:
                return True
        return False

    def _ask(self, method: str, target: str, body: Body | None = None) -> _Answer:
        """The answer, after repeats where a repeat does no harm."""
        why = ""
        wait_s = 0.0
        for attempt in range(self.patience.tries):
            self.pause(max(wait_s, self._backoff(attempt)))
            wait_s = 0.0
            try:
                answer = self._once(method, target, body or Body())
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                why = f"it cannot be reached ({type(error).__name__})"
            except httpx.HTTPError as error:
                if method == "POST":
                    raise _UnclearError from None
                why = f"its answer broke off ({type(error).__name__})"
            else:
                if not self._asks_for_patience(method, answer):
                    return answer
                why = f"it answers {answer.status} {self._words(answer)}".strip()
                wait_s = self._asked_pause(answer)
        raise RenderError(
            f"the video server does not do its work: {why}",
            where=self.origin,
            todo="check that it runs and has room, then run again: jobs in work are kept",
        )

    def _asks_for_patience(self, method: str, answer: _Answer) -> bool:
        if answer.status in _BUSY:
            return not _is_job(answer)
        if method == "POST":
            return answer.status == 500
        # A failed job may be told with the status of its failure (vLLM-Omni): that is an answer.
        return answer.status >= 500 and not _is_job(answer)

    def _once(self, method: str, target: str, body: Body, within_s: float | None = None) -> _Answer:
        deadline = time.monotonic() + (within_s or self.patience.answer_s)
        with self._stream(method, target, body, within_s) as response:
            return _Answer(response.status_code, response.headers, _limited(response, deadline))

    def _download(self, target: str, part: Path) -> _Answer:
        """Write the film to `part`. httpx raises when fewer bytes come than were announced."""
        deadline = time.monotonic() + self.patience.film_s
        with self._stream("GET", target, Body()) as response:
            if response.status_code != 200:
                data = _limited(response, time.monotonic() + self.patience.answer_s)
                return _Answer(response.status_code, response.headers, data)
            with translate_os_errors("keep a film", part):
                part.parent.mkdir(parents=True, exist_ok=True)
                with part.open("xb") as file:
                    num_bytes = 0
                    for piece in response.iter_bytes(1 << 20):
                        num_bytes += len(piece)
                        self._require_bounded(num_bytes, deadline)
                        file.write(piece)
            return _Answer(200, response.headers, b"")

    def _require_bounded(self, num_bytes: int, deadline: float) -> None:
        if self._should_stop():
            raise CancelledError("cancelled while fetching a film", where=self.origin)
        if num_bytes > _MOST_FILM_BYTES:
            raise RenderError(
                f"expected a film of at most {_MOST_FILM_BYTES >> 30} GiB, found more",
                where=self.origin,
            )
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("slow")

    @contextmanager
    def _stream(
        self, method: str, target: str, body: Body, within_s: float | None = None
    ) -> Iterator[httpx.Response]:
        """The open answer; redirects are followed within the server alone, and not by a POST."""
        address = httpx.URL(f"{self._base}{target}")
        for _ in range(_MOST_REDIRECTS + 1):
            request = self._http.build_request(
                method,
                address,
                files=list(body.form) or None,
                json=dict(body.json) if body.json is not None else None,
                timeout=self._timeout(method, within_s),
            )
            response = self._http.send(request, stream=True)
            try:
                if response.status_code not in _REDIRECTS:
                    yield response
                    return
                address = self._next(method, address, response)
            finally:
                response.close()
        raise RenderError("the video server redirects without end", where=self.origin)

    def _timeout(self, method: str, within_s: float | None) -> httpx.Timeout:
        # A job is answered when its references are read: given up too early it is made twice.
        slow = self.patience.answer_s if method == "POST" else self.patience.read_s
        return httpx.Timeout(within_s or slow, connect=self.patience.connect_s)

    def _next(self, method: str, address: httpx.URL, response: httpx.Response) -> httpx.URL:
        try:
            there = address.join(response.headers.get("location", ""))
        except httpx.InvalidURL:
            there = httpx.URL("about:blank")
        if method != "GET" or _origin(there) != self.origin:
            raise RefusalError(
                f"the video server redirects to {self.words_of(_origin(there)) or 'nowhere'}, "
                "which is not followed",
                where=self.origin,
                todo="give the address where it really is as url in models.toml",
            )
        return there

    def _job(self, answer: _Answer) -> Job:
        if not _is_job(answer):
            self._require_good(answer)
        try:
            return Job.model_validate_json(answer.data)
        except ValidationError:
            raise RenderError(
                "expected a job, got an answer of another form",
                where=self.origin,
                todo="check url and dialect of openai_video in models.toml",
            ) from None

    def _require_good(self, answer: _Answer) -> None:
        if answer.status < 300:
            return
        words = self._words(answer)
        if answer.status in (401, 403):
            raise RefusalError(
                f"the video server does not let us in ({answer.status}): {words}",
                where=self.origin,
                todo="set key_env in models.toml to the variable that holds the server's key",
            )
        if answer.status == 404:
            raise RefusalError(
                f"the server has no /v1/videos (404): {words}",
                where=self.origin,
                todo="check url in models.toml, without /v1",
            )
        raise RefusalError(
            f"the video server refuses ({answer.status}): {words}", where=self.origin
        )

    def words_of(self, said: object) -> str:
        """What a server said, fit for a message."""
        return spoken_words(said, self._key)

    def _words(self, answer: _Answer) -> str:
        return spoken_words(answer.data, self._key)

    def _backoff(self, attempt: int) -> float:
        """Seconds before a try, counted from 0."""
        if attempt == 0:
            return 0.0
        return min(self.patience.longest_backoff_s, self.patience.backoff_s * 2.0 ** (attempt - 1))

    def _asked_pause(self, answer: _Answer) -> float:
        """Seconds that the server asks to wait, from Retry-After, within reason."""
        asked = answer.headers.get("retry-after", "").strip()
        if not asked:
            return 0.0
        try:
            seconds = float(asked)
        except ValueError:
            try:
                seconds = parsedate_to_datetime(asked).timestamp() - time.time()
            except (ValueError, TypeError):
                return 0.0
        if math.isnan(seconds):
            return 0.0
        return min(max(0.0, seconds), self.patience.longest_backoff_s)

    def pause(self, seconds: float) -> None:
        """Wait; CancelledError as soon as it is asked for."""
        until = time.monotonic() + seconds
        while True:
            if self._should_stop():
                raise CancelledError("cancelled while waiting for a video server")
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(_LOOK_UP_S, left))


class _Jobs(BaseModel):
    data: tuple[Job, ...] = ()


def _is_job(answer: _Answer) -> bool:
    """Whether the body is a job, whatever the status says."""
    try:
        job = Job.model_validate_json(answer.data)
    except ValidationError:
        return False
    return bool(job.status)


def _limited(response: httpx.Response, deadline: float) -> bytes:
    data = bytearray()
    for piece in response.iter_bytes():
        data += piece
        if len(data) > _MOST_ANSWER_BYTES:
            raise httpx.RemoteProtocolError("long")
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("slow")
    return bytes(data)


def _origin(url: httpx.URL) -> str:
    port = url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
    return f"{url.scheme}://{url.host}:{port}" if url.host else ""
