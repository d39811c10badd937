"""What a farm's server serves beside Prefect's pages, to whom, and what it keeps to itself."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Awaitable
from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message

from flows.farm import served
from flows.farm.deliveries import Deliveries, beside
from flows.farm.links import SERVED, served_address, served_path
from flows.farm.own_names import asked_by_name, own_names

PASSWORD = "takeboard:gehëim"
FILM = bytes(range(256)) * 40
LISTED = ("TIN_master_en.mp4", "TIN_master_en.srt", "TIN_master_en.otio", "TIN_stems/speech.wav")


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A root with a film that was delivered, and files that are nobody else's business."""
    root = tmp_path / "films"
    delivered = root / "tin/deliveries/TIN"
    _deliver(delivered, LISTED)
    (delivered / "report.html").write_text("<h1>The Tin</h1>")
    (delivered / "notes.txt").write_text("private")
    (root / "tin/film.yaml").write_text("private")
    (root / "tin/report.html").write_text("private: of no delivery")
    _deliver(tmp_path / "elsewhere", LISTED)
    return root


def test_a_film_is_played_from_anywhere_in_it(films: Path) -> None:
    film = _tin(films) / "TIN_master_en.mp4"
    whole = _ask(_server(films), served_address(film))
    assert (whole.status_code, whole.content) == (200, FILM)
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["content-disposition"] == "inline"
    assert whole.headers["accept-ranges"] == "bytes"
    part = _ask(_server(films), served_address(film), Range="bytes=100-299")
    assert (part.status_code, part.content) == (206, FILM[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(FILM)}"
    assert part.headers["content-type"] == "video/mp4"
    beyond = _ask(_server(films), served_address(film), Range=f"bytes={len(FILM)}-")
    assert beyond.status_code == 416


def test_a_head_says_what_is_there_and_how_long_it_is(films: Path) -> None:
    head = _ask(_server(films), served_address(_tin(films) / LISTED[0]), "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(FILM))


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("report.html", "text/html; charset=utf-8", "inline"),
        ("TIN_master_en.srt", "text/plain; charset=utf-8", "inline"),
        ("TIN_stems/speech.wav", "audio/wav", "inline"),
        ("TIN_master_en.otio", "application/octet-stream", "attachment"),
    ],
)
def test_what_a_browser_cannot_show_it_saves(films: Path, name: str, kind: str, shown: str) -> None:
    answer = _ask(_server(films), served_address(_tin(films) / name))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    assert answer.headers["content-disposition"] == shown


def test_no_page_runs_scripts_and_no_other_page_shows_films(films: Path) -> None:
    for name in ("report.html", *LISTED, "missing.mp4"):
        headers = _ask(_server(films), served_address(_tin(films) / name)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script" not in policy
        assert name.endswith("en.mp4") or policy.startswith("sandbox ")
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "tin/deliveries/TIN/notes.txt",  # beside the film, but not delivered
        "tin/deliveries/TIN/deliveries.json",
        "tin/deliveries/TIN",
        "tin/deliveries/TIN/",
        "tin/deliveries/TIN/TIN_stems/report.html",
        "tin/report.html",
        "tin/film.yaml",
        "",
        "tin/deliveries/TIN/missing.mp4",
        "tin/deliveries/TIN/../../film.yaml",
        "tin/deliveries/TIN/%2e%2e/%2e%2e/film.yaml",
        "tin/deliveries/TIN/..%2f..%2ffilm.yaml",
        "../elsewhere/TIN_master_en.mp4",
        "..%2felsewhere%2fTIN_master_en.mp4",
        "tin/deliveries/TIN/TIN_master_en.mp4%00",
        "tin/deliveries/TIN/\xff.mp4",  # as no client should write it
        "tin/deliveries/TIN/" + "a" * 5000,
    ],
)
def test_what_was_not_delivered_is_not_there(films: Path, path: str) -> None:
    stems = _tin(films) / "TIN_stems/report.html"
    stems.write_text("of no delivery")
    answer = _ask(_server(films), f"{SERVED}{films}/{path}")
    assert (answer.status_code, answer.text) == (404, "Not Found")


