"""A headless Chromium that opens pages, fills in forms as a person would, and takes pictures."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

__all__ = ["Browser", "chromium", "open_browser"]

_READY_WITHIN_S = 30.0
_LOOK_S = 2.0
_SEEN_WITHIN_S = 30.0
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """Path of the browser; nothing where none is installed."""
    return next((path for name in _NAMES if (path := shutil.which(name))), "")


class Browser:
    """One page."""

    def __init__(self, page: ClientConnection) -> None:
        self._page, self._sent = page, 0
        self.foreign: list[str] = []
        """Addresses beyond this machine that pages asked for."""
        self.do("Page.enable")
        self.do("Network.enable")

    def do(self, method: str, **params: Any) -> dict[str, Any]:
        """What the browser answers."""
        self._sent += 1
        self._page.send(json.dumps({"id": self._sent, "method": method, "params": params}))
        while True:
            told = json.loads(self._page.recv(timeout=30))
            if told.get("method") == "Network.requestWillBeSent":
                self._note(told["params"]["request"]["url"])
            if told.get("id") == self._sent:
                assert "error" not in told, told
                return dict(told["result"])

    def open(self, url: str) -> None:
        """Go to `url`."""
        self.do("Page.navigate", url=url)

    @contextmanager
    def opened(self) -> Iterator[Browser]:
        """The page that a click has opened beside this one; it is closed again."""
        host, port = self._page.remote_address[:2]
        request = self._page.request
        assert request is not None
        deadline = time.monotonic() + _SEEN_WITHIN_S
        while True:
            pages = httpx.get(f"http://{host}:{port}/json/list", timeout=5.0).json()
            others = [page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page"]
            others = [other for other in others if not other.endswith(request.path)]
            if others:
                break
            assert time.monotonic() < deadline, "no page was opened"
            time.sleep(0.2)
        with connect(others[0], max_size=None, ping_interval=None) as page:
            opened = Browser(page)
            yield opened
            opened.do("Page.close")
        self.do("Page.bringToFront")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        told = self.do("Runtime.evaluate", expression=script, returnByValue=True)
        return told["result"].get("value")

    def text(self) -> str:
        """Every word that the page shows."""
        return str(self.run("document.body ? document.body.innerText : ''"))

    def see(self, *words: str) -> str:
        """The page's text, once all of `words` are in it."""
        deadline = time.monotonic() + _SEEN_WITHIN_S
        while missing := [word for word in words if word not in (text := self.text())]:
            if time.monotonic() > deadline:
                raise AssertionError(f"not on the page: {missing}; it shows:\n{text}")
            time.sleep(0.2)
        return text

    def click(self, words: str) -> None:
        """Click on the element that shows exactly `words`, once it is there."""
        self.press(
            "[...document.querySelectorAll('a, button, li, span, div')].reverse()"
            f".find(e => e.innerText?.trim() === {json.dumps(words)})",
            words,
        )

    def press(self, element: str, named: str = "") -> None:
        """Click with the mouse on what the JavaScript expression finds, once it is there."""
        deadline = time.monotonic() + _SEEN_WITHIN_S
        while not (box := self._box(element)):
            assert time.monotonic() < deadline, f"no {named or element}:\n{self.text()}"
            time.sleep(0.2)
        at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    def write(self, title: str, text: str) -> None:
        """Type into the last field of that title in a form."""
        field = f"{_field(title)}?.querySelector('textarea, input')"
        deadline = time.monotonic() + _SEEN_WITHIN_S
        while True:
            self.press(field, title)
            if self.run(f"document.activeElement === {field}"):
                break  # what had just been unfolded may still have been moving
            assert time.monotonic() < deadline, f"{title} cannot be clicked on"
        self.do("Input.dispatchKeyEvent", type="keyDown", commands=["selectAll"])
        self.do("Input.insertText", text=text)
        assert self.run(f"{field}.value") == text

    def rest(self) -> None:
        """As long as a person takes to look: forms hear of what was typed a moment later."""
        time.sleep(_LOOK_S)

    def choose(self, title: str, word: str) -> None:
        """Choose from the last list of that title, by its first letters on the keyboard."""
        self.see(title)
        assert self.run(f"{_field(title)}.querySelector('select').focus() ?? true")
        for letter in word:
            self.do("Input.dispatchKeyEvent", type="char", text=letter)
        chosen = self.run(f"{_field(title)}.querySelector('select').selectedOptions[0].label")
        assert chosen == word, f"{title} is {chosen}"

    def kinds(self, title: str) -> list[str]:
        """What the field of that title is made of: INPUT, SELECT, TEXTAREA, BUTTON."""
        parts = "'.p-label__body :is(input, select, textarea, button)'"
        return list(self.run(f"[...{_field(title)}.querySelectorAll({parts})].map(e => e.tagName)"))

    def press_in(self, title: str, selector: str) -> None:
        """Click on a part of the field of that title."""
        self.press(f"{_field(title)}?.querySelector({json.dumps(selector)})", title)

    def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        size = {"width": width, "height": height}
        self.do("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=False)

    def picture(self, path: Path, element: str = "") -> Path:
        """What the window shows, or what of it `element` finds once it is drawn: a PNG."""
        clip: dict[str, Any] = {}
        if element:
            deadline = time.monotonic() + _SEEN_WITHIN_S
            while not (box := self._box(element)):
                assert time.monotonic() < deadline, f"no {element}:\n{self.text()}"
                time.sleep(0.2)
            clip = {"clip": {**box, "scale": 1}}
        path.write_bytes(base64.b64decode(self.do("Page.captureScreenshot", **clip)["data"]))
        return path

    def _box(self, element: str) -> dict[str, float] | None:
        """Where in the window it is, brought into it; None while it is not there."""
        found = self.run(
            f"(() => {{ const e = {element}; if (!e) return null;"
            " e.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const {x, y, width, height} = e.getBoundingClientRect();"
            " return {x, y, width, height}; })()"
        )
        return found if found and found["width"] and found["height"] else None

    def _note(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:", "blob:", "about:")):
            self.foreign.append(url)


def _field(title: str) -> str:
    """The last of a form's fields with that title, as JavaScript."""
    labels = "[...document.querySelectorAll('.schema-form-property__label')]"
    return (
        f"{labels}.findLast(e => e.innerText.replace(' (Optional)', '').trim() === "
        f"{json.dumps(title)})?.closest('.p-label')"
    )


@contextmanager
def open_browser(folder: Path, size: tuple[int, int] = (1500, 1200)) -> Iterator[Browser]:
    """A browser of its own with its files in `folder`, ended with all its processes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--no-first-run", "--disable-background-networking", "--remote-debugging-port=0",
             f"--window-size={size[0]},{size[1]}", f"--user-data-dir={folder}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        with connect(_page_address(folder, process), max_size=None, ping_interval=None) as page:
            yield Browser(page)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


def _page_address(folder: Path, process: subprocess.Popen[bytes]) -> str:
    port_file = folder / "DevToolsActivePort"
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            port = int(port_file.read_text().split()[0])
            pages = httpx.get(f"http://127.0.0.1:{port}/json/list", timeout=5.0).json()
            return str(next(one for one in pages if one["type"] == "page")["webSocketDebuggerUrl"])
        except (OSError, IndexError, ValueError, StopIteration, httpx.HTTPError):
            time.sleep(0.1)
    raise RuntimeError("no browser: " + (folder / "chromium.log").read_text()[-2000:])