def test_a_film_outside_the_roots_is_not_there(films: Path) -> None:
    outside = films.parent / "elsewhere" / LISTED[0]
    assert _ask(_server(films), served_address(outside)).status_code == 404
    assert _ask(_server(films, outside.parent), served_address(outside)).status_code == 200


def test_links_are_followed_before_anything_is_decided(films: Path) -> None:
    tin, elsewhere = _tin(films), films.parent / "elsewhere"
    film = tin / LISTED[0]
    (tin / LISTED[1]).unlink()
    (tin / LISTED[1]).symlink_to(elsewhere / LISTED[1])
    (tin / LISTED[2]).unlink()
    (tin / LISTED[2]).symlink_to(films / "tin/film.yaml")
    (films / "today.mp4").symlink_to(film)
    (films / "out").symlink_to(elsewhere)
    (films / "ring").symlink_to(films / "ring")
    server = _server(films)
    assert _ask(server, served_address(tin / LISTED[1])).status_code == 404, "leads out"
    assert _ask(server, served_address(tin / LISTED[2])).status_code == 404, "was not delivered"
    assert _ask(server, served_address(films / "out" / LISTED[0])).status_code == 404
    assert _ask(server, served_address(films / "ring")).status_code == 404
    assert _ask(server, served_address(films / "today.mp4")).content == FILM


def test_a_record_opens_nothing_but_what_lies_beneath_it(films: Path) -> None:
    tin = _tin(films)
    said = {"deliveries": {"a": {"files": {"../../film.yaml": [1, 1], "/etc/hostname": [1, 1]}}}}
    (tin / "deliveries.json").write_text(json.dumps(said))
    for path in (films / "tin/film.yaml", Path("/etc/hostname")):
        assert _ask(_server(films), served_address(path)).status_code == 404
    for wrong in ("", "[]", '{"deliveries": [1]}', '{"deliveries": {"a": {"files": 3}}}'):
        (tin / "deliveries.json").write_text(wrong)
        assert _ask(_server(films), served_address(tin / LISTED[0])).status_code == 404


def test_only_files_are_opened(films: Path) -> None:
    tin = _tin(films)
    for name in LISTED[:2]:
        (tin / name).unlink()
    (tin / LISTED[0]).mkdir()
    os.mkfifo(tin / LISTED[1])  # whoever opens it waits for somebody who writes
    for name in LISTED[:2]:
        assert _ask(_server(films), served_address(tin / name)).status_code == 404


@pytest.mark.skipif(os.geteuid() == 0, reason="to root every file is open")
def test_a_file_that_cannot_be_read_is_not_there(films: Path) -> None:
    film = _tin(films) / LISTED[0]
    film.chmod(0)
    assert _ask(_server(films), served_address(film)).status_code == 404


def test_a_folder_whose_name_is_no_utf_8_is_served(films: Path) -> None:
    folder = films / os.fsdecode(b"stra\xdfe (1) %2e [a]")
    _deliver(folder, LISTED)
    address = served_address(folder / LISTED[0])
    assert served_path(address) == folder / LISTED[0]
    assert not set(address) & set("()[] "), "Markdown would take them for its own"
    assert _ask(_server(films), address).content == FILM


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(films: Path, method: str) -> None:
    film = _tin(films) / LISTED[0]
    answer = _ask(_server(films), served_address(film), method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert film.read_bytes() == FILM


def test_who_has_the_password_of_the_api_gets_in(films: Path) -> None:
    server = _server(films, password=PASSWORD)
    address = served_address(_tin(films) / LISTED[0])
    assert _ask(server, address, Authorization=_basic(PASSWORD)).content == FILM
    lower = _basic(PASSWORD).replace("Basic", "basic")
    assert _ask(server, address, Authorization=lower, Host="farm.example").content == FILM
    refused = ("", "Basic", "Basic ?", _basic("takeboard:"), _basic(PASSWORD + "x"),
               _basic(PASSWORD).replace("Basic", "Bearer"))  # fmt: skip
    for said in refused:
        answer = _ask(server, address, Authorization=said)
        assert answer.status_code == 401, said
        assert answer.headers["www-authenticate"].startswith('Basic realm="')
    missing = _ask(server, served_address(films / "missing"))
    assert missing.status_code == 401, "who has no password learns of no file"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:4200", 200),
        ("localhost:9000", 200),  # through a tunnel
        ("[::1]:4200", 200),
        ("LOCALHOST", 200),
        ("farm.lan:4200", 200),  # as it was started
        ("films.example", 200),  # as configured
        ("rebound.example:4200", 421),
        ("127.0.0.1.rebound.example", 421),
        ("127.0.0.1@rebound.example", 421),
        ("*", 421),
        ("[", 421),
        ("", 421),
    ],
)
def test_without_a_password_the_server_must_be_asked_by_its_own_name(
    films: Path, host: str, status: int
) -> None:
    names = own_names("Farm.lan", "http://127.0.0.1:4200, https://films.example,*")
    server = asked_by_name(_server(films), names)
    for path in ("/api/health", served_address(_tin(films) / LISTED[0])):
        assert _ask(server, path, Host=host).status_code == status


@pytest.mark.parametrize(
    ("status", "headers", "is_it"),
    [
        (200, {"content-length": str(len(FILM))}, True),
        (200, {"content-length": "613"}, False),  # a front page, or another file of that name
        (200, {}, False),
        (204, {"content-length": str(len(FILM))}, False),
        (404, {"content-length": str(len(FILM))}, False),
        (401, {}, False),
    ],
)
def test_a_run_links_to_what_the_server_says_it_has(
    films: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    headers: dict[str, str],
    is_it: bool,
) -> None:
    film = _tin(films) / LISTED[0]
    asked = []

    class Client:
        """As Prefect's: what is no success is raised."""

        api_url = "https://farm.example/api/"

        def request(self, method: str, path: str, **_: object) -> httpx.Response:
            asked.append((method, path))
            request = httpx.Request(method, path)
            answer = httpx.Response(status, headers=headers, request=request)
            return answer.raise_for_status()

    monkeypatch.setattr(served, "get_client", lambda **_: nullcontext(Client()))
    address = served_address(film)
    assert served.asked_address(film) == (address if is_it else "")
    assert asked == [("HEAD", f"https://farm.example{address}")]
    assert served.asked_address(film.with_name("missing.mp4")) == ""


def test_prefect_answers_for_everything_else(films: Path) -> None:
    for path in (
        "/",
        "/api/health",
        "/takeboard",
        SERVED,
        f"{SERVED}x/tmp",
        "/takeboard/%64eliveries/x",
    ):
        assert _ask(_server(films), path).text == "Prefect", path


def _tin(films: Path) -> Path:
    return films / "tin/deliveries/TIN"


def _deliver(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(FILM)
    files = {name: [len(FILM), 1] for name in names}
    said = {"version": 1, "deliveries": {"TIN_master_en": {"files": files}}}
    (folder / "deliveries.json").write_text(json.dumps(said))


def _server(*roots: Path, password: str | None = None) -> ASGIApp:
    return beside(PlainTextResponse("Prefect"), Deliveries(tuple(roots), password))


def _ask(server: ASGIApp, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    """The answer to a request for a path that is left as it was written, dots and all."""
    sent: list[Message] = []
    given = {"host": "testserver", **{name.lower(): text for name, text in headers.items()}}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), text.encode()) for name, text in given.items()],
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(_within(10, server(scope, receive, send)))
    start, *bodies = sent
    content = b"".join(part.get("body", b"") for part in bodies)
    return httpx.Response(start["status"], headers=start["headers"], content=content)


async def _within(seconds: float, answering: Awaitable[None]) -> None:
    async with asyncio.timeout(seconds):
        await answering


def _basic(password: str) -> str:
    return "Basic " + base64.b64encode(password.encode()).decode()
